// SPDX-License-Identifier: MIT
// Writes one plane of a Zarr array: its chunks as files, or all of them in one shard.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "image.h"
#include "ops/label.h"
#include "zarr/array.h"
#include "zarr/blosc_frame.h"

namespace tilecast {

// Compression of chunks. The TypeScript side writes the matching metadata (lib/stores/ome-zarr.ts).
enum class ChunkCodec : uint8_t { kNone, kBloscLz4, kBloscZstd, kZstd };

struct ZarrEncoding {
  int format = 3;       // zarr_format: 2 or 3
  bool sharded = true;  // one shard a plane (zarr v3 sharding_indexed, index at the end, crc32c);
                        // false: a file a chunk
  ChunkCodec codec = ChunkCodec::kBloscLz4;
  int level = 5;
  int64_t chunk = 512;  // px, both axes; planes smaller than that get one chunk of their own size
  // Between the parts of a chunk key. Shards are few, so that their keys need no folders: '.' saves
  // the file system two a plane.
  char separator = '/';
};

// Where a plane goes: `dir` is the array's folder, `lead` the chunk indexes of the axes before y
// and x, joined by the separator
// ("0/1", "" when there are none).
struct PlaneTarget {
  std::string dir;
  std::string lead;
  int64_t height = 0;  // of the array; a smaller plane leaves the rest at the fill value 0
  int64_t width = 0;
};

// The array that a plane of such a target lies in, as far as that plane goes, for reading it back;
// `index` is the plane's place along the leading axes.
ZarrArray ArrayOf(const PlaneTarget& target, const ZarrEncoding& encoding, DType dtype,
                  std::vector<int64_t>& index);

// Writes a whole small file, making its folders. Throws kIo with the path.
void WriteTextFile(const std::string& path, const std::string& text);

// A plane that is written part by part. A shard grows in a file of its own beside its place, in the
// order in which the parts come, and is there when it is finished: what is killed or fails
// meanwhile leaves no shard. Chunks that are files are there as they are written.
class PlaneParts {
 public:
  PlaneParts(const PlaneTarget& target, const ZarrEncoding& encoding);
  ~PlaneParts();  // abandons what was not finished
  PlaneParts(const PlaneParts&) = delete;
  PlaneParts& operator=(const PlaneParts&) = delete;

  // Side of the chunks, px; parts begin at multiples of them.
  int64_t chunk_height() const;
  int64_t chunk_width() const;
  // Once, after the last part. Returns the bytes that it wrote. Throws kIo.
  int64_t Finish();

 private:
  friend class PlaneWriter;
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

// One per thread; keeps its buffers. Chunks that are zero throughout are left out (the fill value
// is 0).
class PlaneWriter {
 public:
  PlaneWriter();
  ~PlaneWriter();
  // `sync` is never done: results are as durable as the file system makes them. Throws kIo with the
  // path. Returns the bytes written.
  int64_t Write(const Plane& plane, const PlaneTarget& target, const ZarrEncoding& encoding);
  // The plane that PaintLabels would paint, from its runs.
  int64_t Write(const Objects& labels, const PlaneTarget& target, const ZarrEncoding& encoding);
  // The chunks of a part whose first pixel is (y, x) of the plane, multiples of the chunk's sides;
  // it ends at such multiples or at the plane's end. Several threads may write parts of one plane.
  int64_t WritePart(const Plane& part, int64_t y, int64_t x, PlaneParts& plane);
  // The bytes of the one file that holds a whole plane of height x width pixels: its shard, or its
  // only chunk. A plane that is zero throughout has a file too. Valid until the next call.
  std::span<const std::byte> Encode(const Plane& plane, const ZarrEncoding& encoding);
  // Removes what an earlier Write left at `target`, if anything: a plane that failed must not show
  // old pixels.
  static void Erase(const PlaneTarget& target, const ZarrEncoding& encoding);

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace tilecast

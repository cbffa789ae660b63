// SPDX-License-Identifier: MIT
// Writes one plane of a Zarr array: its chunks as files, or all of them in one shard.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>

#include "image.h"
#include "ops/label.h"
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

// Writes a whole small file, making its folders. Throws kIo with the path.
void WriteTextFile(const std::string& path, const std::string& text);

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

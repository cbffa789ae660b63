// SPDX-License-Identifier: MIT
// Reads one plane of a Zarr array, or a region of it, straight into caller-owned memory.
//
// Format: Zarr core specification v3 (regular grid), the sharding_indexed codec (ZEP 2), Zarr v2. A
// chunk that is not there is the fill value. Of a shard only the index and the chunks that are
// wanted are read.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <unordered_map>

#include "file_parts.h"
#include "image.h"
#include "zarr/array.h"

namespace tilecast {

struct ZarrReadOptions {
  // Decoded chunks that hold several planes are kept up to this many bytes, least recently used
  // first out. A plane whose chunks would not fit is decoded without keeping anything.
  size_t cache_bytes = size_t{128} << 20;
};

// Files of an array, or parts of them, that were fetched from elsewhere, by their names below the
// array's folder. None: there is no such file, and its chunk is the fill value. Borrows the bytes.
using FetchedChunks = std::unordered_map<std::string, std::optional<FileParts>>;

// One per thread: keeps its buffers, codec contexts and decoded chunks, so that steady state
// allocates nothing. Not thread-safe.
class ZarrPlaneReader {
 public:
  explicit ZarrPlaneReader(ZarrReadOptions options = {});
  ~ZarrPlaneReader();
  ZarrPlaneReader(const ZarrPlaneReader&) = delete;
  ZarrPlaneReader& operator=(const ZarrPlaneReader&) = delete;

  // Fills `dst` with the region whose top left pixel is (y, x) of the plane at `index`, one number
  // a leading axis. The array must have passed Check(). Throws kOpShape when dst's dtype is another
  // or the region reaches beyond the array, kInvalidArgument for an index that does, kIo,
  // kZarrDamaged, kZarrUnsupported with the chunk's file. On failure the contents of dst are
  // unspecified.
  void Read(const ZarrArray& array, std::span<const int64_t> index, int64_t y, int64_t x,
            const Plane& dst);

  // The same with fetched files instead of those below the array's folder. Throws kInvalidArgument
  // when a file, or a part of one, is wanted that is not in `chunks`.
  void Read(const ZarrArray& array, const FetchedChunks& chunks, std::span<const int64_t> index,
            int64_t y, int64_t x, const Plane& dst);

  // Bytes read from files by the last Read.
  int64_t bytes_read() const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

// Of the files that hold a plane's pixels: their bytes together, and the time of the newest change
// in milliseconds since 1970; both 0 when none is there. Throws kIo.
struct PlaneFiles {
  double bytes = 0;
  double mtime_ms = 0;
};
PlaneFiles StatPlane(const ZarrArray& array, std::span<const int64_t> index);

}  // namespace tilecast

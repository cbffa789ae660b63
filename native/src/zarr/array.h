// SPDX-License-Identifier: MIT
// What reading needs to know of a Zarr array; the TypeScript side fills it from the array's
// metadata (lib/stores/zarr-array.ts).
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "image.h"

namespace tilecast {

// A codec from bytes to bytes.
enum class ByteCodec : uint8_t { kBlosc, kZstd, kGzip, kZlib, kLz4, kCrc32c };

// A level of sharding (codec sharding_indexed): what one chunk of the level above is divided into.
// Index codecs are bytes (little-endian) and crc32c, the only ones whose size is known beforehand.
struct ZarrShard {
  std::vector<int64_t> chunk;
  bool index_at_end = true;
  bool index_checksum = true;
};

// Planes are the last two axes; all others are leading axes. In C order.
struct ZarrArray {
  std::string dir;
  std::string key_prefix;  // "c" for the default key encoding of version 3, else empty
  char separator = '/';
  DType dtype = DType::kU8;
  bool big_endian = false;
  double fill = 0;
  std::vector<int64_t> shape;
  std::vector<int64_t> chunk;     // of the grid of files
  std::vector<ZarrShard> shards;  // outermost first
  std::vector<ByteCodec> codecs;  // of the innermost chunks, in the order of encoding

  int64_t height() const { return shape[shape.size() - 2]; }
  int64_t width() const { return shape.back(); }
  size_t leading() const { return shape.size() - 2; }
  const std::vector<int64_t>& inner_chunk() const {
    return shards.empty() ? chunk : shards.back().chunk;
  }

  // Throws kInvalidArgument, kZarrDamaged (sizes that no array has) and kZarrUnsupported (chunks of
  // 2 GiB and more).
  void Check() const;
};

}  // namespace tilecast

// SPDX-License-Identifier: MIT
// From pixels of a plane to the bytes of a strip or tile.
#pragma once

#include <cstddef>
#include <cstdint>

#include "codec/raw_buffer.h"
#include "image.h"

struct libdeflate_compressor;
struct ZSTD_CCtx_s;

namespace tilecast {

enum class TiffCodec : uint8_t { kNone, kDeflate, kZstd };

// One per thread: compressor and scratch are kept between chunks, planes and files.
class TiffEncoder {
 public:
  TiffEncoder() = default;
  ~TiffEncoder();
  TiffEncoder(const TiffEncoder&) = delete;
  TiffEncoder& operator=(const TiffEncoder&) = delete;

  // Sets how the next chunks are encoded. `predictor`: 1 none, 2 horizontal, 3 floating point.
  // `level`: of the codec.
  void Begin(TiffCodec codec, int level, int predictor);

  // Most bytes that a chunk of `bytes` can become.
  size_t Bound(size_t bytes) const;

  // Encodes `part` as a chunk of `height` rows of `width` pixels; what the part lacks of it is
  // padded. Returns the bytes written to `dst`, which has room for Bound(). Throws kInternal.
  size_t Encode(const Plane& part, int64_t height, int64_t width, uint8_t* dst);

 private:
  void Gather(const Plane& part, int64_t height, int64_t width, uint8_t* dst) const;

  TiffCodec codec_ = TiffCodec::kNone;
  int level_ = 0;
  int predictor_ = 1;
  libdeflate_compressor* deflate_ = nullptr;
  int deflate_level_ = 0;
  ZSTD_CCtx_s* zstd_ = nullptr;
  RawBuffer plain_;
};

}  // namespace tilecast

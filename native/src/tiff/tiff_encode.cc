// SPDX-License-Identifier: MIT
// Chunk encoding: gathering and prediction in one pass over the rows, then one call of the codec.
#include "tiff/tiff_encode.h"

#include <libdeflate.h>
#include <zstd.h>

#include <cstring>
#include <new>
#include <string>

#include "codec/predictor.h"
#include "error.h"

namespace tilecast {

TiffEncoder::~TiffEncoder() {
  libdeflate_free_compressor(deflate_);
  ZSTD_freeCCtx(zstd_);
}

void TiffEncoder::Begin(TiffCodec codec, int level, int predictor) {
  codec_ = codec;
  level_ = level;
  predictor_ = predictor;
  if (codec == TiffCodec::kDeflate && (deflate_ == nullptr || deflate_level_ != level)) {
    libdeflate_free_compressor(deflate_);
    deflate_ = libdeflate_alloc_compressor(level);
    if (deflate_ == nullptr) throw std::bad_alloc();
    deflate_level_ = level;
  }
  if (codec == TiffCodec::kZstd && zstd_ == nullptr) {
    zstd_ = ZSTD_createCCtx();
    if (zstd_ == nullptr) throw std::bad_alloc();
  }
}

size_t TiffEncoder::Bound(size_t bytes) const {
  switch (codec_) {
    case TiffCodec::kNone:
      return bytes;
    case TiffCodec::kDeflate:
      return libdeflate_zlib_compress_bound(deflate_, bytes);
    case TiffCodec::kZstd:
      break;
  }
  return ZSTD_compressBound(bytes);
}

// Padding repeats nothing of other chunks or of memory: zeros, or with a predictor what costs no
// bits.
void TiffEncoder::Gather(const Plane& part, int64_t height, int64_t width, uint8_t* dst) const {
  const size_t size = DTypeSize(part.dtype);
  const size_t row_bytes = static_cast<size_t>(width) * size;
  const auto have = static_cast<size_t>(part.row_bytes());
  for (int64_t y = 0; y < part.height; ++y, dst += row_bytes) {
    const std::byte* row = part.data + y * part.stride;
    if (predictor_ == 2) {
      ApplyHorizontal(row, size, static_cast<size_t>(part.width), dst);
      std::memset(dst + have, 0, row_bytes - have);
    } else if (predictor_ == 3 && part.width == width) {
      ApplyFloatingPoint(row, size, static_cast<size_t>(width), dst);
    } else {
      std::memcpy(dst, row, have);
      std::memset(dst + have, 0, row_bytes - have);
    }
  }
  std::memset(dst, 0, static_cast<size_t>(height - part.height) * row_bytes);
}

size_t TiffEncoder::Encode(const Plane& part, int64_t height, int64_t width, uint8_t* dst) {
  const size_t size = DTypeSize(part.dtype);
  const auto bytes = static_cast<size_t>(height) * static_cast<size_t>(width) * size;
  if (codec_ == TiffCodec::kNone) {
    Gather(part, height, width, dst);
    return bytes;
  }
  const auto* plain = reinterpret_cast<const uint8_t*>(part.data);
  const bool whole = part.height == height && part.width == width;
  if (!whole || !part.contiguous() || predictor_ != 1) {
    // Byte planes of a row are those of all the row, its padding too: one row more, where it is
    // made up.
    const bool padded_floats = predictor_ == 3 && part.width < width;
    const size_t row_bytes = static_cast<size_t>(width) * size;
    uint8_t* const gathered = plain_.Ensure(bytes + (padded_floats ? row_bytes : 0));
    Gather(part, height, width, gathered);
    if (padded_floats) {
      uint8_t* const row = gathered + bytes;
      for (int64_t y = 0; y < part.height; ++y) {
        uint8_t* const at = gathered + static_cast<size_t>(y) * row_bytes;
        std::memcpy(row, at, row_bytes);
        ApplyFloatingPoint(row, size, static_cast<size_t>(width), at);
      }
    }
    plain = gathered;
  }
  if (codec_ == TiffCodec::kDeflate) {
    const size_t made = libdeflate_zlib_compress(deflate_, plain, bytes, dst, Bound(bytes));
    if (made == 0) throw Error(Code::kInternal, "deflate made more than its bound");
    return made;
  }
  const size_t made = ZSTD_compressCCtx(zstd_, dst, Bound(bytes), plain, bytes, level_);
  if (ZSTD_isError(made) != 0) {
    throw Error(Code::kInternal, std::string("zstd: ") + ZSTD_getErrorName(made));
  }
  return made;
}

}  // namespace tilecast

// SPDX-License-Identifier: MIT
// Decoders of whole deflate (zlib) and zstd streams into memory of known size, on libdeflate and
// libzstd.
#pragma once

#include <cstddef>
#include <cstdint>

#include "codec/raw_buffer.h"

struct libdeflate_decompressor;
struct ZSTD_DCtx_s;

namespace tilecast {

// Both return the bytes written: `capacity` when the stream makes that much or more (what is beyond
// is dropped), less when it ends early, 0 when it is damaged. Bytes after the stream are ignored.
// One per thread; memory is allocated at first use.

class ZlibDecoder {
 public:
  ZlibDecoder() = default;
  ~ZlibDecoder();
  ZlibDecoder(const ZlibDecoder&) = delete;
  ZlibDecoder& operator=(const ZlibDecoder&) = delete;
  size_t Decode(const uint8_t* src, size_t size, uint8_t* dst, size_t capacity);

 private:
  libdeflate_decompressor* context_ = nullptr;
  RawBuffer overflow_;
};

class ZstdDecoder {
 public:
  ZstdDecoder() = default;
  ~ZstdDecoder();
  ZstdDecoder(const ZstdDecoder&) = delete;
  ZstdDecoder& operator=(const ZstdDecoder&) = delete;
  size_t Decode(const uint8_t* src, size_t size, uint8_t* dst, size_t capacity);

 private:
  ZSTD_DCtx_s* context_ = nullptr;
  RawBuffer overflow_;
};

// Most output that one byte of input can make: bounds for sizes that a damaged file claims.
// Deflate: 258 bytes from two bits; zstd: a run-length block of 128 KiB from four bytes.
inline constexpr uint64_t kDeflateMaxRatio = 1032;
inline constexpr uint64_t kZstdMaxRatio = 128 * 1024 / 3;

}  // namespace tilecast

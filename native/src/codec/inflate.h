// SPDX-License-Identifier: MIT
// Decoders of whole deflate (zlib, gzip) and zstd streams into memory of known size, on libdeflate
// and libzstd.
#pragma once

#include <cstddef>
#include <cstdint>

#include "codec/raw_buffer.h"

struct libdeflate_decompressor;
struct ZSTD_DCtx_s;

namespace tilecast {

// Decode returns the bytes written: `capacity` when the stream makes that much or more (what is
// beyond is dropped), less when it ends early, 0 when it is damaged. Bytes after the stream are
// ignored. DecodeWhole is strict: all of the stream, of `capacity` bytes at most, else kNotWhole.
// One per thread; memory is allocated at first use.

inline constexpr size_t kNotWhole = ~size_t{0};

class ZlibDecoder {
 public:
  ZlibDecoder() = default;
  ~ZlibDecoder();
  ZlibDecoder(const ZlibDecoder&) = delete;
  ZlibDecoder& operator=(const ZlibDecoder&) = delete;
  size_t Decode(const uint8_t* src, size_t size, uint8_t* dst, size_t capacity);
  enum class Wrapper : uint8_t { kZlib, kGzip };
  // gzip: of several members the contents follow each other.
  size_t DecodeWhole(Wrapper wrapper, const uint8_t* src, size_t size, uint8_t* dst,
                     size_t capacity);

 private:
  libdeflate_decompressor* Context();

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
  size_t DecodeWhole(const uint8_t* src, size_t size, uint8_t* dst, size_t capacity);

 private:
  ZSTD_DCtx_s* Context();

  ZSTD_DCtx_s* context_ = nullptr;
  RawBuffer overflow_;
};

// Most output that one byte of input can make: bounds for sizes that a damaged file claims.
// Deflate: 258 bytes from two bits; zstd: a run-length block of 128 KiB from four bytes.
inline constexpr uint64_t kDeflateMaxRatio = 1032;
inline constexpr uint64_t kZstdMaxRatio = 128 * 1024 / 3;

}  // namespace tilecast

// SPDX-License-Identifier: MIT
// One-shot deflate and zstd decoding that tolerates streams longer than what is wanted of them.
#include "codec/inflate.h"

#include <libdeflate.h>
#include <zstd.h>
#include <zstd_errors.h>

#include <algorithm>
#include <cstring>
#include <new>

namespace tilecast {
namespace {

// Some writers pad the last strip to its full height, so a stream may be longer than the rows that
// the image has. Both libraries want room for all of it: decode it aside, up to this many times the
// size, and keep the start.
constexpr size_t kMaxOverflow = 16;

}  // namespace

ZlibDecoder::~ZlibDecoder() {
  if (context_ != nullptr) libdeflate_free_decompressor(context_);
}

libdeflate_decompressor* ZlibDecoder::Context() {
  if (context_ == nullptr) {
    context_ = libdeflate_alloc_decompressor();
    if (context_ == nullptr) throw std::bad_alloc();
  }
  return context_;
}

size_t ZlibDecoder::DecodeWhole(Wrapper wrapper, const uint8_t* src, size_t size, uint8_t* dst,
                                size_t capacity) {
  if (wrapper == Wrapper::kZlib) {
    size_t made = 0;
    const auto result = libdeflate_zlib_decompress(Context(), src, size, dst, capacity, &made);
    return result == LIBDEFLATE_SUCCESS ? made : kNotWhole;
  }
  size_t total = 0;
  do {
    size_t used = 0;
    size_t made = 0;
    if (libdeflate_gzip_decompress_ex(Context(), src, size, dst + total, capacity - total, &used,
                                      &made) != LIBDEFLATE_SUCCESS) {
      return kNotWhole;
    }
    total += made;
    src += used;
    size -= used;
  } while (size > 0);
  return total;
}

size_t ZlibDecoder::Decode(const uint8_t* src, size_t size, uint8_t* dst, size_t capacity) {
  Context();
  size_t used = 0;
  size_t made = 0;
  auto result = libdeflate_zlib_decompress_ex(context_, src, size, dst, capacity, &used, &made);
  if (result == LIBDEFLATE_SUCCESS) return made;
  for (size_t times = 2; result == LIBDEFLATE_INSUFFICIENT_SPACE && times <= kMaxOverflow;
       times *= 2) {
    uint8_t* aside = overflow_.Ensure(capacity * times);
    result =
        libdeflate_zlib_decompress_ex(context_, src, size, aside, capacity * times, &used, &made);
    if (result == LIBDEFLATE_SUCCESS) {
      made = std::min(made, capacity);
      std::memcpy(dst, aside, made);
      return made;
    }
  }
  return 0;
}

ZstdDecoder::~ZstdDecoder() {
  ZSTD_freeDCtx(context_);
}

ZSTD_DCtx_s* ZstdDecoder::Context() {
  if (context_ == nullptr) {
    context_ = ZSTD_createDCtx();
    if (context_ == nullptr) throw std::bad_alloc();
  }
  return context_;
}

size_t ZstdDecoder::DecodeWhole(const uint8_t* src, size_t size, uint8_t* dst, size_t capacity) {
  const size_t made = ZSTD_decompressDCtx(Context(), dst, capacity, src, size);
  return ZSTD_isError(made) != 0 ? kNotWhole : made;
}

size_t ZstdDecoder::Decode(const uint8_t* src, size_t size, uint8_t* dst, size_t capacity) {
  Context();
  size_t total = 0;
  // Frame by frame: the library's own loop over frames takes bytes after the last one for a damaged
  // frame.
  while (total < capacity && size > 0) {
    const size_t frame = ZSTD_findFrameCompressedSize(src, size);
    if (ZSTD_isError(frame)) break;
    const size_t room = capacity - total;
    size_t made = ZSTD_decompressDCtx(context_, dst + total, room, src, frame);
    for (size_t times = 2;
         ZSTD_getErrorCode(made) == ZSTD_error_dstSize_tooSmall && times <= kMaxOverflow;
         times *= 2) {
      uint8_t* aside = overflow_.Ensure(room * times);
      made = ZSTD_decompressDCtx(context_, aside, room * times, src, frame);
      if (!ZSTD_isError(made)) {
        made = std::min(made, room);
        std::memcpy(dst + total, aside, made);
      }
    }
    if (ZSTD_isError(made)) break;
    total += made;
    src += frame;
    size -= frame;
  }
  return total;
}

}  // namespace tilecast

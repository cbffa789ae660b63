// SPDX-License-Identifier: MIT
// Byte shuffle, a row span at a time; 2- and 4-byte elements with SSE2 (every x86-64 has it),
// others by plain loops.
#include "zarr/shuffle.h"

#include <algorithm>
#include <cstdint>
#include <cstring>

#if defined(__SSE2__)
#include <emmintrin.h>
#endif

namespace tilecast {
namespace {

// `count` elements of 2 bytes: low bytes to `lo`, high bytes to `hi`.
void Span2(const uint8_t* in, size_t count, uint8_t* lo, uint8_t* hi) {
  size_t i = 0;
#if defined(__SSE2__)
  const __m128i mask = _mm_set1_epi16(0x00ff);
  for (; i + 16 <= count; i += 16) {
    const __m128i a = _mm_loadu_si128(reinterpret_cast<const __m128i*>(in + 2 * i));
    const __m128i b = _mm_loadu_si128(reinterpret_cast<const __m128i*>(in + 2 * i + 16));
    _mm_storeu_si128(reinterpret_cast<__m128i*>(lo + i),
                     _mm_packus_epi16(_mm_and_si128(a, mask), _mm_and_si128(b, mask)));
    _mm_storeu_si128(reinterpret_cast<__m128i*>(hi + i),
                     _mm_packus_epi16(_mm_srli_epi16(a, 8), _mm_srli_epi16(b, 8)));
  }
#endif
  for (; i < count; ++i) {
    lo[i] = in[2 * i];
    hi[i] = in[2 * i + 1];
  }
}

// `count` elements of 4 bytes to four planes `plane` bytes apart.
void Span4(const uint8_t* in, size_t count, uint8_t* out, size_t plane) {
  size_t i = 0;
#if defined(__SSE2__)
  const __m128i mask = _mm_set1_epi16(0x00ff);
  for (; i + 16 <= count; i += 16) {
    __m128i even[2], odd[2];  // bytes 0,2 and bytes 1,3 of eight elements each
    for (int h = 0; h < 2; ++h) {
      const __m128i a = _mm_loadu_si128(reinterpret_cast<const __m128i*>(in + 4 * i + 32 * h));
      const __m128i b = _mm_loadu_si128(reinterpret_cast<const __m128i*>(in + 4 * i + 32 * h + 16));
      even[h] = _mm_packus_epi16(_mm_and_si128(a, mask), _mm_and_si128(b, mask));
      odd[h] = _mm_packus_epi16(_mm_srli_epi16(a, 8), _mm_srli_epi16(b, 8));
    }
    const auto store = [&](size_t k, __m128i v) {
      _mm_storeu_si128(reinterpret_cast<__m128i*>(out + k * plane + i), v);
    };
    store(0, _mm_packus_epi16(_mm_and_si128(even[0], mask), _mm_and_si128(even[1], mask)));
    store(1, _mm_packus_epi16(_mm_and_si128(odd[0], mask), _mm_and_si128(odd[1], mask)));
    store(2, _mm_packus_epi16(_mm_srli_epi16(even[0], 8), _mm_srli_epi16(even[1], 8)));
    store(3, _mm_packus_epi16(_mm_srli_epi16(odd[0], 8), _mm_srli_epi16(odd[1], 8)));
  }
#endif
  for (; i < count; ++i) {
    for (size_t k = 0; k < 4; ++k) out[k * plane + i] = in[4 * i + k];
  }
}

}  // namespace

void ShuffleRows(const ChunkRows& chunk, size_t begin, size_t n, std::byte* out) {
  const size_t size = chunk.size, plane = n / size;
  auto* to = reinterpret_cast<uint8_t*>(out);
  for (size_t done = 0; done < n;) {
    const size_t row = (begin + done) / chunk.row_bytes;
    const size_t x = (begin + done) % chunk.row_bytes;
    const size_t end = row < chunk.rows ? chunk.have : 0;
    const bool blank = x >= end;
    const size_t span = std::min((blank ? chunk.row_bytes : end) - x, n - done);
    const size_t i = done / size, count = span / size;
    done += span;
    if (blank) {
      for (size_t k = 0; k < size; ++k) std::memset(to + k * plane + i, 0, count);
      continue;
    }
    const auto* from = reinterpret_cast<const uint8_t*>(chunk.base) + row * chunk.stride + x;
    switch (size) {
      case 1:
        std::memcpy(to + i, from, span);
        break;
      case 2:
        Span2(from, count, to + i, to + plane + i);
        break;
      case 4:
        Span4(from, count, to + i, plane);
        break;
      default:
        for (size_t e = 0; e < count; ++e) {
          for (size_t k = 0; k < size; ++k) to[k * plane + i + e] = from[size * e + k];
        }
    }
  }
}

}  // namespace tilecast

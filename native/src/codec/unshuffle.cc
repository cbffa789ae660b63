// SPDX-License-Identifier: MIT
// Unshuffling with SSE2, which every x86-64 has: blocks are L2-sized, and wider registers do not
// load from there any faster.
#include "codec/unshuffle.h"

#include <cstring>

#if defined(__SSE2__)
#include <emmintrin.h>
#endif

namespace tilecast {
namespace {

#if defined(__SSE2__)
inline __m128i Load(const uint8_t* p) {
  return _mm_loadu_si128(reinterpret_cast<const __m128i*>(p));
}
inline void Store(uint8_t* p, __m128i v) {
  _mm_storeu_si128(reinterpret_cast<__m128i*>(p), v);
}
#endif

void Unshuffle2(const uint8_t* a, const uint8_t* b, size_t count, uint8_t* out) {
  size_t i = 0;
#if defined(__SSE2__)
  for (; i + 32 <= count; i += 32) {
    const __m128i a0 = Load(a + i), a1 = Load(a + i + 16);
    const __m128i b0 = Load(b + i), b1 = Load(b + i + 16);
    Store(out + 2 * i, _mm_unpacklo_epi8(a0, b0));
    Store(out + 2 * i + 16, _mm_unpackhi_epi8(a0, b0));
    Store(out + 2 * i + 32, _mm_unpacklo_epi8(a1, b1));
    Store(out + 2 * i + 48, _mm_unpackhi_epi8(a1, b1));
  }
#endif
  for (; i < count; ++i) {
    out[2 * i] = a[i];
    out[2 * i + 1] = b[i];
  }
}

void Unshuffle4(const uint8_t* const* planes, size_t first, size_t count, uint8_t* out) {
  const uint8_t* const a = planes[0] + first;
  const uint8_t* const b = planes[1] + first;
  const uint8_t* const c = planes[2] + first;
  const uint8_t* const d = planes[3] + first;
  size_t i = 0;
#if defined(__SSE2__)
  for (; i + 16 <= count; i += 16) {
    const __m128i va = Load(a + i), vb = Load(b + i), vc = Load(c + i), vd = Load(d + i);
    const __m128i ab0 = _mm_unpacklo_epi8(va, vb), ab1 = _mm_unpackhi_epi8(va, vb);
    const __m128i cd0 = _mm_unpacklo_epi8(vc, vd), cd1 = _mm_unpackhi_epi8(vc, vd);
    Store(out + 4 * i, _mm_unpacklo_epi16(ab0, cd0));
    Store(out + 4 * i + 16, _mm_unpackhi_epi16(ab0, cd0));
    Store(out + 4 * i + 32, _mm_unpacklo_epi16(ab1, cd1));
    Store(out + 4 * i + 48, _mm_unpackhi_epi16(ab1, cd1));
  }
#endif
  for (; i < count; ++i) {
    out[4 * i] = a[i];
    out[4 * i + 1] = b[i];
    out[4 * i + 2] = c[i];
    out[4 * i + 3] = d[i];
  }
}

void Unshuffle8(const uint8_t* const* planes, size_t first, size_t count, uint8_t* out) {
  size_t i = 0;
#if defined(__SSE2__)
  for (; i + 16 <= count; i += 16) {
    __m128i lo[4], hi[4];  // byte pairs 01, 23, 45, 67 of elements 0..7 and 8..15
    for (int k = 0; k < 4; ++k) {
      const __m128i even = Load(planes[2 * k] + first + i);
      const __m128i odd = Load(planes[2 * k + 1] + first + i);
      lo[k] = _mm_unpacklo_epi8(even, odd);
      hi[k] = _mm_unpackhi_epi8(even, odd);
    }
    const auto half = [&](const __m128i* v, uint8_t* to) {
      const __m128i q0 = _mm_unpacklo_epi16(v[0], v[1]), q1 = _mm_unpackhi_epi16(v[0], v[1]);
      const __m128i r0 = _mm_unpacklo_epi16(v[2], v[3]), r1 = _mm_unpackhi_epi16(v[2], v[3]);
      Store(to, _mm_unpacklo_epi32(q0, r0));
      Store(to + 16, _mm_unpackhi_epi32(q0, r0));
      Store(to + 32, _mm_unpacklo_epi32(q1, r1));
      Store(to + 48, _mm_unpackhi_epi32(q1, r1));
    };
    half(lo, out + 8 * i);
    half(hi, out + 8 * i + 64);
  }
#endif
  for (; i < count; ++i) {
    for (size_t k = 0; k < 8; ++k) out[8 * i + k] = planes[k][first + i];
  }
}

// Transposes an 8 x 8 bit matrix, a row a byte (Hacker's Delight, 7-3).
inline uint64_t TransposeBits(uint64_t x) {
  uint64_t t = (x ^ (x >> 7)) & 0x00aa00aa00aa00aaull;
  x ^= t ^ (t << 7);
  t = (x ^ (x >> 14)) & 0x0000cccc0000ccccull;
  x ^= t ^ (t << 14);
  t = (x ^ (x >> 28)) & 0x00000000f0f0f0f0ull;
  return x ^ t ^ (t << 28);
}

#if defined(__SSE2__)
inline __m128i TransposeBits(__m128i x) {
  const auto step = [&x](int shift, long long mask) {
    const __m128i m = _mm_set1_epi64x(mask);
    const __m128i t = _mm_and_si128(_mm_xor_si128(x, _mm_srli_epi64(x, shift)), m);
    x = _mm_xor_si128(x, _mm_xor_si128(t, _mm_slli_epi64(t, shift)));
  };
  step(7, 0x00aa00aa00aa00aall);
  step(14, 0x0000cccc0000ccccll);
  step(28, 0x00000000f0f0f0f0ll);
  return x;
}
#endif

}  // namespace

void Unshuffle(const uint8_t* const* planes, size_t first, size_t count, size_t size,
               uint8_t* out) {
  if (count == 0) return;
  switch (size) {
    case 1:
      std::memcpy(out, planes[0] + first, count);
      return;
    case 2:
      Unshuffle2(planes[0] + first, planes[1] + first, count, out);
      return;
    case 4:
      Unshuffle4(planes, first, count, out);
      return;
    case 8:
      Unshuffle8(planes, first, count, out);
      return;
    default:
      for (size_t i = 0; i < count; ++i) {
        for (size_t k = 0; k < size; ++k) out[i * size + k] = planes[k][first + i];
      }
  }
}

void BitPlanesToBytes(const uint8_t* in, size_t elements, size_t size, uint8_t* out) {
  const size_t plane = elements / 8;
  for (size_t k = 0; k < size; ++k) {
    const uint8_t* const from = in + 8 * k * plane;
    uint8_t* const to = out + k * elements;
    size_t i = 0;
#if defined(__SSE2__)
    // 16 bytes of each of eight bit planes: 128 elements.
    for (; i + 16 <= plane; i += 16) {
      __m128i v[8], w[8];
      for (size_t b = 0; b < 8; ++b) v[b] = Load(from + b * plane + i);
      for (int p = 0; p < 4; ++p) {  // planes 01, 23, 45, 67, byte by byte
        w[p] = _mm_unpacklo_epi8(v[2 * p], v[2 * p + 1]);
        w[4 + p] = _mm_unpackhi_epi8(v[2 * p], v[2 * p + 1]);
      }
      for (int h = 0; h < 2; ++h) {
        const __m128i* const q = w + 4 * h;
        const __m128i a0 = _mm_unpacklo_epi16(q[0], q[1]), a1 = _mm_unpackhi_epi16(q[0], q[1]);
        const __m128i b0 = _mm_unpacklo_epi16(q[2], q[3]), b1 = _mm_unpackhi_epi16(q[2], q[3]);
        uint8_t* const at = to + 8 * i + 64 * static_cast<size_t>(h);
        Store(at, TransposeBits(_mm_unpacklo_epi32(a0, b0)));
        Store(at + 16, TransposeBits(_mm_unpackhi_epi32(a0, b0)));
        Store(at + 32, TransposeBits(_mm_unpacklo_epi32(a1, b1)));
        Store(at + 48, TransposeBits(_mm_unpackhi_epi32(a1, b1)));
      }
    }
#endif
    for (; i < plane; ++i) {
      uint64_t x = 0;
      for (size_t b = 0; b < 8; ++b) x |= uint64_t{from[b * plane + i]} << (8 * b);
      x = TransposeBits(x);
      for (size_t b = 0; b < 8; ++b) to[8 * i + b] = static_cast<uint8_t>(x >> (8 * b));
    }
  }
}

}  // namespace tilecast

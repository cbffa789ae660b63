// SPDX-License-Identifier: MIT
// BloscLZ decoding.
//
// A token's first byte: below 32, that many literals and one more; else a match of length (byte >>
// 5) - 1 + 3 at distance
// ((byte & 31) << 8) + next byte + 1. Length 7 goes on in bytes up to one below 255, which come
// before the distance's low byte; the largest distance (31, 255) is followed by 16 bits, high byte
// first, to be added. The first token of a stream is always literals.
#include "codec/blosclz.h"

#include <cstring>

namespace tilecast {

size_t BloscLzDecode(const uint8_t* src, size_t size, uint8_t* dst, size_t capacity) {
  if (size == 0) return 0;
  const uint8_t* in = src;
  const uint8_t* const in_end = src + size;
  uint8_t* out = dst;
  uint8_t* const out_end = dst + capacity;
  uint32_t control = *in++ & 31u;
  for (;;) {
    if (control < 32) {
      const size_t n = size_t{control} + 1;
      if (static_cast<size_t>(in_end - in) < n || static_cast<size_t>(out_end - out) < n) return 0;
      std::memcpy(out, in, n);
      in += n;
      out += n;
    } else {
      size_t length = (control >> 5) - 1;
      size_t distance = size_t{control & 31u} << 8;
      if (length == 6) {
        uint8_t more;
        do {
          if (in == in_end) return 0;
          more = *in++;
          length += more;
        } while (more == 255);
      }
      if (in == in_end) return 0;
      const uint8_t low = *in++;
      if (low == 255 && distance == size_t{31} << 8) {
        if (in_end - in < 2) return 0;
        distance = (size_t{in[0]} << 8) + in[1] + 8191;
        in += 2;
      } else {
        distance += low;
      }
      distance += 1;
      length += 3;
      if (static_cast<size_t>(out - dst) < distance) return 0;
      if (static_cast<size_t>(out_end - out) < length) return 0;
      const uint8_t* from = out - distance;
      if (distance == 1) {
        std::memset(out, *from, length);
      } else if (distance >= length) {
        std::memcpy(out, from, length);
      } else {
        for (size_t i = 0; i < length; ++i) out[i] = from[i];  // the match overlaps itself
      }
      out += length;
    }
    if (in == in_end) break;
    control = *in++;
  }
  return static_cast<size_t>(out - dst);
}

}  // namespace tilecast

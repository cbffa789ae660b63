// SPDX-License-Identifier: MIT
// PackBits decoding in wide copies: runs are at most 128 bytes, so a call of memcpy costs more than
// the bytes it moves.
#include "codec/packbits.h"

#include <algorithm>
#include <cstring>

namespace tilecast {

size_t PackBitsDecode(const uint8_t* src, size_t size, uint8_t* dst, size_t capacity) {
  const uint8_t* in = src;
  const uint8_t* const in_end = src + size;
  uint8_t* out = dst;
  uint8_t* const out_end = dst + capacity;

  while (in < in_end && out < out_end) {
    const uint8_t control = *in++;
    if (control < 128) {
      size_t n = control + size_t{1};
      if (static_cast<size_t>(in_end - in) >= 128 && static_cast<size_t>(out_end - out) >= 128) {
        // Blocks of 32 may run past the string, but not past either buffer.
        for (size_t i = 0; i < n; i += 32) std::memcpy(out + i, in + i, 32);
      } else {
        n = std::min({n, static_cast<size_t>(in_end - in), static_cast<size_t>(out_end - out)});
        std::memcpy(out, in, n);
      }
      in += n;
      out += n;
    } else if (control > 128) {
      if (in == in_end) break;
      const uint8_t value = *in++;
      size_t n = 257 - size_t{control};
      if (static_cast<size_t>(out_end - out) >= 128) {
        for (size_t i = 0; i < n; i += 32) std::memset(out + i, value, 32);
      } else {
        n = std::min(n, static_cast<size_t>(out_end - out));
        std::memset(out, value, n);
      }
      out += n;
    }  // 128 is a no-op
  }
  return static_cast<size_t>(out - dst);
}

}  // namespace tilecast

// SPDX-License-Identifier: MIT
// LZW decoding that copies strings forwards from the output instead of walking prefix chains
// backwards.
#include "codec/lzw.h"

#include <algorithm>
#include <bit>
#include <cstring>

namespace tilecast {
namespace {

static_assert(std::endian::native == std::endian::little,
              "String::head is stored as it lies in memory");

constexpr uint32_t kClear = 256;
constexpr uint32_t kEnd = 257;
constexpr uint32_t kFirst = 258;
constexpr uint32_t kTableSize = 4096;
constexpr int kMaxBits = 12;

// The code at bit `bit`, when eight bytes can be read there.
template <bool kMsbFirst>
inline uint32_t PeekFast(const uint8_t* src, size_t bit, int bits) {
  uint64_t word;
  std::memcpy(&word, src + (bit >> 3), 8);
  if constexpr (kMsbFirst) {
    return static_cast<uint32_t>((__builtin_bswap64(word) << (bit & 7)) >> (64 - bits));
  } else {
    return static_cast<uint32_t>(word >> (bit & 7)) & ((1u << bits) - 1);
  }
}

// The same near the end of the input: a code spans at most three bytes.
template <bool kMsbFirst>
inline uint32_t PeekSlow(const uint8_t* src, size_t size, size_t bit, int bits) {
  uint8_t padded[8] = {};
  const size_t at = bit >> 3;
  std::memcpy(padded, src + at, std::min<size_t>(8, size - at));
  return PeekFast<kMsbFirst>(padded, bit & 7, bits);
}

// The table size at which codes grow wider. New-style writers grow one code early (TIFF 6.0, page
// 60).
template <bool kMsbFirst>
constexpr uint32_t GrowAt(int bits) {
  if (bits == kMaxBits) return kTableSize;
  return (1u << bits) - (kMsbFirst ? 1 : 0);
}

inline uint64_t Append(uint64_t head, uint32_t length, uint64_t byte) {
  return length < 8 ? head | byte << (8 * length) : head;
}

}  // namespace

LzwDecoder::LzwDecoder() {
  for (uint32_t i = 0; i < 256; ++i) table_[i] = {i, 0, 1};
  for (uint32_t i = 256; i < kTableSize; ++i) table_[i] = {0, 0, 0};
}

size_t LzwDecoder::Decode(const uint8_t* src, size_t size, uint8_t* dst, size_t capacity) {
  if (size >= 2 && src[0] == 0 && (src[1] & 1) != 0) return Run<false>(src, size, dst, capacity);
  return Run<true>(src, size, dst, capacity);
}

template <bool kMsbFirst>
size_t LzwDecoder::Run(const uint8_t* src, size_t size, uint8_t* dst, size_t capacity) {
  String* const table = table_.data();
  const size_t total_bits = size * 8;
  size_t bit = 0;
  int bits = 9;
  uint32_t next = kFirst;
  uint32_t grow_at = GrowAt<kMsbFirst>(bits);
  uint8_t* out = dst;
  uint8_t* const end = dst + capacity;
  uint8_t* base = dst;  // output at the last clear code
  String previous = {
      0, 0, 0};  // its offset is where it was written last; length 0: none since the clear code

  while (out < end) {
    if (previous.length != 0) {
      // The usual case: known string, room for eight bytes on both sides. Leaves for anything else.
      while (next < grow_at && (bit >> 3) + 8 <= size && end - out >= 8) {
        const uint32_t code = PeekFast<kMsbFirst>(src, bit, bits);
        const String s = table[code];
        if (code >= next || s.length == 0) break;
        if (s.length > 8 && static_cast<size_t>(end - out) < size_t{s.length} + 16) break;
        bit += static_cast<size_t>(bits);
        table[next++] = {Append(previous.head, previous.length, s.head & 0xff), previous.offset,
                         previous.length + 1};
        std::memcpy(out, &s.head, 8);
        if (s.length > 8) {
          // The string ends at or before `out`, so blocks that run past it read only what is
          // overwritten later.
          const uint8_t* from = base + s.offset;
          for (uint32_t i = 8; i < s.length; i += 16) {
            uint8_t block[16];
            std::memcpy(block, from + i, 16);
            std::memcpy(out + i, block, 16);
          }
        }
        previous = {s.head, static_cast<uint32_t>(out - base), s.length};
        out += s.length;
      }
      if (next >= grow_at && bits < kMaxBits) {
        grow_at = GrowAt<kMsbFirst>(++bits);
        continue;
      }
      if (out >= end) break;
    }

    // One code with every check: clear and end codes, the first after a clear, a string used while
    // it is made, the ends of both buffers.
    if (bit + static_cast<size_t>(bits) > total_bits) break;
    const uint32_t code = PeekSlow<kMsbFirst>(src, size, bit, bits);
    bit += static_cast<size_t>(bits);
    if (code == kClear) {
      bits = 9;
      next = kFirst;
      grow_at = GrowAt<kMsbFirst>(bits);
      base = out;
      previous.length = 0;
      continue;
    }
    if (code == kEnd) break;
    if (previous.length == 0) {
      if (code > 255) break;
      *out = static_cast<uint8_t>(code);
      previous = {code, static_cast<uint32_t>(out - base), 1};
      ++out;
      continue;
    }
    if (code > next || (code == next && next == kTableSize)) break;
    const uint64_t first = (code == next ? previous.head : table[code].head) & 0xff;
    if (next < kTableSize) {
      table[next] = {Append(previous.head, previous.length, first), previous.offset,
                     previous.length + 1};
      ++next;
    }
    const String s = table[code];
    const size_t n = std::min<size_t>(s.length, static_cast<size_t>(end - out));
    if (s.length <= 8) {
      std::memcpy(out, &s.head, n);
    } else {
      // Byte by byte: a string used while it is made overlaps its own copy by one byte.
      const uint8_t* from = base + s.offset;
      for (size_t i = 0; i < n; ++i) out[i] = from[i];
    }
    previous = {s.head, static_cast<uint32_t>(out - base), s.length};
    out += n;
  }
  return static_cast<size_t>(out - dst);
}

}  // namespace tilecast

// SPDX-License-Identifier: MIT
// Thinning on bits: 64 pixels at a time say which of them lie at an edge, and only those are looked
// at one by one.
#include "ops/skeleton.h"

#include <algorithm>
#include <array>
#include <bit>
#include <vector>

#include "ops/check.h"
#include "ops/kernels/kernels.h"

namespace tilecast {

namespace {

// By the eight neighbours, clockwise from the upper left in bits 0..7: bit 0 when the pixel goes in
// the first pass, bit 1 when it goes in the second.
std::array<uint8_t, 256> Rules() {
  std::array<uint8_t, 256> rules{};
  for (unsigned n = 0; n < 256; ++n) {
    const auto is = [&](unsigned i) { return (n >> i & 1) != 0; };
    const int count = std::popcount(n);
    int begins = 0;  // of foreground, going round
    for (unsigned i = 0; i < 8; ++i) begins += !is(i) && is((i + 1) % 8);
    if (count < 2 || count > 6 || begins != 1) continue;
    const bool up = is(1), right = is(3), down = is(5), left = is(7);
    if (!(up && right && down) && !(right && down && left)) rules[n] |= 1;
    if (!(up && right && left) && !(up && down && left)) rules[n] |= 2;
  }
  // Where scikit-image's table is another than the paper's rules.
  constexpr uint8_t other[][2] = {{0x03, 1}, {0x06, 1}, {0x0a, 3}, {0x0b, 1}, {0x0c, 1},
                                  {0x0e, 1}, {0x18, 2}, {0x1a, 2}, {0x28, 3}, {0x30, 0},
                                  {0x38, 2}, {0x60, 2}, {0x68, 2}, {0x6c, 2}, {0x81, 0},
                                  {0x82, 3}, {0x83, 1}, {0x86, 1}, {0xa0, 3}, {0xa1, 1},
                                  {0xb0, 2}, {0xc0, 2}, {0xc2, 1}, {0xc6, 1}, {0xe0, 2}};
  for (const auto& [n, passes] : other) rules[n] = passes;
  return rules;
}

// Bits of an image with an empty row above and below, and an empty word before and after each row.
struct Bits {
  int64_t words;
  std::vector<uint64_t> memory;

  void Clear(int64_t height, int64_t width) {
    words = (width + 63) / 64;
    memory.assign(static_cast<size_t>((height + 2) * (words + 2)), 0);
  }
  uint64_t* row(int64_t y) { return memory.data() + (y + 1) * (words + 2) + 1; }
};

// Bits x - 1, x, x + 1 of a row, for bit x of word `at`.
unsigned Three(const uint64_t* at, int bit) {
  if (bit == 0) return static_cast<unsigned>(at[-1] >> 63 | (at[0] & 3) << 1);
  if (bit == 63) return static_cast<unsigned>(at[0] >> 62 | (at[1] & 1) << 2);
  return static_cast<unsigned>(at[0] >> (bit - 1) & 7);
}

}  // namespace

void Skeletonize(const Plane& mask, const Plane& out) {
  RequireDType("skeletonize", "the mask", mask, DType::kU8);
  RequireDType("skeletonize", "the result", out, DType::kU8);
  RequireShape("skeletonize", "the result", out, mask.height, mask.width);
  static const std::array<uint8_t, 256> rules = Rules();
  thread_local Bits bits;
  thread_local std::vector<uint64_t> removed;
  // Per row, the pass after which it was last changed; a row is looked at again only when it or one
  // beside it has changed since the pass of the same kind before.
  thread_local std::vector<int64_t> changed;
  const int64_t height = mask.height, words = (mask.width + 63) / 64;
  bits.Clear(height, mask.width);
  for (int64_t y = 0; y < height; ++y) {
    Kernels().threshold_bits[static_cast<int>(DType::kU8)](mask.row<std::byte>(y), 0, bits.row(y),
                                                           mask.width);
  }
  changed.assign(static_cast<size_t>(height + 2), 0);  // of row y at y + 1
  removed.resize(static_cast<size_t>(2 * words));
  bool any[2] = {true, true};
  for (int64_t pass = 1; any[0] || any[1]; ++pass) {
    const unsigned which = pass % 2 == 1 ? 1 : 2;
    bool& found = any[pass % 2];
    found = false;
    // What a row loses is taken off when the next one, which still looks at it, is done.
    bool waiting = false;
    const auto take = [&](int64_t y) {
      if (!waiting) return;
      const uint64_t* const lost = removed.data() + y % 2 * words;
      uint64_t* const row = bits.row(y);
      for (int64_t w = 0; w < words; ++w) row[w] &= ~lost[w];
      changed[static_cast<size_t>(y + 1)] = pass;
      found = true;
    };
    for (int64_t y = 0; y < height; ++y) {
      bool here = false;
      const int64_t* const near = changed.data() + y;
      // A change in pass p shows from pass p + 1 on (in this pass, rows above were left alone until
      // now); both kinds of pass must have seen it.
      if (near[0] >= pass - 2 || near[1] >= pass - 2 || near[2] >= pass - 2) {
        uint64_t* const lost = removed.data() + y % 2 * words;
        const uint64_t *const above = bits.row(y - 1), *const row = bits.row(y),
                              *const below = bits.row(y + 1);
        for (int64_t w = 0; w < words; ++w) {
          lost[w] = 0;
          if (row[w] == 0) continue;
          const uint64_t left = row[w] << 1 | row[w - 1] >> 63,
                         right = row[w] >> 1 | row[w + 1] << 63;
          for (uint64_t edge = row[w] & ~(above[w] & below[w] & left & right); edge != 0;
               edge &= edge - 1) {
            const int bit = std::countr_zero(edge);
            const unsigned a = Three(above + w, bit), b = Three(row + w, bit),
                           c = Three(below + w, bit);
            const unsigned around =
                a | b >> 2 << 3 | (c & 4) << 2 | (c & 2) << 4 | (c & 1) << 6 | (b & 1) << 7;
            if ((rules[around] & which) != 0) lost[w] |= uint64_t{1} << bit;
          }
          here |= lost[w] != 0;
        }
      }
      if (y > 0) take(y - 1);
      waiting = here;
    }
    if (height > 0) take(height - 1);
  }
  for (int64_t y = 0; y < height; ++y) {
    uint8_t* const to = out.row<uint8_t>(y);
    const uint64_t* const from = bits.row(y);
    for (int64_t w = 0; w < words; ++w) {
      const int64_t count = std::min<int64_t>(64, mask.width - 64 * w);
      const uint64_t word = from[w];
      for (int64_t i = 0; i < count; ++i) to[64 * w + i] = static_cast<uint8_t>(word >> i & 1);
    }
  }
}

}  // namespace tilecast

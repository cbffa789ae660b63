// SPDX-License-Identifier: MIT
// Kernels of the median filter.
#pragma once

#include <cstdint>

#include "ops/kernels/windows.h"

namespace tilecast {

// One tile of a median filter by column histograms of 8-bit codes (Perreault and Hebert, IEEE TIP
// 16(9), 2007). Codes are ordered as the pixels; a code may stand for several values, whose pixels
// are then listed in order.
struct MedianTile {
  const uint8_t* codes;   // (rows + 2 radius) x (columns + 2 radius)
  int64_t stride;         // of codes
  int64_t rows, columns;  // of the result
  int64_t radius;         // 1..127
  const int32_t* first;   // of each code's list: an index into x and y; -1: no list
  const uint32_t* value;  // of each code without a list
  // Positions in `codes` of the listed pixels, in the pixels' order; 64 more may be read at the
  // end.
  const uint16_t *x, *y;
  uint32_t* out;  // rows x columns: the value of the median's code, or y << 16 | x of the
                  // median where its code has a list
  void* scratch;  // (columns + 2 radius) * 17 * 16 bytes, 64-aligned
};

struct MedianKernels {
  // out row y = median of rows[y .. y + 2 reach] at x .. x + 2 reach, x < n, reach 1 or 2; n may be
  // anything, rows must be readable for a vector after their end. `out` overlaps no row.
  void (*median3[kKeyKinds])(const void* const* rows, int64_t count, void* out, int64_t stride,
                             int64_t n);
  void (*median5[kKeyKinds])(const void* const* rows, int64_t count, void* out, int64_t stride,
                             int64_t n);
  void (*tile)(const MedianTile* tile);
};

}  // namespace tilecast

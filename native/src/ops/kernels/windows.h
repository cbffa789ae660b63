// SPDX-License-Identifier: MIT
// Kernels over windows of pixels: extremes and sums of rectangles and disks, medians.
//
// They work on keys: uint8 and uint16 pixels themselves, and int32 numbers that sort as the pixels
// of every other dtype do (to_key). Arrays are indexed by KeyKind, or by it and Extreme.
#pragma once

#include <cstdint>

namespace tilecast {

enum KeyKind { kKeyU8, kKeyU16, kKeyI32, kKeyKinds };
enum Extreme { kLeast, kGreatest, kExtremes };

struct WindowKernels {
  // int32 keys of a row and back. float32: -NaN < -inf < ... < -0 < +0 < ... < inf < NaN, where
  // every NaN becomes the quiet one at the top. uint32, int32: exact. Null for other dtypes.
  void (*to_key[8])(const void* in, int32_t* out, int64_t n);
  void (*from_key[8])(const int32_t* in, void* out, int64_t n);

  // out row y = extreme of rows[y .. y + window), column by column, y < count (van Herk; Gil and
  // Werman: three comparisons a pixel whatever the window). rows has count + window - 1 pointers,
  // null ones don't take part. `out` overlaps no row. scratch: window * kWindowScratch bytes.
  void (*columns[kKeyKinds][kExtremes])(const void* const* rows, int64_t count, int64_t window,
                                        void* out, int64_t stride, int64_t n, void* scratch);
  // line[x] = extreme of line[x .. x + window), x < n, by doubling. line has n + window - 1 pixels
  // and kLineSlack bytes after them, which are overwritten.
  void (*line[kKeyKinds][kExtremes])(void* line, int64_t n, int64_t window);
  // One doubling of it: line[x] = extreme of line[x] and line[x + step], x < n.
  void (*step[kKeyKinds][kExtremes])(void* line, int64_t n, int64_t step);
  // out[x] = extreme of a[x] and b[x]; out may be either.
  void (*pair[kKeyKinds][kExtremes])(const void* a, const void* b, void* out, int64_t n);
  // out[x] = extreme of rows[i][x], i < count, count >= 1.
  void (*fold[kKeyKinds][kExtremes])(const void* const* rows, int64_t count, void* out, int64_t n);
  // out = a - b, modulo the dtype's range for integers. out may be either.
  void (*difference[8])(const void* a, const void* b, void* out, int64_t n);

  // The same windows summed: rows of uint8 (first) or uint16 into uint32, float32 into float64.
  // No pointer is null. `columns_sum` by KeyKind, kKeyI32 standing for float32.
  void (*columns_sum[kKeyKinds])(const void* const* rows, int64_t count, int64_t window, void* out,
                                 int64_t stride, int64_t n, void* scratch);
  // out(float32)[x] = (sum of line[x .. x + window)) / divisor in float64, x < n; line of uint32 or
  // float64, overwritten as in `line`; sums: n elements and slack like it.
  void (*line_mean_u32)(void* line, void* sums, int64_t n, int64_t window, double divisor,
                        float* out);
  void (*line_mean_f64)(void* line, void* sums, int64_t n, int64_t window, double divisor,
                        float* out);
};

inline constexpr int64_t kWindowScratch = 256;  // four vectors of 64 bytes
inline constexpr int64_t kLineSlack = 256;

}  // namespace tilecast

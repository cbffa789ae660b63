// SPDX-License-Identifier: MIT
// Kernels of weighted neighbourhoods: rolling ball, bilateral filter, filters of any taps.
#pragma once

#include <cstdint>

namespace tilecast {

enum BallKind { kBallU8, kBallU16, kBallF32, kBallKinds };

// Bytes that `fold`, `ball` and `bilateral` may read and write past the pixels that they are asked
// for: they work on whole vectors.
inline constexpr int64_t kNeighbourSlack = 64;

struct NeighbourKernels {
  // out[x] = lesser of a[x] and b[x], x < n rounded up to vectors. Returns the least of the n.
  double (*fold[kBallKinds])(const void* a, const void* b, void* out, int64_t n);
  // acc[x] = least of itself and of min(line[x - i], line[x + i]) + height[i], i < count, with
  // integers held at their greatest, x < n rounded up to vectors. Returns the greatest of the n.
  double (*ball[kBallKinds])(const void* line, const void* height, int64_t count, void* acc,
                             int64_t n);

  // out[x] = c + (sum of w d) / (1 + sum of w), c = centre[x], d = centre[x + offset[i]] - c,
  // w = 2^-(d^2 scale + cost[i]), or 0 where that exponent is 126 and above. No fused operations:
  // equal on every CPU.
  void (*bilateral)(const float* centre, const int64_t* offset, const float* cost, int64_t count,
                    float scale, float* out, int64_t n);

  // out[x] = sum of weight[i] * rows[i][x], i < count, in that order; no fused operations.
  void (*blend_rows)(const float* const* rows, const float* weight, int64_t count, float* out,
                     int64_t n);
  // out[x] = sum of weight[i] * rows[i][x], and of weight[i] * in[x + i], i < count, in that order;
  // no fused operations.
  void (*weigh_rows)(const double* const* rows, const double* weight, int64_t count, double* out,
                     int64_t n);
  void (*weigh_line)(const double* in, const double* weight, int64_t count, double* out, int64_t n);
};

}  // namespace tilecast

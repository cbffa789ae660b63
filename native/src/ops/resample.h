// SPDX-License-Identifier: MIT
// Halving for multiscale pyramids, block means and thumbnails.
#pragma once

#include "image.h"

namespace tilecast {

// Size of the next pyramid level: ceil(n / 2).
constexpr int64_t HalfSize(int64_t n) {
  return (n + 1) / 2;
}

// out[y, x] = mean of the up to 4 pixels in[2y..2y+1, 2x..2x+1] that exist; same dtype. Integers
// round half to even (tensorstore's "downsample" driver, method mean); floats average in their own
// dtype, ((a + b) + (c + d)) / 4, a from the upper left.
void HalveMean(const Plane& in, const Plane& out);
// out[y, x] = in[2y, 2x]; same dtype: for labels (tensorstore's method stride).
void HalveStride(const Plane& in, const Plane& out);
// out(float32)[by, bx] = mean over the block [by*f, (by+1)*f) x [bx*f, (bx+1)*f) clipped to the
// image, summed in float64; out is ceil(n / f).
void BlockMean(const Plane& in, int64_t factor, const Plane& out);
// out(float32): bilinear enlargement of `in` (float32, ceil(n / f)) by `factor` to out's size:
// out(y) samples in at (y + 0.5) / f - 0.5 with edge clamping (scipy.ndimage.map_coordinates
// order=1 mode="nearest" at those coordinates).
void EnlargeBilinear(const Plane& in, int64_t factor, const Plane& out);

}  // namespace tilecast

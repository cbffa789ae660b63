// SPDX-License-Identifier: MIT
// Shifts by any number of pixels.
#pragma once

#include "image.h"

namespace tilecast {

enum class Spline : uint8_t { kLinear, kCubic };
enum class Outside : uint8_t {
  kEdge,  // the nearest pixel of the image
  kZero,  // 0 wherever the source position lies outside the pixel centres
};

inline constexpr double kMaxShift = 65536;

// How far around a pixel a shift by (y, x) px looks.
int64_t TranslateHalo(Spline spline, double y, double x);

// out(dtype of in)[i, j] = in at (i - y, j - x), between pixels by a spline through them:
// scipy.ndimage.shift(float64(in), (y, x), order=1 or 3, mode="nearest" (kEdge) or "constant"
// (kZero)), rounded half to even and held within an integer dtype's range.
//
// The cubic spline is one filter of 42 taps a direction: a pixel's influence falls by 0.268 a
// pixel, and is cut at 20 px, where it is 3e-12 of the whole (scipy filters recursively, and cuts
// an edge's at 12 px: within 2e-7 of the greatest pixel at the image's edge, 1e-10 elsewhere). In
// float64, equal on every CPU, and the same for any part of an image. NaN and infinities spread as
// far as the filter. Shifts of whole pixels are exact. y, x: up to kMaxShift px either way
// (kInvalidArgument). in and out must not overlap. Scratch: 43 rows of float64 a thread.
void Translate(const Plane& in, double y, double x, Spline spline, Outside outside,
               const Plane& out);

}  // namespace tilecast

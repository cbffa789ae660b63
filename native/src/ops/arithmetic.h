// SPDX-License-Identifier: MIT
// Point operations: flat-field, background subtraction, rescale and convert, threshold.
#pragma once

#include "image.h"

namespace tilecast {

// out(float32) = (float32(in) - background) / field, evaluated in float32 in that order (one
// rounding each), as numpy does. `field` is float32 of the same shape. in: any dtype. A zero in the
// field gives an infinity or NaN, as in numpy. In this file out may be the very plane `in` when
// their dtypes are equal (FlatField: or `field`), except for Threshold; otherwise they must not
// overlap.
void FlatField(const Plane& in, const Plane& field, float background, const Plane& out);

// out(float32) = float32(in) - value.
void SubtractConstant(const Plane& in, float value, const Plane& out);

// The q-th percentile (0..100) of all pixels, numpy.percentile's default "linear" method: exact
// order statistics, interpolated in float64 (numpy interpolates a float32 image in float32: pass it
// float64 for the same bits). Infinite pixels are ordinary values; where the wanted rank falls on
// one, the result is that pixel (numpy gives NaN). NaN pixels, no pixels, or q outside 0..100:
// kInvalidArgument. 8/16-bit images are counted by value, others selected through a coarse
// histogram. Scratch is internal, per thread.
double Percentile(const Plane& in, double q);

// Where among sorted pixels a percentile lies (numpy/lib/_function_base_impl.py: position,
// neighbours and _lerp in float64).
struct PercentileRank {
  PercentileRank(double q, int64_t pixels);
  // From the pixel of rank `below` and the one behind it.
  double Between(double low, double high) const;

  int64_t below = 0;
  double fraction = 0;
};

// out = round-half-even(in * scale + offset), computed in float64 (product and sum round
// separately), clamped to out's range when out is an integer dtype; NaN -> 0 there. A float32 out
// is the float64 result rounded once. Any dtype to any dtype; scale 1, offset 0 is a plain
// saturating convert.
void Rescale(const Plane& in, double scale, double offset, const Plane& out);

// out(uint8) = in > value ? 1 : 0, compared in float64 for integers, in the plane's own precision
// for floats (value is rounded to it first, as numpy 2 does with a Python float). NaN, in the image
// or as value, -> 0.
void Threshold(const Plane& in, double value, const Plane& out);

}  // namespace tilecast

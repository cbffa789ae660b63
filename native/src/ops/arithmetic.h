// SPDX-License-Identifier: MIT
// Point operations: flat-field, background subtraction, rescale and convert, threshold.
#pragma once

#include "image.h"

namespace tilecast {

// out(float32) = (float32(in) - background) / field, evaluated in float32 in that order (one rounding each), as numpy does.
// `field` is float32 of the same shape. in: any dtype.
void FlatField(const Plane& in, const Plane& field, float background, const Plane& out);

// out(float32) = float32(in) - value.
void SubtractConstant(const Plane& in, float value, const Plane& out);

// The q-th percentile (0..100) of all pixels, numpy.percentile's default "linear" method: exact order statistics, interpolated in float64.
// NaN pixels are an error (kInvalidArgument). Scratch is internal, per thread.
double Percentile(const Plane& in, double q);

// out = round-half-even(in * scale + offset), computed in float64, clamped to out's range when out is an integer dtype; NaN -> 0 there.
// Any dtype to any dtype; scale 1, offset 0 is a plain saturating convert.
void Rescale(const Plane& in, double scale, double offset, const Plane& out);

// out(uint8) = in > value ? 1 : 0, compared in float64 for integers, in the plane's own precision for floats. NaN -> 0.
void Threshold(const Plane& in, double value, const Plane& out);

}  // namespace tilecast

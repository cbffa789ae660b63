// SPDX-License-Identifier: MIT
// Range, histogram and Otsu's threshold.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>
#include <vector>

#include "image.h"
#include "ops/gaussian.h"

namespace tilecast {

// Throws kInvalidArgument on NaN (floats) or an empty plane.
MinMax Range(const Plane& in);

// Otsu's threshold (IEEE SMC 9(1), 1979), bit for bit as skimage.filters.threshold_otsu(image,
// nbins=256) of scikit-image 0.26 computes it. Pixels above it are foreground.
//
// float32, float64: 256 equal bins over min..max by numpy.histogram's rule (edges numpy.linspace in
// the image's dtype, half-open bins, the last one closed), counts in float32, sums and means in the
// image's dtype, first best bin; the result is its centre.
//
// 8/16-bit integers: one bin per integer over min..max, sums in float64; the result is an integer.
// 32-bit integers: kOpDtype (convert first). A constant image gives its value.
//
// `range` saves a pass when the caller knows it (Gaussian returns it); integers don't need it.
// Pixels outside a given range are dropped.
//
// kInvalidArgument, where scikit-image raises ValueError or returns nonsense: no pixels, NaN or
// infinite pixels, a range beyond the dtype's greatest value, or a range of so few ulp that 256
// bins can't be told apart (an image that is constant but for rounding).
double Otsu(const Plane& in, std::optional<MinMax> range = std::nullopt);

// The histogram behind Otsu and the thresholds of thresholds.h
// (skimage.exposure.histogram(image, 256, source_range="image")): counts as float32, and the level
// that each stands for. Floats: 256 bins and their centres; 8/16-bit integers: every value from the
// least to the greatest. A constant image has one level. Errors as Otsu's, named by `op`.
void CountLevels(std::string_view op, const Plane& in, std::vector<float>& counts,
                 std::vector<double>& levels);

// kOpDtype for a dtype whose levels are not counted: 32-bit integers.
void RequireCountable(std::string_view op, DType dtype);

// Otsu's threshold of an image of that dtype whose CountLevels these are.
double OtsuOfLevels(DType dtype, const std::vector<float>& counts,
                    const std::vector<double>& levels);

}  // namespace tilecast

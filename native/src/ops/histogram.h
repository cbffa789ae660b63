// SPDX-License-Identifier: MIT
// Range, histogram and Otsu's threshold.
#pragma once

#include <cstdint>
#include <optional>

#include "image.h"
#include "ops/gaussian.h"

namespace tilecast {

// Throws kInvalidArgument on NaN (floats) or an empty plane.
MinMax Range(const Plane& in);

// Otsu's threshold (IEEE SMC 9(1), 1979) exactly as skimage.filters.threshold_otsu(image, nbins=256) of scikit-image 0.26 computes it:
// float32/float64: 256 equal bins over min..max by numpy.histogram's rule (edges numpy.linspace in the image's dtype, half-open bins, the
//   last one closed), counts and sums in float32 like scikit-image, first best bin, result = its centre.
// 8/16-bit integers: one bin per integer value over min..max (nbins ignored), bin = the integer.
// 32-bit integers: kOpDtype (convert first). A constant image gives that value.
// `range` saves a pass when the caller knows it.
double Otsu(const Plane& in, std::optional<MinMax> range = std::nullopt);

}  // namespace tilecast

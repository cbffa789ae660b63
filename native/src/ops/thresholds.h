// SPDX-License-Identifier: MIT
// Thresholds of an image other than Otsu's (histogram.h), and thresholds of each pixel's
// surroundings.
#pragma once

#include <vector>

#include "image.h"

namespace tilecast {

// Pixels above the result are foreground. 8/16-bit integers by their values, floats by 256 bins
// (triangle, Yen) or by their pixels (Li); 32-bit integers: kOpDtype. No pixels, NaN or infinities:
// kInvalidArgument. A constant image gives its value.

// The histogram's point furthest from the line between its peak and its longer tail's end (Zack,
// Rogers, Latt, J. Histochem. Cytochem. 25(7), 1977): skimage.filters.threshold_triangle(image,
// nbins=256).
double TriangleThreshold(const Plane& in);

// Greatest correlation of the two classes (Yen, Chang, Chang, IEEE TIP 4(3), 1995):
// skimage.filters.threshold_yen(image, nbins=256), with its float32 sums.
double YenThreshold(const Plane& in);

// Least cross-entropy, by iteration from the mean (Li, Tam, Pattern Recognition Letters 19(8),
// 1998): skimage.filters.threshold_li(image), but that floats are summed in float64 and iterated
// until no pixel changes sides (scikit-image stops at half of the least difference of two pixels,
// which moves the result by less than that).
double LiThreshold(const Plane& in);

// The same of an image whose CountLevels these are (histogram.h). TriangleOfLevels may reverse the
// counts; LiOfLevels is for integers.
double TriangleOfLevels(std::vector<float>& counts, const std::vector<double>& levels);
double YenOfLevels(const std::vector<float>& counts, const std::vector<double>& levels);
double LiOfLevels(const std::vector<float>& counts, const std::vector<double>& levels);

enum class Surroundings : uint8_t { kMean, kGaussian };

// out(uint8) = float32(in) > float32(local - offset) ? 1 : 0, local the BoxMean of block x block px
// or the Gaussian of sigma (block - 1) / 6: skimage.filters.threshold_local(image, block, method,
// offset), mode "reflect". block: odd, 1 or more (kInvalidArgument). NaN gives 0. in: any dtype.
// Scratch: a plane of float32, or two for other dtypes, is kept per thread.
void AdaptiveThreshold(const Plane& in, Surroundings method, int64_t block, double offset,
                       const Plane& out);

}  // namespace tilecast

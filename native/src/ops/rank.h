// SPDX-License-Identifier: MIT
// Median and mean over square windows.
#pragma once

#include "image.h"

namespace tilecast {

inline constexpr int64_t kMaxMedianRadius = 127;

// out(dtype of in) = median of the (2 radius + 1)^2 pixels around each: scipy.ndimage.median_filter
// with size = 2 radius + 1 and mode "reflect" (d c b a | a b c d | d c b a). Exact, equal on every
// CPU. in: any dtype but float64 (kOpDtype); they must not overlap. 0 <= radius <= 127
// (kInvalidArgument). float32 orders as numpy.sort does, NaN above infinity; every NaN comes out as
// the quiet one.
//
// 3 x 3 and 5 x 5: sorting networks. Larger: column histograms (Perreault and Hebert, IEEE TIP
// 16(9), 2007) of 8-bit codes. Pixels of more than 8 bits get codes tile by tile, of about equally
// many pixels each; a code's pixels are listed in order, and the median is the one of its rank that
// lies in the window. Cost per pixel hardly depends on the radius. Scratch is kept per thread:
// about 10 MB at radius 127, 1 MB at 10; for other dtypes than uint8, uint16 and int32 another
// plane of int32.
void Median(const Plane& in, int64_t radius, const Plane& out);

// out(float32) = mean of the height x width pixels around each: scipy.ndimage.uniform_filter(
// float64(in), (height, width), mode="reflect"), rounded once; windows of even size reach one pixel
// further to the top and left. Integers are summed exactly (uint8 and uint16; others go through
// float32), float32 in float64 in a fixed order: equal on every CPU. NaN and infinities stay within
// their windows, which scipy's running sums don't grant. Sides of 1..65535 px (kInvalidArgument).
void BoxMean(const Plane& in, int64_t height, int64_t width, const Plane& out);

}  // namespace tilecast

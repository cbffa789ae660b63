// SPDX-License-Identifier: MIT
// How the intensities of labelled objects are spread: standard deviation and quartiles.
#pragma once

#include <vector>

#include "image.h"
#include "ops/label.h"

namespace tilecast {

// deviation: population standard deviation in float64 (numpy.std of the pixels as float64).
// Quartiles: numpy.percentile's linear interpolation. An object with a NaN pixel has NaN
// throughout, as has a label that owns no pixel.
struct SpreadRow {
  double deviation, lower_quartile, median, upper_quartile;
};

// One row per label; `image` has the objects' shape (kOpShape), any dtype. Cost: a copy of the
// objects' pixels and a selection in each.
void MeasureSpread(const Objects& objects, const Plane& image, std::vector<SpreadRow>& rows);

}  // namespace tilecast

// SPDX-License-Identifier: MIT
// Ranges and percentiles of the pixels of several planes together.
#pragma once

#include <span>

#include "image.h"
#include "ops/gaussian.h"

namespace tilecast {

// The percentiles `low` and `high` (0..100) of all pixels of the planes: numpy.percentile of the
// stack as float64, exact order statistics, interpolated in float64; 0 and 100 are the least and
// the greatest. Planes of one dtype (kOpDtype), at least one. NaN, no pixels, or percentiles out of
// range: kInvalidArgument. Pixels are read where they are, 16 bits of their order at a time:
// nothing is copied. Cost: four passes for 8 and 16 bits, eight for 32; for 0 and 100 one.
MinMax StackPercentiles(std::span<const Plane> planes, double low, double high);

}  // namespace tilecast

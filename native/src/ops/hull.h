// SPDX-License-Identifier: MIT
// Convex hulls of objects, as pixel counts.
#pragma once

#include <cstdint>
#include <span>

#include "ops/label.h"

namespace tilecast {

// Pixels whose centres lie in or on the convex hull of the middles of all sides of the object's
// pixels: skimage.measure.regionprops' area_convex, in exact integers. `runs`: indices into
// objects.runs, one at least. Cost: the object's runs and the rows of its box.
int64_t ConvexArea(const Objects& objects, std::span<const int32_t> runs);

}  // namespace tilecast

// SPDX-License-Identifier: MIT
// Passes that recipes of segmentation share with each other.
#pragma once

#include "gpu/recipe.h"

namespace tilecast::gpu {

// kernels/float_range.wgsl: the buffer of its four words.
int EncodeFloatRange(RecipeBuilder& recipe, const GpuPlane& in, bool result);

}  // namespace tilecast::gpu

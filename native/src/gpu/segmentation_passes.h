// SPDX-License-Identifier: MIT
// Passes and texts that recipes of segmentation share with each other.
#pragma once

#include <string>

#include "gpu/recipe.h"

namespace tilecast::gpu {

// kernels/above.wgsl for pixels of `in`.
std::string AboveText(const GpuPlane& in);

// kernels/float_range.wgsl: the buffer of its four words.
int EncodeFloatRange(RecipeBuilder& recipe, const GpuPlane& in, bool result);

}  // namespace tilecast::gpu

// SPDX-License-Identifier: MIT
// Grey and binary morphology as passes over keys that order as the pixels do.
#pragma once

#include "gpu/recipe.h"
#include "ops/morphology.h"

namespace tilecast::gpu {

// The least (or greatest) pixel under the footprint (mirrored for the greatest), as a uint32 plane
// of keys (kernels/order_key.wgsl). A plane of keys is its own key, so that results can go on.
GpuPlane EncodeExtreme(RecipeBuilder& recipe, const GpuPlane& in, const Footprint& footprint,
                       bool least);

// Morph of ops/morphology.h, to the bit.
void EncodeMorph(RecipeBuilder& recipe, Morphology op, const Footprint& footprint,
                 const GpuPlane& in, const GpuPlane& out);

// What kernels/order_key.wgsl is told of the pixels, which the kernel calls `in`.
std::vector<RecipeBuilder::Replacement> OrderKeyTexts(DType dtype);

}  // namespace tilecast::gpu

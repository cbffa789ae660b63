// SPDX-License-Identifier: MIT
// What a GPU learns of a whole plane before it works on its pixels: range, percentiles, shares.
#pragma once

#include <span>
#include <vector>

#include "gpu/gpu_rows.h"
#include "gpu/recipe.h"

namespace tilecast::gpu {

// The least and the greatest pixel, as two words of a buffer: the complement of the least one's key
// and the greatest one's key. A key is a uint32 that sorts as the pixels do. NaN raises the doubt.
int EncodeRange(RecipeBuilder& recipe, const GpuPlane& in);

// Keys of the pixels of four ranks, as the first four words of a buffer. NaN raises the doubt.
// Radix selection: the plane is read once for each byte of a pixel.
int EncodeSelection(RecipeBuilder& recipe, const GpuPlane& in, std::span<const int64_t, 4> ranks);

// Rows of the ops that need them: normalize, subtractBackground, equalize.
std::vector<GpuRow> GpuLevelRows();

}  // namespace tilecast::gpu

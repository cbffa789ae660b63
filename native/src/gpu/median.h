// SPDX-License-Identifier: MIT
// The median of square windows on a GPU: ops/rank.h, Median, to the bit.
#pragma once

#include <cstdint>

#include "gpu/recipe.h"

namespace tilecast::gpu {

// The windows' cost grows with the square of the radius here, and hardly at all on the CPU.
inline constexpr int64_t kMaxGpuMedianRadius = 10;

void EncodeMedian(RecipeBuilder& recipe, const GpuPlane& in, int64_t radius, const GpuPlane& out);

}  // namespace tilecast::gpu

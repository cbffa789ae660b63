// SPDX-License-Identifier: MIT
// Recipes of ops/distance.h: distances, growth and choice of labels, peaks. All to the CPU's bit.
#pragma once

#include <cstdint>

#include "gpu/recipe.h"
#include "ops/label.h"

namespace tilecast::gpu {

// DistanceTransform.
void EncodeDistance(RecipeBuilder& recipe, const GpuPlane& mask, const GpuPlane& out);

// ExpandLabels.
void EncodeExpandLabels(RecipeBuilder& recipe, const GpuPlane& labels, double distance,
                        const GpuPlane& out);

// FilterLabels; doubt where a label is greater than the plane has pixels.
void EncodeFilterLabels(RecipeBuilder& recipe, const GpuPlane& labels, const LabelOptions& options,
                        const GpuPlane& out);

// Peaks of FindPeaks as labels of one pixel, numbered in raster order; doubt where two of the same
// height are nearer than `distance`, of which the CPU keeps one after the other.
void EncodePeaks(RecipeBuilder& recipe, const GpuPlane& in, int64_t distance, double threshold,
                 int64_t border, const GpuPlane& out);

}  // namespace tilecast::gpu

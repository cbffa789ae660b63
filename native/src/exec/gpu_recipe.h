// SPDX-License-Identifier: MIT
// A segment of a program as a recipe for the GPU, and what the answer means.
#pragma once

#include <cstddef>
#include <functional>
#include <memory>
#include <vector>

#include "exec/gpu_segments.h"
#include "gpu/recipe.h"
#include "gpu/segmentation.h"

namespace tilecast {

struct SegmentRecipe {
  struct Measure {
    int instruction = 0;  // of the plan's program
    gpu::GpuMeasurements what;
    std::vector<size_t> results;  // where its bytes are among the request's results
  };

  std::shared_ptr<const gpu::Recipe> recipe;
  // Results whose second word is not 0 where the processor has to find the threshold.
  std::vector<size_t> thresholds;
  std::vector<Measure> measures;
};

// The image of a resource (an illumination), as the buffer of which all recipes share one copy.
struct FieldData {
  std::shared_ptr<const std::vector<std::byte>> data;
  int64_t height = 0, width = 0;
};

// Objects of a plane that the GPU measures at most; a plane with more is the processor's. One in
// 256 pixels is ten times the density of a crowded field, and its rows are a fraction of the plane.
int64_t MeasureCapacity(int64_t height, int64_t width);

SegmentRecipe BuildRecipe(const GpuPlan& plan, const GpuSegment& segment,
                          const std::function<FieldData(int resource)>& field);

}  // namespace tilecast

// SPDX-License-Identifier: MIT
// GPU rows of the filters.
#include "gpu/gpu_rows.h"

namespace tilecast::gpu {

std::vector<GpuRow> GpuFilterRows() {
  return {
      {.name = "sobel",
       .encode =
           [](const GpuOpCall& c) {
             c.recipe.Map("sobel", c.out, {RecipeBuilder::Read("in0", c.in)},
                          {RecipeBuilder::U32("height", c.in.height),
                           RecipeBuilder::U32("width", c.in.width)});
           }},
  };
}

}  // namespace tilecast::gpu

// SPDX-License-Identifier: MIT
// GPU rows of the intensity ops.
#include "gpu/gpu_rows.h"

namespace tilecast::gpu {

std::vector<GpuRow> GpuIntensityRows() {
  return {
      {.name = "anscombe",
       .point = [](DType, const OpArguments&,
                   bool) { return PointCode{"2 * sqrt(max(f32(v), 0) + 0.375)", {}}; }},
  };
}

}  // namespace tilecast::gpu

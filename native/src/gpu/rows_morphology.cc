// SPDX-License-Identifier: MIT
// GPU rows of the morphology.
#include "gpu/gpu_rows.h"

namespace tilecast::gpu {

std::vector<GpuRow> GpuMorphologyRows() {
  return {};
}

}  // namespace tilecast::gpu

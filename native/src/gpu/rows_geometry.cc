// SPDX-License-Identifier: MIT
// GPU rows of the geometry.
#include "gpu/gpu_rows.h"

namespace tilecast::gpu {

std::vector<GpuRow> GpuGeometryRows() {
  return {};
}

}  // namespace tilecast::gpu

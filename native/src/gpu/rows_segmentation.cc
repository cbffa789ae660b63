// SPDX-License-Identifier: MIT
// GPU rows of the segmentation.
#include "gpu/gpu_rows.h"

namespace tilecast::gpu {

std::vector<GpuRow> GpuSegmentationRows() {
  return {};
}

}  // namespace tilecast::gpu

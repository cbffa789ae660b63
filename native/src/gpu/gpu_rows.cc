// SPDX-License-Identifier: MIT
// Looking up what a GPU can apply.
#include "gpu/gpu_rows.h"

namespace tilecast::gpu {

const GpuRow* FindGpuRow(std::string_view name) {
  static const std::vector<GpuRow> rows = [] {
    std::vector<GpuRow> all;
    for (auto family : {GpuIntensityRows, GpuFilterRows, GpuMorphologyRows, GpuSegmentationRows,
                        GpuGeometryRows}) {
      for (GpuRow& row : family()) all.push_back(std::move(row));
    }
    return all;
  }();
  for (const GpuRow& row : rows) {
    if (row.name == name) return &row;
  }
  return nullptr;
}

}  // namespace tilecast::gpu

// SPDX-License-Identifier: MIT
// Looking up what a GPU can apply.
#include "gpu/gpu_rows.h"

namespace tilecast::gpu {

std::string StoredText(DType out, const std::string& expression) {
  constexpr const char* names[] = {"u8", "i8", "u16", "i16", "u32", "i32"};
  if (out == DType::kF32) return expression;
  return std::string("to_") + names[static_cast<int>(out)] + "(" + expression + ")";
}

std::string FloatText(DType in) {
  return in == DType::kU32 ? "float_u32(v)" : "f32(v)";
}

const GpuRow* FindGpuRow(std::string_view name) {
  static const std::vector<GpuRow> rows = [] {
    std::vector<GpuRow> all;
    for (auto family : {GpuIntensityRows, GpuFilterRows, GpuMorphologyRows, GpuSegmentationRows,
                        GpuGeometryRows}) {
      for (const GpuRow& row : family()) all.push_back(row);
    }
    return all;
  }();
  for (const GpuRow& row : rows) {
    if (row.name == name) return &row;
  }
  return nullptr;
}

}  // namespace tilecast::gpu

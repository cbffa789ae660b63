// SPDX-License-Identifier: MIT
// Recipes of what is no op of the registry: thresholds of a plane, connected components, their
// measurements, projections.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "exec/program.h"
#include "gpu/recipe.h"
#include "ops/label.h"
#include "ops/measure.h"

namespace tilecast::gpu {

// A threshold on the device: one word, the threshold as the bits of a float32 (exact for integer
// images, rounded to float32 for float images as Threshold does), and one that is not 0 where the
// CPU's would throw (NaN or infinite pixels, too few levels): the caller then has the CPU do it.
struct GpuThreshold {
  int words = -1;
};
std::optional<std::string> RefusesThreshold(ThresholdMethod method, DType in);
GpuThreshold EncodeThreshold(RecipeBuilder& recipe, ThresholdMethod method, double value,
                             const GpuPlane& in);
// out(uint8) = in > threshold.
void EncodeMask(RecipeBuilder& recipe, const GpuPlane& in, const GpuThreshold& threshold,
                const GpuPlane& out);

// LabelRuns and PaintLabels: `out` int32, numbered as they number. `count`: a word, the objects.
struct GpuLabels {
  GpuPlane labels;
  int count = -1;
};
GpuLabels EncodeLabel(RecipeBuilder& recipe, const GpuPlane& in, const GpuThreshold& threshold,
                      const LabelOptions& options, const GpuPlane& out);

// MeasureShapes and MeasureIntensity over at most `capacity` objects; the bytes of the result
// buffers are read by DecodeMeasurements.
struct GpuMeasurements {
  int64_t capacity = 0;
  ShapeFeatures features;
  std::vector<DType> images;
  std::vector<int> results;  // result buffers, in the order that DecodeMeasurements wants them
};
std::optional<std::string> RefusesMeasure(DType labels, std::span<const DType> images,
                                          PlaneShape shape);
GpuMeasurements EncodeMeasure(RecipeBuilder& recipe, const GpuLabels& labels,
                              const ShapeFeatures& features, std::span<const GpuPlane> images,
                              int64_t capacity);
// false: more objects than the capacity, or a value that the CPU has to see (NaN); nothing is
// written then.
bool DecodeMeasurements(const GpuMeasurements& what,
                        std::span<const std::vector<std::byte>> results,
                        std::vector<ShapeRow>& shapes,
                        std::vector<std::vector<IntensityRow>>& intensities);

std::optional<std::string> RefusesProjection(StackOp op, DType in);
// `a` as Instruction::a (the focus window).
void EncodeProjection(RecipeBuilder& recipe, StackOp op, double a, std::span<const GpuPlane> in,
                      const GpuPlane& out);

}  // namespace tilecast::gpu

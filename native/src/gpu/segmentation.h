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

// A threshold on the device, four words: its float32 bits; one that is not 0 where the CPU has to
// do it (NaN or infinite pixels, ranges that 256 bins of float32 do not divide); the greatest
// integer that is not above it, which is what integer pixels are compared with; 0, or 1 where all
// pixels are above it and 2 where none is.
struct GpuThreshold {
  int words = -1;
  bool computed = false;  // then `words` is a result buffer, and its second word must be looked at
};
// What runs on the device is bit for bit what ops/histogram.h and ops/thresholds.h give (Li: to
// float32), in float64 put together from integers where they use it. Planes above 2^24 px are
// refused, since float32 counts round from there on.
std::optional<std::string> RefusesThreshold(ThresholdMethod method, DType in, PlaneShape shape);
GpuThreshold EncodeThreshold(RecipeBuilder& recipe, ThresholdMethod method, double value,
                             const GpuPlane& in);
// out(uint8) = in > threshold, as Threshold of ops/arithmetic.h compares.
void EncodeMask(RecipeBuilder& recipe, const GpuPlane& in, const GpuThreshold& threshold,
                const GpuPlane& out);

// LabelRuns and PaintLabels: `out` int32, numbered as they number. `count`: a result buffer of one
// word, the objects. Planes of 2^31 px and more are refused.
struct GpuLabels {
  GpuPlane labels;
  int count = -1;
};
std::optional<std::string> RefusesLabel(DType in, PlaneShape shape);
GpuLabels EncodeLabel(RecipeBuilder& recipe, const GpuPlane& in, const GpuThreshold& threshold,
                      const LabelOptions& options, const GpuPlane& out);
// FillHoles: the background's 4-connected components that touch no edge.
void EncodeFillHoles(RecipeBuilder& recipe, const GpuPlane& mask, const GpuPlane& out);

// MeasureShapes and MeasureIntensity over the labels 1..capacity of an int32 plane.
//
// Shapes, and what integer images give, are the CPU's to the bit. float32 images are summed in
// fixed point of FixedBits(pixels) bits below the power of two that exceeds the plane's greatest
// magnitude M: each pixel is rounded by at most 2^-FixedBits M (39 bits, 2e-12 M, for 4
// megapixels), so that a sum is within area * 2^-FixedBits M of the exact one; the CPU's float64
// sum rounds too.
struct GpuMeasurements {
  int64_t capacity = 0;
  int64_t pixels = 0;
  ShapeFeatures features;
  std::vector<DType> images;
  std::vector<int> results;  // result buffers, in the order that DecodeMeasurements wants them
};
std::optional<std::string> RefusesMeasure(DType labels, std::span<const DType> images,
                                          PlaneShape shape);
GpuMeasurements EncodeMeasure(RecipeBuilder& recipe, const GpuPlane& labels,
                              const ShapeFeatures& features, std::span<const GpuPlane> images,
                              int64_t capacity);
// false: more objects than the capacity, or a value that the CPU has to see (NaN, infinite);
// nothing is written then.
bool DecodeMeasurements(const GpuMeasurements& what,
                        std::span<const std::vector<std::byte>> results,
                        std::vector<ShapeRow>& shapes,
                        std::vector<std::vector<IntensityRow>>& intensities);

std::optional<std::string> RefusesProjection(StackOp op, DType in);
// `a` as Instruction::a (the focus window).
void EncodeProjection(RecipeBuilder& recipe, StackOp op, double a, std::span<const GpuPlane> in,
                      const GpuPlane& out);

}  // namespace tilecast::gpu

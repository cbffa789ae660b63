// SPDX-License-Identifier: MIT
// Distances, growth and choice of labels, and peaks, as passes.
#include "gpu/label_ops.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <string>

#include "gpu/morphology.h"
#include "gpu/segmentation.h"

namespace tilecast::gpu {
namespace {

using B = RecipeBuilder;

constexpr int64_t kStrip = 64;  // kernels/seeds.wgsl

// The row of the nearest seed in each pixel's column, as words; all bits set where there is none.
int EncodeNearestRows(B& recipe, const GpuPlane& in, bool zeros) {
  const int64_t strips = (in.height + kStrip - 1) / kStrip;
  const auto bytes = static_cast<uint64_t>(strips * in.width) * 8;
  const int own = recipe.TemporaryBytes(bytes, false);
  const int ends = recipe.TemporaryBytes(bytes, false);
  const int nearest = recipe.TemporaryBytes(static_cast<uint64_t>(in.pixels()) * 4, false);
  const B::Replacement text[] = {{"zeros", zeros ? "true" : "false"}};
  const auto height = B::U32("height", in.height), width = B::U32("width", in.width);
  recipe.Linear("nearest_strips", strips * in.width,
                {B::Read("in", in), B::Words("strips", own, true)}, {height, width}, text);
  recipe.Linear("nearest_spread", in.width,
                {B::Words("strips", own, false), B::Words("ends", ends, true)},
                {B::U32("strips", strips)});
  recipe.Linear(
      "nearest_rows", strips * in.width,
      {B::Read("in", in), B::Words("ends", ends, false), B::Words("nearest", nearest, true)},
      {height, width}, text);
  return nearest;
}

// The greatest float32 that is not above a number: v > number where v > it.
double FloatBelow(double number) {
  const auto rounded = static_cast<float>(number);
  if (static_cast<double>(rounded) <= number) return static_cast<double>(rounded);
  return static_cast<double>(std::nextafter(rounded, -std::numeric_limits<float>::infinity()));
}

}  // namespace

void EncodeDistance(RecipeBuilder& recipe, const GpuPlane& mask, const GpuPlane& out) {
  const int nearest = EncodeNearestRows(recipe, mask, true);
  recipe.Map("distance", out, {B::Read("in", mask), B::Words("nearest", nearest, false)},
             {B::U32("width", mask.width), B::U32("infinity", 0x7f800000)});
}

void EncodeExpandLabels(RecipeBuilder& recipe, const GpuPlane& labels, double distance,
                        const GpuPlane& out) {
  const int nearest = EncodeNearestRows(recipe, labels, false);
  recipe.Map("expand_labels", out, {B::Read("in", labels), B::Words("nearest", nearest, false)},
             {B::U32("width", labels.width), B::U32("reach", static_cast<int64_t>(distance)),
              B::U32("most", static_cast<int64_t>(distance * distance))});
}

void EncodeFilterLabels(RecipeBuilder& recipe, const GpuPlane& labels, const LabelOptions& options,
                        const GpuPlane& out) {
  const int areas = recipe.TemporaryBytes(static_cast<uint64_t>(labels.pixels()) * 4, true);
  const auto most = B::U32("labels", labels.pixels());
  recipe.Linear("areas_by_label", (labels.pixels() + 15) / 16,
                {B::Read("labels", labels), B::Words("areas", areas, true, "array<atomic<u32>>"),
                 B::Words("doubt", recipe.Doubt(), true, "array<atomic<u32>>")},
                {B::U32("height", labels.height), B::U32("width", labels.width), most});
  const auto pixels = [](int64_t n) { return std::clamp<int64_t>(n, 0, 0x7fffffff); };
  recipe.Map(
      "keep_labels", out, {B::Read("labels", labels), B::Words("areas", areas, false)},
      {most, B::U32("min_area", pixels(options.min_area)),
       B::U32("max_area", pixels(options.max_area)), B::U32("clear_border", options.clear_border)});
}

void EncodePeaks(RecipeBuilder& recipe, const GpuPlane& in, int64_t distance, double threshold,
                 int64_t border, const GpuPlane& out) {
  const int64_t side = 2 * distance + 1;
  const GpuPlane greatest = EncodeExtreme(recipe, in, Footprint::Rectangle(side, side), false);
  const int varies = recipe.TemporaryBytes(4, true);
  recipe.Linear("varies", in.pixels(),
                {B::Read("in", in), B::Words("varies", varies, true, "array<atomic<u32>>")});
  const double least = in.dtype == DType::kF32 ? FloatBelow(threshold) : threshold;
  const GpuPlane enough = recipe.Temporary(DType::kU8, in.height, in.width);
  EncodeMask(recipe, in, EncodeThreshold(recipe, ThresholdMethod::kValue, least, in), enough);
  const GpuPlane mask = recipe.Temporary(DType::kU8, in.height, in.width);
  const auto height = B::U32("height", in.height), width = B::U32("width", in.width);
  const std::vector<B::Replacement> text = OrderKeyTexts(in.dtype);
  recipe.Map("peaks_mask", mask,
             {B::Read("in", in), B::Words("greatest", greatest.buffer, false),
              B::Words("varies", varies, false), B::Read("enough", enough)},
             {height, width, B::U32("border", std::min(border, in.height + in.width))}, text);

  const int64_t per_row = (in.width + 31) / 32, words = in.height * per_row;
  const int64_t groups = (words + 255) / 256;
  const auto word_bytes = static_cast<uint64_t>(words) * 4;
  const int roots = recipe.TemporaryBytes(word_bytes, false);
  const int ranks = recipe.TemporaryBytes(word_bytes, false);
  const int sums = recipe.TemporaryBytes(static_cast<uint64_t>(groups) * 4, false);
  recipe.Grid(
      "peaks_rank", WorkgroupsFor(groups),
      {B::Read("mask", mask), B::Words("roots", roots, true), B::Words("ranks", ranks, true),
       B::Words("sums", sums, true), B::Words("doubt", recipe.Doubt(), true)},
      {height, width, B::U32("per_row", per_row), B::U32("words", words),
       B::U32("near", distance - 1)});
  recipe.Grid(
      "label_scan", {1, 1, 1},
      {B::Words("sums", sums, true), B::Words("total", recipe.TemporaryBytes(4, false), true)},
      {B::U32("groups", groups)});
  recipe.Map("peaks_paint", out,
             {B::Read("mask", mask), B::Words("roots", roots, false),
              B::Words("ranks", ranks, false), B::Words("sums", sums, false)},
             {width, B::U32("per_row", per_row)});
}

}  // namespace tilecast::gpu

// SPDX-License-Identifier: MIT
// Thresholds of a plane as passes: counts of its levels, what each level would be worth, the best.
#include <array>
#include <cmath>
#include <cstring>
#include <limits>
#include <string>

#include "gpu/segmentation.h"
#include "gpu/segmentation_passes.h"

namespace tilecast::gpu {
namespace {

using B = RecipeBuilder;

constexpr int64_t kSpan = 16384;  // words a workgroup counts
constexpr int64_t kExactCounts = int64_t{1} << 24;

bool IsSigned(DType d) {
  return d == DType::kI8 || d == DType::kI16 || d == DType::kI32;
}

std::array<uint32_t, 3> Groups(int64_t count) {
  return {static_cast<uint32_t>(count), 1, 1};
}

int64_t Ceil(int64_t n, int64_t per) {
  return (n + per - 1) / per;
}

std::shared_ptr<const std::vector<std::byte>> FixedWords(double value, DType dtype) {
  uint32_t words[4] = {};
  const auto as_float = static_cast<float>(value);
  std::memcpy(&words[0], &as_float, sizeof(float));
  if (IsFloat(dtype)) {
    if (std::isnan(as_float)) words[3] = 2;
  } else {
    const auto bits = static_cast<int>(8 * DTypeSize(dtype));
    const double low = IsSigned(dtype) ? -std::ldexp(1, bits - 1) : 0;
    const double high = std::ldexp(1, IsSigned(dtype) ? bits - 1 : bits) - 1;
    if (!(value < high)) {
      words[3] = 2;
    } else if (value < low) {
      words[3] = 1;
    } else {
      words[2] = static_cast<uint32_t>(static_cast<int64_t>(std::floor(value)));
    }
  }
  auto data = std::make_shared<std::vector<std::byte>>(sizeof(words));
  std::memcpy(data->data(), words, sizeof(words));
  return data;
}

// Buffers that the passes share.
struct Levels {
  int64_t blocks = 1;  // of 256 bins
  int64_t bested = 1;  // workgroups that share the blocks; most images fill few blocks
  uint32_t bias = 0;   // the bin of value 0
  bool floats = false;
  int counts = -1, totals = -1, bests = -1;
  int levels = -1;  // of floats: float_edges.wgsl
};

Levels EncodeCounts(B& recipe, const GpuPlane& in) {
  Levels l;
  l.floats = in.dtype == DType::kF32;
  const bool small = DTypeSize(in.dtype) == 1;
  l.blocks = l.floats || small ? 1 : 256;
  l.bested = l.floats || small ? 1 : 16;
  if (IsSigned(in.dtype)) l.bias = small ? 0x80 : 0x8000;
  l.counts = recipe.TemporaryBytes(static_cast<uint64_t>(l.blocks) * 256 * 4, true);
  l.totals = recipe.TemporaryBytes(static_cast<uint64_t>(l.blocks) * 32 + 32, false);
  l.bests = recipe.TemporaryBytes(static_cast<uint64_t>(l.bested) * 16, false);
  const auto words = static_cast<int64_t>(PlaneBytes(in.dtype, in.height, in.width) / 4);
  const auto groups = Groups(Ceil(words, kSpan));
  if (l.floats) {
    const int range = EncodeFloatRange(recipe, in, false);
    l.levels = recipe.TemporaryBytes(516 * 4, true);
    recipe.Grid("float_edges", {1, 1, 1},
                {B::Words("range", range, false), B::Words("levels", l.levels, true)});
    recipe.Grid("float_counts", groups,
                {B::Words("pixels", in.buffer, false), B::Words("levels", l.levels, false),
                 B::Words("counts", l.counts, true, "array<atomic<u32>>")},
                {B::U32("count", in.pixels())});
  } else {
    const B::Replacement text[] = {{"small", small ? "true" : "false"},
                                   {"flip", std::to_string(l.bias)}};
    recipe.Grid("count_values", groups,
                {B::Words("pixels", in.buffer, false),
                 B::Words("counts", l.counts, true, "array<atomic<u32>>")},
                {B::U32("words", words), B::U32("count", in.pixels())}, text);
  }
  recipe.Grid("level_blocks", Groups(Ceil(l.blocks, 32)),
              {B::Words("counts", l.counts, false), B::Words("blocks", l.totals, true)},
              {B::U32("blocks", l.blocks)});
  recipe.Grid("level_totals", {1, 1, 1}, {B::Words("blocks", l.totals, true)},
              {B::U32("blocks", l.blocks)});
  return l;
}

}  // namespace

int EncodeFloatRange(RecipeBuilder& recipe, const GpuPlane& in, bool result) {
  const int range = result ? recipe.Result(16) : recipe.TemporaryBytes(16, true);
  recipe.Grid(
      "float_range", Groups(Ceil(in.pixels(), kSpan)),
      {B::Words("pixels", in.buffer, false), B::Words("range", range, true, "array<atomic<u32>>")},
      {B::U32("count", in.pixels())});
  return range;
}

std::optional<std::string> RefusesThreshold(ThresholdMethod method, DType in, PlaneShape shape) {
  if (in == DType::kF64) return "a GPU has no float64";
  if (method == ThresholdMethod::kValue) return std::nullopt;
  if (in == DType::kU32 || in == DType::kI32) return "32-bit integers have no counts of levels";
  if (shape.height * shape.width > kExactCounts) {
    return "more than 16777216 pixels: float32 counts are no longer exact";
  }
  if (shape.height * shape.width == 0) return "no pixels";
  if (method == ThresholdMethod::kLi && in == DType::kF32) {
    return "Li's threshold of float pixels passes over the image until it settles";
  }
  return std::nullopt;
}

GpuThreshold EncodeThreshold(RecipeBuilder& recipe, ThresholdMethod method, double value,
                             const GpuPlane& in) {
  if (method == ThresholdMethod::kValue) {
    return {recipe.Constant(FixedWords(value, in.dtype)), false};
  }
  const Levels l = EncodeCounts(recipe, in);
  const GpuThreshold out{recipe.Result(16), true};
  const auto counts = B::Words("counts", l.counts, false);
  const auto totals = B::Words("blocks", l.totals, false);
  const auto bests = B::Words("bests", l.bests, true);
  const auto blocks = B::U32("blocks", l.blocks), bias = B::U32("bias", l.bias);
  switch (method) {
    case ThresholdMethod::kValue:
      break;
    case ThresholdMethod::kOtsu:
      if (l.floats) {
        recipe.Grid("otsu_floats", {1, 1, 1}, {counts, B::Words("levels", l.levels, false), bests});
      } else {
        recipe.Grid("otsu_integers", Groups(l.bested), {counts, totals, bests}, {blocks, bias});
      }
      break;
    case ThresholdMethod::kTriangle:
      recipe.Grid("triangle", Groups(l.bested), {counts, totals, bests}, {blocks});
      break;
    case ThresholdMethod::kYen: {
      const int parts = recipe.TemporaryBytes(static_cast<uint64_t>(l.blocks) * 256 * 8, false);
      const int sums = recipe.TemporaryBytes(static_cast<uint64_t>(l.blocks) * 256 * 12, true);
      recipe.Linear("yen_parts", l.blocks * 256, {counts, totals, B::Words("parts", parts, true)},
                    {blocks});
      recipe.Grid("yen_sums", {1, 1, 1},
                  {B::Words("parts", parts, false, "array<f32>"), totals,
                   B::Words("sums", sums, true, "array<f32>")},
                  {blocks});
      recipe.Grid("yen", Groups(l.bested), {counts, totals, B::Words("sums", sums, false), bests},
                  {blocks});
      break;
    }
    case ThresholdMethod::kLi:
      recipe.Grid("li", {1, 1, 1}, {counts, totals, B::Words("threshold", out.words, true)},
                  {blocks, bias});
      return out;
  }
  const auto read_bests = B::Words("bests", l.bests, false);
  const auto words = B::Words("threshold", out.words, true);
  const auto triangle = B::U32("triangle", method == ThresholdMethod::kTriangle);
  const auto floats = B::U32("floats", l.floats);
  // Integers have no levels but their numbers: the kernel does not look at what stands there.
  const int levels = l.floats ? l.levels : l.counts;
  recipe.Grid("threshold_pick", {1, 1, 1},
              {read_bests, totals, B::Words("levels", levels, false), words},
              {blocks, bias, triangle, floats, B::U32("bests", l.bested)});
  return out;
}

void EncodeMask(RecipeBuilder& recipe, const GpuPlane& in, const GpuThreshold& threshold,
                const GpuPlane& out) {
  const B::Replacement text[] = {{"floats", in.dtype == DType::kF32 ? "true" : "false"}};
  recipe.Map("mask", out, {B::Read("in", in), B::Words("threshold", threshold.words, false)}, {},
             text);
}

}  // namespace tilecast::gpu

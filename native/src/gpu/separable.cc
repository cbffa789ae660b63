// SPDX-License-Identifier: MIT
// Chooses between the tiled kernel and a pass a direction, and prepares their weights.
#include "gpu/separable.h"

#include <algorithm>
#include <cstring>
#include <memory>

#include "ops/gaussian.h"

namespace tilecast::gpu {
namespace {

using B = RecipeBuilder;

// Taps along rows that the tiled kernel takes: half of its columns are then margin.
constexpr int64_t kMostAlong = 129;
// And down columns: its sums run on.
constexpr int64_t kMostDown = 257;
constexpr int64_t kTileRows = 16;

FilterTaps BothSides(const std::vector<float>& half) {
  FilterTaps taps;
  taps.before = static_cast<int64_t>(half.size()) - 1;
  taps.weights.assign(half.rbegin(), half.rend());
  taps.weights.insert(taps.weights.end(), half.begin() + 1, half.end());
  return taps;
}

// The reflected image repeats after 2 n pixels.
FilterTaps Folded(const FilterTaps& taps, int64_t n) {
  const int64_t period = 2 * n;
  if (static_cast<int64_t>(taps.weights.size()) <= period) return taps;
  std::vector<double> sums(static_cast<size_t>(period));
  for (size_t k = 0; k < taps.weights.size(); ++k) {
    const int64_t offset = static_cast<int64_t>(k) - taps.before + n;
    sums[static_cast<size_t>((offset % period + period) % period)] += taps.weights[k];
  }
  FilterTaps folded{{}, n};
  for (const double sum : sums) folded.weights.push_back(static_cast<float>(sum));
  return folded;
}

int Weights(RecipeBuilder& recipe, const std::vector<float>& weights) {
  auto bytes = std::make_shared<std::vector<std::byte>>(weights.size() * sizeof(float));
  std::memcpy(bytes->data(), weights.data(), bytes->size());
  return recipe.Constant(std::move(bytes));
}

int64_t Parts(int64_t n, int64_t part) {
  return (n + part - 1) / part;
}

void EncodePass(RecipeBuilder& recipe, const GpuPlane& in, const FilterTaps& taps, bool along,
                const GpuPlane& out, const FilterFinish& finish) {
  const std::vector<B::Replacement> text = {
      {"FINISH", finish.expression},
      {"SOURCE", along
                     ? "y * params.width + reflected(i32(x) + k - params.before, params.width)"
                     : "reflected(i32(y) + k - params.before, params.height) * params.width + x"}};
  std::vector<B::Use> uses = {
      B::Read("in0", in), B::Words("weights", Weights(recipe, taps.weights), false, "array<f32>")};
  if (finish.more) uses.push_back(B::Read("more", *finish.more));
  const std::vector<B::Param> params = {B::U32("height", in.height), B::U32("width", in.width),
                                        B::I32("taps", static_cast<int64_t>(taps.weights.size())),
                                        B::I32("before", taps.before),
                                        B::F32("factor", finish.factor)};
  recipe.MapText(along ? "filter_rows" : "filter_columns",
                 FilledText(KernelSource("filter_pass"), text), out, uses, params);
}

}  // namespace

FilterTaps SmoothTaps(double sigma) {
  std::vector<float> half;
  GaussianWeights(sigma, half);
  return BothSides(half);
}

FilterTaps CurveTaps(double sigma) {
  std::vector<float> half;
  GaussianCurveWeights(sigma, half);
  return BothSides(half);
}

FilterTaps BoxTaps(int64_t side) {
  return {std::vector<float>(static_cast<size_t>(side), 1.0f), side / 2};
}

void EncodeSeparable(RecipeBuilder& recipe, const GpuPlane& in, const FilterTaps& down_taps,
                     const FilterTaps& along_taps, const GpuPlane& out,
                     const FilterFinish& finish) {
  const FilterTaps down = Folded(down_taps, in.height), along = Folded(along_taps, in.width);
  const auto downs = static_cast<int64_t>(down.weights.size()),
             alongs = static_cast<int64_t>(along.weights.size());
  if (downs > kMostDown || alongs > kMostAlong) {
    const GpuPlane between = recipe.Temporary(DType::kF32, in.height, in.width);
    EncodePass(recipe, in, down, false, between, {});
    EncodePass(recipe, between, along, true, out, finish);
    return;
  }
  const int64_t columns = alongs <= 33 ? 128 : 256, wide = columns - alongs + 1;
  const std::vector<B::Replacement> text = {{"FINISH", finish.expression},
                                            {"COLUMNS", std::to_string(columns) + "u"}};
  std::vector<B::Use> uses = {
      B::Read("in0", in), B::Words("down", Weights(recipe, down.weights), false, "array<f32>"),
      B::Words("along", Weights(recipe, along.weights), false, "array<f32>"), B::Write("out", out)};
  if (finish.more) uses.push_back(B::Read("more", *finish.more));
  const std::vector<B::Param> params = {B::U32("height", in.height),
                                        B::U32("width", in.width),
                                        B::U32("wide", wide),
                                        B::I32("downs", downs),
                                        B::I32("before_down", down.before),
                                        B::I32("alongs", alongs),
                                        B::I32("before_along", along.before),
                                        B::F32("factor", finish.factor)};
  recipe.GridText("filter_tile", FilledText(KernelSource("filter_tile"), text),
                  {static_cast<uint32_t>(Parts(in.width, wide)),
                   static_cast<uint32_t>(Parts(in.height, kTileRows)), 1},
                  uses, params);
}

void EncodeBoxMean(RecipeBuilder& recipe, const GpuPlane& in, int64_t height, int64_t width,
                   const GpuPlane& out) {
  EncodeSeparable(recipe, in, BoxTaps(height), BoxTaps(width), out,
                  {"sum / params.factor", static_cast<float>(height * width)});
}

}  // namespace tilecast::gpu

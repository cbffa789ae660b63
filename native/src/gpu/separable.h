// SPDX-License-Identifier: MIT
// Filters of two directions on a GPU, columns and then rows: the Gaussians, the box mean.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "gpu/recipe.h"

namespace tilecast::gpu {

// result[x] = sum of weights[k] * in[x - before + k], the boundary half-sample symmetric.
struct FilterTaps {
  std::vector<float> weights;
  int64_t before = 0;
};

// GaussianWeights and GaussianCurveWeights of ops/gaussian.h, on both sides.
FilterTaps SmoothTaps(double sigma);
FilterTaps CurveTaps(double sigma);
// Each 1.
FilterTaps BoxTaps(int64_t side);

// What becomes of a pixel's sum: a float32 expression of `sum`, `params.factor` and value_more(i),
// the same pixel of another plane.
struct FilterFinish {
  std::string expression = "sum";
  float factor = 1;
  std::optional<GpuPlane> more = {};
};

// `out` is float32, as is what flows between the directions. Sums run over the taps in order; more
// than 257 of them by parts of 32. Where the boundary repeats, taps that meet the same pixel are
// one: the cost ends at twice the image's side.
void EncodeSeparable(RecipeBuilder& recipe, const GpuPlane& in, const FilterTaps& down,
                     const FilterTaps& along, const GpuPlane& out, const FilterFinish& finish = {});

// BoxMean of ops/rank.h.
void EncodeBoxMean(RecipeBuilder& recipe, const GpuPlane& in, int64_t height, int64_t width,
                   const GpuPlane& out);

}  // namespace tilecast::gpu

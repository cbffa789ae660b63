// SPDX-License-Identifier: MIT
// GPU rows of the filters.
#include <algorithm>

#include "gpu/gpu_rows.h"
#include "gpu/median.h"
#include "gpu/separable.h"
#include "ops/bilateral.h"

namespace tilecast::gpu {
namespace {

using B = RecipeBuilder;

std::optional<std::string> RefuseSigma(double sigma) {
  if (sigma >= 0 && sigma <= 1e6) return std::nullopt;
  return "its sigma is not within 0..1e6 px";
}

void EncodeDifference(const GpuOpCall& c) {
  const FilterTaps low = SmoothTaps(c.arguments.number("low"));
  const FilterTaps high = SmoothTaps(c.arguments.number("high"));
  const GpuPlane fine = c.recipe.Temporary(DType::kF32, c.in.height, c.in.width);
  EncodeSeparable(c.recipe, c.in, low, low, fine);
  EncodeSeparable(c.recipe, c.in, high, high, c.out, {"value_more(i) - sum", 1, fine});
}

void EncodeLaplace(const GpuOpCall& c) {
  const double sigma = c.arguments.number("sigma");
  const FilterTaps smooth = SmoothTaps(sigma), curve = CurveTaps(sigma);
  const GpuPlane first = c.recipe.Temporary(DType::kF32, c.in.height, c.in.width);
  EncodeSeparable(c.recipe, c.in, curve, smooth, first);
  EncodeSeparable(c.recipe, c.in, smooth, curve, c.out, {"value_more(i) + sum", 1, first});
}

// A thread computes all weights of a pixel, pi radius^2 of them.
constexpr int64_t kMaxBilateral = 48;

void EncodeBilateral(const GpuOpCall& c) {
  constexpr double kLog2E = 1.4426950408889634;
  const double sigma = c.arguments.number("sigma"), range = c.arguments.number("range");
  c.recipe.Map("bilateral", c.out, {B::Read("in0", c.in)},
               {B::U32("height", c.in.height), B::U32("width", c.in.width),
                B::I32("radius", BilateralRadius(sigma)),
                B::F32("near", static_cast<float>(kLog2E / (2 * sigma * sigma))),
                B::F32("scale", static_cast<float>(kLog2E / (2 * range * range)))});
}

}  // namespace

std::vector<GpuRow> GpuFilterRows() {
  return {
      {.name = "gaussian",
       .refuses = [](DType, PlaneShape,
                     const OpArguments& a) { return RefuseSigma(a.number("sigma")); },
       .encode =
           [](const GpuOpCall& c) {
             const FilterTaps taps = SmoothTaps(c.arguments.number("sigma"));
             EncodeSeparable(c.recipe, c.in, taps, taps, c.out);
           }},
      {.name = "box",
       .refuses = [](DType, PlaneShape, const OpArguments& a) -> std::optional<std::string> {
         const int64_t height = a.integer("height"), width = a.integer("width");
         if (std::min(height, width) >= 1 && std::max(height, width) <= 65535) return std::nullopt;
         return "its sides are not within 1..65535 px";
       },
       .encode =
           [](const GpuOpCall& c) {
             EncodeBoxMean(c.recipe, c.in, c.arguments.integer("height"),
                           c.arguments.integer("width"), c.out);
           }},
      {.name = "median",
       .refuses = [](DType, PlaneShape, const OpArguments& a) -> std::optional<std::string> {
         const int64_t radius = a.integer("radius");
         if (radius >= 0 && radius <= kMaxGpuMedianRadius) return std::nullopt;
         return "a radius above " + std::to_string(kMaxGpuMedianRadius) +
                " px: its cost grows with the window";
       },
       .encode =
           [](const GpuOpCall& c) {
             EncodeMedian(c.recipe, c.in, c.arguments.integer("radius"), c.out);
           }},
      {.name = "unsharp",
       .refuses = [](DType, PlaneShape,
                     const OpArguments& a) { return RefuseSigma(a.number("sigma")); },
       .encode =
           [](const GpuOpCall& c) {
             const FilterTaps taps = SmoothTaps(c.arguments.number("sigma"));
             EncodeSeparable(c.recipe, c.in, taps, taps, c.out,
                             {"value_more(i) + (value_more(i) - sum) * params.factor",
                              static_cast<float>(c.arguments.number("amount")), c.in});
           }},
      {.name = "differenceOfGaussians",
       .refuses = [](DType, PlaneShape, const OpArguments& a) -> std::optional<std::string> {
         if (!(a.number("high") > a.number("low"))) return "its sigmas are not in order";
         if (const auto why = RefuseSigma(a.number("low"))) return why;
         return RefuseSigma(a.number("high"));
       },
       .encode = EncodeDifference},
      {.name = "laplaceOfGaussian",
       .refuses = [](DType, PlaneShape, const OpArguments& a) -> std::optional<std::string> {
         if (!(a.number("sigma") > 0)) return "its sigma is not above 0 px";
         return RefuseSigma(a.number("sigma"));
       },
       .encode = EncodeLaplace},
      {.name = "bilateral",
       .refuses = [](DType, PlaneShape, const OpArguments& a) -> std::optional<std::string> {
         const double sigma = a.number("sigma"), range = a.number("range");
         if (!(sigma > 0 && sigma <= 64 && range >= 1e-9 && range <= 1e9)) {
           return "its sigma or range is not one of a bilateral filter";
         }
         if (BilateralRadius(sigma) <= kMaxBilateral) return std::nullopt;
         return "a radius above " + std::to_string(kMaxBilateral) +
                " px: its cost grows with the window";
       },
       .encode = EncodeBilateral},
      {.name = "sobel",
       .encode =
           [](const GpuOpCall& c) {
             c.recipe.Map("sobel", c.out, {B::Read("in0", c.in)},
                          {B::U32("height", c.in.height), B::U32("width", c.in.width)});
           }},
  };
}

}  // namespace tilecast::gpu

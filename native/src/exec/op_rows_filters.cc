// SPDX-License-Identifier: MIT
// Rows of the filters: smoothing and detail.
#include <algorithm>

#include "exec/op_registry.h"
#include "ops/bilateral.h"
#include "ops/detail.h"
#include "ops/gaussian.h"
#include "ops/rank.h"

namespace tilecast {
namespace {

using Type = OpParameter::Type;
using Reach = OpRow::Reach;

DType Float32(DType, const OpArguments&) {
  return DType::kF32;
}

// scipy's radius of a Gaussian cut at 4 sigma.
int64_t GaussianHalo(double sigma) {
  return static_cast<int64_t>(4 * sigma + 0.5);
}

}  // namespace

std::vector<OpRow> FilterRows() {
  return {
      {
          .name = "gaussian",
          .reach = Reach::kHalo,
          .parameters = {{"sigma", Type::kNumber}},
          .result = Float32,
          .halo = [](const OpArguments& a) { return GaussianHalo(a.number("sigma")); },
          .run =
              [](const OpCall& c) {
                *c.range = Gaussian(c.in, c.arguments.number("sigma"), c.out);
              },
      },
      {
          .name = "box",
          .reach = Reach::kHalo,
          .parameters = {{"height", Type::kInteger}, {"width", Type::kInteger}},
          .result = Float32,
          .halo =
              [](const OpArguments& a) {
                return std::max(a.integer("height"), a.integer("width")) / 2;
              },
          .row_step = [](DType, const OpArguments& a) { return a.integer("height"); },
          .run =
              [](const OpCall& c) {
                BoxMean(c.in, c.arguments.integer("height"), c.arguments.integer("width"), c.out);
              },
      },
      {
          .name = "median",
          .accepts = kNotF64,
          .reach = Reach::kHalo,
          .parameters = {{"radius", Type::kInteger}},
          .halo = [](const OpArguments& a) { return a.integer("radius"); },
          .run = [](const OpCall& c) { Median(c.in, c.arguments.integer("radius"), c.out); },
      },
      {
          .name = "bilateral",
          .reach = Reach::kHalo,
          .parameters = {{"sigma", Type::kNumber}, {"range", Type::kNumber}},
          .result = Float32,
          .halo = [](const OpArguments& a) { return BilateralRadius(a.number("sigma")); },
          .run =
              [](const OpCall& c) {
                Bilateral(c.in, c.arguments.number("sigma"), c.arguments.number("range"), c.out);
              },
      },
      {
          .name = "unsharp",
          .reach = Reach::kHalo,
          .parameters = {{"sigma", Type::kNumber}, {"amount", Type::kNumber, 1}},
          .result = Float32,
          .halo = [](const OpArguments& a) { return GaussianHalo(a.number("sigma")); },
          .run =
              [](const OpCall& c) {
                UnsharpMask(c.in, c.arguments.number("sigma"), c.arguments.number("amount"), c.out);
              },
      },
      {
          .name = "differenceOfGaussians",
          .reach = Reach::kHalo,
          .parameters = {{"low", Type::kNumber}, {"high", Type::kNumber}},
          .result = Float32,
          .halo = [](const OpArguments& a) { return GaussianHalo(a.number("high")); },
          .run =
              [](const OpCall& c) {
                DifferenceOfGaussians(c.in, c.arguments.number("low"), c.arguments.number("high"),
                                      c.out);
              },
      },
      {
          .name = "laplaceOfGaussian",
          .reach = Reach::kHalo,
          .parameters = {{"sigma", Type::kNumber}},
          .result = Float32,
          .halo = [](const OpArguments& a) { return GaussianHalo(a.number("sigma")); },
          .run = [](const OpCall& c) { GaussianLaplace(c.in, c.arguments.number("sigma"), c.out); },
      },
      {
          .name = "sobel",
          .reach = Reach::kHalo,
          .result = Float32,
          .halo = [](const OpArguments&) { return int64_t{1}; },
          .run = [](const OpCall& c) { SobelMagnitude(c.in, c.out); },
      },
  };
}

}  // namespace tilecast

// SPDX-License-Identifier: MIT
// The ops that a GPU can apply: one row an op of exec/op_registry.h, with the recipe behind it.
//
// An op without a row, or whose row refuses what it is asked for, runs on the CPU; the run's report
// says which and why. docs/adding-an-op.md shows how a row is added, docs/gpu.md what agrees with
// the CPU and how closely.
#pragma once

#include <functional>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "exec/op_registry.h"
#include "gpu/recipe.h"
#include "ops/label.h"
#include "ops/measure.h"

namespace tilecast::gpu {

struct GpuOpCall {
  const OpArguments& arguments;
  GpuPlane in;
  std::span<const GpuPlane> others;
  GpuPlane out;
  RecipeBuilder& recipe;
};

// A point-wise op as an expression, so that a row of them becomes one kernel: what it had (`v`, of
// the WGSL scalar of its dtype), what it gets from its other image (`o`) and its parameters.
struct PointCode {
  // An expression of v, o, x_NAME for each constant, of the scalar of the op's result dtype. It may
  // use the functions of kernels/point.wgsl.
  std::string expression;
  std::vector<RecipeBuilder::Param> constants = {};
  // It gives the CPU's bits. Without it, pixels of 8 and 16 bits go through a table of what the CPU
  // makes of every value.
  bool exact = false;
};

struct GpuRow {
  std::string_view name;  // of the OpRow
  // dtypes that its second image may have.
  DTypeSet others = kNotF64;
  // Why it cannot take this input with these arguments ("a radius above 3 px", "uint32: the sums
  // need 64 bits"); nothing when it can.
  std::optional<std::string> (*refuses)(DType in, PlaneShape shape, const OpArguments&) = nullptr;
  // One of the two. `other`: the dtype of its second image, if it was given one.
  PointCode (*point)(DType in, const OpArguments&, std::optional<DType> other) = nullptr;
  void (*encode)(const GpuOpCall&) = nullptr;
  // With `point`: passes that look at the whole input first (a range). What they leave in the
  // buffer that is returned, words of float32, the expression reads as scalars[0], ... -1: nothing.
  int (*prepare)(const GpuOpCall&) = nullptr;
};

// A float32 expression as one of the scalar of `out`, rounded and saturated as Rescale does.
std::string StoredText(DType out, const std::string& expression);

// The pixel `v` of a dtype, rounded once to float32.
std::string FloatText(DType in);

// nullptr when there is none of that name.
const GpuRow* FindGpuRow(std::string_view name);

// The families.
std::vector<GpuRow> GpuIntensityRows();
std::vector<GpuRow> GpuFilterRows();
std::vector<GpuRow> GpuMorphologyRows();
std::vector<GpuRow> GpuSegmentationRows();
std::vector<GpuRow> GpuGeometryRows();

}  // namespace tilecast::gpu

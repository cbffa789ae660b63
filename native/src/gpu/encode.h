// SPDX-License-Identifier: MIT
// From ops to recipes: single ops, and rows of point-wise ones as one kernel.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <vector>

#include "exec/op_registry.h"
#include "gpu/gpu_rows.h"
#include "gpu/recipe.h"

namespace tilecast::gpu {

struct OpLink {
  const OpRow* row = nullptr;
  OpArguments arguments;
  std::vector<GpuPlane> others = {};
};

// Why a GPU cannot apply the op to such a plane; nothing when it can.
std::optional<std::string> Refuses(const OpRow& row, const OpArguments& arguments, DType in,
                                   PlaneShape shape, std::span<const DType> others);

// Applies the ops one after another, none of which is refused; out has the last one's dtype and
// shape. Point-wise ops in a row become one pass, and what flows between them is rounded as their
// dtypes say.
void EncodeOps(RecipeBuilder& recipe, std::span<const OpLink> links, const GpuPlane& in,
               const GpuPlane& out);

}  // namespace tilecast::gpu

// SPDX-License-Identifier: MIT
// What the bindings of the GPU share.
#pragma once

#include "bind/bind.h"
#include "gpu/recipe.h"

namespace tilecast::bind {

// NativeGpuRecipe of lib/native-gpu.ts.
Napi::Object RecipeObject(Napi::Env env, const gpu::Recipe& recipe);

// Thresholds, labels and measurements (gpu_segmentation.cc).
void InitGpuSegmentation(Napi::Env env, Napi::Object exports);

}  // namespace tilecast::bind

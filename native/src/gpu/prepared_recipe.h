// SPDX-License-Identifier: MIT
// A recipe, checked, and what of it can be settled before a device sees it.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "gpu/recipe.h"

namespace tilecast::gpu {

struct PreparedRecipe {
  // Kind by binding, 'r' storage that is read, 'w' written, 'u' uniforms: one a pass.
  std::vector<std::string> layouts;
  // By buffer: its place in the results, the inputs or the outputs, or, for temporaries, the index
  // into `shared`. Temporaries that are never alive together are one buffer on the device.
  std::vector<int> place;
  std::vector<uint64_t> shared;                                  // bytes
  std::vector<int> inputs, outputs, results, constants, zeroed;  // indices of buffers
  uint64_t largest = 0;                                          // buffer, bytes
  uint32_t most_storage = 0;                                     // buffers in a pass
  uint64_t uniform_units = 0;                                    // of kOffsetAlignment bytes
};

// WebGPU's alignment of offsets into uniform and storage buffers.
inline constexpr uint64_t kOffsetAlignment = 256;

// kInternal for a recipe that contradicts itself, naming the pass.
PreparedRecipe Prepare(const Recipe& recipe);

}  // namespace tilecast::gpu

// SPDX-License-Identifier: MIT
// What the tests of the GPU share: the adapter that plays the GPU, and recipes small enough to know
// their result.
#pragma once

#include <doctest/doctest.h>
#include <unistd.h>

#include <cstdlib>
#include <cstring>
#include <memory>
#include <string>
#include <vector>

#include "error.h"
#include "gpu/engine.h"

namespace tilecast::gpu::testing {

// SwiftShader as browsers bring it (test/helpers/swiftshader.ts has the same places), unless the
// environment has another driver. Dawn is found in the node_modules above the test program; a build
// elsewhere needs TILECAST_DAWN. Before the first engine.
inline void UseSoftwareAdapter() {
  for (const char* manifest : {"/usr/lib/chromium/vk_swiftshader_icd.json",
                               "/usr/lib/chromium-browser/vk_swiftshader_icd.json",
                               "/usr/lib64/chromium-browser/vk_swiftshader_icd.json",
                               "/opt/google/chrome/vk_swiftshader_icd.json"}) {
    if (access(manifest, R_OK) == 0) setenv("VK_ICD_FILENAMES", manifest, 0);
  }
}

inline std::shared_ptr<Engine> OpenEngine(EngineOptions options = {}) {
  UseSoftwareAdapter();
  auto engine = Engine::Open(options);
  REQUIRE(engine->facts().name.find("SwiftShader") != std::string::npos);
  REQUIRE(engine->facts().software);
  return engine;
}

// One engine for the tests that do nothing to it.
inline Engine& SharedEngine() {
  static const std::shared_ptr<Engine> engine = OpenEngine();
  return *engine;
}

// Words out[i] = in[i] * factor + i, one workgroup a 256 words.
inline std::shared_ptr<const std::string> TripleText() {
  static const auto text = std::make_shared<const std::string>(R"(
struct Params { count: u32, factor: u32 }
@group(0) @binding(0) var<storage, read> given: array<u32>;
@group(0) @binding(1) var<storage, read_write> made: array<u32>;
@group(0) @binding(2) var<uniform> params: Params;
@compute @workgroup_size(256)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) at: u32,
        @builtin(num_workgroups) groups: vec3u) {
  let i = (group.y * groups.x + group.x) * 256u + at;
  if (i < params.count) { made[i] = given[i] * params.factor + i; }
}
)");
  return text;
}

inline Pass TriplePass(int in, int out, uint32_t words, uint32_t factor) {
  Pass pass;
  pass.name = "triple";
  pass.wgsl = TripleText();
  pass.buffers = {in, out};
  pass.writes = {false, true};
  pass.uniforms = {words, factor};
  const uint32_t groups = (words + 255) / 256;
  pass.workgroups = {std::min(groups, 32768U), (groups + 32767) / 32768, 1};
  return pass;
}

// Input through `factors`' passes to output.
inline std::shared_ptr<const Recipe> TripleRecipe(uint32_t words,
                                                  const std::vector<uint32_t>& factors) {
  auto recipe = std::make_shared<Recipe>();
  recipe->buffers.push_back({Buffer::Kind::kInput, uint64_t{words} * 4});
  recipe->buffers.push_back({Buffer::Kind::kOutput, uint64_t{words} * 4});
  int from = 0;
  for (size_t n = 0; n < factors.size(); ++n) {
    int to = 1;
    if (n + 1 < factors.size()) {
      to = static_cast<int>(recipe->buffers.size());
      recipe->buffers.push_back({Buffer::Kind::kTemporary, uint64_t{words} * 4});
    }
    recipe->passes.push_back(TriplePass(from, to, words, factors[n]));
    from = to;
  }
  return recipe;
}

inline void ExpectTriple(const uint32_t* in, const uint32_t* out, uint32_t words,
                         const std::vector<uint32_t>& factors) {
  uint32_t wrong = 0;
  for (uint32_t i = 0; i < words; ++i) {
    uint32_t value = in[i];
    for (const uint32_t factor : factors) value = value * factor + i;
    wrong += out[i] != value ? 1 : 0;
  }
  CHECK(wrong == 0);
}

inline Plane WordPlane(void* data, uint32_t words) {
  return PackedPlane(data, DType::kU32, 1, words);
}

}  // namespace tilecast::gpu::testing

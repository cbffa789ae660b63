// SPDX-License-Identifier: MIT
// What is compiled, and what is bound: each made once and kept.
#pragma once

#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>

#include "gpu/device.h"

namespace tilecast::gpu {

struct Binding {
  dawn::Buffer buffer = nullptr;
  uint64_t offset = 0, bytes = 0;
};

class Pipelines {
 public:
  explicit Pipelines(Device& device) : device_(device) {}
  ~Pipelines();
  Pipelines(const Pipelines&) = delete;
  Pipelines& operator=(const Pipelines&) = delete;

  // `layout` as PreparedRecipe::layouts. Throws kGpuFailed with the compiler's message, naming
  // `pass`; the same text fails again without being compiled again.
  dawn::ComputePipeline Compiled(const std::string& pass, const std::string& wgsl,
                                 const std::string& entry, const std::string& layout);
  // The uniforms' offset is given when it is set. Throws kGpuFailed. Valid until the next Trim.
  dawn::BindGroup Group(const std::string& layout, std::span<const Binding> bindings);
  // Forgets bind groups when there are many, most of which are of buffers that are gone.
  void Trim();

  uint64_t compiled() const { return compiled_; }
  uint64_t groups_made() const { return groups_made_; }

 private:
  struct Layout {
    dawn::BindGroupLayout group = nullptr;
    dawn::PipelineLayout pipeline = nullptr;
  };
  struct Compilation {
    dawn::ComputePipeline pipeline = nullptr;
    std::string error;
  };
  const Layout& LayoutOf(const std::string& layout);
  Compilation Compile(const std::string& wgsl, const std::string& entry, const Layout& layout);

  Device& device_;
  std::map<std::string, Layout> layouts_;
  std::unordered_map<std::string, Compilation> pipelines_;   // by layout, entry and text
  std::unordered_map<std::string, dawn::BindGroup> groups_;  // by the bytes of what is bound
  std::string key_;
  uint64_t compiled_ = 0, groups_made_ = 0;
};

}  // namespace tilecast::gpu

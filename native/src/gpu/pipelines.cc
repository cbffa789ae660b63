// SPDX-License-Identifier: MIT
// Pipelines and bind groups, kept by what they are made of.
#include "gpu/pipelines.h"

#include <array>
#include <bit>
#include <utility>
#include <vector>

#include "error.h"

namespace tilecast::gpu {
namespace {

// A pool of some hundred slots and the buffers between them stay far below.
constexpr size_t kMostGroups = 8192;

// What the compiler says, without Dawn's list of callers.
std::string Brief(std::string message) {
  if (const size_t callers = message.find("\n - While "); callers != std::string::npos) {
    message.resize(callers);
  }
  while (!message.empty() && message.back() == '\n') message.pop_back();
  return message;
}

void Append(std::string& key, uint64_t value) {
  const auto bytes = std::bit_cast<std::array<char, sizeof(value)>>(value);
  key.append(bytes.data(), bytes.size());
}

}  // namespace

Pipelines::~Pipelines() {
  const dawn::Functions& f = device_.f;
  for (const auto& [key, group] : groups_) f.BindGroupRelease(group);
  for (const auto& [key, made] : pipelines_) {
    if (made.pipeline != nullptr) f.ComputePipelineRelease(made.pipeline);
  }
  for (const auto& [key, layout] : layouts_) {
    f.PipelineLayoutRelease(layout.pipeline);
    f.BindGroupLayoutRelease(layout.group);
  }
}

const Pipelines::Layout& Pipelines::LayoutOf(const std::string& layout) {
  const auto found = layouts_.find(layout);
  if (found != layouts_.end()) return found->second;
  std::vector<dawn::BindGroupLayoutEntry> entries(layout.size());
  for (size_t k = 0; k < layout.size(); ++k) {
    entries[k].binding = static_cast<uint32_t>(k);
    entries[k].buffer.type = layout[k] == 'u'   ? dawn::BindingType::kUniform
                             : layout[k] == 'w' ? dawn::BindingType::kStorage
                                                : dawn::BindingType::kReadOnlyStorage;
    entries[k].buffer.dynamic_offset = layout[k] == 'u' ? 1 : 0;
  }
  Layout made;
  const std::string why = device_.Complaints([&] {
    dawn::BindGroupLayoutDescriptor group;
    group.count = entries.size();
    group.entries = entries.data();
    made.group = device_.f.DeviceCreateBindGroupLayout(device_.handle(), &group);
    dawn::PipelineLayoutDescriptor pipeline;
    pipeline.count = 1;
    pipeline.layouts = &made.group;
    made.pipeline = device_.f.DeviceCreatePipelineLayout(device_.handle(), &pipeline);
  });
  if (!why.empty()) {
    device_.f.PipelineLayoutRelease(made.pipeline);
    device_.f.BindGroupLayoutRelease(made.group);
    throw Error(Code::kGpuFailed, "the GPU refuses a pass's buffers: " + why);
  }
  return layouts_[layout] = made;
}

Pipelines::Compilation Pipelines::Compile(const std::string& wgsl, const std::string& entry,
                                          const Layout& layout) {
  const dawn::Functions& f = device_.f;
  Compilation made;
  dawn::WgslSource source;
  source.code = {wgsl.data(), wgsl.size()};
  dawn::ShaderModuleDescriptor shader;
  shader.next = &source.chain;
  dawn::ShaderModule module = nullptr;
  made.error =
      device_.Complaints([&] { module = f.DeviceCreateShaderModule(device_.handle(), &shader); });
  if (made.error.empty()) {
    dawn::ComputePipelineDescriptor descriptor;
    descriptor.layout = layout.pipeline;
    descriptor.compute.module = module;
    descriptor.compute.entry = {entry.data(), entry.size()};
    made.error = device_.Complaints(
        [&] { made.pipeline = f.DeviceCreateComputePipeline(device_.handle(), &descriptor); });
    if (!made.error.empty()) {
      f.ComputePipelineRelease(made.pipeline);
      made.pipeline = nullptr;
    }
  }
  if (module != nullptr) f.ShaderModuleRelease(module);
  made.error = Brief(std::move(made.error));
  ++compiled_;
  return made;
}

dawn::ComputePipeline Pipelines::Compiled(const std::string& pass, const std::string& wgsl,
                                          const std::string& entry, const std::string& layout) {
  key_.assign(layout).append(1, '\n').append(entry).append(1, '\n').append(wgsl);
  auto found = pipelines_.find(key_);
  if (found == pipelines_.end()) {
    const std::string key = key_;
    Compilation made = Compile(wgsl, entry, LayoutOf(layout));
    // What a lost device says is no reason to keep.
    if (device_.lost()) made.error = "the device was lost";
    found = pipelines_.emplace(key, std::move(made)).first;
  }
  const Compilation& made = found->second;
  if (made.error.empty()) return made.pipeline;
  throw Error(Code::kGpuFailed,
              "the GPU does not compile the pass \"" + pass + "\": " + made.error);
}

dawn::BindGroup Pipelines::Group(const std::string& layout, std::span<const Binding> bindings) {
  const Layout& of = LayoutOf(layout);
  key_.clear();
  Append(key_, reinterpret_cast<uintptr_t>(of.group));
  for (const Binding& b : bindings) {
    Append(key_, reinterpret_cast<uintptr_t>(b.buffer));
    Append(key_, b.offset);
    Append(key_, b.bytes);
  }
  // A group holds its buffers, so that no other one gets the address of one of them.
  const auto found = groups_.find(key_);
  if (found != groups_.end()) return found->second;
  std::vector<dawn::BindGroupEntry> entries(bindings.size());
  for (size_t k = 0; k < bindings.size(); ++k) {
    entries[k].binding = static_cast<uint32_t>(k);
    entries[k].buffer = bindings[k].buffer;
    entries[k].offset = bindings[k].offset;
    entries[k].size = bindings[k].bytes;
  }
  dawn::BindGroupDescriptor descriptor;
  descriptor.layout = of.group;
  descriptor.count = entries.size();
  descriptor.entries = entries.data();
  dawn::BindGroup group = nullptr;
  const std::string why = device_.Complaints(
      [&] { group = device_.f.DeviceCreateBindGroup(device_.handle(), &descriptor); });
  if (!why.empty()) {
    device_.f.BindGroupRelease(group);
    throw Error(Code::kGpuFailed, "the GPU does not bind the buffers of a pass: " + why);
  }
  ++groups_made_;
  return groups_[key_] = group;
}

void Pipelines::Trim() {
  if (groups_.size() <= kMostGroups) return;
  for (const auto& [key, group] : groups_) device_.f.BindGroupRelease(group);
  groups_.clear();
}

}  // namespace tilecast::gpu

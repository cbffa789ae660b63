// SPDX-License-Identifier: MIT
// The part of Dawn's C interface (webgpu.h) that the engine calls, declared here so that no header
// and no library of Dawn is needed to build.
//
// Layouts and numbers are those of the library in the npm package bun-webgpu-<platform> 0.1.7.
// webgpu.h is still changing: where a build of another revision differs in what is used here,
// either a function is missing (DawnLibrary refuses it by name), or what device.cc tries before it
// trusts the device fails. Numbers of Dawn's extensions are tried one by one.
#pragma once

#include <cstddef>
#include <cstdint>

namespace tilecast::gpu::dawn {

// Objects, counted by reference.
using Instance = struct InstanceObject*;
using Adapter = struct AdapterObject*;
using Device = struct DeviceObject*;
using Queue = struct QueueObject*;
using Buffer = struct BufferObject*;
using ShaderModule = struct ShaderModuleObject*;
using ComputePipeline = struct ComputePipelineObject*;
using BindGroup = struct BindGroupObject*;
using BindGroupLayout = struct BindGroupLayoutObject*;
using PipelineLayout = struct PipelineLayoutObject*;
using CommandEncoder = struct CommandEncoderObject*;
using CommandBuffer = struct CommandBufferObject*;
using ComputePassEncoder = struct ComputePassEncoderObject*;

using Bool = uint32_t;
using Flags = uint64_t;

inline constexpr uint32_t kSuccess = 1;  // of every status
inline constexpr uint64_t kForever = UINT64_MAX;

enum class AdapterType : uint32_t { kDiscrete = 1, kIntegrated = 2, kCpu = 3, kUnknown = 4 };
enum class BackendType : uint32_t {
  kUndefined = 0,
  kNull = 1,
  kD3D12 = 4,
  kMetal = 5,
  kVulkan = 6
};
enum class PowerPreference : uint32_t { kUndefined = 0, kLowPower = 1, kHighPerformance = 2 };
enum class CallbackMode : uint32_t { kWaitAnyOnly = 1, kAllowSpontaneous = 3 };
enum class WaitStatus : uint32_t { kSuccess = 1, kTimedOut = 2, kError = 3 };
enum class ErrorFilter : uint32_t { kValidation = 1, kOutOfMemory = 2, kInternal = 3 };
enum class ErrorType : uint32_t { kNone = 1, kValidation = 2, kOutOfMemory = 3, kInternal = 4 };
enum class LostReason : uint32_t { kUnknown = 1, kDestroyed = 2 };
enum class BindingType : uint32_t { kUniform = 2, kStorage = 3, kReadOnlyStorage = 4 };

inline constexpr Flags kMapRead = 1, kMapWrite = 2;  // usages and modes
inline constexpr Flags kCopySource = 4, kCopyTarget = 8, kUniform = 0x40, kStorage = 0x80;
inline constexpr Flags kComputeStage = 4;

inline constexpr uint32_t kFeatureTimestamps = 3, kFeatureF16 = 10, kFeatureSubgroups = 17;
inline constexpr uint32_t kFeatureHostMapped = 0x50010;
inline constexpr uint32_t kTypeWgsl = 2;
inline constexpr uint32_t kTypeToggles = 0x5000a, kTypeHostMapped = 0x50012;

struct StringView {
  const char* data = nullptr;
  size_t length = 0;
};
struct Chained {
  const Chained* next = nullptr;
  uint32_t type = 0;
};
struct Future {
  uint64_t id = 0;
};
struct FutureWait {
  Future future;
  Bool completed = 0;
};

struct InstanceDescriptor {
  const Chained* next = nullptr;
  const Chained* capabilities_next = nullptr;
  Bool timed_wait_any = 0;
  size_t timed_wait_any_max = 0;
};
struct Toggles {
  Chained chain{nullptr, kTypeToggles};
  size_t enabled_count = 0;
  const char* const* enabled = nullptr;
  size_t disabled_count = 0;
  const char* const* disabled = nullptr;
};

struct RequestAdapterOptions {
  const Chained* next = nullptr;
  uint32_t feature_level = 0;
  PowerPreference power = PowerPreference::kUndefined;
  Bool force_fallback = 0;
  BackendType backend = BackendType::kUndefined;
  void* surface = nullptr;
};
struct AdapterInfo {
  const Chained* next = nullptr;
  StringView vendor, architecture, device, description;
  BackendType backend = BackendType::kUndefined;
  AdapterType type = AdapterType::kUnknown;
  uint32_t vendor_id = 0, device_id = 0;
  uint32_t subgroup_min = 0, subgroup_max = 0;
};
struct SupportedFeatures {
  size_t count = 0;
  const uint32_t* features = nullptr;
};
// What is not asked for is all ones. Later revisions have fewer members at the end.
struct Limits {
  Chained* next = nullptr;
  uint32_t texture_1d, texture_2d, texture_3d, texture_layers;
  uint32_t bind_groups, bind_groups_and_vertex_buffers, bindings_per_group;
  uint32_t dynamic_uniform_buffers, dynamic_storage_buffers;
  uint32_t sampled_textures, samplers;
  uint32_t storage_buffers_per_stage;
  uint32_t storage_textures, uniform_buffers;
  uint64_t uniform_binding_size, storage_binding_size;
  uint32_t uniform_offset_alignment, storage_offset_alignment;
  uint32_t vertex_buffers;
  uint64_t buffer_size;
  uint32_t vertex_attributes, vertex_stride, inter_stage, color_attachments, color_bytes;
  uint32_t workgroup_storage, invocations_per_workgroup;
  uint32_t workgroup_x, workgroup_y, workgroup_z;
  uint32_t workgroups_per_dimension;
  uint32_t immediate_size;
  uint32_t storage_buffers_in_vertex, storage_textures_in_vertex;
  uint32_t storage_buffers_in_fragment, storage_textures_in_fragment;
};
static_assert(offsetof(Limits, uniform_binding_size) == 64);
static_assert(offsetof(Limits, buffer_size) == 96 && sizeof(Limits) == 168);

using AdapterCallback = void (*)(uint32_t status, Adapter, StringView message, void*, void*);
using DeviceCallback = void (*)(uint32_t status, Device, StringView message, void*, void*);
using MapCallback = void (*)(uint32_t status, StringView message, void*, void*);
using ScopeCallback = void (*)(uint32_t status, ErrorType, StringView message, void*, void*);
// Has no message in this revision, and one in later ones: nothing after the status can be relied
// on.
using WorkDoneCallback = void (*)(uint32_t status);
using LostCallback = void (*)(const Device*, LostReason, StringView message, void*, void*);
using ErrorCallback = void (*)(const Device*, ErrorType, StringView message, void*, void*);

template <class Callback>
struct CallbackInfo {
  const Chained* next = nullptr;
  CallbackMode mode = CallbackMode::kWaitAnyOnly;
  Callback callback = nullptr;
  void* first = nullptr;
  void* second = nullptr;
};
struct ErrorCallbackInfo {
  const Chained* next = nullptr;
  ErrorCallback callback = nullptr;
  void* first = nullptr;
  void* second = nullptr;
};

struct QueueDescriptor {
  const Chained* next = nullptr;
  StringView label;
};
struct DeviceDescriptor {
  const Chained* next = nullptr;
  StringView label;
  size_t feature_count = 0;
  const uint32_t* features = nullptr;
  const Limits* limits = nullptr;
  QueueDescriptor queue;
  CallbackInfo<LostCallback> lost;
  ErrorCallbackInfo error;
};

struct BufferDescriptor {
  const Chained* next = nullptr;
  StringView label;
  Flags usage = 0;
  uint64_t size = 0;
  Bool mapped_at_creation = 0;
};
struct HostMappedPointer {
  Chained chain{nullptr, kTypeHostMapped};
  void* pointer = nullptr;
  void (*dispose)(void*) = nullptr;  // when the device no longer uses the memory
  void* user = nullptr;
};

struct WgslSource {
  Chained chain{nullptr, kTypeWgsl};
  StringView code;
};
struct ShaderModuleDescriptor {
  const Chained* next = nullptr;
  StringView label;
};
struct ComputePipelineDescriptor {
  const Chained* next = nullptr;
  StringView label;
  PipelineLayout layout = nullptr;
  struct {
    const Chained* next = nullptr;
    ShaderModule module = nullptr;
    StringView entry;
    size_t constant_count = 0;
    const void* constants = nullptr;
  } compute;
};

struct BindGroupLayoutEntry {
  const Chained* next = nullptr;
  uint32_t binding = 0;
  Flags visibility = kComputeStage;
  uint32_t array_size = 0;
  struct {
    const Chained* next = nullptr;
    BindingType type = BindingType::kStorage;
    Bool dynamic_offset = 0;
    uint64_t min_size = 0;
  } buffer;
  struct {
    const Chained* next = nullptr;
    uint32_t type = 0;
  } sampler;
  struct {
    const Chained* next = nullptr;
    uint32_t sample_type = 0, dimension = 0;
    Bool multisampled = 0;
  } texture;
  struct {
    const Chained* next = nullptr;
    uint32_t access = 0, format = 0, dimension = 0;
  } storage_texture;
};
static_assert(sizeof(BindGroupLayoutEntry) == 120);
struct BindGroupLayoutDescriptor {
  const Chained* next = nullptr;
  StringView label;
  size_t count = 0;
  const BindGroupLayoutEntry* entries = nullptr;
};
struct PipelineLayoutDescriptor {
  const Chained* next = nullptr;
  StringView label;
  size_t count = 0;
  const BindGroupLayout* layouts = nullptr;
  uint32_t immediate_size = 0;
};
struct BindGroupEntry {
  const Chained* next = nullptr;
  uint32_t binding = 0;
  Buffer buffer = nullptr;
  uint64_t offset = 0, size = 0;
  void* sampler = nullptr;
  void* texture = nullptr;
};
struct BindGroupDescriptor {
  const Chained* next = nullptr;
  StringView label;
  BindGroupLayout layout = nullptr;
  size_t count = 0;
  const BindGroupEntry* entries = nullptr;
};
struct ComputePassDescriptor {
  const Chained* next = nullptr;
  StringView label;
  const void* timestamps = nullptr;
};

// The functions, by their names without `wgpu`.
struct Functions {
  Instance (*CreateInstance)(const InstanceDescriptor*);
  void (*InstanceRelease)(Instance);
  Future (*InstanceRequestAdapter)(Instance, const RequestAdapterOptions*,
                                   CallbackInfo<AdapterCallback>);
  WaitStatus (*InstanceWaitAny)(Instance, size_t count, FutureWait*, uint64_t timeout_ns);
  void (*InstanceProcessEvents)(Instance);

  void (*AdapterRelease)(Adapter);
  uint32_t (*AdapterGetInfo)(Adapter, AdapterInfo*);
  void (*AdapterInfoFreeMembers)(AdapterInfo);
  void (*AdapterGetFeatures)(Adapter, SupportedFeatures*);
  void (*SupportedFeaturesFreeMembers)(SupportedFeatures);
  uint32_t (*AdapterGetLimits)(Adapter, Limits*);
  Future (*AdapterRequestDevice)(Adapter, const DeviceDescriptor*, CallbackInfo<DeviceCallback>);

  void (*DeviceRelease)(Device);
  void (*DeviceDestroy)(Device);
  void (*DeviceForceLoss)(Device, LostReason, StringView message);
  void (*DeviceTick)(Device);
  Queue (*DeviceGetQueue)(Device);
  Buffer (*DeviceCreateBuffer)(Device, const BufferDescriptor*);
  ShaderModule (*DeviceCreateShaderModule)(Device, const ShaderModuleDescriptor*);
  ComputePipeline (*DeviceCreateComputePipeline)(Device, const ComputePipelineDescriptor*);
  BindGroupLayout (*DeviceCreateBindGroupLayout)(Device, const BindGroupLayoutDescriptor*);
  PipelineLayout (*DeviceCreatePipelineLayout)(Device, const PipelineLayoutDescriptor*);
  BindGroup (*DeviceCreateBindGroup)(Device, const BindGroupDescriptor*);
  CommandEncoder (*DeviceCreateCommandEncoder)(Device, const void* descriptor);
  void (*DevicePushErrorScope)(Device, ErrorFilter);
  Future (*DevicePopErrorScope)(Device, CallbackInfo<ScopeCallback>);

  void (*QueueRelease)(Queue);
  void (*QueueSubmit)(Queue, size_t count, const CommandBuffer*);
  void (*QueueWriteBuffer)(Queue, Buffer, uint64_t offset, const void* data, size_t size);
  Future (*QueueOnSubmittedWorkDone)(Queue, CallbackInfo<WorkDoneCallback>);

  void (*BufferRelease)(Buffer);
  void (*BufferDestroy)(Buffer);
  Future (*BufferMapAsync)(Buffer, Flags mode, size_t offset, size_t size,
                           CallbackInfo<MapCallback>);
  void* (*BufferGetMappedRange)(Buffer, size_t offset, size_t size);
  const void* (*BufferGetConstMappedRange)(Buffer, size_t offset, size_t size);
  void (*BufferUnmap)(Buffer);

  void (*ShaderModuleRelease)(ShaderModule);
  void (*ComputePipelineRelease)(ComputePipeline);
  void (*BindGroupRelease)(BindGroup);
  void (*BindGroupLayoutRelease)(BindGroupLayout);
  void (*PipelineLayoutRelease)(PipelineLayout);

  ComputePassEncoder (*CommandEncoderBeginComputePass)(CommandEncoder,
                                                       const ComputePassDescriptor*);
  void (*CommandEncoderCopyBufferToBuffer)(CommandEncoder, Buffer from, uint64_t from_offset,
                                           Buffer to, uint64_t to_offset, uint64_t size);
  void (*CommandEncoderClearBuffer)(CommandEncoder, Buffer, uint64_t offset, uint64_t size);
  CommandBuffer (*CommandEncoderFinish)(CommandEncoder, const void* descriptor);
  void (*CommandEncoderRelease)(CommandEncoder);
  void (*CommandBufferRelease)(CommandBuffer);

  void (*ComputePassEncoderSetPipeline)(ComputePassEncoder, ComputePipeline);
  void (*ComputePassEncoderSetBindGroup)(ComputePassEncoder, uint32_t group, BindGroup,
                                         size_t offset_count, const uint32_t* offsets);
  void (*ComputePassEncoderDispatchWorkgroups)(ComputePassEncoder, uint32_t x, uint32_t y,
                                               uint32_t z);
  void (*ComputePassEncoderEnd)(ComputePassEncoder);
  void (*ComputePassEncoderRelease)(ComputePassEncoder);
};

}  // namespace tilecast::gpu::dawn

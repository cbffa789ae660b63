// SPDX-License-Identifier: MIT
// Opens a device of Dawn's and tries out what of it is used.
#include "gpu/device.h"

#include <sys/mman.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <cstdlib>
#include <cstring>
#include <string_view>

#include "error.h"

namespace tilecast::gpu {
namespace {

constexpr uint64_t kPage = 4096;

std::string Text(dawn::StringView view) {
  if (view.data == nullptr) return {};
  return view.length == SIZE_MAX ? std::string(view.data) : std::string(view.data, view.length);
}

dawn::StringView View(std::string_view text) {
  return {text.data(), text.size()};
}

bool Contains(std::string_view text, std::string_view part) {
  const auto same = [](char a, char b) {
    return std::tolower(static_cast<unsigned char>(a)) ==
           std::tolower(static_cast<unsigned char>(b));
  };
  return std::search(text.begin(), text.end(), part.begin(), part.end(), same) != text.end();
}

// What a callback of one call leaves behind.
template <class Object>
struct Answer {
  uint32_t status = 0;
  Object object = nullptr;
  std::string message;
  static void Call(uint32_t status, Object object, dawn::StringView message, void* answer, void*) {
    auto& a = *static_cast<Answer*>(answer);
    a.status = status;
    a.object = object;
    a.message = Text(message);
  }
};

void OnLost(const dawn::Device*, dawn::LostReason, dawn::StringView, void* lost, void*) {
  static_cast<std::atomic<bool>*>(lost)->store(true);
}

// Everything that can be wrong is asked for under error scopes; what comes here follows from it.
void OnError(const dawn::Device*, dawn::ErrorType, dawn::StringView, void*, void*) {}

std::string Environment(const char* name) {
  const char* value = std::getenv(name);
  return value == nullptr ? std::string(name) + " is not set"
                          : std::string(name) + " is \"" + value + "\"";
}

constexpr dawn::BackendType kBackend =
#ifdef __APPLE__
    dawn::BackendType::kMetal;
constexpr const char* kBackendName = "Metal";
#else
    dawn::BackendType::kVulkan;
constexpr const char* kBackendName = "Vulkan";
#endif

}  // namespace

Device::Device(const EngineOptions& options)
    : f(LoadDawn(options.library).functions), library_(LoadDawn(options.library)) {
  try {
    OpenInstance();
    std::string wanted = options.adapter;
    if (const char* named = std::getenv("TILECAST_GPU_ADAPTER"); wanted.empty() && named) {
      wanted = named;
    }
    ChooseAdapter(wanted);
    OpenDevice();
    TryOut();
    if (facts_.host_mapped && options.planes == PlaneAccess::kStage) {
      facts_.host_mapped = false;
      facts_.host_mapped_reason = "not wanted";
    }
    if (facts_.host_mapped) TryHostMapped();
  } catch (...) {
    Release();
    throw;
  }
}

Device::~Device() {
  Release();
}

void Device::Release() {
  if (queue_ != nullptr) f.QueueRelease(queue_);
  if (device_ != nullptr) {
    // Waits for what is still running.
    f.DeviceDestroy(device_);
    f.DeviceRelease(device_);
  }
  if (adapter_ != nullptr) f.AdapterRelease(adapter_);
  if (instance_ != nullptr) {
    f.InstanceProcessEvents(instance_);
    f.InstanceRelease(instance_);
  }
}

void Device::OpenInstance() {
  constexpr const char* kToggles[] = {"allow_unsafe_apis"};  // HostMappedPointer is behind it
  dawn::Toggles toggles;
  toggles.enabled_count = 1;
  toggles.enabled = kToggles;
  dawn::InstanceDescriptor descriptor;
  descriptor.next = &toggles.chain;
  descriptor.timed_wait_any = 1;
  descriptor.timed_wait_any_max = 64;
  instance_ = f.CreateInstance(&descriptor);
  if (instance_ == nullptr) {
    throw Error(Code::kGpuUnavailable, "Dawn (" + library_.path + ") gives no instance");
  }
}

bool Device::Wait(std::span<dawn::FutureWait> futures, uint64_t timeout_ns) {
  using Clock = std::chrono::steady_clock;
  const auto began = Clock::now();
  for (;;) {
    // WaitAny gives the first one that is complete.
    dawn::FutureWait* const open =
        std::partition(futures.data(), futures.data() + futures.size(),
                       [](const dawn::FutureWait& w) { return w.completed != 0; });
    const auto count = static_cast<size_t>(futures.data() + futures.size() - open);
    if (count == 0) return true;
    uint64_t left = timeout_ns;
    if (timeout_ns != dawn::kForever) {
      const auto gone = static_cast<uint64_t>(
          std::chrono::duration_cast<std::chrono::nanoseconds>(Clock::now() - began).count());
      left = gone < timeout_ns ? timeout_ns - gone : 0;
    }
    switch (f.InstanceWaitAny(instance_, count, open, left)) {
      case dawn::WaitStatus::kSuccess:
        break;
      case dawn::WaitStatus::kTimedOut:
        return false;
      default:
        throw Error(Code::kGpuFailed, "waiting for the GPU failed");
    }
  }
}

void Device::WaitForAll(dawn::Future future) {
  dawn::FutureWait wait{future, 0};
  Wait({&wait, 1}, dawn::kForever);
}

dawn::Adapter Device::RequestAdapter(dawn::PowerPreference power, bool fallback,
                                     std::string& message) {
  dawn::RequestAdapterOptions options;
  options.power = power;
  options.force_fallback = fallback ? 1 : 0;
  options.backend = kBackend;
  Answer<dawn::Adapter> answer;
  WaitForAll(f.InstanceRequestAdapter(
      instance_, &options,
      {nullptr, dawn::CallbackMode::kWaitAnyOnly, &Answer<dawn::Adapter>::Call, &answer, nullptr}));
  message = answer.message;
  return answer.status == dawn::kSuccess ? answer.object : nullptr;
}

// Dawn's C interface does not list adapters: it gives the best one by each of these preferences.
void Device::ChooseAdapter(const std::string& wanted) {
  constexpr std::pair<dawn::PowerPreference, bool> kAsked[] = {
      {dawn::PowerPreference::kHighPerformance, false},
      {dawn::PowerPreference::kLowPower, false},
      {dawn::PowerPreference::kUndefined, true}};
  std::string message, seen;
  for (const bool software : {false, true}) {
    for (const auto& [power, fallback] : kAsked) {
      const dawn::Adapter adapter = RequestAdapter(power, fallback, message);
      if (adapter == nullptr) continue;
      dawn::AdapterInfo info;
      f.AdapterGetInfo(adapter, &info);
      AdapterFacts facts;
      facts.name = Text(info.device);
      facts.vendor = Text(info.vendor);
      facts.driver = Text(info.description);
      facts.software = info.type == dawn::AdapterType::kCpu;
      facts.discrete = info.type == dawn::AdapterType::kDiscrete;
      f.AdapterInfoFreeMembers(info);
      const bool named = Contains(facts.name, wanted) || Contains(facts.driver, wanted) ||
                         (facts.software && Contains("software", wanted));
      if (wanted.empty() ? facts.software == software : named) {
        facts.backend = kBackendName;
        facts.library = library_.path;
        facts_ = facts;
        adapter_ = adapter;
        return;
      }
      if (seen.find(facts.name) == std::string::npos)
        seen += (seen.empty() ? "" : ", ") + facts.name;
      f.AdapterRelease(adapter);
    }
  }
  if (!seen.empty()) {
    throw Error(Code::kGpuUnavailable, "no GPU's name has \"" + wanted + "\" in it; there is " +
                                           seen +
                                           " (TILECAST_GPU_ADAPTER, or the engine's option)");
  }
  throw Error(
      Code::kGpuUnavailable,
      "there is no GPU: Dawn (" + library_.path + ") finds no " + kBackendName + " adapter" +
          (message.empty() ? "" : " (\"" + message + "\")") + "; " +
          Environment("VK_ICD_FILENAMES") +
          ". What it takes: a GPU with a Vulkan 1.1 driver, and the loader libvulkan.so.1 (Debian: "
          "libvulkan1); in a container the driver's graphics part too (NVIDIA_DRIVER_CAPABILITIES="
          "all). For trials a CPU can play the GPU: install chromium-common and set "
          "VK_ICD_FILENAMES=/usr/lib/chromium/vk_swiftshader_icd.json");
}

void Device::OpenDevice() {
  dawn::SupportedFeatures supported;
  f.AdapterGetFeatures(adapter_, &supported);
  const auto has = [&](uint32_t feature) {
    return std::find(supported.features, supported.features + supported.count, feature) !=
           supported.features + supported.count;
  };
  std::vector<uint32_t> features;
  for (const uint32_t feature :
       {dawn::kFeatureHostMapped, dawn::kFeatureF16, dawn::kFeatureSubgroups}) {
    if (has(feature)) features.push_back(feature);
  }
  f.SupportedFeaturesFreeMembers(supported);
  std::string message;
  if (!TryDevice(features, message) && !TryDevice({}, message)) {
    throw Error(Code::kGpuUnavailable, "the GPU " + facts_.name + " gives no device: " + message);
  }
  queue_ = f.DeviceGetQueue(device_);
}

bool Device::TryDevice(std::span<const uint32_t> features, std::string& message) {
  dawn::Limits can;
  std::memset(static_cast<void*>(&can), 0, sizeof(can));
  if (f.AdapterGetLimits(adapter_, &can) != dawn::kSuccess || can.storage_buffers_per_stage < 8 ||
      can.storage_buffers_per_stage > 100'000 || can.buffer_size < can.storage_binding_size) {
    message = "its limits make no sense; is " + library_.path + " of another revision of Dawn?";
    return false;
  }
  dawn::Limits wanted;
  std::memset(static_cast<void*>(&wanted), 0xff, sizeof(wanted));  // as the specification has it
  wanted.next = nullptr;
  wanted.storage_buffers_per_stage = can.storage_buffers_per_stage;
  wanted.storage_binding_size = can.storage_binding_size;
  wanted.buffer_size = can.buffer_size;
  dawn::DeviceDescriptor descriptor;
  descriptor.feature_count = features.size();
  descriptor.features = features.data();
  descriptor.limits = &wanted;
  descriptor.lost = {nullptr, dawn::CallbackMode::kAllowSpontaneous, OnLost, &lost_, nullptr};
  descriptor.error.callback = OnError;
  Answer<dawn::Device> answer;
  WaitForAll(f.AdapterRequestDevice(
      adapter_, &descriptor,
      {nullptr, dawn::CallbackMode::kWaitAnyOnly, &Answer<dawn::Device>::Call, &answer, nullptr}));
  message = answer.message;
  if (answer.status != dawn::kSuccess || answer.object == nullptr) {
    // A device that could not be made is lost at once.
    f.InstanceProcessEvents(instance_);
    lost_.store(false);
    return false;
  }
  device_ = answer.object;
  const auto enabled = [&](uint32_t feature) {
    return std::find(features.begin(), features.end(), feature) != features.end();
  };
  facts_.f16 = enabled(dawn::kFeatureF16);
  facts_.subgroups = enabled(dawn::kFeatureSubgroups);
  facts_.host_mapped = enabled(dawn::kFeatureHostMapped);
  if (!facts_.host_mapped) facts_.host_mapped_reason = "the adapter has no such feature";
  facts_.max_buffer_bytes = can.buffer_size;
  facts_.max_binding_bytes = can.storage_binding_size;
  facts_.max_buffers_in_pass = can.storage_buffers_per_stage;
  return true;
}

void Device::PushScopes() {
  f.DevicePushErrorScope(device_, dawn::ErrorFilter::kValidation);
  f.DevicePushErrorScope(device_, dawn::ErrorFilter::kOutOfMemory);
  f.DevicePushErrorScope(device_, dawn::ErrorFilter::kInternal);
}

std::string Device::PopScopes() {
  std::string said;
  std::array<dawn::FutureWait, 3> waits{};
  for (dawn::FutureWait& wait : waits) {
    wait.future = f.DevicePopErrorScope(
        device_,
        {nullptr, dawn::CallbackMode::kWaitAnyOnly,
         [](uint32_t status, dawn::ErrorType type, dawn::StringView message, void* text, void*) {
           auto& all = *static_cast<std::string*>(text);
           if (status != dawn::kSuccess || type == dawn::ErrorType::kNone) return;
           if (!all.empty()) all += "; ";
           all += message.length == 0 && type == dawn::ErrorType::kOutOfMemory ? "out of memory"
                                                                               : Text(message);
         },
         &said, nullptr});
  }
  Wait(waits, dawn::kForever);
  return said;
}

dawn::Buffer Device::MakeBuffer(dawn::Flags usage, uint64_t bytes, bool mapped) {
  if (bytes > facts_.max_buffer_bytes) {
    throw Error(Code::kGpuFailed, "the GPU " + facts_.name + " takes buffers of at most " +
                                      std::to_string(facts_.max_buffer_bytes) + " bytes, and " +
                                      std::to_string(bytes) + " are needed");
  }
  dawn::BufferDescriptor descriptor;
  descriptor.usage = usage;
  descriptor.size = bytes;
  descriptor.mapped_at_creation = mapped ? 1 : 0;
  dawn::Buffer buffer = nullptr;
  const std::string why = Complaints([&] { buffer = f.DeviceCreateBuffer(device_, &descriptor); });
  if (buffer != nullptr && why.empty()) return buffer;
  if (buffer != nullptr) f.BufferRelease(buffer);
  throw Error(Code::kGpuFailed, "the GPU " + facts_.name + " has no buffer of " +
                                    std::to_string(bytes) +
                                    " bytes: " + (why.empty() ? "it cannot be mapped" : why));
}

dawn::Buffer Device::Import(std::byte* memory, uint64_t bytes, std::string& why) {
  dawn::HostMappedPointer pointer;
  pointer.pointer = memory;
  pointer.dispose = [](void* count) { static_cast<std::atomic<int64_t>*>(count)->fetch_sub(1); };
  pointer.user = &imports_alive_;
  dawn::BufferDescriptor descriptor;
  descriptor.next = &pointer.chain;
  descriptor.usage = dawn::kStorage | dawn::kCopySource | dawn::kCopyTarget;
  descriptor.size = bytes;
  dawn::Buffer buffer = nullptr;
  const int64_t before = imports_alive_.fetch_add(1);
  why = Complaints([&] { buffer = f.DeviceCreateBuffer(device_, &descriptor); });
  if (buffer != nullptr && why.empty()) return buffer;
  if (buffer != nullptr) f.BufferRelease(buffer);
  if (why.empty()) why = "it gives no buffer";
  // What Dawn refuses it may or may not dispose of.
  if (imports_alive_.load() > before) imports_alive_.fetch_sub(1);
  return nullptr;
}

void Device::WaitForIdle() {
  WaitForAll(f.QueueOnSubmittedWorkDone(
      queue_, {nullptr, dawn::CallbackMode::kWaitAnyOnly, [](uint32_t) {}, nullptr, nullptr}));
}

void Device::Tick() {
  f.DeviceTick(device_);
}

// ------------------------------------------------------------------------------------- trying out

namespace {
constexpr const char* kTrial = R"(
@group(0) @binding(0) var<storage, read> given: array<u32>;
@group(0) @binding(1) var<storage, read_write> made: array<u32>;
@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u) { made[id.x] = given[id.x] * 3u + id.x; }
)";
}  // namespace

bool Device::Compiles(const char* wgsl) {
  dawn::WgslSource source;
  source.code = View(wgsl);
  dawn::ShaderModuleDescriptor descriptor;
  descriptor.next = &source.chain;
  dawn::ShaderModule module = nullptr;
  const std::string why =
      Complaints([&] { module = f.DeviceCreateShaderModule(device_, &descriptor); });
  if (module != nullptr) f.ShaderModuleRelease(module);
  return module != nullptr && why.empty();
}

// Runs the trial kernel over `in` into `out`; why not, or empty. Both belong to the caller.
std::string Device::ComputesRight(dawn::Buffer in, dawn::Buffer out, uint32_t words) {
  dawn::ShaderModule module = nullptr;
  dawn::BindGroupLayout group_layout = nullptr;
  dawn::PipelineLayout layout = nullptr;
  dawn::ComputePipeline pipeline = nullptr;
  dawn::BindGroup group = nullptr;
  const std::string why = Complaints([&] {
    dawn::WgslSource source;
    source.code = View(kTrial);
    dawn::ShaderModuleDescriptor shader;
    shader.next = &source.chain;
    module = f.DeviceCreateShaderModule(device_, &shader);
    dawn::BindGroupLayoutEntry entries[2];
    entries[0].buffer.type = dawn::BindingType::kReadOnlyStorage;
    entries[1].binding = 1;
    dawn::BindGroupLayoutDescriptor groups;
    groups.count = 2;
    groups.entries = entries;
    group_layout = f.DeviceCreateBindGroupLayout(device_, &groups);
    dawn::PipelineLayoutDescriptor layouts;
    layouts.count = 1;
    layouts.layouts = &group_layout;
    layout = f.DeviceCreatePipelineLayout(device_, &layouts);
    dawn::ComputePipelineDescriptor compute;
    compute.layout = layout;
    compute.compute.module = module;
    compute.compute.entry = View("main");
    pipeline = f.DeviceCreateComputePipeline(device_, &compute);
    dawn::BindGroupEntry bound[2];
    bound[0].buffer = in;
    bound[1].binding = 1;
    bound[1].buffer = out;
    bound[0].size = bound[1].size = uint64_t{words} * 4;
    dawn::BindGroupDescriptor binding;
    binding.layout = group_layout;
    binding.count = 2;
    binding.entries = bound;
    group = f.DeviceCreateBindGroup(device_, &binding);
    const dawn::CommandEncoder encoder = f.DeviceCreateCommandEncoder(device_, nullptr);
    const dawn::ComputePassEncoder pass = f.CommandEncoderBeginComputePass(encoder, nullptr);
    f.ComputePassEncoderSetPipeline(pass, pipeline);
    f.ComputePassEncoderSetBindGroup(pass, 0, group, 0, nullptr);
    f.ComputePassEncoderDispatchWorkgroups(pass, words / 64, 1, 1);
    f.ComputePassEncoderEnd(pass);
    f.ComputePassEncoderRelease(pass);
    const dawn::CommandBuffer commands = f.CommandEncoderFinish(encoder, nullptr);
    f.CommandEncoderRelease(encoder);
    f.QueueSubmit(queue_, 1, &commands);
    f.CommandBufferRelease(commands);
  });
  if (group != nullptr) f.BindGroupRelease(group);
  if (pipeline != nullptr) f.ComputePipelineRelease(pipeline);
  if (layout != nullptr) f.PipelineLayoutRelease(layout);
  if (group_layout != nullptr) f.BindGroupLayoutRelease(group_layout);
  if (module != nullptr) f.ShaderModuleRelease(module);
  if (why.empty()) WaitForIdle();
  return lost() ? "it was lost" : why;
}

void Device::TryOut() {
  constexpr uint32_t kWords = 1024;
  const dawn::Flags storage = dawn::kStorage | dawn::kCopySource | dawn::kCopyTarget;
  const dawn::Buffer in = MakeBuffer(storage, kWords * 4), out = MakeBuffer(storage, kWords * 4);
  const dawn::Buffer back = MakeBuffer(dawn::kMapRead | dawn::kCopyTarget, kWords * 4);
  std::vector<uint32_t> given(kWords);
  for (uint32_t i = 0; i < kWords; ++i) given[i] = i * 2654435761U;
  f.QueueWriteBuffer(queue_, in, 0, given.data(), given.size() * 4);
  std::string why = ComputesRight(in, out, kWords);
  if (why.empty()) {
    why = Complaints([&] {
      const dawn::CommandEncoder encoder = f.DeviceCreateCommandEncoder(device_, nullptr);
      f.CommandEncoderCopyBufferToBuffer(encoder, out, 0, back, 0, kWords * 4);
      const dawn::CommandBuffer commands = f.CommandEncoderFinish(encoder, nullptr);
      f.CommandEncoderRelease(encoder);
      f.QueueSubmit(queue_, 1, &commands);
      f.CommandBufferRelease(commands);
    });
  }
  if (why.empty()) {
    uint32_t status = 0;
    WaitForAll(f.BufferMapAsync(
        back, dawn::kMapRead, 0, kWords * 4,
        {nullptr, dawn::CallbackMode::kWaitAnyOnly,
         [](uint32_t s, dawn::StringView, void* to, void*) { *static_cast<uint32_t*>(to) = s; },
         &status, nullptr}));
    const auto* words =
        status == dawn::kSuccess
            ? static_cast<const uint32_t*>(f.BufferGetConstMappedRange(back, 0, kWords * 4))
            : nullptr;
    if (words == nullptr) why = "its memory cannot be read back";
    for (uint32_t i = 0; i < kWords && why.empty(); ++i) {
      if (words[i] != given[i] * 3 + i) why = "it computes wrong values";
    }
  }
  for (const dawn::Buffer b : {in, out, back}) f.BufferRelease(b);
  if (!why.empty()) {
    throw Error(Code::kGpuUnavailable, "the GPU " + facts_.name + " was tried and failed: " + why);
  }
  facts_.f16 = facts_.f16 && Compiles("enable f16;\nfn a() -> f16 { return 1.0h; }");
  facts_.subgroups = facts_.subgroups && Compiles("enable subgroups;\n");
}

// The feature's number and the descriptor's are extensions of one build's: they are trusted when
// what a kernel makes of imported memory is right.
void Device::TryHostMapped() {
  constexpr uint32_t kWords = 4 * kPage / 4;
  constexpr size_t kBytes = size_t{kWords} * 4;
  facts_.host_mapped = false;
  void* const memory =
      mmap(nullptr, 2 * kBytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  if (memory == MAP_FAILED) {
    facts_.host_mapped_reason = "no memory to try it";
    return;
  }
  auto* const words = static_cast<uint32_t*>(memory);
  for (uint32_t i = 0; i < kWords; ++i) words[i] = i * 2246822519U;
  std::string why;
  const dawn::Buffer in = Import(static_cast<std::byte*>(memory), kBytes, why);
  const dawn::Buffer out =
      in == nullptr ? nullptr : Import(static_cast<std::byte*>(memory) + kBytes, kBytes, why);
  if (out != nullptr) {
    why = ComputesRight(in, out, kWords);
    for (uint32_t i = 0; i < kWords && why.empty(); ++i) {
      if (words[i] != i * 2246822519U || words[kWords + i] != words[i] * 3 + i) {
        why = "a kernel's values do not arrive in the memory";
      }
    }
  }
  for (const dawn::Buffer b : {in, out}) {
    if (b == nullptr) continue;
    f.BufferDestroy(b);
    f.BufferRelease(b);
  }
  Tick();
  munmap(memory, 2 * kBytes);
  facts_.host_mapped = why.empty();
  facts_.host_mapped_reason = why.empty() ? "" : "tried and failed: " + why;
}

}  // namespace tilecast::gpu

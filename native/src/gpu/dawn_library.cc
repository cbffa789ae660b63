// SPDX-License-Identifier: MIT
// Finds and loads Dawn's shared library.
#include "gpu/dawn_library.h"

#include <dlfcn.h>

#include <cstdlib>
#include <filesystem>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <system_error>

#include "error.h"

namespace tilecast::gpu {
namespace {

#if defined(__APPLE__)
constexpr const char* kFile = "libwebgpu_wrapper.dylib";
constexpr const char* kSystem = "darwin";
#else
constexpr const char* kFile = "libwebgpu_wrapper.so";
constexpr const char* kSystem = "linux";
#endif
#if defined(__aarch64__)
constexpr const char* kMachine = "arm64";
#else
constexpr const char* kMachine = "x64";
#endif

// Candidates in the order in which they are tried.
std::vector<std::string> Candidates(const std::string& wanted) {
  if (!wanted.empty()) return {wanted};
  if (const char* named = std::getenv("TILECAST_DAWN"); named != nullptr && *named != 0) {
    return {named};
  }
  const std::string package = DawnPackage();
  Dl_info info{};
  if (package.empty() || dladdr(reinterpret_cast<void*>(&LoadDawn), &info) == 0 ||
      info.dli_fname == nullptr) {
    return {};
  }
  std::error_code ignored;
  std::filesystem::path folder = std::filesystem::canonical(info.dli_fname, ignored).parent_path();
  std::vector<std::string> found, looked;
  for (; !folder.empty(); folder = folder.parent_path()) {
    const auto file = folder / "node_modules" / package / kFile;
    if (std::filesystem::exists(file, ignored)) found.push_back(file.string());
    looked.push_back(file.string());
    if (folder == folder.parent_path()) break;
  }
  return found.empty() ? looked : found;
}

// Fills the table; the name of the first function that is missing.
std::optional<std::string> Resolve(void* handle, dawn::Functions& f) {
  std::optional<std::string> missing;
  const auto find = [&](auto& function, const char* name) {
    function = reinterpret_cast<std::remove_reference_t<decltype(function)>>(dlsym(handle, name));
    if (function == nullptr && !missing) missing = name;
  };
  // Not called. Its later name says that the instance's descriptor and the features' numbers are
  // others than dawn_abi.h has.
  void (*revision)() = nullptr;
  find(revision, "wgpuGetInstanceCapabilities");
  find(f.CreateInstance, "wgpuCreateInstance");
  find(f.InstanceRelease, "wgpuInstanceRelease");
  find(f.InstanceRequestAdapter, "wgpuInstanceRequestAdapter");
  find(f.InstanceWaitAny, "wgpuInstanceWaitAny");
  find(f.InstanceProcessEvents, "wgpuInstanceProcessEvents");
  find(f.AdapterRelease, "wgpuAdapterRelease");
  find(f.AdapterGetInfo, "wgpuAdapterGetInfo");
  find(f.AdapterInfoFreeMembers, "wgpuAdapterInfoFreeMembers");
  find(f.AdapterGetFeatures, "wgpuAdapterGetFeatures");
  find(f.SupportedFeaturesFreeMembers, "wgpuSupportedFeaturesFreeMembers");
  find(f.AdapterGetLimits, "wgpuAdapterGetLimits");
  find(f.AdapterRequestDevice, "wgpuAdapterRequestDevice");
  find(f.DeviceRelease, "wgpuDeviceRelease");
  find(f.DeviceDestroy, "wgpuDeviceDestroy");
  find(f.DeviceForceLoss, "wgpuDeviceForceLoss");
  find(f.DeviceTick, "wgpuDeviceTick");
  find(f.DeviceGetQueue, "wgpuDeviceGetQueue");
  find(f.DeviceCreateBuffer, "wgpuDeviceCreateBuffer");
  find(f.DeviceCreateShaderModule, "wgpuDeviceCreateShaderModule");
  find(f.DeviceCreateComputePipeline, "wgpuDeviceCreateComputePipeline");
  find(f.DeviceCreateBindGroupLayout, "wgpuDeviceCreateBindGroupLayout");
  find(f.DeviceCreatePipelineLayout, "wgpuDeviceCreatePipelineLayout");
  find(f.DeviceCreateBindGroup, "wgpuDeviceCreateBindGroup");
  find(f.DeviceCreateCommandEncoder, "wgpuDeviceCreateCommandEncoder");
  find(f.DevicePushErrorScope, "wgpuDevicePushErrorScope");
  find(f.DevicePopErrorScope, "wgpuDevicePopErrorScope");
  find(f.QueueRelease, "wgpuQueueRelease");
  find(f.QueueSubmit, "wgpuQueueSubmit");
  find(f.QueueWriteBuffer, "wgpuQueueWriteBuffer");
  find(f.QueueOnSubmittedWorkDone, "wgpuQueueOnSubmittedWorkDone");
  find(f.BufferRelease, "wgpuBufferRelease");
  find(f.BufferDestroy, "wgpuBufferDestroy");
  find(f.BufferMapAsync, "wgpuBufferMapAsync");
  find(f.BufferGetMappedRange, "wgpuBufferGetMappedRange");
  find(f.BufferGetConstMappedRange, "wgpuBufferGetConstMappedRange");
  find(f.BufferUnmap, "wgpuBufferUnmap");
  find(f.ShaderModuleRelease, "wgpuShaderModuleRelease");
  find(f.ComputePipelineRelease, "wgpuComputePipelineRelease");
  find(f.BindGroupRelease, "wgpuBindGroupRelease");
  find(f.BindGroupLayoutRelease, "wgpuBindGroupLayoutRelease");
  find(f.PipelineLayoutRelease, "wgpuPipelineLayoutRelease");
  find(f.CommandEncoderBeginComputePass, "wgpuCommandEncoderBeginComputePass");
  find(f.CommandEncoderCopyBufferToBuffer, "wgpuCommandEncoderCopyBufferToBuffer");
  find(f.CommandEncoderClearBuffer, "wgpuCommandEncoderClearBuffer");
  find(f.CommandEncoderFinish, "wgpuCommandEncoderFinish");
  find(f.CommandEncoderRelease, "wgpuCommandEncoderRelease");
  find(f.CommandBufferRelease, "wgpuCommandBufferRelease");
  find(f.ComputePassEncoderSetPipeline, "wgpuComputePassEncoderSetPipeline");
  find(f.ComputePassEncoderSetBindGroup, "wgpuComputePassEncoderSetBindGroup");
  find(f.ComputePassEncoderDispatchWorkgroups, "wgpuComputePassEncoderDispatchWorkgroups");
  find(f.ComputePassEncoderEnd, "wgpuComputePassEncoderEnd");
  find(f.ComputePassEncoderRelease, "wgpuComputePassEncoderRelease");
  return missing;
}

}  // namespace

std::string DawnPackage() {
  const std::string platform = std::string(kSystem) + "-" + kMachine;
  return platform == "linux-arm64" ? "" : "bun-webgpu-" + platform;
}

const DawnLibrary& LoadDawn(const std::string& wanted) {
  static std::mutex mutex;
  static std::map<std::string, std::unique_ptr<DawnLibrary>> loaded;
  const std::lock_guard lock(mutex);
  std::string tried;
  for (const std::string& path : Candidates(wanted)) {
    if (const auto known = loaded.find(path); known != loaded.end()) return *known->second;
    std::string reason;
    void* const handle = dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL | RTLD_NODELETE);
    if (handle == nullptr) {
      const char* why = dlerror();
      reason = why != nullptr ? why : "cannot be loaded";
    } else {
      auto library = std::make_unique<DawnLibrary>();
      library->path = path;
      const auto missing = Resolve(handle, library->functions);
      if (!missing) return *(loaded[path] = std::move(library));
      reason = path + ": of another revision of Dawn than this tilecast calls (it has no " +
               *missing + ")";
    }
    // dlerror names the file itself, as a rule.
    tried += (tried.empty() ? "" : "; ") + (reason.find(path) == 0 ? "" : path + ": ") + reason;
  }
  const std::string package = DawnPackage();
  std::string message = "the GPU library cannot be loaded (";
  if (tried.empty()) {
    message += package.empty() ? "no package has it for this platform" : "nothing to try";
  } else {
    message += "tried " + tried;
  }
  message += "). ";
  message += package.empty() ? "Set" : "Install the optional dependency " + package + ", or set";
  message += " TILECAST_DAWN to a build of Dawn with its C functions";
  throw Error(Code::kGpuUnavailable, message);
}

}  // namespace tilecast::gpu

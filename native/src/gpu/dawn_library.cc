// SPDX-License-Identifier: MIT
// Finds and loads Dawn's shared library.
#include "gpu/dawn_library.h"

#include <dlfcn.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <type_traits>

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

// The file to load, or nothing and why.
std::string Choose(const std::string& wanted, std::string& why_not) {
  if (!wanted.empty()) return wanted;
  if (const char* named = std::getenv("TILECAST_DAWN"); named != nullptr && *named != 0) {
    return named;
  }
  const std::string package = DawnPackage();
  Dl_info info{};
  if (package.empty() || dladdr(reinterpret_cast<void*>(&LoadDawn), &info) == 0 ||
      info.dli_fname == nullptr) {
    why_not = "no npm package has it for this platform";
    return {};
  }
  // Not std::filesystem: its symbols are newer than the oldest libstdc++ that a release runs on.
  char* const resolved = realpath(info.dli_fname, nullptr);
  std::string folder = resolved == nullptr ? info.dli_fname : resolved;
  std::free(resolved);
  while (!folder.empty()) {
    folder.resize(std::min(folder.rfind('/'), folder.size()));  // empty at the root
    std::string file = folder;
    file.append("/node_modules/").append(package).append("/").append(kFile);
    if (access(file.c_str(), R_OK) == 0) return file;
    if (folder.find('/') == std::string::npos) break;
  }
  why_not = "no node_modules/" + package + " above " + info.dli_fname;
  return {};
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
  std::string why;
  const std::string path = Choose(wanted, why);
  if (const auto known = loaded.find(path); known != loaded.end()) return *known->second;
  void* const handle =
      path.empty() ? nullptr : dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL | RTLD_NODELETE);
  if (handle != nullptr) {
    auto library = std::make_unique<DawnLibrary>();
    library->path = path;
    const auto missing = Resolve(handle, library->functions);
    if (!missing) return *(loaded[path] = std::move(library));
    why = path + ": of another revision of Dawn than this tilecast calls (it has no " + *missing +
          ")";
  } else if (!path.empty()) {
    const char* said = dlerror();
    why = said == nullptr ? path : said;  // names the file, as a rule
  }
  const std::string package = DawnPackage();
  throw Error(
      Code::kGpuUnavailable,
      "the GPU library cannot be loaded: " + why + ". " +
          (package.empty() ? "Set" : "Install the optional dependency " + package + ", or set") +
          " TILECAST_DAWN to a build of Dawn with its C functions");
}

}  // namespace tilecast::gpu

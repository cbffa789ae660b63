// SPDX-License-Identifier: MIT
// A device of Dawn's: chosen, opened, tried out, and closed. Everything but lost() is for the one
// thread that has it.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "gpu/dawn_library.h"
#include "gpu/engine.h"

namespace tilecast::gpu {

class Device {
 public:
  // Chooses an adapter, and computes something on the device to see that it does. Throws
  // kGpuUnavailable.
  explicit Device(const EngineOptions& options);
  ~Device();
  Device(const Device&) = delete;
  Device& operator=(const Device&) = delete;

  const dawn::Functions& f;
  const AdapterFacts& facts() const { return facts_; }
  dawn::Device handle() const { return device_; }
  dawn::Queue queue() const { return queue_; }
  bool lost() const { return lost_.load(); }

  // Whether all of them are complete in that time. Throws kGpuFailed when waiting itself fails; a
  // lost device's futures complete.
  bool Wait(std::span<dawn::FutureWait> futures, uint64_t timeout_ns);

  // Runs `make`, and says what Dawn had against what it called; empty: nothing.
  template <class F>
  std::string Complaints(F&& make) {
    PushScopes();
    make();
    return PopScopes();
  }
  void PushScopes();
  std::string PopScopes();

  // Throws kGpuFailed: too large, or out of memory.
  dawn::Buffer MakeBuffer(dawn::Flags usage, uint64_t bytes, bool mapped = false);
  // Imports page-aligned memory; null, and why, when it cannot be.
  dawn::Buffer Import(std::byte* memory, uint64_t bytes, std::string& why);
  // Imported buffers that the device still uses, also after they were destroyed.
  int64_t imports_alive() const { return imports_alive_.load(); }
  // Waits until everything that was submitted is done.
  void WaitForIdle();
  // Lets the device get on with what it has put off: freeing memory.
  void Tick();
  // For what callbacks write that are called at the latest when the device is released.
  void KeepUntilReleased(std::shared_ptr<void> what) { kept_.push_back(std::move(what)); }

 private:
  void OpenInstance();
  void ChooseAdapter(const std::string& wanted);
  dawn::Adapter RequestAdapter(dawn::PowerPreference power, bool fallback, std::string& message);
  void OpenDevice();
  bool TryDevice(std::span<const uint32_t> features, std::string& message);
  bool Compiles(const char* wgsl);
  void TryOut();
  void TryHostMapped();
  std::string ComputesRight(dawn::Buffer in, dawn::Buffer out, uint32_t words);
  void WaitForAll(dawn::Future future);
  void Release();

  const DawnLibrary& library_;
  AdapterFacts facts_;
  dawn::Instance instance_ = nullptr;
  dawn::Adapter adapter_ = nullptr;
  dawn::Device device_ = nullptr;
  dawn::Queue queue_ = nullptr;
  // Dawn's callbacks write them, the last ones while the device is released.
  std::atomic<bool> lost_{false};
  std::atomic<int64_t> imports_alive_{0};
  std::vector<std::shared_ptr<void>> kept_;
};

}  // namespace tilecast::gpu

// SPDX-License-Identifier: MIT
// Buffers through which planes go that the device cannot reach: filled and read by callers' threads
// while they are mapped, kept from request to request.
#pragma once

#include <cstdint>
#include <memory>
#include <mutex>
#include <vector>

#include "gpu/device.h"

namespace tilecast::gpu {

struct Staging {
  dawn::Buffer buffer = nullptr;
  uint64_t size = 0;
  std::byte* memory = nullptr;  // while it is mapped
  uint32_t map_status = 0;      // what the last mapping came to
};

// Of one direction and one device. The device's thread, but for TakeFree and PutFree: any.
class StagingPool {
 public:
  StagingPool(Device& device, bool up) : device_(device), up_(up) {}
  ~StagingPool();
  StagingPool(const StagingPool&) = delete;
  StagingPool& operator=(const StagingPool&) = delete;

  // One that is free and large enough without being much too large, or null.
  Staging* TakeFree(uint64_t bytes);
  void PutFree(Staging* staging);
  // A free or a new one, mapped when it is for going up. Throws kGpuFailed.
  Staging* Take(uint64_t bytes);
  // Asks for the mapping, to be awaited.
  dawn::Future Map(Staging& staging);
  // After that: whether `memory` is there.
  bool TakeMapping(Staging& staging);
  void Unmap(Staging& staging);
  // Drops free ones beyond what a few requests need.
  void Trim();
  uint64_t made() const { return made_; }

 private:
  void Drop(Staging* staging);

  Device& device_;
  const bool up_;
  std::vector<std::unique_ptr<Staging>> all_;
  std::mutex mutex_;  // guards:
  std::vector<Staging*> free_;
  uint64_t made_ = 0;
};

}  // namespace tilecast::gpu

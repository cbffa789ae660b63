// SPDX-License-Identifier: MIT
// Registered host memory, and its slots as buffers of the device.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <utility>
#include <vector>

#include "gpu/device.h"

namespace tilecast::gpu {

// What is registered. Any thread.
class HostRegions {
 public:
  struct Place {
    const HostMemory* memory = nullptr;  // stands still while a request has a plane there
    uint32_t slot = 0;
    uint64_t offset = 0;
    uint64_t epoch = 0;
  };

  // Throws kInvalidArgument: not page-aligned, or overlapping what is registered.
  void Add(HostMemory memory);
  void Remove(const std::byte* base);
  bool Has(const std::byte* base) const;
  // Where the bytes lie, when they lie in one slot at an offset that can be bound.
  bool Find(const std::byte* data, uint64_t bytes, Place& place) const;
  // The epochs of now, for what is imported.
  uint64_t EpochOf(const std::byte* base, uint32_t slot) const;

 private:
  mutable std::mutex mutex_;
  std::map<const std::byte*, std::unique_ptr<const HostMemory>> memory_;
};

// Slots as buffers of one device, each imported when it is first used, and again when another
// object was put in its place: a place's epoch says so. The device's thread only.
class Imports {
 public:
  Imports(Device& device, const HostRegions& regions) : device_(device), regions_(regions) {}
  ~Imports();
  Imports(const Imports&) = delete;
  Imports& operator=(const Imports&) = delete;

  // Null when this memory cannot be imported; it is then staged, and not tried again.
  dawn::Buffer Get(const HostRegions::Place& place);
  // Lets go of what was replaced: handed-over memory must not stay because of us.
  void DropStale();
  // Everything of one region, and waits until the device uses none of it.
  void Drop(const std::byte* base);

  uint64_t made() const { return made_; }
  uint64_t stale() const { return stale_; }

 private:
  struct Imported {
    uint64_t epoch = 0;
    dawn::Buffer buffer = nullptr;  // null: refused
  };
  using Key = std::pair<const std::byte*, uint32_t>;
  void Release(const Imported& imported);

  Device& device_;
  const HostRegions& regions_;
  std::map<Key, Imported> imported_;
  uint64_t made_ = 0, stale_ = 0;
};

}  // namespace tilecast::gpu

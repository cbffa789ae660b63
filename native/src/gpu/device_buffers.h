// SPDX-License-Identifier: MIT
// Memory on the device: buffers that requests share one after another, and constants.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <unordered_map>
#include <vector>

#include "gpu/device.h"

namespace tilecast::gpu {

// Storage buffers by size, used again in the order of the queue: who gets one back may still have
// work under way on it, since the queue runs what is submitted later after it.
class BufferPool {
 public:
  explicit BufferPool(Device& device) : device_(device) {}
  ~BufferPool();
  BufferPool(const BufferPool&) = delete;
  BufferPool& operator=(const BufferPool&) = delete;

  struct Loan {
    dawn::Buffer buffer = nullptr;
    uint64_t size = 0;  // of its class
  };
  // At least `bytes`. Throws kGpuFailed; when the device has no memory, unused buffers go first.
  Loan Take(uint64_t bytes);
  void Return(const Loan& loan);
  // Gives back what was not used since the last call but one.
  void Trim();
  uint64_t made() const { return made_; }

 private:
  void Free(std::vector<dawn::Buffer>& buffers);

  Device& device_;
  struct Class {
    std::vector<dawn::Buffer> free;
    size_t idle = 0;  // the least number of free ones since the last Trim
  };
  std::map<uint64_t, Class> classes_;
  uint64_t made_ = 0;
};

// The size class of a buffer: a multiple of an eighth of the power of two below, so that at most an
// eighth is wasted.
uint64_t SizeClass(uint64_t bytes);

// Uploaded once for each object, and dropped when nobody has the object any more.
class Constants {
 public:
  explicit Constants(Device& device) : device_(device) {}
  ~Constants();
  Constants(const Constants&) = delete;
  Constants& operator=(const Constants&) = delete;

  // Throws kGpuFailed.
  dawn::Buffer Get(const gpu::Buffer& constant);
  void DropUnused();

 private:
  struct Held {
    std::weak_ptr<const std::vector<std::byte>> data;
    dawn::Buffer buffer = nullptr;
    uint64_t bytes = 0;
  };
  Device& device_;
  std::unordered_map<const void*, Held> held_;
};

}  // namespace tilecast::gpu

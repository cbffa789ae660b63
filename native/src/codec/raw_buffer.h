// SPDX-License-Identifier: MIT
// Scratch memory that grows, never shrinks, and is never zeroed: a reader's steady state allocates
// nothing.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>

namespace tilecast {

class RawBuffer {
 public:
  // At least `bytes` of memory aligned for every pixel type. What was in it before may be lost.
  // Throws std::bad_alloc.
  uint8_t* Ensure(size_t bytes) {
    if (bytes > capacity_) {
      // Half as much again, so that files of slowly growing size do not reallocate each time; freed
      // first to bound the peak.
      const size_t want = bytes + bytes / 2;
      data_.reset();
      capacity_ = 0;
      data_.reset(new uint8_t[want]);
      capacity_ = want;
    }
    return data_.get();
  }
  size_t capacity() const { return capacity_; }

 private:
  std::unique_ptr<uint8_t[]> data_;
  size_t capacity_ = 0;
};

}  // namespace tilecast

// SPDX-License-Identifier: MIT
// Buffers on the device.
#include "gpu/device_buffers.h"

#include <algorithm>
#include <bit>

#include "error.h"

namespace tilecast::gpu {
namespace {

constexpr dawn::Flags kUsage = dawn::kStorage | dawn::kCopySource | dawn::kCopyTarget;
// Dawn makes a new staging buffer for each write above 4 MiB, and keeps one for smaller ones.
constexpr size_t kWriteBytes = size_t{4} << 20;

}  // namespace

uint64_t SizeClass(uint64_t bytes) {
  const uint64_t least = std::max<uint64_t>(bytes, 4096);
  const uint64_t step = std::bit_floor(least) / 8;
  return (least + step - 1) / step * step;
}

BufferPool::~BufferPool() {
  for (auto& [size, of] : classes_) Free(of.free);
}

void BufferPool::Free(std::vector<dawn::Buffer>& buffers) {
  for (const dawn::Buffer buffer : buffers) {
    device_.f.BufferDestroy(buffer);
    device_.f.BufferRelease(buffer);
  }
  buffers.clear();
}

BufferPool::Loan BufferPool::Take(uint64_t bytes) {
  // A class may be larger than what the adapter takes, where the bytes themselves are not.
  uint64_t size = SizeClass(bytes);
  if (size > device_.facts().max_buffer_bytes) size = bytes;
  Class& of = classes_[size];
  if (!of.free.empty()) {
    const dawn::Buffer buffer = of.free.back();
    of.free.pop_back();
    of.idle = std::min(of.idle, of.free.size());
    return {buffer, size};
  }
  of.idle = 0;
  ++made_;
  try {
    return {device_.MakeBuffer(kUsage, size), size};
  } catch (const Error&) {
    if (size > device_.facts().max_buffer_bytes) throw;
    for (auto& [other, unused] : classes_) Free(unused.free);
    return {device_.MakeBuffer(kUsage, size), size};
  }
}

void BufferPool::Return(const Loan& loan) {
  classes_[loan.size].free.push_back(loan.buffer);
}

void BufferPool::Trim() {
  for (auto it = classes_.begin(); it != classes_.end();) {
    Class& of = it->second;
    const size_t unused = std::min(of.idle, of.free.size());
    std::vector<dawn::Buffer> drop(of.free.begin(),
                                   of.free.begin() + static_cast<ptrdiff_t>(unused));
    of.free.erase(of.free.begin(), of.free.begin() + static_cast<ptrdiff_t>(unused));
    Free(drop);
    of.idle = of.free.size();
    ++it;
  }
}

Constants::~Constants() {
  for (const auto& [key, held] : held_) {
    device_.f.BufferDestroy(held.buffer);
    device_.f.BufferRelease(held.buffer);
  }
}

dawn::Buffer Constants::Get(const gpu::Buffer& constant) {
  const auto found = held_.find(constant.data.get());
  // The address of an object that is gone may be another one's now.
  if (found != held_.end() && found->second.data.lock() == constant.data &&
      found->second.bytes >= constant.bytes) {
    return found->second.buffer;
  }
  const dawn::Buffer buffer = device_.MakeBuffer(kUsage, constant.bytes);
  const std::byte* from = constant.data->data();
  const size_t whole = constant.data->size() / 4 * 4;
  for (size_t at = 0; at < whole; at += kWriteBytes) {
    device_.f.QueueWriteBuffer(device_.queue(), buffer, at, from + at,
                               std::min(kWriteBytes, whole - at));
  }
  if (whole < constant.data->size()) {
    std::byte last[4] = {};
    std::copy(from + whole, from + constant.data->size(), last);
    device_.f.QueueWriteBuffer(device_.queue(), buffer, whole, last, 4);
  }
  Held& held = held_[constant.data.get()];
  if (held.buffer != nullptr) device_.f.BufferRelease(held.buffer);
  held = {constant.data, buffer, constant.bytes};
  return buffer;
}

void Constants::DropUnused() {
  for (auto it = held_.begin(); it != held_.end();) {
    if (!it->second.data.expired()) {
      ++it;
      continue;
    }
    device_.f.BufferDestroy(it->second.buffer);
    device_.f.BufferRelease(it->second.buffer);
    it = held_.erase(it);
  }
}

}  // namespace tilecast::gpu

// SPDX-License-Identifier: MIT
// Staging buffers.
#include "gpu/staging.h"

#include <algorithm>

#include "gpu/device_buffers.h"

namespace tilecast::gpu {
namespace {

constexpr uint64_t kMostFreeBytes = uint64_t{512} << 20;

}  // namespace

StagingPool::~StagingPool() {
  for (const auto& staging : all_) device_.f.BufferRelease(staging->buffer);
  // A mapping that is under way ends with the device, and says so to its Staging.
  device_.KeepUntilReleased(std::make_shared<decltype(all_)>(std::move(all_)));
}

void StagingPool::PutFree(Staging* staging) {
  const std::lock_guard lock(mutex_);
  free_.push_back(staging);
}

Staging* StagingPool::TakeFree(uint64_t bytes) {
  const std::lock_guard lock(mutex_);
  auto best = free_.end();
  for (auto it = free_.begin(); it != free_.end(); ++it) {
    const bool fits = (*it)->size >= bytes && (*it)->size / 2 <= SizeClass(bytes);
    if (fits && (best == free_.end() || (*it)->size < (*best)->size)) best = it;
  }
  if (best == free_.end()) return nullptr;
  Staging* const found = *best;
  free_.erase(best);
  return found;
}

Staging* StagingPool::Take(uint64_t bytes) {
  if (Staging* const found = TakeFree(bytes); found != nullptr) return found;
  auto made = std::make_unique<Staging>();
  made->size = std::max(bytes, std::min(SizeClass(bytes), device_.facts().max_buffer_bytes));
  const dawn::Flags usage =
      up_ ? dawn::kMapWrite | dawn::kCopySource : dawn::kMapRead | dawn::kCopyTarget;
  made->buffer = device_.MakeBuffer(usage, made->size, up_);
  if (up_) {
    made->memory =
        static_cast<std::byte*>(device_.f.BufferGetMappedRange(made->buffer, 0, made->size));
  }
  ++made_;
  all_.push_back(std::move(made));
  return all_.back().get();
}

dawn::Future StagingPool::Map(Staging& staging) {
  staging.map_status = 0;
  return device_.f.BufferMapAsync(staging.buffer, up_ ? dawn::kMapWrite : dawn::kMapRead, 0,
                                  staging.size,
                                  {nullptr, dawn::CallbackMode::kWaitAnyOnly,
                                   [](uint32_t status, dawn::StringView, void* to, void*) {
                                     static_cast<Staging*>(to)->map_status = status;
                                   },
                                   &staging, nullptr});
}

bool StagingPool::TakeMapping(Staging& staging) {
  if (staging.map_status != dawn::kSuccess) return false;
  const dawn::Functions& f = device_.f;
  void* const memory =
      up_ ? f.BufferGetMappedRange(staging.buffer, 0, staging.size)
          : const_cast<void*>(f.BufferGetConstMappedRange(staging.buffer, 0, staging.size));
  staging.memory = static_cast<std::byte*>(memory);
  return memory != nullptr;
}

void StagingPool::Unmap(Staging& staging) {
  if (staging.memory == nullptr) return;
  device_.f.BufferUnmap(staging.buffer);
  staging.memory = nullptr;
}

void StagingPool::Drop(Staging* staging) {
  device_.f.BufferDestroy(staging->buffer);
  device_.f.BufferRelease(staging->buffer);
  std::erase_if(all_, [&](const auto& one) { return one.get() == staging; });
}

void StagingPool::Trim() {
  const std::lock_guard lock(mutex_);
  uint64_t bytes = 0;
  for (const Staging* staging : free_) bytes += staging->size;
  // The first in the list have waited longest.
  while (bytes > kMostFreeBytes && !free_.empty()) {
    bytes -= free_.front()->size;
    Drop(free_.front());
    free_.erase(free_.begin());
  }
}

}  // namespace tilecast::gpu

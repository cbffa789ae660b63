// SPDX-License-Identifier: MIT
// Imports slots of registered memory, and notices when they were replaced.
#include "gpu/host_planes.h"

#include <string>

#include "error.h"
#include "gpu/prepared_recipe.h"

namespace tilecast::gpu {
namespace {

constexpr uint64_t kPage = 4096;  // what importing wants, whatever the system's page is

}  // namespace

HostMemory MemoryOf(const TilePool& pool) {
  return {pool.base(), pool.slot_bytes(), pool.slots(),
          [&pool](uint32_t slot) { return pool.MappedEpoch(slot); }};
}

void HostRegions::Add(HostMemory memory) {
  if (memory.base == nullptr || reinterpret_cast<uintptr_t>(memory.base) % kPage != 0 ||
      memory.slot_bytes == 0 || memory.slot_bytes % kPage != 0 || memory.slots == 0) {
    throw Error(Code::kInvalidArgument,
                "memory for the GPU must begin at a page and have slots of whole pages; its slots "
                "have " +
                    std::to_string(memory.slot_bytes) + " bytes");
  }
  const std::byte* const end = memory.base + memory.slot_bytes * memory.slots;
  const std::lock_guard lock(mutex_);
  for (const auto& [base, known] : memory_) {
    if (memory.base < base + known->slot_bytes * known->slots && base < end) {
      throw Error(Code::kInvalidArgument, "the memory is registered with the GPU already");
    }
  }
  const std::byte* const base = memory.base;
  memory_[base] = std::make_unique<const HostMemory>(std::move(memory));
}

void HostRegions::Remove(const std::byte* base) {
  const std::lock_guard lock(mutex_);
  memory_.erase(base);
}

bool HostRegions::Has(const std::byte* base) const {
  const std::lock_guard lock(mutex_);
  return memory_.contains(base);
}

bool HostRegions::Find(const std::byte* data, uint64_t bytes, Place& place) const {
  const std::lock_guard lock(mutex_);
  auto after = memory_.upper_bound(data);
  if (after == memory_.begin()) return false;
  const HostMemory& memory = *std::prev(after)->second;
  const auto at = static_cast<uint64_t>(data - memory.base);
  const uint64_t slot = at / memory.slot_bytes, offset = at % memory.slot_bytes;
  if (slot >= memory.slots || offset % kOffsetAlignment != 0 ||
      bytes > memory.slot_bytes - offset) {
    return false;
  }
  place = {&memory, static_cast<uint32_t>(slot), offset, 0};
  if (memory.epoch) place.epoch = memory.epoch(place.slot);
  return true;
}

uint64_t HostRegions::EpochOf(const std::byte* base, uint32_t slot) const {
  const std::lock_guard lock(mutex_);
  const auto found = memory_.find(base);
  return found == memory_.end() || !found->second->epoch ? 0 : found->second->epoch(slot);
}

Imports::~Imports() {
  for (const auto& [key, imported] : imported_) Release(imported);
}

void Imports::Release(const Imported& imported) {
  if (imported.buffer == nullptr) return;
  // Destroyed, and not only released: a bind group that is kept would keep it, too.
  device_.f.BufferDestroy(imported.buffer);
  device_.f.BufferRelease(imported.buffer);
}

dawn::Buffer Imports::Get(const HostRegions::Place& place) {
  const HostMemory& memory = *place.memory;
  const Key key{memory.base, place.slot};
  const auto found = imported_.find(key);
  if (found != imported_.end()) {
    if (found->second.epoch == place.epoch) return found->second.buffer;
    Release(found->second);
    imported_.erase(found);
    ++stale_;
  }
  Imported imported{place.epoch, nullptr};
  std::string why;
  if (memory.slot_bytes <= device_.facts().max_buffer_bytes) {
    imported.buffer =
        device_.Import(memory.base + place.slot * memory.slot_bytes, memory.slot_bytes, why);
  }
  ++made_;
  imported_[key] = imported;
  return imported.buffer;
}

void Imports::DropStale() {
  for (auto it = imported_.begin(); it != imported_.end();) {
    if (regions_.EpochOf(it->first.first, it->first.second) == it->second.epoch) {
      ++it;
      continue;
    }
    Release(it->second);
    it = imported_.erase(it);
    ++stale_;
  }
}

void Imports::Drop(const std::byte* base) {
  for (auto it = imported_.lower_bound({base, 0});
       it != imported_.end() && it->first.first == base;) {
    Release(it->second);
    it = imported_.erase(it);
  }
  device_.WaitForIdle();
  device_.Tick();
}

}  // namespace tilecast::gpu

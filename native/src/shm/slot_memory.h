// SPDX-License-Identifier: MIT
// The memory of a pool: its named objects, allocated, mapped side by side, pre-faulted, and
// unlinked when it goes.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>

#include "shm/object.h"

namespace tilecast::shm {

class SlotMemory {
 public:
  // Makes the objects; `format` lays out the control object before the first slot exists, so that
  // whoever finds half a pool knows its maker. Throws kPoolMemory (with what was asked, what is
  // free and what to do); then nothing is left behind. `slot_bytes` is a multiple of the page.
  using Format = std::function<void(std::byte* control, const std::string& id)>;
  SlotMemory(uint64_t slot_bytes, uint32_t slots, uint64_t control_bytes, const Format& format);
  // Takes over an opened and checked control object; MapSlots then maps the slots of its pool.
  explicit SlotMemory(OpenedObject control);
  ~SlotMemory();  // unlinks what it made, and unmaps
  SlotMemory(const SlotMemory&) = delete;
  SlotMemory& operator=(const SlotMemory&) = delete;

  // Gives the number of a slot's object, or kNowhere for a slot that has none of the pool's own.
  using EpochOf = std::function<uint64_t(uint32_t slot)>;
  static constexpr uint64_t kNowhere = UINT64_MAX;
  // Throws kPoolNotFound (the pool was closed meanwhile), kPoolVersion (a slot of another size),
  // kPoolMemory (no addresses).
  void MapSlots(bool writable, const EpochOf& epoch);

  // Sees to it that this process maps the slot's object of that epoch, or a later one. For a holder
  // of a lease, under which the epoch stands still. Throws as MapSlots. Any thread.
  void Follow(uint32_t slot, uint64_t epoch) {
    if (mapped_[slot].load(std::memory_order_acquire) != epoch) MapAnew(slot, epoch);
  }

  // Maps what was replaced anew, and lets go of what slots without an object still map: memory that
  // was handed over must not stay because of us once its reader lets go. Any thread, at any time.
  void Tidy(const EpochOf& epoch);

  // An allocated and pre-faulted object that can take the place of a slot's.
  struct Spare {
    uint32_t row;
    uint32_t number;  // under kMaxSpares, and in use once a row
    std::byte* memory;
  };
  // Nothing when there is no memory; `error` then has the reason.
  std::optional<Spare> MakeSpare(uint32_t row, uint32_t number, int& error) const;
  void DropSpare(const Spare& spare) const;
  // Gives the slot the spare's object: under the slot's name, and in this process's mapping, as
  // epoch `epoch`. Nobody else may use the slot. False when that failed, the spare is gone then
  // too.
  bool PutInPlace(const Spare& spare, uint32_t slot, uint64_t epoch);
  void UnlinkSlot(uint32_t slot) const;
  // Maps nothing at a slot: it reads as zeros. Nobody may hold a lease of it.
  void LetGo(uint32_t slot);
  bool IsMapped(uint32_t slot) const { return mapped_[slot].load() != kNowhere; }
  // Of the object that this process maps there; kNowhere: of none.
  uint64_t MappedEpoch(uint32_t slot) const {
    return mapped_[slot].load(std::memory_order_acquire);
  }

  // Removes the names of a pool that this very process made; the mappings stay. Does nothing in a
  // forked child. Idempotent; one thread at a time.
  void Unlink();
  // Names that go together with the pool's.
  void SetExtras(const struct ExportEntry* exports, const std::atomic<uint32_t>* spare_rows);

  const std::string& id() const { return id_; }
  uint64_t slot_bytes() const { return slot_bytes_; }
  uint32_t slots() const { return slots_; }
  std::byte* base() const { return base_; }
  std::byte* control() const { return control_; }
  int control_fd() const { return control_fd_; }

 private:
  void Allocate(const Format& format);
  void Reserve();
  std::byte* MapNew(int64_t n, uint64_t bytes, std::byte* at);
  void MapExisting(uint32_t n);
  void MapAnew(uint32_t slot, uint64_t epoch);
  void MapNothing(uint32_t slot);
  void MakeSlots();
  void Unmap();

  const uint64_t slot_bytes_;
  const uint32_t slots_;
  const uint64_t control_bytes_;
  const int maker_pid_;  // 0: another process made it
  std::string id_;
  int registered_ = -1;
  bool linked_ = false;
  bool writable_ = true;
  std::mutex map_mutex_;                             // held while a slot is mapped anew
  std::unique_ptr<std::atomic<uint64_t>[]> mapped_;  // the epoch of what is mapped
  int control_fd_ = -1;
  std::byte* base_ = nullptr;
  std::byte* control_ = nullptr;
};

}  // namespace tilecast::shm

// SPDX-License-Identifier: MIT
// The memory of a pool: its named objects, allocated, mapped side by side, pre-faulted, and
// unlinked when it goes.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
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

  // Throws kPoolNotFound (the pool was closed meanwhile), kPoolVersion (a slot of another size),
  // kPoolMemory (no addresses).
  void MapSlots(bool writable);

  // Removes the names of a pool that this very process made; the mappings stay. Does nothing in a
  // forked child. Idempotent; one thread at a time.
  void Unlink();
  // The entries whose names go together with the pool's.
  void SetExports(const struct ExportEntry* exports);

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
  void MapExisting(uint32_t n, bool writable);
  void MakeSlots();
  void Unmap();

  const uint64_t slot_bytes_;
  const uint32_t slots_;
  const uint64_t control_bytes_;
  const int maker_pid_;  // 0: another process made it
  std::string id_;
  int registered_ = -1;
  bool linked_ = false;
  int control_fd_ = -1;
  std::byte* base_ = nullptr;
  std::byte* control_ = nullptr;
};

}  // namespace tilecast::shm

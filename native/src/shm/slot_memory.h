// SPDX-License-Identifier: MIT
// The memory of a pool: its named objects, allocated, mapped side by side, pre-faulted, and
// unlinked when it goes.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>

namespace tilecast::shm {

// "1.5 GiB", "64.0 MiB", "512 bytes": for messages.
std::string HumanBytes(uint64_t bytes);

class SlotMemory {
 public:
  // Throws kPoolMemory (with what was asked, what is free and what to do); then nothing is left
  // behind. `slot_bytes` is a multiple of the page.
  SlotMemory(uint64_t slot_bytes, uint32_t slots, uint64_t control_bytes);
  ~SlotMemory();  // unlinks and unmaps
  SlotMemory(const SlotMemory&) = delete;
  SlotMemory& operator=(const SlotMemory&) = delete;

  // Removes the names; the mappings stay. Does nothing in a forked child. Idempotent; one thread at
  // a time.
  void Unlink();

  const std::string& id() const { return id_; }
  std::byte* base() const { return base_; }
  std::byte* control() const { return control_; }

 private:
  void Allocate();
  std::byte* MapObject(int64_t n, uint64_t bytes, std::byte* at);
  void MakeSlots();
  void Unmap();

  const uint64_t slot_bytes_;
  const uint32_t slots_;
  const uint64_t control_bytes_;
  const int creator_pid_;
  std::string id_;
  int registered_ = -1;
  bool linked_ = false;
  std::byte* base_ = nullptr;
  std::byte* control_ = nullptr;
};

}  // namespace tilecast::shm

// SPDX-License-Identifier: MIT
// Slots under a second, throw-away name, for readers that understand "name, dtype, shape, offset
// 0".
#pragma once

#include <cstdint>
#include <mutex>
#include <optional>
#include <string>

#include "shm/control_block.h"
#include "shm/slot_memory.h"

namespace tilecast::shm {

// How an export came to be; what the reader opens is `name`, without a slash.
struct ExportReport {
  std::string name;
  bool copied = false;  // an object of its own: the pixels at the time of the export
  std::string reason;   // why it is a copy; empty else
  uint64_t bytes = 0;
};

// The pool's export table. Every method is safe from any thread.
class ExportTable {
 public:
  struct Removed {
    uint32_t slot;
    uint32_t generation;
    bool leased;  // the export's lease is to be given back
  };

  ExportTable(ControlBlock& control, const SlotMemory& memory)
      : control_(control), memory_(memory) {}

  // The caller has taken the lease that the export keeps (a copy keeps none). An empty `name` is
  // made up. Throws kInvalidArgument for a name that cannot be or is taken, kPoolMemory when the
  // table or /dev/shm is full.
  ExportReport Add(uint32_t slot, uint32_t generation, std::string name, uint32_t reader_pid);
  // Removes an export of this process. Nothing where there is none of this name.
  std::optional<Removed> Remove(const std::string& name);
  // The same, and the exported object now belongs to its reader.
  std::optional<Removed> GiveAway(const std::string& name);
  // An export of this process whose reader is dead, removed.
  std::optional<Removed> RemoveOneOfDeadReader();
  // All exports of a row; their leases go with the row's. Whether a reader has kept the memory is
  // what only the process that exported it would have heard: the objects are given away.
  static void RemoveRow(ControlBlock& control, uint32_t row);

 private:
  template <class F>
  std::optional<Removed> RemoveIf(F&& wanted, bool give_away = false);
  uint64_t Own(ExportState state) const {
    return uint64_t{static_cast<uint32_t>(control_.row())} << 32 | static_cast<uint32_t>(state);
  }

  ControlBlock& control_;
  const SlotMemory& memory_;
  // Of this process's threads: one may look at an entry's name while another fills or empties it.
  // Other processes leave entries of a living row alone.
  std::mutex mutex_;
};

}  // namespace tilecast::shm

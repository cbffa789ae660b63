// SPDX-License-Identifier: MIT
// The pool's control object: the layout that every process agrees on (docs/pool-layout.md) and the
// lock-free slot operations.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <string_view>

namespace tilecast::shm {

inline constexpr uint64_t kControlMagic = 0x4C4F4F5054534354;  // "TCSTPOOL" as little-endian bytes
inline constexpr uint32_t kControlVersion = 1;
inline constexpr uint32_t kMaxProcesses = 64;
// Each slot is a mapping of its own; Linux allows 65530 of them in a process by default
// (vm.max_map_count).
inline constexpr uint32_t kMaxSlots = 32768;

enum class PoolState : uint32_t { kBuilding = 0, kOpen = 1, kClosed = 2 };
enum class ProcessState : uint32_t { kEmpty = 0, kClaimed = 1, kAttached = 2 };

// All integers are little-endian; every atomic is lock-free and address-free, so it works across
// processes.
struct ControlHeader {
  uint64_t magic;
  uint32_t version;
  uint32_t header_bytes;
  uint64_t control_bytes;
  uint64_t slot_bytes;
  uint32_t slots;
  uint32_t max_processes;
  uint64_t process_table_offset;
  uint64_t slot_table_offset;
  uint64_t free_bitmap_offset;
  uint64_t lease_table_offset;
  char id[24];  // zero-terminated
  uint32_t creator_pid;
  std::atomic<uint32_t> state;  // PoolState
  uint64_t creator_start_time;  // field 22 of /proc/<pid>/stat: a pid that was given out again
                                // differs here
  uint64_t created_unix_ns;
  // The four slots released last, newest in the low 16 bits, each as index + 1; 0 means none. A
  // hint: the truth is SlotEntry::word.
  alignas(64) std::atomic<uint64_t> recent;
  // Counters for reports. A process that dies may leave them slightly wrong; nothing depends on
  // them.
  alignas(64) std::atomic<uint64_t> loans;
  std::atomic<uint64_t> waits;
  std::atomic<uint32_t> in_use;
  std::atomic<uint32_t> peak_in_use;
};

struct ProcessEntry {
  std::atomic<uint32_t> state;  // ProcessState
  std::atomic<uint32_t> pid;
  std::atomic<uint64_t> start_time;
  uint64_t reserved[6];
};

// One cache line a slot, so that threads working on neighbours do not disturb each other.
struct SlotEntry {
  std::atomic<uint64_t> word;  // generation << 32 | leases; leases == 0 means free
  uint64_t reserved[7];
};

static_assert(std::atomic<uint64_t>::is_always_lock_free);
static_assert(std::atomic<uint32_t>::is_always_lock_free);
static_assert(sizeof(std::atomic<uint64_t>) == 8 && sizeof(std::atomic<uint32_t>) == 4);
static_assert(offsetof(ControlHeader, magic) == 0);
static_assert(offsetof(ControlHeader, version) == 8);
static_assert(offsetof(ControlHeader, header_bytes) == 12);
static_assert(offsetof(ControlHeader, control_bytes) == 16);
static_assert(offsetof(ControlHeader, slot_bytes) == 24);
static_assert(offsetof(ControlHeader, slots) == 32);
static_assert(offsetof(ControlHeader, max_processes) == 36);
static_assert(offsetof(ControlHeader, process_table_offset) == 40);
static_assert(offsetof(ControlHeader, slot_table_offset) == 48);
static_assert(offsetof(ControlHeader, free_bitmap_offset) == 56);
static_assert(offsetof(ControlHeader, lease_table_offset) == 64);
static_assert(offsetof(ControlHeader, id) == 72);
static_assert(offsetof(ControlHeader, creator_pid) == 96);
static_assert(offsetof(ControlHeader, state) == 100);
static_assert(offsetof(ControlHeader, creator_start_time) == 104);
static_assert(offsetof(ControlHeader, created_unix_ns) == 112);
static_assert(offsetof(ControlHeader, recent) == 128);
static_assert(offsetof(ControlHeader, loans) == 192);
static_assert(offsetof(ControlHeader, waits) == 200);
static_assert(offsetof(ControlHeader, in_use) == 208);
static_assert(offsetof(ControlHeader, peak_in_use) == 212);
static_assert(sizeof(ControlHeader) == 256);
static_assert(offsetof(ProcessEntry, state) == 0 && offsetof(ProcessEntry, pid) == 4);
static_assert(offsetof(ProcessEntry, start_time) == 8 && sizeof(ProcessEntry) == 64);
static_assert(offsetof(SlotEntry, word) == 0 && sizeof(SlotEntry) == 64);

constexpr uint32_t Generation(uint64_t word) {
  return static_cast<uint32_t>(word >> 32);
}
constexpr uint32_t Leases(uint64_t word) {
  return static_cast<uint32_t>(word);
}

// Ticks after boot at which this process started (field 22 of /proc/self/stat); 0 where that cannot
// be read.
uint64_t ProcessStartTime();

// This process's view of a control object. Copyable; does not own the mapping. Every method is
// lock-free and safe from any thread.
class ControlBlock {
 public:
  enum class Change { kStale, kShared, kFreed };

  static uint64_t BytesFor(uint32_t slots);

  ControlBlock() = default;
  // Lays out a fresh (zeroed) object of BytesFor(slots) bytes and enters this process as its first
  // attached one.
  static ControlBlock Format(std::byte* memory, std::string_view id, uint64_t slot_bytes,
                             uint32_t slots);

  // Takes the slot that was released last if it is still known, else the free slot with the lowest
  // index: both keep the working set small and warm. Starts a new generation.
  bool TryTake(uint32_t& slot, uint32_t& generation);
  // One more lease on a loan; false when it is stale.
  bool AddLease(uint32_t slot, uint32_t generation);
  // One lease less.
  Change DropLease(uint32_t slot, uint32_t generation);
  uint64_t word(uint32_t slot) const { return slots_[slot].word.load(std::memory_order_acquire); }
  // Free slots at this moment, by the bitmap.
  uint32_t CountFree() const;

  ControlHeader& header() const { return *header_; }

 private:
  bool Claim(uint32_t slot, uint32_t& generation);
  std::atomic<uint32_t>& lease(uint32_t slot) const { return leases_[slot]; }

  ControlHeader* header_ = nullptr;
  SlotEntry* slots_ = nullptr;
  std::atomic<uint64_t>* free_ = nullptr;    // bit set: probably free
  std::atomic<uint32_t>* leases_ = nullptr;  // this process's row
  uint32_t count_ = 0;  // our own copy: a damaged header must not send us out of bounds
};

}  // namespace tilecast::shm

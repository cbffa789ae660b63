// SPDX-License-Identifier: MIT
// The pool's control object: the layout that every process agrees on (docs/pool-layout.md) and the
// lock-free slot operations.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "shm/futex.h"
#include "shm/object.h"

namespace tilecast::shm {

inline constexpr uint32_t kPoolLayoutVersion = 3;
inline constexpr ObjectKind kPoolKind{"tile pool", 'c', kPoolMagic, kPoolLayoutVersion};
// Each slot is a mapping of its own; Linux allows 65530 of them in a process by default
// (vm.max_map_count).
inline constexpr uint32_t kMaxSlots = 32768;
inline constexpr uint32_t kMaxExports = 256;

struct ControlHeader {
  ObjectHeader object;
  // The four slots released last, newest in the low 16 bits, each as index + 1; 0 means none. A
  // hint: the truth is SlotEntry::word.
  std::atomic<uint64_t> recent;
  uint64_t reserved0[7];
  // Counters for reports. A process that dies may leave them slightly wrong; nothing depends on
  // them.
  std::atomic<uint64_t> loans;
  std::atomic<uint64_t> waits;
  std::atomic<uint32_t> in_use;
  std::atomic<uint32_t> peak_in_use;
  uint64_t reserved1[5];
  // Bit r: row r may be attached. Only tells a release whether another process can be waiting.
  std::atomic<uint32_t> attached;
  uint32_t reserved2;
  SharedEvent freed;  // a slot became free, or the pool closed
  SharedEvent given;  // a slot waits for a new object
  // Bit r: the process of row r may have named spare objects.
  std::atomic<uint32_t> spare_rows;
  uint32_t reserved3;
  std::atomic<uint64_t> handed_over;  // counter, for reports
  uint64_t reserved4[3];
};

// One cache line a slot, so that threads working on neighbours do not disturb each other.
struct SlotEntry {
  // generation << 32 | holders: bit r is set while the process of row r holds leases. No holder
  // means free. One word, so that taking away what a dead process held is one idempotent change.
  std::atomic<uint64_t> word;
  // epoch << 1 | given. The epoch counts the objects that this slot has had; a process whose
  // mapping is of another epoch maps the slot anew before it uses it. Given: the object belongs to
  // somebody else, and the slot is lent again only after it got another one. Changed by holders of
  // a lease only, so that it stands still for a holder but for `given` becoming true.
  std::atomic<uint64_t> object;
  uint64_t reserved[6];
};

enum class ExportState : uint32_t { kEmpty = 0, kClaimed = 1, kLive = 2 };

// A slot's throw-away second name. Written before the name exists, so that it is found if its maker
// dies.
struct ExportEntry {
  std::atomic<uint64_t> owner;  // row << 32 | ExportState
  std::atomic<uint64_t> inode;  // of the object behind the name; 0 not known: not made yet
  uint32_t slot;
  uint32_t generation;
  uint32_t reader_pid;  // 0: nobody in particular
  uint32_t copied;      // 1: an object of its own, no lease is held
  uint64_t reader_start_time;
  char name[32];  // without the slash, zero-terminated
  uint64_t reserved[7];
};

static_assert(offsetof(ControlHeader, recent) == 128);
static_assert(offsetof(ControlHeader, loans) == 192);
static_assert(offsetof(ControlHeader, waits) == 200);
static_assert(offsetof(ControlHeader, in_use) == 208);
static_assert(offsetof(ControlHeader, peak_in_use) == 212);
static_assert(offsetof(ControlHeader, attached) == 256);
static_assert(offsetof(ControlHeader, freed) == 264);
static_assert(offsetof(ControlHeader, given) == 272);
static_assert(offsetof(ControlHeader, spare_rows) == 280);
static_assert(offsetof(ControlHeader, handed_over) == 288);
static_assert(sizeof(ControlHeader) == 320);
static_assert(offsetof(SlotEntry, word) == 0 && offsetof(SlotEntry, object) == 8);
static_assert(sizeof(SlotEntry) == 64);
static_assert(offsetof(ExportEntry, inode) == 8 && offsetof(ExportEntry, slot) == 16);
static_assert(offsetof(ExportEntry, generation) == 20 && offsetof(ExportEntry, reader_pid) == 24);
static_assert(offsetof(ExportEntry, copied) == 28 &&
              offsetof(ExportEntry, reader_start_time) == 32);
static_assert(offsetof(ExportEntry, name) == 40 && sizeof(ExportEntry) == 128);

constexpr uint32_t Generation(uint64_t word) {
  return static_cast<uint32_t>(word >> 32);
}
constexpr uint32_t Holders(uint64_t word) {
  return static_cast<uint32_t>(word);
}
constexpr bool IsGiven(uint64_t object) {
  return (object & 1) != 0;
}
constexpr uint64_t Epoch(uint64_t object) {
  return object >> 1;
}

// This process's view of a control object; does not own the mapping. Every method is safe from any
// thread, and lock-free but for one case: a thread that takes this process's first lease on another
// process's loan, or gives back the last one, makes other threads that want the same slot wait for
// its next instruction.
class ControlBlock {
 public:
  // kGiven: the last lease is gone, and the slot waits for a new object.
  enum class Change { kStale, kShared, kFreed, kGiven };

  static uint64_t BytesFor(uint32_t slots);
  // Lays out a fresh (zeroed) object of BytesFor(slots) bytes and enters this process in row 0.
  // The state stays kBuilding.
  static void Format(std::byte* memory, std::string_view id, uint64_t slot_bytes, uint32_t slots);
  // Throws kPoolVersion where sizes or offsets are not those of this version.
  static void Check(const OpenedObject& object);

  // For a formatted or checked object. `row` is this process's, or -1 for an observer, whose
  // mapping may be read-only: it must not call what changes anything.
  ControlBlock(std::byte* memory, int row);

  // Takes the slot that was released last if it is still known, else the free slot with the lowest
  // index: both keep the working set small and warm. Starts a new generation.
  bool TryTake(uint32_t& slot, uint32_t& generation);
  // One more lease on a loan; false when it is stale.
  bool AddLease(uint32_t slot, uint32_t generation);
  // One lease less of those that this process holds; kStale when it holds none of that generation.
  Change DropLease(uint32_t slot, uint32_t generation);
  uint64_t word(uint32_t slot) const { return slots_[slot].word.load(std::memory_order_acquire); }
  uint64_t epoch(uint32_t slot) const {
    return Epoch(slots_[slot].object.load(std::memory_order_acquire));
  }
  // Free slots at this moment, by the bitmap.
  uint32_t CountFree() const;

  // The slot's object now belongs to somebody else. The caller holds a lease of the loan, or is
  // about to take that of a dead process away.
  void GiveAway(uint32_t slot);
  // Nobody holds the slot, and its object was given away.
  bool IsMissing(uint32_t slot) const;
  // Holds a missing slot, with a lease that nobody else can have; false when it is not missing (any
  // more).
  bool TakeMissing(uint32_t slot, uint32_t& generation);
  // Ends TakeMissing: with `renewed` the slot has another object now (this process maps it already)
  // and is free, without it is still missing.
  void EndMissing(uint32_t slot, uint32_t generation, bool renewed);

  // Takes away every lease of a row: of a dead process (under the Janitor's lock), or of this one
  // as it leaves.
  void Reclaim(uint32_t row);
  // Sets the bit of every free slot whose bit is missing (a process that dies between clearing it
  // and taking the slot would hide the slot), and recounts the slots in use.
  void Repair();

  // Whether processes other than this one may be attached.
  bool shared() const { return (header_->attached.load() & ~self_) != 0; }
  ProcessTable processes() const;
  ExportEntry* exports() const { return exports_; }
  ControlHeader& header() const { return *header_; }
  int row() const { return row_; }
  uint32_t slots() const { return count_; }

 private:
  bool Claim(uint32_t slot, uint32_t& generation);
  // After the last lease: false when the slot waits for a new object.
  bool MarkFree(uint32_t slot);
  void Offer(uint32_t slot);

  ControlHeader* header_;
  std::byte* memory_;
  SlotEntry* slots_;
  std::atomic<uint64_t>* free_;  // bit set: probably free
  ExportEntry* exports_;
  int row_;
  uint32_t self_;   // this process's bit in a word
  uint32_t count_;  // our own copy: a damaged header must not send us out of bounds
  // generation << 32 | leases of this process. Private memory: it dies with the process, which is
  // all that anybody else needs.
  std::unique_ptr<std::atomic<uint64_t>[]> counts_;
};

}  // namespace tilecast::shm

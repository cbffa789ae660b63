// SPDX-License-Identifier: MIT
// Lock-free slot operations on the control object. The slot's word is the only truth; bitmap and
// `recent` merely say where to look.
#include "shm/control_block.h"

#include <bit>
#include <new>
#include <thread>

#include "error.h"

namespace tilecast::shm {
namespace {

struct Offsets {
  uint64_t processes, slots, bitmap, exports, end;
};

constexpr Offsets OffsetsFor(uint32_t slots) {
  Offsets o{};
  o.processes = sizeof(ControlHeader);
  o.slots = o.processes + kMaxProcesses * sizeof(ProcessEntry);
  o.bitmap = o.slots + uint64_t{slots} * sizeof(SlotEntry);
  o.exports = o.bitmap + AlignToLine((slots + 63) / 64 * sizeof(uint64_t));
  o.end = o.exports + kMaxExports * sizeof(ExportEntry);
  return o;
}

// In a process's own count: a thread is changing this process's bit in the word.
constexpr uint32_t kBusy = UINT32_MAX;

constexpr uint64_t Count(uint32_t generation, uint32_t leases) {
  return uint64_t{generation} << 32 | leases;
}

// Orders what a holder writes to the pixels after its new generation, for readers that look at the
// generation, the pixels, and the generation again.
void FencePixels() {
#ifndef __SANITIZE_THREAD__  // which does not know fences
  std::atomic_thread_fence(std::memory_order_release);
#endif
}

}  // namespace

uint64_t ControlBlock::BytesFor(uint32_t slots) {
  return OffsetsFor(slots).end;
}

void ControlBlock::Format(std::byte* memory, std::string_view id, uint64_t slot_bytes,
                          uint32_t slots) {
  const Offsets o = OffsetsFor(slots);
  auto* header = new (memory) ControlHeader{};
  ObjectHeader& object = header->object;
  const ProcessIdentity self = ThisProcess();
  FillHeader(object, id, self);
  object.version = kPoolLayoutVersion;
  object.header_bytes = sizeof(ControlHeader);
  object.control_bytes = o.end;
  object.item_bytes = slot_bytes;
  object.items = slots;
  object.process_table_offset = o.processes;
  object.item_table_offset = o.slots;
  object.free_bitmap_offset = o.bitmap;
  object.export_table_offset = o.exports;
  header->attached.store(1);
  ProcessTable(reinterpret_cast<ProcessEntry*>(memory + o.processes), kMaxProcesses).Join(self);
  auto* bitmap = reinterpret_cast<std::atomic<uint64_t>*>(memory + o.bitmap);
  for (uint32_t slot = 0; slot < slots; ++slot) {
    bitmap[slot / 64].fetch_or(uint64_t{1} << (slot % 64), std::memory_order_relaxed);
  }
  object.magic.store(kPoolMagic, std::memory_order_release);
}

void ControlBlock::Check(const OpenedObject& object) {
  const ObjectHeader& header = object.header();
  const auto expect = [&](const char* what, uint64_t expected, uint64_t got) {
    if (expected == got) return;
    throw Error(Code::kPoolVersion, std::string("the tile pool ") + header.id + " has " + what +
                                        " " + std::to_string(got) + ", expected " +
                                        std::to_string(expected) +
                                        ": it is damaged, or of another version of tilecast");
  };
  const uint32_t slots = header.items;
  if (slots == 0 || slots > kMaxSlots) expect("a number of slots of", kMaxSlots, slots);
  const Offsets o = OffsetsFor(slots);
  expect("a header size of", sizeof(ControlHeader), header.header_bytes);
  expect("a recorded size of", o.end, header.control_bytes);
  expect("an object size of", o.end, object.bytes);
  expect("a process table of", kMaxProcesses, header.max_processes);
  expect("a process table offset of", o.processes, header.process_table_offset);
  expect("a slot table offset of", o.slots, header.item_table_offset);
  expect("a bitmap offset of", o.bitmap, header.free_bitmap_offset);
  expect("an export table offset of", o.exports, header.export_table_offset);
}

ControlBlock::ControlBlock(std::byte* memory, int row)
    : header_(reinterpret_cast<ControlHeader*>(memory)),
      memory_(memory),
      row_(row),
      self_(row < 0 ? 0 : uint32_t{1} << row),
      count_(header_->object.items) {
  const Offsets o = OffsetsFor(count_);
  slots_ = reinterpret_cast<SlotEntry*>(memory + o.slots);
  free_ = reinterpret_cast<std::atomic<uint64_t>*>(memory + o.bitmap);
  exports_ = reinterpret_cast<ExportEntry*>(memory + o.exports);
  if (row >= 0) counts_ = std::make_unique<std::atomic<uint64_t>[]>(count_);
}

ProcessTable ControlBlock::processes() const {
  return {reinterpret_cast<ProcessEntry*>(memory_ + OffsetsFor(count_).processes), kMaxProcesses};
}

bool ControlBlock::Claim(uint32_t slot, uint32_t& generation) {
  const uint64_t bit = uint64_t{1} << (slot % 64);
  if ((free_[slot / 64].fetch_and(~bit) & bit) == 0) return false;
  uint64_t word = slots_[slot].word.load(std::memory_order_acquire);
  while (Holders(word) == 0) {
    // Given only by holders: if it is not now, it is not when the exchange succeeds either.
    if (IsGiven(slots_[slot].object.load())) return false;
    const uint64_t next = (uint64_t{Generation(word) + 1} << 32) | self_;
    if (!slots_[slot].word.compare_exchange_weak(word, next)) continue;
    generation = Generation(next);
    // Nobody else knows of this loan yet. A thread with a stale one may be at its count: it then
    // finds that its own change fails.
    counts_[slot].store(Count(generation, 1));
    FencePixels();
    const uint32_t in_use = header_->in_use.fetch_add(1, std::memory_order_relaxed) + 1;
    header_->loans.fetch_add(1, std::memory_order_relaxed);
    uint32_t peak = header_->peak_in_use.load(std::memory_order_relaxed);
    while (peak < in_use && in_use <= count_ &&
           !header_->peak_in_use.compare_exchange_weak(peak, in_use, std::memory_order_relaxed)) {
    }
    return true;
  }
  return false;
}

bool ControlBlock::TryTake(uint32_t& slot, uint32_t& generation) {
  uint64_t recent = header_->recent.load(std::memory_order_acquire);
  while (recent != 0) {
    if (!header_->recent.compare_exchange_weak(recent, recent >> 16)) continue;
    const uint32_t candidate = static_cast<uint32_t>(recent & 0xFFFF) - 1;
    if (candidate < count_ && Claim(candidate, generation)) {
      slot = candidate;
      return true;
    }
    recent = header_->recent.load(std::memory_order_acquire);
  }
  const uint32_t words = (count_ + 63) / 64;
  for (uint32_t w = 0; w < words; ++w) {
    for (uint64_t bits = free_[w].load(); bits != 0; bits &= bits - 1) {
      const uint32_t candidate = w * 64 + static_cast<uint32_t>(std::countr_zero(bits));
      if (candidate < count_ && Claim(candidate, generation)) {
        slot = candidate;
        return true;
      }
    }
  }
  return false;
}

bool ControlBlock::AddLease(uint32_t slot, uint32_t generation) {
  std::atomic<uint64_t>& own = counts_[slot];
  uint64_t count = own.load();
  for (;;) {
    const uint32_t leases = Holders(count);
    if (leases == kBusy) {
      std::this_thread::yield();
      count = own.load();
    } else if (leases != 0) {
      if (Generation(count) != generation) return false;
      if (own.compare_exchange_weak(count, count + 1)) return true;
    } else if (own.compare_exchange_weak(count, Count(generation, kBusy))) {
      break;
    }
  }
  // The first lease of this process on a loan that another one holds.
  uint64_t word = slots_[slot].word.load();
  while (Generation(word) == generation && Holders(word) != 0 && (Holders(word) & self_) == 0) {
    if (!slots_[slot].word.compare_exchange_weak(word, word | self_)) continue;
    own.store(Count(generation, 1));
    return true;
  }
  count = Count(generation, kBusy);
  own.compare_exchange_strong(count,
                              Count(generation, 0));  // fails when a new loan began meanwhile
  return false;
}

ControlBlock::Change ControlBlock::DropLease(uint32_t slot, uint32_t generation) {
  std::atomic<uint64_t>& own = counts_[slot];
  uint64_t count = own.load();
  for (;;) {
    const uint32_t leases = Holders(count);
    if (leases == kBusy) {
      std::this_thread::yield();
      count = own.load();
    } else if (Generation(count) != generation || leases == 0) {
      return Change::kStale;
    } else if (leases > 1) {
      if (own.compare_exchange_weak(count, count - 1)) return Change::kShared;
    } else if (own.compare_exchange_weak(count, Count(generation, kBusy))) {
      break;
    }
  }
  const uint64_t word = slots_[slot].word.fetch_and(~uint64_t{self_});
  count = Count(generation, kBusy);
  own.compare_exchange_strong(count,
                              Count(generation, 0));  // fails when a new loan began meanwhile
  if ((Holders(word) & self_) == 0) return Change::kStale;
  if (Holders(word) != self_) return Change::kShared;
  return MarkFree(slot) ? Change::kFreed : Change::kGiven;
}

bool ControlBlock::MarkFree(uint32_t slot) {
  header_->in_use.fetch_sub(1, std::memory_order_relaxed);
  // Whoever gave it away did so before giving up the lease, and was a holder before us, or is us.
  if (IsGiven(slots_[slot].object.load())) return false;
  Offer(slot);
  return true;
}

void ControlBlock::Offer(uint32_t slot) {
  free_[slot / 64].fetch_or(uint64_t{1} << (slot % 64));
  uint64_t recent = header_->recent.load(std::memory_order_relaxed);
  while (!header_->recent.compare_exchange_weak(recent, (recent << 16) | (slot + 1))) {
  }
}

uint32_t ControlBlock::CountFree() const {
  uint32_t count = 0;
  for (uint32_t w = 0; w < (count_ + 63) / 64; ++w) {
    count += static_cast<uint32_t>(std::popcount(free_[w].load()));
  }
  return count;
}

void ControlBlock::GiveAway(uint32_t slot) {
  if (!IsGiven(slots_[slot].object.fetch_or(1))) {
    header_->handed_over.fetch_add(1, std::memory_order_relaxed);
  }
}

bool ControlBlock::IsMissing(uint32_t slot) const {
  return Holders(slots_[slot].word.load()) == 0 && IsGiven(slots_[slot].object.load());
}

bool ControlBlock::TakeMissing(uint32_t slot, uint32_t& generation) {
  uint64_t word = slots_[slot].word.load();
  while (Holders(word) == 0) {
    if (!IsGiven(slots_[slot].object.load())) return false;
    // A generation of its own: readers without a lease must not take the new object's pixels for
    // the old ones, and a second attempt must not end the first one.
    const uint64_t next = (uint64_t{Generation(word) + 1} << 32) | self_;
    if (!slots_[slot].word.compare_exchange_weak(word, next)) continue;
    generation = Generation(next);
    counts_[slot].store(Count(generation, 1));
    return true;
  }
  return false;
}

void ControlBlock::EndMissing(uint32_t slot, uint32_t generation, bool renewed) {
  if (renewed) {
    const uint64_t object = slots_[slot].object.load();
    slots_[slot].object.store((Epoch(object) + 1) << 1);
  }
  counts_[slot].store(Count(generation, 0));
  slots_[slot].word.fetch_and(~uint64_t{self_});
  if (renewed) Offer(slot);
}

void ControlBlock::Reclaim(uint32_t row) {
  const uint32_t bit = uint32_t{1} << row;
  for (uint32_t slot = 0; slot < count_; ++slot) {
    if ((Holders(slots_[slot].word.load()) & bit) == 0) continue;
    if (Holders(slots_[slot].word.fetch_and(~uint64_t{bit})) != bit) continue;
    MarkFree(slot);
  }
}

void ControlBlock::Repair() {
  uint32_t in_use = 0;
  for (uint32_t slot = 0; slot < count_; ++slot) {
    const uint64_t bit = uint64_t{1} << (slot % 64);
    if (Holders(slots_[slot].word.load()) != 0) {
      ++in_use;
    } else if ((free_[slot / 64].load() & bit) == 0 && !IsGiven(slots_[slot].object.load())) {
      free_[slot / 64].fetch_or(bit);
    }
  }
  header_->in_use.store(in_use, std::memory_order_relaxed);
}

}  // namespace tilecast::shm

// SPDX-License-Identifier: MIT
// Lock-free slot operations on the control object. The slot's word is the only truth; bitmap and
// `recent` merely say where to look.
#include "shm/control_block.h"

#include <fcntl.h>
#include <unistd.h>

#include <bit>
#include <chrono>
#include <cstdlib>
#include <cstring>
#include <new>

namespace tilecast::shm {
namespace {

constexpr uint64_t kCacheLine = 64;
constexpr uint64_t Align(uint64_t bytes) {
  return (bytes + kCacheLine - 1) / kCacheLine * kCacheLine;
}

struct Offsets {
  uint64_t processes, slots, bitmap, leases, end;
};

constexpr Offsets OffsetsFor(uint32_t slots) {
  Offsets o{};
  o.processes = sizeof(ControlHeader);
  o.slots = o.processes + kMaxProcesses * sizeof(ProcessEntry);
  o.bitmap = o.slots + uint64_t{slots} * sizeof(SlotEntry);
  o.leases = o.bitmap + Align((slots + 63) / 64 * sizeof(uint64_t));
  o.end = o.leases + kMaxProcesses * Align(uint64_t{slots} * sizeof(uint32_t));
  return o;
}

}  // namespace

uint64_t ProcessStartTime() {
  char text[1024];
  const int fd = open("/proc/self/stat", O_RDONLY | O_CLOEXEC);
  if (fd < 0) return 0;
  const ssize_t n = read(fd, text, sizeof(text) - 1);
  close(fd);
  if (n <= 0) return 0;
  text[n] = 0;
  // Field 2 is the command in parentheses and may itself hold spaces and parentheses: count from
  // the last ')'.
  const char* p = std::strrchr(text, ')');
  for (int field = 2; p != nullptr && field < 22; ++field) {
    p = std::strchr(p + 1, ' ');
  }
  return p == nullptr ? 0 : std::strtoull(p, nullptr, 10);
}

uint64_t ControlBlock::BytesFor(uint32_t slots) {
  return OffsetsFor(slots).end;
}

ControlBlock ControlBlock::Format(std::byte* memory, std::string_view id, uint64_t slot_bytes,
                                  uint32_t slots) {
  const Offsets o = OffsetsFor(slots);
  auto* header = new (memory) ControlHeader{};
  header->magic = kControlMagic;
  header->version = kControlVersion;
  header->header_bytes = sizeof(ControlHeader);
  header->control_bytes = o.end;
  header->slot_bytes = slot_bytes;
  header->slots = slots;
  header->max_processes = kMaxProcesses;
  header->process_table_offset = o.processes;
  header->slot_table_offset = o.slots;
  header->free_bitmap_offset = o.bitmap;
  header->lease_table_offset = o.leases;
  std::memcpy(header->id, id.data(), std::min(id.size(), sizeof(header->id) - 1));
  header->creator_pid = static_cast<uint32_t>(getpid());
  header->creator_start_time = ProcessStartTime();
  header->created_unix_ns =
      static_cast<uint64_t>(std::chrono::duration_cast<std::chrono::nanoseconds>(
                                std::chrono::system_clock::now().time_since_epoch())
                                .count());

  auto* process = new (memory + o.processes) ProcessEntry{};
  process->pid = header->creator_pid;
  process->start_time = header->creator_start_time;
  process->state.store(static_cast<uint32_t>(ProcessState::kAttached), std::memory_order_release);

  ControlBlock block;
  block.header_ = header;
  block.count_ = slots;
  block.slots_ = reinterpret_cast<SlotEntry*>(memory + o.slots);
  block.free_ = reinterpret_cast<std::atomic<uint64_t>*>(memory + o.bitmap);
  block.leases_ = reinterpret_cast<std::atomic<uint32_t>*>(memory + o.leases);  // row 0
  for (uint32_t slot = 0; slot < slots; ++slot) {
    block.free_[slot / 64].fetch_or(uint64_t{1} << (slot % 64), std::memory_order_relaxed);
  }
  return block;
}

bool ControlBlock::Claim(uint32_t slot, uint32_t& generation) {
  const uint64_t bit = uint64_t{1} << (slot % 64);
  if ((free_[slot / 64].fetch_and(~bit) & bit) == 0) return false;
  // This process's own count rises before the word and falls after it. So it is never below the
  // process's part in the word, and whoever cleans up after a dead process can err only towards
  // keeping a slot.
  lease(slot).fetch_add(1);
  uint64_t word = slots_[slot].word.load(std::memory_order_acquire);
  while (Leases(word) == 0) {
    const uint64_t next = (uint64_t{Generation(word) + 1} << 32) | 1;
    if (slots_[slot].word.compare_exchange_weak(word, next)) {
      generation = Generation(next);
      const uint32_t in_use = header_->in_use.fetch_add(1, std::memory_order_relaxed) + 1;
      header_->loans.fetch_add(1, std::memory_order_relaxed);
      uint32_t peak = header_->peak_in_use.load(std::memory_order_relaxed);
      while (peak < in_use &&
             !header_->peak_in_use.compare_exchange_weak(peak, in_use, std::memory_order_relaxed)) {
      }
      return true;
    }
  }
  lease(slot).fetch_sub(1);
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
  lease(slot).fetch_add(1);
  uint64_t word = slots_[slot].word.load(std::memory_order_acquire);
  while (Generation(word) == generation && Leases(word) != 0) {
    if (slots_[slot].word.compare_exchange_weak(word, word + 1)) return true;
  }
  lease(slot).fetch_sub(1);
  return false;
}

ControlBlock::Change ControlBlock::DropLease(uint32_t slot, uint32_t generation) {
  uint64_t word = slots_[slot].word.load(std::memory_order_acquire);
  do {
    if (Generation(word) != generation || Leases(word) == 0) return Change::kStale;
  } while (!slots_[slot].word.compare_exchange_weak(word, word - 1));
  lease(slot).fetch_sub(1);
  if (Leases(word) != 1) return Change::kShared;
  header_->in_use.fetch_sub(1, std::memory_order_relaxed);
  free_[slot / 64].fetch_or(uint64_t{1} << (slot % 64));
  uint64_t recent = header_->recent.load(std::memory_order_relaxed);
  while (!header_->recent.compare_exchange_weak(recent, (recent << 16) | (slot + 1))) {
  }
  return Change::kFreed;
}

uint32_t ControlBlock::CountFree() const {
  uint32_t count = 0;
  for (uint32_t w = 0; w < (count_ + 63) / 64; ++w) {
    count += static_cast<uint32_t>(std::popcount(free_[w].load()));
  }
  return count;
}

}  // namespace tilecast::shm

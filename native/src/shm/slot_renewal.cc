// SPDX-License-Identifier: MIT
// The stock of spare objects, and putting them in the place of those that were handed over.
#include "shm/slot_renewal.h"

#include <algorithm>
#include <chrono>
#include <system_error>
#include <utility>

#include "shm/cleanup.h"

namespace tilecast::shm {
namespace {

constexpr uint32_t kRetryMs = 100;  // while memory is lacking

int64_t NowMs() {
  return std::chrono::duration_cast<std::chrono::milliseconds>(
             std::chrono::steady_clock::now().time_since_epoch())
      .count();
}

}  // namespace

SlotRenewal::SlotRenewal(ControlBlock& control, SlotMemory& memory, std::function<bool()> ended,
                         std::function<void()> renewed)
    : control_(control),
      memory_(memory),
      ended_(std::move(ended)),
      renewed_(std::move(renewed)),
      most_(std::clamp(memory.slots() / 4, 1U, kMaxSpares)) {}

SlotRenewal::~SlotRenewal() {
  if (pid_ != getpid()) {  // a forked child: neither the thread nor the objects are its
    if (thread_.joinable()) thread_.detach();
    return;
  }
  Stop();
}

void SlotRenewal::Wake() {
  {
    const std::lock_guard lock(thread_mutex_);
    if (stop_.load()) return;
    if (!thread_.joinable()) {
      try {
        thread_ = std::thread([this] { Loop(); });
      } catch (const std::system_error&) {
        return;
      }
    }
  }
  control_.header().given.Notify();
}

void SlotRenewal::Stop() {
  std::thread thread;
  {
    const std::lock_guard lock(thread_mutex_);
    stop_.store(true);
    thread = std::move(thread_);
  }
  if (thread.joinable()) {
    control_.header().given.NotifyAlways();
    thread.join();
  }
  const std::lock_guard lock(work_);
  Trim(0);
}

void SlotRenewal::RenewAll() {
  const std::lock_guard lock(work_);
  RenewSlots();
}

void SlotRenewal::Loop() {
  SharedEvent& given = control_.header().given;
  int64_t used_at = NowMs();
  while (!stop_.load()) {
    const uint32_t seen = given.Prepare();
    uint32_t wait_ms = kIdleMs;
    {
      const std::lock_guard lock(work_);
      if (RenewSlots()) used_at = NowMs();
      if (lacking_.load()) wait_ms = kRetryMs;
      if (NowMs() - used_at >= kIdleMs) {
        target_ /= 2;
        used_at = NowMs();
        Trim(target_);
      }
      // One at a time: slots that went missing meanwhile come first.
      if (!lacking_.load() && stock_.size() < target_ && MakeOne()) wait_ms = 0;
    }
    if (stop_.load()) return;
    if (wait_ms != 0) given.Wait(seen, wait_ms);
  }
}

// Whether there was any to renew. `work_` is held.
bool SlotRenewal::RenewSlots() {
  bool any = false, failed = false, freed = false;
  for (uint32_t slot = 0; slot < memory_.slots() && !failed; ++slot) {
    if (!control_.IsMissing(slot)) continue;
    if (ended_()) return any;
    any = true;
    if (stock_.empty()) {
      target_ = std::clamp<size_t>(target_ * 2, 1, most_);
      if (!MakeOne()) {
        failed = true;
        Surrender();
        break;
      }
    }
    uint32_t generation = 0;
    if (!control_.TakeMissing(slot, generation)) continue;  // another process's renewal was first
    const SlotMemory::Spare spare = stock_.back();
    stock_.pop_back();
    spares_.store(static_cast<uint32_t>(stock_.size()), std::memory_order_relaxed);
    const bool placed = memory_.PutInPlace(spare, slot, control_.epoch(slot) + 1);
    if (ended_()) memory_.UnlinkSlot(slot);
    control_.EndMissing(slot, generation, placed);
    failed = !placed;
    freed = freed || placed;
  }
  lacking_.store(failed);
  if (freed) renewed_();
  return any;
}

// What is lacking may be what missing slots still hold: the memory of a reader that has let go.
void SlotRenewal::Surrender() {
  for (uint32_t slot = 0; slot < memory_.slots(); ++slot) {
    uint32_t generation = 0;
    if (!memory_.IsMapped(slot) || !control_.TakeMissing(slot, generation)) continue;
    memory_.LetGo(slot);
    memory_.UnlinkSlot(slot);
    control_.EndMissing(slot, generation, false);
  }
}

bool SlotRenewal::MakeOne() {
  const auto row = static_cast<uint32_t>(control_.row());
  control_.header().spare_rows.fetch_or(uint32_t{1} << row);  // before there is a name
  uint32_t number = 0;
  const auto used = [&](const SlotMemory::Spare& spare) { return spare.number == number; };
  while (std::any_of(stock_.begin(), stock_.end(), used)) ++number;
  int error = 0;
  const auto spare = memory_.MakeSpare(row, number, error);
  if (!spare) return false;
  if (ended_()) {  // who ended the pool may have looked for this name before it was there
    memory_.DropSpare(*spare);
    return false;
  }
  stock_.push_back(*spare);
  spares_.store(static_cast<uint32_t>(stock_.size()), std::memory_order_relaxed);
  return true;
}

void SlotRenewal::Trim(size_t most) {
  for (; stock_.size() > most; stock_.pop_back()) memory_.DropSpare(stock_.back());
  spares_.store(static_cast<uint32_t>(stock_.size()), std::memory_order_relaxed);
}

}  // namespace tilecast::shm

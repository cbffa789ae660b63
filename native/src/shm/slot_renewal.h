// SPDX-License-Identifier: MIT
// New objects for slots whose objects were handed over: a small stock of spare ones, and the thread
// that keeps it.
#pragma once

#include <sys/types.h>
#include <unistd.h>

#include <atomic>
#include <cstdint>
#include <functional>
#include <mutex>
#include <thread>
#include <vector>

#include "shm/control_block.h"
#include "shm/slot_memory.h"

namespace tilecast::shm {

// Making an object costs about a millisecond a megabyte, putting a spare one in place some tens of
// microseconds; neither is done by who hands over, or waits for a slot. The thread begins with the
// first hand-over of this process, or when it finds slots that a dead one left missing.
//
// The stock doubles whenever it was found empty, up to a quarter of the pool's slots and
// kMaxSpares, and halves after every kIdleMs without a hand-over: a pool that hands nothing over
// has none.
//
// Every method is safe from any thread.
class SlotRenewal {
 public:
  static constexpr uint32_t kIdleMs = 3000;

  // `ended`: no name may be made any more. `renewed` is called, on any thread, for slots that
  // became free. This process has a row, and write access.
  SlotRenewal(ControlBlock& control, SlotMemory& memory, std::function<bool()> ended,
              std::function<void()> renewed);
  ~SlotRenewal();
  SlotRenewal(const SlotRenewal&) = delete;
  SlotRenewal& operator=(const SlotRenewal&) = delete;

  // Starts the thread, or wakes it. Where no thread can be had, the next call tries again.
  void Wake();
  // Gives every missing slot a new object, now.
  void RenewAll();
  // Ends the thread and frees the stock, for good. Not on the thread itself.
  void Stop();

  uint32_t spares() const { return spares_.load(std::memory_order_relaxed); }
  // There was none for a missing slot when it was last tried.
  bool LacksMemory() const { return lacking_.load(); }

 private:
  void Loop();
  bool RenewSlots();
  bool MakeOne();
  void Surrender();
  void Trim(size_t most);

  ControlBlock& control_;
  SlotMemory& memory_;
  const std::function<bool()> ended_;
  const std::function<void()> renewed_;
  const pid_t pid_ = getpid();
  const uint32_t most_;  // spares

  std::mutex thread_mutex_;
  std::thread thread_;
  std::atomic<bool> stop_{false};

  std::mutex work_;  // guards the following; held while memory is allocated
  std::vector<SlotMemory::Spare> stock_;
  size_t target_ = 0;

  std::atomic<uint32_t> spares_{0};
  std::atomic<bool> lacking_{false};
};

}  // namespace tilecast::shm

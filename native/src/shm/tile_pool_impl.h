// SPDX-License-Identifier: MIT
// The inside of a TilePool: what waits, and the thread that serves it.
#pragma once

#include <unistd.h>

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <list>
#include <memory>
#include <mutex>
#include <thread>
#include <vector>

#include "error.h"
#include "shm/control_block.h"
#include "shm/exports.h"
#include "shm/object.h"
#include "shm/slot_memory.h"
#include "shm/slot_renewal.h"
#include "shm/tile_pool.h"

namespace tilecast {

struct PoolWaiter {
  uint32_t count = 1;
  Loan* loans = nullptr;
  bool granted = false;
  bool hopeless = false;  // no memory for the slots that it would need
  std::chrono::steady_clock::time_point since = std::chrono::steady_clock::now();
  std::condition_variable wake;
  // Set for an asynchronous loan, which has no thread to wake.
  TilePool::LoanCallback done = nullptr;
  void* context = nullptr;
  Loan own_loan;  // where an asynchronous loan is put
};

// How long a loan waits for slots that were handed over while there is no memory for new ones.
inline constexpr std::chrono::seconds kMemoryPatience{5};

// Everything that a row of the process table stands for: of a dead process (under the janitor's
// lock), or of this one as it leaves.
void ReclaimRow(shm::ControlBlock& control, uint32_t row);

struct TilePool::Impl {
  Impl(uint64_t bytes, uint32_t count);
  Impl(shm::OpenedObject object, PoolAccess wanted, int row);
  ~Impl();

  const pid_t pid = getpid();
  const bool made_here;
  const PoolAccess access;
  shm::SlotMemory memory;
  shm::ControlBlock control;
  shm::ExportTable exports;
  shm::Janitor janitor;
  shm::SlotRenewal renewal;
  const uint64_t slot_bytes;
  const uint32_t slots;
  std::atomic<bool> closed{false};

  // Order of arrival. Waiters are owned by their blocked thread, or by the queue when they are
  // asynchronous. `waiting` is the queue's length, readable without the lock: a release looks at it
  // after it freed its slot, a waiter raises it before it looks for slots, both sequentially
  // consistent, so one of the two sees the other.
  std::mutex mutex;
  std::list<PoolWaiter*> queue;
  std::atomic<uint32_t> waiting{0};

  // One thread a pool: hears of slots that other processes freed, and is the janitor. The flag
  // outlives the pool, whose last owner may be a callback on this very thread.
  std::shared_ptr<std::atomic<bool>> stop = std::make_shared<std::atomic<bool>>(false);
  std::thread service;
  std::atomic<int64_t> last_reclaim_ms{0};

  // Whether the names are gone, or about to go.
  bool NamesEnded() const;
  void StartService();
  void LeaveTable();
  static void ServiceLoop(Impl* impl, const std::shared_ptr<std::atomic<bool>>& stop);
  void Beat();
  uint32_t ReclaimDead();
  // For a loan that found no slot: as ReclaimDead, but at most every 20 ms.
  bool ReclaimOnExhaustion();

  shm::SharedEvent& freed() const { return control.header().freed; }
  void NotifyOthers() const {
    if (control.shared()) freed().Notify();
  }
  bool IsClosed() const {
    return closed.load(std::memory_order_relaxed) ||
           control.header().object.state.load(std::memory_order_relaxed) ==
               static_cast<uint32_t>(shm::ObjectState::kClosed);
  }
  void MustAllow(PoolAccess most, const char* doing) const;
  void SetState(shm::ObjectState state) {
    control.header().object.state.store(static_cast<uint32_t>(state));
  }
  // For a holder of a lease: this process maps the slot's object, not one that was handed over.
  void Follow(uint32_t slot) { memory.Follow(slot, control.epoch(slot)); }
  // Gives a lease back, and tells those whom it concerns.
  shm::ControlBlock::Change Drop(Loan loan);
  uint64_t EpochOf(uint32_t slot) const {
    return control.IsMissing(slot) ? shm::SlotMemory::kNowhere : control.epoch(slot);
  }
  // Slots that nobody holds and that have no object of the pool's own.
  uint32_t CountMissing() const;
  [[nodiscard]] Error Closed() const {
    return Error(Code::kPoolClosed, "the tile pool " + memory.id() + " is closed");
  }
  [[nodiscard]] Error Stale(Loan loan, const char* doing) const;
  bool TakeMany(uint32_t count, Loan* loans);
  void Remove(std::list<PoolWaiter*>::iterator at) {
    queue.erase(at);
    waiting.fetch_sub(1);
  }
  // Grants slots to the head of the queue while they suffice. Asynchronous waiters that got theirs
  // are moved to `ready`, for the caller to call without the lock.
  void Serve(std::vector<PoolWaiter*>& ready);
  void ServeIfAnyWait();
  // Ends all waiting. `closed` is set.
  void DropWaiters();
  // Ends the waiting of those that need slots for which there has been no memory for long.
  void DropHopeless();
  template <class F>
  void DropIf(F&& wanted);
  [[nodiscard]] Error NoMemory() const;
};

}  // namespace tilecast

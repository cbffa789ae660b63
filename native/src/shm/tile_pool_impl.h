// SPDX-License-Identifier: MIT
// The inside of a TilePool: what waits, and the thread that serves it.
#pragma once

#include <unistd.h>

#include <atomic>
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
#include "shm/tile_pool.h"

namespace tilecast {

struct PoolWaiter {
  uint32_t count = 1;
  Loan* loans = nullptr;
  bool granted = false;
  std::condition_variable wake;
  // Set for an asynchronous loan, which has no thread to wake.
  TilePool::LoanCallback done = nullptr;
  void* context = nullptr;
  Loan own_loan;  // where an asynchronous loan is put
};

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
    control.header().object.state.store(static_cast<uint32_t>(state), std::memory_order_release);
  }
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
};

}  // namespace tilecast

// SPDX-License-Identifier: MIT
// The lease that a worker thread holds on a slot it writes into, so that a release by JavaScript
// meanwhile cannot give the slot to another writer.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <utility>

#include "error.h"
#include "shm/tile_pool.h"

namespace tilecast::bind {

class SlotLease {
 public:
  SlotLease(std::shared_ptr<TilePool> pool, Loan loan) : pool_(std::move(pool)), loan_(loan) {}
  ~SlotLease() { Release(); }
  SlotLease(const SlotLease&) = delete;
  SlotLease& operator=(const SlotLease&) = delete;

  // Throws kSlotReleased for a stale loan.
  void Take() {
    pool_->AddLease(loan_);
    taken_ = true;
  }
  // Idempotent, and nothing when it was never taken.
  void Release() {
    if (!std::exchange(taken_, false)) return;
    try {
      pool_->Release(loan_);
    } catch (const Error&) {
      // Only if JavaScript released more often than it may: it has been told so already.
    }
  }

  std::byte* data() const { return pool_->data(loan_.slot); }
  uint64_t slot_bytes() const { return pool_->slot_bytes(); }

 private:
  std::shared_ptr<TilePool> pool_;
  Loan loan_;
  bool taken_ = false;
};

}  // namespace tilecast::bind

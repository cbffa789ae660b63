// SPDX-License-Identifier: MIT
// How many tiles the viewers of a run may hold at once, and which they hold.
#pragma once

#include <atomic>
#include <cstdint>
#include <mutex>
#include <vector>

#include "shm/tile_pool.h"

namespace tilecast {

struct ViewStats {
  uint64_t given = 0;
  uint64_t refused = 0;  // viewers held all they may
  double waited_ms = 0;  // of all threads together
  int held = 0;          // now
};

// A job asks for the credits of its views before it reserves its slots, and reserves as many slots
// more. The pool has one slot a credit beyond what the threads need, so that a run with viewers
// never has fewer slots than one without, whatever the viewers do.
//
// A credit comes back when the tile's last lease ends, in whichever process that is: nobody reports
// it, the budget looks at the slots' generations when it has run out. A slot whose memory a viewer
// keeps counts until the pool has put a fresh object in its place.
class ViewBudget {
 public:
  // `wait_ms`: how long all threads together may wait for credits in a run.
  ViewBudget(TilePool& pool, int slots, double wait_ms) : pool_(pool), slots_(slots) {
    wait_left_ms_ = wait_ms;
  }

  // 0 to `wanted` credits; waits only while there is none and the waiting budget lasts.
  int Acquire(int wanted, const std::atomic<bool>& cancel);
  // Ends what Acquire began: `given` are the tiles that went to viewers with their lease. Every
  // other slot of the job is back in the pool by now.
  void Settle(int acquired, const std::vector<Loan>& given);

  ViewStats Stats();

 private:
  void Prune();  // under mutex_
  int Left() const { return slots_ - acquired_ - static_cast<int>(held_.size()) - missing_; }

  TilePool& pool_;
  const int slots_;
  std::mutex mutex_;
  int acquired_ = 0;        // credits of jobs under way
  std::vector<Loan> held_;  // by viewers, when last looked at
  int missing_ = 0;         // then: slots handed over that have no new object yet
  double wait_left_ms_ = 0;
  ViewStats stats_;
};

}  // namespace tilecast

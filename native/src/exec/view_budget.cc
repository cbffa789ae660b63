// SPDX-License-Identifier: MIT
// The account of credits. Costs a short lock twice a job, and a look at every held slot when all
// credits are out.
#include "exec/view_budget.h"

#include <algorithm>
#include <chrono>
#include <thread>

namespace tilecast {

void ViewBudget::Prune() {
  // In this order: what a viewer takes away in between is counted twice, never not at all.
  std::erase_if(held_, [&](Loan loan) { return !pool_.IsCurrent(loan); });
  missing_ = static_cast<int>(pool_.Stats().missing);
}

int ViewBudget::Acquire(int wanted, const std::atomic<bool>& cancel) {
  using Clock = std::chrono::steady_clock;
  if (wanted == 0) return 0;
  std::unique_lock lock(mutex_);
  if (Left() < wanted) Prune();
  // Whoever may wait wants all of its tiles: for a viewer that knows no store, the others are lost.
  while (Left() < std::min(wanted, slots_) && wait_left_ms_ > 0 && !cancel) {
    // Leases end in other threads and processes, which wake nobody here: looked at every
    // millisecond.
    const auto began = Clock::now();
    lock.unlock();
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
    lock.lock();
    const double waited = std::chrono::duration<double, std::milli>(Clock::now() - began).count();
    wait_left_ms_ -= waited;
    stats_.waited_ms += waited;
    Prune();
  }
  const int granted = std::clamp(Left(), 0, wanted);
  acquired_ += granted;
  stats_.refused += static_cast<uint64_t>(wanted - granted);
  return granted;
}

void ViewBudget::Settle(int acquired, const std::vector<Loan>& given) {
  if (acquired == 0) return;
  const std::lock_guard lock(mutex_);
  acquired_ -= acquired;
  held_.insert(held_.end(), given.begin(), given.end());
  stats_.given += given.size();
}

ViewStats ViewBudget::Stats() {
  const std::lock_guard lock(mutex_);
  Prune();
  ViewStats stats = stats_;
  stats.held = static_cast<int>(held_.size());
  return stats;
}

}  // namespace tilecast

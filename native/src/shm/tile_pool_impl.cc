// SPDX-License-Identifier: MIT
// The pool's inside: making and leaving it, the queue of those that wait, and the thread that hears
// of other processes and clears up after dead ones.
#include <chrono>
#include <string>
#include <system_error>
#include <utility>

#include "shm/sweep.h"
#include "shm/tile_pool_impl.h"

namespace tilecast {

void ReclaimRow(shm::ControlBlock& control, uint32_t row) {
  shm::ExportTable::RemoveRow(control, row);
  control.Reclaim(row);
  control.header().attached.fetch_and(~(uint32_t{1} << row));
}

TilePool::Impl::Impl(uint64_t bytes, uint32_t count)
    : made_here(true),
      access(PoolAccess::kWrite),
      memory(bytes, count, shm::ControlBlock::BytesFor(count),
             [&](std::byte* control, const std::string& id) {
               shm::ControlBlock::Format(control, id, bytes, count);
             }),
      control(memory.control(), 0),
      exports(control, memory),
      janitor(memory.control_fd(), control.processes()),
      slot_bytes(bytes),
      slots(count) {
  memory.SetExports(control.exports());
  SetState(shm::ObjectState::kOpen);
  StartService();
}

TilePool::Impl::Impl(shm::OpenedObject object, PoolAccess wanted, int row)
    : made_here(false),
      access(wanted),
      memory(object),
      control(memory.control(), row),
      exports(control, memory),
      janitor(memory.control_fd(), control.processes()),
      slot_bytes(memory.slot_bytes()),
      slots(memory.slots()) {
  try {
    if (row >= 0) control.header().attached.fetch_or(uint32_t{1} << row);
    memory.MapSlots(access == PoolAccess::kWrite);
    if (row >= 0) StartService();
  } catch (...) {
    if (row >= 0) LeaveTable();
    throw;
  }
}

void TilePool::Impl::LeaveTable() {
  const auto row = static_cast<uint32_t>(control.row());
  ReclaimRow(control, row);
  control.processes().Leave(row);
  freed().Notify();
}

TilePool::Impl::~Impl() {
  if (control.row() < 0) return;
  if (pid != getpid()) {  // a forked child: neither the thread nor the row is its
    if (service.joinable()) service.detach();
    return;
  }
  stop->store(true);
  freed().NotifyAlways();
  if (service.get_id() == std::this_thread::get_id()) {
    service.detach();
  } else {
    service.join();
  }
  LeaveTable();
  if (!made_here) shm::SweepOne(memory.id());  // where the creator died, the last one out tidies up
}

void TilePool::Impl::StartService() {
  try {
    service = std::thread([this, flag = stop] { ServiceLoop(this, flag); });
  } catch (const std::system_error& error) {
    throw Error(Code::kPoolMemory,
                std::string("no thread for the tile pool ") + memory.id() + ": " + error.what());
  }
}

void TilePool::Impl::ServiceLoop(Impl* impl, const std::shared_ptr<std::atomic<bool>>& stop) {
  using Clock = std::chrono::steady_clock;
  constexpr std::chrono::milliseconds kBeat{shm::kLeasePeriodMs};
  auto beat = Clock::now() + kBeat;
  shm::SharedEvent& freed = impl->freed();
  while (!stop->load()) {
    const uint32_t seen = impl->waiting.load() != 0 ? freed.Prepare() : freed.count.load();
    if (stop->load()) return;
    if (!impl->closed.load() && impl->IsClosed()) {
      impl->closed.store(true);
      impl->DropWaiters();
    }
    // A callback may drop the pool's last owner: after it, the flag says whether there still is
    // one.
    impl->ServeIfAnyWait();
    if (stop->load()) return;
    const auto left = std::chrono::ceil<std::chrono::milliseconds>(beat - Clock::now()).count();
    if (left > 0) freed.Wait(seen, static_cast<uint32_t>(left));
    if (stop->load()) return;
    if (Clock::now() >= beat) {
      beat = Clock::now() + kBeat;
      impl->Beat();
    }
  }
}

void TilePool::Impl::Beat() {
  ReclaimDead();
  while (const auto removed = exports.RemoveOneOfDeadReader()) {
    if (removed->leased && control.DropLease(removed->slot, removed->generation) ==
                               shm::ControlBlock::Change::kFreed) {
      NotifyOthers();  // our own waiters: this thread serves them next
    }
  }
  shm::SweepNowAndThen();
}

uint32_t TilePool::Impl::ReclaimDead() {
  if (control.row() < 0 || !control.shared()) return 0;
  const uint32_t cleared = janitor.Run(static_cast<uint32_t>(control.row()), [&](uint32_t row) {
    ReclaimRow(control, row);
    control.Repair();
  });
  if (cleared != 0) freed().NotifyAlways();
  return cleared;
}

bool TilePool::Impl::ReclaimOnExhaustion() {
  if (!control.shared()) return false;
  const int64_t now = std::chrono::duration_cast<std::chrono::milliseconds>(
                          std::chrono::steady_clock::now().time_since_epoch())
                          .count();
  int64_t last = last_reclaim_ms.load();
  if (now - last < 20 || !last_reclaim_ms.compare_exchange_strong(last, now)) return false;
  return ReclaimDead() != 0;
}

void TilePool::Impl::MustAllow(PoolAccess most, const char* doing) const {
  if (access <= most) return;
  throw Error(Code::kInvalidArgument,
              std::string(doing) + ": the tile pool " + memory.id() + " was opened " +
                  (access == PoolAccess::kRead ? "read-only, which allows leases but no loans"
                                               : "by an observer, who can neither loan nor lease"));
}

void TilePool::Impl::DropWaiters() {
  std::vector<PoolWaiter*> dropped;
  {
    const std::lock_guard lock(mutex);
    for (auto it = queue.begin(); it != queue.end();) {
      const auto here = it++;
      if ((*here)->done != nullptr) {
        dropped.push_back(*here);
        Remove(here);
      } else {
        (*here)->wake.notify_one();
      }
    }
  }
  for (PoolWaiter* waiter : dropped) {
    waiter->done(waiter->context, nullptr);
    delete waiter;
  }
}

Error TilePool::Impl::Stale(Loan loan, const char* doing) const {
  const std::string slot = std::to_string(loan.slot);
  if (loan.slot >= slots) {
    return Error(Code::kInvalidArgument, std::string(doing) + ": slot " + slot +
                                             " does not exist, pool " + memory.id() + " has " +
                                             std::to_string(slots));
  }
  const uint64_t word = control.word(loan.slot);
  if (shm::Generation(word) == loan.generation && shm::Holders(word) != 0) {
    return Error(Code::kSlotReleased,
                 std::string(doing) + ": the loan of slot " + slot + " (generation " +
                     std::to_string(loan.generation) +
                     ") is held by other processes only; this one has given back all its leases");
  }
  const std::string what = std::string(doing) + ": the loan of slot " + slot + " (generation " +
                           std::to_string(loan.generation) + ") was released already; the slot is ";
  return Error(Code::kSlotReleased,
               what + (shm::Holders(word) == 0 ? "free" : "on loan again") + " at generation " +
                   std::to_string(shm::Generation(word)) +
                   ". Use a tile only before its release, and release it once");
}

bool TilePool::Impl::TakeMany(uint32_t count, Loan* loans) {
  if (control.CountFree() < count) return false;
  for (uint32_t n = 0; n < count; ++n) {
    if (control.TryTake(loans[n].slot, loans[n].generation)) continue;
    // A loan that began before we queued got in between.
    while (n-- > 0) control.DropLease(loans[n].slot, loans[n].generation);
    NotifyOthers();  // who looked meanwhile found too few
    return false;
  }
  return true;
}

void TilePool::Impl::Serve(std::vector<PoolWaiter*>& ready) {
  while (!queue.empty() && !closed.load()) {
    PoolWaiter* first = queue.front();
    if (!TakeMany(first->count, first->loans)) return;
    Remove(queue.begin());
    if (first->done != nullptr) {
      ready.push_back(first);
    } else {
      first->granted = true;
      first->wake.notify_one();
    }
  }
}

void TilePool::Impl::ServeIfAnyWait() {
  if (waiting.load() == 0) return;
  std::vector<PoolWaiter*> ready;
  {
    const std::lock_guard lock(mutex);
    Serve(ready);
  }
  for (PoolWaiter* waiter : ready) {
    waiter->done(waiter->context, &waiter->own_loan);
    delete waiter;
  }
}

}  // namespace tilecast

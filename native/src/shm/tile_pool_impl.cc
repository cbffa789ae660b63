// SPDX-License-Identifier: MIT
// The pool's inside: making and leaving it, the queue of those that wait, and the thread that hears
// of other processes and clears up after dead ones.
#include <chrono>
#include <string>
#include <system_error>
#include <utility>

#include "shm/cleanup.h"
#include "shm/sweep.h"
#include "shm/tile_pool_impl.h"

namespace tilecast {

void ReclaimRow(shm::ControlBlock& control, uint32_t row) {
  shm::ExportTable::RemoveRow(control, row);
  control.Reclaim(row);
  const uint32_t bit = uint32_t{1} << row;
  if ((control.header().spare_rows.load() & bit) != 0) {
    shm::UnlinkSpares(control.header().object.id, row);
    control.header().spare_rows.fetch_and(~bit);
  }
  control.header().attached.fetch_and(~bit);
  control.header().given.Notify();
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
      renewal(
          control, memory, [this] { return NamesEnded(); }, [this] { freed().Notify(); }),
      slot_bytes(bytes),
      slots(count) {
  memory.SetExtras(control.exports(), &control.header().spare_rows);
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
      renewal(
          control, memory, [this] { return NamesEnded(); }, [this] { freed().Notify(); }),
      slot_bytes(memory.slot_bytes()),
      slots(memory.slots()) {
  try {
    if (row >= 0) control.header().attached.fetch_or(uint32_t{1} << row);
    memory.MapSlots(access == PoolAccess::kWrite, [this](uint32_t slot) { return EpochOf(slot); });
    if (row >= 0) StartService();
  } catch (...) {
    if (row >= 0) LeaveTable();
    throw;
  }
}

bool TilePool::Impl::NamesEnded() const {
  return control.header().object.state.load() == static_cast<uint32_t>(shm::ObjectState::kClosed) ||
         (made_here && shm::IsEnding());
}

shm::ControlBlock::Change TilePool::Impl::Drop(Loan loan) {
  const auto change = control.DropLease(loan.slot, loan.generation);
  if (change == shm::ControlBlock::Change::kFreed) NotifyOthers();
  if (change == shm::ControlBlock::Change::kGiven) control.header().given.Notify();
  return change;
}

uint32_t TilePool::Impl::CountMissing() const {
  uint32_t count = 0;
  for (uint32_t slot = 0; slot < slots; ++slot) count += control.IsMissing(slot) ? 1 : 0;
  return count;
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
  renewal.Stop();
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
      if (impl->renewal.LacksMemory()) impl->DropHopeless();
    }
  }
}

void TilePool::Impl::Beat() {
  ReclaimDead();
  while (const auto removed = exports.RemoveOneOfDeadReader()) {
    // Our own waiters: this thread serves them next.
    if (removed->leased) Drop({removed->slot, removed->generation});
  }
  memory.Tidy([this](uint32_t slot) { return EpochOf(slot); });
  // What a dead process gave away, or this one could not yet renew.
  if (access == PoolAccess::kWrite && CountMissing() != 0) renewal.Wake();
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

template <class F>
void TilePool::Impl::DropIf(F&& wanted) {
  std::vector<PoolWaiter*> dropped;
  {
    const std::lock_guard lock(mutex);
    for (auto it = queue.begin(); it != queue.end();) {
      const auto here = it++;
      if (!wanted(**here)) continue;
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

void TilePool::Impl::DropWaiters() {
  DropIf([](const PoolWaiter&) { return true; });
}

void TilePool::Impl::DropHopeless() {
  const uint32_t usable = slots - CountMissing();
  const auto now = std::chrono::steady_clock::now();
  DropIf([&](PoolWaiter& waiter) {
    waiter.hopeless = waiter.count > usable && now - waiter.since > kMemoryPatience;
    return waiter.hopeless;
  });
}

Error TilePool::Impl::NoMemory() const {
  return Error(Code::kPoolMemory,
               std::to_string(CountMissing()) + " of the " + std::to_string(slots) +
                   " slots of the tile pool " + memory.id() +
                   " were handed over to readers that keep them, and there is no memory for new "
                   "ones of " +
                   shm::HumanBytes(slot_bytes) +
                   ": let viewers keep less (--memory-budget), or enlarge /dev/shm");
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
    if (control.TryTake(loans[n].slot, loans[n].generation)) {
      try {
        Follow(loans[n].slot);
        continue;
      } catch (const Error&) {
        // The pool is being closed, or this process may have no more mappings.
        control.DropLease(loans[n].slot, loans[n].generation);
      }
    }
    // Or a loan that began before we queued got in between.
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

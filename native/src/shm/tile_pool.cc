// SPDX-License-Identifier: MIT
// Loans: the lock-free path is the control block's; this file adds the waiting, in order of
// arrival, and the errors.
#include "shm/tile_pool.h"

#include <unistd.h>
#include <map>

#include <algorithm>
#include <condition_variable>
#include <list>
#include <mutex>
#include <vector>

#include "error.h"
#include "shm/control_block.h"
#include "shm/slot_memory.h"

namespace tilecast {
namespace {

struct Waiter {
  uint32_t count = 1;
  Loan* loans = nullptr;
  bool granted = false;
  std::condition_variable wake;
  // Set for an asynchronous loan, which has no thread to wake.
  TilePool::LoanCallback done = nullptr;
  void* context = nullptr;
  Loan own_loan;  // where an asynchronous loan is put
};

}  // namespace

struct TilePool::Impl {
  Impl(uint64_t bytes, uint32_t count)
      : slot_bytes(bytes),
        slots(count),
        memory(bytes, count, shm::ControlBlock::BytesFor(count)),
        control(shm::ControlBlock::Format(memory.control(), memory.id(), bytes, count)) {}

  const uint64_t slot_bytes;
  const uint32_t slots;
  shm::SlotMemory memory;
  shm::ControlBlock control;
  std::atomic<bool> closed{false};

  // Order of arrival. Waiters are owned by their blocked thread, or by the queue when they are
  // asynchronous. `waiting` is the queue's length, readable without the lock: a release looks at it
  // after it freed its slot, a waiter raises it before it looks for slots, both sequentially
  // consistent, so one of the two sees the other.
  std::mutex mutex;
  std::list<Waiter*> queue;
  std::atomic<uint32_t> waiting{0};

  void SetState(shm::PoolState state) {
    control.header().state.store(static_cast<uint32_t>(state), std::memory_order_release);
  }
  [[nodiscard]] Error Closed() const {
    return Error(Code::kPoolClosed, "the tile pool " + memory.id() + " is closed");
  }
  [[nodiscard]] Error Stale(Loan loan, const char* doing) const;
  bool TakeMany(uint32_t count, Loan* loans);
  void Remove(std::list<Waiter*>::iterator at) {
    queue.erase(at);
    waiting.fetch_sub(1);
  }
  // Grants slots to the head of the queue while they suffice. Asynchronous waiters that got theirs
  // are moved to `ready`, for the caller to call without the lock.
  void Serve(std::vector<Waiter*>& ready);
  void ServeIfAnyWait();
};

Error TilePool::Impl::Stale(Loan loan, const char* doing) const {
  const std::string slot = std::to_string(loan.slot);
  if (loan.slot >= slots) {
    return Error(Code::kInvalidArgument, std::string(doing) + ": slot " + slot +
                                             " does not exist, pool " + memory.id() + " has " +
                                             std::to_string(slots));
  }
  const uint64_t word = control.word(loan.slot);
  const std::string what = std::string(doing) + ": the loan of slot " + slot + " (generation " +
                           std::to_string(loan.generation) + ") was released already; the slot is ";
  return Error(Code::kSlotReleased,
               what + (shm::Leases(word) == 0 ? "free" : "on loan again") + " at generation " +
                   std::to_string(shm::Generation(word)) +
                   ". Use a tile only before its release, and release it once");
}

bool TilePool::Impl::TakeMany(uint32_t count, Loan* loans) {
  if (control.CountFree() < count) return false;
  for (uint32_t n = 0; n < count; ++n) {
    if (control.TryTake(loans[n].slot, loans[n].generation)) continue;
    // A loan that began before we queued got in between.
    while (n-- > 0) control.DropLease(loans[n].slot, loans[n].generation);
    return false;
  }
  return true;
}

void TilePool::Impl::Serve(std::vector<Waiter*>& ready) {
  while (!queue.empty() && !closed.load()) {
    Waiter* first = queue.front();
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
  std::vector<Waiter*> ready;
  {
    const std::lock_guard lock(mutex);
    Serve(ready);
  }
  for (Waiter* waiter : ready) {
    waiter->done(waiter->context, &waiter->own_loan);
    delete waiter;
  }
}

namespace {
// Pools of this process by id. Never destroyed: threads may ask while the process ends.
struct Registry {
  std::mutex mutex;
  std::map<std::string, std::weak_ptr<TilePool>> by_id;
};
Registry& Pools() {
  static auto* const registry = new Registry();
  return *registry;
}
}  // namespace

std::shared_ptr<TilePool> TilePool::Create(uint64_t slot_bytes, uint32_t slots) {
  if (slots == 0 || slots > shm::kMaxSlots) {
    throw Error(Code::kInvalidArgument, "slots must be 1 to " + std::to_string(shm::kMaxSlots) +
                                            ", got " + std::to_string(slots));
  }
  const uint64_t page = static_cast<uint64_t>(sysconf(_SC_PAGESIZE));
  constexpr uint64_t kMaxBytes = uint64_t{1} << 46;  // half of what a 64-bit process can address
  if (slot_bytes == 0 || slot_bytes > kMaxBytes / slots) {
    throw Error(Code::kInvalidArgument,
                "slotBytes must be 1 to " + std::to_string(kMaxBytes / slots) + " for " +
                    std::to_string(slots) + " slots, got " + std::to_string(slot_bytes));
  }
  std::shared_ptr<TilePool> pool(new TilePool());
  pool->impl_ = std::make_unique<Impl>((slot_bytes + page - 1) / page * page, slots);
  pool->impl_->SetState(shm::PoolState::kOpen);
  const std::lock_guard lock(Pools().mutex);
  std::erase_if(Pools().by_id, [](const auto& entry) { return entry.second.expired(); });
  Pools().by_id[pool->id()] = pool;
  return pool;
}

std::shared_ptr<TilePool> TilePool::Find(const std::string& id) {
  const std::lock_guard lock(Pools().mutex);
  const auto at = Pools().by_id.find(id);
  return at == Pools().by_id.end() ? nullptr : at->second.lock();
}

TilePool::TilePool() = default;

TilePool::~TilePool() {
  if (impl_) Close();
}

bool TilePool::TryLoan(Loan& loan) {
  if (impl_->closed.load(std::memory_order_relaxed)) throw impl_->Closed();
  if (impl_->waiting.load() != 0) return false;
  return impl_->control.TryTake(loan.slot, loan.generation);
}

Loan TilePool::LoanBlocking(const std::atomic<bool>* cancel) {
  Loan loan;
  LoanManyBlocking(1, &loan, cancel);
  return loan;
}

void TilePool::LoanManyBlocking(uint32_t count, Loan* loans, const std::atomic<bool>* cancel) {
  if (count > impl_->slots) {
    throw Error(Code::kInvalidArgument, "a loan of " + std::to_string(count) +
                                            " slots can never succeed: pool " + impl_->memory.id() +
                                            " has " + std::to_string(impl_->slots));
  }
  if (count == 0 || (count == 1 && TryLoan(*loans))) return;
  Waiter self;
  self.count = count;
  self.loans = loans;
  std::vector<Waiter*> ready;
  std::unique_lock lock(impl_->mutex);
  const auto place = impl_->queue.insert(impl_->queue.end(), &self);
  impl_->waiting.fetch_add(1);
  if (impl_->queue.front() == &self)
    impl_->Serve(ready);  // nobody else is in the queue: `ready` stays empty
  if (!self.granted) impl_->control.header().waits.fetch_add(1, std::memory_order_relaxed);
  while (!self.granted) {
    const bool closed = impl_->closed.load();
    if (closed || (cancel != nullptr && cancel->load())) {
      impl_->Remove(place);
      if (!closed) impl_->Serve(ready);  // those behind us may fit now
      lock.unlock();
      for (Waiter* waiter : ready) {
        waiter->done(waiter->context, &waiter->own_loan);
        delete waiter;
      }
      if (closed) throw impl_->Closed();
      throw Error(Code::kCancelled,
                  "waiting for a slot of pool " + impl_->memory.id() + " was cancelled");
    }
    self.wake.wait(lock);
  }
}

void TilePool::LoanAsync(LoanCallback done, void* context) {
  Loan loan;
  if (TryLoan(loan)) {
    done(context, &loan);
    return;
  }
  auto waiter = std::make_unique<Waiter>();
  waiter->loans = &waiter->own_loan;
  waiter->done = done;
  waiter->context = context;
  {
    const std::lock_guard lock(impl_->mutex);
    if (impl_->closed.load()) throw impl_->Closed();
    impl_->queue.push_back(waiter.release());
    impl_->waiting.fetch_add(1);
  }
  impl_->control.header().waits.fetch_add(1, std::memory_order_relaxed);
  impl_->ServeIfAnyWait();  // a slot may have come free before we stood in the queue
}

bool TilePool::CancelAsync(const void* context) {
  Waiter* found = nullptr;
  {
    const std::lock_guard lock(impl_->mutex);
    for (auto it = impl_->queue.begin(); it != impl_->queue.end(); ++it) {
      if ((*it)->done == nullptr || (*it)->context != context) continue;
      found = *it;
      impl_->Remove(it);
      break;
    }
  }
  if (found == nullptr) return false;
  delete found;
  impl_->ServeIfAnyWait();
  return true;
}

void TilePool::AddLease(Loan loan) {
  if (loan.slot >= impl_->slots || !impl_->control.AddLease(loan.slot, loan.generation)) {
    throw impl_->Stale(loan, "addLease");
  }
}

void TilePool::Release(Loan loan) {
  if (loan.slot >= impl_->slots) throw impl_->Stale(loan, "release");
  switch (impl_->control.DropLease(loan.slot, loan.generation)) {
    case shm::ControlBlock::Change::kStale:
      throw impl_->Stale(loan, "release");
    case shm::ControlBlock::Change::kShared:
      return;
    case shm::ControlBlock::Change::kFreed:
      impl_->ServeIfAnyWait();
  }
}

bool TilePool::IsCurrent(Loan loan) const {
  if (loan.slot >= impl_->slots) return false;
  const uint64_t word = impl_->control.word(loan.slot);
  return shm::Generation(word) == loan.generation && shm::Leases(word) != 0;
}

void TilePool::WakeAll() {
  const std::lock_guard lock(impl_->mutex);
  for (Waiter* waiter : impl_->queue) waiter->wake.notify_one();
}

void TilePool::Close() {
  std::vector<Waiter*> dropped;
  {
    const std::lock_guard lock(impl_->mutex);
    if (impl_->closed.exchange(true)) return;
    impl_->SetState(shm::PoolState::kClosed);
    impl_->memory.Unlink();
    for (auto it = impl_->queue.begin(); it != impl_->queue.end();) {
      const auto here = it++;
      if ((*here)->done != nullptr) {
        dropped.push_back(*here);
        impl_->Remove(here);
      } else {
        (*here)->wake.notify_one();
      }
    }
  }
  for (Waiter* waiter : dropped) {
    waiter->done(waiter->context, nullptr);
    delete waiter;
  }
}

std::byte* TilePool::base() const {
  return impl_->memory.base();
}
std::byte* TilePool::data(uint32_t slot) const {
  return base() + slot * impl_->slot_bytes;
}
uint64_t TilePool::slot_bytes() const {
  return impl_->slot_bytes;
}
uint32_t TilePool::slots() const {
  return impl_->slots;
}
uint64_t TilePool::size_bytes() const {
  return impl_->slot_bytes * impl_->slots;
}
const std::string& TilePool::id() const {
  return impl_->memory.id();
}

PoolStats TilePool::Stats() const {
  const shm::ControlHeader& header = impl_->control.header();
  PoolStats stats;
  stats.slots = impl_->slots;
  stats.slot_bytes = impl_->slot_bytes;
  for (uint32_t slot = 0; slot < impl_->slots; ++slot) {
    stats.free += shm::Leases(impl_->control.word(slot)) == 0 ? 1 : 0;
  }
  stats.loans = header.loans.load(std::memory_order_relaxed);
  stats.waits = header.waits.load(std::memory_order_relaxed);
  stats.peak_in_use = header.peak_in_use.load(std::memory_order_relaxed);
  return stats;
}

}  // namespace tilecast

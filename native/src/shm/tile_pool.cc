// SPDX-License-Identifier: MIT
// The pool's face: arguments, errors, and the order of steps. The lock-free path is the control
// block's, the waiting is tile_pool_impl's.
#include "shm/tile_pool.h"

#include <unistd.h>

#include <algorithm>
#include <map>
#include <mutex>
#include <string>
#include <vector>

#include "error.h"
#include "shm/sweep.h"
#include "shm/tile_pool_impl.h"

namespace tilecast {
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
  shm::SweepSharedMemory();
  std::shared_ptr<TilePool> pool(new TilePool());
  pool->impl_ = std::make_unique<Impl>((slot_bytes + page - 1) / page * page, slots);
  const std::lock_guard lock(Pools().mutex);
  std::erase_if(Pools().by_id, [](const auto& entry) { return entry.second.expired(); });
  Pools().by_id[pool->id()] = pool;
  return pool;
}

std::shared_ptr<TilePool> TilePool::Open(const std::string& id, PoolAccess access) {
  if (auto pool = Find(id); pool && pool->access() == access && !pool->impl_->IsClosed()) {
    return pool;
  }
  shm::OpenedObject object = shm::OpenObject(shm::kPoolKind, id, access != PoolAccess::kObserve);
  int row = -1;
  try {
    shm::ControlBlock::Check(object);
    if (access != PoolAccess::kObserve) {
      shm::ControlBlock control(object.memory, -1);
      shm::ProcessTable table = control.processes();
      shm::Janitor(object.fd, table).Run(shm::kMaxProcesses, [&](uint32_t dead) {
        ReclaimRow(control, dead);
        control.Repair();
      });
      row = table.Join(shm::ThisProcess());
      if (row < 0) {
        throw Error(Code::kPoolMemory, "the tile pool " + id + " already has " +
                                           std::to_string(shm::kMaxProcesses) +
                                           " processes: detach one, or observe it");
      }
    }
  } catch (...) {
    object.Close();
    throw;
  }
  std::shared_ptr<TilePool> pool(new TilePool());
  pool->impl_ =
      std::make_unique<Impl>(object, access, row);  // owns the object from its first line on
  const std::lock_guard lock(Pools().mutex);
  std::erase_if(Pools().by_id, [](const auto& entry) { return entry.second.expired(); });
  auto& known = Pools().by_id[id];
  if (const auto other = known.lock(); !other || other->impl_->pid != getpid()) known = pool;
  return pool;
}

std::shared_ptr<TilePool> TilePool::Find(const std::string& id) {
  const std::lock_guard lock(Pools().mutex);
  const auto at = Pools().by_id.find(id);
  auto pool = at == Pools().by_id.end() ? nullptr : at->second.lock();
  // A forked child has its parent's registry, but not its place in the process table.
  return pool && pool->impl_->pid == getpid() ? pool : nullptr;
}

TilePool::TilePool() = default;

TilePool::~TilePool() {
  if (impl_) Close();
}

bool TilePool::TryLoan(Loan& loan) {
  if (impl_->IsClosed()) throw impl_->Closed();
  impl_->MustAllow(PoolAccess::kWrite, "loan");
  if (impl_->waiting.load() != 0) return false;
  if (!impl_->control.TryTake(loan.slot, loan.generation)) return false;
  try {
    impl_->Follow(loan.slot);
  } catch (...) {
    impl_->Drop(loan);
    if (impl_->IsClosed()) throw impl_->Closed();
    throw;
  }
  return true;
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
  impl_->MustAllow(PoolAccess::kWrite, "loan");
  impl_->ReclaimOnExhaustion();
  PoolWaiter self;
  self.count = count;
  self.loans = loans;
  std::vector<PoolWaiter*> ready;
  std::unique_lock lock(impl_->mutex);
  const auto place = impl_->queue.insert(impl_->queue.end(), &self);
  impl_->waiting.fetch_add(1);
  impl_->freed().Prepare();  // from now on our service thread hears of every slot
  if (impl_->queue.front() == &self)
    impl_->Serve(ready);  // nobody else is in the queue: `ready` stays empty
  if (!self.granted) impl_->control.header().waits.fetch_add(1, std::memory_order_relaxed);
  while (!self.granted) {
    const bool closed = impl_->IsClosed();
    if (closed || self.hopeless || (cancel != nullptr && cancel->load())) {
      impl_->Remove(place);
      if (!closed) impl_->Serve(ready);  // those behind us may fit now
      lock.unlock();
      for (PoolWaiter* waiter : ready) {
        waiter->done(waiter->context, &waiter->own_loan);
        delete waiter;
      }
      if (closed) throw impl_->Closed();
      if (self.hopeless) throw impl_->NoMemory();
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
  impl_->ReclaimOnExhaustion();
  auto waiter = std::make_unique<PoolWaiter>();
  waiter->loans = &waiter->own_loan;
  waiter->done = done;
  waiter->context = context;
  {
    const std::lock_guard lock(impl_->mutex);
    if (impl_->closed.load()) throw impl_->Closed();
    impl_->queue.push_back(waiter.release());
    impl_->waiting.fetch_add(1);
    impl_->freed().Prepare();
  }
  impl_->control.header().waits.fetch_add(1, std::memory_order_relaxed);
  impl_->ServeIfAnyWait();  // a slot may have come free before we stood in the queue
}

bool TilePool::CancelAsync(const void* context) {
  PoolWaiter* found = nullptr;
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
  impl_->MustAllow(PoolAccess::kRead, "addLease");
  if (loan.slot >= impl_->slots || !impl_->control.AddLease(loan.slot, loan.generation)) {
    throw impl_->Stale(loan, "addLease");
  }
  try {
    impl_->Follow(loan.slot);
  } catch (...) {
    Release(loan);
    if (impl_->IsClosed()) throw impl_->Closed();
    throw;
  }
}

void TilePool::Release(Loan loan) {
  impl_->MustAllow(PoolAccess::kRead, "release");
  if (loan.slot >= impl_->slots) throw impl_->Stale(loan, "release");
  switch (impl_->Drop(loan)) {
    case shm::ControlBlock::Change::kStale:
      throw impl_->Stale(loan, "release");
    case shm::ControlBlock::Change::kFreed:
      impl_->ServeIfAnyWait();
      return;
    case shm::ControlBlock::Change::kShared:
    case shm::ControlBlock::Change::kGiven:
      return;
  }
}

bool TilePool::IsCurrent(Loan loan) const {
  if (loan.slot >= impl_->slots) return false;
#ifndef __SANITIZE_THREAD__                             // which does not know fences
  std::atomic_thread_fence(std::memory_order_acquire);  // pixels read before stay before
#endif
  const auto current = [&] {
    const uint64_t word = impl_->control.word(loan.slot);
    return shm::Generation(word) == loan.generation && shm::Holders(word) != 0;
  };
  if (!current()) return false;
  try {
    impl_->Follow(loan.slot);
  } catch (const Error&) {
    return false;  // the names are gone: what is mapped may be what was handed over
  }
  // While the loan lasts the object stands still, so that this one is what has been mapped.
  return current();
}

PoolExport TilePool::Export(Loan loan, const std::string& name, uint32_t reader_pid) {
  AddLease(loan);
  try {
    const shm::ExportReport report =
        impl_->exports.Add(loan.slot, loan.generation, name, reader_pid);
    if (report.copied) Release(loan);
    return {report.name, report.copied, report.reason, report.bytes};
  } catch (...) {
    Release(loan);
    throw;
  }
}

bool TilePool::Unexport(const std::string& name) {
  impl_->MustAllow(PoolAccess::kRead, "unexport");
  const auto removed = impl_->exports.Remove(name);
  if (!removed) return false;
  if (removed->leased) Release({removed->slot, removed->generation});
  return true;
}

bool TilePool::HandOver(const std::string& name) {
  impl_->MustAllow(PoolAccess::kRead, "handOver");
  const auto removed = impl_->exports.GiveAway(name);
  if (!removed) return false;
  if (!removed->leased) return true;  // a copy is nobody else's
  if (impl_->access == PoolAccess::kWrite) impl_->renewal.Wake();
  Release({removed->slot, removed->generation});
  return true;
}

void TilePool::ThrowEnd() const {
  throw impl_->IsClosed() ? impl_->Closed() : impl_->NoMemory();
}

uint32_t TilePool::ReclaimDead() {
  const uint32_t dead = impl_->ReclaimDead();
  if (dead != 0 && impl_->access == PoolAccess::kWrite) impl_->renewal.RenewAll();
  return dead;
}

void TilePool::WakeAll() {
  const std::lock_guard lock(impl_->mutex);
  for (PoolWaiter* waiter : impl_->queue) waiter->wake.notify_one();
}

void TilePool::Close() {
  {
    // A forked child may have inherited a mutex that another thread held.
    if (impl_->pid != getpid()) return;
    const std::lock_guard lock(impl_->mutex);
    if (impl_->closed.exchange(true)) return;
    if (impl_->made_here) {
      impl_->SetState(shm::ObjectState::kClosed);
      impl_->memory.Unlink();
    }
  }
  impl_->renewal.Stop();
  if (impl_->made_here) impl_->freed().NotifyAlways();
  impl_->DropWaiters();
}

std::byte* TilePool::base() const {
  return impl_->memory.base();
}
std::byte* TilePool::data(uint32_t slot) const {
  return base() + slot * impl_->slot_bytes;
}
uint64_t TilePool::MappedEpoch(uint32_t slot) const {
  return impl_->memory.MappedEpoch(slot);
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

PoolAccess TilePool::access() const {
  return impl_->access;
}

PoolStats TilePool::Stats() const {
  const shm::ControlHeader& header = impl_->control.header();
  PoolStats stats;
  stats.slots = impl_->slots;
  stats.slot_bytes = impl_->slot_bytes;
  for (uint32_t slot = 0; slot < impl_->slots; ++slot) {
    stats.free += shm::Holders(impl_->control.word(slot)) == 0 ? 1 : 0;
  }
  stats.missing = impl_->CountMissing();
  stats.free -= std::min(stats.free, stats.missing);
  stats.spares = impl_->renewal.spares();
  stats.handed_over = header.handed_over.load(std::memory_order_relaxed);
  const shm::ProcessTable processes = impl_->control.processes();
  for (uint32_t row = 0; row < processes.count(); ++row) {
    stats.processes += processes.IsTaken(row) ? 1 : 0;
  }
  stats.loans = header.loans.load(std::memory_order_relaxed);
  stats.waits = header.waits.load(std::memory_order_relaxed);
  stats.peak_in_use = header.peak_in_use.load(std::memory_order_relaxed);
  return stats;
}

}  // namespace tilecast

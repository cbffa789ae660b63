// SPDX-License-Identifier: MIT
// Loans: the lock-free path is the control block's; this file adds the waiting, in order of
// arrival, and the errors.
#include "shm/tile_pool.h"

#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <list>
#include <map>
#include <mutex>
#include <thread>
#include <vector>

#include "error.h"
#include "shm/control_block.h"
#include "shm/exports.h"
#include "shm/object.h"
#include "shm/slot_memory.h"
#include "shm/sweep.h"

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

// Everything that a row of the process table stands for: of a dead process (under the janitor's lock), or of
// this one as it leaves.
void ReclaimRow(shm::ControlBlock& control, uint32_t row) {
  shm::ExportTable::RemoveRow(control, row);
  control.Reclaim(row);
  control.header().attached.fetch_and(~(uint32_t{1} << row));
}

}  // namespace

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
  std::list<Waiter*> queue;
  std::atomic<uint32_t> waiting{0};

  // One thread a pool: hears of slots that other processes freed, and is the janitor. The flag
  // outlives the pool, whose last owner may be a callback on this very thread.
  std::shared_ptr<std::atomic<bool>> stop = std::make_shared<std::atomic<bool>>(false);
  std::thread service;
  std::atomic<int64_t> last_reclaim_ms{0};

  void StartService();
  void LeaveTable();
  static void ServiceLoop(Impl* impl, std::shared_ptr<std::atomic<bool>> stop);
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
  void Remove(std::list<Waiter*>::iterator at) {
    queue.erase(at);
    waiting.fetch_sub(1);
  }
  // Grants slots to the head of the queue while they suffice. Asynchronous waiters that got theirs
  // are moved to `ready`, for the caller to call without the lock.
  void Serve(std::vector<Waiter*>& ready);
  void ServeIfAnyWait();
  // Ends all waiting. `closed` is set.
  void DropWaiters();
};

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

void TilePool::Impl::ServiceLoop(Impl* impl, std::shared_ptr<std::atomic<bool>> stop) {
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
    // A callback may drop the pool's last owner: after it, the flag says whether there still is one.
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
    if (removed->leased &&
        control.DropLease(removed->slot, removed->generation) ==
            shm::ControlBlock::Change::kFreed) {
      NotifyOthers();  // our own waiters: this thread serves them next
    }
  }
  shm::SweepNowAndThen();
}

uint32_t TilePool::Impl::ReclaimDead() {
  if (control.row() < 0 || !control.shared()) return 0;
  const uint32_t cleared =
      janitor.Run(static_cast<uint32_t>(control.row()), [&](uint32_t row) {
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
  std::vector<Waiter*> dropped;
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
  for (Waiter* waiter : dropped) {
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
  shm::OpenedObject object =
      shm::OpenObject(shm::kPoolKind, id, access != PoolAccess::kObserve);
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
  pool->impl_ = std::make_unique<Impl>(object, access, row);  // owns the object from its first line on
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
  impl_->MustAllow(PoolAccess::kWrite, "loan");
  impl_->ReclaimOnExhaustion();
  Waiter self;
  self.count = count;
  self.loans = loans;
  std::vector<Waiter*> ready;
  std::unique_lock lock(impl_->mutex);
  const auto place = impl_->queue.insert(impl_->queue.end(), &self);
  impl_->waiting.fetch_add(1);
  impl_->freed().Prepare();  // from now on our service thread hears of every slot
  if (impl_->queue.front() == &self)
    impl_->Serve(ready);  // nobody else is in the queue: `ready` stays empty
  if (!self.granted) impl_->control.header().waits.fetch_add(1, std::memory_order_relaxed);
  while (!self.granted) {
    const bool closed = impl_->IsClosed();
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
  impl_->ReclaimOnExhaustion();
  auto waiter = std::make_unique<Waiter>();
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
  impl_->MustAllow(PoolAccess::kRead, "addLease");
  if (loan.slot >= impl_->slots || !impl_->control.AddLease(loan.slot, loan.generation)) {
    throw impl_->Stale(loan, "addLease");
  }
}

void TilePool::Release(Loan loan) {
  impl_->MustAllow(PoolAccess::kRead, "release");
  if (loan.slot >= impl_->slots) throw impl_->Stale(loan, "release");
  switch (impl_->control.DropLease(loan.slot, loan.generation)) {
    case shm::ControlBlock::Change::kStale:
      throw impl_->Stale(loan, "release");
    case shm::ControlBlock::Change::kShared:
      return;
    case shm::ControlBlock::Change::kFreed:
      impl_->ServeIfAnyWait();
      impl_->NotifyOthers();
  }
}

bool TilePool::IsCurrent(Loan loan) const {
  if (loan.slot >= impl_->slots) return false;
#ifndef __SANITIZE_THREAD__  // which does not know fences
  std::atomic_thread_fence(std::memory_order_acquire);  // pixels read before stay before
#endif
  const uint64_t word = impl_->control.word(loan.slot);
  return shm::Generation(word) == loan.generation && shm::Holders(word) != 0;
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

uint32_t TilePool::ReclaimDead() {
  return impl_->ReclaimDead();
}

void TilePool::WakeAll() {
  const std::lock_guard lock(impl_->mutex);
  for (Waiter* waiter : impl_->queue) waiter->wake.notify_one();
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
  if (impl_->made_here) impl_->freed().NotifyAlways();
  impl_->DropWaiters();
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

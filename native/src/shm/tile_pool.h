// SPDX-License-Identifier: MIT
// TilePool: N equal slots of POSIX shared memory, each an object of its own, mapped side by side
// into one address range.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>

namespace tilecast {

// A loan of one slot. `generation` changes with every loan, so a stale handle is detected. Who
// holds one of several leases of the same loan and releases twice takes another holder's lease:
// that cannot be told apart.
struct Loan {
  uint32_t slot = 0;
  uint32_t generation = 0;
};

struct PoolStats {
  uint32_t slots = 0;
  uint32_t free = 0;
  uint64_t slot_bytes = 0;
  uint64_t loans = 0;  // since creation
  uint64_t waits = 0;  // loans that had to wait
  uint32_t peak_in_use = 0;
};

// All methods are safe from any thread. A forked child must not loan or release: its process has no
// row in the pool's lease table.
class TilePool {
 public:
  // Creates the control object /tc-<id>-c and `slots` slot objects /tc-<id>-<n> of `slot_bytes`
  // (rounded up to the page size), mode 0600, allocated (posix_fallocate), mapped side by side and
  // pre-faulted by all cores. Throws kPoolMemory with advice when /dev/shm is full (nothing is left
  // behind), kInvalidArgument for zero or absurd sizes.
  static std::shared_ptr<TilePool> Create(uint64_t slot_bytes, uint32_t slots);
  // The pool of this id if this process made it and still has it, else null: for the other threads
  // of the process, which share its mapping.
  static std::shared_ptr<TilePool> Find(const std::string& id);
  ~TilePool();  // unmaps and unlinks
  TilePool(const TilePool&) = delete;
  TilePool& operator=(const TilePool&) = delete;

  // Takes a free slot, the most recently released one first (its lines are still in a cache); false
  // when there is none, or when others wait for slots: newcomers do not overtake. Never blocks;
  // lock-free. Throws kPoolClosed.
  bool TryLoan(Loan& loan);
  // Blocks until a slot is free; throws kPoolClosed when the pool is closed, kCancelled when
  // *cancel becomes true (checked on WakeAll).
  Loan LoanBlocking(const std::atomic<bool>* cancel);
  // Takes `count` slots at once or waits holding none: jobs that each reserve their peak never wait
  // for each other while holding slots. Waiters are served strictly in order of arrival, so a large
  // request is not starved by small ones. Errors as LoanBlocking, and kInvalidArgument when count >
  // slots.
  void LoanManyBlocking(uint32_t count, Loan* loans, const std::atomic<bool>* cancel);

  // A loan for those who cannot block (an event loop). `done` is called once: with the loan, which
  // then belongs to the callee, or with null when the pool closes. It waits in the same queue as
  // the blocking loans. The call comes from any thread, also from inside LoanAsync, and never under
  // the pool's lock. Throws kPoolClosed.
  using LoanCallback = void (*)(void* context, const Loan* loan);
  void LoanAsync(LoanCallback done, void* context);
  // Withdraws the oldest waiting LoanAsync of `context`. False when none waits: `done` was called,
  // or is being called.
  bool CancelAsync(const void* context);

  // Adds a lease to a loaned slot (a second reader); each lease needs its own Release.
  // kSlotReleased when the loan is stale.
  void AddLease(Loan loan);
  // Gives one lease back; the last one frees the slot. kSlotReleased on a second release or a stale
  // generation. Works after Close.
  void Release(Loan loan);
  bool IsCurrent(Loan loan) const;
  // Wakes every blocked loan so that it looks at its cancel flag.
  void WakeAll();

  // Unlinks the names and refuses further loans; the mapping lives until the last shared_ptr goes.
  // Idempotent.
  void Close();

  std::byte* base() const;  // slot n starts at base() + n * slot_bytes()
  std::byte* data(uint32_t slot) const;
  uint64_t slot_bytes() const;
  uint32_t slots() const;
  uint64_t size_bytes() const;    // slots * slot_bytes
  const std::string& id() const;  // objects are /tc-<id>-c and /tc-<id>-<n>
  PoolStats Stats() const;

 private:
  TilePool();
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace tilecast

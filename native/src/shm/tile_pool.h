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

// What a process may do with a pool that another one made.
enum class PoolAccess : uint8_t {
  kWrite,  // everything but closing it
  kRead,   // leases, but no loans: the slots are mapped without write access, a write is a SIGSEGV
  kObserve,  // nothing is mapped with write access and no row of the process table is taken:
             // IsCurrent before and after reading says whether the pixels were those of that loan
};

// How an export came to be. A reader opens `name`, without a slash.
struct PoolExport {
  std::string name;
  bool copied = false;  // an object of its own, with the pixels of the time of the export
  std::string reason;   // why it is a copy; empty else
  uint64_t bytes = 0;
};

struct PoolStats {
  uint32_t slots = 0;
  uint32_t free = 0;
  uint64_t slot_bytes = 0;
  uint64_t loans = 0;  // since creation
  uint64_t waits = 0;  // loans that had to wait
  uint32_t peak_in_use = 0;
  uint32_t processes = 0;    // attached ones, the creator included
  uint64_t handed_over = 0;  // slots' objects that were given away
  uint32_t missing = 0;      // slots that wait for a new object; neither free nor on loan
  uint32_t spares = 0;       // objects that this process has ready for them, of slot_bytes each
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
  // Attaches to a pool that another process made; its loans then go to whichever process is first
  // (the order of arrival holds among the threads of one process). A pool that this process has
  // already is given as it is when it was made or opened with the same access.
  //
  // The pool stays usable while any process is attached, also when its creator dies; it ends when
  // its creator closes it: loans then throw kPoolClosed, those under way stay good. Leases that
  // this process still has when the last shared_ptr goes are given back, and so are those of a
  // process that dies, within shm::kLeasePeriodMs.
  //
  // Throws kInvalidArgument, kPoolNotFound, kPoolVersion, kPoolMemory, kIo (another user's).
  static std::shared_ptr<TilePool> Open(const std::string& id,
                                        PoolAccess access = PoolAccess::kWrite);
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
  // *cancel becomes true (checked on WakeAll), kPoolMemory when slots were handed over and for some
  // seconds there was no memory for new ones, so that fewer slots are left than are wanted.
  Loan LoanBlocking(const std::atomic<bool>* cancel);
  // Takes `count` slots at once or waits holding none: jobs that each reserve their peak never wait
  // for each other while holding slots. Waiters are served strictly in order of arrival, so a large
  // request is not starved by small ones. Errors as LoanBlocking, and kInvalidArgument when count >
  // slots.
  void LoanManyBlocking(uint32_t count, Loan* loans, const std::atomic<bool>* cancel);

  // A loan for those who cannot block (an event loop). `done` is called once: with the loan, which
  // then belongs to the callee, or with null where LoanBlocking throws: ThrowEnd says why. It waits
  // in the same queue as the blocking loans. The call comes from any thread, also from inside
  // LoanAsync, and never under the pool's lock. Throws kPoolClosed.
  using LoanCallback = void (*)(void* context, const Loan* loan);
  void LoanAsync(LoanCallback done, void* context);
  // Withdraws the oldest waiting LoanAsync of `context`. False when none waits: `done` was called,
  // or is being called.
  bool CancelAsync(const void* context);

  // Throws kPoolClosed or kPoolMemory: why a LoanAsync got none.
  [[noreturn]] void ThrowEnd() const;

  // Adds a lease to a loaned slot (a second reader); each lease needs its own Release.
  // kSlotReleased when the loan is stale.
  void AddLease(Loan loan);
  // Gives one lease back; the last one frees the slot. kSlotReleased on a second release or a stale
  // generation. Works after Close.
  void Release(Loan loan);
  bool IsCurrent(Loan loan) const;

  // Gives a loan's slot a second name for readers that cannot attach, without a copy where links
  // can be made, and keeps a lease until Unexport, the death of process `reader_pid` (0: nobody in
  // particular), or the end of the pool in this process. The object has the slot's size; pixels
  // start at offset 0. An empty name is made up. A reader may remove the name at any time. Throws
  // kSlotReleased, kInvalidArgument (bad or taken name), kPoolMemory.
  PoolExport Export(Loan loan, const std::string& name = "", uint32_t reader_pid = 0);
  // False when this process has no export of that name (any more).
  bool Unexport(const std::string& name);

  // Ends an export whose reader keeps the memory: the object stays with whoever mapped it, the name
  // goes, the export's lease ends, and when the slot's last lease does, a thread gives the slot a
  // fresh object in the old one's place. Until then the slot is neither free nor on loan
  // (PoolStats::missing), also where there is no memory for a new object. Nothing is ever written
  // into the old object through the pool; who still holds a lease must not write either. An export
  // that was a copy is merely forgotten. False when this process has no export of that name (any
  // more).
  bool HandOver(const std::string& name);

  // Gives back what dead processes hold. Happens on its own every lease period, and when a loan
  // finds no slot. Returns the number of dead processes.
  uint32_t ReclaimDead();

  // Wakes every blocked loan so that it looks at its cancel flag.
  void WakeAll();

  // Refuses further loans, and in the process that made the pool unlinks the names and tells the
  // others; the mapping lives until the last shared_ptr goes. Idempotent.
  void Close();

  std::byte* base() const;  // slot n starts at base() + n * slot_bytes()
  std::byte* data(uint32_t slot) const;
  // Which object this process maps at a slot: another number after it was replaced, and the same
  // while a lease is held. For who keeps something of that memory, as a GPU does.
  uint64_t MappedEpoch(uint32_t slot) const;
  uint64_t slot_bytes() const;
  uint32_t slots() const;
  uint64_t size_bytes() const;    // slots * slot_bytes
  const std::string& id() const;  // objects are /tc-<id>-c and /tc-<id>-<n>
  PoolAccess access() const;
  PoolStats Stats() const;

 private:
  TilePool();
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace tilecast

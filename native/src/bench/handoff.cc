// SPDX-License-Identifier: MIT
// Measures hand-offs; see handoff.h.
#include "bench/handoff.h"

#include <sys/mman.h>
#include <sys/resource.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstring>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "bench/memory.h"
#include "error.h"
#include "shm/channel.h"
#include "shm/futex.h"
#include "shm/tile_pool.h"

namespace tilecast::bench {
namespace {

using Clock = std::chrono::steady_clock;

constexpr uint32_t kStop = UINT32_MAX;

// Touched memory that is aligned to pages, huge ones where they can be had.
class Pages {
 public:
  explicit Pages(uint64_t bytes) : bytes_(bytes) {
    if (bytes == 0) return;
    void* at = mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (at == MAP_FAILED) throw Error(Code::kPoolMemory, "out of memory");
#if defined(MADV_HUGEPAGE)
    madvise(at, bytes, MADV_HUGEPAGE);
#endif
    data_ = static_cast<std::byte*>(at);
    std::memset(data_, 1, bytes);
  }
  ~Pages() {
    if (data_ != nullptr) munmap(data_, bytes_);
  }
  Pages(const Pages&) = delete;
  Pages& operator=(const Pages&) = delete;
  std::byte* data() const { return data_; }

 private:
  uint64_t bytes_;
  std::byte* data_ = nullptr;
};

// Two words on lines of their own, in the first slot: it is never loaned by who plays with lines.
struct Line {
  std::atomic<uint32_t>* ping;
  std::atomic<uint32_t>* pong;
  explicit Line(TilePool& pool)
      : ping(reinterpret_cast<std::atomic<uint32_t>*>(pool.data(0))),
        pong(reinterpret_cast<std::atomic<uint32_t>*>(pool.data(0) + 256)) {}
};

void Say(std::atomic<uint32_t>& word, uint32_t value, bool wake) {
  word.store(value);
  if (wake) shm::FutexWakeAll(&word);
}

void Await(std::atomic<uint32_t>& word, uint32_t before, bool asleep) {
  while (word.load() == before) {
    if (asleep) shm::FutexWait(&word, before, 1000);
  }
}

// One end of the tile protocol.
class End {
 public:
  explicit End(const HandoffEnds& ends)
      : pool_(TilePool::Open(ends.pool)),
        out_(TileChannel::Open(ends.out)),
        in_(TileChannel::Open(ends.in)) {
    in_->SetSpin(ends.spin_us);
  }
  ~End() {
    if (held_.generation != 0) pool_->Release(held_);
  }
  End(const End&) = delete;
  End& operator=(const End&) = delete;

  void Send(uint64_t tag) {
    Loan loan;
    if (!pool_->TryLoan(loan)) throw Error(Code::kInternal, "no slot is free for a hand-off");
    std::memcpy(pool_->data(loan.slot), &tag, sizeof(tag));
    TileDescriptor descriptor;
    descriptor.slot = loan.slot;
    descriptor.generation = loan.generation;
    descriptor.tag = tag;
    const Loan before = std::exchange(held_, loan);
    if (out_->TrySend({&descriptor, 1}) != 1) throw Error(Code::kInternal, "the channel is full");
    // The other end had leased it before it answered.
    if (before.generation != 0) pool_->Release(before);
  }
  // False when the channel was closed.
  bool Receive(uint64_t& tag) {
    TileDescriptor descriptor;
    if (in_->Receive({&descriptor, 1}, nullptr) == 0) return false;
    const Loan loan{descriptor.slot, descriptor.generation};
    pool_->AddLease(loan);
    std::memcpy(&tag, pool_->data(loan.slot), sizeof(tag));
    pool_->Release(loan);
    if (tag != descriptor.tag) {
      throw Error(Code::kInternal, "a tile with tag " + std::to_string(descriptor.tag) +
                                       " has the pixels of " + std::to_string(tag));
    }
    return true;
  }

 private:
  std::shared_ptr<TilePool> pool_;
  std::shared_ptr<TileChannel> out_, in_;
  Loan held_;
};

// Median nanoseconds of half a round trip, timed in groups so that the clock does not count.
template <class F>
double MedianOneWay(int group, double seconds, F&& round_trip) {
  for (int i = 0; i < 20 * group; ++i) round_trip();
  std::vector<double> ns;
  const auto end = Clock::now() + std::chrono::duration<double>(seconds);
  do {
    const auto start = Clock::now();
    for (int i = 0; i < group; ++i) round_trip();
    ns.push_back(std::chrono::duration<double, std::nano>(Clock::now() - start).count() / group /
                 2);
  } while (Clock::now() < end);
  std::nth_element(ns.begin(), ns.begin() + static_cast<ptrdiff_t>(ns.size() / 2), ns.end());
  return ns[ns.size() / 2];
}

}  // namespace

double HandoffPing(const HandoffEnds& ends, double seconds) {
  const int group = ends.kind == HandoffKind::kFutex || ends.spin_us == 0 ? 8 : 64;
  if (ends.kind == HandoffKind::kTile) {
    End end(ends);
    uint64_t tag = 0;
    return MedianOneWay(group, seconds, [&] {
      end.Send(++tag);
      uint64_t answer = 0;
      if (!end.Receive(answer) || answer != tag) {
        throw Error(Code::kInternal, "the other end of a hand-off answered with another tile");
      }
    });
  }
  const auto pool = TilePool::Open(ends.pool);
  const Line line(*pool);
  const bool asleep = ends.kind == HandoffKind::kFutex;
  uint32_t n = line.ping->load();
  return MedianOneWay(group, seconds, [&] {
    Say(*line.ping, ++n, asleep);
    Await(*line.pong, n - 1, asleep);
  });
}

void HandoffEcho(const HandoffEnds& ends) {
  if (ends.kind == HandoffKind::kTile) {
    End end(ends);
    for (uint64_t tag = 0; end.Receive(tag);) end.Send(tag);
    return;
  }
  const auto pool = TilePool::Open(ends.pool);
  const Line line(*pool);
  const bool asleep = ends.kind == HandoffKind::kFutex;
  for (uint32_t n = line.pong->load();;) {
    Await(*line.ping, n, asleep);
    n = line.ping->load();
    if (n == kStop) return;
    Say(*line.pong, n, asleep);
  }
}

void HandoffStop(const HandoffEnds& ends) {
  const auto pool = TilePool::Open(ends.pool);
  Say(*Line(*pool).ping, kStop, true);
}

double HandoffFlood(const std::string& id) {
  const auto channel = TileChannel::Open(id);
  std::vector<TileDescriptor> batch(256);
  double sent = 0;
  try {
    for (uint64_t tag = 0;; sent += static_cast<double>(batch.size())) {
      for (TileDescriptor& descriptor : batch) descriptor.tag = ++tag;
      channel->Send(batch, nullptr);
    }
  } catch (const Error& error) {
    if (error.code() != Code::kPoolClosed) throw;
  }
  return sent;
}

double MeasureSlotFill(uint64_t slot_bytes, uint32_t slots, bool pooled, double seconds) {
  if (!HasAccess(MemoryAccess::kStreamCopy)) {
    throw Error(Code::kInvalidArgument, "this processor has no non-temporal copy");
  }
  slot_bytes = (slot_bytes + 4095) / 4096 * 4096;
  const auto pool = pooled ? TilePool::Create(slot_bytes, slots) : nullptr;
  const uint64_t bytes = slot_bytes * slots;
  const Pages source(bytes), own(pooled ? 0 : bytes);
  std::vector<Loan> loans(slots);
  // All slots in turn: those released last would be lent again, out of the cache.
  const auto fill = [&] {
    for (uint32_t n = 0; n < slots; ++n) {
      if (pooled && !pool->TryLoan(loans[n])) throw Error(Code::kInternal, "no slot is free");
      std::byte* to = pooled ? pool->data(loans[n].slot) : own.data() + n * slot_bytes;
      StreamCopy(to, source.data() + n * slot_bytes, slot_bytes);
    }
    for (const Loan& loan : loans) {
      if (pooled) pool->Release(loan);
    }
  };
  fill();
  std::vector<double> rates;
  rusage before{}, after{};
  getrusage(RUSAGE_THREAD, &before);
  const auto end = Clock::now() + std::chrono::duration<double>(seconds);
  do {
    const auto start = Clock::now();
    fill();
    const double spent = std::chrono::duration<double>(Clock::now() - start).count();
    rates.push_back(static_cast<double>(slot_bytes * slots) / spent);
    if (rates.size() == 1) getrusage(RUSAGE_THREAD, &before);  // `rates` has grown
  } while (Clock::now() < end || rates.size() < 3);
  getrusage(RUSAGE_THREAD, &after);
  // A page of our own bookkeeping may be new; a slot's worth would be hundreds.
  const auto faults = static_cast<uint64_t>(after.ru_minflt - before.ru_minflt);
  if (faults > 2 + rates.size() / 100) {
    throw Error(Code::kInternal, std::to_string(faults) + " page faults in " +
                                     std::to_string(rates.size() * slots) + " fills of warm slots");
  }
  std::nth_element(rates.begin(), rates.begin() + static_cast<ptrdiff_t>(rates.size() / 2),
                   rates.end());
  return rates[rates.size() / 2];
}

}  // namespace tilecast::bench

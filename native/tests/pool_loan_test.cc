// SPDX-License-Identifier: MIT
// Loans of a pool: generations, leases, order of reuse, and exclusivity under many threads.
#include <doctest/doctest.h>

#include <algorithm>
#include <atomic>
#include <cstring>
#include <random>
#include <set>
#include <thread>
#include <vector>

#include "pool_support.h"
#include "shm/tile_pool.h"

namespace tilecast {
namespace {

using testing::Catch;

Loan MustLoan(TilePool& pool) {
  Loan loan;
  REQUIRE(pool.TryLoan(loan));
  return loan;
}

TEST_CASE("every slot is lent exactly once, then none") {
  // More than one bitmap word, and not a multiple of 64.
  const auto pool = TilePool::Create(4096, 130);
  std::set<uint32_t> slots;
  for (int i = 0; i < 130; ++i) slots.insert(MustLoan(*pool).slot);
  CHECK(slots.size() == 130);
  CHECK(*slots.rbegin() == 129);
  Loan loan;
  CHECK_FALSE(pool->TryLoan(loan));
  const PoolStats stats = pool->Stats();
  CHECK(stats.free == 0);
  CHECK(stats.loans == 130);
  CHECK(stats.peak_in_use == 130);
  CHECK(stats.slots == 130);
}

TEST_CASE("slot bytes are rounded up to pages, and slots lie side by side") {
  const auto pool = TilePool::Create(5000, 3);
  CHECK(pool->slot_bytes() == 8192);
  CHECK(pool->size_bytes() == 3 * 8192);
  CHECK(pool->data(0) == pool->base());
  CHECK(pool->data(2) == pool->base() + 2 * 8192);
  std::memset(pool->base(), 0x5A, pool->size_bytes());
  CHECK(pool->data(2)[8191] == std::byte{0x5A});
}

TEST_CASE("the slot released last is lent first") {
  const auto pool = TilePool::Create(4096, 8);
  std::vector<Loan> loans;
  for (int i = 0; i < 8; ++i) loans.push_back(MustLoan(*pool));
  for (int slot : {6, 1, 4}) pool->Release(loans[static_cast<size_t>(slot)]);
  CHECK(MustLoan(*pool).slot == loans[4].slot);
  CHECK(MustLoan(*pool).slot == loans[1].slot);
  CHECK(MustLoan(*pool).slot == loans[6].slot);
}

TEST_CASE("with one tile in flight only one slot is ever touched") {
  const auto pool = TilePool::Create(4096, 64);
  for (int i = 0; i < 1000; ++i) {
    const Loan loan = MustLoan(*pool);
    CHECK(loan.slot == 0);
    pool->Release(loan);
  }
  CHECK(pool->Stats().peak_in_use == 1);
}

TEST_CASE("a released loan is not current, and its second release says so") {
  const auto pool = TilePool::Create(4096, 1);
  const Loan first = MustLoan(*pool);
  CHECK(pool->IsCurrent(first));
  pool->Release(first);
  CHECK_FALSE(pool->IsCurrent(first));
  const auto twice = Catch([&] { pool->Release(first); });
  REQUIRE(twice);
  CHECK(twice->code == Code::kSlotReleased);
  CHECK(twice->message ==
        "release: the loan of slot 0 (generation 1) was released already; the slot is free at "
        "generation 1. "
        "Use a tile only before its release, and release it once");
}

TEST_CASE("a stale handle cannot touch the slot's next loan") {
  const auto pool = TilePool::Create(4096, 1);
  const Loan first = MustLoan(*pool);
  pool->Release(first);
  const Loan second = MustLoan(*pool);
  CHECK(second.slot == first.slot);
  CHECK(second.generation != first.generation);
  for (const auto& stale :
       {Catch([&] { pool->Release(first); }), Catch([&] { pool->AddLease(first); })}) {
    REQUIRE(stale);
    CHECK(stale->code == Code::kSlotReleased);
    CHECK(stale->message.find("slot 0 (generation 1)") != std::string::npos);
    CHECK(stale->message.find("on loan again at generation 2") != std::string::npos);
  }
  CHECK(pool->IsCurrent(second));
}

TEST_CASE("a slot is free only when its last lease is released") {
  const auto pool = TilePool::Create(4096, 1);
  const Loan loan = MustLoan(*pool);
  pool->AddLease(loan);
  pool->AddLease(loan);
  Loan other;
  for (int i = 0; i < 2; ++i) {
    pool->Release(loan);
    CHECK(pool->IsCurrent(loan));
    CHECK_FALSE(pool->TryLoan(other));
  }
  pool->Release(loan);
  CHECK_FALSE(pool->IsCurrent(loan));
  CHECK(pool->TryLoan(other));
}

TEST_CASE("a slot that does not exist is an invalid argument") {
  const auto pool = TilePool::Create(4096, 2);
  for (const auto& bad :
       {Catch([&] { pool->Release({2, 1}); }), Catch([&] { pool->AddLease({UINT32_MAX, 1}); })}) {
    REQUIRE(bad);
    CHECK(bad->code == Code::kInvalidArgument);
  }
  CHECK_FALSE(pool->IsCurrent({2, 1}));
}

TEST_CASE("any sequence of loans, leases and releases agrees with a plain model") {
  // The model: leases per slot. Deterministic seeds, so that a failure can be repeated.
  for (unsigned seed = 1; seed <= 20; ++seed) {
    CAPTURE(seed);
    std::mt19937 random(seed);
    const uint32_t slots = 1 + random() % 70;
    const auto pool = TilePool::Create(4096, slots);
    std::vector<Loan> held;  // one entry a lease
    std::vector<uint32_t> leases(slots, 0);
    std::vector<Loan> dead;
    for (int step = 0; step < 500; ++step) {
      const uint32_t what = random() % 4;
      if (what < 2) {
        Loan loan;
        const bool got = pool->TryLoan(loan);
        const auto in_use =
            std::count_if(leases.begin(), leases.end(), [](uint32_t n) { return n > 0; });
        REQUIRE(got == (in_use < static_cast<int64_t>(slots)));
        if (!got) continue;
        REQUIRE(leases[loan.slot]++ == 0);
        held.push_back(loan);
      } else if (what == 2 && !held.empty()) {
        const Loan loan = held[random() % held.size()];
        pool->AddLease(loan);
        ++leases[loan.slot];
        held.push_back(loan);
      } else if (!held.empty()) {
        const size_t at = random() % held.size();
        const Loan loan = held[at];
        held.erase(held.begin() + static_cast<int64_t>(at));
        pool->Release(loan);
        if (--leases[loan.slot] == 0) dead.push_back(loan);
        REQUIRE(pool->IsCurrent(loan) == (leases[loan.slot] > 0));
      }
      if (!dead.empty()) {
        const Loan loan = dead[random() % dead.size()];
        const auto stale = Catch([&] { pool->Release(loan); });
        REQUIRE(stale);
        REQUIRE(stale->code == Code::kSlotReleased);
      }
    }
  }
}

TEST_CASE("eight threads never hold the same slot at the same time") {
  const auto pool = TilePool::Create(4096, 5);
  std::atomic<int> torn{0};
  std::vector<std::thread> threads;
  for (int t = 1; t <= 8; ++t) {
    threads.emplace_back([&, t] {
      for (int i = 0; i < 3000; ++i) {
        Loan loan;
        if (i % 3 == 0) {
          loan = pool->LoanBlocking(nullptr);
        } else if (!pool->TryLoan(loan)) {
          continue;
        }
        // Plain, unsynchronised writes: any overlap shows as a foreign stamp, and as a race under
        // ThreadSanitizer.
        auto* words = reinterpret_cast<uint32_t*>(pool->data(loan.slot));
        const uint32_t stamp = static_cast<uint32_t>(t) << 20 | static_cast<uint32_t>(i);
        for (int w = 0; w < 64; ++w) words[w] = stamp;
        if (i % 7 == 0) std::this_thread::yield();
        for (int w = 0; w < 64; ++w) {
          if (words[w] != stamp) torn.fetch_add(1);
        }
        pool->Release(loan);
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  CHECK(torn == 0);
  CHECK(pool->Stats().free == 5);
  CHECK(pool->Stats().peak_in_use <= 5);
}

TEST_CASE("leases added and dropped by many threads end with a free slot") {
  const auto pool = TilePool::Create(4096, 1);
  const Loan loan = MustLoan(*pool);
  std::vector<std::thread> threads;
  for (int t = 0; t < 8; ++t) {
    threads.emplace_back([&] {
      for (int i = 0; i < 2000; ++i) {
        pool->AddLease(loan);
        pool->Release(loan);
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  CHECK(pool->IsCurrent(loan));
  pool->Release(loan);
  CHECK(pool->Stats().free == 1);
}

}  // namespace
}  // namespace tilecast

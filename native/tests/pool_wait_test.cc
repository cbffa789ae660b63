// SPDX-License-Identifier: MIT
// Waiting for slots: order of arrival, all or nothing, cancelling, closing.
#include <doctest/doctest.h>

#include <atomic>
#include <thread>
#include <vector>

#include "pool_support.h"
#include "shm/tile_pool.h"

namespace tilecast {
namespace {

using testing::Catch;

// Returns when `count` loans have begun to wait since the pool was made. There is no deadline: a
// defect shows as a hanging test, which the runner ends.
void AwaitWaits(const TilePool& pool, uint64_t count) {
  while (pool.Stats().waits < count) std::this_thread::yield();
}

TEST_CASE("a blocked loan gets the slot that another thread releases") {
  const auto pool = TilePool::Create(4096, 1);
  const Loan first = pool->LoanBlocking(nullptr);
  std::thread waiter([&] {
    const Loan second = pool->LoanBlocking(nullptr);
    CHECK(second.slot == first.slot);
    CHECK(second.generation == first.generation + 1);
    pool->Release(second);
  });
  AwaitWaits(*pool, 1);
  pool->Release(first);
  waiter.join();
  CHECK(pool->Stats().free == 1);
  CHECK(pool->Stats().waits == 1);
}

TEST_CASE("a request larger than the pool is refused at once") {
  const auto pool = TilePool::Create(4096, 2);
  Loan loans[3];
  const auto refused = Catch([&] { pool->LoanManyBlocking(3, loans, nullptr); });
  REQUIRE(refused);
  CHECK(refused->code == Code::kInvalidArgument);
  CHECK(refused->message == "a loan of 3 slots can never succeed: pool " + pool->id() + " has 2");
  CHECK(pool->Stats().free == 2);
}

TEST_CASE("a large request is all or nothing, and small ones do not overtake it") {
  const auto pool = TilePool::Create(4096, 4);
  Loan held[4];
  pool->LoanManyBlocking(4, held, nullptr);

  std::atomic<int> order{0};
  int large_at = -1;
  int small_at = -1;
  Loan large[3];
  std::thread first([&] {
    pool->LoanManyBlocking(3, large, nullptr);
    large_at = order.fetch_add(1);
    for (Loan loan : large) pool->Release(loan);
  });
  AwaitWaits(*pool, 1);
  std::thread second([&] {
    const Loan loan = pool->LoanBlocking(nullptr);
    small_at = order.fetch_add(1);
    pool->Release(loan);
  });
  AwaitWaits(*pool, 2);

  pool->Release(held[0]);
  pool->Release(held[1]);
  // Two are free: the large request holds none of them, and neither a newcomer nor the small waiter
  // may take one.
  CHECK(pool->Stats().free == 2);
  Loan newcomer;
  CHECK_FALSE(pool->TryLoan(newcomer));
  CHECK(order == 0);
  pool->Release(
      held[2]);  // three: the large request's turn, the small one gets a slot only after it
  first.join();
  second.join();
  CHECK(large_at == 0);
  CHECK(small_at == 1);
  pool->Release(held[3]);
  CHECK(pool->Stats().free == 4);
}

TEST_CASE("large requests are served while small ones never stop coming") {
  const auto pool = TilePool::Create(4096, 4);
  std::atomic<bool> done{false};
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&] {
      while (!done) pool->Release(pool->LoanBlocking(nullptr));
    });
  }
  threads.emplace_back([&] {
    for (int i = 0; i < 200; ++i) {
      Loan all[4];
      pool->LoanManyBlocking(4, all, nullptr);
      for (Loan loan : all) pool->Release(loan);
    }
    done = true;
  });
  for (std::thread& thread : threads) thread.join();
  CHECK(pool->Stats().free == 4);
}

TEST_CASE("jobs that reserve their peak never deadlock") {
  const auto pool = TilePool::Create(4096, 5);
  std::vector<std::thread> threads;
  std::atomic<int> finished{0};
  for (uint32_t t = 0; t < 8; ++t) {
    threads.emplace_back([&, t] {
      std::vector<Loan> loans(1 + t % 5);
      for (int i = 0; i < 300; ++i) {
        pool->LoanManyBlocking(static_cast<uint32_t>(loans.size()), loans.data(), nullptr);
        for (Loan loan : loans) pool->data(loan.slot)[0] = std::byte{1};
        for (Loan loan : loans) pool->Release(loan);
      }
      finished.fetch_add(1);
    });
  }
  for (std::thread& thread : threads) thread.join();
  CHECK(finished == 8);
  CHECK(pool->Stats().free == 5);
}

TEST_CASE("cancelling the request at the head lets those behind it through") {
  const auto pool = TilePool::Create(4096, 2);
  const Loan held = pool->LoanBlocking(nullptr);
  std::atomic<bool> cancel{false};
  std::thread large([&] {
    Loan both[2];
    const auto cancelled = Catch([&] { pool->LoanManyBlocking(2, both, &cancel); });
    REQUIRE(cancelled);
    CHECK(cancelled->code == Code::kCancelled);
  });
  AwaitWaits(*pool, 1);
  std::thread small([&] { pool->Release(pool->LoanBlocking(nullptr)); });
  AwaitWaits(*pool, 2);
  cancel = true;
  pool->WakeAll();
  large.join();
  small.join();  // would hang if the free slot stayed reserved
  pool->Release(held);
  CHECK(pool->Stats().free == 2);
}

TEST_CASE("closing wakes every waiter with an error, and loans may still be released") {
  const auto pool = TilePool::Create(4096, 1);
  const Loan held = pool->LoanBlocking(nullptr);
  std::vector<std::thread> threads;
  std::atomic<int> closed{0};
  for (int t = 0; t < 3; ++t) {
    threads.emplace_back([&] {
      const auto error = Catch([&] { pool->LoanBlocking(nullptr); });
      if (error && error->code == Code::kPoolClosed) closed.fetch_add(1);
    });
  }
  AwaitWaits(*pool, 3);
  std::atomic<int> async_closed{0};
  pool->LoanAsync(
      [](void* context, const Loan* loan) {
        if (loan == nullptr) static_cast<std::atomic<int>*>(context)->fetch_add(1);
      },
      &async_closed);
  pool->Close();
  pool->Close();
  for (std::thread& thread : threads) thread.join();
  CHECK(closed == 3);
  CHECK(async_closed == 1);
  pool->data(0)[0] = std::byte{7};  // still mapped
  pool->Release(held);
  Loan loan;
  const auto refused = Catch([&] { pool->TryLoan(loan); });
  REQUIRE(refused);
  CHECK(refused->code == Code::kPoolClosed);
  CHECK(refused->message == "the tile pool " + pool->id() + " is closed");
}

struct Received {
  std::vector<Loan> loans;
};
void Receive(void* context, const Loan* loan) {
  if (loan != nullptr) static_cast<Received*>(context)->loans.push_back(*loan);
}

TEST_CASE(
    "an asynchronous loan is granted at once, or by the release that frees a slot, in order") {
  const auto pool = TilePool::Create(4096, 1);
  Received first, second, third;
  pool->LoanAsync(Receive, &first);
  REQUIRE(first.loans.size() == 1);
  pool->LoanAsync(Receive, &second);
  pool->LoanAsync(Receive, &third);
  CHECK(second.loans.empty());
  pool->Release(first.loans[0]);
  REQUIRE(second.loans.size() == 1);
  CHECK(third.loans.empty());
  pool->Release(second.loans[0]);
  REQUIRE(third.loans.size() == 1);
  pool->Release(third.loans[0]);
  CHECK(pool->Stats().free == 1);
}

TEST_CASE("a withdrawn asynchronous loan is never called, and those behind it are served") {
  const auto pool = TilePool::Create(4096, 1);
  const Loan held = pool->LoanBlocking(nullptr);
  Received first, second;
  pool->LoanAsync(Receive, &first);
  pool->LoanAsync(Receive, &second);
  CHECK(pool->CancelAsync(&first));
  CHECK_FALSE(pool->CancelAsync(&first));
  pool->Release(held);
  CHECK(first.loans.empty());
  REQUIRE(second.loans.size() == 1);
  pool->Release(second.loans[0]);
}

}  // namespace
}  // namespace tilecast

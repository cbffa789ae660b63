// SPDX-License-Identifier: MIT
// Turns of worker threads: never more than there are cores, and none is lost to a wait.
#include <doctest/doctest.h>

#include <atomic>
#include <chrono>
#include <cstdint>
#include <thread>
#include <vector>

#include "exec/core_limit.h"
#include "exec/thread_clock.h"

using namespace tilecast;  // NOLINT(google-build-using-namespace)

TEST_CASE("no more threads compute than there are turns, also when they pause for a device") {
  CoreLimit limit(2);
  std::atomic<int> computing{0}, most{0}, rounds{0};
  const auto note = [&] {
    const int now = ++computing;
    for (int seen = most; now > seen && !most.compare_exchange_weak(seen, now);) {
    }
  };
  std::vector<std::thread> threads;
  for (int t = 0; t < 8; ++t) {
    threads.emplace_back([&] {
      for (int i = 0; i < 200; ++i) {
        const CoreLimit::Turn turn(limit);
        note();
        --computing;
        {
          const CoreLimit::Pause pause(limit);
          std::this_thread::yield();
        }
        note();
        --computing;
        ++rounds;
      }
    });
  }
  for (std::thread& t : threads) t.join();
  CHECK(most <= 2);
  CHECK(rounds == 8 * 200);
}

TEST_CASE("a thread's clock counts work, and not a wait") {
  const ThreadClock clock;
  const ThreadTimes begin = clock.Now();
  std::atomic<uint64_t> sum{0};
  const auto until = std::chrono::steady_clock::now() + std::chrono::milliseconds(50);
  while (std::chrono::steady_clock::now() < until) ++sum;
  const ThreadTimes worked = clock.Now();
  CHECK(worked.processor > begin.processor);
  std::this_thread::sleep_for(std::chrono::milliseconds(50));
  const ThreadTimes slept = clock.Now();
  // What the sleep took of the processor is a fraction of what it took.
  CHECK(slept.processor - worked.processor < 0.025);
  CHECK(slept.queued >= worked.queued);
}

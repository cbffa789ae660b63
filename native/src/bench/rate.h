// SPDX-License-Identifier: MIT
// How every measurement is timed: the same work on each of some threads, begun together, for a
// while.
#pragma once

#include <atomic>
#include <chrono>
#include <exception>
#include <functional>
#include <mutex>
#include <string>
#include <system_error>
#include <thread>
#include <vector>

#include "error.h"

namespace tilecast::bench {

// One repetition; gives how much was done, in whatever unit the caller counts.
using Work = std::function<double()>;

// `prepare(thread)` runs on the thread that will work, so that what it allocates lies in that
// thread's memory; its first repetition is not counted. Then all threads work for `seconds`, at
// least once. Gives the sum of the threads' rates, each over its own time, so that one thread that
// ends late does not dilute the others. The first error of any thread is thrown when all have
// ended.
inline double MeasureRate(int threads, double seconds, const std::function<Work(int)>& prepare) {
  using Clock = std::chrono::steady_clock;
  if (threads < 1 || threads > 4096 || !(seconds >= 0 && seconds <= 600)) {
    throw Error(Code::kInvalidArgument, "threads must be 1 to 4096 and seconds 0 to 600");
  }
  std::atomic<int> ready{0};
  std::atomic<bool> failed{false};
  std::mutex mutex;
  std::exception_ptr error;  // guarded by mutex
  double sum = 0;            // guarded by mutex
  auto run = [&](int number) {
    try {
      const Work work = prepare(number);
      work();
      ready.fetch_add(1);
      while (ready.load() < threads && !failed.load()) std::this_thread::yield();
      if (failed.load()) return;
      double done = 0;
      double spent = 0;
      const auto start = Clock::now();
      do {
        done += work();
        spent = std::chrono::duration<double>(Clock::now() - start).count();
      } while (spent < seconds && !failed.load());
      const std::lock_guard lock(mutex);
      sum += done / spent;
    } catch (...) {
      failed.store(true);
      const std::lock_guard lock(mutex);
      if (!error) error = std::current_exception();
    }
  };
  std::vector<std::thread> others;
  try {
    for (int i = 1; i < threads; ++i) others.emplace_back(run, i);
  } catch (const std::system_error& e) {
    failed.store(true);
    for (std::thread& t : others) t.join();
    throw Error(Code::kInternal, std::string("a thread cannot be started: ") + e.what());
  }
  run(0);
  for (std::thread& t : others) t.join();
  if (error) std::rethrow_exception(error);
  return sum;
}

}  // namespace tilecast::bench

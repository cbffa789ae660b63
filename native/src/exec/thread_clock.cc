// SPDX-License-Identifier: MIT
// The processor's time from the POSIX clock, the queue's from /proc, where there is one.
#include "exec/thread_clock.h"

#include <fcntl.h>
#include <time.h>
#include <unistd.h>

#include <charconv>

namespace tilecast {

ThreadClock::ThreadClock() {
#ifdef __linux__
  statistics_ = open("/proc/thread-self/schedstat", O_RDONLY | O_CLOEXEC);
#endif
}

ThreadClock::~ThreadClock() {
  if (statistics_ >= 0) close(statistics_);
}

ThreadTimes ThreadClock::Now() const {
  ThreadTimes times;
  timespec t{};
  if (clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t) == 0) {
    times.processor = static_cast<double>(t.tv_sec) + 1e-9 * static_cast<double>(t.tv_nsec);
  }
  if (statistics_ < 0) return times;
  // "ran queued slices", nanoseconds (Documentation/scheduler/sched-stats.rst).
  char text[96];
  const ssize_t size = pread(statistics_, text, sizeof text, 0);
  if (size <= 0) return times;
  const char* end = text + size;
  unsigned long long ran = 0, queued = 0;
  const auto first = std::from_chars(text, end, ran);
  if (first.ptr == end || std::from_chars(first.ptr + 1, end, queued).ec != std::errc()) {
    return times;
  }
  times.queued = 1e-9 * static_cast<double>(queued);
  return times;
}

}  // namespace tilecast

// SPDX-License-Identifier: MIT
// The futex calls, without the PRIVATE flag: sleeper and waker are different processes.
#include "shm/futex.h"

#ifdef __linux__
#include <linux/futex.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <climits>
#endif
#include <ctime>

namespace tilecast::shm {

void FutexWait(const std::atomic<uint32_t>* word, uint32_t expected, uint32_t timeout_ms) {
#ifdef __linux__
  const timespec timeout{static_cast<time_t>(timeout_ms / 1000),
                         static_cast<long>(timeout_ms % 1000) * 1000000};
  syscall(SYS_futex, word, FUTEX_WAIT, expected, &timeout, nullptr, 0);
#else
  if (word->load() != expected || timeout_ms == 0) return;
  const timespec nap{0, 1000000};
  nanosleep(&nap, nullptr);
#endif
}

void FutexWakeAll(const std::atomic<uint32_t>* word) {
#ifdef __linux__
  syscall(SYS_futex, word, FUTEX_WAKE, INT_MAX, nullptr, nullptr, 0);
#else
  static_cast<void>(word);
#endif
}

}  // namespace tilecast::shm

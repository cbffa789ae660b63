// SPDX-License-Identifier: MIT
// Where a thread's time goes: on a processor, in the queue for one, or blocked.
#pragma once

namespace tilecast {

// Of the calling thread, since it began.
struct ThreadTimes {
  double processor = 0;  // seconds on a processor
  double queued = 0;  // seconds that it could have run and others did; 0 where nobody counts them
};

class ThreadClock {
 public:
  ThreadClock();  // of the thread that makes it, which alone may ask
  ~ThreadClock();
  ThreadClock(const ThreadClock&) = delete;
  ThreadClock& operator=(const ThreadClock&) = delete;

  ThreadTimes Now() const;

 private:
  int statistics_ = -1;  // Linux's file of the scheduler's account
};

}  // namespace tilecast

// SPDX-License-Identifier: MIT
// How many worker threads compute at a time, where there are more of them than cores.
#pragma once

#include <condition_variable>
#include <mutex>

namespace tilecast {

// Threads that wait for a device leave their turn to others, so that cores have work meanwhile, and
// never more threads compute than there are cores.
class CoreLimit {
 public:
  explicit CoreLimit(int cores) : free_(cores) {}

  void Enter() {
    std::unique_lock lock(mutex_);
    freed_.wait(lock, [&] { return free_ > 0; });
    --free_;
  }
  void Leave() {
    {
      const std::lock_guard lock(mutex_);
      ++free_;
    }
    freed_.notify_one();
  }

  // A turn, from the first to the last line of a scope.
  class Turn {
   public:
    explicit Turn(CoreLimit& limit) : limit_(limit) { limit_.Enter(); }
    ~Turn() { limit_.Leave(); }
    Turn(const Turn&) = delete;
    Turn& operator=(const Turn&) = delete;

   private:
    CoreLimit& limit_;
  };
  // The reverse, within a turn.
  class Pause {
   public:
    explicit Pause(CoreLimit& limit) : limit_(limit) { limit_.Leave(); }
    ~Pause() { limit_.Enter(); }
    Pause(const Pause&) = delete;
    Pause& operator=(const Pause&) = delete;

   private:
    CoreLimit& limit_;
  };

 private:
  std::mutex mutex_;
  std::condition_variable freed_;
  int free_;
};

}  // namespace tilecast

// SPDX-License-Identifier: MIT
// Sleeping on a word of memory that several processes share.
#pragma once

#include <atomic>
#include <cstdint>

namespace tilecast::shm {

// Sleeps while *word == expected, at most `timeout_ms`. Returns for any other reason too: the
// caller looks again. Where there is no futex it sleeps a millisecond.
void FutexWait(const std::atomic<uint32_t>* word, uint32_t expected, uint32_t timeout_ms);
void FutexWakeAll(const std::atomic<uint32_t>* word);

// An event that costs the notifier one load while nobody sleeps. It survives the death of anyone:
// a sleeper that dies leaves `sleepers` set, and the next notification costs one vain system call.
//
// Sleeper: Prepare; look for what it waits for; Wait. Notifier: make it so; Notify. Everything is
// sequentially consistent, so either the sleeper's look or the notifier's load sees the other.
struct SharedEvent {
  std::atomic<uint32_t> sleepers;
  std::atomic<uint32_t> count;

  uint32_t Prepare() {
    sleepers.store(1);
    return count.load();
  }
  void Wait(uint32_t prepared, uint32_t timeout_ms) const {
    FutexWait(&count, prepared, timeout_ms);
  }
  void Notify() {
    if (sleepers.load() == 0) return;
    NotifyAlways();
  }
  void NotifyAlways() {
    sleepers.store(0);
    count.fetch_add(1);
    FutexWakeAll(&count);
  }
};
static_assert(sizeof(SharedEvent) == 8);

}  // namespace tilecast::shm

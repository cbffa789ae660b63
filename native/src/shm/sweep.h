// SPDX-License-Identifier: MIT
// Removal of what dead processes left in shared memory.
#pragma once

#include <cstdint>
#include <string>

namespace tilecast::shm {

inline constexpr int64_t kUnfinishedSeconds = 5;

struct SweepReport {
  uint32_t pools = 0;    // pools and channels whose owners are all dead
  uint32_t objects = 0;  // names removed
  uint64_t bytes = 0;    // of those objects
};

// Removes every tc-* object of this user whose pool has no living creator and no living attached
// process, and those that were never finished (no valid magic, or slots without a control object,
// for kUnfinishedSeconds). Of any layout version. Never touches an object of another user. Needs
// /dev/shm; does nothing elsewhere.
SweepReport SweepSharedMemory();
// The same for one pool or channel.
SweepReport SweepOne(const std::string& id, int64_t unfinished_seconds = kUnfinishedSeconds);
// At most once in ten seconds a process: for timers.
void SweepNowAndThen();

}  // namespace tilecast::shm

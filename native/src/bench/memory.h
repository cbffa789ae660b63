// SPDX-License-Identifier: MIT
// What memory can do at best: the limit that everything which moves pixels is compared with.
#pragma once

#include <cstddef>
#include <cstdint>

namespace tilecast::bench {

enum class MemoryAccess : uint8_t {
  kRead,         // sums the working set
  kCopy,         // memcpy of one half of the working set to the other
  kStreamCopy,   // the same with stores that bypass the caches (x86-64)
  kFreshShared,  // makes a shared-memory object, fills it, drops it: every page is touched for the
                 // first time
  kWarmShared,   // fills the same shared-memory object again and again, as a pool's slots are
};

// Whether this processor has the access.
bool HasAccess(MemoryAccess access);

// A copy of a multiple of 64 bytes, both aligned to 64, with stores that bypass the caches where
// the processor has them.
void StreamCopy(std::byte* to, const std::byte* from, uint64_t bytes);

// Bytes a second of all threads together. Reading counts the bytes read, filling those written,
// copying the bytes copied, once (STREAM counts them twice, and a bus without write-allocate
// avoidance moves them three times). `bytes` is each thread's working set, both halves of a copy
// together; at least 4 KiB. Throws kInvalidArgument, kPoolMemory when shared memory or memory
// cannot be had.
double MeasureMemory(MemoryAccess access, uint64_t bytes, int threads, double seconds);

}  // namespace tilecast::bench

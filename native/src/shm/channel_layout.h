// SPDX-License-Identifier: MIT
// The channel's object, byte by byte (docs/pool-layout.md).
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>

#include "shm/channel.h"
#include "shm/futex.h"
#include "shm/object.h"

namespace tilecast::shm {

inline constexpr uint32_t kChannelLayoutVersion = 1;
inline constexpr ObjectKind kChannelKind{"tile channel", 'q', kChannelMagic, kChannelLayoutVersion};

struct ChannelHeader {
  ObjectHeader object;
  // Positions count up for ever; position p is cell p % capacity in lap p / capacity. They lag
  // behind the cells, which are the truth: whoever sees that pushes them on.
  alignas(64) std::atomic<uint64_t> head;  // next to be received
  alignas(64) std::atomic<uint64_t> tail;  // next to be sent
  alignas(64) SharedEvent not_empty;
  alignas(64) SharedEvent not_full;
  alignas(64) std::atomic<uint64_t> skipped;
  std::atomic<uint64_t> lost;
};

enum class CellPhase : uint8_t { kEmpty = 0, kWriting = 1, kFull = 2, kReading = 3, kSkipped = 4 };

// One cache line a descriptor. The claim of a cell carries its claimant in the same word, so that
// there is no instant at which a process can die with a cell that nobody can ascribe to it.
struct ChannelCell {
  std::atomic<uint64_t> word;  // lap << 16 | row << 8 | CellPhase
  TileDescriptor descriptor;
};

static_assert(offsetof(ChannelHeader, head) == 128 && offsetof(ChannelHeader, tail) == 192);
static_assert(offsetof(ChannelHeader, not_empty) == 256);
static_assert(offsetof(ChannelHeader, not_full) == 320);
static_assert(offsetof(ChannelHeader, skipped) == 384 && offsetof(ChannelHeader, lost) == 392);
static_assert(sizeof(ChannelHeader) == 448);
static_assert(offsetof(ChannelCell, word) == 0 && offsetof(ChannelCell, descriptor) == 8);
static_assert(sizeof(ChannelCell) == 64);
static_assert(offsetof(TileDescriptor, slot) == 0 && offsetof(TileDescriptor, generation) == 4);
static_assert(offsetof(TileDescriptor, dtype) == 8 && offsetof(TileDescriptor, ndim) == 9);
static_assert(offsetof(TileDescriptor, shape) == 12 && offsetof(TileDescriptor, components) == 24);
static_assert(offsetof(TileDescriptor, tag) == 48);

constexpr uint64_t CellWord(uint64_t lap, uint32_t row, CellPhase phase) {
  return lap << 16 | uint64_t{row} << 8 | static_cast<uint64_t>(phase);
}
constexpr uint64_t CellLap(uint64_t word) {
  return word >> 16;
}
constexpr uint32_t CellRow(uint64_t word) {
  return static_cast<uint32_t>(word >> 8) & 0xFF;
}
constexpr CellPhase CellPhaseOf(uint64_t word) {
  return static_cast<CellPhase>(word & 0xFF);
}

}  // namespace tilecast::shm

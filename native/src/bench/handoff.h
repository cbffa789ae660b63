// SPDX-License-Identifier: MIT
// What handing a tile from process to process costs, and what the hardware asks for at least.
#pragma once

#include <cstdint>
#include <string>

namespace tilecast::bench {

// Tiles: loan, stamp, send | receive, lease, check, release. Line: one word of shared memory, with
// nothing around it. Futex: the same word, and the other side asleep.
enum class HandoffKind : uint8_t { kTile, kLine, kFutex };

// Both ends of a to and fro, each in a process of its own.
struct HandoffEnds {
  HandoffKind kind = HandoffKind::kTile;
  std::string pool;         // of at least 4 slots
  std::string out, in;      // channels; the other end has them the other way round
  uint32_t spin_us = 1000;  // how long a channel spins before it sleeps
};

// Median time of one way, in nanoseconds: of groups of round trips, halved. Throws as
// TilePool::Open and TileChannel::Open, and kInternal when a tile that came is not the one that was
// sent.
double HandoffPing(const HandoffEnds& ends, double seconds);
// Answers until the other end is done: `out` is closed, or the line says so.
void HandoffEcho(const HandoffEnds& ends);
// Tells an echo to end whose ping has failed or is over.
void HandoffStop(const HandoffEnds& ends);

// Sends descriptors into a channel as fast as they are taken, until it is closed; gives their
// number.
double HandoffFlood(const std::string& channel);

// Bytes a second written with non-temporal stores into slots of a pool, each loaned and released,
// or (not `pooled`) into as much memory of the process's own, touched before. Throws kInternal when
// there was a page fault: slots are pre-faulted.
double MeasureSlotFill(uint64_t slot_bytes, uint32_t slots, bool pooled, double seconds);

}  // namespace tilecast::bench

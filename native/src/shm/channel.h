// SPDX-License-Identifier: MIT
// TileChannel: tile descriptors from process to process, through a bounded ring in shared memory.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>

namespace tilecast {

// What a receiver must know of a tile. 56 bytes, in the ring as they are here.
struct TileDescriptor {
  uint32_t slot = 0;
  uint32_t generation = 0;
  uint8_t dtype = 0;  // DType of image.h
  uint8_t ndim = 2;   // 2: [y, x], 3: [n, y, x]
  uint16_t reserved0 = 0;
  uint32_t shape[3] = {1, 1, 1};  // n, y, x
  // well, site, channel, z_index, timepoint as numbers that both sides understand; -1 none.
  int32_t components[5] = {-1, -1, -1, -1, -1};
  uint32_t reserved1 = 0;
  uint64_t tag = 0;  // the sender's own
};
static_assert(sizeof(TileDescriptor) == 56);

struct ChannelStats {
  uint32_t capacity = 0;
  uint32_t processes = 0;
  uint64_t sent = 0;      // cells claimed since creation
  uint64_t received = 0;  // cells taken since creation
  uint64_t skipped = 0;   // claimed by a sender that died before it had written
  uint64_t lost = 0;      // taken by a receiver that died before it had read
};

// Any number of senders and receivers in any number of processes; each descriptor goes to one
// receiver, in the order in which the senders claimed their cells. Lock-free; whoever finds the
// ring full or empty spins for a while and then sleeps. A descriptor is a message, not a lease: the
// sender holds its lease until it knows that the receiver took its own.
//
// A sender or receiver may die at any instant: its half-written cell is skipped, its half-read one
// is lost, within shm::kLeasePeriodMs, by whoever waits. All methods are safe from any thread.
class TileChannel {
 public:
  // Creates /tc-<id>-q. `capacity` descriptors, rounded up to a power of two, 2 to 2^20. Throws
  // kInvalidArgument, kPoolMemory.
  static std::shared_ptr<TileChannel> Create(uint32_t capacity);
  // Attaches to a channel that another process (or this one) made. Throws as TilePool::Open.
  static std::shared_ptr<TileChannel> Open(const std::string& id);
  ~TileChannel();
  TileChannel(const TileChannel&) = delete;
  TileChannel& operator=(const TileChannel&) = delete;

  // Sends as many as fit now; returns how many. Throws kPoolClosed.
  size_t TrySend(std::span<const TileDescriptor> batch);
  // Sends all, waiting while the ring is full. Throws kPoolClosed, kCancelled (*cancel, looked at
  // after WakeAll); some may have been sent then.
  void Send(std::span<const TileDescriptor> batch, const std::atomic<bool>* cancel);
  // Takes what is there, up to the size of `batch`; returns how many. Where there is nothing it
  // looks again for `spin_us`, and never sleeps.
  size_t TryReceive(std::span<TileDescriptor> batch, uint32_t spin_us = 0);
  // Waits until there is at least one. 0 when the channel is closed and empty. Throws kCancelled.
  size_t Receive(std::span<TileDescriptor> batch, const std::atomic<bool>* cancel);
  // How long Send and Receive spin before they sleep. A sleeper costs no CPU and wakes in 5 to 50
  // us; a spinner sees a descriptor in well under 1 us and needs a core. Default 20.
  void SetSpin(uint32_t microseconds);

  // Skips what dead processes left half done. Happens on its own while anybody waits. Returns the
  // number of dead processes.
  uint32_t ReclaimDead();
  void WakeAll();
  // Senders are refused from now on, in all processes; receivers get what is in the ring, then 0.
  // In the process that made the channel the name is removed. Idempotent.
  void Close();

  uint32_t capacity() const;
  const std::string& id() const;
  bool closed() const;
  ChannelStats Stats() const;

 private:
  TileChannel();
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace tilecast

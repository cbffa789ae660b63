// SPDX-License-Identifier: MIT
// Unlinks the pools of this process when it ends: at exit, and on SIGINT, SIGTERM and SIGHUP.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <string_view>

namespace tilecast::shm {

struct ExportEntry;

// Room for "/tc-<16>-32767" and, on Linux, "/dev/shm" before it.
inline constexpr size_t kNameBytes = 48;
inline constexpr int64_t kChannelName = -2;

// Writes the name of an object of pool `id` into `out`, zero-terminated: slot `n`, or the control
// object for n < 0 (a channel's for n == kChannelName). Async-signal-safe.
void FormatName(char (&out)[kNameBytes], std::string_view id, int64_t n);

// A process may stock so many objects that will take the place of slots' objects which are handed
// over; they are named by row and number.
inline constexpr uint32_t kMaxSpares = 16;
void FormatSpareName(char (&out)[kNameBytes], std::string_view id, uint32_t row, uint32_t number);
// Removes the names of a row's spare objects. Async-signal-safe.
void UnlinkSpares(std::string_view id, uint32_t row);

// Removes a name as FormatName writes it. Async-signal-safe.
void UnlinkName(const char (&name)[kNameBytes]);
// Removes an export's name if it still is that object's: whoever reads it may have removed it, and
// another program may have taken the name since. Async-signal-safe.
void UnlinkExport(const ExportEntry& entry);

// Enters a pool (a channel: slots == kChannelSlots) *before* its first object exists, so that a
// signal at any moment leaves nothing behind. Returns a handle, or -1 when kMaxRegistered pools are
// open. The first call registers the exit hook. Every call takes over SIGINT, SIGTERM and SIGHUP
// where a signal would end the process: the default action, or a one-shot handler (Node's own,
// which resets the terminal and re-raises). Where a program handles the signal itself, as
// JavaScript's process.on("SIGINT") does through libuv, nothing is touched: it decides when to
// exit, and the exit hook then cleans up. A handler that is installed later replaces ours, to the
// same effect.
int RegisterPool(std::string_view id, uint32_t slots);
// Names that go with the pool's; both must stay mapped until the pool is unlinked.
void SetPoolExtras(int handle, const ExportEntry* exports, const std::atomic<uint32_t>* spare_rows);
// Unlinks the pool's names and forgets it.
void UnlinkRegisteredPool(int handle);
inline constexpr int kMaxRegistered = 256;
inline constexpr uint32_t kChannelSlots = UINT32_MAX;

// Keeps this addon loaded until the process ends, for threads, handlers and hooks that point into
// it: Node unloads an addon when the last worker thread that required it ends.
void PinThisLibrary();

// Unlinks every registered pool that this very process made: after a fork the child's exit must not
// take the parent's pools. Async-signal-safe.
void UnlinkRegistered();
// UnlinkRegistered was called in this process: who makes a name afterwards removes it again.
bool IsEnding();

}  // namespace tilecast::shm

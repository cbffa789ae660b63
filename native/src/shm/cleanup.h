// SPDX-License-Identifier: MIT
// Unlinks the pools of this process when it ends: at exit, and on SIGINT, SIGTERM and SIGHUP.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

namespace tilecast::shm {

// Room for "/tc-<16>-32767" and, on Linux, "/dev/shm" before it.
inline constexpr size_t kNameBytes = 48;

// Writes the name of an object of pool `id` into `out`, zero-terminated: slot `n`, or the control
// object for n < 0. Async-signal-safe.
void FormatName(char (&out)[kNameBytes], std::string_view id, int64_t n);

// Removes every name of a pool; names that are gone already do not matter. Async-signal-safe.
void UnlinkPool(std::string_view id, uint32_t slots);

// Enters a pool *before* its first object exists, so that a signal at any moment leaves nothing
// behind. Returns a handle, or -1 when kMaxRegistered pools are open. The first call registers the
// exit hook. Every call takes over SIGINT, SIGTERM and SIGHUP where a signal would end the process:
// the default action, or a one-shot handler (Node's own, which resets the terminal and re-raises).
// Where a program handles the signal itself, as JavaScript's process.on("SIGINT") does through
// libuv, nothing is touched: it decides when to exit, and the exit hook then cleans up. A handler
// that is installed later replaces ours, to the same effect.
int RegisterPool(std::string_view id, uint32_t slots);
void UnregisterPool(int handle);
inline constexpr int kMaxRegistered = 256;

// Unlinks every registered pool that this very process made: after a fork the child's exit must not
// take the parent's pools. Async-signal-safe.
void UnlinkRegistered();

}  // namespace tilecast::shm

// SPDX-License-Identifier: MIT
// The participants of the crash harness, and the board through which the director talks to them.
#pragma once

#include <atomic>
#include <cstdint>
#include <string>
#include <vector>

namespace tilecast::crash {

inline constexpr uint32_t kSlots = 8;
inline constexpr uint64_t kSlotBytes = 16384;
inline constexpr uint32_t kCells = 16;
inline constexpr char kExportPrefix[] = "tccrash-";

// Memory that the director shares with all participants, by descriptor: it must not be what is
// tested.
struct Board {
  std::atomic<uint32_t> creating{0};
  std::atomic<uint32_t> ready{0};
  std::atomic<bool> stop{false};
  std::atomic<bool> pause{false};  // producers begin nothing new
  char pool[20] = {};
  char work[20] = {};                 // channel to the consumers
  char watch[20] = {};                // channel to the observer
  char flood[20] = {};                // channel of the flooders
  char keep[20] = {};                 // channel to the keepers, who are told numbers of exports
  std::atomic<uint64_t> checked{0};   // tiles found whole under a lease
  std::atomic<uint64_t> refused{0};   // their loan was over: a typed error
  std::atomic<uint64_t> observed{0};  // tiles found whole without a lease
  std::atomic<uint64_t> replaced{0};  // not valid any more after the copy: rightly dropped
  std::atomic<uint64_t> flooded{0};   // messages that flooders exchanged
  std::atomic<uint64_t> kept{0};      // tiles handed over to a keeper and whole when it let go
  std::atomic<uint32_t> torn{0};      // not whole although they were said to be valid
};

Board* MakeBoard(int& fd);
std::vector<std::string> ListShm(const std::string& prefix);

// A participant's life; its exit code. 0 also when it met the errors that a survivor may meet.
int Play(const std::string& role, int board_fd, uint64_t seed, const std::string& owner);

}  // namespace tilecast::crash

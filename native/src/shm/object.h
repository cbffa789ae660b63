// SPDX-License-Identifier: MIT
// What every named control object begins with, in all versions: who made it, and who is attached.
#pragma once

#include <sys/stat.h>

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <mutex>
#include <string>
#include <string_view>

#include "shm/process.h"

namespace tilecast::shm {

inline constexpr uint64_t kPoolMagic = 0x4C4F4F5054534354;     // "TCSTPOOL" as little-endian bytes
inline constexpr uint64_t kChannelMagic = 0x4E41484354534354;  // "TCSTCHAN"
// A slot's word has one bit a process.
inline constexpr uint32_t kMaxProcesses = 32;
// How long what a dead process held may stay lost: the janitor's beat.
inline constexpr uint32_t kLeasePeriodMs = 1000;

enum class ObjectState : uint32_t { kBuilding = 0, kOpen = 1, kClosed = 2 };
enum class ProcessState : uint32_t { kEmpty = 0, kClaimed = 1, kAttached = 2 };

// All integers are little-endian; every atomic is lock-free and address-free, so it works across
// processes. These 128 bytes and the first 24 of a process entry keep their meaning in every
// version, so that any version can tell whether an object of another one still has an owner.
struct ObjectHeader {
  std::atomic<uint64_t> magic;  // stored last: whoever sees it sees the rest
  uint32_t version;
  uint32_t header_bytes;
  uint64_t control_bytes;
  uint64_t item_bytes;  // of a slot, or of a cell
  uint32_t items;       // slots, or cells
  uint32_t max_processes;
  uint64_t process_table_offset;
  uint64_t item_table_offset;
  uint64_t free_bitmap_offset;   // 0 in a channel
  uint64_t export_table_offset;  // 0 in a channel
  char id[24];                   // zero-terminated
  uint32_t creator_pid;
  std::atomic<uint32_t> state;  // ObjectState
  uint64_t creator_start_time;
  uint64_t created_unix_ns;
  uint64_t creator_pid_namespace;
};

struct ProcessEntry {
  std::atomic<uint64_t>
      owner;  // pid << 32 | ProcessState: one word, so that a claim is never nameless
  std::atomic<uint64_t> start_time;
  std::atomic<uint64_t> pid_namespace;
  uint64_t reserved[5];
};

static_assert(std::atomic<uint64_t>::is_always_lock_free);
static_assert(std::atomic<uint32_t>::is_always_lock_free);
static_assert(sizeof(std::atomic<uint64_t>) == 8 && sizeof(std::atomic<uint32_t>) == 4);
static_assert(offsetof(ObjectHeader, magic) == 0);
static_assert(offsetof(ObjectHeader, version) == 8);
static_assert(offsetof(ObjectHeader, header_bytes) == 12);
static_assert(offsetof(ObjectHeader, control_bytes) == 16);
static_assert(offsetof(ObjectHeader, item_bytes) == 24);
static_assert(offsetof(ObjectHeader, items) == 32);
static_assert(offsetof(ObjectHeader, max_processes) == 36);
static_assert(offsetof(ObjectHeader, process_table_offset) == 40);
static_assert(offsetof(ObjectHeader, item_table_offset) == 48);
static_assert(offsetof(ObjectHeader, free_bitmap_offset) == 56);
static_assert(offsetof(ObjectHeader, export_table_offset) == 64);
static_assert(offsetof(ObjectHeader, id) == 72);
static_assert(offsetof(ObjectHeader, creator_pid) == 96);
static_assert(offsetof(ObjectHeader, state) == 100);
static_assert(offsetof(ObjectHeader, creator_start_time) == 104);
static_assert(offsetof(ObjectHeader, created_unix_ns) == 112);
static_assert(offsetof(ObjectHeader, creator_pid_namespace) == 120);
static_assert(sizeof(ObjectHeader) == 128);
static_assert(offsetof(ProcessEntry, owner) == 0 && offsetof(ProcessEntry, start_time) == 8);
static_assert(offsetof(ProcessEntry, pid_namespace) == 16 && sizeof(ProcessEntry) == 64);

constexpr uint64_t AlignToLine(uint64_t bytes) {
  return (bytes + 63) / 64 * 64;
}

// Fills everything but the state (kBuilding) and the magic.
void FillHeader(ObjectHeader& header, std::string_view id, const ProcessIdentity& creator);

// 16 characters of a-z2-7: 80 random bits, so that nobody can guess or pre-create a name.
std::string RandomId();
bool IsId(std::string_view id);

// "1.5 GiB", "64.0 MiB", "512 bytes": for messages.
std::string HumanBytes(uint64_t bytes);

// What a name in a folder stands for, links not followed. Async-signal-safe. (By descriptor: the
// functions that take a name exist in this form only since glibc 2.33.)
bool LookAt(int folder, const char* name, struct stat& status);

// A control object that another process made, mapped. Waits up to five seconds for one that is
// being built. Throws kInvalidArgument (an impossible id), kPoolNotFound (no such object, or its
// maker died), kPoolVersion (other magic or version), kIo (another user's).
struct OpenedObject {
  int fd = -1;
  std::byte* memory = nullptr;
  uint64_t bytes = 0;
  ObjectHeader& header() const { return *reinterpret_cast<ObjectHeader*>(memory); }
  void Close();
};
struct ObjectKind {
  const char* noun;  // "tile pool", "tile channel"
  char suffix;       // of the name: 'c', 'q'
  uint64_t magic;
  uint32_t version;
};
OpenedObject OpenObject(const ObjectKind& kind, const std::string& id, bool writable);

// A view of an object's process table.
class ProcessTable {
 public:
  ProcessTable() = default;
  ProcessTable(ProcessEntry* entries, uint32_t count) : entries_(entries), count_(count) {}

  // Enters this process; -1 when all rows are taken.
  int Join(const ProcessIdentity& self);
  void Leave(uint32_t row) { entries_[row].owner.store(0); }
  bool IsTaken(uint32_t row) const { return entries_[row].owner.load() != 0; }
  // Taken by a process that no longer exists.
  bool IsDead(uint32_t row) const;
  bool AnyAlive() const;
  uint32_t count() const { return count_; }

 private:
  ProcessEntry* entries_ = nullptr;
  uint32_t count_ = 0;
};

// Clears rows of dead processes: `reclaim(row)` takes away everything that the row stands for, then
// the row is freed. One janitor at a time, by a lock on the object's file that the kernel drops
// when its holder dies, because a row that another janitor has freed meanwhile may belong to a
// newcomer. Dying half-way is harmless: the row is still dead, and reclaim takes away the same
// things again. Does nothing when another janitor is at work.
class Janitor {
 public:
  Janitor() = default;
  Janitor(int fd, ProcessTable table) : fd_(fd), table_(table) {}
  // Number of rows that were cleared.
  uint32_t Run(uint32_t own_row, const std::function<void(uint32_t row)>& reclaim);

 private:
  int fd_ = -1;
  ProcessTable table_;
  std::mutex mutex_;  // the file's lock does not keep threads of one process apart
};

}  // namespace tilecast::shm

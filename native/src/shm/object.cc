// SPDX-License-Identifier: MIT
// Opening of named objects, their process table, and the janitor that clears it.
#include "shm/object.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstdio>
#include <cstring>
#include <iterator>
#include <thread>

#include "error.h"

namespace tilecast::shm {
namespace {

constexpr std::string_view kIdLetters = "abcdefghijklmnopqrstuvwxyz234567";
constexpr size_t kIdLength = 16;

std::string Printable(uint64_t magic) {
  std::string text;
  for (int i = 0; i < 8; ++i) {
    const char c = static_cast<char>(magic >> (8 * i));
    text += c >= 32 && c < 127 ? c : '?';
  }
  return text;
}

}  // namespace

std::string HumanBytes(uint64_t bytes) {
  constexpr const char* kUnits[] = {"bytes", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"};
  size_t unit = 0;
  double value = static_cast<double>(bytes);
  for (; value >= 1024 && unit + 1 < std::size(kUnits); ++unit) value /= 1024;
  char text[32];
  std::snprintf(text, sizeof(text), unit == 0 ? "%.0f %s" : "%.1f %s", value, kUnits[unit]);
  return text;
}

std::string RandomId() {
  uint8_t bytes[kIdLength];
  if (getentropy(bytes, sizeof(bytes)) != 0) {
    throw Error(Code::kPoolMemory,
                std::string("no random numbers for a pool name: ") + std::strerror(errno));
  }
  std::string id;
  for (uint8_t byte : bytes) id += kIdLetters[byte & 31];
  return id;
}

bool IsId(std::string_view id) {
  return id.size() == kIdLength && id.find_first_not_of(kIdLetters) == std::string_view::npos;
}

void FillHeader(ObjectHeader& header, std::string_view id, const ProcessIdentity& creator) {
  std::memcpy(header.id, id.data(), std::min(id.size(), sizeof(header.id) - 1));
  header.creator_pid = creator.pid;
  header.creator_start_time = creator.start_time;
  header.creator_pid_namespace = creator.pid_namespace;
  header.created_unix_ns =
      static_cast<uint64_t>(std::chrono::duration_cast<std::chrono::nanoseconds>(
                                std::chrono::system_clock::now().time_since_epoch())
                                .count());
  header.max_processes = kMaxProcesses;
}

bool LookAt(int folder, const char* name, struct stat& status) {
#ifdef O_PATH
  const int fd = openat(folder, name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
#else
  const int fd = openat(folder, name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK);
#endif
  if (fd < 0) return false;
  const bool known = fstat(fd, &status) == 0;
  close(fd);
  return known;
}

void OpenedObject::Close() {
  if (memory != nullptr) munmap(memory, bytes);
  if (fd >= 0) close(fd);
  memory = nullptr;
  fd = -1;
}

OpenedObject OpenObject(const ObjectKind& kind, const std::string& id, bool writable) {
  const std::string what = std::string("the ") + kind.noun + " " + id;
  if (!IsId(id)) {
    throw Error(Code::kInvalidArgument,
                "id must be 16 characters of a-z and 2-7, got \"" + id.substr(0, 64) + "\"");
  }
  const std::string name = "/tc-" + id + "-" + kind.suffix;
  const auto not_found = [&](const std::string& why) {
    return Error(Code::kPoolNotFound, what + " cannot be opened: " + why);
  };
  // A big pool takes a second a gigabyte to build; its id is normally given away only afterwards.
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(5);
  for (;; std::this_thread::sleep_for(std::chrono::milliseconds(2))) {
    const bool last = std::chrono::steady_clock::now() >= deadline;
    OpenedObject object;
    object.fd = shm_open(name.c_str(), (writable ? O_RDWR : O_RDONLY) | O_CLOEXEC, 0);
    if (object.fd < 0 && errno == ENOENT) {
      throw not_found("there is no " + name +
                      " on this machine. It was closed, or its process ended");
    }
    if (object.fd < 0) throw IoError("opening shared memory", name, errno);
    try {
      struct stat status{};
      if (fstat(object.fd, &status) != 0) throw IoError("looking at shared memory", name, errno);
      object.bytes = static_cast<uint64_t>(status.st_size);
      if (object.bytes >= sizeof(ObjectHeader)) {
        void* memory = mmap(nullptr, object.bytes, PROT_READ | (writable ? PROT_WRITE : 0),
                            MAP_SHARED, object.fd, 0);
        if (memory == MAP_FAILED) throw IoError("mapping shared memory", name, errno);
        object.memory = static_cast<std::byte*>(memory);
        const ObjectHeader& header = object.header();
        const uint64_t magic = header.magic.load(std::memory_order_acquire);
        if (magic != 0 && magic != kind.magic) {
          throw Error(Code::kPoolVersion, name + " is not a " + kind.noun + ": it begins with \"" +
                                              Printable(magic) + "\", expected \"" +
                                              Printable(kind.magic) + "\"");
        }
        if (magic != 0 && header.version != kind.version) {
          throw Error(Code::kPoolVersion,
                      what + " has layout version " + std::to_string(header.version) +
                          ", expected " + std::to_string(kind.version) +
                          ": use the same version of tilecast in both processes");
        }
        const auto state = static_cast<ObjectState>(header.state.load(std::memory_order_acquire));
        if (magic != 0 && state == ObjectState::kOpen) return object;
        if (state == ObjectState::kClosed) throw not_found("it is closed");
        if (magic != 0 && !IsAlive({header.creator_pid, header.creator_start_time,
                                    header.creator_pid_namespace})) {
          throw not_found("process " + std::to_string(header.creator_pid) +
                          " died while it made it");
        }
      }
      if (last) throw not_found("it is still being made after five seconds");
      object.Close();
    } catch (...) {
      object.Close();
      throw;
    }
  }
}

int ProcessTable::Join(const ProcessIdentity& self) {
  for (uint32_t row = 0; row < count_; ++row) {
    ProcessEntry& entry = entries_[row];
    uint64_t empty = 0;
    const uint64_t owner = uint64_t{self.pid} << 32;
    if (entry.owner.load() != 0 ||
        !entry.owner.compare_exchange_strong(
            empty, owner | static_cast<uint32_t>(ProcessState::kClaimed))) {
      continue;
    }
    entry.start_time.store(self.start_time);
    entry.pid_namespace.store(self.pid_namespace);
    // Fails where a janitor that cannot see our pid (another pid namespace) took the nameless claim
    // for a dead one.
    uint64_t claimed = owner | static_cast<uint32_t>(ProcessState::kClaimed);
    if (entry.owner.compare_exchange_strong(
            claimed, owner | static_cast<uint32_t>(ProcessState::kAttached))) {
      return static_cast<int>(row);
    }
  }
  return -1;
}

bool ProcessTable::IsDead(uint32_t row) const {
  const ProcessEntry& entry = entries_[row];
  const uint64_t owner = entry.owner.load();
  if (owner == 0) return false;
  ProcessIdentity process{static_cast<uint32_t>(owner >> 32), 0, 0};
  // While the row is being filled, the rest of it is still that of an earlier process.
  if (static_cast<uint32_t>(owner) == static_cast<uint32_t>(ProcessState::kAttached)) {
    process.start_time = entry.start_time.load();
    process.pid_namespace = entry.pid_namespace.load();
    if (entry.owner.load() != owner) return false;
  }
  return !IsAlive(process);
}

bool ProcessTable::AnyAlive() const {
  for (uint32_t row = 0; row < count_; ++row) {
    if (IsTaken(row) && !IsDead(row)) return true;
  }
  return false;
}

uint32_t Janitor::Run(uint32_t own_row, const std::function<void(uint32_t row)>& reclaim) {
  const auto dead = [&](uint32_t row) { return row != own_row && table_.IsDead(row); };
  bool any = false;
  for (uint32_t row = 0; row < table_.count(); ++row) any = any || dead(row);
  if (!any || fd_ < 0) return 0;
  const std::unique_lock lock(mutex_, std::try_to_lock);
  if (!lock.owns_lock() || flock(fd_, LOCK_EX | LOCK_NB) != 0) return 0;
  uint32_t cleared = 0;
  for (uint32_t row = 0; row < table_.count(); ++row) {
    if (!dead(row)) continue;
    reclaim(row);
    table_.Leave(row);
    ++cleared;
  }
  flock(fd_, LOCK_UN);
  return cleared;
}

}  // namespace tilecast::shm

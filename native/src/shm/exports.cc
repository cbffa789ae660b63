// SPDX-License-Identifier: MIT
// Exports by link(2), or by a copy where links cannot be made.
#include "shm/exports.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "error.h"
#include "shm/cleanup.h"

namespace tilecast::shm {
namespace {

constexpr size_t kMaxName = 30;  // as macOS allows

void CheckName(const std::string& name) {
  const bool plain = name.find_first_of(std::string("/\0", 2)) == std::string::npos;
  if (!name.empty() && name.size() <= kMaxName && plain && name[0] != '.') return;
  throw Error(Code::kInvalidArgument,
              "name must have 1 to 30 characters, no slash, and not begin with a dot, got \"" +
                  name.substr(0, 64) + "\"");
}

Error Taken(const std::string& name) {
  return Error(Code::kInvalidArgument,
               "name \"" + name + "\" is taken: shared memory of that name exists");
}

// Writes `bytes` of `from` into a new object. Returns its inode.
uint64_t CopyTo(const std::string& name, const std::byte* from, uint64_t bytes) {
  const std::string path = "/" + name;
  const int fd = shm_open(path.c_str(), O_CREAT | O_EXCL | O_RDWR | O_CLOEXEC, 0600);
  if (fd < 0 && errno == EEXIST) throw Taken(name);
  if (fd < 0) throw IoError("creating shared memory", path, errno);
  int err = 0;
  for (uint64_t at = 0; at < bytes && err == 0;) {
    // tmpfs allocates as it writes: a full /dev/shm is ENOSPC here, never a SIGBUS.
    const ssize_t n = write(fd, from + at, bytes - at);
    if (n < 0 && errno != EINTR) err = errno;
    if (n > 0) at += static_cast<uint64_t>(n);
  }
  struct stat status{};
  if (err == 0 && fstat(fd, &status) != 0) err = errno;
  close(fd);
  if (err == 0) return status.st_ino;
  shm_unlink(path.c_str());
  throw Error(Code::kPoolMemory, "copying " + HumanBytes(bytes) + " to shared memory " + path +
                                     " failed: " + std::strerror(err));
}

}  // namespace

ExportReport ExportTable::Add(uint32_t slot, uint32_t generation, std::string name,
                              uint32_t reader_pid) {
  if (!name.empty()) CheckName(name);
  const std::lock_guard lock(mutex_);
  ExportEntry* entry = nullptr;
  uint32_t index = 0;
  for (; index < kMaxExports && entry == nullptr; ++index) {
    uint64_t empty = 0;
    ExportEntry& candidate = control_.exports()[index];
    if (candidate.owner.load() == 0 &&
        candidate.owner.compare_exchange_strong(empty, Own(ExportState::kClaimed))) {
      entry = &candidate;
      break;
    }
  }
  if (entry == nullptr) {
    throw Error(Code::kPoolMemory, "the tile pool " + memory_.id() + " already has " +
                                       std::to_string(kMaxExports) +
                                       " exports: unexport those that are no longer read");
  }
  try {
    if (name.empty()) name = "tc-" + memory_.id() + "-x" + std::to_string(index);
    char own_name[kNameBytes];
    FormatName(own_name, memory_.id(), slot);
    const std::string source = std::string("/dev/shm") + own_name;
    const std::string target = "/dev/shm/" + name;
    struct stat status{};
    const bool has_source = LookAt(AT_FDCWD, source.c_str(), status);
    ExportReport report{name, false, "", memory_.slot_bytes()};
    entry->slot = slot;
    entry->generation = generation;
    entry->reader_pid = reader_pid;
    entry->reader_start_time = reader_pid == 0 ? 0 : StartTimeOf(reader_pid);
    entry->copied = 0;
    std::memset(entry->name, 0, sizeof(entry->name));
    std::memcpy(entry->name, name.data(), name.size());
    // Whoever cleans up after us compares inodes, so it may find this entry before the link exists.
    // Last: with the name of an earlier export it would point at somebody else's.
    entry->inode.store(has_source ? status.st_ino : 0);
    const int err = !has_source ? ENOENT : link(source.c_str(), target.c_str()) == 0 ? 0 : errno;
    if (err == EEXIST) throw Taken(name);
    if (err != 0) {
      report.copied = true;
      report.reason = std::string("the slot cannot be linked: ") + std::strerror(err);
      entry->copied = 1;
      entry->inode = CopyTo(name, memory_.base() + slot * memory_.slot_bytes(), report.bytes);
    }
    entry->owner.store(Own(ExportState::kLive));
    return report;
  } catch (...) {
    entry->inode = 0;
    entry->owner.store(0);
    throw;
  }
}

template <class F>
std::optional<ExportTable::Removed> ExportTable::RemoveIf(F&& wanted, bool give_away) {
  const std::lock_guard lock(mutex_);
  for (uint32_t i = 0; i < kMaxExports; ++i) {
    ExportEntry& entry = control_.exports()[i];
    uint64_t live = Own(ExportState::kLive);
    if (entry.owner.load() != live || !wanted(entry)) continue;
    if (!entry.owner.compare_exchange_strong(live, Own(ExportState::kClaimed))) continue;
    // First: from here on, whoever clears up after us takes the object for given away as well.
    if (give_away && entry.copied == 0) control_.GiveAway(entry.slot);
    UnlinkExport(entry);
    const Removed removed{entry.slot, entry.generation, entry.copied == 0};
    entry.inode = 0;
    entry.owner.store(0);
    return removed;
  }
  return std::nullopt;
}

std::optional<ExportTable::Removed> ExportTable::Remove(const std::string& name) {
  return RemoveIf([&](const ExportEntry& entry) { return name == entry.name; });
}

std::optional<ExportTable::Removed> ExportTable::GiveAway(const std::string& name) {
  return RemoveIf([&](const ExportEntry& entry) { return name == entry.name; }, true);
}

std::optional<ExportTable::Removed> ExportTable::RemoveOneOfDeadReader() {
  return RemoveIf([](const ExportEntry& entry) {
    return entry.reader_pid != 0 && !IsAlive({entry.reader_pid, entry.reader_start_time, 0});
  });
}

void ExportTable::RemoveRow(ControlBlock& control, uint32_t row) {
  for (uint32_t i = 0; i < kMaxExports; ++i) {
    ExportEntry& entry = control.exports()[i];
    const uint64_t owner = entry.owner.load();
    if (owner == 0 || static_cast<uint32_t>(owner >> 32) != row) continue;
    // A claimed entry may be one that was being made, or one whose lease is gone already. Giving
    // the object of a slot away needs a lease of it: that of the dead process, which is still
    // there.
    const uint64_t word = entry.slot < control.slots() ? control.word(entry.slot) : 0;
    const bool leased = (Holders(word) >> row & 1) != 0 && Generation(word) == entry.generation;
    if (entry.inode != 0 && entry.copied == 0 && leased) control.GiveAway(entry.slot);
    UnlinkExport(entry);
    entry.inode = 0;
    entry.owner.store(0);
  }
}

}  // namespace tilecast::shm

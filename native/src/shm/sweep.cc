// SPDX-License-Identifier: MIT
// Removal of what dead processes left: names are grouped by pool, and a pool is judged by its
// control object.
#include "shm/sweep.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <ctime>
#include <map>
#include <string_view>
#include <vector>

#include "shm/cleanup.h"
#include "shm/control_block.h"
#include "shm/object.h"

namespace tilecast::shm {
namespace {

constexpr const char* kFolder = "/dev/shm";
constexpr size_t kIdAt = 3, kIdLength = 16;  // "tc-<id>-..."

// The id of a name of ours, else empty.
std::string_view IdOf(std::string_view name) {
  if (name.size() < kIdAt + kIdLength + 2 || name.substr(0, kIdAt) != "tc-") return {};
  const std::string_view id = name.substr(kIdAt, kIdLength);
  if (!IsId(id) || name[kIdAt + kIdLength] != '-') return {};
  std::string_view rest = name.substr(kIdAt + kIdLength + 1);
  if (rest == "c" || rest == "q") return id;
  if (rest[0] == 'x' || rest[0] == 's') rest.remove_prefix(1);
  const bool number = !rest.empty() && rest.size() <= 5 &&
                      rest.find_first_not_of("0123456789") == std::string_view::npos;
  return number ? id : std::string_view{};
}

struct Folder {
  DIR* dir = opendir(kFolder);
  Folder() = default;
  ~Folder() {
    if (dir != nullptr) closedir(dir);
  }
  Folder(const Folder&) = delete;
  Folder& operator=(const Folder&) = delete;
  int fd() const { return dirfd(dir); }
};

bool OwnFile(const struct stat& status) {
  return S_ISREG(status.st_mode) && status.st_uid == geteuid();
}

bool IsOld(const struct stat& status, int64_t seconds) {
  return std::time(nullptr) - status.st_ctime >= seconds;
}

// A control object of any version, mapped for a look.
struct Look {
  const std::byte* memory = nullptr;
  uint64_t bytes = 0;
  struct stat status{};
  bool opened = false;

  Look(int folder, const std::string& name) {
    const int fd = openat(folder, name.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
    if (fd < 0) return;
    opened = fstat(fd, &status) == 0 && OwnFile(status);
    bytes = static_cast<uint64_t>(status.st_size);
    if (opened && bytes >= sizeof(ObjectHeader)) {
      void* mapped = mmap(nullptr, bytes, PROT_READ, MAP_SHARED, fd, 0);
      if (mapped != MAP_FAILED) memory = static_cast<const std::byte*>(mapped);
    }
    close(fd);
  }
  ~Look() {
    if (memory != nullptr) munmap(const_cast<std::byte*>(memory), bytes);
  }
  Look(const Look&) = delete;
  Look& operator=(const Look&) = delete;

  const ObjectHeader& header() const { return *reinterpret_cast<const ObjectHeader*>(memory); }
  bool valid() const {
    if (memory == nullptr) return false;
    const uint64_t magic = header().magic.load(std::memory_order_acquire);
    const uint64_t table = header().process_table_offset;
    const uint64_t table_bytes = uint64_t{header().max_processes} * sizeof(ProcessEntry);
    return (magic == kPoolMagic || magic == kChannelMagic) && table % 8 == 0 && table <= bytes &&
           table_bytes <= bytes - table;
  }
  bool HasOwner() const {
    const ObjectHeader& h = header();
    if (IsAlive({h.creator_pid, h.creator_start_time, h.creator_pid_namespace})) return true;
    auto* entries = const_cast<std::byte*>(memory) + h.process_table_offset;
    return ProcessTable(reinterpret_cast<ProcessEntry*>(entries), h.max_processes).AnyAlive();
  }
  void UnlinkExports() const {
    if (header().magic.load() != kPoolMagic || header().version != kPoolLayoutVersion) return;
    const uint64_t at = header().export_table_offset;
    if (at % 8 != 0 || at > bytes || bytes - at < kMaxExports * sizeof(ExportEntry)) return;
    const auto* exports = reinterpret_cast<const ExportEntry*>(memory + at);
    for (uint32_t i = 0; i < kMaxExports; ++i) {
      if (exports[i].owner.load() != 0) UnlinkExport(exports[i]);
    }
  }
};

SweepReport Sweep(std::string_view only, int64_t unfinished_seconds) {
  SweepReport report;
  const Folder folder;
  if (folder.dir == nullptr) return report;
  std::map<std::string, std::vector<std::string>, std::less<>> pools;
  while (const dirent* entry = readdir(folder.dir)) {
    const std::string_view id = IdOf(entry->d_name);
    if (!id.empty() && (only.empty() || id == only)) {
      pools[std::string(id)].emplace_back(entry->d_name);
    }
  }
  for (const auto& [id, names] : pools) {
    // The directory may have been read while the pool was being made: ask for the control object by
    // name.
    bool keep = false, found = false;
    for (const char* suffix : {"-c", "-q"}) {
      const std::string control = "tc-" + id + suffix;
      struct stat status{};
      if (!LookAt(folder.fd(), control.c_str(), status)) continue;
      found = true;
      const Look look(folder.fd(), control);
      keep = !look.opened ||
             (look.valid() ? look.HasOwner() : !IsOld(look.status, unfinished_seconds));
      if (!keep && look.valid()) look.UnlinkExports();
    }
    if (keep) continue;
    const uint32_t before = report.objects;
    for (const std::string& name : names) {
      struct stat status{};
      if (!LookAt(folder.fd(), name.c_str(), status)) continue;
      if (!OwnFile(status) || (!found && !IsOld(status, unfinished_seconds))) continue;
      if (unlinkat(folder.fd(), name.c_str(), 0) != 0) continue;
      ++report.objects;
      report.bytes += static_cast<uint64_t>(status.st_size);
    }
    report.pools += report.objects != before ? 1 : 0;
  }
  return report;
}

}  // namespace

SweepReport SweepSharedMemory() {
  return Sweep({}, kUnfinishedSeconds);
}

SweepReport SweepOne(const std::string& id, int64_t unfinished_seconds) {
  return Sweep(id, unfinished_seconds);
}

void SweepNowAndThen() {
  using Clock = std::chrono::steady_clock;
  static std::atomic<int64_t> last{0};
  const int64_t now =
      std::chrono::duration_cast<std::chrono::seconds>(Clock::now().time_since_epoch()).count();
  int64_t before = last.load();
  if (now - before < 10 || !last.compare_exchange_strong(before, now)) return;
  SweepSharedMemory();
}

}  // namespace tilecast::shm

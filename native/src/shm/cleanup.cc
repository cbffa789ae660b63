// SPDX-License-Identifier: MIT
// The registry of names to unlink, the exit hook and the signal handler that use it.
#include "shm/cleanup.h"

#include <dlfcn.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <mutex>

#include "shm/control_block.h"

namespace tilecast::shm {
namespace {

constexpr int kSignals[] = {SIGINT, SIGTERM, SIGHUP};
constexpr size_t kSignalCount = std::size(kSignals);

// Plain constant-initialised globals without destructors: they must outlive every static object and
// be readable in a signal handler.
struct Entry {
  std::atomic<pid_t> pid;  // 0: unused, kFilling: being written
  std::atomic<uint32_t> slots;
  std::atomic<const ExportEntry*> exports;
  std::atomic<const std::atomic<uint32_t>*> spare_rows;
  char id[24];
};
constexpr pid_t kFilling = -1;
constinit Entry entries[kMaxRegistered] = {};
constinit struct sigaction previous[kSignalCount] = {};
constinit std::mutex install_mutex;
constinit std::atomic<pid_t> ending{0};  // the process that is

// Async-signal-safe.
void UnlinkNames(const Entry& entry) {
  char name[kNameBytes];
  if (const ExportEntry* exports = entry.exports.load()) {
    for (uint32_t i = 0; i < kMaxExports; ++i) {
      if (exports[i].owner.load() != 0) UnlinkExport(exports[i]);
    }
  }
  const uint32_t slots = entry.slots.load();
  if (slots == kChannelSlots) {
    FormatName(name, entry.id, kChannelName);
    return UnlinkName(name);
  }
  for (int64_t n = -1; n < int64_t{slots}; ++n) {
    FormatName(name, entry.id, n);
    UnlinkName(name);
  }
  if (const std::atomic<uint32_t>* spare_rows = entry.spare_rows.load()) {
    const uint32_t rows = spare_rows->load();
    for (uint32_t row = 0; row < kMaxProcesses; ++row) {
      if ((rows >> row & 1) != 0) UnlinkSpares(entry.id, row);
    }
  }
}

void OnEndingSignal(int signal_number) {
  const int saved = errno;
  UnlinkRegistered();
  // The signal is blocked until this handler returns; then it is delivered again, to what was there
  // before us, so that the parent sees "killed by signal" and Node's own handler still resets the
  // terminal.
  for (size_t i = 0; i < kSignalCount; ++i) {
    if (kSignals[i] == signal_number) sigaction(signal_number, &previous[i], nullptr);
  }
  raise(signal_number);
  errno = saved;
}

bool EndsProcess(const struct sigaction& action) {
  if ((action.sa_flags & SA_SIGINFO) == 0) {
    if (action.sa_handler == SIG_DFL) return true;
    if (action.sa_handler == SIG_IGN) return false;
  }
  return (action.sa_flags & SA_RESETHAND) != 0;
}

void TakeOverSignals() {
  for (size_t i = 0; i < kSignalCount; ++i) {
    struct sigaction current{};
    if (sigaction(kSignals[i], nullptr, &current) != 0 || !EndsProcess(current)) continue;
    previous[i] = current;
    struct sigaction ours{};
    ours.sa_handler = OnEndingSignal;
    ours.sa_flags = SA_RESTART | SA_ONSTACK;
    sigfillset(&ours.sa_mask);
    sigaction(kSignals[i], &ours, nullptr);
  }
}

}  // namespace

void PinThisLibrary() {
  Dl_info info{};
  if (dladdr(reinterpret_cast<void*>(&OnEndingSignal), &info) == 0 || info.dli_fname == nullptr)
    return;
  dlopen(info.dli_fname, RTLD_NOW | RTLD_NOLOAD | RTLD_NODELETE);
}

namespace {

// "/tc-<id>-" and, unless it is 0, `kind`, then `number` unless it is negative.
void Format(char (&out)[kNameBytes], std::string_view id, char kind, int64_t number) {
  char* p = out;
  char* const end = out + kNameBytes - 1;
  const auto append = [&](std::string_view text) {
    for (char c : text) {
      if (p < end) *p++ = c;
    }
  };
  append("/tc-");
  append(id);
  append("-");
  if (kind != 0) append({&kind, 1});
  if (number >= 0) {
    char digits[20];
    size_t at = sizeof(digits);
    do {
      digits[--at] = static_cast<char>('0' + number % 10);
      number /= 10;
    } while (number != 0);
    append({digits + at, sizeof(digits) - at});
  }
  *p = 0;
}

}  // namespace

void FormatName(char (&out)[kNameBytes], std::string_view id, int64_t n) {
  Format(out, id, n == kChannelName ? 'q' : n < 0 ? 'c' : '\0', n);
}

void FormatSpareName(char (&out)[kNameBytes], std::string_view id, uint32_t row, uint32_t number) {
  Format(out, id, 's', int64_t{row} * kMaxSpares + number);
}

void UnlinkSpares(std::string_view id, uint32_t row) {
  char name[kNameBytes];
  for (uint32_t number = 0; number < kMaxSpares; ++number) {
    FormatSpareName(name, id, row, number);
    UnlinkName(name);
  }
}

void UnlinkName(const char (&name)[kNameBytes]) {
#ifdef __linux__
  // POSIX lists unlink as async-signal-safe, shm_unlink not.
  char path[kNameBytes + 8] = "/dev/shm";
  std::memcpy(path + 8, name, sizeof(name));
  unlink(path);
#else
  shm_unlink(name);
#endif
}

void UnlinkExport(const ExportEntry& entry) {
  char name[kNameBytes] = "/";
  std::memcpy(name + 1, entry.name, sizeof(entry.name) - 1);
#ifdef __linux__
  char path[kNameBytes + 8] = "/dev/shm";
  std::memcpy(path + 8, name, sizeof(name));
  struct stat status{};
  if (!LookAt(AT_FDCWD, path, status) || status.st_ino != entry.inode) return;
#endif
  UnlinkName(name);
}

int RegisterPool(std::string_view id, uint32_t slots) {
  {
    const std::lock_guard lock(install_mutex);
    static const bool once = [] {
      PinThisLibrary();
      std::atexit(UnlinkRegistered);
      return true;
    }();
    static_cast<void>(once);
    TakeOverSignals();
  }
  for (int i = 0; i < kMaxRegistered; ++i) {
    pid_t unused = 0;
    if (!entries[i].pid.compare_exchange_strong(unused, kFilling)) continue;
    const size_t length = std::min(id.size(), sizeof(entries[i].id) - 1);
    std::memcpy(entries[i].id, id.data(), length);
    entries[i].id[length] = 0;
    entries[i].slots.store(slots);
    entries[i].exports.store(nullptr);
    entries[i].spare_rows.store(nullptr);
    entries[i].pid.store(getpid());
    return i;
  }
  return -1;
}

void SetPoolExtras(int handle, const ExportEntry* exports,
                   const std::atomic<uint32_t>* spare_rows) {
  entries[handle].exports.store(exports);
  entries[handle].spare_rows.store(spare_rows);
}

void UnlinkRegisteredPool(int handle) {
  if (handle < 0) return;
  UnlinkNames(entries[handle]);
  entries[handle].pid.store(0);
}

void UnlinkRegistered() {
  const pid_t self = getpid();
  ending.store(self);
  for (Entry& entry : entries) {
    if (entry.pid.load() == self) UnlinkNames(entry);
  }
}

bool IsEnding() {
  return ending.load() == getpid();
}

}  // namespace tilecast::shm

// SPDX-License-Identifier: MIT
// Identity and liveness from /proc, which needs no permission that a process of the same user
// lacks.
#include "shm/process.h"

#include <fcntl.h>
#include <signal.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>

namespace tilecast::shm {
namespace {

struct Stat {
  bool exists = false;
  char state = 0;
  uint64_t threads = 0;
  uint64_t start_time = 0;
};

Stat ReadStat(const char* path) {
  Stat result;
  char text[1024];
  const int fd = open(path, O_RDONLY | O_CLOEXEC);
  if (fd < 0) return result;
  const ssize_t n = read(fd, text, sizeof(text) - 1);
  close(fd);
  if (n <= 0) return result;
  text[n] = 0;
  // Field 2 is the command in parentheses and may itself hold spaces and parentheses: count from
  // the last ')'.
  const char* p = std::strrchr(text, ')');
  for (int field = 3; p != nullptr && field <= 22; ++field) {
    p = std::strchr(p + 1, ' ');
    if (p == nullptr) break;
    if (field == 3) result.state = p[1];
    if (field == 20) result.threads = std::strtoull(p, nullptr, 10);
    if (field == 22) result.start_time = std::strtoull(p, nullptr, 10);
  }
  result.exists = result.start_time != 0;
  return result;
}

uint64_t PidNamespace() {
  char text[64];
  const ssize_t n = readlink("/proc/self/ns/pid", text, sizeof(text) - 1);  // "pid:[4026531836]"
  if (n <= 0) return 0;
  text[n] = 0;
  const char* number = std::strchr(text, '[');
  return number == nullptr ? 0 : std::strtoull(number + 1, nullptr, 10);
}

}  // namespace

ProcessIdentity ThisProcess() {
  return {static_cast<uint32_t>(getpid()), ReadStat("/proc/self/stat").start_time, PidNamespace()};
}

uint64_t StartTimeOf(uint32_t pid) {
  char path[32];
  std::snprintf(path, sizeof(path), "/proc/%u/stat", pid);
  return ReadStat(path).start_time;
}

bool IsAlive(const ProcessIdentity& process) {
  if (process.pid == 0) return false;
  static const uint64_t own_namespace = PidNamespace();
  if (process.pid_namespace != 0 && process.pid_namespace != own_namespace) return true;
  if (kill(static_cast<pid_t>(process.pid), 0) != 0 && errno == ESRCH) return false;
  char path[32];
  std::snprintf(path, sizeof(path), "/proc/%u/stat", process.pid);
  const Stat stat = ReadStat(path);
  if (!stat.exists) return kill(static_cast<pid_t>(process.pid), 0) == 0 || errno != ESRCH;
  if (process.start_time != 0 && stat.start_time != process.start_time) return false;
  // Once all threads are gone, a zombie's memory is gone too. A leader that merely ended its own
  // thread looks the same, but has other threads.
  return !((stat.state == 'Z' || stat.state == 'X') && stat.threads <= 1);
}

}  // namespace tilecast::shm

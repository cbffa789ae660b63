// SPDX-License-Identifier: MIT
// What the pool's tests share: which of a pool's names exist, the code of an error, and a second
// process.
#pragma once

#include <dirent.h>
#include <doctest/doctest.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdint>
#include <cstdio>
#include <fstream>
#include <optional>
#include <string>
#include <utility>

#include "error.h"

namespace tilecast::testing {

// Entries of /dev/shm whose name starts with `prefix`.
inline int ShmEntries(const std::string& prefix) {
  int count = 0;
  DIR* dir = opendir("/dev/shm");
  while (const dirent* entry = readdir(dir)) {
    if (std::string(entry->d_name).rfind(prefix, 0) == 0) ++count;
  }
  closedir(dir);
  return count;
}

// Names of pools that this process made. Other test programs make pools at the same time.
inline int OwnShmEntries() {
  int count = 0;
  DIR* dir = opendir("/dev/shm");
  while (const dirent* entry = readdir(dir)) {
    const std::string name = entry->d_name;
    if (name.rfind("tc-", 0) != 0 || name.size() < 20) continue;
    std::ifstream control("/dev/shm/" + name.substr(0, 20) + "c", std::ios::binary);
    uint32_t pid = 0;
    control.seekg(96);
    const bool known = static_cast<bool>(control.read(reinterpret_cast<char*>(&pid), sizeof(pid)));
    if (known && pid == static_cast<uint32_t>(getpid())) ++count;
  }
  closedir(dir);
  return count;
}

struct Caught {
  Code code;
  std::string message;
};

template <class F>
std::optional<Caught> Catch(F&& f) {
  try {
    f();
  } catch (const Error& e) {
    return Caught{e.code(), e.what()};
  }
  return std::nullopt;
}

// A forked child that runs `f`, and a byte to say to each other. Killed, if need be, when the test
// leaves.
class Child {
 public:
  template <class F>
  explicit Child(F&& f) {
    REQUIRE(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends_) == 0);
    std::fflush(nullptr);
    pid_ = fork();
    REQUIRE(pid_ >= 0);
    if (pid_ != 0) {
      close(ends_[1]);
      return;
    }
    std::swap(ends_[0], ends_[1]);
    close(ends_[1]);
    for (const int number : {SIGINT, SIGTERM, SIGHUP}) signal(number, SIG_DFL);
    try {
      f(*this);
    } catch (const std::exception& error) {
      std::fprintf(stderr, "child: %s\n", error.what());
      _exit(98);
    }
    _exit(99);
  }
  ~Child() {
    if (pid_ == 0) return;
    Kill();
    close(ends_[0]);
  }
  Child(const Child&) = delete;
  Child& operator=(const Child&) = delete;

  // In the child, and in the parent, the same under their own names.
  void Say(char c) const {
    if (write(ends_[0], &c, 1) != 1) _exit(97);
  }
  void Hear() const { Heard(); }
  char Heard() const {
    char c = 0;
    return read(ends_[0], &c, 1) == 1 ? c : '\0';
  }
  void Tell() const { CHECK(write(ends_[0], "!", 1) == 1); }

  pid_t pid() const { return pid_; }
  int status() const { return status_; }
  void Wait() {
    if (!waited_) CHECK(waitpid(pid_, &status_, 0) == pid_);
    waited_ = true;
  }
  int ExitCode() {
    Wait();
    return WIFEXITED(status_) ? WEXITSTATUS(status_) : -1;
  }
  void Kill() {
    if (!waited_) kill(pid_, SIGKILL);
    Wait();
  }

 private:
  pid_t pid_ = 0;
  int ends_[2] = {-1, -1};
  int status_ = 0;
  bool waited_ = false;
};

}  // namespace tilecast::testing

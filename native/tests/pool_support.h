// SPDX-License-Identifier: MIT
// What the pool's tests share: which of a pool's names exist, and the code of an error.
#pragma once

#include <dirent.h>

#include <optional>
#include <string>

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

}  // namespace tilecast::testing

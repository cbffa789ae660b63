// SPDX-License-Identifier: MIT
// Who a process is, beyond its pid, and whether it is still alive.
#pragma once

#include <cstdint>

namespace tilecast::shm {

// A pid alone is given out again; a pid together with its start time is not.
struct ProcessIdentity {
  uint32_t pid = 0;
  uint64_t start_time = 0;     // field 22 of /proc/<pid>/stat; 0 unknown
  uint64_t pid_namespace = 0;  // inode of /proc/<pid>/ns/pid; 0 unknown
};

// This process. Read again after a fork.
ProcessIdentity ThisProcess();

// Of any process; 0 where it cannot be read, as for one that does not exist.
uint64_t StartTimeOf(uint32_t pid);

// False only when it is certain that the process is gone: no such pid, another start time, or a
// zombie (killed, and not waited for by its parent). A process of another pid namespace (another
// container that shares /dev/shm) cannot be judged and counts as alive.
bool IsAlive(const ProcessIdentity& process);

}  // namespace tilecast::shm

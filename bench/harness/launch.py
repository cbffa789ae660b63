#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Runs one program and writes what it cost: wall time from its start to its end, CPU time, peak memory, and the CPU that others took.

    launch.py [--one-core] COST.json COMMAND ...

--one-core (Linux) lets the program and all its threads run on one core only.

Node reports neither the CPU time nor the memory of a single child, wait4 does. Our own start-up is not in the figures. Memory is that of
the largest process of the program. `foreign_cores` (Linux) counts everything else that ran meanwhile, the kernel's write-back included.
"""

import json
import os
import sys
import time


def busy_seconds():
    try:
        with open("/proc/stat") as stat:
            v = [int(x) for x in stat.readline().split()[1:9]]
    except OSError:
        return None
    return (sum(v) - v[3] - v[4]) / os.sysconf("SC_CLK_TCK")


def main():
    args = sys.argv[1:]
    if args[0] == "--one-core":
        args = args[1:]
        if hasattr(os, "sched_setaffinity"):
            os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
    cost, command = args[0], args[1:]
    before = busy_seconds()
    began = time.perf_counter()
    pid = os.posix_spawnp(command[0], command, os.environ)
    _, status, usage = os.wait4(pid, 0)
    wall = time.perf_counter() - began
    after = busy_seconds()
    cpu = usage.ru_utime + usage.ru_stime
    kilobyte = 1 if sys.platform == "darwin" else 1024
    with open(cost, "w") as out:
        json.dump(
            {
                "wall_s": wall,
                "user_s": usage.ru_utime,
                "system_s": usage.ru_stime,
                "max_rss_mb": usage.ru_maxrss * kilobyte / 1e6,
                "foreign_cores": None if before is None else max(0.0, after - before - cpu) / wall,
            },
            out,
        )
    code = os.waitstatus_to_exitcode(status)
    sys.exit(code if code >= 0 else 128 - code)


if __name__ == "__main__":
    main()

#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The physical limits of a plate run: how long only reading the plate's files, and only writing files of the output's sizes, takes.

    limits.py TASK.json --out FOLDER --processes N

TASK.json: {"read": [[path, bytes], ...], "write": [[relative path, bytes], ...]}. Prints one JSON line.

Reading: every file, once, into one reused buffer. Writing: every file once, from one hot buffer, into folders made before the clock starts;
no fsync, as in the programs themselves. Copying: 64 MiB blocks, far beyond the caches, memory to memory. Each by N processes at once, so that
no interpreter lock is in the figures, timed from the first start to the last end.
"""

import argparse
import json
import multiprocessing
import os
import time

import numpy as np

BLOCK = 64 << 20
COPIES = 8


def read(files):
    buffer = memoryview(bytearray(max((size for _, size in files), default=1)))
    buffer[:] = bytes(len(buffer))  # pages in place before the clock
    yield
    total = 0
    for path, _ in files:
        fd = os.open(path, os.O_RDONLY)
        while n := os.readv(fd, [buffer]):
            total += n
        os.close(fd)
    yield total


def write(files):
    noise = np.random.default_rng(1).integers(0, 256, 8 << 20, dtype=np.uint8)
    buffer = memoryview(noise)
    yield
    total = 0
    for path, size in files:
        fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o666)
        left = size
        while left:
            left -= os.write(fd, buffer[: min(left, len(buffer))])
        os.close(fd)
        total += size
    yield total


def copy(_):
    source, target = np.ones(BLOCK, np.uint8), np.ones(BLOCK, np.uint8)  # zeros would not be in place yet
    yield
    for _ in range(COPIES):
        np.copyto(target, source)
    yield BLOCK * COPIES


def worker(work, share, barrier, results):
    steps = work(share)
    next(steps)
    barrier.wait()
    began = time.monotonic()
    total = next(steps)
    results.put((began, time.monotonic(), total))


def together(work, items, processes):
    """Seconds and bytes of the work, its items dealt out by size so that all processes end at about the same time."""
    shares = [[] for _ in range(processes)]
    loads = [0] * processes
    for item in sorted(items, key=lambda i: -i[1]):
        k = loads.index(min(loads))
        shares[k].append(item)
        loads[k] += item[1]
    context = multiprocessing.get_context("fork")
    barrier, results = context.Barrier(processes), context.SimpleQueue()
    running = [context.Process(target=worker, args=(work, s, barrier, results)) for s in shares]
    for p in running:
        p.start()
    ends = [results.get() for _ in running]
    for p in running:
        p.join()
    return max(e[1] for e in ends) - min(e[0] for e in ends), sum(e[2] for e in ends)


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("task")
    parser.add_argument("--out", required=True)
    parser.add_argument("--processes", type=int, default=os.cpu_count())
    args = parser.parse_args()
    with open(args.task) as task:
        task = json.load(task)
    outputs = [(os.path.join(args.out, path), size) for path, size in task["write"]]
    for folder in sorted({os.path.dirname(path) for path, _ in outputs}):
        os.makedirs(folder, exist_ok=True)
    result = {}
    for name, work, items in (("copy", copy, []), ("read", read, task["read"]), ("write", write, outputs)):
        seconds, total = together(work, items, args.processes)
        result |= {f"{name}_s": seconds, f"{name}_mb": total / 1e6}
    print(json.dumps(result))


if __name__ == "__main__":
    main()

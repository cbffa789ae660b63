#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Python's ways in the handoff benchmark.

    peers.py queue|shared TASK.json

queue: multiprocessing.Queue with the array in it (pickled, copied through a pipe). shared: the array in one shared_memory.SharedMemory that both
processes have open, a short message through a Pipe. Prints one JSON line, as common.mjs does.
"""

import json
import multiprocessing
import sys
import time
from multiprocessing import shared_memory

import numpy as np

# As people start processes from programs with threads.
context = multiprocessing.get_context("spawn")


def look(image):
    return int(image[0]) * 256 + int(image[-1])


def mark(image, n):
    image[0] = n & 0xFF
    image[-1] = (n >> 8) & 0xFF
    return look(image)


def answer_queue(images, answers):
    while (image := images.get()) is not None:
        answers.put(look(image))


def answer_shared(name, size, pipe):
    memory = shared_memory.SharedMemory(name=name)
    image = np.ndarray((size,), np.uint8, buffer=memory.buf)
    while pipe.recv():
        pipe.send(look(image))
    del image
    memory.close()


class QueuePeer:
    def __init__(self, size):
        self.image = np.zeros(size, np.uint8)
        self.images, self.answers = context.Queue(), context.Queue()
        self.process = context.Process(target=answer_queue, args=(self.images, self.answers))
        self.process.start()

    def hand_over(self):
        self.images.put(self.image)
        return self.answers.get()

    def close(self):
        self.images.put(None)
        self.process.join()


class SharedPeer:
    def __init__(self, size):
        self.memory = shared_memory.SharedMemory(create=True, size=size)
        self.image = np.ndarray((size,), np.uint8, buffer=self.memory.buf)
        self.image[:] = 0
        self.pipe, other = context.Pipe()
        self.process = context.Process(target=answer_shared, args=(self.memory.name, size, other))
        self.process.start()

    def hand_over(self):
        self.pipe.send(True)
        return self.pipe.recv()

    def close(self):
        self.pipe.send(False)
        self.process.join()
        del self.image
        self.memory.close()
        try:
            self.memory.unlink()
        except FileNotFoundError:
            pass  # the other process's resource tracker did (CPython issue 82300)


def measure(task, peer_of):
    results = {}
    for name, size in task["sizes"].items():
        peer = peer_of(size)
        times, until, n = [], 0, 0
        while len(times) < 40 or time.perf_counter() < until:
            n += 1
            expected = mark(peer.image, n)
            began = time.perf_counter()
            answer = peer.hand_over()
            spent = (time.perf_counter() - began) * 1e6
            if answer != expected:
                raise ValueError(f"{name}: image {n} arrived as {answer}, not {expected}")
            if n == 20:
                until = time.perf_counter() + task["seconds"]
            if n > 20:
                times.append(spent)
        peer.close()
        results[name] = {"us": float(np.median(times)), "images": len(times)}
    print(json.dumps(results))


if __name__ == "__main__":
    with open(sys.argv[2]) as file:
        measure(json.load(file), {"queue": QueuePeer, "shared": SharedPeer}[sys.argv[1]])

# SPDX-License-Identifier: MIT
"""A viewer that keeps what it is shown: maps exported slots, removes their names, and says later whether the pixels are what they were."""

import json
import sys
import zlib
from multiprocessing import shared_memory

import numpy as np

kept = []

for line in sys.stdin:
    task = json.loads(line)
    answer = {}
    if "keep" in task:
        array = task["keep"]
        memory = shared_memory.SharedMemory(name=array["shm"]["name"], create=False)
        memory.unlink()
        pixels = np.ndarray(array["shape"], dtype=array["dtype"], buffer=memory.buf)
        kept.append((memory, pixels, zlib.crc32(pixels)))
        answer = {"first": int(pixels.flat[0]), "crc": kept[-1][2]}
    if "check" in task:
        answer = {"same": [zlib.crc32(pixels) == crc for _, pixels, crc in kept]}
    print(json.dumps(answer), flush=True)

for memory, pixels, _ in kept:
    del pixels
kept.clear()

# SPDX-License-Identifier: MIT
"""Opens an exported slot as any Python program would, checks its pixels against a formula and writes the answer into it."""

import json
import sys
from multiprocessing import shared_memory

import numpy as np

for line in sys.stdin:
    task = json.loads(line)
    memory = shared_memory.SharedMemory(name=task["shm"]["name"], create=False)
    assert memory.size >= task["shm"]["rsize"], (memory.size, task)
    array = np.ndarray(task["shape"], dtype=task["dtype"], buffer=memory.buf)
    y, x = np.indices(array.shape)
    equal = bool(np.array_equal(array, (y * 1000 + x * 3).astype(task["dtype"])))
    array[...] = array[::-1, ::-1].copy()
    del array
    memory.close()
    print(json.dumps({"equal": equal}), flush=True)

# SPDX-License-Identifier: MIT
"""How a reader in Python is timed: the same steps as measure.mjs."""

import hashlib
import os
import time

import numpy as np


def measure(task, read, open_item=lambda path: path, checked=True):
    """Median seconds of a read of each item, of as many as fit into the time; the first, checked pixel for pixel, is not counted."""
    results = {}
    for item in task["items"]:
        try:
            opened = open_item(os.path.join(task["folder"], item))
            pixels = read(opened)
            if checked:
                digest = hashlib.sha256(np.ascontiguousarray(pixels, "<u2").tobytes()).hexdigest()
                if digest != task["sha256"]:
                    raise ValueError("wrong pixels")
            del pixels
            times = []
            until = time.perf_counter() + task["seconds"]
            while len(times) < 3 or time.perf_counter() < until:
                began = time.perf_counter()
                read(opened)
                times.append(time.perf_counter() - began)
            results[item] = {"s": float(np.median(times)), "reads": len(times)}
        except Exception as error:
            results[item] = {"error": f"{type(error).__name__}: {' '.join(str(error).split())[:160]}"}
    return results

#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The Python readers of the zarr-read benchmark, and the limits that every reader has.

    readers.py READER TASK.json

READER: tensorstore, zarr (zarr-python), zarrs (zarr-python over the Rust codecs), read (only the files' bytes), copy (only the pixels, from
memory to memory), decode (only the codecs' libraries, chunk by chunk, from memory to memory). Prints one JSON line, as measure.mjs does.
"""

import concurrent.futures
import hashlib
import json
import os
import sys
import time

import numpy as np

CORES = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()


def tensorstore_reader(task):
    import tensorstore as ts

    context = ts.Context({"data_copy_concurrency": {"limit": CORES}, "file_io_concurrency": {"limit": CORES}})

    def open_array(path):
        spec = {"driver": "zarr3", "kvstore": {"driver": "file", "path": path}}
        return ts.open(spec, context=context, open=True).result()

    return open_array, lambda array: array.read(order="C").result()


def zarr_reader(task):
    import zarr

    return lambda path: zarr.open_array(path, mode="r"), lambda array: array[:]


def zarrs_reader(task):
    import zarr
    import zarrs  # noqa: F401

    zarr.config.set({"codec_pipeline.path": "zarrs.ZarrsCodecPipeline", "threading.max_workers": CORES})
    return zarr_reader(task)


def files_of(path):
    found = []
    for folder, _, names in os.walk(os.path.join(path, "c")):
        found += [os.path.join(folder, name) for name in names]
    return sorted(found)


def in_parallel(jobs):
    """On every core; numpy, reads and codecs let go of the interpreter's lock."""
    if CORES == 1:
        return lambda: [job() for job in jobs]
    pool = concurrent.futures.ThreadPoolExecutor(CORES)
    shares = [jobs[i::CORES] for i in range(CORES)]
    return lambda: list(pool.map(lambda share: [job() for job in share], shares))


def read_limit(task):
    def open_array(path):
        def job(file):
            buffer = memoryview(bytearray(os.path.getsize(file)))

            def read():
                fd = os.open(file, os.O_RDONLY)
                try:
                    os.preadv(fd, [buffer], 0)
                finally:
                    os.close(fd)

            return read

        return in_parallel([job(file) for file in files_of(path)])

    return open_array, lambda run: run()


def copy_limit(task):
    source = np.ones(task["shape"], np.uint16)
    target = np.zeros_like(source)

    def open_array(path):
        return in_parallel([lambda i=i: np.copyto(target[i], source[i]) for i in range(len(source))])

    return open_array, lambda run: run()


def decode_limit(task):
    """Chunks in memory, each decoded into a buffer of its own size that is used again: what the C libraries give."""
    import numcodecs
    import threading

    local = threading.local()
    chunk_bytes = int(np.prod(task["chunk"])) * 2
    # One thread a call: c-blosc's own threads would help on several cores only where chunks are few.
    numcodecs.blosc.use_threads = False

    def open_array(path):
        name = os.path.basename(path)
        codec = None
        if name.startswith("blosc"):
            codec = numcodecs.Blosc()
        elif name.startswith("zstd"):
            codec = numcodecs.Zstd()
        plain = os.path.join(os.path.dirname(path), name.replace("shards", "chunks"))
        chunks = [open(file, "rb").read() for file in files_of(plain)]

        def job(chunk):
            def decode():
                if not hasattr(local, "out"):
                    local.out = np.empty(chunk_bytes, np.uint8)
                if codec is None:
                    np.copyto(local.out, np.frombuffer(chunk, np.uint8))
                else:
                    codec.decode(chunk, local.out)

            return decode

        return in_parallel([job(chunk) for chunk in chunks])

    return open_array, lambda run: run()


def measure(task, open_array, read, checked):
    """Median time of a read, of as many as fit into the time; the first one, checked pixel for pixel, is not counted."""
    results = {}
    for name in task["arrays"]:
        try:
            array = open_array(os.path.join(task["folder"], name))
            pixels = read(array)
            if checked and hashlib.sha256(np.ascontiguousarray(pixels).tobytes()).hexdigest() != task["sha256"]:
                raise ValueError("wrong pixels")
            del pixels
        except Exception as error:
            results[name] = {"error": f"{type(error).__name__}: {error}"}
            continue
        times = []
        until = time.perf_counter() + task["seconds"]
        while len(times) < 3 or time.perf_counter() < until:
            began = time.perf_counter()
            read(array)
            times.append(time.perf_counter() - began)
        results[name] = {"s": float(np.median(times)), "reads": len(times)}
    return results


def main():
    name = sys.argv[1]
    with open(sys.argv[2]) as file:
        task = json.load(file)
    readers = {"tensorstore": tensorstore_reader, "zarr": zarr_reader, "zarrs": zarrs_reader}
    limits = {"read": read_limit, "copy": copy_limit, "decode": decode_limit}
    open_array, read = (readers | limits)[name](task)
    print(json.dumps(measure(task, open_array, read, name in readers)))


if __name__ == "__main__":
    main()

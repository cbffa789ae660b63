#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The Python readers of the zarr-read benchmark, and the limits that every reader has.

    readers.py READER TASK.json

READER: tensorstore, zarr (zarr-python), zarrs (zarr-python over the Rust codecs), numcodecs (a reader by hand over its codecs), read (only the files' bytes), copy (only the pixels, from
memory to memory), decode (only the codecs' libraries, chunk by chunk, from memory to memory). Prints one JSON line, as measure.mjs does.
"""

import concurrent.futures
import json
import os
import pathlib
import sys
import threading

import numpy as np

sys.path.insert(0, str(pathlib.Path(__file__).parent.parent / "harness"))
from measure import measure

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


def codec_of(name):
    import numcodecs

    # One thread a call: c-blosc's own threads would help on several cores only where chunks are few.
    numcodecs.blosc.use_threads = False
    if name.startswith("blosc"):
        return numcodecs.Blosc()
    return numcodecs.Zstd() if name.startswith("zstd") else None


def numcodecs_reader(task):
    """What one writes to be faster than zarr-python: files read whole, the shard's index by numpy, chunks on all cores."""
    planes, height, width = task["shape"]
    _, side, _ = task["chunk"]
    down, across = height // side, width // side

    def chunks_of(path, z, sharded):
        """Stored bytes of a plane's chunks, row-major."""
        if not sharded:
            for y, x in np.ndindex(down, across):
                with open(os.path.join(path, "c", str(z), str(y), str(x)), "rb", buffering=0) as file:
                    yield file.read()
            return
        with open(os.path.join(path, "c", str(z), "0", "0"), "rb", buffering=0) as file:
            shard = memoryview(file.read())
        # Offsets and sizes, 16 bytes a chunk, and their crc32c, which a reader in a hurry does not look at.
        for offset, size in np.frombuffer(shard[-4 - 16 * down * across : -4], "<u8").reshape(-1, 2).tolist():
            yield shard[offset : offset + size]

    def open_array(path):
        return path, codec_of(os.path.basename(path)), path.endswith("shards")

    def read(array):
        path, codec, sharded = array
        pixels = np.empty(task["shape"], "<u2")

        def place(z, i, stored):
            y, x = i // across * side, i % across * side
            chunk = np.frombuffer(stored if codec is None else codec.decode(stored), "<u2")
            pixels[z, y : y + side, x : x + side] = chunk.reshape(side, side)

        in_parallel(
            [lambda z=z: [place(z, i, c) for i, c in enumerate(chunks_of(path, z, sharded))] for z in range(planes)]
        )()
        return pixels

    return open_array, read


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
    local = threading.local()
    chunk_bytes = int(np.prod(task["chunk"])) * 2

    def open_array(path):
        name = os.path.basename(path)
        codec = codec_of(name)
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


def main():
    name = sys.argv[1]
    with open(sys.argv[2]) as file:
        task = json.load(file)
    readers = {
        "tensorstore": tensorstore_reader,
        "zarr": zarr_reader,
        "zarrs": zarrs_reader,
        "numcodecs": numcodecs_reader,
    }
    limits = {"read": read_limit, "copy": copy_limit, "decode": decode_limit}
    open_array, read = (readers | limits)[name](task)
    print(json.dumps(measure(task, read, open_array, checked=name in readers)))


if __name__ == "__main__":
    main()

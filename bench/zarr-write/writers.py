#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The Python writers of the zarr-write benchmark, the limit that every writer has, and the check of what was written.

    writers.py WRITER TASK.json

WRITER: tensorstore, zarr (zarr-python), zarrs (zarr-python over the Rust codecs), files (only the pixels, into files), check (reads the kept
arrays with tensorstore). Prints one JSON line.
"""

import hashlib
import json
import os
import sys
import tempfile
import time

import numpy as np

CORES = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
LITTLE = {"name": "bytes", "configuration": {"endian": "little"}}


def blosc(cname, level):
    return {
        "name": "blosc",
        "configuration": {"cname": cname, "clevel": level, "shuffle": "shuffle", "typesize": 2, "blocksize": 0},
    }


CODECS = {
    "none": [],
    "blosc-lz4": [blosc("lz4", 5)],
    "blosc-zstd": [blosc("zstd", 3)],
    "zstd": [{"name": "zstd", "configuration": {"level": 1, "checksum": False}}],
}


def shapes(task, kind):
    """Shape of a file's chunk, and the codecs."""
    codecs = [LITTLE, *CODECS[kind["codec"]]]
    if kind["layout"] == "chunks":
        return task["chunk"], codecs
    index = [LITTLE, {"name": "crc32c"}]
    sharding = {"chunk_shape": task["chunk"], "codecs": codecs, "index_codecs": index, "index_location": "end"}
    return [1, *task["shape"][1:]], [{"name": "sharding_indexed", "configuration": sharding}]


def tensorstore_writer(task):
    import tensorstore as ts

    context = ts.Context(
        {
            "data_copy_concurrency": {"limit": CORES},
            "file_io_concurrency": {"limit": CORES},
            "file_io_sync": False,
        }
    )

    def prepare(path, kind):
        chunk, codecs = shapes(task, kind)
        return ts.open(
            {
                "driver": "zarr3",
                "kvstore": {"driver": "file", "path": path},
                "metadata": {
                    "shape": task["shape"],
                    "data_type": "uint16",
                    "chunk_grid": {"name": "regular", "configuration": {"chunk_shape": chunk}},
                    "codecs": codecs,
                },
            },
            context=context,
            create=True,
        ).result()

    return prepare, lambda array, pixels: array.write(pixels).result()


def zarr_writer(task):
    import zarr
    from zarr.codecs import BloscCodec, BytesCodec, ShardingCodec, ZstdCodec

    chains = {
        "none": [],
        "blosc-lz4": [BloscCodec(typesize=2, cname="lz4", clevel=5, shuffle="shuffle")],
        "blosc-zstd": [BloscCodec(typesize=2, cname="zstd", clevel=3, shuffle="shuffle")],
        "zstd": [ZstdCodec(level=1)],
    }

    def prepare(path, kind):
        chunk, _ = shapes(task, kind)
        codecs = [BytesCodec(), *chains[kind["codec"]]]
        if kind["layout"] == "shards":
            codecs = [ShardingCodec(chunk_shape=task["chunk"], codecs=codecs)]
        return zarr.create(
            store=path, shape=task["shape"], dtype="uint16", zarr_format=3, fill_value=0, chunk_shape=chunk,
            codecs=codecs,
        )  # fmt: skip

    def write(array, pixels):
        array[:] = pixels

    return prepare, write


def zarrs_writer(task):
    import zarr
    import zarrs  # noqa: F401

    zarr.config.set({"codec_pipeline.path": "zarrs.ZarrsCodecPipeline", "threading.max_workers": CORES})
    return zarr_writer(task)


def files_limit(task):
    def prepare(path, kind):
        os.makedirs(path)
        files = task["shape"][0]
        if kind["layout"] == "chunks":
            files *= -(-task["shape"][1] // task["chunk"][1]) * -(-task["shape"][2] // task["chunk"][2])
        return path, files

    def write(array, pixels):
        path, files = array
        data = memoryview(pixels).cast("B")
        step = len(data) // files
        for i in range(files):
            fd = os.open(os.path.join(path, str(i)), os.O_WRONLY | os.O_CREAT)
            os.write(fd, data[i * step : (i + 1) * step])
            os.close(fd)

    return prepare, write


def check(task):
    import tensorstore as ts

    results = {}
    for kind in task["kinds"]:
        path = os.path.join(task["folder"], "kept-" + kind["array"])
        if not os.path.exists(path):
            continue
        spec = {"driver": "zarr3", "kvstore": {"driver": "file", "path": path}}
        pixels = ts.open(spec, open=True).result().read().result()
        good = hashlib.sha256(np.ascontiguousarray(pixels).tobytes()).hexdigest() == task["sha256"]
        stored = sum(
            os.path.getsize(os.path.join(folder, name))
            for folder, _, names in os.walk(path)
            for name in names
            if name != "zarr.json"
        )
        results[kind["array"]] = {"good": good, "bytes": stored}
    return results


def empty(folder):
    """Gives the space back and keeps the files: ext4 creates slowly for a minute where files were deleted (README.md)."""
    for path, _, names in os.walk(folder):
        for name in names:
            os.truncate(os.path.join(path, name), 0)


def measure(task, prepare, write, keep):
    pixels = np.load(os.path.join(task["source"], "pixels.npy"))
    results = {}
    for kind in task["kinds"]:
        times = []
        until = time.perf_counter() + task["seconds"]
        i = 0
        while i < 3 or time.perf_counter() < until:
            folder = tempfile.mkdtemp(dir=task["folder"])
            array = prepare(os.path.join(folder, "0"), kind)
            began = time.perf_counter()
            write(array, pixels)
            took = time.perf_counter() - began
            if i > 0:
                times.append(took)
            elif keep:
                os.rename(os.path.join(folder, "0"), os.path.join(task["folder"], "kept-" + kind["array"]))
            empty(folder)
            i += 1
        results[kind["array"]] = {"s": float(np.median(times)), "writes": len(times)}
    return results


def main():
    name = sys.argv[1]
    with open(sys.argv[2]) as file:
        task = json.load(file)
    if name == "check":
        print(json.dumps(check(task)))
        return
    writers = {"tensorstore": tensorstore_writer, "zarr": zarr_writer, "zarrs": zarrs_writer, "files": files_limit}
    prepare, write = writers[name](task)
    print(json.dumps(measure(task, prepare, write, name != "files")))


if __name__ == "__main__":
    main()

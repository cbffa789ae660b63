#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The Python writers of the zarr-write benchmark, the limits that every writer has, and the check of what was written.

    writers.py WRITER TASK.json

WRITER: tensorstore, zarr (zarr-python), zarrs (zarr-python over the Rust codecs), numcodecs (a writer by hand over its codecs), encode (only the
codecs, in memory), files (only the pixels, into files), check (reads the kept arrays with tensorstore). Prints one JSON line.
"""

import concurrent.futures
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


def on_all_cores(work, items):
    """numcodecs lets go of the interpreter's lock, as files do."""
    if CORES == 1:
        return [work(item) for item in items]
    with concurrent.futures.ThreadPoolExecutor(CORES) as pool:
        return list(pool.map(work, items))


def encoder_of(codec):
    import numcodecs

    # The threads are our own.
    numcodecs.blosc.use_threads = False
    if codec.startswith("blosc"):
        _, cname = codec.split("-")
        return numcodecs.Blosc(cname, clevel=5 if cname == "lz4" else 3, shuffle=numcodecs.Blosc.SHUFFLE).encode
    return numcodecs.Zstd(level=1).encode if codec == "zstd" else lambda chunk: chunk


def chunks_of(task, plane):
    """The chunks of a plane, row-major, each contiguous."""
    _, height, width = task["chunk"]
    for y in range(0, plane.shape[0], height):
        for x in range(0, plane.shape[1], width):
            yield np.ascontiguousarray(plane[y : y + height, x : x + width])


def write_file(path, parts):
    fd = os.open(path, os.O_WRONLY | os.O_CREAT)
    try:
        os.writev(fd, parts)
    finally:
        os.close(fd)


def numcodecs_writer(task):
    """What one writes to be faster than zarr-python: a plane a thread, chunks encoded and put into files or a shard without a library of arrays."""
    import google_crc32c

    across = -(-task["shape"][2] // task["chunk"][2])

    def prepare(path, kind):
        chunk, codecs = shapes(task, kind)
        metadata = {
            "zarr_format": 3,
            "node_type": "array",
            "shape": task["shape"],
            "data_type": "uint16",
            "chunk_grid": {"name": "regular", "configuration": {"chunk_shape": chunk}},
            "chunk_key_encoding": {"name": "default", "configuration": {"separator": "/"}},
            "fill_value": 0,
            "codecs": codecs,
        }
        os.makedirs(path)
        with open(os.path.join(path, "zarr.json"), "w") as file:
            json.dump(metadata, file)
        return path, encoder_of(kind["codec"]), kind["layout"] == "shards"

    def write(array, pixels):
        path, encode, sharded = array

        def plane(z):
            encoded = [encode(chunk) for chunk in chunks_of(task, pixels[z])]
            folder = os.path.join(path, "c", str(z))
            if sharded:
                os.makedirs(os.path.join(folder, "0"))
                sizes = np.array([memoryview(e).nbytes for e in encoded], "<u8")
                index = np.stack([np.cumsum(sizes) - sizes, sizes], axis=1).tobytes()
                crc = google_crc32c.value(index).to_bytes(4, "little")
                write_file(os.path.join(folder, "0", "0"), [*encoded, index, crc])
                return
            for y in range(len(encoded) // across):
                os.makedirs(os.path.join(folder, str(y)))
            for i, chunk in enumerate(encoded):
                write_file(os.path.join(folder, str(i // across), str(i % across)), [chunk])

        on_all_cores(plane, range(task["shape"][0]))

    return prepare, write


def encode_limit(task):
    """Only the codec, chunk by chunk, from memory to memory."""

    def write(encode, pixels):
        on_all_cores(lambda plane: [encode(chunk) for chunk in chunks_of(task, plane)], pixels)

    def prepare(path, kind):
        os.makedirs(path)
        return encoder_of(kind["codec"])

    return prepare, write


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
        on_all_cores(
            lambda i: write_file(os.path.join(path, str(i)), [data[i * step : (i + 1) * step]]), range(files)
        )

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


def measure_one(task, kind, pixels, prepare, write, keep):
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
    return {"s": float(np.median(times)), "writes": len(times)}


def measure(task, prepare, write, keep):
    pixels = np.load(os.path.join(task["source"], "pixels.npy"))
    results = {}
    for kind in task["kinds"]:
        try:
            results[kind["array"]] = measure_one(task, kind, pixels, prepare, write, keep)
        except Exception as error:
            results[kind["array"]] = {"error": f"{type(error).__name__}: {' '.join(str(error).split())[:160]}"}
    return results


def main():
    name = sys.argv[1]
    with open(sys.argv[2]) as file:
        task = json.load(file)
    if name == "check":
        print(json.dumps(check(task)))
        return
    writers = {
        "tensorstore": tensorstore_writer,
        "zarr": zarr_writer,
        "zarrs": zarrs_writer,
        "numcodecs": numcodecs_writer,
    }
    limits = {"encode": encode_limit, "files": files_limit}
    prepare, write = (writers | limits)[name](task)
    print(json.dumps(measure(task, prepare, write, name in writers)))


if __name__ == "__main__":
    main()

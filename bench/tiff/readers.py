#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The Python readers of the tiff benchmark, and the limits that every reader has.

    readers.py READER TASK.json

READER: tifffile, opencv, imagecodecs (a reader by hand over its codecs), read (only the file's bytes), copy (only the pixels, from memory to
memory). Prints one JSON line, as measure.mjs does.
"""

import hashlib
import json
import os
import struct
import sys
import time

import numpy as np


def tifffile_reader():
    import tifffile

    return lambda path: tifffile.imread(path, maxworkers=1)


def opencv_reader():
    import cv2

    cv2.setNumThreads(1)

    def read(path):
        pixels = cv2.imread(path, cv2.IMREAD_UNCHANGED)
        if pixels is None:
            raise ValueError("cv2.imread does not read this file")
        return pixels

    return read


# Tag type -> struct letter: SHORT and LONG are all that a strip or tile table can have in a classic TIFF.
LETTERS = {3: "H", 4: "I"}


def tags_of(data):
    order = {b"II": "<", b"MM": ">"}[data[:2]]
    version, at = struct.unpack_from(order + "HI", data, 2)
    if version != 42:
        raise ValueError("no classic TIFF")
    tags = {}
    for i in range(struct.unpack_from(order + "H", data, at)[0]):
        tag, kind, count = struct.unpack_from(order + "HHI", data, at + 2 + 12 * i)
        if kind in LETTERS:
            form = f"{order}{count}{LETTERS[kind]}"
            where = at + 10 + 12 * i
            if struct.calcsize(form) > 4:
                where = struct.unpack_from(order + "I", data, where)[0]
            tags[tag] = struct.unpack_from(form, data, where)
    return order, tags


def imagecodecs_reader():
    """What one writes to be faster than tifffile: the tables by struct, each strip or tile straight into its place."""
    import imagecodecs

    decoders = {
        5: imagecodecs.lzw_decode,
        8: imagecodecs.deflate_decode,
        32773: imagecodecs.packbits_decode,
        50000: imagecodecs.zstd_decode,
    }

    def read(path):
        with open(path, "rb", buffering=0) as file:
            data = file.read()
        order, tags = tags_of(data)
        if order != "<" or tags[258] != (16,) or tags.get(277, (1,)) != (1,):
            raise ValueError("only little-endian 16-bit grey")
        width, height, codec = tags[256][0], tags[257][0], tags[259][0]
        predictor = tags.get(317, (1,))[0]
        if 322 in tags:
            chunk_width, chunk_height, offsets, sizes = tags[322][0], tags[323][0], tags[324], tags[325]
        else:
            chunk_width, chunk_height, offsets, sizes = width, tags[278][0], tags[273], tags[279]
        pixels = np.empty((height, width), "<u2")
        view = memoryview(data)
        across = -(-width // chunk_width)
        whole = chunk_width == width
        chunk = None if whole else np.empty((chunk_height, chunk_width), "<u2")
        for i, (offset, size) in enumerate(zip(offsets, sizes)):
            y, x = i // across * chunk_height, i % across * chunk_width
            target = pixels[y : y + chunk_height] if whole else chunk
            stored = view[offset : offset + size]
            if codec == 1:
                target[...] = np.frombuffer(stored, "<u2").reshape(target.shape)
            else:
                decoders[codec](stored, out=target.reshape(-1).view(np.uint8))
            if predictor == 2:
                imagecodecs.delta_decode(target, axis=-1, out=target)
            if not whole:
                place = pixels[y : y + chunk_height, x : x + chunk_width]
                place[...] = chunk[: place.shape[0], : place.shape[1]]
        return pixels

    return read


def read_limit():
    buffer = memoryview(bytearray(64 << 20))

    def read(path):
        fd = os.open(path, os.O_RDONLY)
        try:
            while os.readv(fd, [buffer]):
                pass
        finally:
            os.close(fd)

    return read


def copy_limit(task):
    source = np.ones((task["height"], task["width"]), np.uint16)
    target = np.zeros_like(source)
    return lambda _: np.copyto(target, source)


def measure(task, read, checked):
    """Median time of a read, of as many as fit into the time; the first one, checked pixel for pixel, is not counted."""
    results = {}
    for file in task["files"]:
        path = os.path.join(task["folder"], file)
        try:
            pixels = read(path)
            if (
                checked
                and hashlib.sha256(np.ascontiguousarray(pixels, "<u2").tobytes()).hexdigest()
                != task["sha256"]
            ):
                raise ValueError("wrong pixels")
            del pixels
        except Exception as error:
            results[file] = {"error": f"{type(error).__name__}: {error}"}
            continue
        times = []
        until = time.perf_counter() + task["seconds"]
        while len(times) < 3 or time.perf_counter() < until:
            began = time.perf_counter()
            read(path)
            times.append(time.perf_counter() - began)
        results[file] = {"s": float(np.median(times)), "reads": len(times)}
    return results


def main():
    name = sys.argv[1]
    with open(sys.argv[2]) as file:
        task = json.load(file)
    readers = {"tifffile": tifffile_reader, "opencv": opencv_reader, "imagecodecs": imagecodecs_reader}
    limits = {"read": read_limit, "copy": lambda: copy_limit(task)}
    print(json.dumps(measure(task, (readers | limits)[name](), name in readers)))


if __name__ == "__main__":
    main()

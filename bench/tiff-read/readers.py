#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The Python readers of the tiff-read benchmark, and the limits that every reader has.

    readers.py READER TASK.json

READER: tifffile, opencv, pyvips, imagecodecs (a reader by hand over its codecs), read (only the file's bytes), copy (only the pixels, from memory
to memory). Prints one JSON line, as measure.mjs does.
"""

import json
import os
import pathlib
import struct
import sys

import numpy as np

sys.path.insert(0, str(pathlib.Path(__file__).parent.parent / "harness"))
from measure import measure


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


def pyvips_reader():
    # libvips reads this when it starts.
    os.environ["VIPS_CONCURRENCY"] = "1"
    import pyvips

    pyvips.cache_set_max(0)

    def read(path):
        # "sequential": strips are decoded as they are copied out, without an image of their own in between.
        image = pyvips.Image.new_from_file(path, access="sequential", fail_on="error")
        return np.ndarray((image.height, image.width), "<u2", image.write_to_memory())

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


def layout_of(data):
    """Codec, predictor, size, chunk size, and the stored chunks in row-major order."""
    order, tags = tags_of(data)
    if order != "<" or tags[258] != (16,) or tags.get(277, (1,)) != (1,):
        raise ValueError("only little-endian 16-bit grey")
    width, height = tags[256][0], tags[257][0]
    if 322 in tags:
        chunk, offsets, sizes = (tags[323][0], tags[322][0]), tags[324], tags[325]
    else:
        chunk, offsets, sizes = (tags[278][0], width), tags[273], tags[279]
    view = memoryview(data)
    stored = [view[offset : offset + size] for offset, size in zip(offsets, sizes)]
    return tags[259][0], tags.get(317, (1,))[0], (height, width), chunk, stored


def imagecodecs_reader():
    """What one writes to be faster than tifffile: the tables by struct, each strip or tile straight into its place."""
    import imagecodecs

    decode = {
        5: imagecodecs.lzw_decode,
        8: imagecodecs.deflate_decode,
        32773: imagecodecs.packbits_decode,
        50000: imagecodecs.zstd_decode,
    }

    def read(path):
        with open(path, "rb", buffering=0) as file:
            data = file.read()
        codec, predictor, (height, width), (chunk_height, chunk_width), chunks = layout_of(data)
        pixels = np.empty((height, width), "<u2")
        across = -(-width // chunk_width)
        whole = chunk_width == width
        chunk = None if whole else np.empty((chunk_height, chunk_width), "<u2")
        for i, stored in enumerate(chunks):
            y, x = i // across * chunk_height, i % across * chunk_width
            target = pixels[y : y + chunk_height] if whole else chunk
            if codec == 1:
                target[...] = np.frombuffer(stored, "<u2").reshape(target.shape)
            else:
                decode[codec](stored, out=target.reshape(-1).view(np.uint8))
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


def main():
    name = sys.argv[1]
    with open(sys.argv[2]) as file:
        task = json.load(file)
    readers = {
        "tifffile": tifffile_reader,
        "opencv": opencv_reader,
        "pyvips": pyvips_reader,
        "imagecodecs": imagecodecs_reader,
    }
    limits = {"read": read_limit, "copy": lambda: copy_limit(task)}
    print(json.dumps(measure(task, (readers | limits)[name](), checked=name in readers)))


if __name__ == "__main__":
    main()

#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Writes the arrays of the zarr-read benchmark with zarr-python: one image of two planes, every codec, as chunk files and as shards.

    make_arrays.py FOLDER

Chunks of 512x512; a shard is a plane. FOLDER/arrays.json, written last, lists the arrays with the SHA-256 of the pixels.
"""

import hashlib
import json
import pathlib
import shutil
import sys

import numpy as np
import zarr
from zarr.codecs import BloscCodec, BytesCodec, ShardingCodec, ZstdCodec

sys.path.insert(0, str(pathlib.Path(__file__).parent.parent / "harness"))
from field import SIDE, image

PLANES = 2
CHUNK = (1, 512, 512)
# Levels: the libraries' own defaults for Blosc and LZ4; for Zstandard those that keep up with a microscope.
CODECS = {
    "none": [],
    "blosc-lz4": [BloscCodec(typesize=2, cname="lz4", clevel=5, shuffle="shuffle")],
    "blosc-zstd": [BloscCodec(typesize=2, cname="zstd", clevel=3, shuffle="shuffle")],
    "zstd": [ZstdCodec(level=1)],
}


def main():
    folder = pathlib.Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)
    pixels = np.stack([image(3 + i) for i in range(PLANES)])
    np.save(folder / "pixels.npy", pixels)
    arrays = []
    for codec, codecs in CODECS.items():
        for layout in ["chunks", "shards"]:
            path = folder / f"{codec}-{layout}"
            shutil.rmtree(path, ignore_errors=True)
            inner = [BytesCodec(), *codecs]
            array = zarr.create(
                store=str(path),
                shape=pixels.shape,
                dtype=pixels.dtype,
                zarr_format=3,
                fill_value=0,
                chunk_shape=(1, SIDE, SIDE) if layout == "shards" else CHUNK,
                codecs=[ShardingCodec(chunk_shape=CHUNK, codecs=inner)] if layout == "shards" else inner,
            )
            array[:] = pixels
            stored = sum(f.stat().st_size for f in (path / "c").rglob("*") if f.is_file())
            arrays.append({"array": path.name, "codec": codec, "layout": layout, "bytes": stored})
    listing = {
        "shape": list(pixels.shape),
        "dtype": "uint16",
        "chunk": list(CHUNK),
        "sha256": hashlib.sha256(pixels.tobytes()).hexdigest(),
        "arrays": arrays,
    }
    (folder / "arrays.json").write_text(json.dumps(listing, indent=1))


if __name__ == "__main__":
    main()

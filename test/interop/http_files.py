# SPDX-License-Identifier: MIT
"""Writes TIFF files with tifffile and OME-Zarr images with zarr-python for http.test.ts; prints names, keys and hashes of pixels."""

import hashlib
import json
import sys
from pathlib import Path

import numpy as np
import tifffile
import zarr

root = Path(sys.argv[1])
rng = np.random.default_rng(7)
y, x = np.mgrid[0:600, 0:500]
plane = ((x * 31 + y * 17) % 4096 + rng.integers(0, 50, y.shape)).astype("uint16")
small = (plane // 16).astype("uint8")
written = []


def tiff(name, data, page=0, pixels=None, **options):
    bigtiff = options.pop("bigtiff", False)
    tifffile.imwrite(root / name, data, bigtiff=bigtiff, photometric="minisblack", **options)
    # Lossy and odd ones: what tifffile itself reads.
    read = tifffile.imread(root / name, key=page) if pixels is None else pixels
    written.append({"key": name, "page": page, "sha256": hashlib.sha256(np.ascontiguousarray(read)).hexdigest()})


stack = np.stack([plane, plane + 1, plane[::-1]])
tiff("lzw.tif", stack, page=2, compression="lzw", predictor=True, rowsperstrip=16)
tiff("zstd-tiles.tif", stack, page=1, compression="zstd", tile=(128, 128))
tiff("big.tif", stack, page=1, bigtiff=True, compression="deflate", rowsperstrip=32, metadata={"axes": "ZYX"})
tiff("stack.ome.tif", stack, page=2, metadata={"axes": "ZYX", "Name": "remote"}, ome=True)
tiff("endian.tif", stack, page=0, byteorder=">")
# The fast path does not read JPEG: libtiff does, through the same ranges.
tiff("jpeg-tiles.tif", small, compression="jpeg", tile=(128, 128))

for name, options in {
    "v3-sharded": {"zarr_format": 3, "shards": (1, 640, 512), "chunks": (1, 64, 64)},
    "v3-chunks": {"zarr_format": 3, "chunks": (2, 100, 100)},
    "v2": {"zarr_format": 2, "chunks": (1, 256, 256)},
}.items():
    group = zarr.open_group(root / name, mode="w", zarr_format=options["zarr_format"])
    ome = {
        "multiscales": [
            {
                "axes": [{"name": "z", "type": "space"}, {"name": "y", "type": "space"}, {"name": "x", "type": "space"}],
                "datasets": [{"path": "0", "coordinateTransformations": [{"type": "scale", "scale": [1, 1, 1]}]}],
            }
        ]
    }
    group.attrs.update({"ome": {"version": "0.5", **ome}} if options["zarr_format"] == 3 else ome)
    arguments = {k: v for k, v in options.items() if k != "zarr_format"}
    array = group.create_array("0", shape=stack.shape, dtype=stack.dtype, **arguments)
    array[:] = stack
    written.append({"key": f"{name}/z2", "page": 0, "sha256": hashlib.sha256(np.ascontiguousarray(stack[2])).hexdigest()})

print(json.dumps(written))

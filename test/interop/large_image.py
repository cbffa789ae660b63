# SPDX-License-Identifier: MIT
"""A slide of discs: `make SIDE FILE` writes it as a tiled TIFF; `judge FILE OUT` compares a run's labels and table with scikit-image, as JSON."""
import csv
import json
import sys

import numpy as np
import skimage.filters
import skimage.measure
import tifffile
import zarr

TILE = 512


def make(side, path):
    rng = np.random.default_rng(1)
    image = rng.integers(100, 104, (side, side), dtype=np.uint16)
    for cy, cx, r, light in zip(
        rng.integers(0, side, side * side // 4000),
        rng.integers(0, side, side * side // 4000),
        rng.integers(6, 14, side * side // 4000),
        rng.integers(300, 1500, side * side // 4000),
    ):
        y0, y1, x0, x1 = max(cy - r, 0), min(cy + r + 1, side), max(cx - r, 0), min(cx + r + 1, side)
        y, x = np.ogrid[y0:y1, x0:x1]
        image[y0:y1, x0:x1][(y - cy) ** 2 + (x - cx) ** 2 <= r * r] = light
    tifffile.imwrite(path, image, tile=(TILE, TILE), compression="zlib", compressionargs={"level": 1})


def judge(path, out):
    image = tifffile.imread(path)
    labels = skimage.measure.label(image > skimage.filters.threshold_otsu(image), connectivity=2)
    store = zarr.open_group(f"{out}/plate.ome.zarr", mode="r")
    written = np.squeeze(store["A/1/0/0"][:])
    found = np.squeeze(store["A/1/0/labels/objects/0"][:])
    small = np.squeeze(store["A/1/0/labels/objects/2"][:])
    area = np.bincount(labels.ravel())[1:]
    total = np.bincount(labels.ravel(), image.ravel())[1:]
    with open(f"{out}/measurements.csv") as table:
        rows = list(csv.DictReader(table))
    print(
        json.dumps(
            {
                "objects": int(labels.max()),
                "image": bool(np.array_equal(written, image)),
                "labels": bool(np.array_equal(found, labels)),
                "level": bool(np.array_equal(small, labels[::4, ::4])),
                "area": [int(r["area"]) for r in rows] == area.tolist(),
                "intensity": [float(r["integrated_intensity"]) for r in rows] == total.tolist(),
            }
        )
    )


if sys.argv[1] == "make":
    make(int(sys.argv[2]), sys.argv[3])
else:
    judge(sys.argv[2], sys.argv[3])

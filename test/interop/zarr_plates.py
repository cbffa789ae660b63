#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Writes OME-Zarr plates and images with ome-zarr-py, for zarr-plates.test.ts.

    zarr_plates.py FOLDER

For each NGFF version: plate-VERSION.zarr (wells B02 and C03 of a 24-well plate, two fields, axes tczyx), flat-VERSION.zarr (axes cyx, a
field and a well that are listed and not there), image-VERSION.zarr (a single image, axes zyx). Pixel = 1000 t + 100 c + 10 z + field + 7 (row letter's place)
+ y + x / 4. Prints nothing.
"""

import os
import sys
import warnings

import numpy as np
import zarr
from ome_zarr.format import FormatV04, FormatV05
from ome_zarr.writer import write_image, write_plate_metadata, write_well_metadata

warnings.filterwarnings("ignore")
root = sys.argv[1]
HEIGHT, WIDTH = 40, 52


def plane(t, c, z, field, row):
    y, x = np.mgrid[0:HEIGHT, 0:WIDTH]
    return (1000 * t + 100 * c + 10 * z + field + 7 * row + y + x // 4).astype("uint16")


def stack(t, c, z, field, row):
    return np.stack(
        [np.stack([np.stack([plane(i, j, k, field, row) for k in range(z)]) for j in range(c)]) for i in range(t)]
    )


def units(axes, scale):
    kinds = {"t": "time", "c": "channel"}
    named = [
        {"name": a, "type": kinds.get(a, "space"), **({"unit": "micrometer"} if a in "zyx" else {})} for a in axes
    ]
    return {
        "axes": named,
        "coordinate_transformations": [[{"type": "scale", "scale": scale}]],
        "scaler": None,
    }


def channels(labels):
    return {
        "channels": [
            {"label": name, "color": "00FF00", "window": {"start": 0, "end": 100, "min": 0, "max": 65535}, "active": True}
            for name in labels
        ]
    }


for fmt, version in [(FormatV04(), "0.4"), (FormatV05(), "0.5")]:
    options = {"fmt": fmt}
    zarr_format = 2 if version == "0.4" else 3

    def group_at(name):
        return zarr.open_group(os.path.join(root, f"{name}-{version}.zarr"), mode="w", zarr_format=zarr_format)

    plate = group_at("plate")
    rows, columns, wells = list("ABCD"), [str(i + 1) for i in range(6)], ["B/2", "C/3"]
    write_plate_metadata(plate, rows, columns, wells, name="measured", **options)
    for path in wells:
        well = plate.require_group(path)
        write_well_metadata(well, ["0", "1"], **options)
        for field in range(2):
            image = well.require_group(str(field))
            write_image(
                stack(2, 2, 3, field, "ABCD".index(path[0])), image,
                storage_options={"chunks": (1, 1, 2, 16, 32)},
                metadata={"omero": channels(["DAPI", "GFP"])},
                **units("tczyx", [1.0, 1.0, 2.0, 0.5, 0.25]), **options,
            )  # fmt: skip

    flat = group_at("flat")
    write_plate_metadata(flat, ["A"], ["1", "2", "3"], ["A/1", "A/2", "A/3"], **options)
    for path in ["A/1", "A/2"]:
        well = flat.require_group(path)
        write_well_metadata(well, ["0", "1"], **options)
        for field in range(2):
            if path == "A/2" and field == 1:
                continue
            image = well.require_group(str(field))
            write_image(stack(1, 2, 1, field, 0)[0, :, 0], image, **units("cyx", [1.0, 1.0, 1.0]), **options)

    write_image(stack(1, 1, 3, 0, 0)[0, 0], group_at("image"), **units("zyx", [1.5, 0.1, 0.1]), **options)

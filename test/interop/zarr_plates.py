#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Writes OME-Zarr plates and images with ome-zarr-py, for zarr-plates.test.ts.

    zarr_plates.py FOLDER

For each NGFF version: plate-VERSION.zarr (wells B02 and C03 of a 24-well plate, two fields, axes tczyx), flat-VERSION.zarr (axes cyx, a
field and a well that are listed and not there), image-VERSION.zarr (a single image, axes zyx). A pixel is 1000 t + 100 c + 10 z + field +
7 (place of the row's letter) + y + x / 4. Prints nothing.
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


def microns(axes, z, y, x):
    units = {a: "micrometer" for a in axes if a in "zyx"}
    return {"axes": axes, "scale": {"z": z, "y": y, "x": x}, "axes_units": units, "scale_factors": [2]}


def omero(labels):
    window = {"start": 0, "end": 100, "min": 0, "max": 65535}
    return {"channels": [{"label": name, "color": "00FF00", "window": window, "active": True} for name in labels]}


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
                **microns("tczyx", 2.0, 0.5, 0.25), **options,
            )  # fmt: skip
            # What write_image leaves to its caller.
            display = omero(["DAPI", "GFP"])
            if version == "0.4":
                image.attrs["omero"] = display
            else:
                image.attrs["ome"] = {**image.attrs["ome"], "omero": display}

    flat = group_at("flat")
    write_plate_metadata(flat, ["A"], ["1", "2", "3"], ["A/1", "A/2", "A/3"], **options)
    for path in ["A/1", "A/2"]:
        well = flat.require_group(path)
        write_well_metadata(well, ["0", "1"], **options)
        for field in range(2):
            if path == "A/2" and field == 1:
                continue
            image = well.require_group(str(field))
            write_image(stack(1, 2, 1, field, 0)[0, :, 0], image, axes="cyx", **options)

    write_image(stack(1, 1, 3, 0, 0)[0, 0], group_at("image"), **microns("zyx", 1.5, 0.1, 0.1), **options)

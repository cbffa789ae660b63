# SPDX-License-Identifier: MIT
"""Judges plates that tilecast wrote, with zarr-python, tensorstore, ome-zarr-py and ome-zarr-models; prints JSON.

Takes a JSON file: [{"store", "version", "sigma", "fields": {"A/1/0": [[files of channel 0], ...]}}]. The expected pixels are computed
here from the TIFFs: maximum over the files, Gaussian, Otsu, labels; pyramids by tensorstore's downsampling (mean, stride).
"""
import functools
import hashlib
import json
import pathlib
import sys

import numpy as np
import ome_zarr.io
import ome_zarr.reader
import scipy.ndimage as ndi
import skimage.filters
import skimage.measure
import tensorstore as ts
import tifffile
import zarr
from ome_zarr_models import open_ome_zarr


@functools.cache
def expected_levels(channels, sigma):
    """Image and labels (c y x) with their pyramids; a channel without files is empty."""
    image, label = expected_field(channels, sigma)
    return [(image, *pyramid(image, "mean")), (label, *pyramid(label, "stride"))]


def pyramid(array, method):
    """Two more levels as tensorstore's downsample driver makes them."""
    for _ in range(2):
        array = ts.downsample(ts.array(array), [1, 2, 2], method=method).read().result()
        yield array


def expected_field(channels, sigma):
    planes, labels = [], []
    for files in channels:
        if not files:
            planes.append(None)
            labels.append(None)
            continue
        plane = np.max([tifffile.imread(f) for f in files], axis=0)
        smooth = ndi.gaussian_filter(plane.astype(np.float32), sigma, mode="reflect", truncate=4)
        mask = smooth > skimage.filters.threshold_otsu(smooth, nbins=256)
        planes.append(plane)
        labels.append(skimage.measure.label(mask, connectivity=2).astype(np.int32))
    first = next(p for p in planes if p is not None)
    image = np.stack([np.zeros_like(first) if p is None else p for p in planes])
    label = np.stack([np.zeros(first.shape, np.int32) if p is None else p for p in labels])
    return image, label


def open_tensorstore(store, path, version):
    spec = {"driver": "zarr3" if version == "0.5" else "zarr", "kvstore": {"driver": "file", "path": f"{store}/{path}/"}}
    return ts.open(spec, open=True, read=True).result()


def same(got, want):
    """Integers exactly; floats of the pyramid to float32's rounding."""
    if got.shape != want.shape or got.dtype != want.dtype:
        return f"{got.dtype}{got.shape} instead of {want.dtype}{want.shape}"
    if np.issubdtype(want.dtype, np.floating):
        return None if np.allclose(got, want, rtol=1e-6, atol=0) else f"differs by {np.abs(got - want).max()}"
    return None if np.array_equal(got, want) else f"{(got != want).sum()} pixels differ"


def judge(plate):
    store, version = plate["store"], plate["version"]
    root = zarr.open_group(store, mode="r")
    wrong, digests, levels = [], {}, 0
    for field, channels in plate["fields"].items():
        expected = expected_levels(tuple(map(tuple, channels)), plate["sigma"])
        for path, expected_pyramid, kind in zip((field, f"{field}/labels/objects"), expected, ("Multiscales", "Label")):
            group = root[path]
            metadata = dict(group.attrs)
            datasets = metadata.get("ome", metadata)["multiscales"][0]["datasets"]
            # ome-zarr-py, the way napari's reader opens an image.
            location = ome_zarr.io.parse_url(f"{store}/{path}")
            nodes = ome_zarr.reader.Reader(location)()
            node = next(n for n in nodes if kind in [type(spec).__name__ for spec in n.specs])
            if not len(node.data) == len(datasets) == len(expected_pyramid):
                wrong.append(f"{path}: ome-zarr-py sees {len(node.data)} levels of {len(datasets)}")
            for n, (dataset, want) in enumerate(zip(datasets, expected_pyramid)):
                array = f"{path}/{dataset['path']}"
                levels += 1
                got = {
                    "zarr-python": root[array][:],
                    "tensorstore": open_tensorstore(store, array, version).read().result(),
                    "ome-zarr-py": np.asarray(node.data[n]),
                }
                for reader, pixels in got.items():
                    difference = same(pixels, want)
                    if difference is not None:
                        wrong.append(f"{array} by {reader}: {difference}")
                digests[array] = hashlib.sha256(np.ascontiguousarray(got["zarr-python"]).tobytes()).hexdigest()
    # ome-zarr-py's plate node reads every well's first field into one mosaic.
    specs = [type(s).__name__ for node in ome_zarr.reader.Reader(ome_zarr.io.parse_url(store))() for s in node.specs]
    return {"wrong": wrong, "levels": levels, "digests": digests, "plate": "Plate" in specs, "models": models(store, version)}


def models(store, version):
    """What ome-zarr-models calls every group of the hierarchy; it raises where the metadata is not valid."""
    root = zarr.open_group(store, mode="r")
    plate = open_ome_zarr(root, version=version)
    seen = {"": type(plate).__name__}
    metadata = dict(root.attrs)
    for well in metadata.get("ome", metadata)["plate"]["wells"]:
        group = root[well["path"]]
        seen[well["path"]] = type(open_ome_zarr(group, version=version)).__name__
        attributes = dict(group.attrs)
        for image in attributes.get("ome", attributes)["well"]["images"]:
            at = f"{well['path']}/{image['path']}"
            seen[at] = type(open_ome_zarr(root[at], version=version)).__name__
            seen[f"{at}/labels"] = type(open_ome_zarr(root[f"{at}/labels"], version=version)).__name__
            seen[f"{at}/labels/objects"] = type(open_ome_zarr(root[f"{at}/labels/objects"], version=version)).__name__
    return seen


print(json.dumps([judge(p) for p in json.loads(pathlib.Path(sys.argv[1]).read_text())]))

# SPDX-License-Identifier: MIT
"""The catalogue's cases of make-ops-oracle.py: filters, morphology, exposure, thresholds, segmentation, geometry."""

import numpy as np
import scipy.ndimage as ndi
from skimage import morphology

FLAT_OPS = ["erosion", "dilation", "opening", "closing", "white_tophat", "black_tophat"]


def flat(name: str, image: np.ndarray, **footprint) -> np.ndarray:
    if "radius" in footprint:
        return getattr(morphology, name)(image, morphology.disk(footprint["radius"]))
    size = (footprint["height"], footprint["width"])
    erode, dilate = ndi.grey_erosion, ndi.grey_dilation
    if name == "erosion":
        return erode(image, size)
    if name == "dilation":
        return dilate(image, size)
    if name in ("opening", "white_tophat"):
        opened = dilate(erode(image, size), size)
        return opened if name == "opening" else image - opened
    closed = erode(dilate(image, size), size)
    return closed if name == "closing" else closed - image


def morphology_cases(o, image: np.ndarray) -> None:
    for size in [dict(radius=1), dict(radius=10), dict(height=21, width=21), dict(height=4, width=7)]:
        for name in FLAT_OPS:
            o.case("morph", input=image, name=name, out=flat(name, image, **size), **size)
    for size in [
        dict(radius=0),
        dict(radius=2),
        dict(radius=5),
        dict(radius=37),
        dict(height=1, width=1),
        dict(height=3, width=3),
        dict(height=1, width=16),
        dict(height=64, width=2),
        dict(height=300, width=501),
    ]:
        for name in ["erosion", "white_tophat"]:
            o.case("morph", input=image, name=name, out=flat(name, image, **size), **size)


def median(image: np.ndarray, radius: int) -> np.ndarray:
    if radius < 60:
        return ndi.median_filter(image, 2 * radius + 1, mode="reflect")
    side = 2 * radius + 1  # scipy runs out of memory: by its definition, row by row
    padded = np.pad(image, radius, "symmetric")
    out = np.empty_like(image)
    for y in range(image.shape[0]):
        windows = np.lib.stride_tricks.sliding_window_view(padded[y : y + side], (side, side))[0]
        out[y] = np.partition(windows.reshape(image.shape[1], -1), side * side // 2, axis=1)[:, side * side // 2]
    return out


def rank_cases(o, name: str, image: np.ndarray) -> None:
    radii = [0, 1, 2, 3, 10]
    if name.startswith("nuclei"):
        radii += [5, 30]
    if name in ("noise-uint8", "noise-uint16", "noise-float32"):
        radii += [127]
    for radius in radii:
        o.case("median", input=image, radius=radius, out=median(image, radius))
    for size in [(1, 1), (3, 3), (15, 15), (4, 6), (201, 128), (700, 3)]:
        exact = image if image.dtype.itemsize <= 2 and image.dtype.kind == "u" and size[0] < 200 else image.astype(np.float32)
        padded = np.pad(exact.astype(np.float64), [(n, n) for n in size], "symmetric")
        out = ndi.uniform_filter(padded, size)[size[0] : size[0] + image.shape[0], size[1] : size[1] + image.shape[1]]
        o.case("box", input=image, height=size[0], width=size[1], out=out.astype(np.float32))


def catalogue_cases(o, images: dict[str, np.ndarray], masks: dict[str, np.ndarray]) -> None:
    for name, image in images.items():
        if image.dtype != np.float64 and name in (
            "nuclei-u16", "nuclei-u8", "nuclei-f32", "nuclei-i16", "column", "row-f32", "pixel", "signed-f32",
            "noise-uint8", "noise-int8", "noise-uint16", "noise-int16", "noise-uint32", "noise-int32", "noise-float32",
        ):  # fmt: skip
            morphology_cases(o, image)
            rank_cases(o, name, image)
    for mask in masks.values():
        o.case("fill_holes", input=mask, out=ndi.binary_fill_holes(mask).astype(np.uint8))
        for size in [dict(radius=1), dict(radius=4), dict(height=5, width=3)]:
            for name in FLAT_OPS:
                o.case("morph", input=mask, name=name, out=flat(name, mask, **size), **size)

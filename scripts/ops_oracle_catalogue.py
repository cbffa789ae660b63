# SPDX-License-Identifier: MIT
"""The catalogue's cases of make-ops-oracle.py: filters, morphology, exposure, thresholds, segmentation, geometry."""

import cv2
import numpy as np
import scipy.ndimage as ndi
from skimage import exposure, feature, filters, measure, morphology, segmentation, transform, util

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


def stored(v: np.ndarray, dtype) -> np.ndarray:
    """float64 results in a dtype: rounded half to even and held in range, or rounded once."""
    if np.dtype(dtype).kind == "f":
        return v.astype(dtype)
    info = np.iinfo(dtype)
    return np.clip(np.rint(np.nan_to_num(v, nan=0.0)), info.min, info.max).astype(dtype)


def intensity_cases(o, rng: np.random.Generator, image: np.ndarray) -> None:
    other = rng.integers(0, 200, image.shape).astype(np.uint8)
    exact = image.astype(np.float64)
    for name, op in [("add", np.add), ("subtract", np.subtract), ("multiply", np.multiply), ("divide", np.divide)]:
        with np.errstate(all="ignore"):
            for dtype in [image.dtype.name, "float32", "uint8"]:
                o.case("calculate", name=name, input=image, other=other, out=stored(op(exact, other), dtype))
                o.case("calculate", name=name, input=image, value=3.7, out=stored(op(exact, 3.7), dtype))
            if image.dtype.kind != "i":
                same = np.ascontiguousarray(np.roll(image, 1, 0)[::-1])
                o.case("calculate", name=name, input=image, other=same, out=stored(op(exact, same.astype(np.float64)), image.dtype))
    low, high = np.percentile(exact, [20, 90])
    o.case("clip", input=image, low=float(low), high=float(high), out=stored(np.clip(exact, low, high), image.dtype))
    o.case("invert", input=image, out=util.invert(image, signed_float=False))
    for out_low, out_high, dtype in [(0.0, 1.0, "float32"), (0.0, 255.0, "uint8"), (1000.0, -7.0, "int16")]:
        t = (np.clip(exact, low, high) - low) / (high - low if high > low else 1)
        out = stored(t * (out_high - out_low) + out_low, dtype)
        o.case("stretch", input=image, low=float(low), high=float(high), out_low=out_low, out_high=out_high, out=out)
    if high > low:
        t = exposure.rescale_intensity(exact, in_range=(low, high), out_range=(0.0, 1.0)).astype(np.float32)
        o.case("stretch", input=image, low=float(low), high=float(high), out_low=0.0, out_high=1.0, out=t, loose=1)
    for bins in [1, 7, 256, 1000]:
        lowest, highest = float(exact.min()), float(exact.max()) + (exact.max() == exact.min())
        for first, last in [(lowest, highest), (float(low), float(low) + 13.3)]:
            counts = np.histogram(image, bins, (first, last))[0]
            o.case("histogram", input=image, bins=bins, low=first, high=last, out=counts.astype(np.float64))
    if image.dtype.itemsize <= 2 or image.dtype.kind == "f":
        if exact.max() > exact.min() or image.dtype.kind != "f":  # scikit-image makes up a range of 1
            o.case("equalize", input=image, out=exposure.equalize_hist(image, 256).astype(np.float32))
            o.case("yen", input=image, threshold=filters.threshold_yen(image))
        o.case("triangle", input=image, threshold=filters.threshold_triangle(image))
        wide = image.astype(np.int32) if image.dtype.kind == "i" else image  # int8 - min overflows in scikit-image
        o.case("li", input=image, threshold=filters.threshold_li(wide))
    if exact.min() >= 0:
        top = np.iinfo(image.dtype).max if image.dtype.kind in "iu" else 1.0
        for gamma, gain in [(0.5, 1.0), (2.2, 0.7), (0.0, 1.0), (1.0, 1.0)]:
            out = gain * top * (exact / top) ** gamma
            o.case("gamma", input=image, gamma=gamma, gain=gain, out=stored(out, image.dtype))
            if image.dtype == np.uint8:
                library = exposure.adjust_gamma(image, gamma, gain)
                o.case("gamma", input=image, gamma=gamma, gain=gain, out=library)
    if image.dtype in (np.uint8, np.uint16) and min(image.shape) > 8:
        for clip, y, x in [(2.0, 8, 8), (40.0, 3, 5), (0.0, 1, 1), (0.01, 8, 2)]:
            out = cv2.createCLAHE(clip, (x, y)).apply(image)
            o.case("clahe", input=image, clip=clip, tiles_y=y, tiles_x=x, out=out)


def detail_cases(o, image: np.ndarray) -> None:
    f = image.astype(np.float32)
    o.case("sobel", input=image, out=filters.sobel(f.astype(np.float64), mode="reflect").astype(np.float32))
    for sigma in [0.7, 2.0, 6.5]:
        out = filters.unsharp_mask(f.astype(np.float64), sigma, 1.5, preserve_range=True).astype(np.float32)
        o.case("unsharp", input=image, sigma=sigma, amount=1.5, out=out)
        out = filters.difference_of_gaussians(f.astype(np.float64), sigma, sigma * 1.6, mode="reflect").astype(np.float32)
        o.case("dog", input=image, low=sigma, high=sigma * 1.6, out=out)
        out = ndi.gaussian_laplace(f.astype(np.float64), sigma, mode="reflect").astype(np.float32)
        o.case("log", input=image, sigma=sigma, out=out)
    for block in [1, 15, 51]:
        for method in ["mean", "gaussian"]:
            if block == 1 and method == "gaussian":
                continue
            local = filters.threshold_local(f.astype(np.float64), block, method, offset=3.3)
            o.case("adaptive", input=image, block=block, method=method, offset=3.3, local=local.astype(np.float32))


def expanded(labels: np.ndarray, distance: float) -> np.ndarray:
    """Ties to the least label: argmin over the labels' own distance maps takes the first."""
    names = np.unique(labels[labels > 0])
    if names.size == 0:
        return labels
    far = np.stack([np.rint(ndi.distance_transform_edt(labels != name) ** 2) for name in names])
    out = np.where(far.min(0) <= distance**2, names[far.argmin(0)], 0)
    return np.where(labels > 0, labels, out).astype(np.int32)


def object_cases(o, rng: np.random.Generator, name: str, mask: np.ndarray) -> None:
    labels = measure.label(mask, connectivity=2).astype(np.int32)
    if (mask == 0).any():
        depth = ndi.distance_transform_edt(mask)
        o.case("distance", input=mask, out=depth.astype(np.float32))
        for d in [1, 5]:
            o.case("split", input=mask, labels=labels, distance=d, peaks=len(feature.peak_local_max(depth, min_distance=d, threshold_abs=0, exclude_border=False)))
    if labels.max() <= 400:
        for distance in [0.0, 1.0, 3.5, 10.0]:
            few = np.where(labels % 3 == 1, labels, 0).astype(np.int32)
            o.case("expand", input=few, distance=distance, out=expanded(few, distance))
    areas = np.bincount(labels.ravel())
    for low, clear in [(20, 0), (0, 1), (5, 1)]:
        kept = np.where(areas[labels] >= low, labels, 0).astype(np.int32)
        if clear:
            kept[segmentation.clear_border(labels) == 0] = 0
        o.case("filter_labels", input=labels, min_area=low, clear_border=clear, out=kept)


def peak_cases(o, image: np.ndarray) -> None:
    for d, border in [(1, 0), (1, 3), (4, 0), (11, 2)]:
        level = float(np.percentile(image, 60))
        found = feature.peak_local_max(image, min_distance=d, threshold_abs=level, exclude_border=border)
        o.case("peaks", input=image, distance=d, border=border, threshold=level, out=found.astype(np.int32).reshape(-1, 2), count=len(found))


def watershed_cases(o, rng: np.random.Generator) -> None:
    for shape in [(60, 75), (1, 40), (128, 131)]:
        # Distinct values: the order of equal markers is the only thing that scikit-image leaves open.
        image = rng.permutation(shape[0] * shape[1]).reshape(shape).astype(np.float32)
        image = np.argsort(np.argsort(ndi.gaussian_filter(image, 2).ravel() + image.ravel() * 1e-4)).reshape(shape).astype(np.float32)
        markers = np.where(rng.random(shape) < 0.02, rng.integers(1, 9, shape), 0).astype(np.int32)
        mask = (ndi.gaussian_filter(rng.normal(size=shape), 3) > -0.02).astype(np.uint8)
        for connectivity in [1, 2]:
            out = segmentation.watershed(image, markers, connectivity).astype(np.int32)
            o.case("watershed", input=image, markers=markers, connectivity=connectivity, out=out)
            out = segmentation.watershed(image, markers, connectivity, mask=mask.astype(bool)).astype(np.int32)
            o.case("watershed", input=image, markers=markers, mask=mask, connectivity=connectivity, out=out)


def stack_cases(o, rng: np.random.Generator) -> None:
    for dtype in ["uint8", "uint16", "int32", "float32", "float64"]:
        stack = [(ndi.gaussian_filter(rng.normal(size=(45, 67)), s) * 400 + 1000 * (dtype != "uint8") + 120).clip(0, 255 if dtype == "uint8" else 60000).astype(dtype) for s in [0.3, 2, 1, 0.5]]
        sharp = np.stack([ndi.uniform_filter(ndi.laplace(p.astype(np.float64), mode="reflect") ** 2, 9, mode="reflect") for p in stack])
        best = np.take_along_axis(np.stack(stack), sharp.argmax(0)[None], 0)[0]
        top = np.sort(sharp, 0)
        sure = (top[-1] > top[-2] * 1.001).astype(np.uint8)
        score = np.var(ndi.laplace(stack[0].astype(np.float64), mode="reflect"))
        deviation = np.stack(stack).astype(np.float64).std(0).astype(np.float32)
        o.case("stack", **{f"p{i}": p for i, p in enumerate(stack)}, deviation=deviation, best=best, sure=sure, score=score)


def geometry_cases(o, image: np.ndarray) -> None:
    h, w = image.shape
    turns = [np.rot90(image), np.rot90(image, 2), np.rot90(image, 3), image[::-1], image[:, ::-1], image.T]
    for turn, out in enumerate(turns):
        o.case("turn", input=image, turn=turn, out=np.ascontiguousarray(out))
    if min(h, w) > 20:
        o.case("crop", input=image, y=3, x=5, out=np.ascontiguousarray(image[3:17, 5 : w - 2]))
    for height, width in [(h, w), (2 * h, 3 * w), (max(1, h // 3), max(1, w // 2)), (17, 29)]:
        out = transform.resize(image.astype(np.float64), (height, width), order=1, mode="edge", anti_aliasing=False, preserve_range=True)
        o.case("resize", input=image, method="bilinear", out=out.astype(np.float32))
        if height <= h and width <= w and image.dtype.name in ("uint8", "uint16", "float32"):
            out = cv2.resize(image.astype(np.float32), (width, height), interpolation=cv2.INTER_AREA)
            o.case("resize", input=image, method="area", out=out)


def real_cases(o, rng: np.random.Generator, image: np.ndarray) -> None:
    """A corner of a real plane: the ops that take any image."""
    corner = np.ascontiguousarray(image[:220, :260])
    for radius in [3, 10]:
        o.case("median", input=corner, radius=radius, out=median(corner, radius))
    for size in [dict(radius=10), dict(height=21, width=21)]:
        for name in FLAT_OPS:
            o.case("morph", input=corner, name=name, out=flat(name, corner, **size), **size)
    intensity_cases(o, rng, corner)
    detail_cases(o, corner)
    peak_cases(o, corner)
    smooth = ndi.gaussian_filter(corner.astype(np.float32), 1.5)
    object_cases(o, rng, "real", (smooth > filters.threshold_otsu(smooth)).astype(np.uint8))


def catalogue_cases(o, images: dict[str, np.ndarray], masks: dict[str, np.ndarray]) -> None:
    rng = np.random.default_rng(13)
    for name, image in images.items():
        if image.dtype != np.float64 and name in (
            "nuclei-u16", "nuclei-u8", "nuclei-f32", "nuclei-i16", "column", "row-f32", "pixel", "signed-f32",
            "noise-uint8", "noise-int8", "noise-uint16", "noise-int16", "noise-uint32", "noise-int32", "noise-float32",
        ):  # fmt: skip
            morphology_cases(o, image)
            rank_cases(o, name, image)
            detail_cases(o, image)
            geometry_cases(o, image)
            if min(image.shape) > 30 and image.dtype.kind != "i":
                peak_cases(o, image)
        if not name.startswith(("tiny", "huge", "narrow", "too-")):
            intensity_cases(o, rng, image)
    stack_cases(o, rng)
    watershed_cases(o, rng)
    for name, mask in masks.items():
        object_cases(o, rng, name, mask)
        o.case("fill_holes", input=mask, out=ndi.binary_fill_holes(mask).astype(np.uint8))
        for size in [dict(radius=1), dict(radius=4), dict(height=5, width=3)]:
            for name in FLAT_OPS:
                o.case("morph", input=mask, name=name, out=flat(name, mask, **size), **size)

# SPDX-License-Identifier: MIT
"""The catalogue's ops as scikit-image, scipy, OpenCV and numpy define them, for check_ops.py."""

import cv2
import numpy as np
import scipy.ndimage as ndi
import skimage.exposure as exposure
import skimage.feature as feature
import skimage.filters as filters
import skimage.morphology as morphology
import skimage.restoration as restoration
import skimage.segmentation as segmentation
import skimage.transform
import skimage.util

LEVELS = {"triangle": filters.threshold_triangle, "li": filters.threshold_li, "yen": filters.threshold_yen}
ARITHMETIC = {"add": np.add, "subtract": np.subtract, "multiply": np.multiply, "divide": np.divide}
MORPHOLOGY = {
    "erode": morphology.erosion,
    "dilate": morphology.dilation,
    "open": morphology.opening,
    "close": morphology.closing,
    "topHat": morphology.white_tophat,
    "blackTopHat": morphology.black_tophat,
}
TURNS = {"rows": np.flipud, "columns": np.fliplr, "transpose": np.transpose}
GEOMETRY = ("crop", "rotate", "flip", "bin")


def convert(a, dtype):
    dtype = np.dtype(dtype)
    if dtype.kind == "f":
        return a.astype(dtype)
    info = np.iinfo(dtype)
    return np.clip(np.rint(np.nan_to_num(a, nan=0.0)), info.min, info.max).astype(dtype)


def footprint(p):
    return morphology.disk(p["radius"]) if "radius" in p else np.ones((p["height"], p["width"]), np.uint8)


def normalized(a, p):
    low, high = np.percentile(a.astype(np.float64), [p["low"], p["high"]])
    t = (np.clip(a.astype(np.float64), low, high) - low) / (high - low)
    return convert(t * (p["outHigh"] - p["outLow"]) + p["outLow"], p["dtype"])


def gamma(a, p):
    top = np.iinfo(a.dtype).max if a.dtype.kind in "iu" else 1.0
    return convert(p["gain"] * top * (a.astype(np.float64) / top) ** p["gamma"], a.dtype)


def best_focus(stack, window):
    """And where the sharpest slice is so by more than rounding."""
    sharp = np.stack([ndi.uniform_filter(ndi.laplace(s.astype(np.float64), mode="reflect") ** 2, window, mode="reflect") for s in stack])
    top = np.sort(sharp, 0)
    if len(stack) == 1:
        return stack[0], np.ones(stack[0].shape, bool)
    return np.take_along_axis(np.stack(stack), sharp.argmax(0)[None], 0)[0], top[-1] > top[-2] * 1.001


def expanded(labels, distance):
    """Nearest label within the distance, the least among equally near ones, offset by offset."""
    reach = int(distance)
    y, x = np.mgrid[-reach : reach + 1, -reach : reach + 1]
    squares = y * y + x * x
    padded = np.pad(labels, reach)
    out = labels.copy()
    for square in np.unique(squares[(squares > 0) & (squares <= distance**2)]):
        nearest = np.full(labels.shape, np.iinfo(np.int32).max, np.int32)
        for dy, dx in np.argwhere(squares == square):
            moved = padded[dy : dy + labels.shape[0], dx : dx + labels.shape[1]]
            nearest = np.where(moved > 0, np.minimum(nearest, moved), nearest)
        out = np.where((out == 0) & (nearest < np.iinfo(np.int32).max), nearest, out)
    return out


def filtered(labels, p):
    area = np.bincount(labels.ravel())
    drop = (area < p["minArea"]) | (area > p.get("maxArea", np.inf))
    if p["clearBorder"]:
        drop[np.unique(np.concatenate([labels[0], labels[-1], labels[:, 0], labels[:, -1]]))] = True
    return np.where(drop[labels], 0, labels).astype(np.int32)


def peaks(a, p):
    border = p["border"] if p["border"] > 0 else False
    found = feature.peak_local_max(a, min_distance=p["distance"], threshold_abs=p["threshold"], exclude_border=border)
    out = np.zeros(a.shape, np.int32)
    out[tuple(found.T)] = 1
    out[out > 0] = np.arange(1, len(found) + 1)
    return out


def split(mask, p):
    depth = ndi.distance_transform_edt(mask)
    found = feature.peak_local_max(depth, min_distance=p["distance"], threshold_abs=0, exclude_border=False)
    seeds = np.zeros(mask.shape, bool)
    seeds[tuple(found.T)] = True
    markers = ndi.label(seeds, np.ones((3, 3)))[0]
    out = segmentation.watershed(-depth, markers, connectivity=2, mask=mask.astype(bool)).astype(np.int32)
    # scikit-image loses an object whose peaks are all too close to a neighbour's; the op keeps it whole.
    objects = ndi.label(mask, np.ones((3, 3)))[0]
    lost = np.setdiff1d(np.unique(objects), np.unique(objects[(out > 0) | (mask == 0)]))
    for number, which in enumerate(lost, out.max() + 1):
        out[objects == which] = number
    return out


def geometry(a, name, p):
    if name == "crop":
        return a[p["y"] : p["y"] + p["height"], p["x"] : p["x"] + p["width"]]
    if name == "rotate":
        return np.rot90(a, int(p["turn"]) // 90)
    if name == "flip":
        return TURNS[p["axis"]](a)
    if name == "bin":
        f, (h, w) = p["factor"], a.shape
        sums = np.add.reduceat(np.add.reduceat(a.astype(np.float64), range(0, h, f), axis=0), range(0, w, f), axis=1)
        return (sums / np.outer(np.diff([*range(0, h, f), h]), np.diff([*range(0, w, f), w]))).astype(np.float32)
    shape = (p["height"], p["width"])
    if p["method"] == "bilinear":
        resized = skimage.transform.resize(a.astype(np.float64), shape, order=1, mode="edge", anti_aliasing=False, preserve_range=True)
    else:
        resized = cv2.resize(a.astype(np.float64), shape[::-1], interpolation=cv2.INTER_AREA)
    return resized


def bilateral(a, p):
    """By the definition in float64, neighbour by neighbour; OpenCV's, which looks weights up in a table, must be near."""
    a = a.astype(np.float32)
    radius = int(np.ceil(3 * p["sigma"]))
    padded = np.pad(a, radius, "symmetric").astype(np.float64)
    total, weights = np.zeros(a.shape), np.zeros(a.shape)
    for dy in range(-radius, radius + 1):
        for dx in range(-radius, radius + 1):
            if dy * dy + dx * dx > radius * radius:
                continue
            q = padded[radius + dy : radius + dy + a.shape[0], radius + dx : radius + dx + a.shape[1]]
            w = np.exp(-(dy * dy + dx * dx) / (2 * p["sigma"] ** 2) - (q - a) ** 2 / (2 * p["range"] ** 2))
            total += w * q
            weights += w
    out = (total / weights).astype(np.float32)
    assert np.abs(out - cv2.bilateralFilter(a, 2 * radius + 1, p["range"], p["sigma"], borderType=cv2.BORDER_REFLECT)).max() < 1e-3 * np.ptp(a)
    return out


def rolled(a, p):
    background = restoration.rolling_ball(a, radius=p["radius"])
    return a - background if p["gives"] == "corrected" else background


def shifted(a, p):
    mode = {"edge": "nearest", "zero": "constant"}[p["outside"]]
    return ndi.shift(a.astype(np.float64), (p["y"], p["x"]), order={"linear": 1, "cubic": 3}[p["spline"]], mode=mode)


def pixels(name, p):
    """The function on one plane, or None."""
    f = np.float32
    if name in MORPHOLOGY:
        return lambda a: MORPHOLOGY[name](a, footprint(p))
    return {
        "clip": lambda a: convert(np.clip(a.astype(np.float64), p["low"], p["high"]), a.dtype),
        "gamma": lambda a: gamma(a, p),
        "anscombe": lambda a: (2 * np.sqrt(np.maximum(a.astype(np.float64), 0) + 0.375)).astype(f),
        "invert": lambda a: skimage.util.invert(a),
        "normalize": lambda a: normalized(a, p),
        "equalize": lambda a: exposure.equalize_hist(a, 256).astype(f),
        "clahe": lambda a: cv2.createCLAHE(p["clip"], (p["tilesX"], p["tilesY"])).apply(a),
        "box": lambda a: ndi.uniform_filter(a.astype(np.float64), (p["height"], p["width"]), mode="reflect").astype(f),
        "median": lambda a: ndi.median_filter(a, 2 * p["radius"] + 1, mode="reflect"),
        "unsharp": lambda a: filters.unsharp_mask(a.astype(np.float64), p["sigma"], p["amount"], preserve_range=True).astype(f),
        "differenceOfGaussians": lambda a: filters.difference_of_gaussians(a.astype(np.float64), p["low"], p["high"], mode="reflect").astype(f),
        "laplaceOfGaussian": lambda a: ndi.gaussian_laplace(a.astype(np.float64), p["sigma"], mode="reflect").astype(f),
        "sobel": lambda a: filters.sobel(a.astype(np.float64), mode="reflect").astype(f),
        "bilateral": lambda a: bilateral(a, p),
        "rollingBall": lambda a: rolled(a, p),
        "skeletonize": lambda a: morphology.skeletonize(a > 0).astype(np.uint8),
        "fillHoles": lambda a: ndi.binary_fill_holes(a).astype(np.uint8),
        "distanceTransform": lambda a: ndi.distance_transform_edt(a).astype(f),
    }.get(name)


def apply(chain, name, p):
    """Carries out `name` on check_ops.Chain; raises KeyError for an op that it does not know."""
    if name == "step":
        chain.results[p["name"]] = chain.plane()
    elif name == "deviationProject":
        chain.tiles = [np.stack(s).astype(np.float64).std(0).astype(np.float32) for s in chain.tiles]
        chain.stacked, chain.image = False, chain.tiles
    elif name == "focusProject":
        chain.tiles, chain.sure = (list(x) for x in zip(*(best_focus(s, p["window"]) for s in chain.tiles)))
        chain.stacked, chain.image = False, chain.tiles
    elif name in ARITHMETIC:
        mine = [a.astype(np.float64) for a in chain.plane()]
        others = [b.astype(np.float64) for b in chain.results[p["image"]]] if "image" in p else [p["value"]] * len(mine)
        with np.errstate(all="ignore"):
            chain.tiles = [convert(ARITHMETIC[name](a, b), p["dtype"]) for a, b in zip(mine, others)]
    elif name in LEVELS:
        chain.threshold(LEVELS[name])
    elif name == "adaptiveThreshold":
        # By definition a threshold of each pixel; a hair's breadth beside it, rounding decides.
        planes = chain.plane()
        local = [filters.threshold_local(a.astype(np.float64), p["block"], p["method"], offset=p["offset"]) for a in planes]
        chain.unsure = [np.abs(a - t) < 1e-4 * np.ptp(a) for a, t in zip(planes, local)]
        chain.sure = [~u for u in chain.unsure]
        chain.tiles = [(a > t).astype(np.uint8) for a, t in zip(planes, local)]
    elif name in ("splitObjects", "findPeaks", "expandLabels", "filterLabels"):
        f = {"splitObjects": split, "findPeaks": peaks, "filterLabels": filtered}.get(name) or (lambda a, q: expanded(a, q["distance"]))
        chain.each(lambda a: f(a, p))
        chain.labels = chain.tiles
        chain.ties = chain.ties or name == "splitObjects"
        chain.unsure = chain.unsure or [np.zeros(a.shape, bool) for a in chain.tiles]
    elif name in ("resize", "translate"):
        dtype = chain.plane()[0].dtype
        chain.each(lambda a: shifted(a, p) if name == "translate" else geometry(a, name, p))
        if dtype.kind in "iu":  # a half is rounded either way, by the last bits of a float64
            chain.sure = [np.abs(a - np.floor(a) - 0.5) > (1e-4 if name == "translate" else 1e-9) for a in chain.tiles]
        chain.each(lambda a: convert(a, dtype))
        chain.image = chain.tiles
    elif name in GEOMETRY:
        chain.each(lambda a: np.ascontiguousarray(geometry(a, name, p)))
        if chain.labels is not None:
            chain.labels = chain.tiles
        elif chain.unsure is None:
            chain.image = chain.tiles
    else:
        chain.each(pixels(name, p) or {}[name])


def matched(got, want):
    """What is wrong with labels whose order of flooding the reference leaves open; None when nothing is."""
    if ((got > 0) != (want > 0)).any():
        return f"foreground differs in {((got > 0) != (want > 0)).sum()} pixels"
    count, expected = len(np.unique(got)) - 1, len(np.unique(want)) - 1
    if count != expected:
        return f"{count} objects instead of {expected}"
    pairs = np.unique(np.stack([got.ravel(), want.ravel()]), axis=1, return_counts=True)
    best = {}
    for (g, w), n in zip(pairs[0].T, pairs[1]):
        if g > 0:
            best[g] = max(best.get(g, 0), n)
    alike = sum(best.values()) / max(1, (got > 0).sum())
    return None if alike >= 0.98 else f"only {alike:.1%} of the foreground is in the same objects"

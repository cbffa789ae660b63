#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The same ops by OpenCV and scikit-image on one thread, on the images that `tilecast_ops_bench --write FOLDER` wrote.

    python bench/ops/opencv_bench.py FOLDER [--only NAME] [SIDE ...]

Prints a table with the row names of tilecast_ops_bench where the op is the same, Mpx/s of input pixels. See README.md for what differs.
"""

import pathlib
import statistics
import sys
import time

import cv2
import numpy as np
import scipy.ndimage as ndi
from skimage import exposure, feature, filters, morphology, restoration, segmentation
from skimage.filters import threshold_otsu
from skimage.measure import label, regionprops_table

cv2.setNumThreads(1)


def rate(call, pixels: int) -> float:
    """Median over about a quarter of a second of batches that take at least 5 ms, after two calls to warm up."""
    call()
    call()
    calls = 1
    while True:
        start = time.perf_counter()
        for _ in range(calls):
            call()
        if time.perf_counter() - start >= 0.005:
            break
        calls *= 2
    trials = []
    begin = time.perf_counter()
    while time.perf_counter() - begin < 0.25 or len(trials) < 5:
        start = time.perf_counter()
        for _ in range(calls):
            call()
        trials.append((time.perf_counter() - start) / calls)
    return pixels / statistics.median(trials) / 1e6


def ops(u16: np.ndarray):
    """(name, call) pairs; outputs are allocated once where OpenCV lets them be."""
    f32 = u16.astype(np.float32)
    u8 = cv2.convertScaleAbs(u16, alpha=1 / 16)
    field = np.linspace(0.8, 1.2, u16.size, dtype=np.float32).reshape(u16.shape)
    out, other = np.empty_like(f32), np.empty_like(f32)
    out16, out8 = np.empty_like(u16), np.empty_like(u8)
    half = (u16.shape[1] // 2, u16.shape[0] // 2)
    blur = dict(borderType=cv2.BORDER_REFLECT)
    smooth = cv2.GaussianBlur(f32, (13, 13), 1.5, **blur)
    level = float(threshold_otsu(smooth))
    mask = (smooth > level).astype(np.uint8)
    labels = label(mask, connectivity=2)
    low, high, _, _ = cv2.minMaxLoc(smooth)
    yield "gaussian 1.5 f32", lambda: cv2.GaussianBlur(f32, (13, 13), 1.5, dst=out, **blur)
    yield "gaussian 1.5 u16", lambda: cv2.GaussianBlur(u16, (13, 13), 1.5, dst=out16, **blur)
    yield "gaussian 1.5 u8", lambda: cv2.GaussianBlur(u8, (13, 13), 1.5, dst=out8, **blur)
    yield "gaussian 5 f32", lambda: cv2.GaussianBlur(f32, (41, 41), 5, dst=out, **blur)
    yield "gaussian 20 f32", lambda: cv2.GaussianBlur(f32, (161, 161), 20, dst=out, **blur)
    yield (
        "flat field u16",
        lambda: cv2.divide(cv2.subtract(u16, 100.0, dst=other, dtype=cv2.CV_32F), field, dst=out),
    )
    yield "subtract u16", lambda: cv2.subtract(u16, 100.0, dst=out, dtype=cv2.CV_32F)
    yield "rescale u16 -> u8", lambda: cv2.convertScaleAbs(u16, dst=out8, alpha=0.05, beta=-3)
    yield "range f32", lambda: cv2.minMaxLoc(smooth)
    yield "range u16", lambda: cv2.minMaxLoc(u16)
    yield (
        "otsu f32, range known",
        lambda: cv2.calcHist([smooth], [0], None, [256], [low, high]),
    )  # the histogram alone
    yield "otsu f32", lambda: threshold_otsu(smooth)  # scikit-image: OpenCV has none for float32
    yield "otsu u16", lambda: cv2.threshold(u16, 0, 65535, cv2.THRESH_BINARY | cv2.THRESH_OTSU, dst=out16)
    yield "otsu u8", lambda: cv2.threshold(u8, 0, 255, cv2.THRESH_BINARY | cv2.THRESH_OTSU, dst=out8)
    yield "percentile u16", lambda: np.percentile(u16, 50)
    yield "percentile f32", lambda: np.percentile(f32, 50)
    yield "threshold f32", lambda: cv2.threshold(smooth, level, 1, cv2.THRESH_BINARY, dst=out)
    yield "threshold u16", lambda: cv2.threshold(u16, level, 1, cv2.THRESH_BINARY, dst=out16)
    yield "label runs u8 mask", lambda: cv2.connectedComponents(mask, connectivity=8)
    yield "shapes", lambda: cv2.connectedComponentsWithStats(mask, connectivity=8)  # labels again, too
    yield (
        "shapes, all features",
        lambda: regionprops_table(
            labels, properties=("area", "centroid", "bbox", "perimeter", "eccentricity")
        ),
    )  # scikit-image
    yield (
        "intensity u16",
        lambda: regionprops_table(
            labels, u16, properties=("intensity_mean", "intensity_min", "intensity_max")
        ),
    )  # scikit-image
    yield "max projection u16", lambda: cv2.max(u16, out16, dst=out16)
    yield "sum projection u16", lambda: cv2.accumulate(u16, out)
    yield "halve mean u16", lambda: cv2.resize(u16, half, interpolation=cv2.INTER_AREA)
    yield "halve mean u8", lambda: cv2.resize(u8, half, interpolation=cv2.INTER_AREA)
    yield "halve mean f32", lambda: cv2.resize(f32, half, interpolation=cv2.INTER_AREA)
    yield (
        "block mean 16 u16",
        lambda: cv2.resize(u16, (u16.shape[1] // 16, u16.shape[0] // 16), interpolation=cv2.INTER_AREA),
    )
    square, disk5 = np.ones((21, 21), np.uint8), cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (21, 21))
    five = np.ones((5, 5), np.uint8)
    yield "erode 21 x 21 u16", lambda: cv2.erode(u16, square, dst=out16)
    yield "top-hat 21 x 21 u16", lambda: cv2.morphologyEx(u16, cv2.MORPH_TOPHAT, square, dst=out16)
    yield "top-hat 21 x 21 f32", lambda: cv2.morphologyEx(f32, cv2.MORPH_TOPHAT, square, dst=out)
    yield "top-hat disk 10 u16", lambda: cv2.morphologyEx(u16, cv2.MORPH_TOPHAT, disk5, dst=out16)
    yield "open 5 x 5 u8", lambda: cv2.morphologyEx(u8, cv2.MORPH_OPEN, five, dst=out8)
    yield "fill holes", lambda: ndi.binary_fill_holes(mask)  # scipy
    yield "median 3 x 3 u16", lambda: cv2.medianBlur(u16, 3, dst=out16)
    yield "median 5 x 5 u16", lambda: cv2.medianBlur(u16, 5, dst=out16)
    yield "median 3 x 3 u8", lambda: cv2.medianBlur(u8, 3, dst=out8)
    yield "median 5 x 5 f32", lambda: cv2.medianBlur(f32, 5, dst=out)
    yield "median radius 10 u16", lambda: ndi.median_filter(u16, 21)  # scipy: OpenCV has none
    yield "median radius 10 u8", lambda: cv2.medianBlur(u8, 21, dst=out8)
    yield "median radius 10 f32", lambda: ndi.median_filter(f32, 21)  # scipy
    yield "box 15 u16", lambda: cv2.boxFilter(u16, cv2.CV_32F, (15, 15), dst=out, **blur)
    yield "box 15 f32", lambda: cv2.boxFilter(f32, cv2.CV_32F, (15, 15), dst=out, **blur)
    clahe = cv2.createCLAHE(2, (8, 8))
    third = (u16.shape[1] * 2 // 3, u16.shape[0] * 2 // 3)
    yield "add u16 + u16", lambda: cv2.add(u16, u16, dst=out16)
    yield "divide f32 / f32", lambda: cv2.divide(f32, field, dst=out)
    yield "stretch u16 -> f32", lambda: np.clip((u16 - np.float32(200)) / np.float32(4800), 0, 1)  # numpy
    yield "gamma u16", lambda: exposure.adjust_gamma(u16, 0.5)  # scikit-image
    yield "histogram 256 u16", lambda: cv2.calcHist([u16], [0], None, [256], [0, 65536])
    yield "histogram 256 f32", lambda: cv2.calcHist([f32], [0], None, [256], [0, 65536])
    yield "equalize u16", lambda: exposure.equalize_hist(u16)  # scikit-image
    yield "clahe u8", lambda: clahe.apply(u8, out8)
    yield "clahe u16", lambda: clahe.apply(u16, out16)
    yield "sobel f32", lambda: filters.sobel(f32)  # scikit-image
    yield "unsharp 1.5 f32", lambda: cv2.addWeighted(f32, 2, cv2.GaussianBlur(f32, (13, 13), 1.5, **blur), -1, 0, dst=out)
    yield "laplacian of gaussian 1.5 f32", lambda: ndi.gaussian_laplace(f32, 1.5)  # scipy
    yield "triangle f32", lambda: filters.threshold_triangle(smooth)  # scikit-image, as the next two
    yield "yen f32", lambda: filters.threshold_yen(smooth)
    yield "li f32", lambda: filters.threshold_li(smooth)
    yield "adaptive mean 51 f32", lambda: smooth > cv2.boxFilter(smooth, -1, (51, 51), dst=out, **blur)
    yield "distance transform", lambda: cv2.distanceTransform(mask, cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
    yield "peaks f32", lambda: feature.peak_local_max(smooth, min_distance=5, threshold_abs=level)  # scikit-image

    def split() -> None:  # scikit-image
        depth = ndi.distance_transform_edt(mask)
        seeds = np.zeros(mask.shape, np.int32)
        at = feature.peak_local_max(depth, min_distance=5, exclude_border=False)
        seeds[tuple(at.T)] = np.arange(len(at)) + 1
        segmentation.watershed(-depth, seeds, mask=mask.astype(bool), connectivity=2)

    yield "split objects", split
    yield "expand labels 5", lambda: segmentation.expand_labels(labels, 5)  # scikit-image
    yield "filter labels", lambda: segmentation.clear_border(labels)  # scikit-image
    yield "focus score u16", lambda: cv2.Laplacian(u16, cv2.CV_64F).var()
    for radius, pixels in ((25, u8), (50, u8), (50, u16), (50, f32), (200, u16)):  # scikit-image, one thread; minutes at 200
        name = {"uint8": "u8", "uint16": "u16", "float32": "f32"}[str(pixels.dtype)]
        yield f"rolling ball {radius} {name}", lambda r=radius, a=pixels: a - restoration.rolling_ball(a, radius=r, workers=1)
    yield "bilateral 1 f32", lambda: cv2.bilateralFilter(f32, 7, 100, 1, dst=out, **blur)
    yield "bilateral 3 f32", lambda: cv2.bilateralFilter(f32, 19, 100, 3, dst=out, **blur)
    yield "translate, cubic u16", lambda: ndi.shift(u16, (0.3, -1.7), order=3, mode="nearest")  # scipy
    yield "translate, linear u16", lambda: ndi.shift(u16, (0.3, -1.7), order=1, mode="nearest")  # scipy
    yield "skeletonize", lambda: morphology.skeletonize(mask > 0)  # scikit-image
    yield "rotate 90 u16", lambda: cv2.rotate(u16, cv2.ROTATE_90_COUNTERCLOCKWISE, dst=out16)
    yield "resize 2 / 3 f32", lambda: cv2.resize(f32, third, interpolation=cv2.INTER_LINEAR)
    yield "resize area 2 / 3 f32", lambda: cv2.resize(f32, third, interpolation=cv2.INTER_AREA)


def main() -> None:
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    folder = pathlib.Path(sys.argv[1])
    only = ""
    if "--only" in sys.argv:
        at = sys.argv.index("--only")
        only = sys.argv[at + 1]
        del sys.argv[at : at + 2]
    sides = [int(side) for side in sys.argv[2:]] or [512, 1080, 2048]
    table: dict[str, list[float]] = {}
    for side in sides:
        image = np.fromfile(folder / f"nuclei-{side}.raw", np.uint16).reshape(side, side)
        for name, call in ops(image):
            if only not in name:
                continue
            table.setdefault(name, []).append(rate(call, image.size))
    print(f"| Mpx/s, one core, OpenCV {cv2.__version__} | " + " | ".join(str(side) for side in sides) + " |")
    print("| --- |" + " ---: |" * len(sides))
    for name, rates in table.items():
        print(
            f"| {name} | "
            + " | ".join(f"{value:.0f}" if value >= 10 else f"{value:.1f}" for value in rates)
            + " |"
        )


if __name__ == "__main__":
    main()

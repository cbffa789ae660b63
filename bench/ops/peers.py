# SPDX-License-Identifier: MIT
"""The peers of the ops benchmark: the same ops by OpenCV, by scikit-image (with scipy and numpy where those are what it calls) and by pyclesperanto.

    python peers.py opencv|skimage|clesperanto TASK.json

TASK: image (raw uint16), side, threads, seconds, only, list (only say which rows). Prints one line of JSON: Mpx/s of input pixels by row, with the row names of ops_bench.cc.
Threads run the same rows on images of their own, which these libraries can do at once since they let the interpreter's lock go.
"""

import json
import statistics
import sys
import threading
import time

import numpy as np


class Images:
    """What every row works on: uint16, float32 and uint8 of the scene, smoothed, its mask and labels."""

    def __init__(self, u16):
        from scipy import ndimage
        from skimage.filters import threshold_otsu
        from skimage.measure import label

        self.u16 = u16.copy()
        self.f32 = u16.astype(np.float32)
        self.u8 = np.clip(np.rint(u16 / 16), 0, 255).astype(np.uint8)
        self.field = np.linspace(0.8, 1.2, u16.size, dtype=np.float32).reshape(u16.shape)
        self.smooth = ndimage.gaussian_filter(self.f32, 1.5)
        self.level = float(threshold_otsu(self.smooth))
        self.mask = (self.smooth > self.level).astype(np.uint8)
        self.labels = label(self.mask, connectivity=2)


def opencv(i):
    """(name, call) pairs; outputs are allocated once where OpenCV lets them be."""
    import cv2

    cv2.setNumThreads(1)
    u16, f32, u8, field, smooth, level, mask = i.u16, i.f32, i.u8, i.field, i.smooth, i.level, i.mask
    out, other = np.empty_like(f32), np.empty_like(f32)
    out16, out8 = np.empty_like(u16), np.empty_like(u8)
    half = (u16.shape[1] // 2, u16.shape[0] // 2)
    third = (u16.shape[1] * 2 // 3, u16.shape[0] * 2 // 3)
    blur = dict(borderType=cv2.BORDER_REFLECT)
    low, high, _, _ = cv2.minMaxLoc(smooth)
    square, five = np.ones((21, 21), np.uint8), np.ones((5, 5), np.uint8)
    disk = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (21, 21))
    clahe = cv2.createCLAHE(2, (8, 8))
    gauss = lambda sigma, size, a, b: lambda: cv2.GaussianBlur(a, (size, size), sigma, dst=b, **blur)
    hist = lambda a, low, high: lambda: cv2.calcHist([a], [0], None, [256], [low, high])
    hat = lambda a, shape, b: lambda: cv2.morphologyEx(a, cv2.MORPH_TOPHAT, shape, dst=b)
    otsu = cv2.THRESH_BINARY | cv2.THRESH_OTSU
    area = lambda a, size: lambda: cv2.resize(a, size, interpolation=cv2.INTER_AREA)
    yield "gaussian 1.5 f32", gauss(1.5, 13, f32, out)
    yield "gaussian 1.5 u16", gauss(1.5, 13, u16, out16)
    yield "gaussian 1.5 u8", gauss(1.5, 13, u8, out8)
    yield "gaussian 5 f32", gauss(5, 41, f32, out)
    yield "gaussian 20 f32", gauss(20, 161, f32, out)
    yield (
        "flat field u16",
        lambda: cv2.divide(cv2.subtract(u16, 100.0, dst=other, dtype=cv2.CV_32F), field, dst=out),
    )
    yield "flat field f32", lambda: cv2.divide(cv2.subtract(f32, 100.0, dst=other), field, dst=out)
    yield "subtract u16", lambda: cv2.subtract(u16, 100.0, dst=out, dtype=cv2.CV_32F)
    yield "rescale u16 -> u8", lambda: cv2.convertScaleAbs(u16, dst=out8, alpha=0.05, beta=-3)
    yield "range f32", lambda: cv2.minMaxLoc(smooth)
    yield "range u16", lambda: cv2.minMaxLoc(u16)
    yield "otsu f32, range known", hist(smooth, low, high)  # the histogram alone
    yield "otsu u16", lambda: cv2.threshold(u16, 0, 65535, otsu, dst=out16)
    yield "otsu u8", lambda: cv2.threshold(u8, 0, 255, otsu, dst=out8)
    yield "threshold f32", lambda: cv2.threshold(smooth, level, 1, cv2.THRESH_BINARY, dst=out)
    yield "threshold u16", lambda: cv2.threshold(u16, level, 1, cv2.THRESH_BINARY, dst=out16)
    yield "label runs u8 mask", lambda: cv2.connectedComponents(mask, connectivity=8)
    yield "shapes", lambda: cv2.connectedComponentsWithStats(mask, connectivity=8)  # labels again, too
    yield "max projection u16", lambda: cv2.max(u16, out16, dst=out16)
    yield "sum projection u16", lambda: cv2.accumulate(u16, out)
    yield "halve mean u16", area(u16, half)
    yield "halve mean u8", area(u8, half)
    yield "halve mean f32", area(f32, half)
    yield "block mean 16 u16", area(u16, (u16.shape[1] // 16, u16.shape[0] // 16))
    yield "erode 21 x 21 u16", lambda: cv2.erode(u16, square, dst=out16)
    yield "top-hat 21 x 21 u16", hat(u16, square, out16)
    yield "top-hat 21 x 21 f32", hat(f32, square, out)
    yield "top-hat disk 10 u16", hat(u16, disk, out16)
    yield "open 5 x 5 u8", lambda: cv2.morphologyEx(u8, cv2.MORPH_OPEN, five, dst=out8)
    yield "median 3 x 3 u16", lambda: cv2.medianBlur(u16, 3, dst=out16)
    yield "median 5 x 5 u16", lambda: cv2.medianBlur(u16, 5, dst=out16)
    yield "median 3 x 3 u8", lambda: cv2.medianBlur(u8, 3, dst=out8)
    yield "median 5 x 5 f32", lambda: cv2.medianBlur(f32, 5, dst=out)
    yield "median radius 10 u8", lambda: cv2.medianBlur(u8, 21, dst=out8)
    yield "box 15 u16", lambda: cv2.boxFilter(u16, cv2.CV_32F, (15, 15), dst=out, **blur)
    yield "box 15 f32", lambda: cv2.boxFilter(f32, cv2.CV_32F, (15, 15), dst=out, **blur)
    yield "add u16 + u16", lambda: cv2.add(u16, u16, dst=out16)
    yield "divide f32 / f32", lambda: cv2.divide(f32, field, dst=out)
    yield "histogram 256 u16", hist(u16, 0, 65536)
    yield "histogram 256 f32", hist(f32, 0, 65536)
    yield "clahe u8", lambda: clahe.apply(u8, out8)
    yield "clahe u16", lambda: clahe.apply(u16, out16)
    yield "unsharp 1.5 f32", lambda: cv2.addWeighted(f32, 2, gauss(1.5, 13, f32, other)(), -1, 0, dst=out)
    yield "adaptive mean 51 f32", lambda: smooth > cv2.boxFilter(smooth, -1, (51, 51), dst=out, **blur)
    yield "distance transform", lambda: cv2.distanceTransform(mask, cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
    yield "focus score u16", lambda: cv2.Laplacian(u16, cv2.CV_64F).var()
    yield "bilateral 1 f32", lambda: cv2.bilateralFilter(f32, 7, 100, 1, dst=out, **blur)
    yield "bilateral 3 f32", lambda: cv2.bilateralFilter(f32, 19, 100, 3, dst=out, **blur)
    yield "rotate 90 u16", lambda: cv2.rotate(u16, cv2.ROTATE_90_COUNTERCLOCKWISE, dst=out16)
    yield "resize 2 / 3 f32", lambda: cv2.resize(f32, third, interpolation=cv2.INTER_LINEAR)
    yield "resize area 2 / 3 f32", area(f32, third)


def skimage(i):
    from scipy import ndimage
    from skimage import exposure, feature, filters, measure, morphology, restoration, segmentation, transform

    u16, f32, u8, field, smooth, level, mask, labels = (
        i.u16, i.f32, i.u8, i.field, i.smooth, i.level, i.mask, i.labels,
    )  # fmt: skip
    disk, square = morphology.disk(10), np.ones((21, 21), np.uint8)
    props = lambda names, *image: lambda: measure.regionprops_table(labels, *image, properties=names)
    yield "gaussian 1.5 f32", lambda: filters.gaussian(f32, 1.5, preserve_range=True)
    yield "gaussian 5 f32", lambda: filters.gaussian(f32, 5, preserve_range=True)
    yield "flat field u16", lambda: (u16 - np.float32(100)) / field  # numpy
    yield "flat field f32", lambda: (f32 - np.float32(100)) / field
    yield "subtract u16", lambda: u16 - np.float32(100)
    yield "otsu f32", lambda: filters.threshold_otsu(smooth)
    yield "otsu u16", lambda: filters.threshold_otsu(u16)
    yield "percentile u16", lambda: np.percentile(u16, 50)
    yield "percentile f32", lambda: np.percentile(f32, 50)
    yield "threshold f32", lambda: smooth > level
    yield "label runs u8 mask", lambda: measure.label(mask, connectivity=2)
    yield "shapes", props(("area", "centroid", "bbox"))
    yield "shapes, all features", props(("area", "centroid", "bbox", "perimeter", "eccentricity"))
    yield "intensity u16", props(("intensity_mean", "intensity_min", "intensity_max"), u16)
    yield "intensity f32", props(("intensity_mean", "intensity_min", "intensity_max"), f32)
    yield "halve mean f32", lambda: transform.downscale_local_mean(f32, (2, 2))
    yield "erode 21 x 21 u16", lambda: morphology.erosion(u16, square)
    yield "top-hat 21 x 21 u16", lambda: morphology.white_tophat(u16, square)
    yield "top-hat disk 10 u16", lambda: morphology.white_tophat(u16, disk)
    yield "open 5 x 5 u8", lambda: morphology.opening(u8, np.ones((5, 5), np.uint8))
    yield "fill holes", lambda: ndimage.binary_fill_holes(mask)
    yield "median 3 x 3 u16", lambda: ndimage.median_filter(u16, 3)
    yield "median 5 x 5 u16", lambda: ndimage.median_filter(u16, 5)
    yield "median radius 10 u16", lambda: ndimage.median_filter(u16, 21)
    yield "median radius 10 f32", lambda: ndimage.median_filter(f32, 21)
    yield "box 15 f32", lambda: ndimage.uniform_filter(f32, 15)
    yield "stretch u16 -> f32", lambda: exposure.rescale_intensity(u16, (200, 5000), (0.0, 1.0))
    yield "gamma u16", lambda: exposure.adjust_gamma(u16, 0.5)
    yield "histogram 256 u16", lambda: np.histogram(u16, 256, (0, 65536))
    yield "histogram 256 f32", lambda: np.histogram(f32, 256, (0, 65536))
    yield "equalize u16", lambda: exposure.equalize_hist(u16)
    yield "clahe u16", lambda: exposure.equalize_adapthist(u16)
    yield "sobel f32", lambda: filters.sobel(f32)
    yield "unsharp 1.5 f32", lambda: filters.unsharp_mask(f32, 1.5, 1, preserve_range=True)
    yield "laplacian of gaussian 1.5 f32", lambda: ndimage.gaussian_laplace(f32, 1.5)
    yield "triangle f32", lambda: filters.threshold_triangle(smooth)
    yield "yen f32", lambda: filters.threshold_yen(smooth)
    yield "li f32", lambda: filters.threshold_li(smooth)
    yield "adaptive mean 51 f32", lambda: smooth > filters.threshold_local(smooth, 51, "mean")
    yield "distance transform", lambda: ndimage.distance_transform_edt(mask)
    yield "peaks f32", lambda: feature.peak_local_max(smooth, min_distance=5, threshold_abs=level)

    def split():
        depth = ndimage.distance_transform_edt(mask)
        seeds = np.zeros(mask.shape, np.int32)
        at = feature.peak_local_max(depth, min_distance=5, exclude_border=False)
        seeds[tuple(at.T)] = np.arange(len(at)) + 1
        segmentation.watershed(-depth, seeds, mask=mask.astype(bool), connectivity=2)

    yield "split objects", split
    yield "expand labels 5", lambda: segmentation.expand_labels(labels, 5)
    yield "filter labels", lambda: segmentation.clear_border(labels)
    ball = lambda a, radius: lambda: a - restoration.rolling_ball(a, radius=radius, workers=1)
    yield "rolling ball 25 u8", ball(u8, 25)
    yield "rolling ball 50 u8", ball(u8, 50)
    yield "rolling ball 50 u16", ball(u16, 50)
    yield "rolling ball 50 f32", ball(f32, 50)
    yield "translate, cubic u16", lambda: ndimage.shift(u16, (0.3, -1.7), order=3, mode="nearest")
    yield "translate, linear u16", lambda: ndimage.shift(u16, (0.3, -1.7), order=1, mode="nearest")
    yield "skeletonize", lambda: morphology.skeletonize(mask > 0)
    yield "solidity", lambda: measure.regionprops_table(labels, properties=("area", "solidity"))

    def haralick():
        import mahotas

        scale = 32 / float(np.ptp(u16))
        for r in measure.regionprops(labels, u16):
            levels = 1 + np.minimum(31, (r.image_intensity - float(u16.min())) * scale).astype(np.uint8)
            try:
                mahotas.features.haralick(np.where(r.image, levels, 0), ignore_zeros=True, use_x_minus_y_variance=True)
            except ValueError:  # an object without pairs in a direction
                pass

    def colocalization():
        for r in measure.regionprops(labels, np.stack([u16, f32], -1)):
            a, b = r.image_intensity[r.image].T
            if len(a) > 1:
                measure.pearson_corr_coeff(a, b)
            measure.manders_overlap_coeff(a, b)
            measure.manders_coloc_coeff(a, b > b.max() * 0.15)
            measure.manders_coloc_coeff(b, a > a.max() * 0.15)

    def quartiles(own, pixels):
        return np.percentile(pixels[own], [25, 50, 75])

    yield "haralick 32 u16", haralick
    yield "spread u16", lambda: measure.regionprops_table(labels, u16, properties=("intensity_std",), extra_properties=(quartiles,))
    yield "colocalization u16", colocalization
    yield "plane quality u16", lambda: (u16.mean(), u16.std(), u16.min(), u16.max(), (u16 == 65535).mean())
    yield "plane sharpness u16", lambda: (ndimage.sobel(f32, 0) ** 2 + ndimage.sobel(f32, 1) ** 2).mean()
    yield "rotate 90 u16", lambda: np.ascontiguousarray(np.rot90(u16))
    yield "resize 2 / 3 f32", lambda: transform.resize(f32, [n * 2 // 3 for n in f32.shape], order=1)


def clesperanto(i):
    """On whatever OpenCL device it finds, images already on the device; a row ends when its result is there."""
    import pyclesperanto as cle

    f32, mask, smooth = cle.push(i.f32), cle.push(i.mask), cle.push(i.smooth)
    out = cle.create_like(f32)
    done = lambda call: lambda: (call(), cle.wait_for_kernel_to_finish())
    cle.wait_for_kernel_to_finish(True)
    yield "gaussian 1.5 f32", done(lambda: cle.gaussian_blur(f32, out, 1.5, 1.5, 0))
    yield "gaussian 5 f32", done(lambda: cle.gaussian_blur(f32, out, 5, 5, 0))
    yield "otsu f32", done(lambda: cle.threshold_otsu(smooth, out))
    yield "label runs u8 mask", done(lambda: cle.connected_component_labeling(mask))
    yield "sobel f32", done(lambda: cle.sobel(f32, out))
    yield "median 3 x 3 u16", done(lambda: cle.median_box(f32, out, 1, 1, 0))


def seconds_per_call(call, seconds):
    """Median of batches of at least 2 ms, after a call to warm up; one slow call is enough."""
    call()
    calls, took = 1, 0.0
    while True:
        start = time.perf_counter()
        for _ in range(calls):
            call()
        took = time.perf_counter() - start
        if took >= 0.002:
            break
        calls *= 2
    trials = [took / calls]
    begin = time.perf_counter()
    while time.perf_counter() - begin < seconds:
        start = time.perf_counter()
        for _ in range(calls):
            call()
        trials.append((time.perf_counter() - start) / calls)
    return statistics.median(trials)


def main():
    ops = {"opencv": opencv, "skimage": skimage, "clesperanto": clesperanto}[sys.argv[1]]
    with open(sys.argv[2]) as f:
        task = json.load(f)
    side, threads = task["side"], task["threads"]
    if task["list"]:  # which rows it has, by a small image
        names = [name for name, _ in ops(Images(np.arange(64 * 64, dtype=np.uint16).reshape(64, 64)))]
        return print(json.dumps([name for name in names if task["only"] in name]))
    image = np.fromfile(task["image"], np.uint16).reshape(side, side)
    together = threading.Barrier(threads)
    tables = [{} for _ in range(threads)]
    failures = []

    def measure(table):
        try:
            for name, call in ops(Images(image)):
                if task["only"] not in name:
                    continue
                together.wait()
                table[name] = image.size / seconds_per_call(call, task["seconds"]) / 1e6
        except BaseException as error:  # the others would wait for this thread
            failures.append(error)
            together.abort()

    workers = [threading.Thread(target=measure, args=(t,)) for t in tables]
    for w in workers:
        w.start()
    for w in workers:
        w.join()
    causes = [e for e in failures if not isinstance(e, threading.BrokenBarrierError)]
    if causes:
        raise causes[0]
    print(json.dumps({name: sum(t[name] for t in tables) for name in tables[0]}))


if __name__ == "__main__":
    main()

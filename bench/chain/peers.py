# SPDX-License-Identifier: MIT
"""The peers of the chain benchmark: the same chains op by op, on a plane that is in memory already.

    python peers.py opencv|skimage TASK.json

Prints one line of JSON: seconds a plane by chain. Threads work on planes of their own.
"""

import json
import statistics
import sys
import threading
import time

import numpy as np


def opencv(u16, field):
    import cv2

    cv2.setNumThreads(1)
    a, b = np.empty(u16.shape, np.float32), np.empty(u16.shape, np.float32)
    out = np.empty_like(u16)
    blur = dict(borderType=cv2.BORDER_REFLECT)

    def correct():
        cv2.divide(cv2.subtract(u16, 100.0, dst=a, dtype=cv2.CV_32F), field, dst=a)

    def to_u16(image):
        cv2.min(cv2.max(image, 0.0, dst=image), 6000.0, dst=image)
        return np.rint(image, out=image).astype(np.uint16, copy=False)

    def pointwise():
        correct()
        cv2.multiply(a, 1.5, dst=a)
        cv2.add(a, 10.0, dst=a)
        to_u16(a)

    def smooth():
        correct()
        cv2.GaussianBlur(a, (13, 13), 1.5, dst=b, **blur)
        cv2.subtract(b, 50.0, dst=b)
        to_u16(b)

    def standard():
        correct()
        cv2.GaussianBlur(a, (13, 13), 1.5, dst=b, **blur)
        low, high, _, _ = cv2.minMaxLoc(b)
        counts = cv2.calcHist([b], [0], None, [256], [low, high]).ravel()
        centres = np.linspace(low, high, 257)[:-1] + (high - low) / 512
        w1, w2 = np.cumsum(counts), np.cumsum(counts[::-1])[::-1]
        m1, m2 = np.cumsum(counts * centres) / w1, (np.cumsum((counts * centres)[::-1]) / w2[::-1])[::-1]
        level = centres[np.argmax(w1[:-1] * w2[1:] * (m1[:-1] - m2[1:]) ** 2)]
        mask = (b > level).view(np.uint8)
        n, labels, stats, centroids = cv2.connectedComponentsWithStats(mask, connectivity=8)
        np.bincount(labels.ravel(), weights=a.ravel(), minlength=n) / stats[:, cv2.CC_STAT_AREA]

    return {"point-wise": pointwise, "smooth": smooth, "standard": standard}


def skimage(u16, field):
    from skimage import exposure, filters, measure

    correct = lambda: (u16 - np.float32(100)) / field

    def pointwise():
        np.rint(np.clip(correct() * np.float32(1.5) + np.float32(10), 0, 6000)).astype(np.uint16)

    def smooth():
        image = filters.gaussian(correct(), 1.5, preserve_range=True) - np.float32(50)
        np.rint(np.clip(image, 0, 6000)).astype(np.uint16)

    def standard():
        corrected = correct()
        image = filters.gaussian(corrected, 1.5, preserve_range=True)
        labels = measure.label(image > filters.threshold_otsu(image), connectivity=2)
        measure.regionprops_table(labels, corrected, properties=("label", "area", "centroid", "intensity_mean"))

    return {"point-wise": pointwise, "smooth": smooth, "standard": standard}


def main():
    import tifffile

    with open(sys.argv[2]) as f:
        task = json.load(f)
    u16 = tifffile.imread(f"{task['folder']}/plane.tif")
    field = (0.8 + 0.0001 * (np.arange(u16.size) % 4096)).astype(np.float32).reshape(u16.shape)
    threads = task["cores"]
    chains = [{"opencv": opencv, "skimage": skimage}[sys.argv[1]](u16.copy(), field.copy()) for _ in range(threads)]
    results = {}
    for name in task["chains"]:
        together, took, failures = threading.Barrier(threads), [], []

        def work(call):
            try:
                call()
                together.wait()
                times, until = [], time.perf_counter() + task["seconds"]
                while len(times) < 3 or time.perf_counter() < until:
                    began = time.perf_counter()
                    call()
                    times.append(time.perf_counter() - began)
                took.append(statistics.median(times))
            except BaseException as error:
                failures.append(error)
                together.abort()

        workers = [threading.Thread(target=work, args=(c[name],)) for c in chains]
        for w in workers:
            w.start()
        for w in workers:
            w.join()
        if failures:
            raise failures[0]
        results[name] = {"s": 1 / sum(1 / t for t in took)}
    print(json.dumps(results))


if __name__ == "__main__":
    main()

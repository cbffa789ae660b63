#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Writes inputs and expected results for the CPU ops, computed by numpy, scipy, scikit-image and tensorstore.

    python scripts/make-ops-oracle.py OUT [FOLDER_OF_TIFFS]

OUT gets one raw file per array (native byte order, C order) and manifest.txt, one line per array or case:

    array NAME DTYPE HEIGHT WIDTH          the file NAME.raw
    case OP key=value ...                  values are array names or numbers

native/tests/ops_oracle_test.cc reads it from $TILECAST_OPS_ORACLE. Everything is seeded: the same versions give the same files.
"""

import pathlib
import sys

import numpy as np
import scipy.ndimage as ndi
import tensorstore as ts
from ops_oracle_catalogue import catalogue_cases, real_cases
from ops_oracle_registration import registration_cases
from skimage.filters import threshold_otsu
from skimage.measure import label, regionprops
from skimage.segmentation import clear_border

INTEGERS = ["uint8", "int8", "uint16", "int16", "uint32", "int32"]
DTYPES = INTEGERS + ["float32", "float64"]


class Oracle:
    def __init__(self, folder: pathlib.Path):
        folder.mkdir(parents=True, exist_ok=True)
        self.folder = folder
        self.lines: list[str] = []
        self.names: dict[int, tuple[str, np.ndarray]] = {}

    def array(self, a: np.ndarray) -> str:
        """The name of `a` in the manifest; the same object is written once."""
        if id(a) in self.names:
            return self.names[id(a)][0]
        name = f"a{len(self.names):04d}"
        self.names[id(a)] = (name, a)  # keeps `a` alive, so that its id stays its own
        table = np.atleast_2d(a)
        np.ascontiguousarray(table).tofile(self.folder / f"{name}.raw")
        self.lines.append(f"array {name} {table.dtype.name} {table.shape[0]} {table.shape[1]}")
        return name

    def case(self, op: str, **values) -> None:
        text = []
        for key, value in values.items():
            if isinstance(value, np.ndarray):
                value = self.array(value)
            elif isinstance(value, (float, np.floating)):
                value = repr(float(value))
            text.append(f"{key}={value}")
        self.lines.append(f"case {op} {' '.join(text)}")

    def close(self) -> None:
        (self.folder / "manifest.txt").write_text("\n".join(self.lines) + "\n")


def nuclei(rng: np.random.Generator, height: int, width: int, count: int) -> np.ndarray:
    """Ellipses of different size and brightness on an uneven background, with shot noise; float64, about 200..8000."""
    y, x = np.mgrid[0:height, 0:width].astype(float)
    image = 300 + 150 * np.sin(x / width * 3) + 100 * y / height
    for _ in range(count):
        cy, cx = rng.uniform(0, height), rng.uniform(0, width)
        a, b, turn = rng.uniform(3, 14), rng.uniform(3, 10), rng.uniform(0, np.pi)
        u = (x - cx) * np.cos(turn) + (y - cy) * np.sin(turn)
        v = -(x - cx) * np.sin(turn) + (y - cy) * np.cos(turn)
        image += rng.uniform(800, 4000) / (1 + np.exp(6 * (np.hypot(u / a, v / b) - 1)))
    return rng.poisson(image).astype(float)


def images(rng: np.random.Generator) -> dict[str, np.ndarray]:
    base = nuclei(rng, 211, 333, 40)
    out = {
        "nuclei-u16": base.astype(np.uint16),
        "nuclei-u8": np.clip(base / 16, 0, 255).astype(np.uint8),
        "nuclei-f32": (base / 7).astype(np.float32),
        "nuclei-f64": base / 7,
        "nuclei-i16": (base - 1000).astype(np.int16),
        "nuclei-square": nuclei(rng, 256, 256, 30).astype(np.uint16),
        "column": base[:, :1].astype(np.uint16),
        "row-f32": base[:1, :].astype(np.float32),
        "pixel": np.array([[7]], np.uint8),
        "pixel-f32": np.array([[7.25]], np.float32),
        "two": np.array([[3, 9]], np.uint16),
        "constant-f32": np.full((5, 9), 2.5, np.float32),
        # Values on bin edges, and ranges where edges are few ulp apart.
        "integers-f32": rng.integers(0, 1025, (64, 70)).astype(np.float32),
        "bytes-f32": rng.integers(0, 256, (64, 70)).astype(np.float32),
        "narrow-f32": (1000 + rng.random((60, 61)) * 0.05).astype(np.float32),
        "narrower-f32": (1000 + rng.random((60, 61)) * 0.017).astype(np.float32),
        "too-narrow-f32": (1000 + rng.random((60, 61)) * 0.01).astype(np.float32),
        "signed-f32": rng.normal(size=(65, 67)).astype(np.float32),
        "signed-f64": rng.normal(size=(65, 67)),
        "clipped-f32": np.clip(rng.normal(size=(100, 131)), -0.5, 1).astype(np.float32),
        "tiny-f32": (rng.random((40, 41)) * 1e-30).astype(np.float32),
        "huge-f32": (rng.random((40, 41)) * 1e19).astype(np.float32),
        "two-values-f32": np.where(rng.random((33, 34)) > 0.3, 1.5, -2.25).astype(np.float32),
    }
    for dtype in INTEGERS:
        info = np.iinfo(dtype)
        out[f"noise-{dtype}"] = rng.integers(info.min, info.max, (37, 53), dtype=dtype, endpoint=True)
    out["noise-float32"] = (rng.random((37, 53)) * 1000 - 300).astype(np.float32)
    out["noise-float64"] = rng.random((37, 53)) * 1000 - 300
    return out


def masks(rng: np.random.Generator) -> dict[str, np.ndarray]:
    spiral = np.zeros((61, 61), np.uint8)
    y = x = 30
    step, turn = 2, 0
    while True:
        dy, dx = [(0, 1), (1, 0), (0, -1), (-1, 0)][turn % 4]
        inside = True
        for _ in range(step):
            y, x = y + dy, x + dx
            inside = 0 <= y < 61 and 0 <= x < 61
            if not inside:
                break
            spiral[y, x] = 1
        if not inside:
            break
        turn += 1
        step += 2 if turn % 2 == 0 else 0
    comb = np.zeros((20, 130), np.uint8)
    comb[:, ::2] = 1
    comb[-1] = 1
    return {
        "dense": (rng.random((90, 200)) < 0.6).astype(np.uint8),
        "middle": (rng.random((90, 200)) < 0.4).astype(np.uint8),
        "sparse": (rng.random((90, 193)) < 0.1).astype(np.uint8),
        "blobs": (ndi.gaussian_filter(rng.normal(size=(300, 320)), 4) > 0.02).astype(np.uint8),
        "spiral": spiral,
        "comb": comb,
        "full": np.ones((7, 64), np.uint8),
        "empty": np.zeros((7, 65), np.uint8),
        "checker": (np.indices((16, 128)).sum(0) % 2).astype(np.uint8),
        "line": np.ones((1, 100), np.uint8),
        "wide": (ndi.gaussian_filter(rng.normal(size=(40, 700)), 3) > 0).astype(np.uint8),
    }


def downsample(image: np.ndarray, method: str) -> np.ndarray:
    return ts.downsample(ts.array(image), [2, 2], method).read().result()


def shapes(labels: np.ndarray) -> np.ndarray:
    rows = []
    for p in regionprops(labels):
        rows.append([p.label, p.area, *p.centroid, *p.bbox, p.perimeter, p.eccentricity])
    return np.array(rows, np.float64).reshape(-1, 10)


def intensities(labels: np.ndarray, image: np.ndarray) -> np.ndarray:
    rows = []
    for p in regionprops(labels, intensity_image=image.astype(np.float64)):
        values = p.image_intensity[p.image]
        rows.append([values.sum(), p.intensity_mean, p.intensity_min, p.intensity_max])
    return np.array(rows, np.float64).reshape(-1, 4)


def label_cases(o: Oracle, image: np.ndarray, value: float, intensity: np.ndarray | None) -> None:
    mask = image > (image.dtype.type(value) if image.dtype.kind == "f" else value)
    labels = label(mask, connectivity=2).astype(np.int32)
    o.case("label", input=image, value=value, out=labels)
    if labels.max() == 0:
        return
    areas = np.bincount(labels.ravel())
    low, high = int(np.median(areas[1:])), int(np.percentile(areas[1:], 90))
    for min_area, max_area, clear in [(low, high, 0), (0, high, 1), (low, 2**62, 1)]:
        kept = labels.copy()
        kept[(areas < min_area)[labels] | (areas > max_area)[labels]] = 0
        if clear:
            kept[clear_border(labels) == 0] = 0
        # Relabelling a filtered label image by raster order: objects stay apart, since touching ones were one object.
        kept = label(kept, connectivity=2).astype(np.int32)
        o.case("label", input=image, value=value, min_area=min_area, max_area=max_area, clear_border=clear, out=kept)
    if labels.max() <= 2000:
        o.case("shapes", labels=labels, out=shapes(labels))
    if intensity is not None:
        o.case("intensity", labels=labels, input=intensity, out=intensities(labels, intensity))


def rescaled(image: np.ndarray, scale: float, offset: float, dtype: str) -> np.ndarray:
    v = image.astype(np.float64) * scale + offset
    if np.dtype(dtype).kind == "f":
        return v.astype(dtype)
    info = np.iinfo(dtype)
    return np.clip(np.rint(np.nan_to_num(v, nan=0.0)), info.min, info.max).astype(dtype)


def image_cases(o: Oracle, rng: np.random.Generator, image: np.ndarray, sigmas: list[float]) -> None:
    o.case("range", input=image, min=image.min(), max=image.max())
    as_float = image.astype(np.float32)
    for sigma in sigmas:
        o.case("gaussian", input=image, sigma=sigma, out=ndi.gaussian_filter(as_float, sigma, mode="reflect", truncate=4.0))
    if image.dtype.itemsize <= 2 or image.dtype.kind == "f":
        try:
            o.case("otsu", input=image, threshold=threshold_otsu(image))
        except ValueError:
            o.case("otsu", input=image, threshold="error")
    for q in [0, 0.1, 12.5, 50, 63.21, 99.9, 100]:
        o.case("percentile", input=image, q=float(q), value=np.percentile(image.astype(np.float64), q))
    field = rng.uniform(0.5, 1.5, image.shape).astype(np.float32)
    o.case("flatfield", input=image, field=field, background=101.3, out=(as_float - np.float32(101.3)) / field)
    o.case("subtract", input=image, value=33.7, out=as_float - np.float32(33.7))
    middle = float(np.median(image.astype(np.float64)))
    for value in [middle, middle + 0.5, float(image.min()) - 1, float(image.max())]:
        limit = image.dtype.type(value) if image.dtype.kind == "f" else value
        compared = image if image.dtype.kind == "f" else image.astype(np.float64)
        o.case("threshold", input=image, value=value, out=(compared > limit).astype(np.uint8))
    if image.size > 1:
        o.case("halve_mean", input=image, out=downsample(image, "mean"))
        o.case("halve_stride", input=image, out=downsample(image, "stride"))
    for factor in [1, 3, 16]:
        h, w = image.shape
        ys, xs = np.arange(0, h, factor), np.arange(0, w, factor)
        total = np.add.reduceat(np.add.reduceat(image.astype(np.float64), ys, 0), xs, 1)
        count = np.outer(np.diff(np.append(ys, h)), np.diff(np.append(xs, w)))
        means = (total / count).astype(np.float32)
        o.case("block_mean", input=image, factor=factor, out=means)
        at = np.meshgrid((np.arange(h) + 0.5) / factor - 0.5, (np.arange(w) + 0.5) / factor - 0.5, indexing="ij")
        smooth = ndi.map_coordinates(means.astype(np.float64), at, order=1, mode="nearest").astype(np.float32)
        o.case("enlarge", input=means, factor=factor, out=smooth)


def projection_cases(o: Oracle, rng: np.random.Generator) -> None:
    for dtype in DTYPES:
        if np.dtype(dtype).kind == "f":
            stack = (rng.normal(size=(5, 19, 71)) * 1e5).astype(dtype)
        else:
            info = np.iinfo(dtype)
            stack = rng.integers(info.min, info.max, (5, 19, 71), dtype=dtype, endpoint=True)
        if stack.dtype.itemsize <= 2:
            total = stack.astype("uint32" if stack.dtype.kind == "u" else "int32").sum(0, dtype="uint32" if stack.dtype.kind == "u" else "int32")
        else:
            total = np.zeros(stack.shape[1:])
            for plane in stack:
                total += plane
        planes = {f"p{i}": np.ascontiguousarray(plane) for i, plane in enumerate(stack)}
        o.case("project", **planes, max=stack.max(0), sum=total, mean=(total.astype(np.float64) / 5).astype(np.float32))


def main() -> None:
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    o = Oracle(pathlib.Path(sys.argv[1]))
    rng = np.random.default_rng(20230221)
    for image in images(rng).values():
        image_cases(o, rng, image, [0.0, 0.1, 0.4, 1.0, 1.5, 4.0, 60.0])
    for name, image in images(np.random.default_rng(5)).items():
        if name.startswith("nuclei"):
            smooth = ndi.gaussian_filter(image.astype(np.float32), 1.5)
            o.case("otsu", input=smooth, threshold=threshold_otsu(smooth))
            label_cases(o, smooth, float(threshold_otsu(smooth)), image)
            label_cases(o, image, float(threshold_otsu(image)), image)
    for image in [rng.integers(-4, 5, (30, 31)).astype(d) for d in ["int8", "int32", "float64"]]:
        label_cases(o, image, 0.5, image)
    for mask in masks(rng).values():
        label_cases(o, mask, 0, None)
    # Labels that aren't components: gaps in the numbering, touching objects, objects in parts.
    patches = np.kron(rng.integers(0, 30, (12, 14)), np.ones((7, 11), int)).astype(np.int32)
    patches[patches == 17] = 3
    o.case("shapes", labels=patches, out=shapes(patches))
    for dtype in DTYPES:
        image = rescaled(rng.normal(size=patches.shape) * 1000, 1, 0, dtype)
        o.case("intensity", labels=patches, input=image, out=intensities(patches, image))
    values = np.concatenate([rng.normal(size=500) * 10.0**e for e in range(0, 11)] + [np.arange(-300, 300) / 2]).reshape(10, -1)
    with np.errstate(over="ignore"):
        for source in DTYPES:
            image = rescaled(values, 1, 0, source)
            for target in DTYPES:
                o.case("rescale", input=image, scale=1.0, offset=0.0, out=rescaled(image, 1.0, 0.0, target))
                o.case("rescale", input=image, scale=0.3, offset=-7.7, out=rescaled(image, 0.3, -7.7, target))
    projection_cases(o, rng)
    catalogue_cases(o, images(np.random.default_rng(11)), masks(np.random.default_rng(12)))
    registration_cases(o, np.random.default_rng(13))
    if len(sys.argv) > 2:
        import tifffile

        real = 0
        for path in sorted(pathlib.Path(sys.argv[2]).glob("**/*.tif*"))[:12]:
            image = tifffile.imread(path)
            if image.ndim != 2 or image.dtype.name not in DTYPES:
                continue
            image_cases(o, rng, image, [1.5])
            if real < 3:
                real_cases(o, rng, image)
                real += 1
            smooth = ndi.gaussian_filter(image.astype(np.float32), 1.5)
            o.case("otsu", input=smooth, threshold=threshold_otsu(smooth))
            label_cases(o, smooth, float(threshold_otsu(smooth)), image)
    o.close()
    print(f"{sum(line.startswith('case') for line in o.lines)} cases in {o.folder}")


if __name__ == "__main__":
    main()

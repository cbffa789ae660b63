# SPDX-License-Identifier: MIT
"""Computes what pipelines should give, op by op, with numpy, scipy and scikit-image, and compares it with tilecast's results; prints JSON.

Takes a JSON file: [{"name", "out", "ops": [[name, parameters]], "fields": {"A/1/0": {"0": [planes]}}}], where a plane is
{"path", "page", "z"}: per field and index on the c axis, what run() read. A chain is linear, without groups over sites or timepoints.
Integers must be equal, floats within 1e-5 relative, labels equal; a label pixel may differ where the smoothed image lies within a
hundredth of an Otsu bin of the threshold (float32 sums in another order), and such pixels are counted.
"""
import collections
import csv
import json
import pathlib
import sys
import warnings

import numpy as np
import op_catalogue
import scipy.ndimage as ndi
import skimage.filters
import skimage.measure
import skimage.segmentation
import tifffile
import zarr
from mahotas.features import texture
from op_catalogue import convert

warnings.filterwarnings("ignore")
CAST = {np.dtype(k): np.dtype(v) for k, v in dict(uint8="uint32", uint16="uint32", int8="int32", int16="int32").items()}


def illumination(planes, p):
    """The definition in lib/ops/table.ts: block means, median or mean over fields, Gaussian, bilinear enlargement, mean 1, floor 0.05."""
    f = p["shrink"]
    h, w = planes[0].shape

    def blocks(a):
        rows = np.add.reduceat(a.astype(np.float64), range(0, h, f), axis=0)
        sums = np.add.reduceat(rows, range(0, w, f), axis=1)
        counts = np.outer(np.diff([*range(0, h, f), h]), np.diff([*range(0, w, f), w]))
        return (sums / counts).astype(np.float32) - np.float32(p["background"])

    n = min(p["images"], len(planes))
    small = np.stack([blocks(planes[i * len(planes) // n]) for i in range(n)])
    statistic = (np.median if p["from"] == "median" else np.mean)(small, axis=0).astype(np.float32)
    smooth = ndi.gaussian_filter(statistic, p["sigma"] / f, mode="reflect", truncate=4)
    y, x = ((np.arange(n) + 0.5) / f - 0.5 for n in (h, w))
    large = ndi.map_coordinates(smooth.astype(np.float64), np.meshgrid(y, x, indexing="ij"), order=1, mode="nearest")
    return np.maximum(large / large.mean(), 0.05).astype(np.float32)


def otsu(a):
    return skimage.filters.threshold_otsu(a, nbins=256)


class Chain:
    """One channel of the plate on its way through the ops: a list of fields, each a stack until it is projected."""

    def __init__(self, stacks):
        self.tiles = stacks
        self.stacked = True
        self.image = None if len(stacks[0]) > 1 else [s[0] for s in stacks]
        self.labels = None
        self.unsure = None
        self.source = self.rows = None
        self.results = {}
        self.sure = None  # where an image's pixels are not decided by rounding
        self.ties = False  # labels whose reference leaves the order of flooding open

    def plane(self):
        if self.stacked:
            assert all(len(s) == 1 for s in self.tiles)
            self.tiles, self.stacked = [s[0] for s in self.tiles], False
        return self.tiles

    def each(self, function):
        self.tiles = [function(a) for a in self.plane()]

    def apply(self, name, p):
        if name in ("maxProject", "minProject", "meanProject", "sumProject"):
            f = {"max": lambda s: np.max(s, axis=0), "min": lambda s: np.min(s, axis=0), "mean": lambda s: np.mean(s, axis=0, dtype=np.float64).astype(np.float32)}
            f["sum"] = lambda s: np.sum(s, axis=0, dtype=CAST.get(s[0].dtype, np.float64))
            self.tiles, self.stacked = [f[name[:-7]](s) for s in self.tiles], False
            self.image = self.tiles
        elif name == "gaussian3d":
            smooth = lambda s: ndi.gaussian_filter(np.stack(s).astype(np.float32), (p["sigmaZ"], p["sigma"], p["sigma"]), mode="reflect")
            self.tiles = [list(smooth(s)) for s in self.tiles]
        elif name == "normalize" and p["over"] == "stack":
            self.tiles = [list(op_catalogue.normalized(np.stack(s), p)) for s in self.tiles]
        elif name == "flatField":
            field = tifffile.imread(p["image"]).astype(np.float32) if "image" in p else illumination(self.plane(), p)
            self.each(lambda a: (a.astype(np.float32) - np.float32(p["background"])) / field)
        elif name == "subtractBackground":
            level = (lambda a: p["value"]) if "value" in p else (lambda a: np.percentile(a, p["percentile"]))
            self.each(lambda a: a.astype(np.float32) - np.float32(level(a)))
        elif name == "gaussian":
            self.each(lambda a: ndi.gaussian_filter(a.astype(np.float32), p["sigma"], mode="reflect", truncate=4))
        elif name == "convert":
            self.each(lambda a: convert(a.astype(np.float64), p["dtype"]))
        elif name == "rescale":
            self.each(lambda a: convert(a.astype(np.float64) * p["scale"] + p["offset"], p["dtype"]))
        elif name in ("threshold", "otsu"):
            self.threshold(otsu if name == "otsu" else (lambda a: p["value"]), name == "otsu")
        elif name == "label":
            self.each(lambda mask: label(mask, p))
            self.labels = self.tiles
        elif name == "measure":
            self.rows = [measure(a, i, p) for a, i in zip(self.labels, self.image)]
        else:
            op_catalogue.apply(self, name, p)

    def threshold(self, level, found=True):
        self.source = self.plane()
        self.unsure = [np.zeros(a.shape, bool) for a in self.source]
        if found and self.source[0].dtype.kind == "f":
            self.unsure = [np.abs(a - level(a)) < 0.01 * np.ptp(a) / 256 for a in self.source]
        self.each(lambda a: (a > level(a)).astype(np.uint8))

    def written(self):
        """op.save's rule: a chain that labels writes what it read or its last projection gave, any other its last image."""
        return self.image if self.labels is not None else self.plane()


def label(mask, p):
    a = skimage.measure.label(mask, connectivity=2).astype(np.int32)
    area = np.bincount(a.ravel())
    drop = (area < p["minArea"]) | (area > p.get("maxArea", np.inf))
    if p["clearBorder"]:
        edge = np.concatenate([a[0], a[-1], a[:, 0], a[:, -1]])
        drop[np.unique(edge)] = True
    drop[0] = False
    a[drop[a]] = 0
    return skimage.segmentation.relabel_sequential(a)[0].astype(np.int32)


HARALICK = [
    "angular_second_moment", "contrast", "correlation", "variance", "inverse_difference_moment", "sum_average", "sum_variance", "sum_entropy",
    "entropy", "difference_variance", "difference_entropy", "information_1", "information_2",
]  # fmt: skip


def haralick(r, image, p):
    """mahotas' features of the object's own co-occurrences, mean of the directions that have any."""
    low, high = p.get("textureRange", (image.min(), image.max()))
    n = p["textureLevels"]
    scale = n / (float(high) - float(low)) if high > low else 0.0
    levels = 1 + np.clip(np.floor((r.image_intensity.astype(np.float64) - float(low)) * scale), 0, n - 1).astype(int)
    alone = np.pad(np.where(r.image, levels, 0), p["textureDistance"])
    found = [texture.cooccurence(alone, i, symmetric=True, distance=p["textureDistance"]) for i in range(4)]
    found = [c for c in found if c[1:, 1:].any()]
    if not found:
        return dict.fromkeys((f"texture_{name}" for name in HARALICK), np.nan)
    values = texture.haralick_features(found, ignore_zeros=True, use_x_minus_y_variance=True, return_mean=True)
    return {f"texture_{name}": v for name, v in zip(HARALICK, values)}


def measure(labels, image, p):
    out = []
    for r in skimage.measure.regionprops(labels, intensity_image=image):
        pixels = image[labels == r.label] if r.area < 2 else image[tuple(r.coords.T)]
        total = int(pixels.astype(np.int64).sum()) if image.dtype.kind in "ui" else float(pixels.astype(np.float64).sum())
        wide = pixels.astype(np.float64)
        q1, q2, q3 = np.percentile(wide, [25, 50, 75])
        spread = dict(std_intensity=wide.std(), lower_quartile_intensity=q1, median_intensity=q2, upper_quartile_intensity=q3)
        with np.errstate(divide="ignore"):
            form = np.float64(4 * np.pi * r.area) / np.float64(r.perimeter) ** 2
        shape = dict(major_axis_length=r.axis_major_length, minor_axis_length=r.axis_minor_length, equivalent_diameter=r.equivalent_diameter_area,
                     extent=r.extent, form_factor=form, solidity=r.solidity)  # fmt: skip
        if r.eccentricity > 1e-3:  # a round object points nowhere
            shape["orientation"] = r.orientation
        if "haralick" in p["features"]:
            shape |= haralick(r, image, p)
        out.append(
            spread | shape | dict(label=r.label, area=r.area, centroid_y=r.centroid[0], centroid_x=r.centroid[1], bbox_y0=r.bbox[0], bbox_x0=r.bbox[1],
                 bbox_y1=r.bbox[2], bbox_x1=r.bbox[3], integrated_intensity=total, mean_intensity=total / r.area,
                 max_intensity=pixels.max(), min_intensity=pixels.min(), perimeter=r.perimeter, eccentricity=r.eccentricity)
        )  # fmt: skip
    return out


def different(got, want, sure=None):
    if got.dtype != want.dtype or got.shape != want.shape:
        return f"{got.dtype}{got.shape} instead of {want.dtype}{want.shape}"
    if sure is not None:
        got, want = np.where(sure, got, 0), np.where(sure, want, 0)
    if want.dtype.kind != "f":
        return None if np.array_equal(got, want) else f"{(got != want).sum()} pixels differ"
    # Relative to the image's own size: a difference of two nearly equal numbers has no digits of its own.
    error = np.abs(got.astype(np.float64) - want).max() / max(np.abs(want).max(), 1e-30)
    return None if error <= 1e-5 else f"differs by {error:.3g} of the largest value"


def rows_different(got, want):
    if len(got) != len(want):
        return f"{len(got)} rows instead of {len(want)}"
    for g, w in zip(got, want):
        for key in g.keys() & w.keys():
            exact = isinstance(w[key], int) or getattr(w[key], "dtype", np.dtype("f8")).kind in "ui"
            value = float(g[key]) if g[key] != "" else np.nan
            # regionprops and mahotas sum in another order, and a root loses half the digits near 0.
            if key == "orientation":  # of an axis: half a turn is no difference
                value = float(w[key]) + (value - float(w[key]) + np.pi / 2) % np.pi - np.pi / 2
            rooted = key in ("eccentricity", "minor_axis_length", "orientation", "texture_correlation", "texture_information_2")
            close = abs(value - float(w[key])) <= (0 if exact else 1e-6 if rooted else 1e-9 * max(1, abs(float(w[key]))))
            if not (close or value == w[key] or (np.isnan(value) and np.isnan(w[key]))):
                return f"label {w['label']}: {key} is {g[key]} instead of {w[key]}"
    return None


def judge(case):
    out = pathlib.Path(case["out"])
    root = zarr.open_group(out / "plate.ome.zarr", mode="r")
    wrong, compared, unsure = [], 0, 0
    table = collections.defaultdict(list)
    if (out / "measurements.csv").exists():
        with open(out / "measurements.csv", newline="") as f:
            for row in csv.DictReader(f):
                table[row["well"], row["site"], row["channel"]].append(row)
    channels = collections.defaultdict(dict)
    for path, field in case["fields"].items():
        for c, planes in field.items():
            channels[int(c)][path] = planes
    for c, fields in channels.items():
        chain = Chain([[tifffile.imread(p["path"], key=p["page"]) for p in planes] for planes in fields.values()])
        for name, p in case["ops"]:
            chain.apply(name, p)
        for i, (path, planes) in enumerate(fields.items()):
            where = f"{case['name']}: {path} channel {c}"
            compared += 1
            difference = different(root[f"{path}/0"][c], chain.written()[i], chain.sure[i] if chain.sure else None)
            if difference:
                wrong.append(f"{where}: image {difference}")
            if chain.labels is not None:
                got, want = root[f"{path}/labels/objects/0"][c], chain.labels[i]
                if chain.ties:
                    difference = op_catalogue.matched(got, want)
                    if difference:
                        wrong.append(f"{where}: labels: {difference}")
                    continue
                if not np.array_equal(got, want):
                    odd = ((got > 0) != (want > 0)) & ~chain.unsure[i]
                    if odd.any() or not chain.unsure[i].any():
                        wrong.append(f"{where}: labels differ in {(got != want).sum()} pixels, foreground in {odd.sum()}")
                    unsure += 1
                    continue
            if chain.rows is not None:
                p = planes[0]
                difference = rows_different(table[p["well"], str(p["site"]), str(p["channel"])], chain.rows[i])
                if difference:
                    wrong.append(f"{where}: {difference}")
                compared += len(chain.rows[i])
    return {"name": case["name"], "wrong": wrong, "compared": compared, "unsure": unsure}


print(json.dumps([judge(case) for case in json.loads(pathlib.Path(sys.argv[1]).read_text())]))

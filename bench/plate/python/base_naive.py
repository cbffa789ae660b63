#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
# The peer that most lab scripts are: tifffile, scikit-image, pandas and ome-zarr-py in a plain loop.
"""Baseline 1: what most lab scripts do.  tifffile + scikit-image + pandas + ome-zarr-py, a plain loop in one process (or --workers N processes)."""

import os

for v in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
    os.environ.setdefault(v, "1")
import base_common as bc
import time
from concurrent.futures import ProcessPoolExecutor
import numpy as np, pandas as pd, tifffile, zarr
from skimage.filters import gaussian, threshold_otsu
from skimage.measure import label, regionprops_table
from ome_zarr.format import FormatV05
from ome_zarr.writer import write_image, write_labels, write_plate_metadata, write_well_metadata
from zarr.codecs import BloscCodec, ZstdCodec


def storage(a):
    c = {
        "blosc-lz4": [BloscCodec(cname="lz4", clevel=5, shuffle="shuffle")],
        "blosc-zstd": [BloscCodec(cname="zstd", clevel=3, shuffle="shuffle")],
        "zstd": [ZstdCodec(level=1)],
        "none": None,
    }[a.codec]
    return dict(chunks=(1, a.chunk, a.chunk), compressors=c)


def one_field(task):
    a, key, chans, il, allch, path = task
    well, site = key
    ph = dict(read=0.0, compute=0.0, write=0.0)
    P, L, tabs = None, None, []
    px = 0
    for c, paths in chans.items():
        t = time.perf_counter()
        stack = np.stack([tifffile.imread(p) for p in paths])
        px += stack.size
        ph["read"] += time.perf_counter() - t
        t = time.perf_counter()
        proj = stack.max(axis=0)
        corr = proj.astype(np.float32) - np.float32(a.background)
        if il[c] is not None:
            corr = corr / il[c]
        g = gaussian(corr, sigma=a.sigma, mode=a.mode, preserve_range=True)
        lab = label(g > threshold_otsu(g), connectivity=2)
        if P is None:
            P, L = (
                np.zeros((len(allch),) + proj.shape, proj.dtype),
                np.zeros((len(allch),) + proj.shape, np.int32),
            )
        k = allch.index(c)
        P[k], L[k] = proj, lab
        d = regionprops_table(
            lab,
            intensity_image=np.dstack([proj.astype(np.float64), corr.astype(np.float64)]),
            properties=("label", "area", "centroid", "bbox", "intensity_mean", "intensity_max"),
        )
        n = len(d["label"])
        tabs.append(
            pd.DataFrame(
                dict(
                    well=well,
                    site=site,
                    channel=c,
                    t=1,
                    label=d["label"],
                    area=d["area"].astype(int),
                    centroid_y=d["centroid-0"],
                    centroid_x=d["centroid-1"],
                    bbox_y0=d["bbox-0"],
                    bbox_x0=d["bbox-1"],
                    bbox_y1=d["bbox-2"],
                    bbox_x1=d["bbox-3"],
                    sum_raw=np.rint(d["intensity_mean-0"] * d["area"]).astype(np.int64),
                    mean_raw=d["intensity_mean-0"],
                    max_raw=d["intensity_max-0"].astype(np.int64),
                    sum_corr=d["intensity_mean-1"] * d["area"],
                    mean_corr=d["intensity_mean-1"],
                    max_corr=d["intensity_max-1"],
                )
            )
        )
        ph["compute"] += time.perf_counter() - t
    t = time.perf_counter()
    grp = zarr.open_group(os.path.join(a.out, "plate.zarr"), mode="a").require_group(path)
    sf = [2**i for i in range(1, a.levels)]
    write_image(P, grp, scale_factors=sf, axes="cyx", fmt=FormatV05(), storage_options=storage(a))
    write_labels(
        L,
        grp,
        name="objects",
        scale_factors=sf,
        scaler=None,
        axes="cyx",
        fmt=FormatV05(),
        storage_options=storage(a),
    )
    ph["write"] += time.perf_counter() - t
    return pd.concat(tabs), ph, px


def plate_groups(a, g):
    """plate and well groups with ome-zarr-py -> {(well, site): path}"""
    root = zarr.open_group(os.path.join(a.out, "plate.zarr"), mode="w", zarr_format=3)
    wells = sorted({w for w, _ in g})
    write_plate_metadata(
        root,
        sorted({w[:-2] for w in wells}),
        [str(c) for c in sorted({int(w[-2:]) for w in wells})],
        [f"{w[:-2]}/{int(w[-2:])}" for w in wells],
        fmt=FormatV05(),
    )
    path = {}
    for w in wells:
        ss = sorted(s for x, s in g if x == w)
        write_well_metadata(
            root.require_group(f"{w[:-2]}/{int(w[-2:])}"), [str(i) for i in range(len(ss))], fmt=FormatV05()
        )
        path.update({(w, s): bc.field_path(w, i) for i, s in enumerate(ss)})
    return path


def main():
    ap = bc.parser(__doc__)
    ap.add_argument("--levels", type=int, default=1)
    ap.set_defaults(workers=1)
    a = ap.parse_args()
    bc.clean(a)
    t0 = time.perf_counter()
    g, allch, il = bc.work(a)
    path = plate_groups(a, g)
    tasks = [(a, k, v, il, allch, path[k]) for k, v in g.items()]
    ex = ProcessPoolExecutor(a.workers) if a.workers > 1 else None
    res = list(ex.map(one_field, tasks) if ex else map(one_field, tasks))
    df = pd.concat([r[0] for r in res])
    df.to_csv(os.path.join(a.out, "objects.csv"), index=False)
    bc.finish(
        a,
        f"naive-{a.workers}p",
        g,
        t0,
        sum(r[2] for r in res),
        len(df),
        {k: sum(r[1][k] for r in res) for k in res[0][1]},
        dict(levels=a.levels),
    )


if __name__ == "__main__":
    main()

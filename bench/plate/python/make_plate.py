#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
# Generates the seeded plates that the plate benchmark runs over.
"""Generate a large, realistic, seeded ImageXpress-named plate with known truth.

<out>/plate/<date>/<id>/[TimePoint_k/][ZStep_k/]<name>_A01_s1_w1<GUID>.tif   the images (uint16)
<out>/illum/illum_w<c>.npy|.tif   float32 illumination, mean 1 (the vignette that was applied to channel c)
<out>/truth.json                  parameters; per well/site the object count and centroids (y, x), radii, in-focus z
pixel = Poisson(gain-free photons(signal * vignette)) + offset + Normal(0, read); clipped to uint16.
The same seed gives the same pixels whatever the codec, layout, byte order or number of jobs.
"""

import argparse, json, os, string, time, uuid
from concurrent.futures import ProcessPoolExecutor
import numpy as np
import tifffile


def plate_wells(n):
    rows, cols = {True: (8, 12), False: (16, 24)}[n <= 96]
    if n > 384:
        rows, cols = 32, 48
    names = list(string.ascii_uppercase) + ["A" + c for c in string.ascii_uppercase]
    return [f"{names[r]}{c + 1:02d}" for r in range(rows) for c in range(cols)][:n]


def vignette(h, w, c):
    y, x = np.mgrid[0:h, 0:w].astype(np.float32)
    cy, cx = h * (0.5 + 0.04 * c), w * (0.5 - 0.03 * c)
    r2 = ((y - cy) / (0.5 * h)) ** 2 + ((x - cx) / (0.5 * w)) ** 2
    v = 1.0 - 0.18 * r2
    return (v / v.mean(dtype=np.float64)).astype(np.float32)


def nuclei(rng, h, w, n, rmin, rmax):
    """dart throwing with a separation, so that truth counts are countable; returns y,x,ry,rx,angle,amp,z0"""
    pts = []
    cell = 2.0 * rmax * 1.35 + 4
    grid = {}
    tries = 0
    while len(pts) < n and tries < n * 60:
        tries += 1
        y, x = rng.uniform(rmax + 6, h - rmax - 6), rng.uniform(rmax + 6, w - rmax - 6)
        gy, gx = int(y // cell), int(x // cell)
        if any(
            (y - q[0]) ** 2 + (x - q[1]) ** 2 < cell * cell
            for a in (-1, 0, 1)
            for b in (-1, 0, 1)
            for q in grid.get((gy + a, gx + b), ())
        ):
            continue
        p = (
            y,
            x,
            rng.uniform(rmin, rmax),
            rng.uniform(rmin, rmax),
            rng.uniform(0, np.pi),
            rng.uniform(0.7, 1.3),
            rng.uniform(0, 1),
        )
        pts.append(p)
        grid.setdefault((gy, gx), []).append(p)
    return pts


def paint(h, w, pts, scale, sigma, amp):
    img = np.zeros((h, w), np.float32)
    for y, x, ry, rx, th, a, _ in pts:
        ry, rx = ry * scale, rx * scale
        R = int(max(ry, rx) + 4 * sigma + 2)
        y0, y1, x0, x1 = (
            max(0, int(y) - R),
            min(h, int(y) + R + 1),
            max(0, int(x) - R),
            min(w, int(x) + R + 1),
        )
        yy, xx = np.ogrid[y0:y1, x0:x1]
        dy, dx = (yy - y).astype(np.float32), (xx - x).astype(np.float32)
        c, s = np.float32(np.cos(th)), np.float32(np.sin(th))
        d = np.sqrt(((c * dy + s * dx) / ry) ** 2 + ((c * dx - s * dy) / rx) ** 2)
        edge = (d - 1) * (0.5 * (ry + rx)) / sigma  # signed distance from the rim in PSF sigmas
        img[y0:y1, x0:x1] += np.float32(amp * a) / (1 + np.exp(np.clip(1.702 * edge, -30, 30)))
    return img


def fname(a, well, site, c, guid):
    s = "" if (a.sites == 1 and a.omit_single) else f"_s{site}"
    w = "" if (a.channels == 1 and a.omit_single) else f"_w{c}"
    return f"{a.name}_{well}{s}{w}{guid}.tif"


def write(a, path, img):
    kw = {}
    if a.tile:
        kw["tile"] = (a.tile, a.tile)
    else:
        kw["rowsperstrip"] = a.rows_per_strip or img.shape[0]
    if a.compression != "none":
        kw["compression"] = {"deflate": "adobe_deflate", "lzw": "lzw", "zstd": "zstd"}[a.compression]
        if a.level is not None and a.compression != "lzw":
            kw["compressionargs"] = {"level": a.level}
        if a.predictor == 2:
            kw["predictor"] = 2
    tifffile.imwrite(
        path,
        img,
        byteorder={"little": "<", "big": ">"}[a.endian],
        bigtiff=a.bigtiff,
        metadata=None,
        photometric="minisblack",
        software=False,
        **kw,
    )
    return os.path.getsize(path)


def one(task):
    a, t, wi, well, site = task
    h, w = a.height, a.width
    geo = np.random.default_rng([a.seed, wi, site])
    n = int(geo.poisson(a.objects * h * w / 1e6 * geo.uniform(0.5, 1.5)))
    pts = nuclei(geo, h, w, n, a.rmin, a.rmax)
    base = os.path.join(a.out, "plate", a.date, a.plate_id)
    if a.times > 1:
        base = os.path.join(base, f"TimePoint_{t}")
    nbytes = 0
    for c in range(1, a.channels + 1):
        vig = vignette(h, w, c)
        scale = (1.0, 1.6, 0.5, 1.25, 0.8)[(c - 1) % 5]
        amp = a.signal * (1.0, 0.55, 0.8, 0.4, 0.7)[(c - 1) % 5]
        bg = a.background * (1.0, 1.6, 0.7, 1.2, 0.9)[(c - 1) % 5]
        for z in range(1, a.slices + 1):
            sig = a.psf if a.slices == 1 else a.psf * (1 + 3.0 * abs((z - 1) / (a.slices - 1) - 0.5))
            img = paint(h, w, pts, scale, sig, amp * a.psf / sig) + np.float32(bg)
            img *= vig
            rng = np.random.default_rng([a.seed, wi, site, c, z, t, 7])
            x = rng.poisson(img).astype(np.float32)
            x += np.float32(a.offset) + np.float32(a.read) * rng.standard_normal((h, w), dtype=np.float32)
            x = np.clip(np.rint(x), 0, 65535).astype(np.uint16)
            d = os.path.join(base, f"ZStep_{z}") if a.slices > 1 else base
            os.makedirs(d, exist_ok=True)
            g = str(uuid.UUID(bytes=rng.bytes(16), version=4)).upper()
            nbytes += write(a, os.path.join(d, fname(a, well, site, c, g)), x)
            if a.thumbs:
                tifffile.imwrite(
                    os.path.join(d, fname(a, well, site, c, "_thumb" + g)), x[::8, ::8].copy(), metadata=None
                )
    return (
        well,
        site,
        t,
        nbytes,
        [[round(p[0], 2), round(p[1], 2)] for p in pts],
        [[round(p[2], 2), round(p[3], 2)] for p in pts],
    )


def main():
    ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ap.add_argument("out")
    for n, d in dict(
        wells=96,
        sites=2,
        channels=2,
        slices=1,
        times=1,
        height=1080,
        width=1080,
        seed=1,
        jobs=os.cpu_count(),
        tile=0,
        rows_per_strip=8,
        predictor=1,
    ).items():
        ap.add_argument("--" + n.replace("_", "-"), type=int, default=d)
    for n, d in dict(
        objects=90.0, rmin=8.0, rmax=14.0, signal=1500.0, background=180.0, offset=100.0, read=3.0, psf=1.6
    ).items():
        ap.add_argument("--" + n, type=float, default=d)
    ap.add_argument("--compression", default="none", choices=["none", "deflate", "lzw", "zstd"])
    ap.add_argument("--level", type=int)
    ap.add_argument("--endian", default="little", choices=["little", "big"])
    ap.add_argument("--bigtiff", action="store_true")
    ap.add_argument("--thumbs", action="store_true")
    ap.add_argument(
        "--omit-single",
        action="store_true",
        help="drop _s1 / _w1 when there is one site / channel, as MetaXpress does",
    )
    ap.add_argument("--name", default="Synth")
    ap.add_argument("--date", default="2024-01-01")
    ap.add_argument("--plate-id", default="1001")
    a = ap.parse_args()
    if a.predictor not in (1, 2) or (a.predictor == 2 and a.compression == "none"):
        ap.error("predictor 1 or 2; 2 needs a compression")
    t0 = time.time()
    os.makedirs(os.path.join(a.out, "illum"), exist_ok=True)
    for c in range(1, a.channels + 1):
        v = vignette(a.height, a.width, c)
        np.save(os.path.join(a.out, "illum", f"illum_w{c}.npy"), v)
        tifffile.imwrite(os.path.join(a.out, "illum", f"illum_w{c}.tif"), v, metadata=None)
    tasks = [
        (a, t, wi, w, s)
        for t in range(1, a.times + 1)
        for wi, w in enumerate(plate_wells(a.wells))
        for s in range(1, a.sites + 1)
    ]
    with ProcessPoolExecutor(a.jobs) as ex:
        res = list(ex.map(one, tasks, chunksize=4))
    truth = dict(
        parameters={k: v for k, v in vars(a).items() if k not in ("out", "jobs")},
        fields={f"{w}_s{s}_t{t}": dict(count=len(c), centroids_yx=c, radii=r) for w, s, t, _, c, r in res},
    )
    with open(os.path.join(a.out, "truth.json"), "w") as fh:
        json.dump(truth, fh)
    px = a.wells * a.sites * a.channels * a.slices * a.times * a.height * a.width
    dt = time.time() - t0
    print(
        f"{len(tasks) * a.channels * a.slices} images, {px * 2 / 1e9:.3f} GB of pixels, {sum(r[3] for r in res) / 1e9:.3f} GB of files, "
        f"{sum(len(r[4]) for r in res)} objects, {dt:.1f} s, {px * 2 / 1e6 / dt:.0f} MB/s"
    )


if __name__ == "__main__":
    main()

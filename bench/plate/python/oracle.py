#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
# Computes the exact results that the programs of the plate benchmark are judged by (--verify).
"""Correctness oracle for whole-plate runs: numpy / scipy / scikit-image / tifffile only, no project code, no OpenCV.

Per (t, well, site, channel), in this order:
  P  proj   max over z of the decoded planes, in the source dtype (exact)
  F  corr   (float32(P) - background) / float32(illum); float32 throughout; background is a scalar, illum an image (default 1)
  G  gauss  scipy.ndimage.gaussian_filter(F, sigma, mode=MODE, truncate=4), float32 in and out
            (radius = int(4*sigma + 0.5) = 6 for 1.5; axis 0 then axis 1; float64 weights and sums, float32 between the passes)
            MODE reflect = d c b a | a b c d  (half-sample symmetric; OpenCV BORDER_REFLECT)    <- default
            MODE nearest = a a a a | a b c d  (OpenCV BORDER_REPLICATE)
  T  otsu   skimage.filters.threshold_otsu(G, nbins=256): 256 equal bins over min(G)..max(G) by numpy.histogram (float32 edges, half-open
            bins, the last one closed), first best bin of the between-class variance, T = its centre in float32; a constant image gives
            T = that value.  skimage sums the variance in float32; otsu_bin_f64 in fields.csv is the bin by float64 sums.
  M  mask   G > T (strict)
  L  labels 8-connected components of M, numbered 1.. in raster order of their first pixel (int32)
  objects   area; centroid = mean row, mean col (float64); bbox half-open; sum/mean/max over raw P (sum, max exact integers)
            and over F (sums in float64).  No size filter unless --min-area.
Output: files.csv (sha256 of each decoded plane: little-endian C-order bytes), fields.csv, objects.csv, manifest.json,
with --arrays also npz/<key>.npz (proj, corr, gauss, labels).  Key: <well>_s<site>_w<channel>_t<t>.
"""

import argparse, csv, hashlib, json, os, platform, sys, time
from concurrent.futures import ProcessPoolExecutor
import numpy as np, scipy, scipy.ndimage as ndi, skimage, tifffile
from skimage.filters import threshold_otsu
import platefiles


def sha(a):
    a = np.ascontiguousarray(a)
    return hashlib.sha256(a.astype(a.dtype.newbyteorder("<"), copy=False).tobytes()).hexdigest()


def decode(path):
    with tifffile.TiffFile(path) as t:
        if len(t.pages) != 1:
            raise ValueError(f"{path}: {len(t.pages)} pages")
        a = t.pages[0].asarray()
    if a.ndim != 2:
        raise ValueError(f"{path}: shape {a.shape}")
    return a.astype(a.dtype.newbyteorder("="), copy=False)


def otsu_detail(G):
    """threshold, its bin, bin width, relative gap to the second best bin (a tie -> ~0), best bin in float64.
    skimage sums the objective in float32, whose noise is near 1e-6: the float64 bin is recorded beside it"""
    T = threshold_otsu(G, nbins=256)
    h, e = np.histogram(G, bins=256)
    c = ((e[:-1] + e[1:]) / 2).astype(np.float64)
    h = h.astype(np.float64)
    w1, w2 = np.cumsum(h), np.cumsum(h[::-1])[::-1]
    with np.errstate(all="ignore"):
        m1, m2 = np.cumsum(h * c) / w1, (np.cumsum((h * c)[::-1]) / w2[::-1])[::-1]
        v = w1[:-1] * w2[1:] * (m1[:-1] - m2[1:]) ** 2
    v = np.nan_to_num(v)
    k = int(np.argmax(v))
    rest = np.delete(v, k)
    gap = float((v[k] - rest.max()) / v[k]) if v[k] > 0 else 0.0
    return float(T), int(np.argmin(np.abs(c - np.float64(T)))), float(e[1] - e[0]), gap, k


def canonical(L):
    """renumber in raster order of the first pixel"""
    u, first = np.unique(L, return_index=True)
    keep = u != 0
    u, first = u[keep], first[keep]
    lut = np.zeros(int(L.max()) + 1, np.int32)
    lut[u[np.argsort(first)]] = np.arange(1, len(u) + 1)
    return lut[L]


def measure(L, P, F):
    n = int(L.max())
    if n == 0:
        return []
    idx = np.arange(1, n + 1)
    area = np.bincount(L.ravel(), minlength=n + 1)[1:]
    ys, xs = np.nonzero(L)
    l = L[ys, xs]
    cy = np.bincount(l, weights=ys, minlength=n + 1)[1:] / area
    cx = np.bincount(l, weights=xs, minlength=n + 1)[1:] / area
    box = ndi.find_objects(L)
    isint = np.issubdtype(P.dtype, np.integer)
    sraw = np.zeros(n + 1, np.int64 if isint else np.float64)
    np.add.at(sraw, l, P[ys, xs].astype(sraw.dtype))
    mraw = ndi.maximum(P, L, idx)
    sf = np.bincount(l, weights=F[ys, xs].astype(np.float64), minlength=n + 1)[1:]
    mf = ndi.maximum(F, L, idx)
    return [
        dict(
            label=i + 1,
            area=int(area[i]),
            centroid_y=cy[i],
            centroid_x=cx[i],
            bbox_y0=box[i][0].start,
            bbox_x0=box[i][1].start,
            bbox_y1=box[i][0].stop,
            bbox_x1=box[i][1].stop,
            sum_raw=sraw[i + 1].item(),
            mean_raw=sraw[i + 1] / area[i],
            max_raw=np.asarray(mraw[i]).item(),
            sum_corr=sf[i],
            mean_corr=sf[i] / area[i],
            max_corr=float(mf[i]),
        )
        for i in range(n)
    ]


def crosscheck(key, paths, G, L, rows, mode, F, P):
    """second opinions: Pillow decode, skimage label + regionprops, direct float64 convolution"""
    from skimage.measure import label, regionprops
    from PIL import Image
    import warnings

    warnings.simplefilter("ignore")
    bad = []
    for p in paths:
        try:
            b = np.asarray(Image.open(p))
        except Exception:
            continue  # Pillow lacks the codec / layout
        if not np.array_equal(b, decode(p)):
            bad.append(f"Pillow differs {p}")
    L2 = canonical(label(L > 0, connectivity=2).astype(np.int32))
    if not np.array_equal(L, L2):
        bad.append("skimage.label differs")
    props = regionprops(L, intensity_image=P.astype(np.float64))
    for r, q in zip(rows, props):
        if (
            r["area"] != q.area
            or (r["bbox_y0"], r["bbox_x0"], r["bbox_y1"], r["bbox_x1"]) != q.bbox
            or abs(r["centroid_y"] - q.centroid[0]) > 1e-9
            or r["sum_raw"] != q.image_intensity.sum()
            or r["max_raw"] != q.intensity_max
        ):
            bad.append(f"regionprops differs label {r['label']}")
            break
    k = np.exp(-0.5 * (np.arange(-6, 7) / 1.5) ** 2)
    k /= k.sum()
    e = np.pad(F.astype(np.float64), 6, mode={"reflect": "symmetric", "nearest": "edge"}[mode])
    t = sum(k[i] * e[i : i + F.shape[0], :] for i in range(13))
    g = sum(k[i] * t[:, i : i + F.shape[1]] for i in range(13))
    return bad, float(np.max(np.abs(g - G) / np.maximum(np.abs(g), 1e-30)))


def one(task):
    key, paths, illum, a = task
    t, well, site, ch = key
    planes = [decode(p) for p in paths]
    files = [
        dict(
            path=os.path.relpath(p, a.root).replace(os.sep, "/"),
            well=well,
            site=site,
            channel=ch,
            t=t,
            shape="x".join(map(str, x.shape)),
            dtype=str(x.dtype),
            min=x.min().item(),
            max=x.max().item(),
            sum=int(x.sum(dtype=np.uint64)),
            sha256=sha(x),
        )
        for p, x in zip(paths, planes)
    ]
    P = planes[0]
    for x in planes[1:]:
        P = np.maximum(P, x)
    F = P.astype(np.float32)
    if a.background:
        F = F - np.float32(a.background)
    if illum is not None:
        F = F / illum
    assert F.dtype == np.float32
    G = ndi.gaussian_filter(F, a.sigma, mode=a.mode, truncate=4.0)
    T, k, width, gap, k64 = otsu_detail(G)
    M = G > np.float32(T)
    L, n = ndi.label(M, structure=np.ones((3, 3)))
    L = canonical(L.astype(np.int32))
    if a.min_area:
        area = np.bincount(L.ravel())
        area[0] = 0
        L = canonical(np.where(area[L] >= a.min_area, L, 0).astype(np.int32))
    rows = measure(L, P, F)
    name = f"{well}_s{site}_w{ch}_t{t}"
    f = dict(
        key=name,
        well=well,
        site=site,
        channel=ch,
        t=t,
        n_z=len(planes),
        height=P.shape[0],
        width=P.shape[1],
        dtype=str(P.dtype),
        proj_min=P.min().item(),
        proj_max=P.max().item(),
        proj_sum=int(P.sum(dtype=np.uint64)),
        proj_sha256=sha(P),
        corr_sha256=sha(F),
        gauss_min=float(G.min()),
        gauss_max=float(G.max()),
        gauss_sum=float(G.sum(dtype=np.float64)),
        otsu=T,
        otsu_bin=k,
        otsu_width=width,
        otsu_gap=gap,
        otsu_bin_f64=k64,
        mask_px=int((L > 0).sum()),
        objects=len(rows),
        labels_sha256=sha(L),
    )
    if a.arrays:
        np.savez(os.path.join(a.out, "npz", name + ".npz"), proj=P, corr=F, gauss=G, labels=L)
    bad, gerr = crosscheck(key, paths, G, L, rows, a.mode, F, P) if a.crosscheck else ([], None)
    return files, f, [dict(key=name, well=well, site=site, channel=ch, t=t, **r) for r in rows], bad, gerr


def load_illum(spec, ch):
    if not spec:
        return None
    p = spec.format(c=ch)
    a = np.load(p) if p.endswith(".npy") else tifffile.imread(p)
    return np.ascontiguousarray(a, dtype=np.float32)


def write_csv(path, rows):
    if rows:
        with open(path, "w", newline="") as fh:
            w = csv.DictWriter(fh, list(rows[0]))
            w.writeheader()
            w.writerows(rows)


def make_illum(fl, out, background, sigma):
    """a plain retrospective illumination image per channel: mean of the projections, smoothed, mean 1, floor 0.05"""
    acc = {}
    for (t, well, site, ch), paths in fl.items():
        P = decode(paths[0])
        for p in paths[1:]:
            P = np.maximum(P, decode(p))
        s = acc.setdefault(ch, [0, 0])
        s[0] = s[0] + P.astype(np.float64)
        s[1] += 1
    for ch, (s, n) in acc.items():
        m = ndi.gaussian_filter(s / n - background, sigma, mode="nearest")
        np.save(out.format(c=ch), np.maximum(m / m.mean(), 0.05).astype(np.float32))


def main():
    ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    platefiles.add_args(ap)
    ap.add_argument("--out", required=True)
    ap.add_argument("--illum", help="path pattern with {c}, .npy or .tif, e.g. illum_w{c}.npy")
    ap.add_argument(
        "--make-illum", metavar="PATTERN", help="only write illumination images (pattern with {c}) and stop"
    )
    ap.add_argument("--illum-sigma", type=float, default=50)
    ap.add_argument("--background", type=float, default=0.0)
    ap.add_argument("--sigma", type=float, default=1.5)
    ap.add_argument("--mode", default="reflect", choices=["reflect", "nearest"])
    ap.add_argument("--min-area", type=int, default=0)
    ap.add_argument("--arrays", action="store_true")
    ap.add_argument("--crosscheck", action="store_true")
    ap.add_argument("--summary", metavar="JSON", help="write a small expected-values file")
    ap.add_argument("--jobs", type=int, default=os.cpu_count())
    a = ap.parse_args()
    t0 = time.time()
    fl = platefiles.fields(platefiles.from_args(a), a.z_policy)
    if a.make_illum:
        return make_illum(fl, a.make_illum, a.background, a.illum_sigma)
    os.makedirs(os.path.join(a.out, "npz") if a.arrays else a.out, exist_ok=True)
    il = {c: load_illum(a.illum, c) for c in sorted({k[3] for k in fl})}
    tasks = [(k, p, il[k[3]], a) for k, p in fl.items()]
    with ProcessPoolExecutor(a.jobs) as ex:
        res = list(ex.map(one, tasks, chunksize=2))
    files, flds, objs = [x for r in res for x in r[0]], [r[1] for r in res], [x for r in res for x in r[2]]
    write_csv(os.path.join(a.out, "files.csv"), files)
    write_csv(os.path.join(a.out, "fields.csv"), flds)
    write_csv(os.path.join(a.out, "objects.csv"), objs)
    par = dict(
        sigma=a.sigma,
        mode=a.mode,
        background=a.background,
        illum=os.path.basename(a.illum) if a.illum else None,
        min_area=a.min_area,
        z_policy=a.z_policy,
        nbins=256,
        connectivity=8,
        order="max over z, flat-field, gaussian, otsu, label, measure",
    )
    ver = dict(
        python=platform.python_version(),
        numpy=np.__version__,
        scipy=scipy.__version__,
        skimage=skimage.__version__,
        tifffile=tifffile.__version__,
    )
    with open(os.path.join(a.out, "manifest.json"), "w") as fh:
        json.dump(
            dict(parameters=par, versions=ver, files=len(files), fields=len(flds), objects=len(objs)),
            fh,
            indent=1,
        )
    if a.summary:
        fk = [
            "key",
            "n_z",
            "height",
            "width",
            "dtype",
            "proj_min",
            "proj_max",
            "proj_sum",
            "proj_sha256",
            "otsu",
            "otsu_bin",
            "otsu_gap",
            "mask_px",
            "objects",
            "labels_sha256",
        ]
        lines = [
            "{",
            f' "parameters": {json.dumps(par)},',
            f' "versions": {json.dumps(ver)},',
            ' "files": [',
            ",\n".join(
                "  "
                + json.dumps({k: r[k] for k in ("path", "shape", "dtype", "min", "max", "sum", "sha256")})
                for r in files
            ),
            " ],",
            ' "fields": [',
            ",\n".join("  " + json.dumps({k: r[k] for k in fk}) for r in flds),
            " ]",
            "}",
        ]
        with open(a.summary, "w") as fh:
            fh.write("\n".join(lines) + "\n")
    ties = [f["key"] for f in flds if f["otsu_bin"] != f["otsu_bin_f64"] and f["otsu_gap"] > 0]
    if ties:
        print(
            f"note: skimage's float32 Otsu picks another bin than float64 in {len(ties)} fields: {', '.join(ties[:8])}"
        )
    bad = [(r[1]["key"], b) for r in res for b in r[3]]
    for b in bad:
        print("CROSSCHECK", *b)
    if a.crosscheck:
        print(
            f"crosscheck: {len(bad)} differences; gauss float32 vs direct float64 max rel {max(r[4] for r in res):.3g}"
        )
    print(f"{len(files)} files, {len(flds)} fields, {len(objs)} objects, {time.time() - t0:.1f} s")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())

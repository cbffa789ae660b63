#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
# Judges a program's OME-Zarr and table by an oracle folder.
"""Compare another program's OME-Zarr (0.4 / 0.5; HCS plate, or one plain image) and/or measurements CSV with an oracle folder.

Exit 0 when everything compared is within tolerance, else 1.  The last line is the verdict and the figures.
Conventions, all of which can be changed by options:
  field images: n-th entry of the well's `images` list = n-th site number of the oracle's well (--site-map 1=0,2=1)
  axes by name from the multiscales; c index = position in the sorted channel numbers of the whole oracle (--channel-order)
  z index of raw stacks = sorted z; t index = sorted t
  labels: <field>/labels/<name>, with a c axis, or one name per channel with {c} in --labels; any numbering
  CSV: the oracle's objects.csv columns (well, site, channel, t, area, ...); rename with --map area=Area,centroid_y=Y
Pixel checks need `oracle.py --arrays`; --image raw needs --plate ROOT.
Excuses (--excuse B): a label pixel that differs is excused if the oracle's |gauss - T| <= B Otsu bins: float32 rounding moves such
pixels.  Objects touched by an excused pixel are counted apart and compared only for presence.  Default 0: nothing is excused.
"""

import argparse, csv, os, re, sys
from collections import defaultdict
import numpy as np

INT = ["area", "bbox_y0", "bbox_x0", "bbox_y1", "bbox_x1", "sum_raw", "max_raw"]
FLT = ["mean_raw", "sum_corr", "mean_corr", "max_corr"]
CEN = ["centroid_y", "centroid_x"]


def rows(path):
    with open(path, newline="") as fh:
        return list(csv.DictReader(fh))


def ome(g):
    a = dict(g.attrs)
    return a.get("ome", a)


class Image:
    """level 0 of a multiscales group, indexed by (t, c) -> array z,y,x or y,x"""

    def __init__(self, group, errs, what):
        ms = ome(group)["multiscales"][0]
        self.axes = [x["name"] if isinstance(x, dict) else x for x in ms["axes"]]
        self.a = group[ms["datasets"][0]["path"]]
        if self.a.ndim != len(self.axes):
            errs.append(f"{what}: {self.a.ndim} dimensions, {len(self.axes)} axes")
        prev = None
        for d in ms["datasets"]:
            s = group[d["path"]].shape
            sc = next(
                (t["scale"] for t in d.get("coordinateTransformations", []) if t["type"] == "scale"), None
            )
            if sc is None or len(sc) != len(s):
                errs.append(f"{what}/{d['path']}: no scale transform of the right length")
            elif prev:
                for ax, n0, n1, s0, s1 in zip(self.axes, prev[0], s, prev[1], sc):
                    f = s1 / s0
                    if not (int(n0 / f) <= n1 <= -(-n0 // f)):
                        errs.append(f"{what}/{d['path']}: axis {ax} {n0} -> {n1} but the scale ratio is {f}")
            prev = (s, sc)

    def get(self, ti, ci):
        ix = tuple(ti if n == "t" else ci if n == "c" else slice(None) for n in self.axes)
        return np.asarray(self.a[ix])

    @property
    def has_c(self):
        return "c" in self.axes


def squeeze(a):
    return a[0] if a.ndim == 3 and a.shape[0] == 1 else a


def label_pairs(A, B):
    m = (A > 0) | (B > 0)
    k = A[m].astype(np.int64) * (int(B.max()) + 1) + B[m]
    u, n = np.unique(k, return_counts=True)
    return u // (int(B.max()) + 1), u % (int(B.max()) + 1), n


def compare_labels(A, B):
    """-> identical up to permutation, {oracle label: other label} with IoU >= .5, worst IoU of the matched, differing pixels"""
    pa, pb, n = label_pairs(A, B)
    same = bool((pa > 0).all() and (pb > 0).all() and len(set(pa)) == len(pa) and len(set(pb)) == len(pb))
    if same:
        return True, dict(zip(pa.tolist(), pb.tolist())), 1.0
    ca, cb = np.bincount(A.ravel()), np.bincount(B.ravel())
    iou = np.where((pa > 0) & (pb > 0), n / (ca[pa] + cb[pb] - n), 0)
    m = {int(x): int(y) for x, y, i in zip(pa, pb, iou) if i > 0.5}
    worst = min([float(i) for i in iou if i > 0.5], default=0.0)
    return False, m, worst


def main():
    ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ap.add_argument("oracle")
    ap.add_argument("--zarr")
    ap.add_argument("--csv")
    ap.add_argument(
        "--image",
        default="proj",
        choices=["raw", "proj", "corr", "gauss", "none"],
        help="what the field images hold",
    )
    ap.add_argument("--labels", help="label name, may hold {c}; default: the only one listed; 'none' to skip")
    ap.add_argument("--plate", help="plate root, for --image raw")
    ap.add_argument("--wells")
    ap.add_argument("--key", help="oracle key, for a plain image")
    ap.add_argument("--channel-order")
    ap.add_argument("--site-map")
    ap.add_argument("--map", default="")
    ap.add_argument("--rtol", type=float, default=1e-5, help="for float images and float measurements")
    ap.add_argument("--ctol", type=float, default=1e-4, help="centroids, pixels")
    ap.add_argument("--excuse", type=float, default=0.0)
    ap.add_argument("--table", help="write the object-by-object table here")
    ap.add_argument("--verbose", action="store_true")
    a = ap.parse_args()
    if not (a.zarr or a.csv):
        ap.error("nothing to compare")
    fl = rows(os.path.join(a.oracle, "fields.csv"))
    objs = defaultdict(list)
    op = os.path.join(a.oracle, "objects.csv")
    for r in rows(op) if os.path.exists(op) else []:
        objs[r["key"]].append(r)
    if a.wells:
        w = set(a.wells.split(","))
        fl = [f for f in fl if f["well"] in w]
    chans = (
        [int(c) for c in a.channel_order.split(",")]
        if a.channel_order
        else sorted({int(f["channel"]) for f in fl})
    )
    times = sorted({int(f["t"]) for f in fl})
    errs, st = [], defaultdict(int)
    worst = dict(img_abs=0.0, img_rel=0.0, rel=0.0, cen=0.0, iou=1.0)
    excused = {}  # key -> set of oracle labels not compared number by number
    idmap = {}  # key -> oracle label -> their label

    def err(s):
        errs.append(s)
        if a.verbose or len(errs) <= 20:
            print("DIFF", s)

    if a.zarr:
        import zarr

        root = zarr.open_group(a.zarr, mode="r")
        meta = ome(root)
        place = {}
        if "plate" in meta:
            for w in meta["plate"]["wells"]:
                well = re.sub(r"/", "", w["path"])
                r, c = w["path"].split("/")
                well = f"{r}{int(c):02d}"
                imgs = [i["path"] for i in ome(root[w["path"]])["well"]["images"]]
                sites = sorted({int(f["site"]) for f in fl if f["well"] == well})
                sm = (
                    dict((int(k), v) for k, v in (x.split("=") for x in a.site_map.split(",")))
                    if a.site_map
                    else dict(zip(sites, imgs))
                )
                if sites and len(imgs) != len(sites):
                    err(f"{well}: {len(imgs)} field images, {len(sites)} sites")
                place.update({(well, s): f"{w['path']}/{sm[s]}" for s in sites if s in sm})
        else:
            f = next(f for f in fl if f["key"] == a.key) if a.key else fl[0]
            fl = [g for g in fl if (g["well"], g["site"]) == (f["well"], f["site"])]
            place[(f["well"], int(f["site"]))] = ""
        files = rows(os.path.join(a.oracle, "files.csv")) if a.image == "raw" else []
        cache = {}
        for f in fl:
            key, well, site, ch, t = f["key"], f["well"], int(f["site"]), int(f["channel"]), int(f["t"])
            if (well, site) not in place:
                err(f"{key}: not in the zarr")
                continue
            gp = place[(well, site)]
            if gp not in cache:
                cache.clear()
                try:
                    g = root[gp] if gp else root
                    im = Image(g, errs, gp) if a.image != "none" else None
                except (KeyError, IndexError) as e:
                    err(f"{key}: {gp}: missing or malformed ({e!r})")
                    place.pop((well, site))
                    continue
                ln = []
                try:
                    ln = list(ome(g["labels"])["labels"])
                except KeyError:
                    pass
                cache[gp] = (g, im, ln, {})
            g, img, ln, lc = cache[gp]
            ti, ci = times.index(t), chans.index(ch)
            npz = os.path.join(a.oracle, "npz", key + ".npz")
            ref = np.load(npz) if os.path.exists(npz) else None
            if img is not None:
                st["images"] += 1
                x = img.get(ti, ci)
                if a.image == "raw":
                    from oracle import decode

                    want = np.stack(
                        [
                            decode(os.path.join(a.plate, r["path"]))
                            for r in files
                            if (r["well"], int(r["site"]), int(r["channel"]), int(r["t"]))
                            == (well, site, ch, t)
                        ]
                    )
                    x = x if x.ndim == 3 else x[None]
                    if want.shape[0] < x.shape[0] and not x[want.shape[0] :].any():
                        x = x[: want.shape[0]]  # ragged stacks padded with zeros
                elif ref is None:
                    raise SystemExit("this check needs `oracle.py --arrays`")
                else:
                    x, want = squeeze(x), ref[a.image]
                if x.shape != want.shape:
                    err(f"{key} image: shape {x.shape}, expected {want.shape}")
                elif np.issubdtype(want.dtype, np.integer):
                    if x.dtype != want.dtype:
                        err(f"{key} image: dtype {x.dtype}, expected {want.dtype}")
                    n = int((x != want).sum())
                    if n:
                        err(
                            f"{key} image: {n} of {want.size} pixels differ, max {np.abs(x.astype(np.int64) - want).max()}"
                        )
                    else:
                        st["images_exact"] += 1
                else:
                    d = np.abs(x.astype(np.float64) - want)
                    rel = d / np.maximum(np.abs(want), 1e-6 * np.abs(want).max())
                    worst["img_abs"], worst["img_rel"] = (
                        max(worst["img_abs"], d.max()),
                        max(worst["img_rel"], rel.max()),
                    )
                    if not np.isfinite(x).all() or rel.max() > a.rtol:
                        err(f"{key} image: max abs {d.max():.3g}, max rel {rel.max():.3g}")
                    else:
                        st["images_exact"] += int(d.max() == 0)
            if ln and a.labels != "none":
                name = a.labels.format(c=ch) if a.labels else ln[0] if len(ln) == 1 else None
                if name is None or name not in ln:
                    err(f"{key}: label {name} not among {ln}")
                    continue
                if ref is None:
                    raise SystemExit("this check needs `oracle.py --arrays`")
                if name not in lc:
                    try:
                        lc[name] = Image(g["labels"][name], errs, f"{gp}/labels/{name}")
                    except (KeyError, IndexError) as e:
                        err(f"{key}: {gp}/labels/{name}: missing or malformed ({e!r})")
                        continue
                B, A = squeeze(lc[name].get(ti, ci)), ref["labels"]
                st["label_fields"] += 1
                if B.shape != A.shape:
                    err(f"{key} labels: shape {B.shape}, expected {A.shape}")
                    continue
                same, m, iou = compare_labels(A, B)
                idmap[key] = m
                worst["iou"] = min(worst["iou"], iou)
                if same:
                    st["label_fields_same"] += 1
                    continue
                mm = np.zeros(int(A.max()) + 1, np.int64)
                for k, v in m.items():
                    mm[k] = v
                d = (mm[A] != B) | ((A > 0) & (mm[A] == 0))
                st["label_px_diff"] += int(d.sum())
                G, T, wd = ref["gauss"], float(f["otsu"]), float(f["otsu_width"])
                core = ((A > 0) != (B > 0)) & (np.abs(G - T) > a.excuse * wd)
                if a.excuse and not core.any():
                    import scipy.ndimage as ndi

                    near = ndi.binary_dilation((A > 0) != (B > 0), np.ones((3, 3)), iterations=2)
                    excused[key] = set(np.unique(A[near]).tolist()) - {0}
                    st["label_fields_excused"] += 1
                    st["objects_excused"] += len(excused[key])
                else:
                    err(
                        f"{key} labels: {int(d.sum())} pixels differ ({int(core.sum())} inexcusable), {len(m)} of {A.max()} objects matched, worst IoU {iou:.4f}"
                    )
    table = []
    if a.csv:
        mp = dict(x.split("=") for x in a.map.split(",") if x)
        theirs = defaultdict(list)
        for r in rows(a.csv):
            q = lambda n: r.get(mp.get(n, n))
            w = q("well")
            m = re.fullmatch(r"([A-Z]+)/?0*(\d+)", w)
            w = f"{m.group(1)}{int(m.group(2)):02d}"
            theirs[(w, int(q("site") or 1), int(q("channel") or 1), int(q("t") or 1))].append(
                {n: q(n) for n in ["label"] + INT + FLT + CEN if q(n) not in (None, "")}
            )
        have = set().union(*[set(r) for v in theirs.values() for r in v]) if theirs else set()
        st["columns_absent"] = len(set(INT + FLT + CEN) - have)
        if st["columns_absent"]:
            print("columns not in the CSV, not compared:", ", ".join(sorted(set(INT + FLT + CEN) - have)))
        for f in fl:
            key = f["key"]
            A = objs.get(key, [])
            B = theirs.get((f["well"], int(f["site"]), int(f["channel"]), int(f["t"])), [])
            st["objects"] += len(A)
            st["objects_theirs"] += len(B)
            byid = {int(r["label"]): r for r in B if "label" in r} if key in idmap else {}
            sig = defaultdict(list)
            for i, r in enumerate(B):
                if all(c in r for c in INT[:5]):
                    sig[tuple(int(float(r[c])) for c in INT[:5])].append(i)
            used, pairs, left = set(), [], []
            for r in A:
                i = None
                if byid:
                    o = byid.get(idmap[key].get(int(r["label"]), -1))
                    i = next((k for k, x in enumerate(B) if x is o), None) if o else None
                elif sig.get(tuple(int(r[c]) for c in INT[:5])):
                    i = sig[tuple(int(r[c]) for c in INT[:5])].pop()
                if i is None or i in used:
                    left.append(r)
                else:
                    used.add(i)
                    pairs.append((r, B[i]))
            if left and "centroid_y" in have:
                from scipy.spatial import cKDTree

                free = [i for i in range(len(B)) if i not in used]
                if free:
                    tr = cKDTree([[float(B[i][c]) for c in CEN] for i in free])
                    still = []
                    for r in left:
                        d, j = tr.query([float(r[c]) for c in CEN])
                        if d <= 3 and free[j] not in used:
                            used.add(free[j])
                            pairs.append((r, B[free[j]]))
                        else:
                            still.append(r)
                    left = still
            ex = excused.get(key, set())
            lost = [r for r in left if int(r["label"]) not in ex]
            extra = len(B) - len(used)
            if lost or (extra and not ex):
                err(f"{key}: {len(lost)} oracle objects missing, {extra} extra")
            for r, o in pairs:
                st["objects_matched"] += 1
                bad, dev = [], {}
                for c in INT + FLT + CEN:
                    if c not in o:
                        continue
                    x, y = float(r[c]), float(o[c])
                    dev[c] = y - x
                    if int(r["label"]) in ex:
                        continue
                    if c in INT:
                        if int(float(r[c])) != float(o[c]) if abs(x) < 2**53 else r[c] != o[c]:
                            bad.append(c)
                    elif c in CEN:
                        worst["cen"] = max(worst["cen"], abs(y - x))
                        if not abs(y - x) <= a.ctol:
                            bad.append(c)
                    else:
                        e = abs(y - x) / max(abs(x), 1e-30)
                        worst["rel"] = max(worst["rel"], e)
                        if not e <= a.rtol:
                            bad.append(c)
                if bad:
                    st["objects_bad"] += 1
                    err(f"{key} object {r['label']}: " + ", ".join(f"{c} {r[c]} -> {o[c]}" for c in bad))
                if a.table:
                    table.append(
                        dict(
                            key=key,
                            label=r["label"],
                            other_label=o.get("label", ""),
                            ok=int(not bad),
                            excused=int(int(r["label"]) in ex),
                            **{c: r[c] for c in INT + FLT + CEN},
                            **{"d_" + c: dev.get(c, "") for c in INT + FLT + CEN},
                        )
                    )
        known = {(f["well"], int(f["site"]), int(f["channel"]), int(f["t"])) for f in fl}
        for k in theirs:
            if k not in known and not a.wells:
                err(f"CSV has {len(theirs[k])} objects for {k}, which the oracle does not")
    if a.table and table:
        with open(a.table, "w", newline="") as fh:
            w = csv.DictWriter(fh, list(table[0]))
            w.writeheader()
            w.writerows(table)
    if len(errs) > 20 and not a.verbose:
        print(f"... {len(errs) - 20} more")
    for k in sorted(st):
        print(f"  {k} {st[k]}")
    fig = []
    if st["images"]:
        fig.append(
            f"images_exact={st['images_exact']}/{st['images']}"
            + (
                f" img_max_abs={worst['img_abs']:.3g} img_max_rel={worst['img_rel']:.3g}"
                if worst["img_abs"]
                else ""
            )
        )
    if st["label_fields"]:
        fig.append(
            f"labels_same={st['label_fields_same']}/{st['label_fields']} label_px_diff={st['label_px_diff']} worst_iou={worst['iou']:.4f}"
        )
    if a.csv:
        fig.append(
            f"objects_matched={st['objects_matched']}/{st['objects']} (theirs {st['objects_theirs']}) objects_bad={st['objects_bad']} max_rel={worst['rel']:.3g} centroid_max_abs={worst['cen']:.3g}"
        )
    if not st["images"] and not st["label_fields"] and not st["objects"]:
        errs.append("nothing was compared")
    print(("FAIL" if errs else "PASS"), *fig, f"differences={len(errs)}")
    return 1 if errs else 0


if __name__ == "__main__":
    sys.exit(main())

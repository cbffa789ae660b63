# SPDX-License-Identifier: MIT
# What the Python peers share: arguments, OME-Zarr metadata by hand, the clock.
"""What the baselines share: arguments, the output layout, the OME-Zarr 0.5 metadata written by hand, the clock.

Work definition (the same for all): read every TIFF of the plate -> max over z -> (x - background) / illum, float32 -> gaussian 1.5, float32
-> Otsu (256 bins) -> 8-connected labels -> per-object measurements on the raw projection and on the corrected image -> write
<out>/plate.zarr: OME-Zarr 0.5 HCS plate, per field image `0` (c, y, x) uint16 projection and labels/objects/0 (c, y, x) int32, chunks (1, 512, 512),
one codec; and <out>/objects.csv with the oracle's columns.  One resolution level unless --levels (naive only).
"""

import argparse, json, os, resource, shutil, time
import numpy as np
import platefiles

COLS = [
    "well",
    "site",
    "channel",
    "t",
    "label",
    "area",
    "centroid_y",
    "centroid_x",
    "bbox_y0",
    "bbox_x0",
    "bbox_y1",
    "bbox_x1",
    "sum_raw",
    "mean_raw",
    "max_raw",
    "sum_corr",
    "mean_corr",
    "max_corr",
]
T0 = time.perf_counter()


def parser(doc):
    ap = argparse.ArgumentParser(description=doc, formatter_class=argparse.RawDescriptionHelpFormatter)
    platefiles.add_args(ap)
    ap.add_argument("--out", required=True)
    ap.add_argument("--illum")
    ap.add_argument("--background", type=float, default=0.0)
    ap.add_argument("--sigma", type=float, default=1.5)
    ap.add_argument("--mode", default="reflect", choices=["reflect", "nearest"])
    ap.add_argument("--codec", default="blosc-lz4", choices=["blosc-lz4", "blosc-zstd", "zstd", "none"])
    ap.add_argument("--chunk", type=int, default=512)
    ap.add_argument("--workers", type=int, default=2)
    ap.add_argument("--json", help="append the result line to this file")
    return ap


def clean(a):
    """before the clock: an empty output folder"""
    if os.path.exists(a.out):
        shutil.rmtree(a.out)
    os.makedirs(a.out)


def work(a):
    """-> {(well, site): {channel: [paths]}}, channels, illum per channel"""
    fl = platefiles.fields(platefiles.from_args(a), a.z_policy)
    if {k[0] for k in fl} != {1}:
        raise SystemExit("the baselines do one time point")
    g = {}
    for (t, w, s, c), p in fl.items():
        g.setdefault((w, s), {})[c] = p
    ch = sorted({k[3] for k in fl})
    il = {
        c: (np.ascontiguousarray(np.load(a.illum.format(c=c)), np.float32) if a.illum else None) for c in ch
    }
    return g, ch, il


def dump(path, obj):
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "w") as fh:
        json.dump(obj, fh)


def grp(ome):
    return {"zarr_format": 3, "node_type": "group", "attributes": {"ome": {"version": "0.5", **ome}}}


def multiscales(name, label=False):
    o = {
        "multiscales": [
            {
                "name": name,
                "axes": [
                    {"name": "c", "type": "channel"},
                    {"name": "y", "type": "space"},
                    {"name": "x", "type": "space"},
                ],
                "datasets": [
                    {"path": "0", "coordinateTransformations": [{"type": "scale", "scale": [1.0, 1.0, 1.0]}]}
                ],
            }
        ]
    }
    if label:
        o["image-label"] = {"source": {"image": "../../"}}
    return grp(o)


def codecs(codec, itemsize):
    b = {"name": "bytes", "configuration": {"endian": "little"}}
    c = {
        "blosc-lz4": [
            {
                "name": "blosc",
                "configuration": {
                    "cname": "lz4",
                    "clevel": 5,
                    "shuffle": "shuffle",
                    "typesize": itemsize,
                    "blocksize": 0,
                },
            }
        ],
        "blosc-zstd": [
            {
                "name": "blosc",
                "configuration": {
                    "cname": "zstd",
                    "clevel": 3,
                    "shuffle": "shuffle",
                    "typesize": itemsize,
                    "blocksize": 0,
                },
            }
        ],
        "zstd": [{"name": "zstd", "configuration": {"level": 1, "checksum": False}}],
        "none": [],
    }[codec]
    return [b] + c


def array_meta(shape, dtype, chunk, codec, shard=False):
    """shard: the whole array is one shard file (zarr v3 sharding_indexed, index at the end), inner chunks as without"""
    k = [1, min(chunk, shape[1]), min(chunk, shape[2])]
    if shard:
        m = array_meta(shape, dtype, chunk, codec)
        m["chunk_grid"]["configuration"]["chunk_shape"] = [shape[0]] + [
            -(-n // c) * c for n, c in zip(shape[1:], k[1:])
        ]
        m["codecs"] = [
            {
                "name": "sharding_indexed",
                "configuration": {
                    "chunk_shape": k,
                    "codecs": m["codecs"],
                    "index_location": "end",
                    "index_codecs": [
                        {"name": "bytes", "configuration": {"endian": "little"}},
                        {"name": "crc32c"},
                    ],
                },
            }
        ]
        return m
    return {
        "zarr_format": 3,
        "node_type": "array",
        "shape": list(shape),
        "data_type": str(np.dtype(dtype)),
        "fill_value": 0,
        "chunk_grid": {
            "name": "regular",
            "configuration": {"chunk_shape": [1, min(chunk, shape[1]), min(chunk, shape[2])]},
        },
        "chunk_key_encoding": {"name": "default", "configuration": {"separator": "/"}},
        "codecs": codecs(codec, np.dtype(dtype).itemsize),
        "attributes": {},
        "dimension_names": ["c", "y", "x"],
    }


def field_path(well, i):
    return f"{well[:-2]}/{int(well[-2:])}/{i}"


def write_plate_meta(zroot, g):
    """plate, row, well, field and labels groups (not the arrays)"""
    wells = sorted({w for w, _ in g}, key=platefiles.well_key)
    rows, cols = sorted({w[:-2] for w in wells}), sorted({int(w[-2:]) for w in wells})
    ns = {w: sorted(s for x, s in g if x == w) for w in wells}
    dump(
        f"{zroot}/zarr.json",
        grp(
            {
                "plate": {
                    "name": "plate",
                    "rows": [{"name": r} for r in rows],
                    "columns": [{"name": str(c)} for c in cols],
                    "field_count": max(map(len, ns.values())),
                    "wells": [
                        {
                            "path": f"{w[:-2]}/{int(w[-2:])}",
                            "rowIndex": rows.index(w[:-2]),
                            "columnIndex": cols.index(int(w[-2:])),
                        }
                        for w in wells
                    ],
                }
            }
        ),
    )
    for r in rows:
        dump(f"{zroot}/{r}/zarr.json", {"zarr_format": 3, "node_type": "group", "attributes": {}})
    for w in wells:
        dump(
            f"{zroot}/{w[:-2]}/{int(w[-2:])}/zarr.json",
            grp({"well": {"images": [{"path": str(i)} for i in range(len(ns[w]))]}}),
        )
        for i in range(len(ns[w])):
            p = f"{zroot}/{field_path(w, i)}"
            dump(f"{p}/zarr.json", multiscales("image"))
            dump(f"{p}/labels/zarr.json", grp({"labels": ["objects"]}))
            dump(f"{p}/labels/objects/zarr.json", multiscales("objects", True))
    return {(w, s): field_path(w, i) for w in wells for i, s in enumerate(ns[w])}


def du(path):
    return sum(os.path.getsize(os.path.join(d, f)) for d, _, fs in os.walk(path) for f in fs)


def finish(a, name, g, started, px, nobj, phases=None, extra=None):
    t = time.perf_counter()
    inb = sum(os.path.getsize(p) for v in g.values() for ps in v.values() for p in ps)
    r = dict(
        name=name,
        run_s=round(t - started, 3),
        with_imports_s=round(t - T0, 3),
        fields=sum(len(v) for v in g.values()),
        planes=sum(len(p) for v in g.values() for p in v.values()),
        Mpx_in=round(px / 1e6, 2),
        Mpx_s=round(px / 1e6 / (t - started), 2),
        MB_in_pixels_s=round(2 * px / 1e6 / (t - started), 1),
        objects=nobj,
        in_MB=round(inb / 1e6, 1),
        out_MB=round(du(a.out) / 1e6, 1),
        maxrss_MB=round(
            max(
                resource.getrusage(resource.RUSAGE_SELF).ru_maxrss,
                resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss,
            )
            / 1024
        ),
        load1=round(os.getloadavg()[0], 2),
        codec=a.codec,
        workers=a.workers,
        phases={k: round(v, 3) for k, v in (phases or {}).items()},
        **(extra or {}),
    )
    line = json.dumps(r)
    print(line)
    if a.json:
        with open(a.json, "a") as fh:
            fh.write(line + "\n")

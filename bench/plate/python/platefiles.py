# SPDX-License-Identifier: MIT
# Lists the files of a plate by an explicit regular expression, without any of tilecast's code.
"""File listing for plates: an explicit regular expression, no project code.

A plate is a list of Entry(path, well, site, channel, z, t).  The regular expression is matched (fullmatch) against the
path relative to the plate root, with '/' separators, and must hold the named group `well`; `site`, `channel`, `z`, `t`
are optional.  Missing site/channel -> 1, missing t -> 1, missing z -> None (a single plane or a stored projection).
"""

import csv, os, re
from collections import namedtuple, defaultdict

Entry = namedtuple("Entry", "path rel well site channel z t")
GUID = r"[0-9A-Fa-f]{8}(?:-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}"

# z0: the value of z that means "stored projection", as None does.
PRESETS = {
    # MetaXpress database layout: [TimePoint_1/][ZStep_3/]plate_E07_s1_w1<GUID>.tif ; thumbs carry _thumb<GUID>
    "imagexpress": dict(
        regex=r"(?:(?!TimePoint_|ZStep_)[^/]+/)*(?:TimePoint_(?P<t>\d+)/)?(?:ZStep_(?P<z>\d+)/)?[^/]*_(?P<well>[A-Z]{1,2}\d{2})"
        r"(?:_s(?P<site>\d+?))?(?:_w(?P<channel>\d+?))?" + GUID + r"\.(?i:tif)",
        z0="0",
    ),
    # MetaXpress export: TimePoint_1/[ZStep_1/]9987_B02_s1_w1.TIF ; ZStep_0 holds stored projections
    "imagexpress-exported": dict(
        regex=r"(?:(?!TimePoint_|ZStep_)[^/]+/)*TimePoint_(?P<t>\d+)/(?:ZStep_(?P<z>\d+)/)?[^/]*_(?P<well>[A-Z]{1,2}\d{2})"
        r"(?:_s(?P<site>\d+))?(?:_w(?P<channel>\d+))?\.(?i:tif)",
        z0="0",
    ),
    # AS_09047_050428030001_O01f00d2.TIF
    "transfluor": dict(
        regex=r"[^/]*_(?P<well>[A-P]\d{2})f(?P<site>\d{2})d(?P<channel>\d)\.(?i:tif)", z0=None
    ),
    # Yokogawa CV8000: ..._D08_T0001F002L01A01Z04C01.tif
    "cv8000": dict(
        regex=r"(?:.*/)?[^/]*_(?P<well>[A-P]\d{2})_T(?P<t>\d{4})F(?P<site>\d{3})L\d{2}A\d{2}"
        r"Z(?P<z>\d{2})C(?P<channel>\d{2})\.(?i:tif)",
        z0=None,
    ),
}


def _int(s, d):
    return d if s is None else int(s)


def list_plate(root, regex, z0=None):
    rx = re.compile(regex)
    out = []
    for d, dirs, files in os.walk(root):
        dirs.sort()
        for f in sorted(files):
            if "_thumb" in f:
                continue
            p = os.path.join(d, f)
            rel = os.path.relpath(p, root).replace(os.sep, "/")
            m = rx.fullmatch(rel)
            if not m:
                continue
            g = m.groupdict()
            z = g.get("z")
            z = None if (z is None or (z0 is not None and int(z) == int(z0))) else int(z)
            out.append(
                Entry(
                    p,
                    rel,
                    g["well"],
                    _int(g.get("site"), 1),
                    _int(g.get("channel"), 1),
                    z,
                    _int(g.get("t"), 1),
                )
            )
    if not out:
        raise SystemExit(f"no file under {root} matches {regex}")
    return out


def list_csv(path, root=""):
    """CSV with the columns path,well[,site,channel,z,t]."""
    out = []
    with open(path, newline="") as fh:
        for r in csv.DictReader(fh):
            p = os.path.join(root, r["path"])
            z = r.get("z")
            out.append(
                Entry(
                    p,
                    r["path"],
                    r["well"],
                    int(r.get("site") or 1),
                    int(r.get("channel") or 1),
                    int(z) if z not in (None, "") else None,
                    int(r.get("t") or 1),
                )
            )
    return out


def add_args(ap):
    ap.add_argument("root", help="plate folder")
    ap.add_argument("--preset", default="imagexpress", choices=sorted(PRESETS))
    ap.add_argument(
        "--regex", help="overrides --preset; groups well, site, channel, z, t; on the path relative to root"
    )
    ap.add_argument("--list", dest="listing", help="CSV path,well,site,channel,z,t instead of a regex")
    ap.add_argument(
        "--z-policy",
        default="auto",
        choices=["auto", "stack", "proj"],
        help="auto: the z slices where there are any, else the stored plane; stack: slices only; proj: stored planes only",
    )
    ap.add_argument("--wells", help="comma-separated subset")
    ap.add_argument("--channels", help="comma-separated subset")
    ap.add_argument("--limit-wells", type=int, help="first N wells only")


def from_args(a):
    if a.listing:
        es = list_csv(a.listing, a.root)
    elif a.regex:
        es = list_plate(a.root, a.regex)
    else:
        es = list_plate(a.root, **PRESETS[a.preset])
    if a.wells:
        w = set(a.wells.split(","))
        es = [e for e in es if e.well in w]
    if a.channels:
        c = {int(x) for x in a.channels.split(",")}
        es = [e for e in es if e.channel in c]
    if a.limit_wells:
        w = set(sorted({e.well for e in es}, key=well_key)[: a.limit_wells])
        es = [e for e in es if e.well in w]
    return es


def well_key(w):
    m = re.fullmatch(r"([A-Z]+)(\d+)", w)
    return (len(m.group(1)), m.group(1), int(m.group(2)))


def fields(entries, z_policy="auto"):
    """-> ordered dict (t, well, site, channel) -> [paths in z order]"""
    g = defaultdict(list)
    for e in entries:
        g[(e.t, e.well, e.site, e.channel)].append(e)
    out = {}
    for k in sorted(g, key=lambda k: (k[0], well_key(k[1]), k[2], k[3])):
        st = sorted((e for e in g[k] if e.z is not None), key=lambda e: e.z)
        pr = [e for e in g[k] if e.z is None]
        use = {"auto": st or pr, "stack": st, "proj": pr}[z_policy]
        if not use:
            continue
        zs = [e.z for e in use]
        if len(set(zs)) != len(zs):
            raise SystemExit(f"two files for one plane: {k} {[e.rel for e in use]}")
        out[k] = [e.path for e in use]
    return out

#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
# The peer that a good Python engineer gets to: OpenCV, numba, imagecodecs and threads.
"""Baseline 2: as fast as a good Python engineer gets it.  imagecodecs/cv2 decode, OpenCV gaussian + connected components, numba (nogil) for
max projection + flat-field, histogram and the one-pass measurement, a thread pool (all these release the GIL), tensorstore or hand-written
chunks.  --numba 0 is the variant without numba (numpy and OpenCV only).

Rounding against the oracle: OpenCV's gaussian has a float32 kernel and float32 sums, so gauss differs by ~2e-7 relative and a pixel on the
threshold may flip; the histogram follows numpy.histogram exactly.
"""

import os

for v in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMBA_NUM_THREADS"):
    os.environ.setdefault(v, "1")
import base_common as bc
import struct, threading, time
from concurrent.futures import ThreadPoolExecutor, ProcessPoolExecutor
import numpy as np, cv2, imagecodecs, tifffile

cv2.setNumThreads(1)
try:
    import numba as nb
except ImportError:
    nb = None

TLS = threading.local()


def buf(name, shape, dt):
    """a thread-local array that is reused: fresh pages cost more than most of the kernels here"""
    b = TLS.__dict__.get(name)
    if b is None or b.dtype != dt or (b.shape != shape if name != "file" else b.size < shape[0]):
        b = TLS.__dict__[name] = np.empty(shape, dt)
    return b


# ---------------------------------------------------------------- read
def read_fast(path, out=None):
    """baseline TIFF, one page, grey, strips; anything else -> tifffile"""
    with open(path, "rb", buffering=0) as fh:
        n = os.fstat(fh.fileno()).st_size
        raw = buf("file", (max(n, 1 << 22),), np.uint8)
        b = memoryview(raw)[:n]
        fh.readinto(b)
    e = {b"II": "<", b"MM": ">"}.get(bytes(b[:2]))
    if e is None or struct.unpack_from(e + "H", b, 2)[0] != 42:
        return tifffile.imread(path)
    (off,) = struct.unpack_from(e + "I", b, 4)
    (n,) = struct.unpack_from(e + "H", b, off)
    tags = {}
    for i in range(n):
        o = off + 2 + 12 * i
        tag, ty, cnt = struct.unpack_from(e + "HHI", b, o)
        if ty in (3, 4) and tag in (256, 257, 258, 259, 273, 277, 278, 279, 317, 322, 339):
            sz = (2 if ty == 3 else 4) * cnt
            at = o + 8 if sz <= 4 else struct.unpack_from(e + "I", b, o + 8)[0]
            tags[tag] = np.frombuffer(b, e + ("u2" if ty == 3 else "u4"), cnt, at).astype(np.int64)
    w, h, bits, comp, pred = (
        int(tags.get(t, [d])[0]) for t, d in ((256, 0), (257, 0), (258, 1), (259, 1), (317, 1))
    )
    if (
        bits not in (8, 16)
        or int(tags.get(277, [1])[0]) != 1
        or 322 in tags
        or comp not in (1, 5, 8, 32946, 50000)
    ):
        return tifffile.imread(path)
    dt = np.dtype(e + f"u{bits // 8}")
    offs, cnts, rps = tags[273], tags[279], int(tags.get(278, [h])[0])
    if comp == 1 and (len(offs) == 1 or np.array_equal(offs[1:], offs[:-1] + cnts[:-1])):
        a = np.frombuffer(b, dt, w * h, int(offs[0])).reshape(h, w)
    elif e == "<" and comp in (8, 32946):
        a = out if out is not None and out.shape == (h, w) and out.dtype == dt else np.empty((h, w), dt)
        flat = a.reshape(-1).view(np.uint8)
        rb = rps * w * dt.itemsize
        for i in range(len(offs)):
            o = i * rb
            n = min(rb, flat.size - o)
            imagecodecs.deflate_decode(b[offs[i] : offs[i] + cnts[i]], out=flat[o : o + n])
    else:
        return tifffile.imread(path)
    if pred == 2:
        np.cumsum(a, axis=1, dtype=a.dtype, out=a)
    a = a.astype(dt.newbyteorder("="), copy=False)
    if out is not None and a is not out and out.shape == a.shape and out.dtype == a.dtype:
        np.copyto(out, a)
        return out
    return a.copy() if a.base is not None else a  # never a view of the reused file buffer


def read_cv(path, out=None):
    a = cv2.imread(path, cv2.IMREAD_UNCHANGED)
    return a if a is not None and a.ndim == 2 else tifffile.imread(path)


READ = {"tifffile": lambda p, out=None: tifffile.imread(p), "fast": read_fast, "cv2": read_cv}

# ---------------------------------------------------------------- compute
if nb:
    jit = nb.njit(nogil=True, cache=True, fastmath=False, boundscheck=False)

    @jit
    def corr_nb(P, bg, il, out):
        for i in range(P.size):
            out[i] = (np.float32(P[i]) - bg) / il[i]

    @jit
    def hist_nb(G, lo, hi, edges, h):
        norm = np.float64(256.0) / (np.float64(hi) - np.float64(lo))
        for i in range(G.size):
            x = G[i]
            k = int((np.float64(x) - np.float64(lo)) * norm)
            if k > 255:
                k = 255
            if x < edges[k]:
                k -= 1
            elif k != 255 and x >= edges[k + 1]:
                k += 1
            h[k] += 1

    @jit
    def measure_full(L, P, F, n):
        C = np.zeros((n + 1, 2), np.float64)
        I = np.zeros((n + 1, 7), np.int64)
        D = np.zeros((n + 1, 2), np.float64)
        H, W = L.shape
        for i in range(n + 1):
            I[i, 1] = H
            I[i, 2] = W
            D[i, 1] = -np.inf
        for y in range(H):
            for x in range(W):
                l = L[y, x]
                if l:
                    p = np.int64(P[y, x])
                    f = np.float64(F[y, x])
                    I[l, 0] += 1
                    I[l, 1] = min(I[l, 1], y)
                    I[l, 2] = min(I[l, 2], x)
                    I[l, 3] = max(I[l, 3], y)
                    I[l, 4] = max(I[l, 4], x)
                    I[l, 5] += p
                    I[l, 6] = max(I[l, 6], p)
                    D[l, 0] += f
                    D[l, 1] = max(D[l, 1], f)
                    C[l, 0] += y
                    C[l, 1] += x
        return I, D, C


def otsu_from_hist(h, edges):
    c = (edges[:-1] + edges[1:]) / 2
    w1, w2 = np.cumsum(h), np.cumsum(h[::-1])[::-1]
    with np.errstate(all="ignore"):
        m1, m2 = np.cumsum(h * c) / w1, (np.cumsum((h * c)[::-1]) / w2[::-1])[::-1]
        v = w1[:-1] * w2[1:] * (m1[:-1] - m2[1:]) ** 2
    return c[np.argmax(np.nan_to_num(v))]


def process(P, L, bg, il, a):
    """P: projection (in); L: int32 labels (out)"""
    F = buf("F", P.shape, np.float32)
    if nb and il is not None:
        corr_nb(np.ascontiguousarray(P).reshape(-1), np.float32(bg), il.reshape(-1), F.reshape(-1))
    else:
        np.subtract(P, np.float32(bg), out=F, dtype=np.float32)
        if il is not None:
            cv2.divide(F, il, dst=F)
    r = int(4 * a.sigma + 0.5)
    G = cv2.GaussianBlur(
        F,
        (2 * r + 1, 2 * r + 1),
        a.sigma,
        dst=buf("G", P.shape, np.float32),
        borderType={"reflect": cv2.BORDER_REFLECT, "nearest": cv2.BORDER_REPLICATE}[a.mode],
    )
    lo, hi, _, _ = cv2.minMaxLoc(G)
    lo, hi = np.float32(lo), np.float32(hi)
    if lo == hi:
        T = lo
    else:
        edges = np.linspace(lo, hi, 257, dtype=np.float32)
        if nb:
            h = np.zeros(256, np.int64)
            hist_nb(G.reshape(-1), lo, hi, edges, h)
        else:
            h = (
                cv2.calcHist([G], [0], None, [256], [float(lo), float(np.nextafter(hi, np.float32(np.inf)))])
                .ravel()
                .astype(np.int64)
            )
        T = otsu_from_hist(h, edges)
    M = cv2.compare(G, float(T), cv2.CMP_GT, dst=buf("M", P.shape, np.uint8))
    if nb:
        n, l = cv2.connectedComponents(M, labels=L, connectivity=8, ltype=cv2.CV_32S)
    else:
        n, l, st, cen = cv2.connectedComponentsWithStats(M, labels=L, connectivity=8, ltype=cv2.CV_32S)
    if l is not L and not np.shares_memory(l, L):
        np.copyto(L, l)
    if n <= 1:
        return np.zeros((0, 14))
    out = np.empty((n - 1, 14))
    out[:, 0] = np.arange(1, n)
    if nb:
        I, D, C = measure_full(L, P, F, n - 1)
        out[:, 1] = I[1:, 0]
        out[:, 2:4] = C[1:] / I[1:, :1]
        out[:, 4:6] = I[1:, 1:3]
        out[:, 6:8] = I[1:, 3:5] + 1
        out[:, 8], out[:, 10], out[:, 11], out[:, 13] = I[1:, 5], I[1:, 6], D[1:, 0], D[1:, 1]
    else:
        ix = np.flatnonzero(M)
        l = L.ravel()[ix]
        p, f = P.ravel()[ix], F.ravel()[ix]
        out[:, 1] = st[1:, cv2.CC_STAT_AREA]
        out[:, 2] = cen[1:, 1]
        out[:, 3] = cen[1:, 0]
        out[:, 4], out[:, 5] = st[1:, cv2.CC_STAT_TOP], st[1:, cv2.CC_STAT_LEFT]
        out[:, 6], out[:, 7] = out[:, 4] + st[1:, cv2.CC_STAT_HEIGHT], out[:, 5] + st[1:, cv2.CC_STAT_WIDTH]
        out[:, 8] = np.bincount(l, weights=p, minlength=n)[1:]
        out[:, 11] = np.bincount(l, weights=f, minlength=n)[1:]
        o = np.argsort(l, kind="stable")
        s = np.searchsorted(l[o], np.arange(1, n))
        out[:, 10] = np.maximum.reduceat(p[o], s)
        out[:, 13] = np.maximum.reduceat(f[o], s)
    out[:, 9] = out[:, 8] / out[:, 1]
    out[:, 12] = out[:, 11] / out[:, 1]
    return out


# ---------------------------------------------------------------- write
def encode(block, codec):
    if codec == "none":
        return block.tobytes()
    if codec == "zstd":
        return imagecodecs.zstd_encode(block.tobytes(), level=1)
    return imagecodecs.blosc_encode(
        block,
        level=5 if codec == "blosc-lz4" else 3,
        compressor=codec[6:],
        shuffle="shuffle",
        typesize=block.itemsize,
        numthreads=1,
        out=buf("enc", (block.nbytes + 64,), np.uint8),
    )


def write_raw(path, A, a):
    bc.dump(path + "/zarr.json", bc.array_meta(A.shape, A.dtype, a.chunk, a.codec, a.shard))
    cs = (min(a.chunk, A.shape[1]), min(a.chunk, A.shape[2]))
    ny, nx = -(-A.shape[1] // cs[0]), -(-A.shape[2] // cs[1])
    q = buf("chunk" + A.dtype.str, cs, A.dtype)
    if a.shard:
        import google_crc32c

        os.makedirs(path + "/c/0/0", exist_ok=True)
        index = np.empty((A.shape[0] * ny * nx, 2), "<u8")
        at = k = 0
        with open(path + "/c/0/0/0", "wb", buffering=1 << 20) as fh:
            for c in range(A.shape[0]):
                for i in range(ny):
                    for j in range(nx):
                        b = A[c, i * cs[0] : (i + 1) * cs[0], j * cs[1] : (j + 1) * cs[1]]
                        q[: b.shape[0], : b.shape[1]] = b
                        q[b.shape[0] :] = 0
                        q[:, b.shape[1] :] = 0
                        e = encode(q, a.codec)
                        fh.write(e)
                        index[k] = at, len(e)
                        at += len(e)
                        k += 1
            t = index.tobytes()
            fh.write(t + struct.pack("<I", google_crc32c.value(t)))
        return
    for c in range(A.shape[0]):
        for i in range(ny):
            d = f"{path}/c/{c}/{i}"
            os.makedirs(d, exist_ok=True)
            for j in range(nx):
                b = A[c, i * cs[0] : (i + 1) * cs[0], j * cs[1] : (j + 1) * cs[1]]
                q[: b.shape[0], : b.shape[1]] = b
                q[b.shape[0] :] = 0
                q[:, b.shape[1] :] = 0
                with open(f"{d}/{j}", "wb", buffering=0) as fh:
                    fh.write(encode(q, a.codec))


def write_ts(path, A, a):
    import tensorstore as ts

    m = bc.array_meta(A.shape, A.dtype, a.chunk, a.codec, a.shard)
    m.pop("attributes")
    s = ts.open(
        {
            "driver": "zarr3",
            "kvstore": {"driver": "file", "path": path + "/"},
            "metadata": m,
            "create": True,
            "delete_existing": False,
            "context": {
                "data_copy_concurrency": {"limit": 1},
                "file_io_concurrency": {"limit": 2},
                "file_io_sync": False,
            },
        }
    ).result()
    s.write(A).result()


# ---------------------------------------------------------------- run
def one_field(task):
    a, key, chans, il, allch, path = task
    rd, wr = READ[a.reader], {"raw": write_raw, "tensorstore": write_ts}[a.writer]
    ph = [0.0, 0.0, 0.0]
    tabs = []
    px = 0
    PP = None
    for c, paths in chans.items():
        t = time.perf_counter()
        k = allch.index(c)
        for i, p in enumerate(paths):
            if PP is None:
                x = rd(p)
                PP, LL = (
                    buf("PP", (len(allch),) + x.shape, x.dtype),
                    buf("LL", (len(allch),) + x.shape, np.int32),
                )
                if len(chans) < len(allch):
                    PP[:] = 0
                    LL[:] = 0
                np.copyto(PP[k], x)
            elif i == 0:
                x = rd(p, PP[k])
                if x is not PP[k]:
                    np.copyto(PP[k], x)
            else:
                x = rd(p, buf("Z", PP.shape[1:], PP.dtype))
                cv2.max(PP[k], x, dst=PP[k])
            px += x.size
        ph[0] += time.perf_counter() - t
        t = time.perf_counter()
        tabs.append((c, process(PP[k], LL[k], a.background, il[c], a)))
        ph[1] += time.perf_counter() - t
    t = time.perf_counter()
    d = os.path.join(a.out, "plate.zarr", path)
    wr(d + "/0", PP, a)
    wr(d + "/labels/objects/0", LL, a)
    well, site = key
    lines = []
    for c, tab in tabs:
        for r in tab.tolist():
            lines.append(
                f"{well},{site},{c},1,{r[0]:.0f},{r[1]:.0f},{r[2]!r},{r[3]!r},{r[4]:.0f},{r[5]:.0f},{r[6]:.0f},{r[7]:.0f},{r[8]:.0f},{r[9]!r},{r[10]:.0f},{r[11]!r},{r[12]!r},{r[13]!r}\n"
            )
    ph[2] += time.perf_counter() - t
    return "".join(lines), len(lines), ph, px


def main():
    global nb
    ap = bc.parser(__doc__)
    ap.add_argument("--reader", default="fast", choices=sorted(READ))
    ap.add_argument("--writer", default="tensorstore", choices=["tensorstore", "raw"])
    ap.add_argument("--pool", default="thread", choices=["thread", "process"])
    ap.add_argument("--numba", type=int, default=1)
    ap.add_argument("--shard", action="store_true", help="one shard file per array")
    a = ap.parse_args()
    if not a.numba:
        nb = None
    if nb:  # compile (cached on disk) outside the clock
        z = np.zeros((64, 64), np.uint16)
        z[8:20, 8:20] = 900
        process(z, np.empty((64, 64), np.int32), 0.0, np.ones((64, 64), np.float32), a)
        process(z.astype(np.uint8), np.empty((64, 64), np.int32), 0.0, np.ones((64, 64), np.float32), a)
    bc.clean(a)
    t0 = time.perf_counter()
    g, allch, il = bc.work(a)
    path = bc.write_plate_meta(os.path.join(a.out, "plate.zarr"), g)
    tasks = [(a, k, v, il, allch, path[k]) for k, v in g.items()]
    if a.workers > 1:
        with (ThreadPoolExecutor if a.pool == "thread" else ProcessPoolExecutor)(a.workers) as ex:
            res = list(ex.map(one_field, tasks, **({"chunksize": 4} if a.pool == "process" else {})))
    else:
        res = [one_field(t) for t in tasks]
    with open(os.path.join(a.out, "objects.csv"), "w") as fh:
        fh.write(",".join(bc.COLS) + "\n")
        fh.writelines(r[0] for r in res)
    bc.finish(
        a,
        f"tuned-{a.pool}-{a.workers}-{a.reader}-{a.writer}"
        + ("-shard" if a.shard else "")
        + ("" if a.numba else "-nonumba"),
        g,
        t0,
        sum(r[3] for r in res),
        sum(r[1] for r in res),
        dict(zip(("read", "compute", "write"), (sum(r[2][i] for r in res) for i in range(3)))),
    )


if __name__ == "__main__":
    main()

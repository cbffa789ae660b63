# SPDX-License-Identifier: MIT
"""Writes a matrix of small TIFF files with tifffile and imagecodecs, and their pixels as raw bytes, for native/tests/tiff_corpus_test.cc.

    python scripts/make-tiff-corpus.py FOLDER

manifest.tsv has a line a file: name, pages, samples, dtype, width, height, path ("fast" or "libtiff"). NAME.raw holds what
the reader must give: little-endian planes, page by page, sample by sample. Every file is read back with tifffile before it is
believed, so that two independent implementations agree on each expectation.
"""

import itertools
import struct
import sys
from pathlib import Path

import numpy as np
import tifffile
from PIL import Image

OUT = Path(sys.argv[1])
OUT.mkdir(parents=True, exist_ok=True)
RNG = np.random.default_rng(20230221)
MANIFEST = []


def scene(shape, dtype):
    """Noise on a gradient, with flat and saturated parts: long strings, long runs and incompressible stretches."""
    height, width = shape
    y, x = np.mgrid[0:height, 0:width]
    v = RNG.poisson(40 + 2.0 * x + y).astype(np.float64)
    v[: height // 4] = 7
    v[height // 2, :] = np.arange(width) % 5
    dtype = np.dtype(dtype)
    if dtype.kind == "f":
        return ((v - 50) * 1.37).astype(dtype)
    info = np.iinfo(dtype)
    if dtype.kind == "i":
        v = v - 60
    if dtype.itemsize > 1:
        v = v * 37
    if dtype.itemsize > 2:
        v = v * 4001
    v[-3:] = info.max
    v[-2:, : width // 2] = info.min
    return np.clip(v, info.min, info.max).astype(dtype)


def planes_of(array, pages, samples, planar):
    """[page, sample, y, x] of what was written."""
    a = array if pages > 1 else array[None]
    if samples == 1:
        return a[:, None]
    return a if planar else np.moveaxis(a, -1, 1)


def record(name, expected, path):
    pages, samples, height, width = expected.shape
    little = expected.astype(expected.dtype.newbyteorder("<"))
    (OUT / f"{name}.raw").write_bytes(np.ascontiguousarray(little).tobytes())
    MANIFEST.append("\t".join([f"{name}.tif", str(pages), str(samples), expected.dtype.name, str(width), str(height), path]))


def write(name, array, *, path="fast", pages=1, samples=1, planar=False, lossy=False, expected=None, **options):
    file = OUT / f"{name}.tif"
    options.setdefault("photometric", "rgb" if samples == 3 else "minisblack")
    if samples > 1:
        options["planarconfig"] = "separate" if planar else "contig"
    bigtiff = options.pop("bigtiff", False)
    byteorder = options.pop("byteorder", "<")
    with tifffile.TiffWriter(file, bigtiff=bigtiff, byteorder=byteorder) as tif:
        for page in array if pages > 1 else [array]:
            tif.write(page, metadata=None, **options)
    back = np.stack([p.asarray() for p in tifffile.TiffFile(file).pages]) if pages > 1 else tifffile.TiffFile(file).pages[0].asarray()
    if not lossy and not np.array_equal(back.reshape(array.shape), array, equal_nan=array.dtype.kind == "f"):
        raise SystemExit(f"{name}: tifffile does not read back what it wrote")
    if expected is None:
        expected = planes_of(back.reshape(array.shape), pages, samples, planar)
    record(name, expected, path)


LAYOUTS = {
    "strip1": {"rowsperstrip": 1},
    "strip8": {"rowsperstrip": 8},
    "whole": {"rowsperstrip": 4096},
    "tile": {"tile": (16, 32)},
}
CODECS = {"none": None, "packbits": "packbits", "lzw": "lzw", "deflate": "adobe_deflate", "olddeflate": "deflate", "zstd": "zstd"}

# Byte order x layout x compression x predictor x dtype.
for order, layout, codec, dtype in itertools.product("<>", LAYOUTS, CODECS, ["u1", "i1", "u2", "i2", "u4", "i4", "f4", "f8"]):
    predictors = [1]
    if codec in ("lzw", "deflate", "zstd"):
        predictors += [2] if dtype[0] != "f" else [3]
    for predictor in predictors:
        name = f"{'le' if order == '<' else 'be'}-{layout}-{codec}-p{predictor}-{dtype}"
        options = dict(LAYOUTS[layout], byteorder=order, compression=CODECS[codec])
        if predictor > 1:
            options["predictor"] = predictor
        write(name, scene((45, 37), dtype), **options)

# Samples: RGB and more, chunky and planar.
for planar, layout, codec, dtype, order in itertools.product([False, True], ["strip8", "tile"], ["none", "lzw", "deflate"], ["u1", "u2", "f4"], "<>"):
    planes = [scene((29, 41), dtype) for _ in range(3)]
    array = np.stack(planes, axis=0 if planar else -1)
    options = dict(LAYOUTS[layout], byteorder=order, compression=CODECS[codec])
    if codec != "none":
        options["predictor"] = 3 if dtype == "f4" else 2
    write(f"rgb-{'planar' if planar else 'chunky'}-{layout}-{codec}-{dtype}-{'le' if order == '<' else 'be'}", array, samples=3, planar=planar, **options)

for order, codec in itertools.product("<>", ["none", "lzw", "deflate", "zstd"]):
    end = "le" if order == "<" else "be"
    write(f"big-{end}-{codec}", scene((33, 70), "u2"), byteorder=order, bigtiff=True, rowsperstrip=4, compression=CODECS[codec])
    stack = np.stack([scene((31, 23), "u2") for _ in range(5)])
    write(f"pages-{end}-{codec}", stack, pages=5, byteorder=order, rowsperstrip=8, compression=CODECS[codec])
    write(f"half-{end}-{codec}", scene((21, 19), "f2"), byteorder=order, rowsperstrip=5, compression=CODECS[codec],
          expected=None)

# Halves widen to float32.
for line, text in enumerate(MANIFEST):
    if text.startswith("half-"):
        cells = text.split("\t")
        raw = OUT / (cells[0][:-4] + ".raw")
        raw.write_bytes(np.frombuffer(raw.read_bytes(), "<f2").astype("<f4").tobytes())
        cells[3] = "float32"
        MANIFEST[line] = "\t".join(cells)

# MinIsWhite comes inverted for unsigned integers, as stored for the rest.
for codec, dtype in itertools.product(["none", "lzw"], ["u1", "u2", "u4", "i2", "f4"]):
    a = scene((20, 33), dtype)
    e = np.iinfo(a.dtype).max - a if dtype[0] == "u" else a
    write(f"white-{codec}-{dtype}", a, photometric="miniswhite", rowsperstrip=6, compression=CODECS[codec], expected=e[None, None])

# A wide image in one tile column, tiles larger than the image, strings longer than a copy block, runs of every length.
write("tile-column", scene((50, 32), "u2"), tile=(16, 32), compression="lzw")
write("tile-larger", scene((10, 9), "u2"), tile=(64, 64), compression="adobe_deflate")
write("tile-larger-raw", scene((10, 9), "u2"), tile=(64, 64))
write("zeros-lzw", np.zeros((300, 257), "u2"), compression="lzw", rowsperstrip=300)
write("zeros-packbits", np.zeros((300, 257), "u2"), compression="packbits", rowsperstrip=300)
write("zeros-deflate", np.zeros((300, 257), "u2"), compression="adobe_deflate", rowsperstrip=300)
write("ramp-lzw", np.repeat(np.arange(400, dtype="u1")[None], 200, 0), compression="lzw", rowsperstrip=200)
write("noise-lzw", RNG.integers(0, 65536, (200, 201), "u2"), compression="lzw", rowsperstrip=8)
write("noise-packbits", RNG.integers(0, 3, (200, 201), "u1"), compression="packbits", rowsperstrip=8)
write("poisson-lzw", RNG.poisson(200, (256, 256)).astype("u2"), compression="lzw", rowsperstrip=8)

# Larger than what is read at once: pieces of one strip, batches of strips, strips that do not follow each other.
big = RNG.poisson(300, (700, 601)).astype("u2")
write("large-be-whole", big, byteorder=">", rowsperstrip=4096)
write("large-whole", big, rowsperstrip=4096)
write("large-noise-deflate", RNG.integers(0, 65536, (900, 801), "u2"), compression="adobe_deflate", rowsperstrip=16)
write("large-rgb-whole", np.stack([big, big[::-1], big[:, ::-1]], -1), samples=3, rowsperstrip=4096)
write("large-rgb-planar", np.stack([big, big[::-1], big[:, ::-1]]), samples=3, planar=True, rowsperstrip=64, compression="lzw", predictor=2)
write("large-tiles", big, tile=(256, 128), byteorder=">", compression="adobe_deflate", predictor=2)
write("large-white-tiles", big, tile=(512, 1024), photometric="miniswhite", expected=(65535 - big)[None, None])

# Bilevel, packed from the most significant bit.
bits = RNG.integers(0, 2, (27, 45)).astype(bool)
for codec in ["none", "packbits", "adobe_deflate"]:
    name = f"bilevel-{codec}"
    write(name, bits, compression=None if codec == "none" else codec, rowsperstrip=9, expected=bits.astype("u1")[None, None])


def tiny(name, data, width, height, nbits, *, order="<", compression=1, fill=1, extra=(), expected, path="fast"):
    """A one-strip TIFF from its bytes, for what tifffile reads but does not write."""
    tags = [(256, 4, width), (257, 4, height), (258, 3, nbits), (259, 3, compression), (262, 3, 1), (266, 3, fill),
            (273, 4, 8), (277, 3, 1), (278, 4, height), (279, 4, len(data)), *extra]
    tags.sort()
    padded = data + b"\0" * (len(data) % 2)
    out = (b"II*\0" if order == "<" else b"MM\0*") + struct.pack(order + "I", 8 + len(padded)) + padded + struct.pack(order + "H", len(tags))
    for tag, kind, value in tags:
        out += struct.pack(order + "HHI", tag, kind, 1) + (struct.pack(order + "HH", value, 0) if kind == 3 else struct.pack(order + "I", value))
    (OUT / f"{name}.tif").write_bytes(out + b"\0\0\0\0")
    back = tifffile.imread(OUT / f"{name}.tif")
    if not np.array_equal(back.astype(expected.dtype), expected):
        raise SystemExit(f"{name}: tifffile reads something else")
    record(name, expected[None, None], path)


def pack(values, nbits):
    rows = []
    for row in values:
        text = "".join(format(int(v), f"0{nbits}b") for v in row)
        text += "0" * (-len(text) % 8)
        rows.append(int(text, 2).to_bytes(len(text) // 8, "big"))
    return b"".join(rows)


for nbits, order in itertools.product([2, 4, 10, 12, 14], "<>"):
    values = RNG.integers(0, 1 << nbits, (13, 19)).astype("u1" if nbits <= 8 else "u2")
    tiny(f"packed{nbits}-{'le' if order == '<' else 'be'}", pack(values, nbits), 19, 13, nbits, order=order, expected=values)
bits = RNG.integers(0, 2, (11, 24)).astype("u1")
tiny("fill-order-2", bytes(int(f"{b:08b}"[::-1], 2) for b in pack(bits, 1)), 24, 11, 1, fill=2, expected=bits, path="libtiff")

# What only libtiff reads.
for codec, dtype in itertools.product(["lzma"], ["u1", "u2", "f4"]):
    for order in "<>":
        write(f"lib-{codec}-{dtype}-{'le' if order == '<' else 'be'}", scene((45, 37), dtype), path="libtiff", byteorder=order, rowsperstrip=8,
              compression=codec, predictor=3 if dtype == "f4" else 2)
    write(f"lib-{codec}-{dtype}-tile", scene((45, 37), dtype), path="libtiff", tile=(16, 16), compression=codec)
write("lib-jpeg-grey", scene((45, 37), "u1"), path="libtiff", lossy=True, rowsperstrip=16, compression="jpeg")
write("lib-jpeg-tile", scene((45, 37), "u1"), path="libtiff", lossy=True, tile=(16, 16), compression="jpeg")
rgb = np.stack([scene((48, 64), "u1") for _ in range(3)], -1)
write("lib-jpeg-rgb", rgb, path="libtiff", samples=3, lossy=True, rowsperstrip=16, compression="jpeg")
for subsampling in [(1, 1), (2, 1), (2, 2)]:
    write(f"lib-jpeg-ycbcr{subsampling[0]}{subsampling[1]}", rgb, path="libtiff", samples=3, lossy=True, rowsperstrip=16, compression="jpeg",
          photometric="ycbcr", subsampling=subsampling)
write("lib-lerc", scene((45, 37), "f4"), path="libtiff", rowsperstrip=45, compression="lerc")
image = OUT / "lib-ccitt-g4.tif"
bits = scene((40, 61), "u1") > 40
Image.fromarray(bits).save(image, compression="group4")
# Fax files are MinIsWhite by custom; bits come inverted then, so that 1 is white either way.
page = tifffile.TiffFile(image).pages[0]
if not np.array_equal(page.asarray() ^ (page.photometric == tifffile.PHOTOMETRIC.MINISWHITE), bits):
    raise SystemExit("lib-ccitt-g4: tifffile reads something else")
record("lib-ccitt-g4", bits.astype("u1")[None, None], "libtiff")
write("lib-webp", rgb, path="libtiff", samples=3, rowsperstrip=48, compression="webp", compressionargs={"lossless": True})

(OUT / "manifest.tsv").write_text("\n".join(MANIFEST) + "\n")
print(f"{len(MANIFEST)} files in {OUT}")

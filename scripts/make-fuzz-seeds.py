# SPDX-License-Identifier: MIT
"""Writes seeds for the fuzz targets of native/fuzz: small streams of independent encoders, behind the parameters that each target reads.

    python scripts/make-fuzz-seeds.py FOLDER

makes FOLDER/TARGET/NAME. The TIFF target's seeds are the files of make-tiff-corpus.py and need nothing from here.
"""

import itertools
import struct
import sys
import tempfile
from pathlib import Path

import imagecodecs
import numpy as np
import zarr

OUT = Path(sys.argv[1])
RNG = np.random.default_rng(20230221)


def seed(target, name, *parts):
    folder = OUT / target
    folder.mkdir(parents=True, exist_ok=True)
    (folder / name).write_bytes(b"".join(bytes(p) for p in parts))


def word(n):
    return struct.pack("<H", n)


def scene(shape, dtype):
    """Noise on a gradient with a flat part, so that encoders use literals, matches and runs."""
    y, x = np.indices(shape)[-2:]
    v = RNG.poisson(20 + x + y)
    v[..., : shape[-2] // 3, :] = 7
    return v.astype(dtype)


def streams():
    image = scene((24, 30), "<u2").tobytes()
    capacity = word(len(image))
    seed("lzw", "new", capacity, imagecodecs.lzw_encode(image))
    seed("lzw", "long", word(60000), imagecodecs.lzw_encode(bytes(60000)))
    seed("packbits", "image", capacity, imagecodecs.packbits_encode(image))
    seed("packbits", "runs", word(4000), imagecodecs.packbits_encode(bytes(3000) + b"abc" * 300))
    for kind, size, samples in itertools.product((0, 1), (1, 2, 4, 8), (1, 3)):
        seed("predictor", f"{kind}-{size}-{samples}", [kind, size.bit_length() - 1, samples - 1], image[:600])
    for number, encode in enumerate((imagecodecs.zstd_encode, imagecodecs.zlib_encode, imagecodecs.gzip_encode)):
        seed("inflate", encode.__name__, [number], capacity, encode(image))
    for level, size in itertools.product((1, 9), (1, 2, 8)):
        image = scene((40, 50), f"<u{size}").tobytes()
        for compressor, shuffle in itertools.product(("blosclz", "lz4", "lz4hc", "zlib", "zstd"), (0, 1, 2)):
            frame = imagecodecs.blosc_encode(image, level=level, compressor=compressor, typesize=size, shuffle=shuffle, numthreads=1)
            wanted = [size.bit_length() - 1, *word(49), 3, 5, 20, 30]
            seed("blosc", f"{compressor}-{shuffle}-{size}-{level}", wanted, frame)
            if compressor == "blosclz" and shuffle == 0 and not frame[2] & 2:
                start = struct.unpack_from("<I", frame, 16)[0]
                packed = struct.unpack_from("<I", frame, start)[0]
                seed("blosclz", f"{size}-{level}", word(len(image)), frame[start + 4 : start + 4 + packed])


CODECS = {"blosc": 0, "zstd": 1, "gzip": 2, "crc32c": 5}
DTYPES = ["uint8", "int8", "uint16", "int16", "uint32", "int32", "float32", "float64"]


def zarr_seed(name, shape, chunks, shard, dtype, compressors, codecs):
    """One file of a grid whose outer chunk is `shard`, or `chunks` where that is None."""
    with tempfile.TemporaryDirectory() as folder:
        array = zarr.create_array(
            folder, shape=shape, chunks=chunks, shards=shard, dtype=dtype, compressors=compressors, fill_value=0,
            chunk_key_encoding={"name": "v2", "separator": "."},
        )
        array[...] = scene(shape, dtype)
        chunk = (Path(folder) / ".".join("0" * len(shape))).read_bytes()
    leading = len(shape) - 2

    def axes(a):
        return bytes(n - 1 for n in a[:leading]) + b"".join(word(n - 1) for n in a[leading:])

    head = [DTYPES.index(dtype), 0, 0, leading, int(shard is not None), len(codecs), *(CODECS[c] for c in codecs)]
    grid = axes(shard or chunks)
    inner = bytes([0, 0]) + axes(chunks) if shard else b""
    seed("zarr", name, head, axes(shape), grid, inner, chunk)


def arrays():
    blosc = zarr.codecs.BloscCodec(cname="lz4", shuffle="shuffle")
    bits = zarr.codecs.BloscCodec(cname="zstd", shuffle="bitshuffle")
    chains = {
        "plain": (None, []),
        "blosc": (blosc, ["blosc"]),
        "bits": (bits, ["blosc"]),
        "zstd": (zarr.codecs.ZstdCodec(), ["zstd"]),
        "gzip": (zarr.codecs.GzipCodec(), ["gzip"]),
        "crc": ([zarr.codecs.ZstdCodec(), zarr.codecs.Crc32cCodec()], ["zstd", "crc32c"]),
    }
    for (name, (compressors, codecs)), dtype in itertools.product(chains.items(), ("uint16", "float32")):
        for leading, shard in itertools.product((False, True), (False, True)):
            shape, chunks, outer = (40, 50), (16, 20), (48, 60)
            if leading:
                shape, chunks, outer = (3, *shape), (2, *chunks), (4, *outer)
            parts = [name, dtype, "stack" if leading else "plane", "shard" if shard else "chunk"]
            zarr_seed("-".join(parts), shape, chunks, outer if shard else None, dtype, compressors, codecs)


streams()
arrays()

#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Writes Zarr arrays in every way that tilecast reads, with other libraries, for zarr-read.test.ts.

    zarr_arrays.py FOLDER

Prints a JSON list: name and path of each array, and the SHA-256 of its pixels (C order, little-endian).
"""

import hashlib
import itertools
import json
import os
import sys
import warnings

import numcodecs
import numpy as np
import tensorstore as ts
import zarr
from zarr.codecs import BloscCodec, BytesCodec, Crc32cCodec, GzipCodec, ShardingCodec, ZstdCodec

warnings.filterwarnings("ignore")

DTYPES = ["uint8", "int8", "uint16", "int16", "uint32", "int32", "float32", "float64"]
SHAPE = (3, 2, 70, 90)
# A plane a chunk, edge chunks on both axes, several planes a chunk, planes and rows, all of it.
CHUNKS = [(1, 1, 70, 90), (1, 1, 32, 40), (2, 1, 32, 90), (1, 2, 33, 17), (3, 2, 70, 90)]

root = sys.argv[1]
written = []


def pixels(dtype, shape=SHAPE, fill=0):
    """A slope, noise in its low bits, and a corner at the fill value, so that some chunks of some grids are not written."""
    rng = np.random.default_rng(DTYPES.index(dtype))
    slope = np.add.outer(np.arange(shape[-2]), np.arange(shape[-1])) % 90
    data = slope + rng.integers(0, 8, shape)
    for i in np.ndindex(shape[:-2]):
        data[i] += sum(i)
    if dtype.startswith(("int", "float")):
        data = data - 20
    if dtype.startswith("float"):
        data = data / 3
    data = data.astype(dtype)
    data[..., shape[-2] // 2 :, shape[-1] // 2 :] = fill
    return data


def note(name, path, data):
    little = np.ascontiguousarray(data, data.dtype.newbyteorder("<"))
    if little.dtype == bool:
        little = little.astype("uint8")
    digest = hashlib.sha256(little.tobytes()).hexdigest()
    written.append({"name": name, "path": path, "sha256": digest, "shape": list(data.shape)})


def place(name):
    return os.path.join(root, name.replace("/", "_").replace(" ", "_"))


def zarr2(name, data, dtype=None, compressor=None, chunks=CHUNKS[1], fill=0, **more):
    path = place(name)
    array = zarr.create_array(
        path, shape=data.shape, dtype=dtype or data.dtype, chunks=chunks, compressors=compressor, fill_value=fill,
        zarr_format=2, **more,
    )  # fmt: skip
    array[:] = data
    note(name, path, data)


def zarr3(name, data, codecs=(), endian="little", chunks=CHUNKS[1], shard=None, location="end", fill=0, keys=None):
    path = place(name)
    inner = [BytesCodec(endian=endian), *codecs]
    chain = inner if shard is None else [ShardingCodec(chunk_shape=chunks, codecs=inner, index_location=location)]
    array = zarr.create(
        store=path, shape=data.shape, dtype=data.dtype, chunk_shape=shard or chunks, codecs=chain, fill_value=fill,
        zarr_format=3, chunk_key_encoding=keys,
    )  # fmt: skip
    array[:] = data
    note(name, path, data)


def store3(name, data, codecs, chunks, fill=0):
    """tensorstore, version 3, with codecs as in the metadata."""
    path = place(name)
    array = ts.open(
        {
            "driver": "zarr3",
            "kvstore": {"driver": "file", "path": path},
            "metadata": {
                "shape": list(data.shape),
                "data_type": str(data.dtype),
                "chunk_grid": {"name": "regular", "configuration": {"chunk_shape": list(chunks)}},
                "codecs": codecs,
                "fill_value": fill,
            },
        },
        create=True,
    ).result()
    array.write(data).result()
    note(name, path, data)


def store2(name, data, compressor, chunks, separator):
    path = place(name)
    array = ts.open(
        {
            "driver": "zarr",
            "kvstore": {"driver": "file", "path": path},
            "metadata": {
                "shape": list(data.shape),
                "dtype": data.dtype.str,
                "chunks": list(chunks),
                "compressor": compressor,
                "fill_value": 0,
                "dimension_separator": separator,
            },
        },
        create=True,
    ).result()
    array.write(data).result()
    note(name, path, data)


def sharded(inner, codecs, location="end", checksum=True):
    little = {"name": "bytes", "configuration": {"endian": "little"}}
    return {
        "name": "sharding_indexed",
        "configuration": {
            "chunk_shape": list(inner),
            "codecs": codecs,
            "index_codecs": [little, {"name": "crc32c"}] if checksum else [little],
            "index_location": location,
        },
    }


LITTLE = {"name": "bytes", "configuration": {"endian": "little"}}
BIG = {"name": "bytes", "configuration": {"endian": "big"}}

# Version 2, zarr-python: every Blosc codec and shuffle, every dtype, both byte orders.
for cname, shuffle in itertools.product(["lz4", "lz4hc", "zstd", "zlib", "blosclz"], [0, 1, 2]):
    for i, dtype in enumerate(DTYPES):
        order = "<>"[i % 2]
        data = pixels(dtype)
        zarr2(
            f"v2 blosc {cname} shuffle {shuffle} {order}{dtype}", data, np.dtype(dtype).newbyteorder(order),
            numcodecs.Blosc(cname, 5, shuffle), CHUNKS[i % len(CHUNKS)],
        )  # fmt: skip
for level in [0, 1, 9]:
    zarr2(f"v2 blosc level {level}", pixels("uint16"), None, numcodecs.Blosc("lz4", level, 1), (1, 1, 70, 90))
for block in [256, 1000, 4096]:
    for shuffle in [0, 1, 2]:
        zarr2(
            f"v2 blosc blocks of {block} shuffle {shuffle}", pixels("uint32"), None,
            numcodecs.Blosc("lz4", 5, shuffle, block), (1, 2, 70, 90),
        )  # fmt: skip
rng = np.random.default_rng(7)
noise = rng.integers(0, 65536, (2, 300, 400), dtype=np.uint16)
half = (noise & 0xFF).astype(np.uint16) + 256
for cname in ["lz4", "zstd", "blosclz"]:
    zarr2(f"v2 blosc {cname} of noise", noise, None, numcodecs.Blosc(cname, 5, 1), (1, 300, 400))
    zarr2(f"v2 blosc {cname} of noise in one byte plane", half, None, numcodecs.Blosc(cname, 5, 1), (1, 256, 400))
for name, compressor in {
    "none": None,
    "zlib": numcodecs.Zlib(6),
    "gzip": numcodecs.GZip(6),
    "zstd": numcodecs.Zstd(3),
    "lz4": numcodecs.LZ4(),
}.items():
    for i, dtype in enumerate(DTYPES):
        order = "><"[i % 2]
        zarr2(
            f"v2 {name} {order}{dtype}", pixels(dtype), np.dtype(dtype).newbyteorder(order), compressor,
            CHUNKS[i % len(CHUNKS)],
        )  # fmt: skip
    zarr2(f"v2 {name} slash keys", pixels("uint16"), None, compressor, CHUNKS[3],
          chunk_key_encoding={"name": "v2", "separator": "/"})  # fmt: skip
zarr2("v2 bool", pixels("uint8") > 30, None, numcodecs.Blosc("lz4", 5, 0))
zarr2("v2 fill 7", pixels("int16", fill=7), None, None, (1, 1, 35, 45), fill=7)
zarr2("v2 fill NaN", pixels("float32", fill=np.nan), None, numcodecs.Zstd(1), (1, 1, 35, 45), fill=np.nan)
zarr2("v2 two axes", pixels("uint16")[0, 0], None, numcodecs.Blosc("lz4", 5, 1), (32, 32))
zarr2("v2 three axes", pixels("uint16")[0], None, numcodecs.Blosc("lz4", 5, 1), (2, 32, 32))

# Version 3, zarr-python.
for i, (dtype, chunks) in enumerate(itertools.product(DTYPES, CHUNKS)):
    codecs = {
        "none": [],
        "blosc": [
            BloscCodec(cname=["lz4", "zstd", "zlib", "lz4hc"][i % 4], shuffle=["shuffle", "bitshuffle", "noshuffle"][i % 3],
                       typesize=np.dtype(dtype).itemsize)
        ],
        "zstd": [ZstdCodec(level=1)],
        "gzip": [GzipCodec(level=2)],
        "crc32c": [Crc32cCodec()],
        "zstd crc32c": [ZstdCodec(level=1, checksum=True), Crc32cCodec()],
    }  # fmt: skip
    for kind, chain in codecs.items():
        endian = ["little", "big"][(i + len(kind)) % 2]
        zarr3(f"v3 {kind} {endian} {dtype} {i}", pixels(dtype), chain, endian, chunks)
for location, (i, chunks) in itertools.product(["start", "end"], enumerate([(1, 1, 16, 30), (1, 2, 35, 18), (3, 1, 7, 9)])):
    for kind, chain in {"none": [], "lz4": [BloscCodec(cname="lz4")], "zstd": [ZstdCodec()]}.items():
        shard = tuple(c * k for c, k in zip(chunks, [[3, 1, 4, 2], [1, 1, 1, 5], [1, 2, 10, 10]][i]))
        zarr3(f"v3 shards {location} {kind} {i}", pixels("uint16"), chain, "little", chunks, shard, location)
zarr3("v3 gzip and zstd", pixels("uint16"), [GzipCodec(), ZstdCodec()])
zarr3("v3 typesize unlike the dtype", pixels("uint16"), [BloscCodec(typesize=4, shuffle="shuffle")])
zarr3("v3 typesize 3", pixels("uint8"), [BloscCodec(typesize=3, shuffle="shuffle")], chunks=(1, 1, 70, 31))
zarr3("v3 fill", pixels("float64", fill=-2.5), [], fill=-2.5, chunks=(1, 1, 35, 45))
zarr3("v3 v2 keys", pixels("uint16"), [ZstdCodec()], keys={"name": "v2", "separator": "."})
zarr3("v3 dot keys", pixels("uint16"), [ZstdCodec()], keys={"name": "default", "separator": "."})
zarr3("v3 nothing written", np.full(SHAPE, 9, "uint16"), [], fill=9)

# tensorstore.
for location, checksum in itertools.product(["start", "end"], [True, False]):
    inner = [LITTLE, {"name": "blosc", "configuration": {"cname": "lz4", "clevel": 5, "shuffle": "shuffle", "typesize": 2}}]
    store3(f"tensorstore shards {location} checksum {checksum}", pixels("uint16"),
           [sharded((1, 1, 16, 30), inner, location, checksum)], (3, 2, 80, 90))  # fmt: skip
    nested = sharded((1, 1, 40, 30), [sharded((1, 1, 10, 15), [BIG, {"name": "zstd", "configuration": {"level": 1}}], location)])
    store3(f"tensorstore shards in shards {location} {checksum}", pixels("int16"), [nested], (3, 2, 80, 90))
store3("tensorstore plain shards", pixels("float32"), [sharded((1, 1, 35, 90), [LITTLE])], (1, 2, 70, 90))
store3("tensorstore plain", pixels("uint16"), [BIG], (1, 1, 70, 90))
store2("tensorstore v2 blosc", pixels("uint16"),
       {"id": "blosc", "cname": "lz4", "clevel": 5, "shuffle": -1, "blocksize": 0}, (1, 1, 64, 64), "/")  # fmt: skip
store2("tensorstore v2 zstd", pixels("int32"), {"id": "zstd", "level": 2}, (2, 2, 64, 64), ".")

# zarrs: its codecs behind zarr-python.
import zarrs  # noqa: E402, F401

zarr.config.set({"codec_pipeline.path": "zarrs.ZarrsCodecPipeline"})
for kind, chain in {"none": [], "lz4": [BloscCodec(cname="lz4", shuffle="bitshuffle")], "zstd": [ZstdCodec()]}.items():
    zarr3(f"zarrs {kind}", pixels("uint16"), chain)
    zarr3(f"zarrs shards {kind}", pixels("uint16"), chain, "little", (1, 1, 35, 45), (3, 1, 70, 90))

print(json.dumps(written))

#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Writes the TIFF files of the tiff-read benchmark: one image, every codec, predictor and layout.

    make_files.py FOLDER

FOLDER/files.json, written last, lists the files with the SHA-256 of their pixels (little-endian, C order).
"""

import hashlib
import json
import pathlib
import sys

import tifffile

sys.path.insert(0, str(pathlib.Path(__file__).parent.parent / "harness"))
from field import SIDE, image

CODECS = [
    ("none", None, 1),
    ("deflate", "adobe_deflate", 1),
    ("deflate", "adobe_deflate", 2),
    ("lzw", "lzw", 1),
    ("lzw", "lzw", 2),
    ("zstd", "zstd", 1),
    ("zstd", "zstd", 2),
    ("packbits", "packbits", 1),
]
LAYOUTS = {"strips of 8 rows": {"rowsperstrip": 8}, "tiles of 512": {"tile": (512, 512)}}


def main():
    folder = pathlib.Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)
    pixels = image(3)
    files = []
    for codec, compression, predictor in CODECS:
        for layout, keywords in LAYOUTS.items():
            path = folder / f"{codec}-p{predictor}-{layout.split()[0]}.tif"
            # tifffile would else see planes of a multi-channel image in a stack of strips.
            tifffile.imwrite(
                path,
                pixels,
                photometric="minisblack",
                metadata=None,
                compression=compression,
                predictor=predictor if predictor > 1 else None,
                **keywords,
            )
            files.append(
                {
                    "file": path.name,
                    "codec": codec,
                    "predictor": predictor,
                    "layout": layout,
                    "bytes": path.stat().st_size,
                }
            )
    digest = hashlib.sha256(pixels.tobytes()).hexdigest()
    listing = {"width": SIDE, "height": SIDE, "dtype": "uint16", "sha256": digest, "files": files}
    (folder / "files.json").write_text(json.dumps(listing, indent=1))


if __name__ == "__main__":
    main()

#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Prints, as JSON, which files of a plate the programs read: the wells' names and the files with their sizes.

facts.py PLATE [--limit-wells N]           and the other options of platefiles.py
"""

import argparse
import json
import os

import platefiles


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    platefiles.add_args(parser)
    args = parser.parse_args()
    fields = platefiles.fields(platefiles.from_args(args), args.z_policy)
    paths = [path for paths in fields.values() for path in paths]
    print(
        json.dumps(
            {
                "wells": sorted({well for _, well, _, _ in fields}, key=platefiles.well_key),
                "fields": len(fields),
                "files": [[path, os.path.getsize(path)] for path in paths],
            }
        )
    )


if __name__ == "__main__":
    main()

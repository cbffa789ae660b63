# SPDX-License-Identifier: MIT
"""`python -m tilecast_napari`: the viewer as a process of its own."""

import sys

from tilecast_napari.cli import main

if __name__ == "__main__":
    sys.exit(main())

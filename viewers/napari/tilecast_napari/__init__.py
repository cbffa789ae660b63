# SPDX-License-Identifier: MIT
"""A napari viewer that shows image planes while a pipeline makes them, mapped from shared memory (see docs/viewer-wire.md)."""

__version__ = "0.1.0"

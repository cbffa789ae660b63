# SPDX-License-Identifier: MIT
"""Planes by component, and the array that napari slices: it hands out the mapped planes themselves and holds no pixels of its own."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable

    from tilecast_napari.projection import Axes


@dataclass(frozen=True)
class StoredPlane:
    """Where a plane can be read again: an image group of OME-Zarr, the array in it, its place along the leading axes."""

    path: str
    array: str
    index: tuple[int, ...]


class Plane:
    """One [y, x] or [y, x, 3] image. `pixels` comes and goes under the Budget's lock; whoever reads takes a reference of its own."""

    __slots__ = ("components", "dtype", "error", "is_dropped", "nbytes", "pixels", "shape", "store")

    def __init__(
        self, components: dict[str, Any], shape: tuple[int, ...], dtype: np.dtype, store: StoredPlane | None
    ) -> None:
        self.components, self.shape, self.dtype, self.store = components, shape, dtype, store
        self.nbytes = int(np.prod(shape, dtype=np.int64)) * dtype.itemsize
        self.pixels: np.ndarray | None = None
        self.is_dropped = False
        self.error: str | None = None


class PlaneArray:
    """
    The planes of one layer as an array [component, ..., y, x(, 3)].

    A plane that never came is zero; so is one whose pixels are still on their way from a store: `fetch` is told of it, once a look.
    A plane smaller than the largest is padded with zeros at its ends.
    """

    def __init__(self, axes: Axes, dtype: np.dtype, is_rgb: bool, fetch: Callable[[Plane], None]) -> None:
        self.axes, self.dtype, self.is_rgb = axes, dtype, is_rgb
        self.planes: dict[tuple, Plane] = {}
        self.plane_shape: tuple[int, ...] = (0, 0, 3) if is_rgb else (0, 0)
        self._fetch = fetch

    @property
    def shape(self) -> tuple[int, ...]:
        return (*self.axes.shape, *self.plane_shape)

    @property
    def ndim(self) -> int:
        return len(self.axes.names) + len(self.plane_shape)

    @property
    def size(self) -> int:
        return int(np.prod(self.shape, dtype=np.int64))

    def __len__(self) -> int:
        return self.shape[0]

    def put(self, key: tuple, plane: Plane) -> Plane | None:
        """Returns the plane that was there."""
        before = self.planes.get(key)
        self.planes[key] = plane
        (height, width), (h, w) = self.plane_shape[:2], plane.shape[:2]
        if h > height or w > width:
            self.plane_shape = (max(h, height), max(w, width), *self.plane_shape[2:])
        return before

    def plane_at(self, index: tuple[int, ...]) -> Plane | None:
        return self.planes.get(self.axes.key_at(index))

    def _pixels(self, index: tuple[int, ...]) -> np.ndarray | None:
        plane = self.plane_at(index)
        if plane is None:
            return None
        pixels = plane.pixels
        if pixels is None:
            self._fetch(plane)
        return pixels

    def _whole(self, pixels: np.ndarray | None) -> np.ndarray:
        if pixels is not None and pixels.shape == self.plane_shape:
            return pixels
        out = np.zeros(self.plane_shape, self.dtype)
        if pixels is not None:
            out[: pixels.shape[0], : pixels.shape[1]] = pixels
        return out

    def __getitem__(self, key: Any) -> np.ndarray:
        leading, inner = self._split(key)
        chosen: list[list[int]] = []
        kept: list[int] = []
        for entry, length in zip(leading, self.axes.shape, strict=True):
            if isinstance(entry, slice):
                indices = list(range(*entry.indices(length)))
                kept.append(len(indices))
            else:
                position = int(entry)
                if not -length <= position < length:
                    raise IndexError(f"index {position} is out of bounds for an axis of size {length}")
                indices = [position % length]
            chosen.append(indices)
        counts = [len(c) for c in chosen]
        if all(count == 1 for count in counts):
            plane = self._whole(self._pixels(tuple(c[0] for c in chosen)))
            # Reshaping to leading ones is a view: this is the mapped memory itself.
            return plane[inner].reshape(tuple(kept) + plane[inner].shape)
        parts = []
        for flat in np.ndindex(*counts):
            pixels = self._pixels(tuple(c[i] for c, i in zip(chosen, flat, strict=True)))
            parts.append(self._whole(pixels)[inner])
        if not parts:
            return np.zeros((*kept, *self._whole(None)[inner].shape), self.dtype)
        return np.stack(parts).reshape(tuple(kept) + parts[0].shape)

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        whole = self[...]
        return whole if dtype is None else whole.astype(dtype)

    def _split(self, key: Any) -> tuple[list, tuple]:
        """The entries of the leading axes, and the key into a plane."""
        entries = list(key) if isinstance(key, tuple) else [key]
        if any(e is None or isinstance(e, (list, np.ndarray)) and np.ndim(e) > 0 for e in entries):
            raise IndexError("only integers, slices and an ellipsis index the planes of a viewer; take np.asarray of a part first")
        if Ellipsis in entries:
            at = entries.index(Ellipsis)
            entries[at : at + 1] = [slice(None)] * (self.ndim - len(entries) + 1)
        entries += [slice(None)] * (self.ndim - len(entries))
        if len(entries) > self.ndim:
            raise IndexError(f"too many indices: {len(entries)} for {self.ndim} axes")
        count = len(self.axes.names)
        return entries[:count], tuple(entries[count:])

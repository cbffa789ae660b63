# SPDX-License-Identifier: MIT
"""Reads planes back from OME-Zarr in a thread of its own, the latest wanted first, with tensorstore or zarr, whichever is installed."""

from __future__ import annotations

import logging
import threading
from collections import OrderedDict, deque
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable

    from tilecast_napari.memory import Budget
    from tilecast_napari.planes import Plane, StoredPlane

log = logging.getLogger(__name__)
_OPEN_ARRAYS = 64
# More than these are wanted only while somebody drags a slider; what they passed is not looked at any more.
_MOST_WANTED = 64


def reader_name() -> str | None:
    """`zarr` or `tensorstore`; None: planes that are not in memory cannot be shown."""
    return next((name for name in ("zarr", "tensorstore") if find_spec(name)), None)


class StoreReader:
    """`fetch` asks for a plane and returns at once; `on_loaded(plane)` is called in the reading thread when it is there or failed."""

    def __init__(self, budget: Budget, on_loaded: Callable[[Plane], None]) -> None:
        self._budget, self._on_loaded = budget, on_loaded
        self._arrays: OrderedDict[tuple[str, str], Any] = OrderedDict()
        self._wanted: deque[Plane] = deque()
        self._pending: set[int] = set()
        self._condition = threading.Condition()
        self._open_lock = threading.Lock()
        self._stopping = False
        self._thread = threading.Thread(target=self._run, name="tilecast-stores", daemon=True)
        self._thread.start()

    @property
    def waiting(self) -> int:
        with self._condition:
            return len(self._pending)

    def fetch(self, plane: Plane) -> None:
        if plane.store is None or plane.error is not None:
            return
        with self._condition:
            if id(plane) in self._pending:
                return
            self._pending.add(id(plane))
            self._wanted.append(plane)
            if len(self._wanted) > _MOST_WANTED:
                self._pending.discard(id(self._wanted.popleft()))
            self._condition.notify()

    def read(self, store: StoredPlane) -> np.ndarray:
        """The plane's pixels, now. Raises what the library raises, and RuntimeError where there is none."""
        pixels = np.ascontiguousarray(self._array(store)[tuple(store.index)])
        if pixels.dtype.byteorder == ">":
            pixels = pixels.astype(pixels.dtype.newbyteorder("="))
        return pixels

    def stop(self) -> None:
        with self._condition:
            self._stopping = True
            self._condition.notify()
        self._thread.join(2)

    def _run(self) -> None:
        while True:
            with self._condition:
                while not self._wanted and not self._stopping:
                    self._condition.wait()
                if self._stopping:
                    return
                plane = self._wanted.pop()
            try:
                self._load(plane)
            except Exception as error:
                plane.error = f"{plane.store.path}: {error}"
                log.warning("a plane could not be read: %s", plane.error)
            with self._condition:
                self._pending.discard(id(plane))
            self._on_loaded(plane)

    def _load(self, plane: Plane) -> None:
        if plane.is_dropped or plane.pixels is not None:
            return
        pixels = self.read(plane.store)
        if pixels.shape != plane.shape:
            raise ValueError(f"the store has {list(pixels.shape)} where {list(plane.shape)} was announced")
        pixels = pixels.astype(plane.dtype, copy=False)
        pixels.flags.writeable = False
        # Somebody looks at it: it is shown even where the budget is full of planes that have no store, and goes first afterwards.
        self._budget.reserve(plane.nbytes, over=True)
        self._budget.hold(plane, pixels)

    def _array(self, store: StoredPlane) -> Any:
        key = (store.path, store.array)
        with self._open_lock:
            array = self._arrays.get(key)
            if array is None:
                array = self._arrays[key] = _open(Path(store.path) / store.array)
                if len(self._arrays) > _OPEN_ARRAYS:
                    self._arrays.popitem(last=False)
            self._arrays.move_to_end(key)
            return array


class _TensorStore:
    def __init__(self, path: Path, driver: str) -> None:
        import tensorstore

        kvstore = {"driver": "file", "path": str(path)}
        self._array = tensorstore.open({"driver": driver, "kvstore": kvstore}, read=True).result()

    def __getitem__(self, key: tuple) -> np.ndarray:
        return self._array[key].read().result()


def _open(path: Path) -> Any:
    name = reader_name()
    if name is None:
        raise RuntimeError("install zarr or tensorstore to see planes that are no longer in memory: pip install zarr")
    if name == "tensorstore":
        return _TensorStore(path, "zarr3" if (path / "zarr.json").exists() else "zarr")
    import zarr

    return zarr.open_array(str(path), mode="r")

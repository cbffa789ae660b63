# SPDX-License-Identifier: MIT
"""Pixels in shared memory: mapping a plane for reading, copying one, and the budget that says how many stay."""

from __future__ import annotations

import ctypes
import os
import re
import stat
import sys
import threading
from collections import OrderedDict
from typing import TYPE_CHECKING

import numpy as np

from tilecast_napari.errors import BudgetError, WireError

if TYPE_CHECKING:
    from tilecast_napari.planes import Plane

_NAME = re.compile(r"/?[A-Za-z0-9_][A-Za-z0-9._-]{0,199}")
_libc = ctypes.CDLL(None, use_errno=True)
_libc.mmap.restype = ctypes.c_void_p
_libc.mmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int, ctypes.c_int, ctypes.c_int, ctypes.c_longlong]
_libc.munmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t]
_PROT_READ, _MAP_SHARED, _MAP_FAILED = 1, 1, ctypes.c_void_p(-1).value


class _Mapping:
    """A mapped object as numpy sees it; unmapped when the last array on it is gone. Python's mmap would hold a file descriptor each."""

    count = 0

    def __init__(self, fd: int, length: int, shape: tuple[int, ...], dtype: np.dtype) -> None:
        address = _libc.mmap(None, length, _PROT_READ, _MAP_SHARED, fd, 0)
        if address == _MAP_FAILED:
            code = ctypes.get_errno()
            raise OSError(code, os.strerror(code))
        self._address, self._length = address, length
        self.__array_interface__ = {"version": 3, "shape": shape, "typestr": dtype.str, "data": (address, True)}
        _Mapping.count += 1

    def __del__(self) -> None:
        if hasattr(self, "_address"):
            _libc.munmap(self._address, self._length)
            _Mapping.count -= 1


def _most_mappings() -> int:
    try:
        with open("/proc/sys/vm/max_map_count") as f:
            return int(f.read()) // 2
    except OSError:
        return 30_000


MAX_MAPPINGS = _most_mappings()


def mappings() -> int:
    """How many objects are mapped now; the kernel allows a process only so many."""
    return _Mapping.count


def _open(name: str) -> int:
    if not _NAME.fullmatch(name):
        raise WireError(f'shm_name: "{name[:64]}" is no name of a shared-memory object')
    try:
        if sys.platform == "linux":
            path = f"/dev/shm/{name.removeprefix('/')}"
            return os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
        import _posixshmem

        return _posixshmem.shm_open("/" + name.removeprefix("/"), os.O_RDONLY)
    except OSError as error:
        raise WireError(f"Shared memory {name} not found ({error.strerror})") from error


def unlink(name: str) -> None:
    """Removes the name; the memory lives on as long as it is mapped."""
    try:
        if sys.platform == "linux":
            os.unlink(f"/dev/shm/{name.removeprefix('/')}")
        else:
            import _posixshmem

            _posixshmem.shm_unlink("/" + name.removeprefix("/"))
    except FileNotFoundError:
        pass


class SharedPixels:
    """One opened object, checked to hold `shape` of `dtype` at its start."""

    def __init__(self, name: str, shape: tuple[int, ...], dtype: np.dtype) -> None:
        self.name, self.shape, self.dtype = name, shape, dtype
        self.nbytes = int(np.prod(shape, dtype=np.int64)) * dtype.itemsize
        self._fd = _open(name)
        status = os.fstat(self._fd)
        if sys.platform == "linux" and not stat.S_ISREG(status.st_mode):
            self.close()
            raise WireError(f"{name} is no shared-memory object")
        if status.st_size < self.nbytes:
            self.close()
            raise WireError(
                f"buffer is too small for requested array: {name} has {status.st_size} bytes, "
                f"and {list(shape)} of {dtype} needs {self.nbytes}"
            )

    def map(self) -> np.ndarray:
        """Its pixels, for reading only, without a copy. Its maker must neither shrink nor write it any more."""
        if self.nbytes == 0:
            return np.zeros(self.shape, self.dtype)
        return np.asarray(_Mapping(self._fd, self.nbytes, self.shape, self.dtype))

    def copy(self) -> np.ndarray:
        """Read through the file: an object that is cut short meanwhile is an error, where a mapping would be SIGBUS."""
        out = np.empty(self.shape, self.dtype)
        view = memoryview(out.reshape(-1).view(np.uint8))
        at = 0
        while at < self.nbytes:
            got = os.preadv(self._fd, [view[at:]], at) if sys.platform == "linux" else self._copy_mapped(view)
            if got == 0:
                raise WireError(f"{self.name} became shorter while it was copied")
            at += got
        out.flags.writeable = False
        return out

    def _copy_mapped(self, view: memoryview) -> int:
        view[:] = memoryview(self.map().reshape(-1).view(np.uint8))
        return self.nbytes

    def close(self) -> None:
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1


class Budget:
    """
    How many bytes of pixels stay. Safe from every thread.

    Planes that can be read again from a store are let go when room is needed, the least recently seen first; those on screen last.
    """

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.used = 0
        self.resident = 0
        self._lock = threading.Lock()
        self._evictable: OrderedDict[int, Plane] = OrderedDict()
        self._evictable_bytes = 0
        self._on_screen: frozenset[int] = frozenset()

    def reserve(self, nbytes: int, over: bool = False) -> None:
        """Makes room and takes it. Raises BudgetError where there is none, unless it may go `over` the limit."""
        with self._lock:
            missing = self.used + nbytes - self.limit
            # What cannot be had is not begun: planes would go for nothing.
            if missing > self._evictable_bytes and not over:
                raise BudgetError(
                    f"the viewer's memory budget of {self.limit} bytes is full ({self.used} in use): "
                    "give planes a store, raise --memory-budget, or clear the viewer"
                )
            if missing > 0:
                self._evict(missing)
            self.used += nbytes

    def unreserve(self, nbytes: int) -> None:
        with self._lock:
            self.used -= nbytes

    def hold(self, plane: Plane, pixels: np.ndarray) -> None:
        """Gives a plane pixels that were reserved before."""
        with self._lock:
            if plane.is_dropped:
                self.used -= plane.nbytes
                return
            if plane.pixels is not None:
                self.used -= plane.nbytes
                self.resident -= 1
            plane.pixels = pixels
            self.resident += 1
            if plane.store is not None:
                if id(plane) not in self._evictable:
                    self._evictable_bytes += plane.nbytes
                self._evictable[id(plane)] = plane
                self._evictable.move_to_end(id(plane))

    def drop(self, plane: Plane) -> None:
        """The plane is replaced or forgotten."""
        with self._lock:
            plane.is_dropped = True
            self._let_go(plane)

    def protect(self, planes: list[Plane]) -> None:
        """What is on screen now."""
        with self._lock:
            self._on_screen = frozenset(id(p) for p in planes)
            for plane in planes:
                if id(plane) in self._evictable:
                    self._evictable.move_to_end(id(plane))

    def _evict(self, wanted: int) -> None:
        rotated = 0
        while wanted > 0 and self._evictable:
            key, plane = next(iter(self._evictable.items()))
            if key in self._on_screen and rotated < len(self._on_screen):
                self._evictable.move_to_end(key)
                rotated += 1
            else:
                wanted -= plane.nbytes
                self._let_go(plane)

    def _let_go(self, plane: Plane) -> None:
        if self._evictable.pop(id(plane), None) is not None:
            self._evictable_bytes -= plane.nbytes
        if plane.pixels is not None:
            plane.pixels = None
            self.used -= plane.nbytes
            self.resident -= 1


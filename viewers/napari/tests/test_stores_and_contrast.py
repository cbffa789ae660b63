# SPDX-License-Identifier: MIT
"""Planes read back from OME-Zarr, and contrast that follows the data until somebody sets it."""

import threading

import numpy as np
import pytest
from tilecast_napari.contrast import Contrast, sample_limits
from tilecast_napari.memory import Budget
from tilecast_napari.planes import Plane, StoredPlane
from tilecast_napari.stores import StoreReader

zarr = pytest.importorskip("zarr")


@pytest.mark.parametrize("version", [2, 3])
def test_planes_are_read_back_the_latest_wanted_first(tmp_path, version):
    pixels = np.random.default_rng(1).integers(0, 60_000, (2, 30, 8, 9)).astype(np.uint16)
    array = zarr.create_array(str(tmp_path / "0"), shape=pixels.shape, chunks=(1, 1, 8, 9), dtype="uint16", zarr_format=version)
    array[:] = pixels
    done, loaded = threading.Event(), []

    def on_loaded(plane):
        loaded.append(plane)
        if len(loaded) == 30:
            done.set()

    reader = StoreReader(Budget(10 * 144), on_loaded)
    planes = [Plane({}, (8, 9), np.dtype("uint16"), StoredPlane(str(tmp_path), "0", (1, i))) for i in range(30)]
    with reader._condition:
        for plane in planes:
            reader.fetch(plane)
            reader.fetch(plane)
    assert done.wait(60)
    assert loaded == planes[::-1]
    reader.stop()
    held = [i for i, plane in enumerate(planes) if plane.pixels is not None]
    assert held == list(range(10))
    for i in held:
        assert np.array_equal(planes[i].pixels, pixels[1, i])


def test_a_store_that_is_gone_or_other_is_told(tmp_path):
    zarr.create_array(str(tmp_path / "0"), shape=(1, 4, 4), chunks=(1, 4, 4), dtype="uint16")
    done = threading.Semaphore(0)
    reader = StoreReader(Budget(1000), lambda _: done.release())
    gone = Plane({}, (4, 4), np.dtype("uint16"), StoredPlane(str(tmp_path / "no"), "0", (0,)))
    other = Plane({}, (5, 5), np.dtype("uint16"), StoredPlane(str(tmp_path), "0", (0,)))
    reader.fetch(gone)
    reader.fetch(other)
    assert done.acquire(timeout=60) and done.acquire(timeout=60)
    reader.stop()
    assert str(tmp_path / "no") in gone.error
    assert "the store has [4, 4] where [5, 5] was announced" in other.error


def test_limits_are_percentiles_of_what_is_finite():
    ramp = np.arange(65_536, dtype=np.uint16).reshape(256, 256)
    assert sample_limits(ramp) == tuple(np.percentile(ramp, (0.5, 99.8)))
    holes = ramp.astype(np.float32)
    holes[:10], holes[10, 0] = np.nan, np.inf
    assert sample_limits(holes) == pytest.approx(np.percentile(ramp[10:].ravel()[1:], (0.5, 99.8)))
    assert sample_limits(np.full((4, 4), np.nan)) is None
    assert sample_limits(np.zeros((0, 5), np.uint8)) is None
    assert sample_limits(np.zeros((4, 4), bool)) == (0, 1)


def flat(low, high):
    return np.linspace(low, high, 10_000).reshape(100, 100)


def test_limits_widen_for_what_is_much_brighter_and_never_narrow():
    contrast = Contrast({})
    assert contrast.limits(1) is None
    assert contrast.look_at(1, flat(0, 100))
    low, high = contrast.limits(1)
    assert not contrast.look_at(1, flat(0, 103))
    assert not contrast.look_at(1, flat(40, 60))
    assert contrast.limits(1) == (low, high)
    assert contrast.look_at(1, flat(0, 500))
    assert contrast.limits(1)[1] == pytest.approx(499, abs=1)
    contrast.look_at(2, flat(7, 7))
    assert contrast.limits(2) == (7, 8)


def test_what_the_user_or_the_sender_set_stays():
    contrast = Contrast({1: (5.0, 6.0)})
    contrast.look_at(1, flat(0, 100))
    contrast.look_at(2, flat(0, 100))
    contrast.touched(2, (3.0, 4.0))
    contrast.look_at(2, flat(0, 1000))
    assert (contrast.limits(1), contrast.limits(2)) == ((5, 6), (3, 4))

# SPDX-License-Identifier: MIT
"""Shared memory: mapped without a copy, refused where it is not what was said, let go of in the right order."""

import gc
import os
from pathlib import Path

import numpy as np
import pytest
from tilecast_napari import memory
from tilecast_napari.errors import BudgetError, WireError
from tilecast_napari.memory import Budget, SharedPixels
from tilecast_napari.planes import Plane, StoredPlane

U16 = np.dtype("uint16")


def plane(store=True, nbytes=100):
    return Plane({}, (nbytes,), np.dtype("uint8"), StoredPlane("/p", "0", (0,)) if store else None)


def hold(budget, plane):
    budget.reserve(plane.nbytes)
    budget.hold(plane, np.zeros(plane.shape, plane.dtype))


def test_a_mapping_is_the_object_itself_and_outlives_its_name(shared_memory):
    pixels = np.arange(3000, dtype=U16).reshape(50, 60)
    name = shared_memory(pixels, extra=5000)
    before = memory.mappings()
    shared = SharedPixels(name, (50, 60), U16)
    mapped = shared.map()
    shared.close()
    assert np.array_equal(mapped, pixels)
    with open(f"/dev/shm/{name}", "r+b") as f:
        f.write(b"\x2a\x00")
    assert mapped[0, 0] == 42
    memory.unlink(name)
    assert not Path("/dev/shm", name).exists()
    assert mapped[49, 59] == 2999
    view = mapped[10:20][None]
    del mapped, shared
    gc.collect()
    assert view[0, 0, 0] == 600
    assert memory.mappings() == before + 1
    del view
    gc.collect()
    assert memory.mappings() == before


def test_a_mapping_cannot_be_written(shared_memory):
    shared = SharedPixels(shared_memory(np.zeros(8, U16)), (8,), U16)
    mapped = shared.map()
    shared.close()
    with pytest.raises(ValueError, match="read-only"):
        mapped[0] = 1
    with pytest.raises(ValueError, match="WRITEABLE"):
        mapped.flags.writeable = True


def test_thousands_of_mappings_hold_no_file_descriptors(shared_memory):
    before = len(os.listdir("/proc/self/fd"))
    held = []
    for i in range(3000):
        name = shared_memory(np.full(4, i, U16))
        shared = SharedPixels(name, (4,), U16)
        held.append(shared.map())
        memory.unlink(name)
        shared.close()
    assert len(os.listdir("/proc/self/fd")) == before
    assert [int(a[3]) for a in held] == list(range(3000))


def test_a_copy_is_its_own(shared_memory):
    name = shared_memory(np.arange(6, dtype=np.float32))
    shared = SharedPixels(name, (2, 3), np.dtype("float32"))
    copied = shared.copy()
    shared.close()
    os.truncate(f"/dev/shm/{name}", 0)
    assert copied.tolist() == [[0, 1, 2], [3, 4, 5]]


def test_an_object_that_is_cut_short_while_it_is_copied_is_an_error(shared_memory):
    name = shared_memory(np.arange(6, dtype=U16))
    shared = SharedPixels(name, (6,), U16)
    os.truncate(f"/dev/shm/{name}", 4)
    with pytest.raises(WireError, match="became shorter"):
        shared.copy()
    shared.close()


def test_empty_images_need_no_memory(shared_memory):
    shared = SharedPixels(shared_memory(np.zeros(1, U16)), (0, 3), U16)
    assert shared.map().shape == shared.copy().shape == (0, 3)
    shared.close()


@pytest.mark.parametrize("name", ["../etc/passwd", "a/b", "", ".", ".hidden", "x" * 300, "a\0b"])
def test_names_that_are_paths_are_refused(name):
    with pytest.raises(WireError, match="no name of a shared-memory object"):
        SharedPixels(name, (1,), U16)


def test_what_is_not_there_or_too_small_is_told(shared_memory, tmp_path):
    with pytest.raises(WireError, match="Shared memory tc_nobody not found"):
        SharedPixels("tc_nobody", (1,), U16)
    name = shared_memory(np.zeros(7, U16))
    before = len(os.listdir("/proc/self/fd"))
    with pytest.raises(WireError, match=rf"too small.*{name} has 14 bytes, and \[8\] of uint16 needs 16"):
        SharedPixels(name, (8,), U16)
    assert len(os.listdir("/proc/self/fd")) == before
    link = Path("/dev/shm", name + "_link")
    link.symlink_to(tmp_path)
    try:
        with pytest.raises(WireError, match="not found"):
            SharedPixels(link.name, (1,), U16)
    finally:
        link.unlink()


def test_planes_with_a_store_make_room_the_least_recently_seen_first():
    budget = Budget(300)
    planes = [plane() for _ in range(3)]
    for each in planes:
        hold(budget, each)
    budget.protect([planes[0]])
    hold(budget, plane())
    assert [p.pixels is not None for p in planes] == [True, False, True]
    hold(budget, plane())
    assert [p.pixels is not None for p in planes] == [True, False, False]
    assert (budget.used, budget.resident) == (300, 3)
    large = plane(nbytes=300)
    hold(budget, large)
    assert planes[0].pixels is None
    assert (budget.used, budget.resident) == (300, 1)


def test_planes_without_a_store_stay_and_nothing_goes_in_vain():
    budget = Budget(300)
    kept, stored = plane(store=False, nbytes=200), plane()
    hold(budget, kept)
    hold(budget, stored)
    with pytest.raises(BudgetError, match="memory budget of 300 bytes is full"):
        budget.reserve(101)
    assert kept.pixels is not None and stored.pixels is not None
    budget.reserve(101, over=True)
    assert budget.used == 301 and stored.pixels is None


def test_a_plane_that_is_forgotten_while_it_is_read_holds_nothing():
    budget = Budget(300)
    late = plane()
    budget.reserve(late.nbytes)
    budget.drop(late)
    budget.hold(late, np.zeros(100, np.uint8))
    assert (budget.used, budget.resident, late.pixels) == (0, 0, None)

# SPDX-License-Identifier: MIT
"""The lazy array behaves as numpy's would, and hands out the planes themselves."""

import itertools

import numpy as np
import pytest
from tilecast_napari.planes import Plane, PlaneArray, StoredPlane
from tilecast_napari.projection import Axes

U16 = np.dtype("uint16")


def made(is_rgb=False):
    axes = Axes()
    axes.extend_names(["z_index", "well"], {"z_index", "well"})
    axes.extend("z_index", [1, 2, 3])
    axes.extend("well", ["A01", "A02"])
    asked = []
    array = PlaneArray(axes, U16, is_rgb, asked.append)
    return axes, array, asked


def put(axes, array, z, well, pixels, store=None):
    plane = Plane({"z_index": z, "well": well}, pixels.shape, U16, store)
    plane.pixels = pixels
    array.put(axes.key(plane.components), plane)
    return plane


def test_it_is_indexed_as_numpy_is():
    axes, array, _ = made()
    whole = np.zeros((3, 2, 4, 5), U16)
    for z, w in [(0, 0), (2, 1), (1, 0)]:
        whole[z, w] = np.random.default_rng(z).integers(0, 1000, (4, 5))
        put(axes, array, z + 1, f"A0{w + 1}", whole[z, w].copy())
    assert (array.shape, array.ndim, array.size, len(array)) == (whole.shape, 4, whole.size, 3)
    entries = [0, 1, -1, slice(None), slice(0, 1), slice(1, None), slice(3, 0, -1), slice(2, 2)]
    for z, w in itertools.product(entries, [0, -1, slice(None), slice(1, 2)]):
        for inner in [(), (slice(1, 3),), (2, 3), (slice(None), 4), (..., slice(None, None, 2))]:
            assert np.array_equal(array[(z, w, *inner)], whole[(z, w, *inner)]), (z, w, inner)
    assert np.array_equal(array[...], whole)
    assert np.array_equal(array[1], whole[1])
    assert np.array_equal(np.asarray(array), whole)
    for bad in [(3,), (0, 2), (0, 0, 0, 0, 0), ([0, 1],)]:
        with pytest.raises(IndexError):
            array[bad]


@pytest.mark.parametrize("key", [(0, 0), (0, 0, slice(None), slice(None)), (slice(0, 1), slice(0, 1))])
def test_a_plane_is_not_copied(key):
    axes, array, _ = made()
    plane = put(axes, array, 1, "A01", np.ones((4, 5), U16))
    assert np.shares_memory(array[key], plane.pixels)


def test_planes_stay_where_they_are_when_values_join():
    axes, array, _ = made()
    put(axes, array, 3, "A02", np.full((4, 5), 9, U16))
    axes.extend("z_index", [0])
    axes.extend("well", ["A1"])
    assert array.shape == (4, 3, 4, 5)
    assert axes.index_of((3, "A02")) == (3, 2)
    assert array[3, 2, 0, 0] == 9
    assert array[2].max() == 0


def test_smaller_planes_are_padded_and_replaced_ones_returned():
    axes, array, _ = made()
    small = put(axes, array, 1, "A01", np.full((2, 3), 7, U16))
    put(axes, array, 2, "A01", np.ones((4, 2), U16))
    assert array.plane_shape == (4, 3)
    assert array[0, 0].tolist() == [[7, 7, 7], [7, 7, 7], [0, 0, 0], [0, 0, 0]]
    again = Plane(small.components, (2, 3), U16, None)
    assert array.put(axes.key(small.components), again) is small


def test_a_plane_that_is_in_its_store_alone_is_asked_for_and_blank_meanwhile():
    axes, array, asked = made()
    plane = put(axes, array, 1, "A01", np.ones((4, 5), U16), StoredPlane("/p", "0", (0,)))
    plane.pixels = None
    assert array[0, 0].max() == 0
    assert asked == [plane]


def test_colours_come_last():
    axes, array, _ = made(is_rgb=True)
    plane = put(axes, array, 1, "A01", np.ones((4, 5, 3), U16))
    assert (array.shape, array.ndim) == ((3, 2, 4, 5, 3), 5)
    assert np.shares_memory(array[0, 0], plane.pixels)
    assert array[0, 0, 1, 2].tolist() == [1, 1, 1]

# SPDX-License-Identifier: MIT
"""Batches: what OpenHCS sends is taken, what is wrong is told with the item it is in."""

import json
import math

import numpy as np
import pytest
from tilecast_napari.errors import WireError
from tilecast_napari.planes import StoredPlane
from tilecast_napari.wire import parse_batch, parse_json

IDENTITY = {"origin": "d", "output_kind": "d", "output_key": "d", "projection_key": "d"}
METADATA = {"site": 1, "channel": "2", "z_index": 1, "timepoint": 1, "well": "A01"}
ITEM = {
    "shape": [4, 6],
    "dtype": "uint16",
    "shm_name": "napari_1",
    "data_type": "image",
    "metadata": METADATA,
    "producer_identity": IDENTITY,
}
OWN = {**ITEM, "tilecast": {}}


def batch(*items, **more):
    return {"type": "batch", "images": list(items), **more}


def only(item, **more):
    parsed = parse_batch(batch(item, **more))
    assert not parsed.refused, parsed.refused
    return parsed.items[0]


def test_an_image_of_openhcs():
    spacing = {"values_zyx": [2, 0.5, 0.25], "unit": "micrometers"}
    item = only({**ITEM, "image_id": "x", "image_metadata": {"source_voxel_spacing": spacing}})
    assert (item.kind, item.shape, item.dtype, item.is_tilecast) == ("image", (4, 6), np.dtype("uint16"), False)
    assert item.components["channel"] == 2
    assert (item.spacing, item.image_id) == ((2, 0.5, 0.25), "x")
    for dtype in [">u2", "<u2", "int64", "float16", "bool"]:
        assert only({**ITEM, "dtype": dtype}).dtype == np.dtype(dtype)


def test_tilecasts_own_keys():
    store = {"path": "/p.ome.zarr", "array": "0", "index": [0, 1]}
    item = only({**OWN, "tilecast": {"store": store, "title": "T"}, "shm_name": None})
    assert item.is_tilecast and item.store == StoredPlane("/p.ome.zarr", "0", (0, 1)) and item.title == "T"
    assert only(ITEM, display_config={"tilecast": {}}).is_tilecast
    config = parse_batch(
        batch(display_config={"tilecast": {"colormaps": {"1": "red"}, "contrast": {"1": [0, 5]}}, "colormap": "viridis"})
    ).config
    assert (config.colormaps, config.contrast, config.colormap) == ({"1": "red"}, {"1": (0.0, 5.0)}, "viridis")


def test_several_planes_in_one_array():
    item = only({**ITEM, "shape": [3, 4, 6], "plane_axis": "runtime_slice", "plane_component_values": {"z_index": [1, "2", 3]}})
    assert item.plane_component == ("z_index", [1, 2, 3])


def test_shapes_and_points():
    shapes = [
        {"type": "polygon", "coordinates": [[0, 0], [0, 3], [3, 3]], "metadata": {"label": 1}},
        {"type": "ellipse", "center": [5, 5], "radii": [1, 2]},
        {"type": "point", "coordinates": [1, 2]},
    ]
    item = only({**ITEM, "data_type": "shapes", "shapes": shapes})
    assert [s["vertices"].shape for s in item.shapes] == [(3, 2), (4, 2), (1, 2)]
    assert item.shapes[1]["vertices"].tolist() == [[4, 3], [4, 7], [6, 7], [6, 3]]


def test_nan_is_a_number():
    assert math.isnan(parse_json(b'{"a": NaN, "b": -Infinity}')["a"])


@pytest.mark.parametrize(
    ("item", "words"),
    [
        ({**OWN, "dtype": "object"}, "dtype: expected one of bool"),
        ({**OWN, "dtype": "int64"}, "dtype: expected one of bool"),
        ({**OWN, "dtype": ">u2"}, "dtype: expected one of bool"),
        ({**ITEM, "dtype": "complex64"}, "dtype: expected"),
        ({**ITEM, "dtype": ["u2"]}, "dtype: expected"),
        ({**ITEM, "dtype": "O"}, "dtype: expected"),
        ({**ITEM, "dtype": "float32", "data_type": "labels"}, "labels are of an integer dtype"),
        ({**ITEM, "shape": [-1, 4]}, "shape: expected whole numbers"),
        ({**ITEM, "shape": [4]}, "shape: expected"),
        ({**ITEM, "shape": [2, 4, 6]}, "more axes need plane_component_values"),
        ({**ITEM, "shape": [4, 2**40]}, "shape: expected whole numbers"),
        ({**ITEM, "shape": [True, 4]}, "shape: expected whole numbers"),
        ({**ITEM, "shape": None}, "shape: expected whole numbers"),
        ({**ITEM, "shm_name": None}, "an image needs shm_name"),
        ({**ITEM, "shm_name": 5}, "shm_name: expected a text"),
        ({**ITEM, "metadata": {}}, "the components site, channel"),
        ({**ITEM, "metadata": {**METADATA, "well": None}}, "metadata.well: expected a text or a number, and got null"),
        ({**ITEM, "producer_identity": None}, "missing required payload field 'producer_identity'"),
        ({**ITEM, "producer_identity": {**IDENTITY, "origin": ""}}, "producer_identity.origin"),
        ({**ITEM, "data_type": "rois"}, "napari takes shapes"),
        ({**ITEM, "data_type": "film"}, "data_type: expected one of image, labels"),
        ({**ITEM, "data_type": "shapes", "shapes": [{"type": "mask"}]}, r"shapes\[0\].type"),
        ({**ITEM, "data_type": "shapes", "shapes": [{"type": "polygon", "coordinates": [[0, 0]]}]}, "at least 3"),
        ({**ITEM, "data_type": "shapes", "shapes": [{"type": "path", "coordinates": [[0, math.nan], [1, 1]]}]}, "finite"),
        ({**ITEM, "data_type": "points", "shapes": "x"}, "shapes: expected a list"),
        ({**OWN, "data_type": "tracks", "tilecast": {"tracks": [[1, 2, 3]]}}, "rows"),
        ({**OWN, "data_type": "table", "tilecast": {"table": {"columns": ["a"], "rows": [[1, 2]]}}}, "lists of 1 values"),
        ({**OWN, "tilecast": {"store": {"path": "relative", "index": []}}}, "an absolute path"),
        ({**OWN, "tilecast": {"store": {"path": "/p", "array": "../x", "index": []}}}, "name of an array"),
        ({**OWN, "tilecast": {"store": {"path": "/p", "index": [-1]}}}, "whole numbers >= 0"),
        (5, "expected an object"),
    ],
)
def test_a_bad_item_is_refused_and_the_others_go_on(item, words):
    parsed = parse_batch(batch(OWN, item, OWN))
    assert [i.index for i in parsed.items] == [0, 2]
    assert [r.index for r in parsed.refused] == [1]
    with pytest.raises(WireError, match=words):
        raise WireError(parsed.refused[0].message)


@pytest.mark.parametrize(
    ("message", "words"),
    [
        ([], "expected a JSON object"),
        ({"type": "film"}, "Expected 'batch'"),
        ({"type": "batch"}, "missing required field: 'images'"),
        (batch(display_config={"component_modes": {"site": "slice"}}), "expected stack or layer"),
        (batch(display_config={"component_order": [1]}), "component_order"),
        (batch(display_config={"tilecast": {"contrast": {"1": [5, 1]}}}), "low < high"),
        (batch(component_value_domain={"site": 1}), "component_value_domain.site"),
        (batch(component_names_metadata=[]), "component_names_metadata: expected an object"),
    ],
)
def test_a_bad_message_is_told(message, words):
    with pytest.raises(WireError, match=words):
        parse_batch(json.loads(json.dumps(message)))


@pytest.mark.parametrize("message", [b"", b"{", b"\xff\xfe", b"[" * 200_000, b"1" * 5000, b'{"a": 1} x'])
def test_what_is_no_json_is_told(message):
    with pytest.raises(WireError, match="the message is no JSON"):
        parse_json(message)

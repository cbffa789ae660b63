# SPDX-License-Identifier: MIT
"""Route keys, titles and axes; keys are those that OpenHCS 0.8.6's viewer showed for the same messages."""

import pytest
from tilecast_napari.projection import Axes, component_value, route_key, sort_key, title, value_label

ORDER = ["site", "channel", "z_index", "timepoint", "well"]
STACK = dict.fromkeys(ORDER, "stack")
AT = {"site": 1, "channel": 1, "z_index": 1, "timepoint": 1, "well": "A01"}


def identity(origin="pipeline", kind="main", output="main", projection=None, step=None, position=None, scope=None):
    return {
        "origin": origin,
        "output_kind": kind,
        "output_key": output,
        "projection_key": projection or output,
        "step_name": step,
        "pipeline_position": position,
        "step_scope_id": scope,
    }


BLUR = identity(step="Blur", position=0, scope="step_0")
CELLS = identity(kind="artifact", output="cells", projection="Cells", step="Segment", position=2)
MANUAL = identity("manual", "manual", "manual_view")


@pytest.mark.parametrize(
    ("who", "kind", "modes", "rgb", "key"),
    [
        (BLUR, "image", {}, False, "origin_pipeline_kind_main_projection_main_step_0_scope_step_0_name_Blur"),
        (BLUR, "points", {}, False, "origin_pipeline_kind_main_projection_main_step_0_scope_step_0_name_Blur_points"),
        (CELLS, "shapes", {}, False, "origin_pipeline_kind_artifact_projection_Cells_step_2_name_Segment_shapes"),
        (
            MANUAL,
            "image",
            {"channel": "layer", "well": "layer"},
            False,
            "origin_manual_kind_manual_projection_manual_view_channel_1_well_A01",
        ),
        (identity("direct", "direct", "rgb"), "image", {}, True, "origin_direct_kind_direct_projection_rgb_color_plane"),
        (identity(output="a b/c\\d"), "image", {}, False, "origin_pipeline_kind_main_projection_a_b_c_d"),
    ],
)
def test_route_keys_are_those_of_openhcs(who, kind, modes, rgb, key):
    assert route_key(who, kind, {**STACK, **modes}, ORDER, AT, rgb) == key


@pytest.mark.parametrize(
    ("who", "kind", "given", "modes", "words"),
    [
        (BLUR, "image", None, {}, "1. Blur"),
        (CELLS, "shapes", None, {}, "3. Segment cells ROIs"),
        (BLUR, "labels", "Nuclei", {}, "Nuclei"),
        (BLUR, "image", None, {"channel": "layer"}, "1. Blur · DAPI"),
        (BLUR, "image", None, {"channel": "layer", "well": "layer", "site": "layer"}, "1. Blur · site 1 · DAPI · A01"),
        (MANUAL, "points", None, {}, "manual_view points"),
    ],
)
def test_titles(who, kind, given, modes, words):
    assert title(who, kind, given, {**STACK, **modes}, ORDER, AT, {"channel": {"1": "DAPI"}}) == words


def test_values_are_in_the_order_a_person_expects():
    assert sorted(["B10", "A10", "A2", "B1", 10, 9, "x"], key=sort_key) == [9, 10, "A2", "A10", "B1", "B10", "x"]
    assert [component_value(n, v) for n, v in [("site", "07"), ("well", "07"), ("z_index", 2.0), ("site", "a")]] == [7, "07", 2, "a"]
    assert value_label("channel", 2, {"channel": {"2": None}}) == "channel 2"


def test_time_is_the_last_of_the_axes_and_axes_only_grow():
    axes = Axes()
    assert axes.extend_names(ORDER, {"site", "timepoint", "well"})
    assert axes.names == ("site", "well", "timepoint")
    assert not axes.extend_names(ORDER, {"well"})
    assert axes.extend_names(ORDER, {"z_index"})
    assert axes.names == ("site", "z_index", "well", "timepoint")
    assert axes.shape == (1, 1, 1, 1)
    assert axes.extend("well", ["B1", "A1"]) and not axes.extend("well", ["A1"]) and not axes.extend("channel", [1])
    assert axes.values["well"] == ["A1", "B1"]
    assert axes.key({**AT, "well": "B1"}) == (1, 1, "B1", 1)
    assert axes.key_at((0, 0, 1, 0)) == (None, None, "B1", None)

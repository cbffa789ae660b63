# SPDX-License-Identifier: MIT
"""The data channel's messages: JSON to checked items. An item that is wrong is a refusal with its reason; the others go on."""

from __future__ import annotations

import json
import math
import re
from dataclasses import dataclass
from typing import Any

import numpy as np

from tilecast_napari.errors import WireError
from tilecast_napari.planes import StoredPlane
from tilecast_napari.projection import COMPONENTS, MODES, component_value

MAX_MESSAGE_BYTES = 64 * 2**20
DTYPES = ("bool", "uint8", "uint16", "uint32", "int8", "int16", "int32", "float32", "float64")
# Only from senders that want a copy: label images of OpenHCS's functions often have them.
_COPIED_DTYPES = (*DTYPES, "int64", "uint64", "float16")
_LABEL_DTYPES = tuple(d for d in _COPIED_DTYPES if "int" in d)
_KINDS = ("image", "labels", "shapes", "points", "tracks", "table")
_MAX_SIDE = 2**20


@dataclass(frozen=True)
class Config:
    """How a batch wants to be shown."""

    modes: dict[str, str]
    order: list[str]
    separate_sizes: bool
    is_tilecast: bool
    colormap: str
    colormaps: dict[str, str]
    contrast: dict[str, tuple[float, float]]
    names: dict[str, dict[str, Any]]
    domain: dict[str, list]


@dataclass(frozen=True)
class Item:
    """One payload, checked as far as that is possible without looking at its pixels."""

    index: int
    kind: str
    identity: dict[str, Any]
    components: dict[str, Any]
    is_tilecast: bool
    title: str | None
    shape: tuple[int, ...]
    dtype: np.dtype | None
    is_rgb: bool
    shm_name: str | None
    inline: Any
    store: StoredPlane | None
    plane_component: tuple[str, list] | None
    shapes: list[dict]
    tracks: list[list[float]]
    table: dict[str, Any] | None
    image_id: str | None
    return_route: dict[str, Any] | None
    producer: dict[str, Any] | None
    spacing: tuple[float, ...] | None
    origin: tuple[float, float] | None


@dataclass(frozen=True)
class Refusal:
    index: int
    message: str
    item: dict[str, Any]


@dataclass(frozen=True)
class Batch:
    config: Config
    items: list[Item]
    refused: list[Refusal]


def parse_json(message: bytes) -> Any:
    """NaN and Infinity are numbers here, as Python's senders write them."""
    if len(message) > MAX_MESSAGE_BYTES:
        raise WireError(f"the message has {len(message)} bytes and at most {MAX_MESSAGE_BYTES} are taken")
    try:
        return json.loads(message.decode("utf-8"))
    except (ValueError, RecursionError) as error:
        raise WireError(f"the message is no JSON: {error}") from error


def parse_batch(message: Any) -> Batch:
    if not isinstance(message, dict):
        raise WireError(f"expected a JSON object, and got {_kind(message)}")
    if message.get("type") != "batch":
        raise WireError(f"Unsupported napari message type: {message.get('type')!r}. Expected 'batch'")
    images = message.get("images")
    if not isinstance(images, list):
        raise WireError("Napari batch message missing required field: 'images', a list")
    config = _config(message)
    items, refused = [], []
    for index, given in enumerate(images):
        try:
            items.append(_item(index, given, config))
        except WireError as error:
            refused.append(Refusal(index, str(error), given if isinstance(given, dict) else {}))
    return Batch(config, items, refused)


def _config(message: dict) -> Config:
    display = _object(message.get("display_config"), "display_config")
    order = display.get("component_order", list(COMPONENTS))
    if not isinstance(order, list) or not all(isinstance(n, str) and n for n in order) or not 0 < len(order) <= 16:
        raise WireError("display_config.component_order: expected a list of up to 16 component names")
    order = list(dict.fromkeys(order))
    modes = _object(display.get("component_modes"), "display_config.component_modes")
    for name, mode in modes.items():
        if mode not in MODES:
            raise WireError(f"{mode!r} is not a valid mode of {name}: expected stack or layer")
    modes = {name: modes.get(name, "stack") for name in order}
    if display.get("variable_size_handling") == "separate_layers" and "well" in modes:
        modes["well"] = "layer"  # as OpenHCS does
    own = _object(display.get("tilecast"), "display_config.tilecast")
    contrast = {}
    for channel, limits in _object(own.get("contrast"), "display_config.tilecast.contrast").items():
        if not (isinstance(limits, list) and len(limits) == 2 and all(_finite(v) for v in limits) and limits[0] < limits[1]):
            raise WireError(f"display_config.tilecast.contrast.{channel}: expected [low, high] with low < high")
        contrast[channel] = (float(limits[0]), float(limits[1]))
    colormaps = _object(own.get("colormaps"), "display_config.tilecast.colormaps")
    names = _object(message.get("component_names_metadata"), "component_names_metadata")
    domain = _object(message.get("component_value_domain"), "component_value_domain")
    for name, values in domain.items():
        if not isinstance(values, list) or not all(_is_value(v) for v in values):
            raise WireError(f"component_value_domain.{name}: expected a list of texts and numbers")
    return Config(
        modes,
        order,
        display.get("variable_size_handling") == "separate_layers",
        isinstance(display.get("tilecast"), dict),
        str(display.get("colormap") or "gray"),
        {str(k): str(v) for k, v in colormaps.items()},
        contrast,
        {n: _object(v, f"component_names_metadata.{n}") for n, v in names.items()},
        {n: [component_value(n, v) for v in values] for n, values in domain.items()},
    )


def _item(index: int, given: Any, config: Config) -> Item:
    item = _object(given, f"images[{index}]")
    own = item.get("tilecast")
    is_tilecast = isinstance(own, dict) or config.is_tilecast
    own = own if isinstance(own, dict) else {}
    kind = item.get("data_type", "image")
    if kind == "rois":
        raise WireError("data_type rois are ImageJ's, for Fiji; napari takes shapes")
    if kind not in _KINDS:
        raise WireError(f"data_type: expected one of {', '.join(_KINDS)}, and got {kind!r}")
    components = _components(item, config)
    metadata = _object(item.get("image_metadata"), "image_metadata")
    shape, dtype, rgb, store, plane_component = (), None, False, None, None
    if kind in ("image", "labels"):
        store = _store(own.get("store"))
        shape = _shape(item.get("shape"))
        dtype = _dtype(item.get("dtype"), kind, copied=not is_tilecast)
        if item.get("shm_name") is None and item.get("data") is None and store is None:
            raise WireError("an image needs shm_name, data, or tilecast.store")
        if item.get("shm_name") is not None and not isinstance(item["shm_name"], str):
            raise WireError("shm_name: expected a text")
        plane_component = _plane_component(item, metadata, shape)
        plane = shape[1:] if plane_component else shape
        rgb = len(plane) == 3
        if len(plane) not in (2, 3) or (rgb and (plane[2] not in (3, 4) or kind == "labels")):
            raise WireError(
                f"shape: expected [y, x] or [y, x, 3], and got {list(shape)}; more axes need plane_component_values"
            )
        if store is not None and plane_component:
            raise WireError("tilecast.store names one plane: send such planes one by one")
    return Item(
        index,
        kind,
        _identity(item),
        components,
        is_tilecast,
        str(own["title"]) if own.get("title") else None,
        shape,
        dtype,
        rgb,
        item.get("shm_name"),
        item.get("data"),
        store,
        plane_component,
        _shapes(item.get("shapes")) if kind in ("shapes", "points") else [],
        _tracks(own.get("tracks")) if kind == "tracks" else [],
        _table(own.get("table")) if kind == "table" else None,
        str(item["image_id"]) if item.get("image_id") else None,
        item["return_route"] if isinstance(item.get("return_route"), dict) else None,
        item["producer"] if isinstance(item.get("producer"), dict) else None,
        _spacing(metadata),
        _origin(item, metadata),
    )


def _components(item: dict, config: Config) -> dict[str, Any]:
    given = _object(item.get("metadata"), "metadata")
    missing = [n for n in config.order if n not in given]
    if missing:
        raise WireError(f"metadata: the components {', '.join(missing)} are missing")
    bad = [n for n in config.order if not _is_value(given[n])]
    if bad:
        raise WireError(f"metadata.{bad[0]}: expected a text or a number, and got {_kind(given[bad[0]])}")
    return {n: component_value(n, given[n]) for n in config.order}


def _identity(item: dict) -> dict[str, Any]:
    identity = item.get("producer_identity")
    if not isinstance(identity, dict):
        raise WireError("Napari image message missing required payload field 'producer_identity'")
    for field in ("origin", "output_kind", "output_key", "projection_key"):
        if not isinstance(identity.get(field), str) or not identity[field]:
            raise WireError(f"producer_identity.{field}: expected a text that is not empty")
    position = identity.get("pipeline_position")
    if position is not None and not (isinstance(position, int) and not isinstance(position, bool)):
        raise WireError("producer_identity.pipeline_position: expected a whole number or null")
    return identity


def _shape(given: Any) -> tuple[int, ...]:
    whole = isinstance(given, list) and all(isinstance(n, int) and not isinstance(n, bool) for n in given)
    if not whole or not all(0 <= n <= _MAX_SIDE for n in given):
        raise WireError(f"shape: expected whole numbers from 0 to {_MAX_SIDE}, and got {given!r}"[:200])
    return tuple(given)


def _dtype(given: Any, kind: str, copied: bool) -> np.dtype:
    allowed = _COPIED_DTYPES if copied else DTYPES
    try:
        dtype = np.dtype(given) if isinstance(given, str) and re.fullmatch(r"[<>=|]?[a-z]+\d{0,2}", given) else None
    except TypeError:
        dtype = None
    if dtype is None or dtype.newbyteorder("=").name not in allowed or (not copied and not dtype.isnative):
        raise WireError(f"dtype: expected one of {', '.join(allowed)}, and got {str(given)[:40]!r}")
    if kind == "labels" and dtype.newbyteorder("=").name not in _LABEL_DTYPES:
        raise WireError(f"dtype: labels are of an integer dtype, and got {given!r}")
    return dtype


def _store(given: Any) -> StoredPlane | None:
    if given is None:
        return None
    store = _object(given, "tilecast.store")
    path, array, index = store.get("path"), store.get("array", "0"), store.get("index")
    if not isinstance(path, str) or not path.startswith("/") or "\0" in path:
        raise WireError("tilecast.store.path: expected an absolute path")
    if not isinstance(array, str) or ".." in array.split("/") or "\0" in array:
        raise WireError("tilecast.store.array: expected the name of an array in the group")
    if not isinstance(index, list) or not all(isinstance(i, int) and not isinstance(i, bool) and i >= 0 for i in index):
        raise WireError("tilecast.store.index: expected a list of whole numbers >= 0")
    return StoredPlane(path, array, tuple(index))


def _plane_component(item: dict, metadata: dict, shape: tuple[int, ...]) -> tuple[str, list] | None:
    if item.get("plane_axis") is None and metadata.get("plane_axis") is None:
        return None
    values = _object(item.get("plane_component_values"), "plane_component_values")
    if len(values) != 1:
        raise WireError("plane_component_values: expected exactly one component")
    ((name, along),) = values.items()
    if not isinstance(along, list) or not shape or len(along) != shape[0] or not all(_is_value(v) for v in along):
        raise WireError(f"plane_component_values.{name}: expected a value for each of the {shape[:1]} planes")
    return name, [component_value(name, v) for v in along]


def _shapes(given: Any) -> list[dict]:
    if not isinstance(given, list):
        raise WireError("shapes: expected a list")
    out = []
    for index, shape in enumerate(given):
        shape = _object(shape, f"shapes[{index}]")
        kind = shape.get("type")
        if kind not in ("polygon", "path", "ellipse", "point", "points"):
            raise WireError(f"shapes[{index}].type: expected polygon, path, ellipse or point, and got {kind!r}")
        coordinates = shape.get("coordinates")
        if coordinates is None and kind == "ellipse":
            coordinates = _corners(shape, index)
        try:
            vertices = np.asarray(coordinates, dtype=np.float64).reshape(-1, 2)
        except (ValueError, TypeError) as error:
            raise WireError(f"shapes[{index}].coordinates: expected [[y, x], ...]") from error
        least = {"polygon": 3, "path": 2, "ellipse": 4}.get(kind, 1)
        if len(vertices) < least or not np.isfinite(vertices).all():
            raise WireError(f"shapes[{index}].coordinates: a {kind} needs at least {least} finite [y, x]")
        # 2-D float data: what napari's own shapes are.
        metadata = shape.get("metadata")
        out.append({"type": kind, "vertices": vertices, "metadata": metadata if isinstance(metadata, dict) else {}})
    return out


def _corners(shape: dict, index: int) -> list[list[float]]:
    try:
        (cy, cx), (ry, rx) = shape["center"], shape["radii"]
        return [[cy - ry, cx - rx], [cy - ry, cx + rx], [cy + ry, cx + rx], [cy + ry, cx - rx]]
    except (KeyError, TypeError, ValueError) as error:
        raise WireError(f"shapes[{index}]: an ellipse needs coordinates, or center and radii") from error


def _tracks(given: Any) -> list[list[float]]:
    if not isinstance(given, list) or not all(
        isinstance(row, list) and len(row) == 4 and all(_finite(v) for v in row) for row in given
    ):
        raise WireError("tilecast.tracks: expected rows [id, t, y, x]")
    return given


def _table(given: Any) -> dict[str, Any]:
    table = _object(given, "tilecast.table")
    columns, rows = table.get("columns"), table.get("rows")
    if not isinstance(columns, list) or not all(isinstance(c, str) for c in columns):
        raise WireError("tilecast.table.columns: expected a list of texts")
    if not isinstance(rows, list) or not all(isinstance(r, list) and len(r) == len(columns) for r in rows):
        raise WireError(f"tilecast.table.rows: expected lists of {len(columns)} values")
    return {"title": str(table["title"]) if table.get("title") else None, "columns": columns, "rows": rows}


def _spacing(metadata: dict) -> tuple[float, ...] | None:
    spacing = metadata.get("source_voxel_spacing")
    if not isinstance(spacing, dict) or spacing.get("unit", "micrometers") not in ("micrometers", "micrometer", "um", "µm"):
        return None
    values = spacing.get("values_zyx")
    if not isinstance(values, list) or len(values) not in (2, 3) or not all(_finite(v) and v > 0 for v in values):
        return None
    return tuple(float(v) for v in values)


def _origin(item: dict, metadata: dict) -> tuple[float, float] | None:
    domain = metadata.get("source_spatial_domain")
    origin = domain.get("origin_yx") if isinstance(domain, dict) else item.get("spatial_origin_yx")
    if not isinstance(origin, list) or len(origin) != 2 or not all(_finite(v) for v in origin):
        return None
    return (float(origin[0]), float(origin[1]))


def _object(given: Any, name: str) -> dict:
    if given is None:
        return {}
    if not isinstance(given, dict):
        raise WireError(f"{name}: expected an object, and got {_kind(given)}")
    return given


def _is_value(value: Any) -> bool:
    return (isinstance(value, str) and bool(value)) or _finite(value)


def _finite(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)


def _kind(value: Any) -> str:
    return {dict: "an object", list: "a list", str: "a text", type(None): "null"}.get(type(value), type(value).__name__)

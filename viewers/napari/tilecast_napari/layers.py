# SPDX-License-Identifier: MIT
"""Makes and changes napari's layers for routes; everything here runs in the GUI thread."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import numpy as np
from napari.utils.notifications import show_warning
from qtpy.QtCore import QTimer

from tilecast_napari.tables import TableDock

if TYPE_CHECKING:
    from tilecast_napari.display import Display
    from tilecast_napari.routes import Route

_SHAPES_A_STEP = 100
_NAPARI_TYPES = {"polygon": "polygon", "path": "path", "ellipse": "ellipse", "point": "ellipse", "points": "ellipse"}


class LayerMaker:
    """One for a Display. `moved` and `sync` are told where the sliders stand."""

    def __init__(self, display: Display) -> None:
        self._display = display
        self._viewer = display.viewer
        self._tables: TableDock | None = None
        self._spacing: tuple[float, ...] | None = None
        self._zoom: float | None = None
        self._is_setting_contrast = False
        self._complaints: set[str] = set()

    # --------------------------------------------------------------------------------------------------------- all kinds

    def sync(self, route: Route, position: tuple, deadline: float) -> bool:
        """Brings a route's layer up to date. True when something on screen changed."""
        if route.array is not None:
            return self._sync_pixels(route, position)
        if route.kind == "table":
            self._sync_table(route)
            return True
        if route.kind == "tracks":
            self._sync_tracks(route, position)
        elif route.kind == "points":
            self._sync_points(route)
        else:
            self._sync_shapes(route, position, deadline)
        return True

    def unmount(self, route: Route) -> None:
        layer, route.layer = route.layer, None
        if layer is not None and layer in self._viewer.layers:
            self._viewer.layers.remove(layer)
        if route.kind == "table" and self._tables is not None:
            self._tables.remove(route.key)

    def has_more(self) -> bool:
        return any(r.waiting or r.is_rebuilt for r in self._display.routes.values() if not r.is_dismissed)

    def moved(self, position: tuple) -> None:
        """The sliders stand elsewhere: contrast is of that channel, tracks are of that field."""
        for route in self._display.routes.values():
            if route.layer is None:
                continue
            if route.contrast is not None:
                self._apply_contrast(route, position)
            elif route.kind == "tracks":
                self._sync_tracks(route, position)

    def learn_spacing(self, spacing: tuple[float, ...]) -> None:
        """The first pixel size that is known holds for layers without one, so that outlines lie on their image."""
        if self._spacing is not None:
            return
        self._spacing = spacing
        self._viewer.canvas.overlays.scale_bar.visible = True
        for route in self._display.routes.values():
            if route.layer is not None:
                route.layer.scale = self.scale(route)
                route.layer.units = self._units(route)

    def scale(self, route: Route) -> tuple[float, ...]:
        own = route.spacing or self._spacing
        z = self._spacing[0] if self._spacing and len(self._spacing) == 3 else 1.0
        names = self._names(route)
        return (*(z if n == "z_index" else 1.0 for n in names), *(own[-2:] if own else (1.0, 1.0)))

    def name_axes(self) -> None:
        names = (*self._display.axes.names, "y", "x")
        before = tuple(self._viewer.dims.axis_labels)
        if len(before) >= len(names):
            after = (*before[: len(before) - len(names)], *names)
            if after != before:
                self._viewer.dims.axis_labels = after

    def describe(self, text: str) -> None:
        """Which well, channel, ... is shown, in words."""
        overlay = self._viewer.canvas.overlays.text
        if text != overlay.text or overlay.visible != bool(text):
            overlay.position = "top_left"
            overlay.font_size = 12
            overlay.text, overlay.visible = text, bool(text)

    def complain(self, message: str) -> None:
        """Once a message: a store that is gone fails plane by plane."""
        kind = message.split(":")[-1]
        if kind not in self._complaints and len(self._complaints) < 20:
            self._complaints.add(kind)
            show_warning(f"tilecast: {message}")

    def _names(self, route: Route) -> tuple[str, ...]:
        return ("timepoint",) if route.kind == "tracks" else self._display.axes.names

    def _units(self, route: Route) -> tuple[str, ...]:
        has_z = self._spacing is not None and len(self._spacing) == 3
        leading = ("um" if n == "z_index" and has_z else "pixel" for n in self._names(route))
        return (*leading, *(("um", "um") if self._spacing else ("pixel", "pixel")))

    def _place(self, route: Route) -> dict[str, Any]:
        scale = self.scale(route)
        place: dict[str, Any] = {
            "name": route.title,
            "scale": scale,
            "units": self._units(route),
            "axis_labels": (*self._names(route), "y", "x"),
            "metadata": {"tilecast": {"route_key": route.key}},
        }
        if route.origin is not None:
            place["translate"] = (*(0.0 for _ in self._names(route)), *(o * s for o, s in zip(route.origin, scale[-2:], strict=True)))
        return place

    # ------------------------------------------------------------------------------------------------------------ pixels

    def _sync_pixels(self, route: Route, position: tuple) -> bool:
        if route.layer is None:
            self._mount_pixels(route, position)
            return True
        if route.is_resized:
            # The same object with a new shape: napari measures its axes again, and looks at the plane.
            route.layer.data = route.array
            self._apply_contrast(route, position)
            return True
        self._apply_contrast(route, position)
        if position not in route.dirty:
            return False
        route.layer.refresh(extent=False, highlight=False)
        return True

    def _mount_pixels(self, route: Route, position: tuple) -> None:
        array, viewer = route.array, self._viewer
        is_first = len(viewer.layers) == 0
        if route.kind == "labels":
            route.layer = viewer.add_labels(array, opacity=0.5, **self._place(route))
            route.layer.editable = False
        elif array.is_rgb:
            route.layer = viewer.add_image(array, rgb=True, multiscale=False, **self._place(route))
        else:
            low, high = self._limits(route, position) or _whole_range(array.dtype)
            route.layer = viewer.add_image(
                array,
                rgb=False,
                multiscale=False,
                colormap=self._colormap(route),
                contrast_limits=(low, high),
                blending="additive" if "channel" in route.fixed else "translucent_no_depth",
                **self._place(route),
            )
            route.layer.events.contrast_limits.connect(lambda _event, route=route: self._on_contrast(route))
        if route.kind == "image":
            self._put_below(route.layer)
        if is_first:
            # napari has fitted the first layer into the window.
            self._zoom = viewer.camera.zoom

    def _put_below(self, layer: Any) -> None:
        """Images under labels and outlines, whichever came first."""
        layers = self._viewer.layers
        ours = [r.layer for r in self._display.routes.values() if r.layer is not None and r.kind != "image"]
        lowest = min((layers.index(other) for other in ours), default=len(layers))
        if lowest < layers.index(layer):
            layers.move(layers.index(layer), lowest)

    def _colormap(self, route: Route) -> str:
        from napari.utils.colormaps import ensure_colormap

        try:
            ensure_colormap(route.colormap())
            return route.colormap()
        except Exception:
            self.complain(f"no colormap is called: {route.colormap()}")
            return "gray"

    def _limits(self, route: Route, position: tuple) -> tuple[float, float] | None:
        if route.contrast is None:
            return None
        if route.array.dtype == bool:
            return (0.0, 1.0)
        channel = route.channel(position, self._display.axes) if len(position) == len(self._display.axes.names) else None
        limits = route.contrast.limits(channel)
        if limits is None and route.dirty:
            limits = route.contrast.limits(route.channel(next(iter(route.dirty)), self._display.axes))
        return limits

    def _apply_contrast(self, route: Route, position: tuple) -> None:
        limits = self._limits(route, position)
        if limits is None or tuple(route.layer.contrast_limits) == limits:
            return
        self._is_setting_contrast = True
        try:
            low, high = route.layer.contrast_limits_range
            if limits[0] < low or limits[1] > high:
                route.layer.contrast_limits_range = (min(low, limits[0]), max(high, limits[1]))
            route.layer.contrast_limits = limits
        finally:
            self._is_setting_contrast = False

    def _on_contrast(self, route: Route) -> None:
        if not self._is_setting_contrast and route.layer is not None:
            low, high = route.layer.contrast_limits
            route.contrast.touched(route.channel(self._display.key_now(), self._display.axes), (float(low), float(high)))

    # ----------------------------------------------------------------------------------------------------------- vectors

    def _sync_shapes(self, route: Route, position: tuple, deadline: float) -> None:
        ndim = len(self._display.axes.names) + 2
        if route.layer is None:
            route.layer = self._viewer.add_shapes(ndim=ndim, **self._place(route))
            route.is_rebuilt = True
        layer = route.layer
        if route.is_rebuilt:
            layer.data = []
            route.waiting, route.offset, route.mounted, route.is_rebuilt = list(route.vectors), 0, [], False
        if position in route.waiting and route.offset == 0:
            route.waiting.remove(position)
            route.waiting.insert(0, position)
        while route.waiting:
            key = route.waiting[0]
            shapes = route.vectors[key][route.offset : route.offset + _SHAPES_A_STEP]
            if shapes:
                index = self._display.axes.index_of(key)
                layer.add(
                    [_with_index(index, _outline(s)) for s in shapes],
                    shape_type=[_NAPARI_TYPES[s["type"]] for s in shapes],
                    edge_width=self._line_width(),
                    edge_color="yellow",
                    face_color="transparent",
                )
                route.mounted += [s["metadata"] for s in shapes]
            route.offset += len(shapes)
            if route.offset >= len(route.vectors[key]):
                route.waiting.pop(0)
                route.offset = 0
            if time.monotonic() > deadline:
                break
        if not route.waiting:
            layer.features = _features(route.mounted)
            layer.selected_data = set()
            layer.editable = False

    def _line_width(self) -> float:
        """About a screen pixel where a whole image is looked at."""
        sides = [max(r.array.plane_shape[:2]) for r in self._display.routes.values() if r.array is not None]
        return max(1.0, max(sides, default=0) / 700)

    def _sync_points(self, route: Route) -> None:
        axes, rows, metadata = self._display.axes, [], []
        for key, shapes in route.vectors.items():
            index = axes.index_of(key)
            for shape in shapes:
                rows.append(_with_index(index, shape["vertices"]))
                metadata += [shape["metadata"]] * len(shape["vertices"])
        data = np.concatenate(rows) if rows else np.empty((0, len(axes.names) + 2))
        features = _features(metadata)
        if route.layer is None:
            route.layer = self._viewer.add_points(
                data,
                ndim=data.shape[1],
                features=features,
                size=max(5.0, 6 * self._line_width()),
                face_color="lime",
                border_width=0,
                **self._place(route),
            )
            route.layer.editable = False
        else:
            route.layer.data = data
            route.layer.features = features
        route.waiting, route.is_rebuilt = [], False

    def _sync_tracks(self, route: Route, position: tuple) -> None:
        """napari's tracks have one time axis and no others: those of the field on screen are mounted."""
        names = self._display.axes.names
        if "timepoint" not in names:
            raise ValueError("tracks need the mode stack for the component timepoint")
        time_index = names.index("timepoint")
        rows = [
            rows
            for key, rows in route.tracks.items()
            if len(position) == len(key) and all(a == b for i, (a, b) in enumerate(zip(key, position, strict=True)) if i != time_index)
        ]
        data = np.concatenate(rows) if rows else np.empty((0, 4))
        if len(data):
            data = data.copy()
            at = {value: i for i, value in enumerate(self._display.axes.values["timepoint"])}
            data[:, 1] = [at.get(t, 0) for t in data[:, 1]]
            data[:, 0] = np.floor(data[:, 0])
            data = data[np.lexsort((data[:, 1], data[:, 0]))]
        if route.layer is None and len(data):
            route.layer = self._viewer.add_tracks(data, **self._place(route))
        elif route.layer is not None:
            route.layer.visible = bool(len(data))
            if len(data):
                route.layer.data = data
        route.waiting, route.is_rebuilt = [], False

    def _sync_table(self, route: Route) -> None:
        if self._tables is None:
            is_as_it_was = self._viewer.camera.zoom == self._zoom
            self._tables = TableDock(self._viewer)
            if is_as_it_was:
                # The dock takes room from the picture; when it has taken it.
                QTimer.singleShot(0, self._viewer.reset_view)
        self._tables.show(route.key, route.title, list(route.tables.values()))
        route.waiting, route.is_rebuilt = [], False


def _with_index(index: tuple[int, ...], vertices: np.ndarray) -> np.ndarray:
    out = np.empty((len(vertices), len(index) + 2))
    out[:, : len(index)] = index
    out[:, len(index) :] = vertices
    return out


def _outline(shape: dict) -> np.ndarray:
    vertices = shape["vertices"]
    if shape["type"] in ("point", "points"):
        (y, x), r = vertices[0], 2
        return np.array([[y - r, x - r], [y - r, x + r], [y + r, x + r], [y + r, x - r]])
    return vertices


def _features(metadata: list[dict]) -> dict[str, list]:
    """Columns of what is a number or a text; what one has and another lacks is empty there."""
    names = dict.fromkeys(n for m in metadata for n, v in m.items() if isinstance(v, (int, float, str)))
    return {n: [m.get(n) if isinstance(m.get(n), (int, float, str)) else None for m in metadata] for n in names}


def _whole_range(dtype: np.dtype) -> tuple[float, float]:
    if dtype.kind in "iu":
        info = np.iinfo(dtype)
        return (float(max(0, info.min)), float(info.max))
    return (0.0, 1.0)

# SPDX-License-Identifier: MIT
"""The GUI thread's half: updates become layers in small slices of time, at most 20 times a second, what is on screen first."""

from __future__ import annotations

import logging
import time
from collections import deque
from typing import TYPE_CHECKING, Any

from qtpy.QtCore import QTimer, Signal

from tilecast_napari.layers import LayerMaker
from tilecast_napari.mailbox import HEARTBEAT_MS, Mailbox
from tilecast_napari.planes import PlaneArray
from tilecast_napari.projection import Axes, route_key, title, value_label
from tilecast_napari.routes import Route, absorb_vectors, new_contrast
from tilecast_napari.stores import StoreReader

if TYPE_CHECKING:
    from tilecast_napari.acks import Acknowledger, AckTarget
    from tilecast_napari.intake import Update
    from tilecast_napari.memory import Budget
    from tilecast_napari.planes import Plane

log = logging.getLogger(__name__)
_INTERVAL_S = 0.05
_SLICE_S = 0.012


class Display(Mailbox):
    """Shows what is delivered in `viewer`. Made in the GUI thread; `deliver`, `call` and `is_stalled` are safe from any."""

    changed = Signal()
    end_requested = Signal()

    def __init__(self, viewer: Any, budget: Budget, acknowledger: Acknowledger) -> None:
        super().__init__()
        self.viewer, self.budget, self.acknowledger = viewer, budget, acknowledger
        self.axes = Axes()
        self.routes: dict[str, Route] = {}
        self.follow = False
        self.shown = 0
        self.total = 0
        self.failures: list[str] = []
        self.epoch = 0
        self.reader = StoreReader(budget, self._on_loaded)
        self.layers = LayerMaker(self)
        self._queue: deque[Update] = deque()
        self._loaded: deque[Plane] = deque()
        self._drawn_acks: list[AckTarget] = []
        self._ready_acks: list[AckTarget] = []
        self._last_sync = 0.0
        self._config: Any = None
        self._position: tuple | None = None
        self._is_moving = False
        self._has_moved = False
        self._timer = QTimer(self)
        self._timer.setSingleShot(True)
        self._timer.timeout.connect(self._pump)
        viewer.dims.events.current_step.connect(self._on_step)
        viewer.layers.events.removed.connect(self._on_removed)
        self._canvas = viewer.window._qt_viewer.canvas._scene_canvas
        self._canvas.events.draw.connect(self._on_drawn)

    # ------------------------------------------------------------------------------------------------- from any thread

    def deliver(self, updates: list[Update]) -> None:
        self._queue.extend(updates)
        self.wake()

    def _on_loaded(self, plane: Plane) -> None:
        self._loaded.append(plane)
        self.wake()

    # ---------------------------------------------------------------------------------------------------- the GUI thread

    @property
    def waiting(self) -> int:
        return len(self._queue) + self.reader.waiting + sum(len(r.waiting) + r.is_rebuilt for r in self.routes.values())

    def key_now(self) -> tuple:
        """The components that the sliders stand at."""
        count = len(self.axes.names)
        steps = self.viewer.dims.current_step[:-2][-count:] if count else ()
        steps = (0,) * (count - len(steps)) + tuple(steps)
        shape = self.axes.shape
        return self.axes.key_at(tuple(min(max(0, s), n - 1) for s, n in zip(steps, shape, strict=True)))

    def go_to(self, key: tuple) -> None:
        """Moves the sliders; what is no axis of the viewer yet is left out."""
        count = len(self.axes.names)
        first = self.viewer.dims.ndim - 2 - count
        self._is_moving = True
        try:
            for i, index in enumerate(self.axes.index_of(key)):
                if first + i >= 0 and self.viewer.dims.current_step[first + i] != index:
                    self.viewer.dims.set_current_step(first + i, index)
        finally:
            self._is_moving = False
        self._on_position()

    def clear(self) -> None:
        """Forgets everything and removes its layers."""
        while self._queue:
            for plane in self._queue.popleft().planes:
                self.budget.drop(plane)
        for route in list(self.routes.values()):
            self._forget(route)
            self.layers.unmount(route)
        self.routes.clear()
        self.axes.clear()
        self._config = self._position = None
        self._has_moved = False
        self.failures = []
        self.shown = self.total = 0
        self.layers.describe("")
        self.changed.emit()

    def close(self) -> None:
        self.stop_calls()
        self._timer.stop()
        self.reader.stop()
        for events, callback in (
            (self.viewer.dims.events.current_step, self._on_step),
            (self.viewer.layers.events.removed, self._on_removed),
            (self._canvas.events.draw, self._on_drawn),
        ):
            try:
                events.disconnect(callback)
            except (RuntimeError, ValueError):
                pass  # the window is gone already

    def settle(self, seconds: float) -> None:
        """Draws what waits, for so long at most."""
        deadline = time.monotonic() + seconds
        while self._queue and time.monotonic() < deadline:
            self._apply_some(deadline)
        self._sync(deadline)

    def attend(self) -> None:
        if (self._queue or self._loaded) and not self._timer.isActive():
            wait = self._last_sync + _INTERVAL_S - time.monotonic()
            self._timer.start(max(0, int(wait * 1000)))

    def _pump(self) -> None:
        deadline = time.monotonic() + _SLICE_S
        try:
            self._apply_some(deadline)
            if not self._queue or time.monotonic() - self._last_sync > _INTERVAL_S:
                self._sync(deadline)
        finally:
            if self._queue:
                self._timer.start(0)
            elif self.layers.has_more():
                self._timer.start(int(_INTERVAL_S * 1000 / 2))

    def _apply_some(self, deadline: float) -> None:
        while self._queue:
            update = self._queue.popleft()
            if update.epoch < self.epoch:
                for plane in update.planes:
                    self.budget.drop(plane)
                continue
            self.total += 1
            try:
                self._apply(update)
            except Exception as error:
                log.exception("an update could not be shown")
                self.failures.append(str(error))
                for plane in update.planes:
                    self.budget.drop(plane)
                if update.ack:
                    self.acknowledger.send(update.ack, f"the viewer failed: {error}")
            if time.monotonic() > deadline:
                return

    def _apply(self, update: Update) -> None:
        config, item = update.config, update.item
        if config is not self._config:
            self._extend_axes(config)
            self._config = config
        route = self._route(update)
        if item.spacing:
            route.spacing = item.spacing
            self.layers.learn_spacing(item.spacing)
        if item.kind in ("image", "labels"):
            for plane in update.planes:
                self._put(route, plane)
        else:
            self._extend_values(item.components)
            if item.kind == "tracks" and "timepoint" in self.axes.names:
                self._grow(self.axes.extend("timepoint", sorted({_whole(row[1]) for row in item.tracks})))
            absorb_vectors(route, item, self.axes.key(item.components))
        self.shown += 1
        if update.ack:
            self._ready_acks.append(update.ack)

    def _put(self, route: Route, plane: Plane) -> None:
        if route.is_dismissed:
            self.budget.drop(plane)
            return
        self._extend_values(plane.components)
        array, key = route.array, self.axes.key(plane.components)
        shape = array.plane_shape
        before = array.put(key, plane)
        if before is not None:
            self.budget.drop(before)
        route.is_resized |= array.plane_shape != shape
        route.dirty.add(key)
        pixels = plane.pixels
        if route.contrast is not None and pixels is not None:
            route.contrast.look_at(route.channel(key, self.axes), pixels)

    def _route(self, update: Update) -> Route:
        config, item = update.config, update.item
        key = route_key(item.identity, item.kind, config.modes, config.order, item.components, item.is_rgb)
        has_pixels = item.kind in ("image", "labels")
        if has_pixels:
            plane = update.planes[0]
            known = self.routes.get(key)
            if known is not None and known.array.dtype != plane.dtype:
                key += f"_{plane.dtype.name}"
            known = self.routes.get(key)
            if known is not None and config.separate_sizes and known.array.plane_shape[:2] != plane.shape[:2]:
                key += f"_{plane.shape[0]}x{plane.shape[1]}"
        route = self.routes.get(key)
        if route is None:
            fixed = {n: item.components[n] for n in config.order if config.modes[n] == "layer"}
            name = title(item.identity, item.kind, item.title, config.modes, config.order, item.components, config.names)
            route = self.routes[key] = Route(key, name, item.kind, config, fixed, origin=item.origin)
            if has_pixels:
                route.array = PlaneArray(self.axes, update.planes[0].dtype, item.is_rgb, self.reader.fetch)
                if item.is_rgb:
                    route.array.plane_shape = (0, 0, item.shape[-1])
                elif item.kind == "image":
                    route.contrast = new_contrast(config)
        route.config = config
        return route

    # -------------------------------------------------------------------------------------------------------------- axes

    def _extend_axes(self, config: Any) -> None:
        names = self.axes.names
        if self.axes.extend_names(config.order, {n for n, mode in config.modes.items() if mode == "stack"}):
            if names:
                self._rekey(names)
            self._position = None
        grew = [self.axes.extend(name, values) for name, values in config.domain.items()]
        self._grow(any(grew))

    def _extend_values(self, components: dict[str, Any]) -> None:
        grew = [self.axes.extend(name, [components[name]]) for name in self.axes.names if name in components]
        self._grow(any(grew))

    def _grow(self, grew: bool) -> None:
        if grew:
            for route in self.routes.values():
                route.is_resized = True
                # Vertices hold indices, which may have moved.
                route.is_rebuilt |= bool(route.vectors or route.tracks)

    def _rekey(self, names: tuple[str, ...]) -> None:
        """There are more axes than when these planes came: layers are mounted anew."""
        for route in self.routes.values():
            self.layers.unmount(route)
            if route.array is not None:
                planes = list(route.array.planes.values())
                route.array.planes = {self.axes.key(p.components): p for p in planes}
                for plane in planes:
                    self._extend_values(plane.components)
            for table in (route.vectors, route.tracks, route.tables):
                moved = {self.axes.key({**route.fixed, **dict(zip(names, k, strict=True))}): v for k, v in table.items()}
                table.clear()
                table.update(moved)
            route.is_rebuilt = route.array is None
            route.dirty.add(())

    # ------------------------------------------------------------------------------------------------------------ layers

    def _sync(self, deadline: float) -> None:
        self._last_sync = time.monotonic()
        position = self._position or self.key_now()
        while self._loaded:
            plane = self._loaded.popleft()
            if plane.error:
                self.failures.append(plane.error)
                self.layers.complain(plane.error)
            for route in self.routes.values():
                key = self.axes.key(plane.components)
                if route.array is not None and route.array.planes.get(key) is plane:
                    route.dirty.add(key)
                    if route.contrast is not None and plane.pixels is not None:
                        route.contrast.look_at(route.channel(key, self.axes), plane.pixels)
        newest = None
        refreshed = False
        for route in list(self.routes.values()):
            if route.is_dismissed or not (route.dirty or route.is_resized or route.waiting or route.is_rebuilt):
                continue
            newest = next(reversed(list(route.dirty)), newest) if route.dirty else newest
            try:
                refreshed |= self.layers.sync(route, position, deadline)
            except Exception as error:
                log.exception("the layer %s could not be shown", route.key)
                self.failures.append(f"{route.title}: {error}")
                route.waiting, route.is_rebuilt = [], False
            route.dirty.clear()
            route.is_resized = False
        if self.routes:
            self._settle_position(position, newest)
        acks, self._ready_acks = self._ready_acks, []
        if refreshed:
            self._drawn_acks += acks
            QTimer.singleShot(HEARTBEAT_MS, self._flush_acks)
        else:
            for ack in acks:
                self.acknowledger.send(ack)
        self.changed.emit()

    def _settle_position(self, position: tuple, newest: tuple | None) -> None:
        """Keeps the sliders on the same components when axes grew; goes to what came where nothing is to be seen yet, or when following."""
        has_any = any(r.array is not None and position in r.array.planes for r in self.routes.values())
        if newest and (self.follow or not (has_any or self._has_moved)):
            position = newest
        self.layers.name_axes()
        self.go_to(position)

    def _on_step(self, _event: Any = None) -> None:
        if not self._is_moving:
            self._has_moved |= bool(self.routes)
            self._on_position()

    def _on_position(self) -> None:
        if not self.routes:
            return
        key = self.key_now()
        if key != self._position:
            self._position = key
            self.layers.moved(key)
        labels = [
            value_label(name, value, self._config.names if self._config else {})
            for name, value in zip(self.axes.names, key, strict=True)
            if value is not None and (len(self.axes.values[name]) > 1 or name == "well")
        ]
        self.layers.describe("  ·  ".join(reversed(labels)))
        self.budget.protect(
            [p for r in self.routes.values() if r.array is not None and (p := r.array.planes.get(key)) is not None]
        )

    def _on_removed(self, event: Any) -> None:
        for route in self.routes.values():
            if route.layer is not None and route.layer is event.value:
                route.layer, route.is_dismissed = None, True
                self._forget(route)

    def _forget(self, route: Route) -> None:
        if route.array is not None:
            for plane in route.array.planes.values():
                self.budget.drop(plane)
            route.array.planes = {}
        route.vectors.clear()
        route.tracks.clear()
        route.waiting = []

    # ------------------------------------------------------------------------------------------------------------ events

    def _on_drawn(self, _event: Any = None) -> None:
        if self._drawn_acks:
            # After this event: the drawing itself is still going on.
            QTimer.singleShot(0, self._flush_acks)

    def _flush_acks(self) -> None:
        """Also some time after, since a window that is covered or small is not drawn."""
        acks, self._drawn_acks = self._drawn_acks, []
        for ack in acks:
            self.acknowledger.send(ack)


def _whole(value: float) -> int | float:
    return int(value) if float(value).is_integer() else value

# SPDX-License-Identifier: MIT
"""The control channel's requests: ping at once, everything else in the GUI thread, with an answer even when that is busy."""

from __future__ import annotations

import base64
import os
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import psutil

from tilecast_napari import __version__
from tilecast_napari.endpoints import CONTROL_OFFSET
from tilecast_napari.errors import WireError
from tilecast_napari.pickles import Opaque

if TYPE_CHECKING:
    from collections.abc import Callable

    from tilecast_napari.receiver import Receiver

PROTOCOL = 1
_CAPABILITIES = ["force_shutdown", "ping", "shutdown"]
_GUI_TIMEOUT_S = 20
_MAX_READ_BYTES = 32 * 2**20
# Payload classes of OpenHCS whose instances come as bare lists.
_FIELDS = {
    "ViewerNavigationControlOptions": ("route_key", "axis_indices", "visible", "selected", "data_index"),
    "ViewerStateControlOptions": ("route_key",),
}


class Controls:
    """Answers requests; `handle` is called in the control thread."""

    def __init__(self, receiver: Receiver) -> None:
        self._receiver = receiver
        self._process = psutil.Process()
        self._process.cpu_percent()
        self._in_gui: dict[str, tuple[str, Callable[[dict], dict]]] = {
            "clear_state": ("clear_state_ack", self._clear),
            "settle": ("settle_ack", self._settle),
            "state": ("state_ack", self._state),
            "navigate": ("navigation_ack", self._navigate),
            "screenshot": ("screenshot_ack", self._screenshot),
            "read_plane": ("read_plane_ack", self._find_plane),
        }

    def handle(self, request: dict) -> dict[str, Any]:
        kind = request["type"]
        if kind == "ping":
            return self._pong()
        if kind in ("shutdown", "force_shutdown"):
            self._receiver.request_end()
            return {"type": "shutdown_ack", "status": "success", "message": "Napari viewer shutting down"}
        if kind not in self._in_gui:
            raise WireError(f"Unsupported Napari control message: {kind!r}.")
        ack, work = self._in_gui[kind]
        try:
            payload = _payload(request.get("payload"))
            answer = self._receiver.display.call(lambda: work(payload), _GUI_TIMEOUT_S)
            if kind == "read_plane":
                answer = self._read_plane(answer)
        except TimeoutError:
            return {"status": "error", "type": ack, "message": f"the viewer's window is busy and did not answer within {_GUI_TIMEOUT_S} s"}
        except (WireError, OSError, RuntimeError, ValueError) as error:
            return {"status": "error", "type": ack, "message": str(error)}
        return {"status": "success", "type": ack, **answer}

    def _pong(self) -> dict[str, Any]:
        receiver = self._receiver
        memory = self._process.memory_info().rss / 2**20
        cpu = self._process.cpu_percent()
        pong = {
            "type": "pong",
            "port": receiver.port,
            "control_port": receiver.port + CONTROL_OFFSET,
            "ready": time.monotonic() - receiver.display.beat < 30,
            "server": "TilecastNapariViewer",
            "server_type": "napari",
            "server_role": "viewer",
            "control_capabilities": list(_CAPABILITIES),
            "process_identity": {"pid": os.getpid(), "create_time": self._process.create_time()},
            "memory_mb": memory,
            "cpu_percent": cpu,
            "tilecast": receiver.status(),
        }
        if receiver.log_file:
            pong["log_file_path"] = receiver.log_file
        return pong

    def _clear(self, _payload: dict) -> dict:
        self._receiver.clear()
        return {"message": "Component groups cleared"}

    def _settle(self, _payload: dict) -> dict:
        display = self._receiver.display
        display.settle(0.2)
        failures, total = display.failures, display.total + display.waiting
        if display.waiting:
            return {"settle_phase": "running", "completed_update_count": display.total, "total_update_count": total}
        display.failures = []
        answer = {
            "settle_phase": "failed" if failures else "complete",
            "completed_update_count": display.total,
            "total_update_count": total,
        }
        if failures:
            answer |= {"status": "error", "message": "; ".join(failures[:5])}
        return answer

    def _state(self, payload: dict) -> dict:
        display = self._receiver.display
        wanted = payload.get("route_key")
        layers = []
        for route in display.routes.values():
            if wanted and route.key != wanted:
                continue
            layer, array = route.layer, route.array
            limits = getattr(layer, "contrast_limits", None)
            layers.append(
                {
                    "route_key": route.key,
                    "title": route.title,
                    "kind": route.kind,
                    "shape": [int(n) for n in (array.shape if array is not None else (*display.axes.shape, 0, 0))],
                    "dtype": array.dtype.name if array is not None else None,
                    "axes": [*display.axes.names, "y", "x"],
                    "axis_values": {n: list(display.axes.values[n]) for n in display.axes.names},
                    "scale": [float(s) for s in display.layers.scale(route)],
                    "visible": bool(layer is not None and layer.visible),
                    "contrast": [float(v) for v in limits] if limits is not None else None,
                    "planes": route.count(),
                    "resident": sum(p.pixels is not None for p in array.planes.values()) if array is not None else 0,
                    "items": _items(route),
                }
            )
        position = dict(zip(display.axes.names, display.key_now(), strict=True)) if layers else {}
        return {"layers": layers, "layer_count": len(layers), "position": position}

    def _navigate(self, payload: dict) -> dict:
        display = self._receiver.display
        route = self._route(payload) if payload.get("route_key") else None
        key = self._key(payload)
        display.go_to(key)
        display.settle(0.1)
        if route is not None and route.layer is not None:
            if payload.get("visible") is not None:
                route.layer.visible = bool(payload["visible"])
            if payload.get("selected"):
                display.viewer.layers.selection = {route.layer}
        return {"position": dict(zip(display.axes.names, display.key_now(), strict=True))}

    def _screenshot(self, payload: dict) -> dict:
        path = payload.get("path")
        if not path and isinstance(payload.get("output_dir_path"), str):
            path = str(Path(payload["output_dir_path"]) / f"napari-{time.time():.3f}.png")
        if not isinstance(path, str) or not os.path.isabs(path):
            raise WireError("screenshot: expected the absolute path of a PNG file to write")
        if not Path(path).parent.is_dir():
            raise WireError(f"screenshot: there is no folder {Path(path).parent}")
        display = self._receiver.display
        display.settle(0.2)
        picture = display.viewer.screenshot(path, canvas_only=bool(payload.get("canvas_only", False)), flash=False)
        return {"path": path, "width": int(picture.shape[1]), "height": int(picture.shape[0])}

    def _find_plane(self, payload: dict) -> dict:
        route = self._route(payload)
        if route.array is None:
            raise WireError(f"read_plane: {route.key} has {route.kind} and no pixels")
        self._receiver.display.settle(0.2)
        plane = route.array.planes.get(self._key(payload))
        if plane is None:
            raise WireError(f"read_plane: no plane of {route.key} came for {payload.get('axis_indices')}")
        return {"plane": plane, "pixels": plane.pixels}

    def _read_plane(self, found: dict) -> dict:
        plane, pixels = found["plane"], found["pixels"]
        is_resident = pixels is not None
        if pixels is None:
            if plane.store is None:
                raise WireError("read_plane: the plane's memory is gone, and it has no store")
            pixels = self._receiver.display.reader.read(plane.store)
        if pixels.nbytes > _MAX_READ_BYTES:
            raise WireError(f"read_plane: the plane has {pixels.nbytes} bytes, and a reply takes {_MAX_READ_BYTES}")
        data = base64.b64encode(np.ascontiguousarray(pixels).tobytes()).decode("ascii")
        return {"shape": list(pixels.shape), "dtype": pixels.dtype.name, "data": data, "resident": is_resident}

    def _route(self, payload: dict) -> Any:
        route = self._receiver.display.routes.get(payload.get("route_key"))
        if route is None:
            known = ", ".join(self._receiver.display.routes) or "none"
            raise WireError(f"no layer has the route_key {payload.get('route_key')!r}; there are: {known}"[:2000])
        return route

    def _key(self, payload: dict) -> tuple:
        """The place that is asked for: components by value (OpenHCS: by index); what is not named stays."""
        display = self._receiver.display
        given = payload.get("axis_indices") or {}
        if not isinstance(given, dict):
            raise WireError("axis_indices: expected {component: value}")
        key = dict(zip(display.axes.names, display.key_now(), strict=True))
        for name, value in given.items():
            values = display.axes.values.get(name) if name in key else None
            if values is None:
                raise WireError(f"axis_indices: {name!r} is no axis; there are {', '.join(key) or 'none'}")
            if payload.get("is_by_index"):
                if not isinstance(value, int) or not 0 <= value < len(values):
                    raise WireError(f"axis_indices.{name}: expected an index below {len(values)}, and got {value!r}")
                key[name] = values[value]
            elif value in values:
                key[name] = value
            else:
                raise WireError(f"axis_indices.{name}: there is no {value!r} among {values[:50]}")
        return tuple(key.values())


def _items(route: Any) -> int:
    """Outlines, points, track vertices or rows."""
    if route.kind == "table":
        return sum(len(table["rows"]) for table, _ in route.tables.values())
    return sum(len(v) for v in (*route.vectors.values(), *route.tracks.values()))


def _payload(given: Any) -> dict[str, Any]:
    """A plain dict, or an instance of OpenHCS's dataclasses, whose state is a dict or a list in the order of its fields."""
    if given is None:
        return {}
    if isinstance(given, dict):
        return given
    if isinstance(given, Opaque):
        state = given.state if given.state is not None else list(given.args)
        if isinstance(state, dict):
            return {**state, "is_by_index": True}
        fields = _FIELDS.get(given.name.rsplit(".", 1)[-1])
        if fields and isinstance(state, (list, tuple)):
            return {**dict(zip(fields, state, strict=False)), "is_by_index": True}
    raise WireError("payload: expected a dict")


def status(receiver: Receiver) -> dict[str, Any]:
    """What the pong says of this viewer under `tilecast`."""
    display, budget = receiver.display, receiver.budget
    return {
        "protocol": PROTOCOL,
        "version": __version__,
        "keeps": True,
        "stores": receiver.reads_stores,
        "kinds": ["image", "labels", "shapes", "points", "tracks", "table"],
        "memory_budget": budget.limit,
        "memory_used": budget.used,
        "planes": sum(len(r.array.planes) for r in list(display.routes.values()) if r.array is not None),
        "resident": budget.resident,
        "shown": display.shown,
        "dropped": receiver.intake.dropped,
        "acks_dropped": receiver.acknowledger.dropped,
    }

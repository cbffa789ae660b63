# SPDX-License-Identifier: MIT
"""From a frame of the data channel to planes in memory and a reply; runs in the data thread and never waits for the GUI."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from tilecast_napari import memory
from tilecast_napari.acks import Acknowledger, AckTarget
from tilecast_napari.errors import BudgetError, WireError
from tilecast_napari.memory import Budget, SharedPixels
from tilecast_napari.planes import Plane
from tilecast_napari.wire import Config, Item, Refusal, parse_batch, parse_json

if TYPE_CHECKING:
    from collections.abc import Callable

    from tilecast_napari.endpoints import Endpoint


@dataclass(frozen=True)
class Update:
    """What the GUI thread gets to show. `epoch` says before which clearing it came."""

    config: Config
    item: Item
    planes: list[Plane]
    ack: AckTarget | None
    epoch: int


class Intake:
    """Takes batches. `is_stalled` says why nobody would show them, or None."""

    def __init__(
        self,
        budget: Budget,
        acknowledger: Acknowledger,
        deliver: Callable[[list[Update]], None],
        is_stalled: Callable[[], str | None],
    ) -> None:
        self._budget, self._acknowledger = budget, acknowledger
        self._deliver, self._is_stalled = deliver, is_stalled
        self._lock = threading.Lock()
        self.epoch = 0
        self.dropped = 0

    def receive(self, frame: bytes, endpoint: Endpoint) -> dict[str, Any]:
        batch = parse_batch(parse_json(frame))
        stalled = self._is_stalled()
        if stalled:
            return {"status": "error", "type": "batch", "message": stalled}
        updates: list[Update] = []
        kept: list[str] = []
        refused = list(batch.refused)
        full = 0
        with self._lock:
            epoch = self.epoch
            for item in batch.items:
                try:
                    planes = self._take(item, kept) if item.kind in ("image", "labels") else []
                    updates.append(Update(batch.config, item, planes, _target(item, endpoint), epoch))
                except BudgetError as error:
                    full += 1
                    refused.append(_refusal(item, str(error)))
                except (WireError, OSError, MemoryError, ValueError, TypeError, OverflowError) as error:
                    refused.append(_refusal(item, str(error) or type(error).__name__))
        self._deliver(updates)
        self.dropped += full
        return self._reply(batch.items, kept, refused, full, endpoint)

    def clear(self) -> None:
        """What came before this is forgotten, wherever it is on its way."""
        with self._lock:
            self.epoch += 1

    def _reply(
        self, items: list[Item], kept: list[str], refused: list[Refusal], full: int, endpoint: Endpoint
    ) -> dict[str, Any]:
        for refusal in refused:
            target = _target_of(refusal.item, endpoint)
            if target is not None:
                self._acknowledger.send(target, refusal.message)
        reply: dict[str, Any] = {"status": "success", "type": "batch"}
        if kept:
            reply["kept"] = kept
        if refused:
            reply["refused"] = [{"index": r.index, "message": r.message} for r in sorted(refused, key=lambda r: r.index)]
            # An OpenHCS sender looks at the status only. A full memory is not its fault and must not end its run.
            if len(refused) > full and not any(item.is_tilecast for item in items):
                reply["status"] = "error"
                reply["message"] = "; ".join(f"images[{r['index']}]: {r['message']}" for r in reply["refused"][:5])
        return reply

    def _take(self, item: Item, kept: list[str]) -> list[Plane]:
        pixels = None
        nbytes = int(np.prod(item.shape, dtype=np.int64)) * item.dtype.itemsize
        if item.shm_name is not None:
            shared = SharedPixels(item.shm_name, item.shape, item.dtype)
            try:
                pixels = self._pixels(item, shared, kept)
            finally:
                shared.close()
        elif item.inline is not None:
            self._budget.reserve(nbytes)
            try:
                pixels = np.asarray(item.inline, dtype=item.dtype).reshape(item.shape)
            except BaseException:
                self._budget.unreserve(nbytes)
                raise
        return self._planes(item, pixels)

    def _pixels(self, item: Item, shared: SharedPixels, kept: list[str]) -> np.ndarray | None:
        try:
            self._budget.reserve(shared.nbytes)
        except BudgetError:
            if item.store is not None:
                return None
            raise
        try:
            if not item.is_tilecast or memory.mappings() >= memory.MAX_MAPPINGS:
                return shared.copy()
            pixels = shared.map()
            # Before the reply: whoever dies now leaves nothing behind.
            memory.unlink(item.shm_name)
            kept.append(item.shm_name)
            return pixels
        except BaseException:
            self._budget.unreserve(shared.nbytes)
            raise

    def _planes(self, item: Item, pixels: np.ndarray | None) -> list[Plane]:
        dtype = item.dtype.newbyteorder("=")
        if pixels is not None and not pixels.dtype.isnative:
            pixels = pixels.astype(dtype)
        if item.plane_component is None:
            parts = [(item.components, item.shape, pixels)]
        else:
            name, values = item.plane_component
            parts = [({**item.components, name: v}, item.shape[1:], pixels[i]) for i, v in enumerate(values)]
        planes = []
        for components, shape, part in parts:
            plane = Plane(components, shape, dtype, item.store)
            if part is not None:
                self._budget.hold(plane, part)
            planes.append(plane)
        return planes


def _refusal(item: Item, message: str) -> Refusal:
    given = {"image_id": item.image_id, "return_route": item.return_route, "producer": item.producer}
    return Refusal(item.index, message, given)


def _target(item: Item, endpoint: Endpoint) -> AckTarget | None:
    if item.image_id is None:
        return None
    url = item.return_route.get("url") if item.return_route else endpoint.ack_url
    return AckTarget(item.image_id, url, item.return_route, item.producer)


def _target_of(given: dict[str, Any], endpoint: Endpoint) -> AckTarget | None:
    """Of an item that was refused, and may be damaged here as well."""
    image_id, route, producer = given.get("image_id"), given.get("return_route"), given.get("producer")
    if not isinstance(image_id, str):
        return None
    route = route if isinstance(route, dict) else None
    url = route.get("url") if route else endpoint.ack_url
    return AckTarget(image_id, url, route, producer if isinstance(producer, dict) else None)

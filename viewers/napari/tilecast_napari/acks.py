# SPDX-License-Identifier: MIT
"""Acknowledgements back to senders, from a thread that never makes the viewer wait."""

from __future__ import annotations

import json
import queue
import threading
import time
from collections import OrderedDict
from dataclasses import dataclass
from typing import Any

import zmq

from tilecast_napari.endpoints import is_local_url

_MAX_ROUTES = 16


@dataclass(frozen=True)
class AckTarget:
    """Whom to tell of an item, and as what."""

    image_id: str
    url: str
    return_route: dict[str, Any] | None
    producer: dict[str, Any] | None


class Acknowledger:
    """Sends what can be sent at once; the rest, of senders that are gone or do not listen, is dropped and counted."""

    def __init__(self, viewer_port: int) -> None:
        self.sent = 0
        self.dropped = 0
        self._port = viewer_port
        self._queue: queue.SimpleQueue[tuple[AckTarget, str | None, float] | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._run, name="tilecast-acks", daemon=True)
        self._thread.start()

    def send(self, target: AckTarget, error: str | None = None) -> None:
        self._queue.put((target, error, time.time()))

    def stop(self) -> None:
        self._queue.put(None)
        self._thread.join(2)

    def _run(self) -> None:
        context = zmq.Context()
        sockets: OrderedDict[str, zmq.Socket] = OrderedDict()
        while (entry := self._queue.get()) is not None:
            target, error, timestamp = entry
            if not is_local_url(target.url):
                self.dropped += 1
                continue
            message = {
                "type": "image_ack",
                "image_id": target.image_id,
                "viewer_port": self._port,
                "viewer_type": "napari",
                "status": "success" if error is None else "error",
                "timestamp": timestamp,
                "error": error,
                "return_route": target.return_route,
                "producer": target.producer,
            }
            try:
                self._socket(context, sockets, target.url).send(json.dumps(message).encode(), zmq.NOBLOCK)
                self.sent += 1
            except zmq.ZMQError:
                self.dropped += 1
        for socket in sockets.values():
            # What was just drawn before the end may still arrive.
            socket.close(200)
        context.term()

    @staticmethod
    def _socket(context: zmq.Context, sockets: OrderedDict[str, zmq.Socket], url: str) -> zmq.Socket:
        socket = sockets.get(url)
        if socket is None:
            socket = context.socket(zmq.PUSH)
            socket.linger = 0
            socket.sndhwm = 10_000
            socket.setsockopt(zmq.RECONNECT_IVL_MAX, 5_000)
            socket.connect(url)
            sockets[url] = socket
            if len(sockets) > _MAX_ROUTES:
                sockets.popitem(last=False)[1].close(0)
        sockets.move_to_end(url)
        return socket

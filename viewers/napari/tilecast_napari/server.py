# SPDX-License-Identifier: MIT
"""The sockets, in threads of their own: each frame is answered, whatever it holds and whatever becomes of it."""

from __future__ import annotations

import json
import logging
import threading
from typing import TYPE_CHECKING, Any

import zmq

from tilecast_napari import pickles
from tilecast_napari.endpoints import BoundSocket, Endpoint
from tilecast_napari.errors import WireError
from tilecast_napari.wire import MAX_MESSAGE_BYTES

if TYPE_CHECKING:
    from collections.abc import Callable

log = logging.getLogger(__name__)
_POLL_MS = 200


class Server:
    """
    Data and control sockets of one port, at all its addresses.

    `on_batch(frame, endpoint)` and `on_control(request)` are called in the threads of the sockets and return the reply.
    """

    def __init__(
        self,
        endpoints: list[Endpoint],
        on_batch: Callable[[bytes, Endpoint], dict],
        on_control: Callable[[dict], dict],
    ) -> None:
        self._context = zmq.Context()
        self._stopping = threading.Event()
        self._bound: list[BoundSocket] = []
        data, control = [], []
        try:
            for endpoint in endpoints:
                data.append(self._bind(endpoint, endpoint.port))
                control.append(self._bind(endpoint, endpoint.control_port))
        except BaseException:
            self._close()
            raise
        self._threads = [
            threading.Thread(target=self._serve, args=(data, self._data_reply, on_batch), name="tilecast-data", daemon=True),
            threading.Thread(
                target=self._serve, args=(control, self._control_reply, on_control), name="tilecast-control", daemon=True
            ),
        ]

    def _bind(self, endpoint: Endpoint, port: int) -> BoundSocket:
        bound = BoundSocket(self._context, endpoint, port, MAX_MESSAGE_BYTES)
        self._bound.append(bound)
        return bound

    def start(self) -> None:
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """Ends the threads after the reply they are at, and removes the socket files. Safe to call twice."""
        if self._stopping.is_set():
            return
        self._stopping.set()
        for thread in self._threads:
            if thread.is_alive() and thread is not threading.current_thread():
                thread.join(5)
        self._close()

    def _close(self) -> None:
        asides = [(bound, bound.keep_foreign_file()) for bound in self._bound]
        for bound in self._bound:
            bound.socket.close(0)
        # libzmq removes the files when it is done, which only term waits for.
        self._context.term()
        for bound, aside in asides:
            bound.remove_file(aside)
        self._bound = []

    def _serve(self, sockets: list[BoundSocket], reply: Callable, handler: Callable) -> None:
        poller = zmq.Poller()
        by_socket = {bound.socket: bound.endpoint for bound in sockets}
        for socket in by_socket:
            poller.register(socket, zmq.POLLIN)
        while not self._stopping.is_set():
            for socket, _ in poller.poll(_POLL_MS):
                try:
                    frames = socket.recv_multipart(zmq.NOBLOCK)
                    socket.send(reply(frames, by_socket[socket], handler), zmq.NOBLOCK)
                except zmq.Again:
                    # The asker is gone.
                    continue
                except zmq.ZMQError as error:
                    log.warning("a message could not be answered: %s", error)

    @staticmethod
    def _data_reply(frames: list[bytes], endpoint: Endpoint, handler: Callable) -> bytes:
        try:
            answer = handler(_one(frames), endpoint)
        except WireError as error:
            answer = {"status": "error", "type": None, "message": str(error)}
        except Exception as error:
            log.exception("a batch failed")
            answer = {"status": "error", "type": "batch", "message": f"the viewer failed: {error!r}"}
        return json.dumps(answer).encode()

    @staticmethod
    def _control_reply(frames: list[bytes], _: Endpoint, handler: Callable) -> bytes:
        try:
            request = pickles.loads(_one(frames))
            if not isinstance(request, dict) or not isinstance(request.get("type"), str):
                raise WireError("a control message is a dict with a text as its type")
            answer: dict[str, Any] = handler(request)
        except WireError as error:
            answer = {"status": "error", "type": "error", "message": str(error)}
        except Exception as error:
            log.exception("a control failed")
            answer = {"status": "error", "type": "error", "message": f"the viewer failed: {error!r}"}
        return pickles.dumps(answer)


def _one(frames: list[bytes]) -> bytes:
    if len(frames) != 1:
        raise WireError(f"a message has one frame, and this one has {len(frames)}")
    return frames[0]

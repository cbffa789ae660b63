# SPDX-License-Identifier: MIT
"""The receiver: sockets, memory and display of one port, in whatever napari viewer it is given."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import psutil

from tilecast_napari import controls
from tilecast_napari.acks import Acknowledger
from tilecast_napari.display import Display
from tilecast_napari.endpoints import Endpoint
from tilecast_napari.intake import Intake
from tilecast_napari.memory import Budget
from tilecast_napari.server import Server
from tilecast_napari.stores import reader_name

if TYPE_CHECKING:
    from collections.abc import Callable

DEFAULT_PORT = 5555


def default_budget() -> int:
    """A quarter of the memory that is available."""
    return psutil.virtual_memory().available // 4


class Receiver:
    """
    Listens from `start` to `stop`, both in the GUI thread. `on_end` is called there when a peer asks the viewer to end.

    Raises EndpointError when an address cannot be bound.
    """

    def __init__(
        self,
        viewer: Any,
        *,
        port: int = DEFAULT_PORT,
        transport: str = "ipc",
        openhcs: bool = False,
        memory_budget: int | None = None,
        log_file: str | None = None,
        on_end: Callable[[], None] | None = None,
    ) -> None:
        self.port, self.log_file = port, log_file
        apps = ["tilecast", "openhcs"] if openhcs and transport == "ipc" else ["tilecast"]
        self._endpoints = [Endpoint(port, transport, app) for app in apps]
        self.reads_stores = reader_name() is not None
        self.budget = Budget(default_budget() if memory_budget is None else memory_budget)
        self.acknowledger = Acknowledger(port)
        self.display = Display(viewer, self.budget, self.acknowledger)
        if on_end is not None:
            self.display.end_requested.connect(on_end)
        self.intake = Intake(self.budget, self.acknowledger, self.display.deliver, self.display.is_stalled)
        self._controls = controls.Controls(self)
        self._server: Server | None = None

    @property
    def urls(self) -> list[str]:
        return [endpoint.url(endpoint.port) for endpoint in self._endpoints]

    def start(self) -> None:
        self._server = Server(self._endpoints, self.intake.receive, self._controls.handle)
        self._server.start()

    def stop(self) -> None:
        """Socket files are gone afterwards; layers and their planes stay. Safe to call twice."""
        if self._server is not None:
            server, self._server = self._server, None
            # The control thread may be waiting for the GUI thread, which is here.
            self.display.refuse_calls()
            server.stop()
        self.display.close()
        self.acknowledger.stop()

    def clear(self) -> None:
        """In the GUI thread."""
        self.intake.clear()
        self.display.epoch = self.intake.epoch
        self.display.clear()

    def request_end(self) -> None:
        """From any thread; the reply to whoever asked goes out first."""
        self.display.end_requested.emit()

    def status(self) -> dict[str, Any]:
        return controls.status(self)

# SPDX-License-Identifier: MIT
"""How other threads reach the GUI thread: a wake-up that costs nothing when it is awake, calls with a deadline, and a sign of life."""

from __future__ import annotations

import threading
import time
from collections import deque
from concurrent.futures import Future
from concurrent.futures import TimeoutError as FutureTimeoutError
from typing import TYPE_CHECKING, Any

from qtpy.QtCore import QObject, Qt, QTimer, Signal

if TYPE_CHECKING:
    from collections.abc import Callable

HEARTBEAT_MS = 250
# Software rendering of a large volume takes seconds; a window that is longer silent than this is dead or stopped.
_STALLED_S = 30


class Mailbox(QObject):
    """Made in the GUI thread; `wake`, `call` and `is_stalled` are safe from any. `attend` is called in the GUI thread after each waking."""

    _woken = Signal()

    def __init__(self) -> None:
        super().__init__()
        self._calls: deque[tuple[Callable[[], Any], Future]] = deque()
        self._wake_lock = threading.Lock()
        self._is_awake = False
        self._is_closing = False
        self.beat = time.monotonic()
        self._woken.connect(self._on_woken, Qt.ConnectionType.QueuedConnection)
        self._heart = QTimer(self)
        self._heart.timeout.connect(self._on_heartbeat)
        self._heart.start(HEARTBEAT_MS)

    def attend(self) -> None:
        """What waits besides calls."""
        raise NotImplementedError

    def call(self, function: Callable[[], Any], timeout_s: float) -> Any:
        """Runs it in the GUI thread and returns what it returns. Raises TimeoutError when the window does not come to it."""
        if self._is_closing:
            raise RuntimeError("the viewer is closing")
        future: Future = Future()
        self._calls.append((function, future))
        self.wake()
        try:
            return future.result(timeout_s)
        except FutureTimeoutError:
            future.cancel()
            raise TimeoutError from None

    def is_stalled(self) -> str | None:
        """Why nothing would be shown, or None. A process that was stopped and goes on gets time to show that it lives."""
        before = self.beat
        deadline = time.monotonic() + 2
        while time.monotonic() - before > _STALLED_S and self.beat == before:
            if time.monotonic() > deadline:
                return f"the viewer's window has not answered for {time.monotonic() - before:.0f} s"
            time.sleep(0.05)
        return None

    def wake(self) -> None:
        with self._wake_lock:
            if self._is_awake:
                return
            self._is_awake = True
        self._woken.emit()

    def refuse_calls(self) -> None:
        """From now on whoever calls is told that the viewer closes."""
        self._is_closing = True
        while self._calls:
            self._calls.popleft()[1].cancel()

    def stop_calls(self) -> None:
        """For good."""
        self.refuse_calls()
        self._heart.stop()

    def _on_woken(self) -> None:
        with self._wake_lock:
            self._is_awake = False
        if self._calls:
            self._run_calls()
        self.attend()

    def _run_calls(self) -> None:
        while self._calls:
            function, future = self._calls.popleft()
            if not future.set_running_or_notify_cancel():
                continue
            try:
                future.set_result(function())
            except BaseException as error:
                future.set_exception(error)

    def _on_heartbeat(self) -> None:
        """Also picks up what a waking may have missed."""
        self.beat = time.monotonic()
        self._on_woken()

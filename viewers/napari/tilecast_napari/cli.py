# SPDX-License-Identifier: MIT
"""The viewer as a process: arguments, startup status, and an end that leaves nothing behind."""

from __future__ import annotations

import argparse
import logging
import os
import signal
import sys
from typing import TYPE_CHECKING

from tilecast_napari import __version__
from tilecast_napari.journal import Journal

if TYPE_CHECKING:
    from tilecast_napari.receiver import Receiver

log = logging.getLogger("tilecast_napari")


def parse(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="tilecast-napari", description="Shows in napari what a pipeline streams.")
    parser.add_argument("--port", type=int, default=5555, help="data port; the control port is 1000 above (default 5555)")
    parser.add_argument("--transport", choices=("ipc", "tcp"), default="ipc", help="tcp listens on 127.0.0.1 only")
    parser.add_argument("--openhcs", action="store_true", help="also listen where OpenHCS's senders look (~/.openhcs/ipc)")
    parser.add_argument("--startup-status", metavar="FILE", help="append JSON lines that say how far the start is")
    parser.add_argument("--log-file", metavar="FILE", help="write the log here instead of standard error")
    parser.add_argument("--memory-budget", type=int, metavar="BYTES", help="pixels to keep (default: a quarter of what is available)")
    parser.add_argument("--follow", action="store_true", help="go to each new image as it comes")
    parser.add_argument("--version", action="version", version=f"tilecast-napari {__version__}")
    return parser.parse_args(arguments)


def main(arguments: list[str] | None = None) -> int:
    """Runs until the window is closed, a peer asks for the end, or SIGTERM or SIGINT comes. Returns 0, or 1 when it cannot start."""
    args = parse(arguments)
    logging.basicConfig(
        filename=args.log_file, level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s", force=True
    )
    # Python's own 5 ms are what a socket's thread waits for, several times a reply, while the window draws.
    sys.setswitchinterval(0.0005)
    journal = Journal(args.startup_status)
    journal.emit("starting_process", "tilecast-napari started")
    receiver = None
    signals: list[int] = []
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        # A handler runs in the middle of whatever Qt is at, where nothing of Qt may be called.
        signal.signal(number, lambda number, _frame: signals.append(number))
    try:
        journal.emit("importing_runtime", "importing napari")
        import napari
        from qtpy.QtCore import QTimer
        from qtpy.QtWidgets import QApplication

        from tilecast_napari._widget import ReceiverWidget
        from tilecast_napari.receiver import Receiver

        journal.emit("creating_server", "opening the window")
        viewer = napari.Viewer(title=f"tilecast {args.port}", show=True)
        application = QApplication.instance()
        screen = application.primaryScreen().availableSize()
        viewer.window.resize(min(1400, screen.width()), min(1000, screen.height()))
        receiver = Receiver(
            viewer,
            port=args.port,
            transport=args.transport,
            openhcs=args.openhcs,
            memory_budget=args.memory_budget,
            log_file=os.path.abspath(args.log_file) if args.log_file else None,
            # Not quit(): it closes the windows first, and napari asks whether it may.
            on_end=lambda: application.exit(0),
        )
        receiver.display.follow = args.follow
        journal.emit("binding_endpoint", f"binding {', '.join(receiver.urls)}")
        receiver.start()
        viewer.window.add_dock_widget(ReceiverWidget(viewer, receiver=receiver), name="tilecast", area="left")
    except BaseException as error:
        log.exception("the viewer cannot start")
        journal.emit("failed", f"{error}")
        print(f"tilecast-napari: {error}", file=sys.stderr)
        return _end(1, receiver)
    watch = QTimer()
    watch.timeout.connect(lambda: application.exit(0) if signals else None)
    watch.start(100)
    journal.emit("server_ready", f"listening on {', '.join(receiver.urls)}")
    code = 1
    try:
        code = application.exec()
    finally:
        code = _end(code, receiver)
    return code


def _end(code: int, receiver: Receiver | None) -> int:
    """Sockets first: whatever Qt does when it is torn down, no sender waits for a viewer that is gone."""
    try:
        if receiver is not None:
            receiver.stop()
    finally:
        logging.shutdown()
        sys.stdout.flush()
        sys.stderr.flush()
        # Tearing down Qt and OpenGL in Python's order takes seconds and may crash; nothing is left to save.
        os._exit(code)

# SPDX-License-Identifier: MIT
"""The startup status: one JSON object a line, by which whoever started the viewer follows it."""

from __future__ import annotations

import json
import os
import time


class Journal:
    """Without a path it writes nothing. Each line is there even if the next thing is a crash."""

    def __init__(self, path: str | None) -> None:
        self._sequence = 0
        self._file: int | None = None
        if path:
            os.makedirs(os.path.dirname(os.path.abspath(path)), mode=0o700, exist_ok=True)
            # Kept open: who follows removes the file when the viewer is ready, and it must not come back.
            self._file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)

    def emit(self, phase: str, message: str) -> None:
        if self._file is None:
            return
        self._sequence += 1
        line = {"phase": phase, "message": message, "sequence": self._sequence, "timestamp": time.time()}
        os.write(self._file, (json.dumps(line, separators=(",", ":")) + "\n").encode())

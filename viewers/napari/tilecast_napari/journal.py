# SPDX-License-Identifier: MIT
"""The startup status: one JSON object a line, by which whoever started the viewer follows it."""

from __future__ import annotations

import json
import os
import time


class Journal:
    """Without a path it writes nothing. Each line is there even if the next thing is a crash."""

    def __init__(self, path: str | None) -> None:
        self._path = path
        self._sequence = 0
        if path:
            os.makedirs(os.path.dirname(os.path.abspath(path)), mode=0o700, exist_ok=True)

    def emit(self, phase: str, message: str) -> None:
        if not self._path:
            return
        self._sequence += 1
        line = {"phase": phase, "message": message, "sequence": self._sequence, "timestamp": time.time()}
        fd = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        try:
            os.write(fd, (json.dumps(line, separators=(",", ":")) + "\n").encode())
        finally:
            os.close(fd)

# SPDX-License-Identifier: MIT
"""Shared memory for tests: objects with names of their own, gone afterwards, and the package from this folder."""

import os
import sys
import uuid
from pathlib import Path

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).parent.parent))


@pytest.fixture
def shared_memory():
    """Makes an object that holds an array; returns its name."""
    names = []

    def make(array, extra=0):
        name = f"tcnap_{uuid.uuid4().hex[:12]}"
        names.append(name)
        Path("/dev/shm", name).write_bytes(np.ascontiguousarray(array).tobytes() + b"\0" * extra)
        return name

    yield make
    for name in names:
        Path("/dev/shm", name).unlink(missing_ok=True)


@pytest.fixture
def home(tmp_path, monkeypatch):
    """A home folder of its own: sockets are made in it."""
    monkeypatch.setenv("HOME", str(tmp_path))
    assert os.path.expanduser("~") == str(tmp_path)
    return tmp_path

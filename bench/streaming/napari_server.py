# SPDX-License-Identifier: MIT
"""OpenHCS's napari server: python napari_server.py PORT LOG. Needs an X display."""

import sys

from openhcs.runtime.napari_viewer_server import run_napari_viewer_process
from zmqruntime.config import TransportMode

run_napari_viewer_process(int(sys.argv[1]), "bench", False, sys.argv[2], TransportMode.IPC)

# SPDX-License-Identifier: MIT
"""The plug-in within a napari that somebody works in; needs a display (test/viewers/napari.test.ts gives it one)."""

import json
import os
import threading
import time
from importlib.resources import files

import numpy as np
import pytest
import zmq

pytestmark = pytest.mark.skipif(not os.environ.get("DISPLAY"), reason="no display")

IDENTITY = {"origin": "pipeline", "output_kind": "main", "output_key": "main", "projection_key": "main"}


@pytest.fixture
def viewer(home, monkeypatch):
    monkeypatch.setenv("NAPARI_CONFIG", str(home / "napari.yaml"))
    import napari

    viewer = napari.Viewer(show=True)
    yield viewer
    viewer.close()


def wait_for(condition):
    from qtpy.QtWidgets import QApplication

    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline, "it did not happen"
        QApplication.processEvents()
        time.sleep(0.005)


class Sender:
    """Sends from a thread, since the viewer's window lives in this one."""

    def __init__(self, url, shared_memory):
        self._url, self._shared_memory = url, shared_memory

    def send(self, pixels, **more):
        name = self._shared_memory(pixels)
        components = {"site": 1, "channel": 1, "z_index": 1, "timepoint": 1, "well": "A01", **more}
        item = {"shape": list(pixels.shape), "dtype": pixels.dtype.name, "shm_name": name, "data_type": "image"}
        item |= {"metadata": components, "producer_identity": IDENTITY, "tilecast": {}}
        replies = []
        thread = threading.Thread(target=self._exchange, args=(json.dumps({"type": "batch", "images": [item]}), replies))
        thread.start()
        wait_for(lambda: not thread.is_alive())
        assert replies[0]["kept"] == [name]

    def _exchange(self, text, replies):
        with zmq.Context() as context, context.socket(zmq.REQ) as socket:
            socket.linger, socket.rcvtimeo = 0, 20_000
            socket.connect(self._url)
            socket.send_string(text)
            replies.append(json.loads(socket.recv()))


def test_the_manifest_is_valid_and_leads_to_the_widget():
    from npe2 import PluginManifest

    manifest = PluginManifest.from_file(str(files("tilecast_napari") / "napari.yaml"))
    (command,) = manifest.contributions.commands
    assert command.python_name == "tilecast_napari._widget:ReceiverWidget"
    assert manifest.contributions.widgets[0].command == command.id


def test_a_receiver_is_started_used_and_stopped_beside_the_users_own_layers(viewer, home, shared_memory):
    from tilecast_napari._widget import ReceiverWidget

    own = viewer.add_image(np.ones((20, 20)), name="mine")
    widget = ReceiverWidget(viewer)
    viewer.window.add_dock_widget(widget)
    widget._toggle.click()
    folder = home / ".tilecast" / "ipc"
    assert sorted(os.listdir(folder)) == ["tilecast-zmq-5555.sock", "tilecast-zmq-6555.sock"]

    second = ReceiverWidget(viewer)
    second._toggle.click()
    assert "another server listens on" in second._status.text() and second.receiver is None

    sender = Sender(widget.receiver.urls[0], shared_memory)
    ramp = np.arange(900, dtype=np.uint16).reshape(30, 30)
    sender.send(ramp)
    wait_for(lambda: len(viewer.layers) == 2)
    layer = viewer.layers[1]
    assert layer.contrast_limits == pytest.approx(np.percentile(ramp, (0.5, 99.8)))
    # The mapped plane itself is what napari slices.
    assert np.array_equal(layer._slice.image.raw, ramp)

    layer.contrast_limits = (5, 10)
    sender.send(ramp * 60, z_index=2)
    wait_for(lambda: layer.data.shape[2] == 2)
    assert layer.contrast_limits == [5, 10]
    assert viewer.dims.axis_labels[-5:] == ("z_index", "well", "timepoint", "y", "x")

    viewer.layers.remove(layer)
    assert widget.receiver.status()["memory_used"] == 0
    sender.send(ramp, z_index=3)
    wait_for(lambda: widget.receiver.display.total == 3)
    assert list(viewer.layers) == [own]

    widget._clear.click()
    sender.send(ramp)
    wait_for(lambda: len(viewer.layers) == 2)
    # As a peer's shutdown does.
    widget.receiver.request_end()
    wait_for(lambda: widget.receiver is None)
    assert os.listdir(folder) == []
    assert len(viewer.layers) == 2
    widget._toggle.click()
    assert len(os.listdir(folder)) == 2
    widget._toggle.click()
    assert os.listdir(folder) == []


def test_a_window_that_hangs_is_told_to_senders_and_controls(viewer, home, monkeypatch):
    from tilecast_napari import mailbox as module
    from tilecast_napari.receiver import Receiver

    receiver = Receiver(viewer)
    assert receiver.display.is_stalled() is None
    # Nobody runs the event loop from here on.
    monkeypatch.setattr(module, "_STALLED_S", 0.2)
    time.sleep(0.3)
    assert "has not answered for" in receiver.display.is_stalled()
    with pytest.raises(TimeoutError):
        receiver.display.call(lambda: 1, 0.1)
    receiver.display.refuse_calls()
    with pytest.raises(RuntimeError, match="closing"):
        receiver.display.call(lambda: 1, 10)
    receiver.stop()

# SPDX-License-Identifier: MIT
"""Real sockets: every frame is answered, addresses are not stolen, files go, acknowledgements never block."""

import json
import os
import pickle
import stat
import time

import numpy as np
import pytest
import zmq
from tilecast_napari import memory
from tilecast_napari.acks import Acknowledger, AckTarget
from tilecast_napari.endpoints import Endpoint, is_listening, is_local_url
from tilecast_napari.errors import EndpointError
from tilecast_napari.intake import Intake
from tilecast_napari.memory import Budget
from tilecast_napari.server import Server

METADATA = {"site": 1, "channel": 1, "z_index": 1, "timepoint": 1, "well": "A01"}
IDENTITY = {"origin": "d", "output_kind": "d", "output_key": "d", "projection_key": "d"}


@pytest.fixture
def context():
    context = zmq.Context()
    yield context
    context.destroy(0)


def asker(context, url):
    socket = context.socket(zmq.REQ)
    socket.linger, socket.rcvtimeo = 0, 20_000
    socket.connect(url)
    return socket


@pytest.fixture
def served(home):
    endpoints = [Endpoint(5555), Endpoint(5555, app="openhcs")]
    server = Server(endpoints, lambda frame, at: {"status": "success", "app": at.app, "bytes": len(frame)}, lambda r: {"type": r["type"]})
    server.start()
    yield endpoints
    server.stop()
    assert [f for e in endpoints for f in os.listdir(e.folder)] == []


def test_all_addresses_answer_and_are_the_owners_alone(served, context, home):
    for endpoint in served:
        data, control = asker(context, endpoint.url(5555)), asker(context, endpoint.url(6555))
        data.send(b"abc")
        assert json.loads(data.recv()) == {"status": "success", "app": endpoint.app, "bytes": 3}
        control.send(pickle.dumps({"type": "x"}))
        assert pickle.loads(control.recv()) == {"type": "x"}
        for name in os.listdir(endpoint.folder):
            assert stat.S_IMODE((endpoint.folder / name).stat().st_mode) == 0o600
    assert stat.S_IMODE((home / ".tilecast" / "ipc").stat().st_mode) == 0o700


def test_frames_of_any_kind_are_answered_and_the_next_one_too(served, context):
    data, control = asker(context, served[0].url(5555)), asker(context, served[0].url(6555))
    data.send_multipart([b"a", b"b"])
    assert json.loads(data.recv())["message"] == "a message has one frame, and this one has 2"
    for frame in (b"", b"\x80", pickle.dumps(5), pickle.dumps({"type": 5})):
        control.send(frame)
        assert pickle.loads(control.recv())["status"] == "error"
    control.send(pickle.dumps({"type": "y"}))
    assert pickle.loads(control.recv()) == {"type": "y"}


def test_an_address_is_not_taken_from_whoever_listens_there(served):
    with pytest.raises(EndpointError, match="another server listens on"):
        Server([Endpoint(5555)], lambda *_: {}, lambda _: {})
    assert is_listening(served[0].path(5555)) and is_listening(served[0].path(6555))


def test_a_stale_file_is_replaced(home, context):
    endpoint = Endpoint(5555)
    endpoint.folder.mkdir(parents=True)
    endpoint.path(5555).touch()
    server = Server([endpoint], lambda *_: {"a": 1}, lambda _: {})
    server.start()
    data = asker(context, endpoint.url(5555))
    data.send(b"")
    assert json.loads(data.recv()) == {"a": 1}
    server.stop()


def test_a_file_that_another_server_put_there_survives(home):
    endpoint = Endpoint(5555)
    server = Server([endpoint], lambda *_: {}, lambda _: {})
    server.start()
    endpoint.path(5555).unlink()
    endpoint.path(5555).write_text("another's")
    server.stop()
    assert endpoint.path(5555).read_text() == "another's"
    assert os.listdir(endpoint.folder) == ["tilecast-zmq-5555.sock"]


def test_a_folder_that_others_may_write_is_refused(home):
    folder = home / ".tilecast" / "ipc"
    folder.mkdir(parents=True)
    folder.chmod(0o777)
    with pytest.raises(EndpointError, match="may be written by others"):
        Server([Endpoint(5555)], lambda *_: {}, lambda _: {})


def test_a_handler_that_fails_is_an_answer(home, context):
    def fail(*_):
        raise RuntimeError("oh")

    endpoint = Endpoint(5555)
    server = Server([endpoint], fail, fail)
    server.start()
    data, control = asker(context, endpoint.url(5555)), asker(context, endpoint.url(6555))
    data.send(b"")
    control.send(pickle.dumps({"type": "x"}))
    assert "oh" in json.loads(data.recv())["message"]
    assert "oh" in pickle.loads(control.recv())["message"]
    server.stop()


def test_tcp_is_this_host_only(home, context):
    server = Server([Endpoint(25_755, "tcp")], lambda *_: {"a": 1}, lambda _: {})
    server.start()
    data = asker(context, "tcp://127.0.0.1:25755")
    data.send(b"")
    assert json.loads(data.recv()) == {"a": 1}
    with open("/proc/net/tcp") as f:
        listening = [line.split()[1] for line in f.readlines()[1:] if line.split()[3] == "0A"]
    assert f"0100007F:{25_755:04X}" in listening
    with pytest.raises(EndpointError, match="cannot listen on tcp://127.0.0.1:25755"):
        Server([Endpoint(25_755, "tcp")], lambda *_: {}, lambda _: {})
    server.stop()


def test_acknowledgements_arrive_and_those_that_cannot_are_dropped(home, context):
    url = f"ipc://{home}/acks.sock"
    pull = context.socket(zmq.PULL)
    pull.rcvtimeo = 20_000
    pull.bind(url)
    acks = Acknowledger(5555)
    route = {"url": url, "incarnation": "i"}
    acks.send(AckTarget("far", "tcp://198.51.100.7:80", None, None))
    for i in range(20_000):
        acks.send(AckTarget(str(i), f"ipc://{home}/nobody.sock", None, None))
    acks.send(AckTarget("a", url, route, {"pid": 1}), "no room")
    got = json.loads(pull.recv())
    assert got.pop("timestamp") <= time.time()
    assert got == {
        "type": "image_ack",
        "image_id": "a",
        "viewer_port": 5555,
        "viewer_type": "napari",
        "status": "error",
        "error": "no room",
        "return_route": route,
        "producer": {"pid": 1},
    }
    acks.stop()
    # libzmq may hold a little more than the high-water mark.
    assert acks.dropped >= 9_000
    assert acks.sent + acks.dropped == 20_002


@pytest.mark.parametrize("url", ["tcp://example.org:1", "tcp://0.0.0.0:1", "inproc://x", "ipc://relative", None, 5, "ipc:///" + "x" * 300])
def test_other_hosts_are_not_called(url):
    assert not is_local_url(url)


class Acks:
    def __init__(self):
        self.sent = []

    def send(self, target, error=None):
        self.sent.append((target.image_id, error))


def take(items, budget=10**6, stalled=None, **more):
    updates, acks = [], Acks()
    intake = Intake(Budget(budget), acks, updates.extend, lambda: stalled)
    reply = intake.receive(json.dumps({"type": "batch", "images": items, **more}).encode(), Endpoint(5555))
    return reply, updates, acks.sent, intake


def item(name, shape, dtype="uint16", **more):
    given = {"shape": list(shape), "dtype": dtype, "shm_name": name, "metadata": METADATA, "producer_identity": IDENTITY}
    return {**given, "data_type": "image", **more}


def test_what_is_kept_is_mapped_and_has_no_name_any_more(shared_memory):
    pixels = np.arange(20, dtype=np.uint16).reshape(4, 5)
    names = [shared_memory(pixels), shared_memory(pixels + 100)]
    before = memory.mappings()
    reply, updates, _, _ = take([item(n, (4, 5), tilecast={}) for n in names])
    assert reply == {"status": "success", "type": "batch", "kept": names}
    assert not [n for n in names if os.path.exists(f"/dev/shm/{n}")]
    assert [int(u.planes[0].pixels[0, 0]) for u in updates] == [0, 100]
    assert memory.mappings() == before + 2


def test_what_openhcs_sends_is_copied_and_its_name_stays(shared_memory):
    name = shared_memory(np.arange(20, dtype=">u2").reshape(4, 5))
    reply, updates, _, _ = take([item(name, (4, 5), ">u2")])
    assert reply == {"status": "success", "type": "batch"}
    assert os.path.exists(f"/dev/shm/{name}")
    os.truncate(f"/dev/shm/{name}", 0)
    (plane,) = updates[0].planes
    assert plane.pixels.dtype == np.uint16 and plane.pixels[3, 4] == 19


def test_planes_of_one_array_are_planes(shared_memory):
    name = shared_memory(np.arange(60, dtype=np.uint16).reshape(3, 4, 5))
    more = {"plane_axis": "runtime_slice", "plane_component_values": {"z_index": [5, 6, 7]}}
    _, updates, _, _ = take([item(name, (3, 4, 5), **more)])
    assert [(p.components["z_index"], int(p.pixels[0, 0])) for p in updates[0].planes] == [(5, 0), (6, 20), (7, 40)]


def test_a_bad_item_spoils_no_other_and_is_told_to_whoever_waits(shared_memory):
    good = shared_memory(np.zeros((4, 5), np.uint16))
    bad = item("tc_nobody", (4, 5), tilecast={}, image_id="7")
    reply, updates, acks, _ = take([bad, item(good, (4, 5), tilecast={}, image_id="8")])
    assert (reply["status"], reply["kept"], len(updates)) == ("success", [good], 1)
    assert reply["refused"] == [{"index": 0, "message": "Shared memory tc_nobody not found (No such file or directory)"}]
    assert acks == [("7", reply["refused"][0]["message"])]
    assert take([item("tc_nobody", (4, 5))])[0]["status"] == "error"


def test_a_full_memory_remembers_by_the_store_or_refuses(shared_memory):
    store = {"store": {"path": "/p", "array": "0", "index": [0]}}
    names = [shared_memory(np.zeros((4, 5), np.uint16)) for _ in range(3)]
    kinds = [{"tilecast": {}}, {"tilecast": store}, {"tilecast": {}}]
    reply, updates, _, intake = take([item(n, (4, 5), **k) for n, k in zip(names, kinds, strict=True)], budget=40)
    assert reply["kept"] == names[:1]
    assert [r["index"] for r in reply["refused"]] == [2]
    assert updates[1].planes[0].pixels is None and updates[1].planes[0].store.path == "/p"
    assert intake.dropped == 1
    assert take([item(names[1], (4, 5))], budget=0)[0]["status"] == "success"


def test_a_window_that_does_not_answer_takes_nothing(shared_memory):
    name = shared_memory(np.zeros((4, 5), np.uint16))
    reply, updates, _, _ = take([item(name, (4, 5), tilecast={})], stalled="the viewer's window has not answered for 31 s")
    assert (reply["status"], updates) == ("error", [])
    assert os.path.exists(f"/dev/shm/{name}")

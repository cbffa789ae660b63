# SPDX-License-Identifier: MIT
"""Control messages: what Python's own pickle writes is read back, and nothing that arrives is ever run."""

import enum
import os
import pickle
import random
import sys
from dataclasses import dataclass

import pytest
from tilecast_napari import pickles
from tilecast_napari.errors import WireError
from tilecast_napari.pickles import Opaque


@dataclass
class Options:
    route_key: str
    axis_indices: dict


class Slotted:
    __slots__ = ("a",)

    def __init__(self):
        self.a = 1


class Phase(enum.Enum):
    RUNNING = "running"


class Payload(dict):
    pass


class Evil:
    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return (os.system, (f"touch {self.path}",))


PLAIN = {
    "type": "ping",
    "n": [0, 255, 256, 65536, -1, 2**31, 2**80, -(2**80)],
    "f": [1.5, float("inf"), -0.0],
    "s": ["", "é", "x" * 300, "\U0001f600"],
    "b": [b"", b"\x00\xff" * 200],
    "bytearray": bytearray(b"abc"),
    "t": [(), (1,), (1, 2), (1, 2, 3), (1, 2, 3, 4)],
    "c": [None, True, False],
    "set": [{1, 2}, frozenset({3})],
    "nested": {"a": {"b": [{"c": ()}]}},
}
PLAIN["again"] = PLAIN["n"]


@pytest.mark.parametrize("protocol", range(2, pickle.HIGHEST_PROTOCOL + 1))
def test_plain_data_of_every_protocol_is_read_as_it_was(protocol):
    since = {"b": 3, "set": 4, "bytearray": 5}
    plain = {k: v for k, v in PLAIN.items() if since.get(k, 0) <= protocol}
    assert pickles.loads(pickle.dumps(plain, protocol)) == plain


def test_what_is_written_is_read_by_python():
    plain = {"type": "pong", "layers": [{"shape": [1, 2], "scale": 0.65, "title": "1. Blur · DAPI"}], "none": None}
    assert pickle.loads(pickles.dumps(plain)) == plain


def test_instances_become_records():
    options = pickles.loads(pickle.dumps({"payload": Options("r", {"z_index": 3})}))["payload"]
    assert isinstance(options, Opaque)
    assert options.name.endswith(".Options")
    assert options.state == {"route_key": "r", "axis_indices": {"z_index": 3}}
    phase = pickles.loads(pickle.dumps(Phase.RUNNING, 2))
    assert (phase.name.endswith(".Phase"), phase.args) == (True, ("running",))
    mapping = pickles.loads(pickle.dumps(Payload(a=1)))
    assert mapping.items == {"a": 1}
    assert pickles.loads(pickle.dumps(Slotted())).state == (None, {"a": 1})


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_a_pickle_that_calls_something_is_a_record_and_calls_nothing(tmp_path, protocol):
    path = tmp_path / "ran"
    try:
        value = pickles.loads(pickle.dumps(Evil(path), protocol))
    except WireError:
        value = None
    assert value is None or value.name.endswith("system")
    assert not path.exists()


def test_nothing_is_imported():
    module = "xml.dom.pulldom"
    assert module not in sys.modules
    assert pickles.loads(b"\x80\x02cxml.dom.pulldom\nparse\n)R.").name == f"{module}.parse"
    assert module not in sys.modules


@pytest.mark.parametrize(
    ("message", "words"),
    [
        (b"", "no pickle of plain data"),
        (b"garbage", "no pickle of plain data"),
        (b"\x80\x04.", "no pickle of plain data"),
        (b"\x80\x04]\x94h\x01.", "no pickle of plain data"),
        (b"\x80\x04(.", "mark"),
        (b"\x80\x04](((e.", "no pickle"),
        (b"\x80\x02K\x01\x82\x01.", "EXT1"),
        (b"\x80\x02K\x01b.", "no pickle"),
        (b"\x80\x02K\x01K\x02R.", "no class"),
        (b"\x80\x02]\x942h\x00a.", "DUP"),
        (b"\x80\x02]\x94h\x00a.", "nests deeper"),
        (b"\x80\x02" + b"(l" * 70 + b"a" * 69 + b".", "nests deeper"),
        (b"\x80\x04\x8e" + b"\xff" * 7 + b"\x7f" + b".", "no pickle of plain data"),
    ],
)
def test_damage_is_told(message, words):
    with pytest.raises(WireError, match=words):
        pickles.loads(message)


def test_shared_parts_do_not_explode():
    value = []
    for _ in range(50):
        value = [value, value]
    assert pickles.loads(pickle.dumps(value))


def test_any_change_of_a_byte_is_a_value_or_a_typed_error():
    numbers = random.Random(7)
    good = pickle.dumps({**PLAIN, "o": Options("r", {}), "e": Phase.RUNNING})
    for _ in range(3000):
        bad = bytearray(good)
        for _ in range(numbers.randint(1, 4)):
            bad[numbers.randrange(len(bad))] = numbers.randrange(256)
        try:
            pickles.loads(bytes(bad))
        except WireError:
            pass

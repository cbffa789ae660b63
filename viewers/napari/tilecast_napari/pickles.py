# SPDX-License-Identifier: MIT
"""Reads pickles of plain data, opcode by opcode: classes become records, nothing is imported or called."""

from __future__ import annotations

import pickle
import pickletools
from dataclasses import dataclass, field
from typing import Any

from tilecast_napari.errors import WireError

MAX_OPCODES = 1_000_000
MAX_DEPTH = 64
_MARK = object()


@dataclass(eq=False)
class Opaque:
    """An instance of a class that was named in a pickle; `state` is whatever would have been set on it."""

    name: str
    args: tuple = ()
    state: Any = None
    items: dict = field(default_factory=dict)
    elements: list = field(default_factory=list)


@dataclass(frozen=True)
class _Global:
    name: str


_VALUES = {
    "BININT", "BININT1", "BININT2", "LONG1", "LONG4", "BINFLOAT", "INT", "LONG", "FLOAT",
    "BINUNICODE", "SHORT_BINUNICODE", "BINUNICODE8", "UNICODE", "BINBYTES", "SHORT_BINBYTES", "BINBYTES8", "BYTEARRAY8",
    "STRING", "BINSTRING", "SHORT_BINSTRING",
}  # fmt: skip
_CONSTANTS = {"NONE": None, "NEWTRUE": True, "NEWFALSE": False}
_EMPTY = {"EMPTY_DICT": dict, "EMPTY_LIST": list, "EMPTY_SET": set, "EMPTY_TUPLE": tuple}


def loads(message: bytes) -> Any:
    """The value of a pickle of protocol 0 to 5. Raises WireError for anything damaged, too deep or too long."""
    try:
        value = _Reader().read(message)
        _check_depth(value)
        return value
    except WireError:
        raise
    except Exception as error:
        raise WireError(f"the control message is no pickle of plain data: {error}") from error


def dumps(value: Any) -> bytes:
    """Plain data only: every peer since Python 3.4 reads it."""
    return pickle.dumps(value, protocol=4)


class _Reader:
    def __init__(self) -> None:
        self._stack: list = []
        self._memo: dict[int, Any] = {}

    def read(self, message: bytes) -> Any:
        count = 0
        for opcode, argument, _ in pickletools.genops(message):
            count += 1
            if count > MAX_OPCODES:
                raise WireError(f"the control message has more than {MAX_OPCODES} opcodes")
            if opcode.name == "STOP":
                return self._plain([self._stack.pop()])[0]
            self._step(opcode.name, argument)
        raise WireError("the control message has no end")

    def _step(self, name: str, argument: Any) -> None:
        stack = self._stack
        if name in _VALUES:
            stack.append(argument)
        elif name in _CONSTANTS:
            stack.append(_CONSTANTS[name])
        elif name in _EMPTY:
            stack.append(_EMPTY[name]())
        elif name == "MARK":
            stack.append(_MARK)
        elif name in ("PROTO", "FRAME"):
            pass
        elif name in ("TUPLE1", "TUPLE2", "TUPLE3"):
            count = int(name[-1])
            stack[-count:] = [tuple(self._plain(stack[-count:]))]
        elif name in ("MEMOIZE", "PUT", "BINPUT", "LONG_BINPUT"):
            self._memo[len(self._memo) if name == "MEMOIZE" else argument] = stack[-1]
        elif name in ("GET", "BINGET", "LONG_BINGET"):
            stack.append(self._memo[argument])
        elif name == "POP":
            stack.pop()
        elif name == "GLOBAL":
            stack.append(_Global(argument.replace(" ", ".")))
        elif name == "STACK_GLOBAL":
            attribute, module = stack.pop(), stack.pop()
            stack.append(_Global(f"{module}.{attribute}"))
        elif name in ("NEWOBJ", "REDUCE"):
            arguments, called = stack.pop(), stack.pop()
            stack.append(_instance(called, arguments))
        elif name == "NEWOBJ_EX":
            _, arguments, called = stack.pop(), stack.pop(), stack.pop()
            stack.append(_instance(called, arguments))
        elif name == "BUILD":
            (state,) = self._plain([stack.pop()])
            _opaque(stack[-1]).state = state
        else:
            self._collect(name)

    def _collect(self, name: str) -> None:
        """Opcodes that take what lies above the last mark, or one element."""
        stack = self._stack
        if name == "APPEND":
            values = [stack.pop()]
        elif name == "SETITEM":
            values = stack[-2:]
            del stack[-2:]
        elif name in ("TUPLE", "LIST", "DICT", "APPENDS", "SETITEMS", "ADDITEMS", "FROZENSET", "POP_MARK"):
            values = self._to_mark()
        else:
            raise WireError(f"the control message has the opcode {name}, which plain data does not need")
        values = self._plain(values)
        if name == "TUPLE":
            stack.append(tuple(values))
        elif name == "LIST":
            stack.append(values)
        elif name == "DICT":
            stack.append(dict(zip(values[::2], values[1::2], strict=True)))
        elif name == "FROZENSET":
            stack.append(frozenset(values))
        elif name in ("APPEND", "APPENDS"):
            top = stack[-1]
            (top.elements if isinstance(top, Opaque) else top).extend(values)
        elif name in ("SETITEM", "SETITEMS"):
            top = stack[-1]
            (top.items if isinstance(top, Opaque) else top).update(zip(values[::2], values[1::2], strict=True))
        elif name == "ADDITEMS":
            stack[-1].update(values)

    def _to_mark(self) -> list:
        stack = self._stack
        at = next(i for i in range(len(stack) - 1, -1, -1) if stack[i] is _MARK)
        values = stack[at + 1 :]
        del stack[at:]
        return values

    @staticmethod
    def _plain(values: list) -> list:
        if any(value is _MARK for value in values):
            raise WireError("the control message has a mark where a value belongs")
        return values


def _instance(called: Any, arguments: Any) -> Any:
    if not isinstance(called, _Global) or not isinstance(arguments, tuple):
        raise WireError("the control message makes an object of something that is no class")
    # An enum member is its class called with its value.
    return Opaque(called.name, arguments)


def _opaque(value: Any) -> Opaque:
    if not isinstance(value, Opaque):
        raise WireError("the control message sets the state of something that is no object")
    return value


def _check_depth(value: Any) -> None:
    """Each container once, however often it is referred to. A container within itself is as deep as no end."""
    level, depth = [value], 0
    seen: dict[int, int] = {}
    while level:
        depth += 1
        if depth > MAX_DEPTH:
            raise WireError(f"the control message nests deeper than {MAX_DEPTH} levels")
        below = []
        for container in level:
            for child in _children(container):
                if isinstance(child, (dict, list, tuple, set, frozenset, Opaque)):
                    visits = seen.get(id(child), 0)
                    # Deeper than before is looked at again; so often at most as there are levels.
                    if visits < depth:
                        seen[id(child)] = depth
                        below.append(child)
        level = below


def _children(value: Any) -> list:
    if isinstance(value, dict):
        return [*value.keys(), *value.values()]
    if isinstance(value, Opaque):
        return [value.args, value.state, value.items, value.elements]
    return list(value) if isinstance(value, (list, tuple, set, frozenset)) else []

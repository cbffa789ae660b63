# SPDX-License-Identifier: MIT
"""Which layer a payload belongs to, what the layer is called, and where on its axes it lies; OpenHCS's rules, without sockets or GUI."""

from __future__ import annotations

import re
from typing import Any

COMPONENTS = ("site", "channel", "z_index", "timepoint", "well")
MODES = ("stack", "layer")
_PREFIXES = {"site": "site ", "channel": "channel ", "z_index": "z ", "timepoint": "t ", "well": ""}
_SUFFIXES = {"image": "", "labels": "_labels", "shapes": "_shapes", "points": "_points", "tracks": "_tracks", "table": "_table"}
_TITLES = {"shapes": "ROIs", "points": "points", "tracks": "tracks"}


def sort_key(value: Any) -> tuple:
    """Numbers by value before texts in natural order: A2 before A10."""
    if isinstance(value, (int, float)):
        return (0, value, "")
    parts = [(int(p), "") if p.isdigit() else (-1, p) for p in re.split(r"(\d+)", str(value)) if p]
    return (1, 0, tuple(parts))


def component_value(name: str, value: Any) -> int | float | str:
    """As on the wire; numerals become numbers, but for wells."""
    if isinstance(value, str) and name != "well" and re.fullmatch(r"\d{1,15}", value):
        return int(value)
    if isinstance(value, float) and value.is_integer():
        return int(value)
    return value


class Axes:
    """The leading axes that all layers share, so that one position of the sliders means the same everywhere. Values only ever join."""

    def __init__(self) -> None:
        self.names: tuple[str, ...] = ()
        self.values: dict[str, list] = {}
        self._index: dict[str, dict[Any, int]] = {}

    @property
    def shape(self) -> tuple[int, ...]:
        return tuple(max(1, len(self.values[n])) for n in self.names)

    def extend_names(self, order: list[str], stacked: set[str]) -> bool:
        """
        Makes the stacked components axes, in the sender's order, but time last: napari's tracks want it next to y.

        True when there are new ones.
        """
        new = [n for n in order if n in stacked and n not in self.names]
        if not new:
            return False
        wanted = [n for n in order if n in stacked or n in self.names]
        names = [n for n in self.names if n not in wanted] + wanted
        self.names = tuple(sorted(names, key=lambda n: n == "timepoint"))
        for name in new:
            self.values.setdefault(name, [])
            self._index.setdefault(name, {})
        return True

    def extend(self, name: str, values: list) -> bool:
        """Lets values join an axis. True when the axis became longer."""
        index = self._index.get(name)
        if index is None:
            return False
        new = [v for v in dict.fromkeys(values) if v not in index]
        if not new:
            return False
        merged = sorted([*self.values[name], *new], key=sort_key)
        self.values[name] = merged
        self._index[name] = {v: i for i, v in enumerate(merged)}
        return True

    def key(self, components: dict[str, Any]) -> tuple:
        """What identifies a plane in a layer; stays when axes grow."""
        return tuple(components.get(n) for n in self.names)

    def key_at(self, index: tuple[int, ...]) -> tuple:
        return tuple(
            values[i] if i < len(values := self.values[n]) else None for n, i in zip(self.names, index, strict=True)
        )

    def index_of(self, key: tuple) -> tuple[int, ...]:
        return tuple(self._index[n].get(v, 0) for n, v in zip(self.names, key, strict=True))

    def clear(self) -> None:
        self.__init__()


def route_key(
    identity: dict[str, Any], kind: str, modes: dict[str, str], order: list[str], components: dict[str, Any], rgb: bool
) -> str:
    """The layer of a payload, as OpenHCS builds it; what is not OpenHCS's has a suffix of its own."""
    parts = [
        f"origin_{identity['origin']}",
        f"kind_{identity['output_kind']}",
        f"projection_{identity['projection_key']}",
    ]
    for word, field in (("step", "pipeline_position"), ("scope", "step_scope_id"), ("name", "step_name")):
        if identity.get(field) is not None:
            parts.append(f"{word}_{identity[field]}")
    parts += [f"{name}_{components[name]}" for name in order if modes.get(name) == "layer"]
    key = "_".join(re.sub(r"[/\\ ]", "_", part) for part in parts)
    return key + ("_color_plane" if rgb else _SUFFIXES[kind])


def value_label(name: str, value: Any, names: dict[str, dict[str, Any]]) -> str:
    """A person's word for a component's value: DAPI, A01, z 3."""
    given = names.get(name, {}).get(str(value))
    return str(given) if given else f"{_PREFIXES.get(name, name + ' ')}{value}"


def title(
    identity: dict[str, Any],
    kind: str,
    given: str | None,
    modes: dict[str, str],
    order: list[str],
    components: dict[str, Any],
    names: dict[str, dict[str, Any]],
) -> str:
    """Name of the layer: the sender's, else the step's, with what else tells it from its neighbours."""
    base = given
    if base is None:
        step, position, output = identity.get("step_name"), identity.get("pipeline_position"), identity["output_key"]
        base = str(step) if step else str(output)
        if step and position is not None:
            base = f"{position + 1}. {step}"
        if step and identity["output_kind"] not in ("main", "manual", "direct") and output != step:
            base += f" {output}"
        if kind in _TITLES:
            base += f" {_TITLES[kind]}"
    layered = [value_label(n, components[n], names) for n in order if modes.get(n) == "layer"]
    return " · ".join([base, *layered])

# SPDX-License-Identifier: MIT
"""What is known of one layer: its planes or vectors by component, its scale and contrast. Belongs to the GUI thread."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from tilecast_napari.contrast import Contrast
from tilecast_napari.projection import value_label

if TYPE_CHECKING:
    from tilecast_napari.planes import PlaneArray
    from tilecast_napari.projection import Axes
    from tilecast_napari.wire import Config, Item

# napari's own colours for channels that are laid over each other.
_COLOURS = ("cyan", "magenta", "yellow", "green", "red", "blue")


@dataclass
class Route:
    """One layer, whether or not it is mounted yet."""

    key: str
    title: str
    kind: str
    config: Config
    fixed: dict[str, Any]
    array: PlaneArray | None = None
    vectors: dict[tuple, list[dict]] = field(default_factory=dict)
    tracks: dict[tuple, np.ndarray] = field(default_factory=dict)
    tables: dict[tuple, tuple[dict[str, Any], dict[str, Any]]] = field(default_factory=dict)
    spacing: tuple[float, ...] | None = None
    origin: tuple[float, float] | None = None
    contrast: Contrast | None = None
    layer: Any = None
    is_dismissed: bool = False
    is_resized: bool = False
    dirty: set[tuple] = field(default_factory=set)
    # Vectors that are not mounted yet, and all that are to be mounted anew.
    waiting: list[tuple] = field(default_factory=list)
    is_rebuilt: bool = False
    # How many shapes of the first waiting place are mounted, and what is known of each mounted one.
    offset: int = 0
    mounted: list[dict] = field(default_factory=list)

    @property
    def has_pixels(self) -> bool:
        return self.array is not None

    def channel(self, key: tuple, axes: Axes) -> Any:
        """What contrast goes by; a layer of one channel has one."""
        return key[axes.names.index("channel")] if "channel" in axes.names else self.fixed.get("channel")

    def count(self) -> int:
        if self.array is not None:
            return len(self.array.planes)
        return len(self.vectors) + len(self.tracks) + len(self.tables)

    def colormap(self) -> str:
        """The sender's colour of this channel; channels in layers of their own get one each."""
        config, channel = self.config, self.fixed.get("channel")
        if config.modes.get("channel") != "layer":
            return config.colormap
        given = config.colormaps.get(str(channel)) or config.colormaps.get(value_label("channel", channel, config.names))
        if given:
            return given
        order = config.domain.get("channel") or [channel]
        if config.colormap != "gray" or len(order) < 2 or channel not in order:
            return config.colormap
        return _COLOURS[order.index(channel) % len(_COLOURS)]


def new_contrast(config: Config) -> Contrast:
    """The sender's limits are by channel, named by its value or its label."""
    by_label = {}
    for value in config.domain.get("channel", []):
        by_label[value_label("channel", value, config.names)] = value
        by_label[str(value)] = value
    return Contrast({by_label.get(name, _number(name)): limits for name, limits in config.contrast.items()})


def _number(text: str) -> Any:
    return int(text) if text.isdigit() else text


def absorb_vectors(route: Route, item: Item, key: tuple) -> None:
    """Takes shapes, points, tracks or a table for one place; what was there is replaced."""
    known = route.vectors if item.kind in ("shapes", "points") else route.tables if item.kind == "table" else route.tracks
    if key in known:
        route.is_rebuilt = True
    elif not route.is_rebuilt:
        route.waiting.append(key)
    if item.kind in ("shapes", "points"):
        route.vectors[key] = item.shapes
    elif item.kind == "table":
        route.tables[key] = (item.table, item.components)
    else:
        route.tracks[key] = np.asarray(item.tracks, dtype=np.float64).reshape(-1, 4)
    route.dirty.add(key)

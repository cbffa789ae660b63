# SPDX-License-Identifier: MIT
"""Contrast of an image layer, a channel at a time: estimated from the first planes, widened as others come, the user's once touched."""

from __future__ import annotations

from typing import Any

import numpy as np

_SAMPLE = 256
_FIRST = 8
_EVERY = 64
# What comes must be this much of the range beyond it before limits move: a picture that flickers is worse than a few saturated pixels.
_TOLERANCE = 0.05


def sample_limits(pixels: np.ndarray) -> tuple[float, float] | None:
    """The 0.5th and 99.8th percentile of every n-th pixel; None where there is nothing finite."""
    if pixels.size == 0:
        return None
    steps = [max(1, -(-n // _SAMPLE)) for n in pixels.shape[:2]]
    values = np.asarray(pixels[:: steps[0], :: steps[1]]).ravel()
    if values.dtype == bool:
        return (0.0, 1.0)
    if values.dtype.kind == "f":
        values = values[np.isfinite(values)].astype(np.float64)
        if values.size == 0:
            return None
    low, high = np.percentile(values, (0.5, 99.8))
    return (float(low), float(high))


class Contrast:
    """Limits by channel. `given` are the sender's, which are kept as they are."""

    def __init__(self, given: dict[Any, tuple[float, float]]) -> None:
        self._limits: dict[Any, tuple[float, float]] = dict(given)
        self._fixed: set[Any] = set(given)
        self._seen: dict[Any, int] = {}

    def look_at(self, channel: Any, pixels: np.ndarray) -> bool:
        """Counts a plane that came, and looks at some. True when the limits moved."""
        seen = self._seen[channel] = self._seen.get(channel, 0) + 1
        if channel in self._fixed or (seen > _FIRST and seen % _EVERY):
            return False
        sample = sample_limits(pixels)
        if sample is None:
            return False
        before = self._limits.get(channel)
        if before is None:
            self._limits[channel] = sample
            return True
        (low, high), margin = before, _TOLERANCE * (before[1] - before[0])
        after = (sample[0] if sample[0] < low - margin else low, sample[1] if sample[1] > high + margin else high)
        self._limits[channel] = after
        return after != before

    def touched(self, channel: Any, limits: tuple[float, float]) -> None:
        """The user chose."""
        self._limits[channel] = limits
        self._fixed.add(channel)

    def limits(self, channel: Any) -> tuple[float, float] | None:
        """What to show; widened where they are one value, which no viewer takes."""
        limits = self._limits.get(channel)
        if limits is None:
            return None
        low, high = limits
        return (low, high) if high > low else (low, low + 1.0)

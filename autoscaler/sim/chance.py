"""Randomness that depends on a seed and on what it is drawn for, never on what was drawn before.

Two policies on the same seed so meet the same cluster: the third container starts as fast under both, and the noise
of a subtask's gauge at an instant is the same, whatever else each of them did.
"""

from __future__ import annotations

import math
import random
import zlib
from collections.abc import Sequence

_NORMALS = 8192


class Chance:
    """A source of draws for one run, or for one of several jobs in it."""

    def __init__(self, seed: int | str) -> None:
        self.seed = seed
        stream = self.stream("normals")
        self._normals = [stream.gauss(0.0, 1.0) for _ in range(_NORMALS)]

    def stream(self, *purpose: object) -> random.Random:
        """A generator of its own for one purpose."""
        return random.Random(f"{self.seed}/{'/'.join(map(str, purpose))}")

    def uniform(self, low: float, high: float, *purpose: object) -> float:
        return self.stream(*purpose).uniform(low, high)

    def lognormal(self, median: float, sigma: float, *purpose: object) -> float:
        """A positive time whose median is given; ``sigma`` is the deviation of its logarithm."""
        return median * math.exp(sigma * self.stream(*purpose).gauss(0.0, 1.0)) if median > 0 else 0.0

    def normals(self, count: int, purpose: str, instant: int) -> Sequence[float]:
        """Standard normal numbers, the same for the first ones whatever the ``count``."""
        start = zlib.crc32(f"{purpose}/{instant}".encode()) % _NORMALS
        found = self._normals[start : start + count]
        return found if len(found) == count else [self._normals[(start + i) % _NORMALS] for i in range(count)]

"""The two ways to turn a series of samples into one number (docs/ALGORITHM.md, 4)."""

from __future__ import annotations

from collections.abc import Sequence
from functools import reduce
from math import inf, isfinite
from operator import add

from autoscaler.core.rounding import known
from autoscaler.model import Millis


def rate(times: Sequence[Millis], values: Sequence[float | None]) -> float | None:
    """Return how fast a counter moved, per second, between the first and the last sample that have it.

    ``1000 * (last - first) / (t_last_ms - t_first_ms)``; ``None`` with fewer than two such samples. A
    counter that ran backwards gives an ordinary negative number.
    """
    begin, end = 0, len(values) - 1
    while begin < end and values[begin] is None:
        begin += 1
    while begin < end and values[end] is None:
        end -= 1
    if begin >= end or times[begin] == times[end]:
        return None
    first, last = values[begin], values[end]
    assert first is not None
    assert last is not None
    return known(1000.0 * (last - first) / (times[end] - times[begin]))


def average(values: Sequence[float | None], minimum: int = 1) -> float | None:
    """Return the mean of the finite values of a gauge, if there are at least ``minimum``, else ``None``.

    Without any finite value it is ``inf`` if there was an infinite one. The sum runs left to right in plain
    doubles, not ``sum`` or ``fmean``, which compensate and would differ in the last digit.
    """
    finite = [value for value in values if value is not None and isfinite(value)]
    if not finite:
        return None if values.count(None) == len(values) else inf
    return reduce(add, finite, 0.0) / len(finite) if len(finite) >= minimum else None

"""Moving a parallelism to where key groups or partitions spread evenly (docs/ALGORITHM.md, 8).

A keyed vertex has ``max parallelism`` key groups, a source has its partitions. N of them on p subtasks give
the busiest subtask ceil(N / p): between two values of p with the same share the smaller one is as fast.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from dataclasses import dataclass
from functools import lru_cache
from math import isqrt

from autoscaler.core.errors import UndecidableError
from autoscaler.core.graph import has_hash_input
from autoscaler.model import Alignment, Vertex


@dataclass(frozen=True, slots=True)
class Aligned:
    """The parallelism to use; ``limited`` says that the older modes could not give what was asked for."""

    parallelism: int
    limited: bool = False


def is_alignable(vertex: Vertex) -> bool:
    """Has the vertex something that spreads over its subtasks: known partitions, or keys?"""
    return bool(vertex.source_partitions) or has_hash_input(vertex)


def align(vertex: Vertex, wanted: int, mode: Alignment, lower: int, upper: int) -> Aligned:
    """Return the parallelism near ``wanted`` at which partitions or key groups spread as ``mode`` has it.

    Candidates run upwards from ``wanted``, to ``upper`` when growing, to the current parallelism when
    shrinking, never past the number of things to spread.
    """
    if mode is Alignment.OFF:
        return Aligned(wanted)
    if wanted < 1:
        raise UndecidableError(
            f"nothing can be spread over a parallelism of {wanted}, which vertex.min-parallelism allows"
        )
    spread = vertex.source_partitions or vertex.max_parallelism
    top = min(spread, vertex.max_parallelism, upper)
    if wanted < vertex.parallelism:
        top = min(top, vertex.parallelism)
    if wanted <= top and (nearest := _nearest(mode, spread, wanted)) <= top:
        return Aligned(nearest)
    if mode in (Alignment.LEGACY_EVENLY_SPREAD, Alignment.LEGACY_MAXIMIZE_UTILISATION):
        return _fallen_back(vertex.parallelism, wanted, spread, lower)
    return Aligned(wanted)


def align_down(vertex: Vertex, most: int, mode: Alignment) -> int:
    """Return the parallelism up to ``most`` at which the vertex's data spreads best.

    The least with which the busiest subtask has no more than with ``most``, or the largest that gives all the same.
    Worked, 7 partitions on at most 5: two each on 4 are as fast.
    """
    if mode is Alignment.OFF or not is_alignable(vertex):
        return most
    spread = vertex.source_partitions or vertex.max_parallelism
    if mode in (Alignment.EVENLY_SPREAD, Alignment.LEGACY_EVENLY_SPREAD):
        return _divisors(spread)[bisect_right(_divisors(spread), most) - 1]
    busiest = -(-spread // most)
    return -(-spread // busiest)


def _nearest(mode: Alignment, spread: int, wanted: int) -> int:
    """Return the least parallelism from ``wanted`` (up to ``spread``) on with an even spread.

    In milder modes also one with a smaller least share: ``spread // p < spread // wanted``.
    """
    even = _divisors(spread)[bisect_left(_divisors(spread), wanted)]
    if mode in (Alignment.EVENLY_SPREAD, Alignment.LEGACY_EVENLY_SPREAD):
        return even
    return min(even, spread // (spread // wanted) + 1)


@lru_cache(maxsize=1024)
def _divisors(number: int) -> tuple[int, ...]:
    """Return what divides a number, ascending."""
    small = [each for each in range(1, isqrt(number) + 1) if number % each == 0]
    return tuple(sorted({*small, *(number // each for each in small)}))


def _fallen_back(current: int, wanted: int, spread: int, lower: int) -> Aligned:
    """Return the older modes' second choice: the smallest parallelism with the least share of ``wanted``.

    If that turns growing into not growing, or shrinking into not shrinking, the current parallelism stays.
    """
    share = spread // wanted
    candidate = spread // (share + 1)  # the largest with a larger least share, 0 if there is none
    if candidate == 0 or spread % candidate != 0:
        candidate += 1
    candidate = max(candidate, lower)
    inverted = candidate <= current if wanted > current else candidate >= current
    return Aligned(current if inverted else candidate, limited=inverted or candidate != wanted)

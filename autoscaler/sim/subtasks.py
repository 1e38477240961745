"""What one attempt's subtasks can do: the capacity law, skew, and the speed of the TaskManagers they run on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property


@dataclass(frozen=True)
class Plant:
    """The subtasks of one vertex at one parallelism.

    A vertex's records are divided into classes. A vertex that is no source has one: a keyed or round-robin exchange
    stops for its slowest receiver, so the vertex is as fast as its hottest subtask. A source has one class of
    subtasks with more partitions and one of those with fewer, because partitions do not wait for each other.

    ``share`` and ``capacity`` (records per second) are per class. A subtask is busy ``cost`` times its class's use,
    where use is records per second over capacity.
    """

    parallelism: int
    share: tuple[float, ...]
    capacity: tuple[float, ...]
    member_of: tuple[int, ...]
    cost: tuple[float, ...]

    @cached_property
    def cost_of(self) -> tuple[float, ...]:
        """The costs of a class's subtasks together, per class."""
        return tuple(
            sum(cost for cost, k in zip(self.cost, self.member_of, strict=True) if k == i)
            for i in range(len(self.share))
        )

    @property
    def total(self) -> float:
        """Records per second at which the first class is full."""
        return min(c / s for c, s in zip(self.capacity, self.share, strict=True))


def linear_capacity(mu: float, a: float, b: float, p: int) -> float:
    """Records per second of ``p`` equally loaded subtasks: mu p / (1 + a (p-1) + b p (p-1)), Gunther's law."""
    return mu * p / (1.0 + a * (p - 1) + b * p * (p - 1))


def key_group_shares(p: int, max_parallelism: int, hot: float, hot_subtask: int) -> list[float]:
    """The share of records of each subtask when key groups are dealt as Flink does, and one key has ``hot`` of all."""
    bounds = [i * max_parallelism // p for i in range(p + 1)]
    shares = [(1.0 - hot) * (bounds[i + 1] - bounds[i]) / max_parallelism for i in range(p)]
    shares[min(hot_subtask, p - 1)] += hot
    return shares


def partition_shares(p: int, partitions: int) -> list[float]:
    """The share of records of each subtask of a source that reads so many partitions."""
    return [(partitions // p + (i < partitions % p)) / partitions for i in range(p)]


def vertex_plant(capacity: float, shares: Sequence[float], speeds: Sequence[float]) -> Plant:
    """The plant of a vertex that is no source; ``speeds`` are those of the TaskManagers, 1 on average."""
    p = len(shares)
    loads = [share / (capacity / p * speed) for share, speed in zip(shares, speeds, strict=True)]
    hottest = max(loads)
    return Plant(
        parallelism=p,
        share=(1.0,),
        capacity=(1.0 / hottest,),
        member_of=(0,) * p,
        cost=tuple([load / hottest for load in loads]),
    )


def source_plant(capacity: float, shares: Sequence[float], speeds: Sequence[float]) -> Plant:
    """The plant of a source: the subtasks with most partitions are one class, the others the second."""
    p, most = len(shares), max(shares)
    member_of = tuple([0 if share == most else 1 for share in shares])
    classes = sorted(set(member_of))
    share = [sum(s for s, c in zip(shares, member_of, strict=True) if c == k) for k in classes]
    speed = [sum(s for s, c in zip(speeds, member_of, strict=True) if c == k) for k in classes]
    kept = [k for k in classes if share[k] > 0]  # subtasks without a partition have nothing to do
    return Plant(
        parallelism=p,
        share=tuple([share[k] for k in kept]),
        capacity=tuple([capacity / p * speed[k] for k in kept]),
        member_of=tuple([c if c in kept else 0 for c in member_of]),
        cost=tuple([1.0 if share > 0 else 0.0 for share in shares]),
    )

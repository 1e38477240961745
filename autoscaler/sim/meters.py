"""What Flink's metric system makes of the flow: gauges over a minute, sampled every 5 seconds; meters that divide by
60 seconds from the first one; counters of the present attempt; and a store that is refreshed by whoever asked before.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from operator import mul

from msgspec import Struct

from autoscaler.model import Millis
from autoscaler.sim.flow import Stage

METER_S = 60.0
SAMPLES = 13  # the ends of the twelve 5-second spans of a minute
FETCH_AT_MOST_EVERY: Millis = 10_000  # metrics.fetcher.update-interval
FETCH_TAKES: Millis = 800

Aggregated = tuple[float, float, float, float]
"""Smallest, largest, mean and sum over subtasks."""


class Mark(Struct, frozen=True, gc=False):
    """A vertex's counters at the end of a cell."""

    at: float
    records_in: float
    records_out: float
    use_s: tuple[float, ...]
    blocked_s: float


class Meter:
    """The counters of one vertex over the last minute of its attempt."""

    __slots__ = ("_marks", "began_s", "stage")

    def __init__(self, stage: Stage, began_s: float) -> None:
        self.stage = stage
        self.began_s = began_s
        zero = Mark(began_s, 0.0, 0.0, (0.0,) * len(stage.use_s), 0.0)
        self._marks: deque[Mark] = deque([zero], maxlen=SAMPLES)

    def mark(self, seconds: float) -> None:
        """Sample, as Flink's view updater does every 5 seconds."""
        s = self.stage
        self._marks.append(Mark(seconds, s.records_in, s.records_out, tuple(s.use_s), s.blocked_s))

    def read(self, seconds: float, normals: Sequence[float], noise: float) -> VertexReading:
        """What the vertex's subtasks report now; ``normals`` are one per subtask."""
        stage, plant = self.stage, self.stage.plant
        first, last = self._marks[0], self._marks[-1]
        span = last.at - first.at
        if span <= 0:  # before the first sample a task calls itself busy
            busy = [1000.0] * plant.parallelism
            waiting = 0.0
        else:
            use = [1000.0 * (b - a) / span for a, b in zip(first.use_s, last.use_s, strict=True)]
            busy = [
                cost * use[k] * (1.0 + noise * n)
                for cost, k, n in zip(plant.cost, plant.member_of, normals, strict=True)
            ]
            if min(busy) < 0.0 or max(busy) > 1000.0:
                busy = [min(1000.0, max(0.0, each)) for each in busy]
            waiting = min(1.0, (last.blocked_s - first.blocked_s) / span)
        p = plant.parallelism
        elapsed_ms = 1000.0 * (seconds - self.began_s) * p
        busy_ms = min(elapsed_ms, 1000.0 * sum(map(mul, plant.cost_of, stage.use_s)))
        blocked_ms = min(elapsed_ms - busy_ms, 1000.0 * p * stage.waiting_share_s)
        return VertexReading(
            parallelism=p,
            busy=over_subtasks(busy),
            waiting=waiting,
            records_in=stage.records_in,
            records_out=stage.records_out,
            in_per_s=max(0.0, last.records_in - first.records_in) / METER_S,
            out_per_s=max(0.0, last.records_out - first.records_out) / METER_S,
            lag=sum(stage.lag),
            busy_ms=busy_ms,
            blocked_ms=blocked_ms,
            idle_ms=max(0.0, elapsed_ms - busy_ms - blocked_ms),
        )


def over_subtasks(values: Sequence[float]) -> Aggregated:
    total = sum(values)
    return min(values), max(values), total / len(values), total


def evenly(total: float, parallelism: int) -> Aggregated:
    """A number whose sum over subtasks is what matters, divided evenly."""
    each = total / parallelism
    return each, each, each, total


class VertexReading(Struct, frozen=True, kw_only=True):
    """One vertex as the metric store holds it. ``busy`` is in milliseconds a second; in the share ``waiting`` of what
    is left of each second the vertex waited for its outputs."""

    parallelism: int
    busy: Aggregated
    waiting: float
    records_in: float
    records_out: float
    in_per_s: float
    out_per_s: float
    lag: float
    busy_ms: float
    blocked_ms: float
    idle_ms: float

    @property
    def back_pressured(self) -> Aggregated:
        return self._of_the_rest(self.waiting)

    @property
    def idle(self) -> Aggregated:
        return self._of_the_rest(1.0 - self.waiting)

    def _of_the_rest(self, part: float) -> Aggregated:
        low, high, mean, total = self.busy
        whole = 1000.0 * self.parallelism
        return part * (1000.0 - high), part * (1000.0 - low), part * (1000.0 - mean), part * (whole - total)


@dataclass(frozen=True, slots=True, kw_only=True)
class Fetched:
    """What the JobManager last fetched from its TaskManagers, and when it asked for it; ``complete`` if all of them
    answered."""

    at: Millis
    attempt: int
    running_since: Millis
    vertices: Mapping[str, VertexReading]
    complete: bool = True


class MetricStore:
    """The JobManager's metric store: a request is answered from what is there and has the next fetch begin."""

    def __init__(self, fetch: Callable[[Millis], Fetched | None]) -> None:
        self._fetch = fetch
        self._here: Fetched | None = None
        self._coming: Fetched | None = None
        self._asked_at: Millis | None = None
        self.stale_until: Millis = 0

    def read(self, now: Millis) -> Fetched | None:
        """Answer a request. Nothing was fetched before the first one."""
        here = self.held(now)
        due = self._asked_at is None or now - self._asked_at >= FETCH_AT_MOST_EVERY
        if due and now >= self.stale_until:
            self._asked_at = now
            self._coming = self._fetch(now) or self._coming
        return here

    def held(self, now: Millis) -> Fetched | None:
        """What is there, without asking for it."""
        if self._coming is not None and now >= self._coming.at + FETCH_TAKES:
            self._here, self._coming = self._coming, None
        return self._here

    def forget(self) -> None:
        """Another JobManager begins with an empty one."""
        self._here = self._coming = self._asked_at = None

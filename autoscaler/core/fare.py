"""How a job as a whole fares: what it reads, what arrives, how its lag moves, and the slots it takes for that."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

from autoscaler.core.estimators import rate
from autoscaler.model import Fare, Millis, Policy, Sample, Topology, Vertex, VertexId, Window

# Lag is read per partition at different times, so it moves by some of what arrives even at rest.
NOISE = 0.05
NEWEST = 2  # samples, as the evidence after a change is taken from


def slots_of(vertices: Iterable[Vertex], parallelism: Mapping[VertexId, int]) -> int:
    """Return the slots a parallelism takes: of each slot sharing group its highest; unknown groups are one."""
    highest: dict[str | None, int] = {}
    for vertex in vertices:
        group = vertex.slot_sharing_group
        highest[group] = max(highest.get(group, 0), parallelism.get(vertex.id, vertex.parallelism))
    return sum(highest.values())


def fare_of(topology: Topology, samples: Sequence[Sample], gc_pressure: float | None = None) -> Fare:
    """Return how a job fared over some samples of one attempt; a rate that one source lacks is not known.

    Only what came after the newest sample with doubts counts: rates from it or to it may be wrong.
    """
    samples = since_doubts(samples)
    sources = [vertex for vertex in topology.vertices if vertex.is_source and not vertex.finished]
    throughput = _sum([_rate(samples, vertex, "records_in") for vertex in sources])
    lag_growth = _sum([_rate(samples, vertex, "lag") for vertex in sources])
    arriving = None if throughput is None or lag_growth is None else throughput + lag_growth
    return Fare(
        throughput=throughput,
        arriving=arriving,
        lag_growth=lag_growth,
        slots=slots_of(topology.vertices, {}),
        gc_pressure=gc_pressure,
    )


def since_doubts(samples: Sequence[Sample]) -> Sequence[Sample]:
    """Return the samples after the newest one that has doubts; all if none has."""
    doubtful = [number for number, sample in enumerate(samples, 1) if sample.doubts]
    return samples[doubtful[-1] :] if doubtful else samples


def fare_before(window: Window, gc_pressure: float | None = None) -> Fare:
    """Return how a job fares before a change: of the whole attempt and its newest minutes the worse.

    What set in just before the change, and may be why it is made, is hardly seen in the mean, and must not be blamed on
    the change.
    """
    samples = samples_of_attempt(window, 0)
    whole, newest = fare_of(window.topology, samples, gc_pressure), fare_of(window.topology, samples[-NEWEST:])
    if whole.throughput is None or newest.throughput is None or whole.lag_growth is None or newest.lag_growth is None:
        return whole
    return replace(
        whole,
        throughput=min(whole.throughput, newest.throughput),
        lag_growth=max(whole.lag_growth, newest.lag_growth),
    )


def is_hardly_more(value: float, reference: float, scale: float | None) -> bool:
    """Tell whether a rate exceeds another by no more than noise, a share of ``scale``."""
    return value <= reference + NOISE * (scale or 0.0)


def growing_lag(window: Window, policy: Policy) -> Millis | None:
    """Return how far behind the job is, if that is beyond the lag threshold and still growing, in milliseconds.

    Behind is the lag of a source over what it reads per second; of several sources the worst counts.
    """
    behind: list[Millis] = []
    samples = samples_of_attempt(window, 0)
    for vertex in window.topology.vertices:
        if not vertex.is_source or vertex.finished or not grows(samples, vertex):
            continue
        lag, reads = samples[-1].vertices[vertex.id].lag or 0.0, _rate(samples, vertex, "records_in")
        late_ms = round(1000 * lag / reads) if reads and reads > 0 else policy.backlog_lag_threshold
        if late_ms >= policy.backlog_lag_threshold:
            behind.append(late_ms)
    return max(behind, default=None)


def grows(samples: Sequence[Sample], source: Vertex) -> bool:
    """Tell whether a source's lag grows over the samples by more than noise, and still does by the newest."""
    growth, reads = _rate(samples, source, "lag"), _rate(samples, source, "records_in")
    newest = _rate(samples[-2:], source, "lag")
    if growth is None or newest is None:
        return False
    return newest > 0 and not is_hardly_more(growth, 0.0, reads)


def samples_of_attempt(window: Window, settle: Millis) -> tuple[Sample, ...]:
    """Return the samples of the present attempt, but for those taken while it settled."""
    since = window.running_since + settle
    return tuple(sample for sample in window.samples if sample.at >= since)


def _rate(samples: Sequence[Sample], vertex: Vertex, name: str) -> float | None:
    own = [(sample.at, sample.vertices.get(vertex.id)) for sample in samples]
    return rate([at for at, _ in own], [None if each is None else getattr(each, name) for _, each in own])


def _sum(values: Sequence[float | None]) -> float | None:
    """Return the sum, ``None`` if one is not known or there are none."""
    known = [value for value in values if value is not None]
    return sum(known) if known and len(known) == len(values) else None

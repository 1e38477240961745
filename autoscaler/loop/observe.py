"""From Flink's answers to one sample: which metrics are read, when their names are listed again, what is doubtful."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from msgspec import structs

from autoscaler.cluster import (
    BUSY,
    Aggregate,
    JobDetails,
    VertexCounters,
    VertexReading,
    partitions,
    vertex_reading,
    wanted_aggregates,
    wanted_names,
    with_partitions,
)
from autoscaler.core import observed_true_processing_rate, rounded_sample
from autoscaler.core.protection import newest_counter_fell
from autoscaler.loop.contract import FETCHED_EVERY
from autoscaler.loop.ports import Flink
from autoscaler.model import (
    BusyTimeAggregator,
    Millis,
    Policy,
    Sample,
    Topology,
    Vertex,
    VertexId,
    VertexSample,
    frozen,
)

METER_SPAN: Millis = 60_000  # Flink's meters divide by 60 s from the first second of an attempt, so they ramp up from 0
STANDS_STILL = 3  # times as long as a JobManager that is asked goes on with what it fetched from its TaskManagers
LIST_AGAIN_EVERY = 5  # passes, for a source whose connector has not registered pendingRecords yet
COUNT_AGAIN_EVERY = 30  # passes, for a source that lags with a subtask for each partition: there may be more by now
FINISHED = VertexSample(load=0.0, accumulated_busy_ms=0.0, records_in=0.0, records_out=0.0, records_in_per_s=0.0)
FINISHED_SOURCE = VertexSample(
    load=0.0, accumulated_busy_ms=0.0, records_in=0.0, records_out=0.0, lag=0.0, observed_tpr=math.inf
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Observation:
    """A sample and the topology it was taken of, source partitions filled in."""

    topology: Topology
    sample: Sample


@dataclass(frozen=True, slots=True, kw_only=True)
class _Known:
    """What the last listing of a vertex's metric names told."""

    wanted: tuple[str, ...]
    partitions: int | None
    has_pending: bool


class Observer:
    """Reads one job. Metric names are listed on first sight, after each restart, when a read finds one missing, and
    now and then for sources without pendingRecords, which Kafka registers with the first record it fetches, and for
    those that lag with no more partitions than subtasks."""

    def __init__(self, flink: Flink, job_id: str, fetched_every: Millis = FETCHED_EVERY) -> None:
        self._flink = flink
        self._job_id = job_id
        self._stands_still = STANDS_STILL * fetched_every
        self._names: dict[VertexId, _Known] = {}
        self._attempt: tuple[Millis | None, BusyTimeAggregator] | None = None
        self._passes = 0
        self._spent: float | None = None
        self._moved_at: Millis = 0

    def observe(self, details: JobDetails, policy: Policy, at: Millis, earlier: Sequence[Sample]) -> Observation:
        """Take a sample of a running job. ``at`` is the time of the poke, which is that of the values;
        ``earlier`` are the samples of the window so far."""
        attempt = (details.running_since, policy.busy_time_aggregator)
        if attempt != self._attempt:
            self._names.clear()
            self._attempt = attempt
        self._passes += 1
        doubts = [*details.doubts, *self._standing_still(details, at)]
        metered = not policy.extras or at - (details.running_since or at) >= METER_SPAN
        vertices = {
            vertex.id: self._vertex(vertex, details, policy, earlier, doubts, metered=metered)
            for vertex in details.topology.vertices
        }
        doubts += _backwards(details, vertices, earlier, at)
        gates_on = policy.gc_pressure_threshold < 1.0 or policy.heap_usage_threshold < 1.0
        memory = self._flink.memory() if gates_on else None
        counts = {vertex: known.partitions for vertex, known in self._names.items()}
        return Observation(
            topology=with_partitions(details.topology, counts),
            sample=Sample(
                at=at,
                vertices=frozen(vertices),
                gc_pressure=memory.gc_pressure if memory else None,
                heap_usage=memory.heap_usage if memory else None,
                doubts=tuple(doubts),
            ),
        )

    def _standing_still(self, details: JobDetails, at: Millis) -> list[str]:
        """Doubt metrics that Flink tells again and again: the time a running job was busy, waited and idled only grows.

        Flink does not say how old they are; when TaskManagers do not answer the JobManager, it goes on with the last.
        """
        spent = _spent_ms(details)
        if spent != self._spent:
            self._spent, self._moved_at = spent, at
        still = at - self._moved_at
        if spent is None or still < self._stands_still:
            return []
        return [f"metrics stand still for {still // 1000} s"]

    def _vertex(
        self,
        vertex: Vertex,
        details: JobDetails,
        policy: Policy,
        earlier: Sequence[Sample],
        doubts: list[str],
        *,
        metered: bool,
    ) -> VertexSample:
        """``metered`` is whether per-second meters span their full minute; until then counters alone tell rates."""
        if vertex.finished:
            return FINISHED_SOURCE if vertex.is_source else FINISHED
        lags = _lags(vertex, policy, earlier)
        metrics, counters = self._metrics(vertex, policy.busy_time_aggregator, lags=lags), details.counters[vertex.id]
        if metrics is None:
            doubts.append(f"no metrics of {vertex.name}")
        else:
            doubts += _too_few_or_many(vertex, counters, metrics)
        reading = vertex_reading(vertex, counters, metrics, policy.busy_time_aggregator)
        if not metered:
            reading = structs.replace(reading, records_in_per_s=None, source_records_in_per_s=None)
        lag = reading.pending
        if lag is None and vertex.is_source and not policy.extras:
            lag = 0.0
        return rounded_sample(
            VertexSample(
                load=reading.load,
                accumulated_busy_ms=reading.busy_ms,
                records_in=reading.records_in,
                records_out=reading.records_out,
                records_in_per_s=reading.records_in_per_s,
                lag=lag,
                observed_tpr=_observed_tpr(vertex, reading, policy, earlier) if vertex.is_source else None,
                back_pressure=reading.back_pressure,
            )
        )

    def _metrics(self, vertex: Vertex, aggregator: BusyTimeAggregator, *, lags: bool) -> Mapping[str, Aggregate] | None:
        """Read the vertex's metrics; names are listed once more when one of them is no longer there."""
        lean = aggregator is BusyTimeAggregator.AVG and not vertex.is_source
        if lean:
            return {}
        known = self._names.get(vertex.id)
        waiting = known is not None and vertex.is_source and not known.has_pending
        spent = known is not None and known.partitions is not None and vertex.parallelism >= known.partitions and lags
        every = LIST_AGAIN_EVERY if waiting else COUNT_AGAIN_EVERY
        listed_now = known is None or ((waiting or spent) and self._passes % every == 0)
        if known is None or listed_now:
            known = self._list(vertex, aggregator)
        aggregates = wanted_aggregates(aggregator)
        metrics = self._read(vertex.id, known, aggregates)
        if metrics is None and not listed_now:
            metrics = self._read(vertex.id, self._list(vertex, aggregator), aggregates)
        return metrics

    def _list(self, vertex: Vertex, aggregator: BusyTimeAggregator) -> _Known:
        names = self._flink.metric_names(self._job_id, vertex.id)
        known = _Known(
            wanted=wanted_names(names, is_source=vertex.is_source, aggregator=aggregator),
            partitions=partitions(names) if vertex.is_source else None,
            has_pending=any(name.endswith(".pendingRecords") for name in names),
        )
        self._names[vertex.id] = known
        return known

    def _read(self, vertex_id: VertexId, known: _Known, aggregates: str) -> Mapping[str, Aggregate] | None:
        if not known.wanted:
            del self._names[vertex_id]  # nothing was reported yet: list again next time
            return None
        return self._flink.metrics(self._job_id, vertex_id, known.wanted, aggregates)


def _lags(vertex: Vertex, policy: Policy, earlier: Sequence[Sample]) -> bool:
    """Whether a source was behind when it was measured last, by more than the time from which its rate is observed."""
    last = earlier[-1].vertices.get(vertex.id) if earlier else None
    if last is None or last.lag is None:
        return False
    return last.lag * 1000 > (last.records_in_per_s or 0.0) * policy.observed_tpr_lag_threshold


def _spent_ms(details: JobDetails) -> float | None:
    """The time that all subtasks were busy, waited and idled, since the attempt began; ``None`` if that is not told."""
    told = [
        counters.busy_ms + counters.idle_ms + counters.back_pressured_ms
        for counters in details.counters.values()
        if counters.busy_ms is not None and counters.idle_ms is not None and counters.back_pressured_ms is not None
    ]
    return math.fsum(told) or None


def _backwards(
    details: JobDetails, vertices: Mapping[VertexId, VertexSample], earlier: Sequence[Sample], at: Millis
) -> list[str]:
    """Name the vertices of which a counter fell since it was last known. It is noted with the sample, as those before
    leave the window first, and rates from a counter that is too low are far too high."""
    if details.running_since is None:
        return []
    of_this_run = [sample for sample in earlier if sample.at >= details.running_since]
    known = (*of_this_run, Sample(at=at, vertices=vertices))
    return [
        f"a counter of {vertex.name} ran backwards"
        for vertex in details.topology.vertices
        if newest_counter_fell(vertex, known)
    ]


def _too_few_or_many(vertex: Vertex, counters: VertexCounters, metrics: Mapping[str, Aggregate]) -> list[str]:
    """Doubt metrics that other subtasks report than there are; of those that have finished Flink tells no times, though
    the vertex goes on, as when a source has nothing for some of its readers."""
    told, finished = _subtasks(metrics.get(BUSY)), counters.tasks.get("FINISHED", 0)
    if told in (None, vertex.parallelism, vertex.parallelism - finished):
        return []
    return [f"metrics of {told} subtasks of {vertex.name}"]


def _subtasks(busy: Aggregate | None) -> int | None:
    """How many subtasks a metric was aggregated over, as far as sum and mean tell."""
    if not (busy and busy.sum and busy.avg and math.isfinite(busy.sum) and math.isfinite(busy.avg)):
        return None
    return round(busy.sum / busy.avg)


def _observed_tpr(vertex: Vertex, reading: VertexReading, policy: Policy, earlier: Sequence[Sample]) -> float | None:
    if reading.source_records_in_per_s is None:
        return None
    return observed_true_processing_rate(
        rate_in=reading.source_records_in_per_s,
        lag=reading.pending,
        back_pressured_ms_per_s=reading.back_pressured_ms_per_s,
        earlier=[s.vertices[vertex.id].observed_tpr for s in earlier if vertex.id in s.vertices],
        policy=policy,
    )

"""What one vertex reported at one instant, as plain numbers: which metrics to ask for, and what they mean.

Metric names are parsed here and nowhere else. An operator's metric is ``<operator>.<metric>`` with every dot,
comma, colon and space of the operator's name replaced by ``_``; a source's operator starts with ``Source__``,
and one vertex may hold several.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from sys import intern
from typing import Final

from msgspec import Struct, structs

from autoscaler.cluster.flink_json import Aggregate, VertexCounters
from autoscaler.model import BusyTimeAggregator, Topology, Vertex, VertexId

BUSY: Final = "busyTimeMsPerSecond"
BACK_PRESSURED: Final = "backPressuredTimeMsPerSecond"
RECORDS_IN_PER_S: Final = "numRecordsInPerSecond"
_SOURCE: Final = "Source__"
_PENDING: Final = "pendingRecords"
_RECORDS_IN: Final = "numRecordsIn"
_RECORDS_OUT: Final = "numRecordsOut"
_OF_SOURCES: Final = frozenset({_PENDING, _RECORDS_IN, _RECORDS_OUT, RECORDS_IN_PER_S})


class VertexReading(Struct, frozen=True, kw_only=True):
    """One vertex's numbers, not rounded; ``None`` where Flink does not say.

    ``load`` and ``back_pressure`` are shares of time, ``back_pressured_ms_per_s`` is the latter as Flink sends it, for
    a formula that must not round twice. ``busy_ms``, ``records_in`` and ``records_out`` are counters of the present
    attempt, summed over subtasks. ``records_in_per_s`` is of non-sources; ``pending`` and ``source_records_in_per_s``,
    summed over the operators that read, are of sources.
    """

    load: float | None = None
    busy_ms: float | None = None
    records_in: float | None = None
    records_out: float | None = None
    records_in_per_s: float | None = None
    back_pressure: float | None = None
    back_pressured_ms_per_s: float | None = None
    pending: float | None = None
    source_records_in_per_s: float | None = None


def wanted_names(
    names: Iterable[str], *, is_source: bool, aggregator: BusyTimeAggregator = BusyTimeAggregator.MAX
) -> tuple[str, ...]:
    """Choose, of the names listed for a vertex, those to read each interval.

    With the AVG aggregator a vertex that is no source needs none: its busy time comes with the job's details.
    """
    if is_source:
        wanted = (name for name in names if name in (BUSY, BACK_PRESSURED) or _of_source(name) in _OF_SOURCES)
    elif aggregator is BusyTimeAggregator.AVG:
        return ()
    else:
        wanted = (name for name in names if name in (BUSY, BACK_PRESSURED, RECORDS_IN_PER_S))
    # Sorted, because Flink lists names in any order and the same request should read the same.
    return tuple(sorted(intern(name) for name in wanted))


def wanted_aggregates(aggregator: BusyTimeAggregator) -> str:
    """Name the aggregates to ask for; fewer are fewer bytes."""
    busy = {BusyTimeAggregator.MAX: "max", BusyTimeAggregator.MIN: "min"}.get(aggregator)
    return f"{busy},avg,sum" if busy else "avg,sum"


def partitions(names: Iterable[str]) -> int | None:
    """Count the Kafka or Pulsar partitions a source reads, by its metric names; ``None`` if it names none."""
    listed = list(names)
    kafka = {_kafka_partition(name) for name in listed} - {None}
    pulsar = {_pulsar_partition(name) for name in listed} - {None}
    return len(kafka) or len(pulsar) or None


def with_partitions(topology: Topology, counts: Mapping[VertexId, int | None]) -> Topology:
    """Return the topology with the number of partitions of those vertices filled in."""
    return Topology(
        vertices=tuple(
            structs.replace(vertex, source_partitions=counts[vertex.id]) if counts.get(vertex.id) else vertex
            for vertex in topology.vertices
        )
    )


def vertex_reading(
    vertex: Vertex,
    counters: VertexCounters,
    metrics: Mapping[str, Aggregate] | None,
    aggregator: BusyTimeAggregator = BusyTimeAggregator.MAX,
) -> VertexReading:
    """Put together what the job's details and the subtask metrics say of a vertex.

    ``metrics`` is empty where none were wanted, ``None`` where they could not be read.
    """
    read = metrics or {}
    source = vertex.is_source
    lean = aggregator is BusyTimeAggregator.AVG and not source
    return VertexReading(
        load=_share(counters.busy_ms, counters) if lean else _load(read.get(BUSY), aggregator),
        busy_ms=counters.busy_ms,
        records_in=_source_records_in(counters, metrics) if source else counters.read_records,
        records_out=counters.write_records,
        records_in_per_s=None if source else read.get(RECORDS_IN_PER_S, _NOTHING).sum,
        back_pressure=_share(counters.back_pressured_ms, counters) if lean else _waiting(read.get(BACK_PRESSURED)),
        back_pressured_ms_per_s=read.get(BACK_PRESSURED, _NOTHING).avg,
        pending=_sum(read, _PENDING) if source else None,
        source_records_in_per_s=_sum(read, RECORDS_IN_PER_S) if source else None,
    )


_NOTHING: Final = Aggregate()


def _load(busy: Aggregate | None, aggregator: BusyTimeAggregator) -> float | None:
    """The busy share of the busiest, the idlest or the mean subtask."""
    if busy is None:
        return None
    value = {
        BusyTimeAggregator.MAX: busy.max,
        BusyTimeAggregator.MIN: busy.min,
        BusyTimeAggregator.AVG: busy.avg,
    }[aggregator]
    return max(0.0, value / 1000) if value is not None and math.isfinite(value) else None


def _waiting(back_pressured: Aggregate | None) -> float | None:
    value = back_pressured.avg if back_pressured else None
    return None if value is None else value / 1000


def _share(accumulated_ms: float | None, counters: VertexCounters) -> float | None:
    """The mean share of time since the attempt began, from a time summed over subtasks."""
    whole = (counters.duration or 0) * counters.parallelism
    if accumulated_ms is None or not math.isfinite(accumulated_ms) or whole <= 0:
        return None
    return max(0.0, accumulated_ms / whole)


def _source_records_in(counters: VertexCounters, metrics: Mapping[str, Aggregate] | None) -> float | None:
    """Count what a source has read.

    Up to 1.20 a task's own counter leaves out what its source operator reads, and readers that are not built
    on the common base count only what they hand on. Where the metrics could not be read, a 0 says nothing. Where no
    operator goes by a source's name, what the task hands on is all there is, and a 0 of that says nothing either.
    """
    count = counters.read_records
    if count != 0:
        return count
    if metrics is None:
        return None
    counted = [metric for metric in (_RECORDS_IN, _RECORDS_OUT) if _listed(metrics, metric)]
    for metric in counted:
        count = _sum(metrics, metric)
        if count != 0:
            return count
    return count if counted else counters.write_records or None


def _listed(metrics: Mapping[str, Aggregate], metric: str) -> bool:
    return any(_of_source(name) == metric for name in metrics)


def _sum(metrics: Mapping[str, Aggregate], metric: str) -> float | None:
    """Add a metric up over the vertex's source operators; ``None`` if none has it or one is not a finite number."""
    total = 0.0
    found = False
    for name, aggregate in metrics.items():
        if _of_source(name) == metric:
            if aggregate.sum is None or not math.isfinite(aggregate.sum):
                return None
            total += aggregate.sum
            found = True
    return total if found else None


def _of_source(name: str) -> str | None:
    """Return the metric's own name if it is a source operator's."""
    return name.rpartition(".")[2] if name.startswith(_SOURCE) else None


def _kafka_partition(name: str) -> tuple[str, str, str] | None:
    """Read cluster, topic and number off the name of a partition's offset.

    ``Source__x.KafkaSourceReader.topic.t.partition.0.currentOffset``, with ``.kafkaCluster.c`` before the
    reader's part if the source reads several clusters.
    """
    if not name.endswith(".currentOffset"):
        return None
    where, found, rest = name.removesuffix(".currentOffset").partition(".KafkaSourceReader.topic.")
    topic, parted, number = rest.rpartition(".partition.")
    if not (found and parted and topic and _is_number(number)):
        return None
    return where.partition(".kafkaCluster.")[2], topic, number


def _pulsar_partition(name: str) -> tuple[str, str] | None:
    """Read topic and number off ``x.PulsarConsumer.<topic>-partition-<n>.<consumer>.numMsgsReceived``."""
    if not name.endswith(".numMsgsReceived"):
        return None
    _, found, rest = name.removesuffix(".numMsgsReceived").rpartition(".PulsarConsumer.")
    topic, parted, tail = rest.rpartition("-partition-")
    number, dot, _ = tail.partition(".")
    return (topic, number) if found and parted and topic and dot and _is_number(number) else None


def _is_number(text: str) -> bool:
    return text.isascii() and text.isdigit()

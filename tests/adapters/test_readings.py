"""From metric names and numbers to what one vertex does: the right names are asked for, and absent stays absent."""

from __future__ import annotations

import math

import pytest

from autoscaler.cluster.flink_json import Aggregate, VertexCounters, parse_job, parse_metric_names, parse_metrics
from autoscaler.cluster.readings import (
    BACK_PRESSURED,
    BUSY,
    RECORDS_IN_PER_S,
    VertexReading,
    partitions,
    vertex_reading,
    wanted_aggregates,
    wanted_names,
    with_partitions,
)
from autoscaler.model import BusyTimeAggregator, Input, Topology, Vertex
from tests.adapters.recorded import RELEASES, flink, yarn

AVG, MAX, MIN = BusyTimeAggregator.AVG, BusyTimeAggregator.MAX, BusyTimeAggregator.MIN
SOURCE = Vertex(id="s", name="Source: s", parallelism=2, max_parallelism=128)
WORKER = Vertex(
    id="w",
    name="w",
    parallelism=2,
    max_parallelism=128,
    inputs=(Input(id="s", ship_strategy="HASH"),),
)


def counters(
    read: float | None = 100,
    write: float | None = 90,
    busy: float | None = 3000,
    back: float | None = 500,
    duration: int | None = 10_000,
) -> VertexCounters:
    return VertexCounters(
        status="RUNNING",
        parallelism=2,
        duration=duration,
        tasks={"RUNNING": 2},
        read_records=read,
        write_records=write,
        busy_ms=busy,
        idle_ms=0,
        back_pressured_ms=back,
    )


def total(value: float | None) -> Aggregate:
    return Aggregate(sum=value)


# ------------------------------------------------------------------ names


@pytest.mark.parametrize("release", RELEASES)
def test_names_wanted_of_every_release(release: str) -> None:
    """A source is asked for what its source operators count, another vertex for three bare names."""
    operator = "Source__nums_src_(A)__b"
    source = parse_metric_names(flink(release, "v_src_names"))
    counted = ("numRecordsIn", "numRecordsInPerSecond", "numRecordsOut", "pendingRecords")
    expected = (*(f"{operator}.{name}" for name in counted), BACK_PRESSURED, BUSY)
    assert wanted_names(source, is_source=True) == expected
    assert wanted_names(source, is_source=True, aggregator=AVG) == expected
    assert partitions(source) == 1
    slow = parse_metric_names(flink(release, "v_slow_names"))
    assert wanted_names(slow, is_source=False) == (BACK_PRESSURED, BUSY, RECORDS_IN_PER_S)
    assert wanted_names(slow, is_source=False, aggregator=MIN) == (BACK_PRESSURED, BUSY, RECORDS_IN_PER_S)
    assert wanted_names(slow, is_source=False, aggregator=AVG) == ()
    finished = parse_metric_names(flink(release, "v_fin_names"))
    assert BUSY not in wanted_names(finished, is_source=True)


def test_similar_names_are_not_wanted() -> None:
    """Only exact bare names and the last part of a source operator's name count."""
    names = ["softBackPressuredTimeMsPerSecond", "changelogBusyTimeMsPerSecond", "gate.numRecordsIn", "numRecordsIn"]
    names += ["Source__x.numRecordsInErrors", "Source__x.KafkaSourceReader.KafkaConsumer.records-lag-max"]
    assert wanted_names(names, is_source=True) == ()
    assert wanted_names(names, is_source=False) == ()


def test_every_source_operator_of_a_vertex_counts() -> None:
    """A vertex that chains several sources, or reads several clusters, is asked for all of them."""
    names = ["Source__b.pendingRecords", "Source__a.kafkaCluster.c1.pendingRecords", "Source__a.numRecordsIn"]
    assert wanted_names(names, is_source=True) == tuple(sorted(names))


@pytest.mark.parametrize(("aggregator", "asked"), [(MAX, "max,avg,sum"), (MIN, "min,avg,sum"), (AVG, "avg,sum")])
def test_only_the_aggregates_needed_are_asked_for(aggregator: BusyTimeAggregator, asked: str) -> None:
    """Fewer aggregates are fewer bytes."""
    assert wanted_aggregates(aggregator) == asked


KAFKA = "Source__in.KafkaSourceReader.topic.{}.partition.{}.currentOffset"
PARTITIONS = {
    "Kafka": ([KAFKA.format("a", 0), KAFKA.format("a", 1), KAFKA.format("b", 0)], 3),
    "counted once": ([KAFKA.format("a", 0), KAFKA.format("a", 0)], 1),
    "committed offsets are not counted": ([KAFKA.format("a", 0).replace("current", "committed")], None),
    "topic that looks like a partition": ([KAFKA.format("x.partition.9", 0)], 1),
    "several clusters": (
        [
            f"Source__in.kafkaCluster.{cluster}.KafkaSourceReader.topic.a.partition.0.currentOffset"
            for cluster in ("one", "two")
        ],
        2,
    ),
    "Pulsar": (
        [f"Source__in.PulsarConsumer.persistent_//p/d/t-partition-{n}.sub.xyz.numMsgsReceived" for n in (0, 1, 11)],
        3,
    ),
    "Pulsar without partitions": (["Source__in.PulsarConsumer.topic.sub.numMsgsReceived"], None),
    "no number": ([KAFKA.format("a", "x"), KAFKA.format("a", ""), KAFKA.format("a", "²")], None),
    "none": (["busyTimeMsPerSecond", "Source__in.numRecordsIn"], None),
    "long and hopeless": ([".KafkaSourceReader.topic." * 2000 + ".partition." * 2000 + ".currentOffset"], None),
}


@pytest.mark.parametrize(("names", "count"), PARTITIONS.values(), ids=PARTITIONS)
def test_partitions_are_counted(names: list[str], count: int | None) -> None:
    """The distinct partitions a source has been given are what bounds its useful parallelism."""
    assert partitions(names) == count


def test_partitions_of_a_real_kafka_source() -> None:
    """Sixteen partitions are sixteen, among two hundred names."""
    assert partitions(parse_metric_names(yarn("flink_vertex_source_subtasks_metrics_list"))) == 16


def test_partitions_are_filled_into_the_topology() -> None:
    """Only the vertices whose partitions are known are changed."""
    topology = with_partitions(Topology(vertices=(SOURCE, WORKER)), {"s": 16, "w": None})
    assert [vertex.source_partitions for vertex in topology.vertices] == [16, None]
    assert topology.vertices[1] is WORKER


# ------------------------------------------------------------------ numbers


@pytest.mark.parametrize(("aggregator", "load"), [(MAX, 0.9), (MIN, 0.1), (AVG, 0.5)])
def test_load_is_the_aggregators(aggregator: BusyTimeAggregator, load: float) -> None:
    """The busy time of the busiest, the idlest or the mean subtask, as a share."""
    metrics = {BUSY: Aggregate(min=100, max=900, avg=500, sum=1000)}
    assert vertex_reading(SOURCE, counters(), metrics, aggregator).load == load


@pytest.mark.parametrize("busy", [None, math.inf, -math.inf])
def test_load_that_is_no_number_is_absent(busy: float | None) -> None:
    """No number is no load, not an idle vertex."""
    assert vertex_reading(WORKER, counters(), {BUSY: Aggregate(max=busy)}, MAX).load is None


def test_load_is_never_negative() -> None:
    """Clocks that jump do not make work disappear."""
    assert vertex_reading(WORKER, counters(), {BUSY: Aggregate(max=-5)}, MAX).load == 0


def test_a_vertex_without_busy_time_has_no_load() -> None:
    """A finished or legacy vertex reports no busy time."""
    assert vertex_reading(WORKER, counters(), {}, MAX).load is None
    assert vertex_reading(WORKER, counters(), None, MAX).load is None


def test_avg_needs_no_metrics_for_a_vertex_that_is_no_source() -> None:
    """With AVG load and back pressure come from the job's details: times over the subtasks' lifetime."""
    reading = vertex_reading(WORKER, counters(), {}, AVG)
    assert reading == VertexReading(load=0.15, busy_ms=3000, records_in=100, records_out=90, back_pressure=0.025)


@pytest.mark.parametrize(("busy", "duration"), [(None, 10_000), (math.inf, 10_000), (3000, None), (3000, 0)])
def test_avg_load_is_absent_when_its_parts_are(busy: float | None, duration: int | None) -> None:
    """Without a finite counter or a lifetime there is no share."""
    assert vertex_reading(WORKER, counters(busy=busy, duration=duration), {}, AVG).load is None


def test_a_worker_is_read_from_both_places() -> None:
    """Counters come from the job's details, rates and load from the subtasks' metrics."""
    metrics = {
        BUSY: Aggregate(max=700.0),
        RECORDS_IN_PER_S: Aggregate(sum=83.0),
        BACK_PRESSURED: Aggregate(avg=250.0),
    }
    assert vertex_reading(WORKER, counters(), metrics) == VertexReading(
        load=0.7,
        busy_ms=3000,
        records_in=100,
        records_out=90,
        records_in_per_s=83,
        back_pressure=0.25,
        back_pressured_ms_per_s=250,
    )


def test_a_source_is_read_from_all_its_operators() -> None:
    """Lag and rates of all source operators of a vertex are added up."""
    metrics = {
        "Source__a.pendingRecords": total(40),
        "Source__b.pendingRecords": total(2),
        "Source__a.numRecordsInPerSecond": total(10.5),
        "Source__b.numRecordsInPerSecond": total(1),
        BACK_PRESSURED: Aggregate(avg=100.0),
    }
    reading = vertex_reading(SOURCE, counters(), metrics)
    assert (reading.pending, reading.source_records_in_per_s) == (42, 11.5)
    assert (reading.records_in, reading.records_in_per_s, reading.back_pressure) == (100, None, 0.1)


def test_lag_is_absent_until_it_is_listed() -> None:
    """Kafka reports its lag late, others never: absent is not 0."""
    reading = vertex_reading(SOURCE, counters(), {"Source__a.numRecordsIn": total(5)})
    assert (reading.pending, reading.source_records_in_per_s) == (None, None)


def test_lag_with_a_part_that_is_no_number_is_absent() -> None:
    """A sum of a number and no number is no number, and an infinite lag is none: the job would get all it may."""
    for no_number in (None, math.inf, -math.inf):
        metrics = {"Source__a.pendingRecords": total(40), "Source__b.pendingRecords": total(no_number)}
        assert vertex_reading(SOURCE, counters(), metrics).pending is None


RECORDS_IN = {
    "the task's own counter, from 2.0 on": (7, {"Source__a.numRecordsIn": total(9)}, 7),
    "the operator's, up to 1.20": (0, {"Source__a.numRecordsIn": total(9), "Source__b.numRecordsIn": total(1)}, 10),
    "what a generator hands on": (0, {"Source__a.numRecordsIn": total(0), "Source__a.numRecordsOut": total(5)}, 5),
    "a legacy source hands on": (0, {"Source__a.numRecordsOut": total(5)}, 5),
    "nothing read yet": (0, {"Source__a.numRecordsIn": total(0), "Source__a.numRecordsOut": total(0)}, 0),
    "no operator by a source's name": (0, {BUSY: total(1_000)}, 90),
    "incomplete": (None, {"Source__a.numRecordsIn": total(9)}, None),
    "not a number": (0, {"Source__a.numRecordsIn": total(None), "Source__a.numRecordsOut": total(5)}, None),
    "metrics could not be read": (0, None, None),
    "metrics could not be read, not needed": (7, None, 7),
}


@pytest.mark.parametrize(("read", "metrics", "expected"), RECORDS_IN.values(), ids=RECORDS_IN)
def test_what_a_source_has_read(
    read: float | None, metrics: dict[str, Aggregate] | None, expected: float | None
) -> None:
    """The count falls back from the task to its source operators to what they hand on, and is never made up."""
    assert vertex_reading(SOURCE, counters(read=read), metrics).records_in == expected


@pytest.mark.parametrize("handed_on", [0, None])
def test_a_source_that_counts_nothing_at_all_is_unknown_and_not_idle(handed_on: float | None) -> None:
    """A source that does all of a job's work, by a name of its own, must not be shrunk as if it had nothing to do."""
    assert vertex_reading(SOURCE, counters(read=0, write=handed_on), {BUSY: total(1_000)}).records_in is None


@pytest.mark.parametrize("release", RELEASES)
def test_a_recorded_source_reads_what_it_hands_on(release: str) -> None:
    """The recorded source, whose reader does not count, is read by its output in every release."""
    job = parse_job(flink(release, "job_after2"))
    source = job.topology.vertices[0]
    metrics: dict[str, Aggregate] = {}
    for name in ("numRecordsIn", "numRecordsInPerSecond", "numRecordsOut", "pendingRecords"):
        metrics |= parse_metrics(flink(release, f"one_Source__nums_src_(A)__b.{name}")) or {}
    reading = vertex_reading(source, job.counters[source.id], metrics)
    assert reading.pending == 40
    assert reading.records_in == metrics["Source__nums_src_(A)__b.numRecordsOut"].sum
    assert reading.busy_ms is not None

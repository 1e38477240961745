"""Flink's metrics over REST: names, aggregates over subtasks, and the values other endpoints give as text."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from autoscaler.model import Millis, VertexId
from autoscaler.sim.job import Phase, SimJob
from autoscaler.sim.meters import Aggregated, Fetched, evenly
from autoscaler.sim.scenario import VertexSpec

LATE_NAMES_S = (30.0, 60.0)  # after a start, until a Kafka reader has registered its lag


def metric_names(job: SimJob, vertex: VertexSpec, fetched: Fetched | None) -> list[dict[str, str]]:
    """``/jobs/:id/vertices/:vid/subtasks/metrics`` without ``get``."""
    if fetched is None or job.no_metrics:
        return []
    names = list(_values(job, vertex, fetched))
    if vertex.is_source:
        operator, topic = _operator(vertex), job.spec.name
        names += [
            f"{operator}.KafkaSourceReader.topic.{topic}.partition.{number}.currentOffset"
            for number in range(vertex.partitions)
        ]
    return [{"id": name} for name in names]


def metric_values(
    job: SimJob, vertex: VertexSpec, fetched: Fetched | None, names: Sequence[str], aggregates: Sequence[str]
) -> list[dict[str, Any]]:
    """The same with ``get``: empty if a name is not there, as Flink has it."""
    if fetched is None or job.no_metrics:
        return []
    values = _values(job, vertex, fetched)
    if any(name not in values for name in names):
        return []
    return [_aggregated(name, values[name], aggregates) for name in names]


def _aggregated(name: str, value: Aggregated | None, aggregates: Sequence[str]) -> dict[str, Any]:
    found: dict[str, Any] = {"id": name}
    for aggregate in aggregates:
        if value is None:
            found[aggregate] = "NaN"
        elif aggregate == "skew":
            found[aggregate] = 0.0 if value[2] == 0 else 100.0 * min(1.0, (value[1] - value[0]) / (2 * value[2]))
        else:
            found[aggregate] = value[("min", "max", "avg", "sum").index(aggregate)]
    return found


def _values(job: SimJob, vertex: VertexSpec, fetched: Fetched) -> Mapping[str, Aggregated | None]:
    """A vertex's metrics by name; ``None`` is a value of NaN."""
    reading = fetched.vertices[vertex.id]
    p = reading.parallelism
    task_in = vertex.is_source and job.version < (2, 0)
    values: dict[str, Aggregated | None] = {
        "busyTimeMsPerSecond": None if vertex.id in job.nan_busy else reading.busy,
        "idleTimeMsPerSecond": reading.idle,
        "backPressuredTimeMsPerSecond": reading.back_pressured,
        "numRecordsIn": evenly(0.0 if task_in else math.floor(reading.records_in), p),
        "numRecordsInPerSecond": evenly(0.0 if task_in else reading.in_per_s, p),
        "numRecordsOut": evenly(math.floor(reading.records_out), p),
        "numRecordsOutPerSecond": evenly(reading.out_per_s, p),
    }
    if vertex.is_source:
        operator = _operator(vertex)
        values |= {
            f"{operator}.numRecordsIn": evenly(math.floor(reading.records_in), p),
            f"{operator}.numRecordsInPerSecond": evenly(reading.in_per_s, p),
            f"{operator}.numRecordsOut": evenly(math.floor(reading.records_in), p),
        }
        if fetched.at >= job.tasks_since + round(late_by_s(job, vertex.id) * 1000) or fetched.attempt == 0:
            values[f"{operator}.pendingRecords"] = evenly(math.floor(reading.lag), p)
    return values


def late_by_s(job: SimJob, vertex: VertexId) -> float:
    """How long after a start a source reports no lag."""
    return job.chance.uniform(*LATE_NAMES_S, "names", vertex, job.attempt)


def _operator(vertex: VertexSpec) -> str:
    """The source operator's name as it stands in metric names."""
    name = vertex.name if vertex.name.startswith("Source: ") else f"Source: {vertex.name}"
    for char in " .,:":
        name = name.replace(char, "_")
    return name[:80]


def manager_metrics(job: SimJob, names: Sequence[str]) -> list[dict[str, str]]:
    """``/jobmanager/metrics``: those of the names that are known, values as text."""
    known = {
        "taskSlotsTotal": job.slots,
        "taskSlotsAvailable": max(0, job.slots - job.used),
        "numRegisteredTaskManagers": len(job.holder.registered),
        "numRunningJobs": int(job.phase is not Phase.FAILED),
    }
    if not names:
        return [{"id": name} for name in known]
    return [{"id": name, "value": str(known[name])} for name in names if name in known]


def worker_metrics(job: SimJob, names: Sequence[str], aggregates: Sequence[str]) -> list[dict[str, Any]]:
    """``/taskmanagers/metrics``: the heap is half full, and collecting takes 1 % of the time."""
    heap = job.yarn.task_manager_mb * 2**20 * 0.4
    known = {
        "Status.JVM.Memory.Heap.Used": heap / 2,
        "Status.JVM.Memory.Heap.Max": heap,
        "Status.JVM.Memory.Metaspace.Used": 1e8,
        "Status.Flink.Memory.Managed.Used": heap / 4,
    }
    if job.version >= (1, 19):
        known["Status.JVM.GarbageCollector.All.TimeMsPerSecond"] = 10.0
    if not names:
        return [{"id": name} for name in known]
    workers = max(1, len(job.holder.registered))
    if any(name not in known for name in names):
        return []
    return [_aggregated(name, evenly(known[name] * workers, workers), aggregates) for name in names]


def job_metrics(job: SimJob, now: Millis, names: Sequence[str]) -> list[dict[str, str]]:
    """``/jobs/:id/metrics``, values as text."""
    known = {
        "numRestarts": job.restarts,
        "uptime": now - job.running_since if job.phase is Phase.RUNNING else 0,
        "numberOfCompletedCheckpoints": job.checkpoints.count_completed,
        "numberOfFailedCheckpoints": job.checkpoints.count_failed,
        "numberOfInProgressCheckpoints": int(job.checkpoints.running is not None),
        "lastCheckpointDuration": round(job.spec.checkpoint_duration_s * 1000),
        "lastCompletedCheckpointId": job.checkpoints.completed.id,
    }
    if job.version >= (2, 0):
        known["numRescales"] = sum(change.is_rescale for change in job.changes)
    if not names:
        return [{"id": name} for name in known]
    return [{"id": name, "value": str(known[name])} for name in names if name in known]

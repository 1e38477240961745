"""Flink's metrics over REST: names, aggregates over subtasks, and the values other endpoints give as text."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from typing import Any

from autoscaler.cluster import BUSY
from autoscaler.model import Millis
from autoscaler.sim.job import Phase, SimJob
from autoscaler.sim.meters import Aggregated, Fetched, VertexReading, evenly
from autoscaler.sim.scenario import VertexSpec

PLACE = {"min": 0, "max": 1, "avg": 2, "sum": 3}  # of an aggregate among the four that are kept


def metric_names(job: SimJob, vertex: VertexSpec, fetched: Fetched | None) -> list[dict[str, str]]:
    """``/jobs/:id/vertices/:vid/subtasks/metrics`` without ``get``."""
    if fetched is None or job.no_metrics:
        return []
    names = list(_readers(job, vertex, fetched))
    if vertex.is_source:
        operator, topic = _operator(vertex.name), job.spec.name
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
    readers, reading = _readers(job, vertex, fetched), fetched.vertices[vertex.id]
    if any(name not in readers for name in names):
        return []
    spoilt = vertex.id in job.nan_busy
    return [
        _aggregated(name, None if spoilt and name == BUSY else readers[name](reading), aggregates) for name in names
    ]


def _aggregated(name: str, value: Aggregated | None, aggregates: Sequence[str]) -> dict[str, Any]:
    found: dict[str, Any] = {"id": name}
    for aggregate in aggregates:
        if value is None:
            found[aggregate] = "NaN"
        elif aggregate == "skew":
            found[aggregate] = 0.0 if value[2] == 0 else 100.0 * min(1.0, (value[1] - value[0]) / (2 * value[2]))
        else:
            found[aggregate] = value[PLACE[aggregate]]
    return found


Reader = Callable[[VertexReading], Aggregated]
OF_TASKS: Mapping[str, Reader] = {
    "busyTimeMsPerSecond": lambda r: r.busy,
    "idleTimeMsPerSecond": lambda r: r.idle,
    "backPressuredTimeMsPerSecond": lambda r: r.back_pressured,
    "numRecordsIn": lambda r: evenly(math.floor(r.records_in), r.parallelism),
    "numRecordsInPerSecond": lambda r: evenly(r.in_per_s, r.parallelism),
    "numRecordsOut": lambda r: evenly(math.floor(r.records_out), r.parallelism),
    "numRecordsOutPerSecond": lambda r: evenly(r.out_per_s, r.parallelism),
}
OF_SOURCES: Mapping[str, Reader] = {
    "numRecordsIn": OF_TASKS["numRecordsIn"],
    "numRecordsInPerSecond": OF_TASKS["numRecordsInPerSecond"],
    "numRecordsOut": OF_TASKS["numRecordsIn"],
    "pendingRecords": lambda r: evenly(math.floor(r.lag), r.parallelism),
}
UNCOUNTED = ("numRecordsIn", "numRecordsInPerSecond")  # of a source's task before 2.0
NOTHING: Reader = lambda r: evenly(0.0, r.parallelism)  # noqa: E731 - one of a family


def _readers(job: SimJob, vertex: VertexSpec, fetched: Fetched) -> Mapping[str, Reader]:
    """What there is to read of a vertex, by name."""
    if not vertex.is_source:
        return OF_TASKS
    has_lag = fetched.at >= job.lag_known_at[vertex.id]
    return _source_readers(vertex.name, has_lag, job.version >= (2, 0))


@lru_cache(maxsize=256)
def _source_readers(name: str, has_lag: bool, counts: bool) -> Mapping[str, Reader]:
    tasks = {key: NOTHING if key in UNCOUNTED and not counts else reader for key, reader in OF_TASKS.items()}
    operator = _operator(name)
    known = {key: reader for key, reader in OF_SOURCES.items() if has_lag or key != "pendingRecords"}
    return tasks | {f"{operator}.{key}": reader for key, reader in known.items()}


def _operator(name: str) -> str:
    """The source operator's name as it stands in metric names."""
    name = name if name.startswith("Source: ") else f"Source: {name}"
    for char in " .,:":
        name = name.replace(char, "_")
    return name[:80]


def manager_metrics(jobs: Sequence[SimJob], names: Sequence[str]) -> list[dict[str, str]]:
    """``/jobmanager/metrics``: those of the names that are known, values as text."""
    pool = jobs[0].pool
    known = {
        "taskSlotsTotal": pool.slots,
        "taskSlotsAvailable": max(0, pool.slots - sum(job.used for job in jobs)),
        "numRegisteredTaskManagers": len(pool.holder.registered),
        "numRunningJobs": sum(not job.ended for job in jobs),
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

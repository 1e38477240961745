"""Flink's REST answers, 1.18 to 2.3, as values: what differs between releases ends here.

The parsers are plain functions of parsed JSON. Numbers that Flink sends as the strings "NaN" and "Infinity"
become ``None`` and ``inf``, counters it calls incomplete become ``None``. A shape that cannot be read raises
KeyError, TypeError, ValueError or AttributeError, which ``flink`` turns into one of ours.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from sys import intern
from typing import Any, Final

from msgspec import Struct

from autoscaler.model import Bounds, Input, Millis, Topology, Vertex, VertexId, frozen

GC_TIME: Final = "Status.JVM.GarbageCollector.All.TimeMsPerSecond"
HEAP_USED: Final = "Status.JVM.Memory.Heap.Used"
HEAP_MAX: Final = "Status.JVM.Memory.Heap.Max"
_REDACTED: Final = "******"
_NEVER: Final = 2**63 - 1
_ABORTED: Final = "suspending"  # "Checkpoint Coordinator is suspending."


# ------------------------------------------------------------------ values


@dataclass(frozen=True, slots=True, kw_only=True)
class JobOverview:
    """One line of the list of jobs: the state Flink keeps live, and how many subtasks are in which state."""

    id: str
    name: str
    state: str
    start_time: Millis
    running: int
    finished: int
    total: int
    kind: str | None = None
    scheduler: str | None = None

    @property
    def effective_state(self) -> str:
        """The state, but RUNNING only when every task is: a job says so while it restores its state."""
        if self.state == "RUNNING" and not (0 < self.total == self.running + self.finished):
            return "CREATED"
        return self.state


@dataclass(frozen=True, slots=True, kw_only=True)
class ClusterConfig:
    """What a cluster says of itself; ``adaptive`` is whether its jobs can be rescaled."""

    flink_version: str
    adaptive: bool | None
    session: bool | None


class VertexCounters(Struct, frozen=True, kw_only=True):
    """One vertex in the present attempt, counters summed over subtasks; ``None`` where incomplete."""

    status: str
    parallelism: int
    duration: Millis | None
    tasks: Mapping[str, int]
    read_records: float | None
    write_records: float | None
    busy_ms: float | None
    idle_ms: float | None
    back_pressured_ms: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class JobDetails:
    """One job with its vertices. ``running_since`` starts anew with every attempt; ``None`` if it does not run.

    ``sparse`` is the form Flink gives while there is no execution graph (waiting for slots, or failed before
    it had any): its vertices carry the submitted parallelism, not the present one, so they are left out.
    """

    id: str
    name: str
    state: str
    kind: str | None
    scheduler: str | None
    start_time: Millis
    running_since: Millis | None
    now: Millis
    sparse: bool
    topology: Topology
    counters: Mapping[VertexId, VertexCounters]
    doubts: tuple[str, ...] = ()


class Aggregate(Struct, frozen=True, kw_only=True, gc=False):
    """One metric over the subtasks that have it; ``None`` where not asked for or not a number."""

    min: float | None = None
    max: float | None = None
    avg: float | None = None
    sum: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Checkpoints:
    """What is known of a job's checkpoints. ``triggers`` holds when each one of the recent history began.

    ``failing`` is whether the newest that ended failed, but for those a restart aborted; ``savepoint_running`` whether
    a savepoint is being taken.
    """

    completed: int = 0
    failed: int = 0
    in_progress: int = 0
    failing: bool = False
    savepoint_running: bool = False
    completed_id: int | None = None
    completed_triggered_at: Millis | None = None
    completed_at: Millis | None = None
    restored_id: int | None = None
    restored_at: Millis | None = None
    triggers: Mapping[int, Millis] = field(default_factory=lambda: frozen({}))


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckpointSettings:
    """How a job checkpoints, what its own code set included. ``interval_ms`` is ``None`` where it does not; the
    others name classes of Flink's, ``None`` where a release does not tell."""

    interval_ms: Millis | None = None
    state_backend: str | None = None
    storage: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskManagers:
    """How many TaskManagers and slots a cluster has."""

    count: int
    slots_total: int
    slots_available: int


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskManager:
    """One registered TaskManager; on YARN ``id`` is its container's. ``process_memory`` in bytes."""

    id: str
    host: str
    slots: int
    free_slots: int
    process_memory: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Memory:
    """Memory pressure over all TaskManagers: the worst share of time in collection, and of heap in use."""

    gc_pressure: float | None = None
    heap_usage: float | None = None


# ------------------------------------------------------------------ parsers


def parse_jobs(document: Mapping[str, Any]) -> tuple[JobOverview, ...]:
    """Read ``/jobs/overview``."""
    return tuple(_job_overview(job) for job in document.get("jobs") or ())


def _job_overview(job: Mapping[str, Any]) -> JobOverview:
    tasks = job.get("tasks") or {}
    return JobOverview(
        id=intern(str(job["jid"])),
        name=intern(str(job.get("name", ""))),
        state=intern(str(job.get("state", ""))),
        start_time=int(job.get("start-time", 0)),
        running=int(tasks.get("running", 0)),
        finished=int(tasks.get("finished", 0)),
        total=int(tasks.get("total", 0)),
        kind=_word(job.get("jobType")),
        scheduler=_word(job.get("schedulerType")),
    )


def parse_cluster_config(document: Mapping[str, Any]) -> ClusterConfig:
    """Read ``/config``; ``web-rescale`` is true where the scheduler is adaptive and not reactive."""
    features = document.get("features") or {}
    return ClusterConfig(
        flink_version=intern(str(document.get("flink-version", ""))),
        adaptive=features.get("web-rescale"),
        session=features.get("web-submit"),
    )


def parse_configuration(document: Iterable[Mapping[str, Any]]) -> dict[str, str]:
    """Read ``/jobmanager/config``."""
    return _visible((entry.get("key"), entry.get("value")) for entry in document)


def parse_job_parameters(document: Mapping[str, Any]) -> dict[str, str]:
    """Read ``/jobs/:id/config``."""
    return _visible(((document.get("execution-config") or {}).get("user-config") or {}).items())


def _visible(entries: Iterable[tuple[Any, Any]]) -> dict[str, str]:
    """Keep what has a value: Flink puts stars in place of one whose key looks like a secret's."""
    return {
        intern(str(key)): intern(str(value))
        for key, value in entries
        if key is not None and value is not None and value != _REDACTED
    }


def parse_metric_names(document: Iterable[Mapping[str, Any]]) -> tuple[str, ...]:
    """Read a list of metric names."""
    return tuple(entry["id"] for entry in document)


def parse_metrics(document: Iterable[Mapping[str, Any]]) -> dict[str, Aggregate] | None:
    """Read aggregated metrics; an empty answer is Flink's way to say that one of the names is unknown."""
    found = {
        intern(entry["id"]): Aggregate(
            min=_number(entry.get("min")),
            max=_number(entry.get("max")),
            avg=_number(entry.get("avg")),
            sum=_number(entry.get("sum")),
        )
        for entry in document
    }
    return found or None


def parse_memory(metrics: Mapping[str, Aggregate]) -> Memory:
    """Read memory pressure from TaskManager metrics."""
    gc = metrics.get(GC_TIME, Aggregate()).max
    used = metrics.get(HEAP_USED, Aggregate()).max
    limit = metrics.get(HEAP_MAX, Aggregate()).max
    return Memory(
        gc_pressure=None if gc is None else gc / 1000,
        heap_usage=used / limit if used is not None and limit is not None and limit > 0 else None,
    )


def parse_task_managers(document: Mapping[str, Any]) -> TaskManagers:
    """Read ``/overview``."""
    return TaskManagers(
        count=int(document.get("taskmanagers", 0)),
        slots_total=int(document.get("slots-total", 0)),
        slots_available=int(document.get("slots-available", 0)),
    )


def parse_task_manager_list(document: Mapping[str, Any]) -> tuple[TaskManager, ...]:
    """Read ``/taskmanagers``; the host stands in the address, ``pekko.tcp://flink@host:port/user/...``."""
    return tuple(
        TaskManager(
            id=str(each["id"]),
            host=str(each.get("path", "")).partition("@")[2].partition("/")[0].rpartition(":")[0],
            slots=int(each.get("slotsNumber", 0)),
            free_slots=int(each.get("freeSlots", 0)),
            process_memory=(each.get("memoryConfiguration") or {}).get("totalProcessMemory") or None,
        )
        for each in document["taskmanagers"]
    )


def parse_requirements(document: Mapping[str, Any]) -> Mapping[VertexId, Bounds]:
    """Read ``/jobs/:id/resource-requirements``. A lower bound of -1, which somebody may have sent and Flink then keeps,
    means 1."""
    return frozen(
        {
            intern(vertex): Bounds(
                lower=max(1, int(entry["parallelism"]["lowerBound"])), upper=int(entry["parallelism"]["upperBound"])
            )
            for vertex, entry in document.items()
        }
    )


def parse_checkpoint_interval(document: Mapping[str, Any]) -> int | None:
    """Read ``/jobs/:id/checkpoints/config``; an interval of 2^63-1 ms is how Flink says never."""
    interval = document.get("interval")
    return interval if isinstance(interval, int) and 0 < interval < _NEVER else None


def parse_checkpoint_settings(document: Mapping[str, Any]) -> CheckpointSettings:
    """Read ``/jobs/:id/checkpoints/config``, all of it."""
    return CheckpointSettings(
        interval_ms=parse_checkpoint_interval(document),
        state_backend=_word(document.get("state_backend")),
        storage=_word(document.get("checkpoint_storage")),
    )


def parse_restart_strategy(document: Mapping[str, Any]) -> str | None:
    """Read what ``/jobs/:id/config`` says of the restart strategy, a sentence that differs by release."""
    return _word((document.get("execution-config") or {}).get("restart-strategy"))


def parse_checkpoints(document: Mapping[str, Any]) -> Checkpoints:
    """Read ``/jobs/:id/checkpoints``."""
    counts = document.get("counts") or {}
    latest = document.get("latest") or {}
    completed = latest.get("completed") or {}
    restored = latest.get("restored") or {}
    failed = latest.get("failed") or {}
    history = document.get("history") or ()
    return Checkpoints(
        completed=int(counts.get("completed", 0)),
        failed=int(counts.get("failed", 0)),
        in_progress=int(counts.get("in_progress", 0)),
        failing=_is_failing(completed, failed),
        savepoint_running=any(entry.get("is_savepoint") and entry.get("status") == "IN_PROGRESS" for entry in history),
        completed_id=completed.get("id"),
        completed_triggered_at=completed.get("trigger_timestamp"),
        completed_at=completed.get("latest_ack_timestamp"),
        restored_id=restored.get("id"),
        restored_at=restored.get("restore_timestamp"),
        triggers=frozen({entry["id"]: entry["trigger_timestamp"] for entry in history}),
    )


def _is_failing(completed: Mapping[str, Any], failed: Mapping[str, Any]) -> bool:
    """Whether the newest checkpoint that ended failed by itself: a restart aborts the one that is under way."""
    if not failed or _ABORTED in str(failed.get("failure_message") or ""):
        return False
    return int(failed["id"]) > int(completed.get("id") or 0)


def parse_job(document: Mapping[str, Any]) -> JobDetails:
    """Read ``/jobs/:id``."""
    plan = document.get("plan") or {}
    nodes = plan.get("nodes") or ()
    vertices = document.get("vertices") or ()
    counters = {} if not nodes else {intern(vertex["id"]): _counters(vertex) for vertex in vertices}
    return JobDetails(
        id=intern(str(document["jid"])),
        name=intern(str(document.get("name", ""))),
        state=intern(str(document.get("state", ""))),
        kind=_word(plan.get("type")) or _word(document.get("job-type")),
        scheduler=_word(document.get("schedulerType")),
        start_time=int(document.get("start-time", 0)),
        running_since=(document.get("timestamps") or {}).get("RUNNING") or None,
        now=int(document.get("now", 0)),
        sparse=not nodes,
        topology=Topology(vertices=_in_order(vertices, nodes) if nodes else ()),
        counters=frozen(counters),
        doubts=tuple(doubt for vertex in vertices for doubt in _doubts(vertex)) if nodes else (),
    )


def _counters(vertex: Mapping[str, Any]) -> VertexCounters:
    metrics = vertex.get("metrics") or {}
    # The accumulated times carry no flag of their own but come with the same fetch as the counters.
    complete = all(value for key, value in metrics.items() if key.endswith("-complete"))
    duration = int(vertex.get("duration", -1))
    return VertexCounters(
        status=intern(str(vertex.get("status", ""))),
        parallelism=int(vertex["parallelism"]),
        duration=duration if duration >= 0 else None,
        tasks={intern(state): count for state, count in (vertex.get("tasks") or {}).items() if count},
        read_records=_number(metrics.get("read-records")) if metrics.get("read-records-complete") else None,
        write_records=_number(metrics.get("write-records")) if metrics.get("write-records-complete") else None,
        busy_ms=_number(metrics.get("accumulated-busy-time")) if complete else None,
        idle_ms=_number(metrics.get("accumulated-idle-time")) if complete else None,
        back_pressured_ms=_number(metrics.get("accumulated-backpressured-time")) if complete else None,
    )


def _doubts(vertex: Mapping[str, Any]) -> list[str]:
    """Name what makes one vertex's numbers untrustworthy."""
    metrics = vertex.get("metrics") or {}
    found = []
    if not (metrics.get("read-records-complete") and metrics.get("write-records-complete")):
        found.append(intern(f"counters of {vertex.get('name')} incomplete"))
    subtasks = sum((vertex.get("tasks") or {}).values())
    if subtasks != vertex["parallelism"]:
        found.append(f"{subtasks} subtasks reported of {vertex.get('name')}, which runs at {vertex['parallelism']}")
    return found


def _in_order(vertices: Iterable[Mapping[str, Any]], nodes: Iterable[Mapping[str, Any]]) -> tuple[Vertex, ...]:
    """Build the vertices with their inputs, every input before the vertex it feeds, else in the order given.

    The plan's order is from the sinks in some versions and from the sources in others.
    """
    edges = {node["id"]: _inputs(node) for node in nodes}
    waiting = {vertex["id"]: _vertex(vertex, edges[vertex["id"]]) for vertex in vertices}
    ordered: list[Vertex] = []
    placed: set[VertexId] = set()
    while waiting:
        left = len(waiting)
        for vertex in list(waiting.values()):
            if all(edge.id in placed for edge in vertex.inputs):
                ordered.append(waiting.pop(vertex.id))
                placed.add(vertex.id)
        if len(waiting) == left:
            raise ValueError("the plan goes round in a circle, or from vertices that are not listed")
    return tuple(ordered)


def _vertex(vertex: Mapping[str, Any], inputs: tuple[Input, ...]) -> Vertex:
    """Read one vertex; a maximum of -1 is none that is known, so that more than it has may be refused."""
    group, maximum = vertex.get("slotSharingGroupId"), int(vertex["maxParallelism"])
    return Vertex(
        id=intern(vertex["id"]),
        name=intern(str(vertex.get("name", ""))),
        parallelism=int(vertex["parallelism"]),
        max_parallelism=maximum if maximum > 0 else int(vertex["parallelism"]),
        inputs=inputs,
        finished=vertex.get("status") == "FINISHED",
        slot_sharing_group=intern(str(group)) if group else None,
    )


def _inputs(node: Mapping[str, Any]) -> tuple[Input, ...]:
    """Read a node's inputs; of two edges from one vertex the first gives the place, the last the strategy."""
    strategies = {
        intern(edge["id"]): intern(str(edge.get("ship_strategy", "")).upper()) for edge in node.get("inputs") or ()
    }
    return tuple(Input(id=vertex, ship_strategy=strategy) for vertex, strategy in strategies.items())


def _word(value: Any) -> str | None:
    return intern(value) if isinstance(value, str) and value else None


def _number(value: Any) -> float | None:
    """Turn a JSON number or one of Flink's strings for what JSON cannot say into a float; NaN is ``None``."""
    if value is None:
        return None
    try:
        number = float(value)
    except (TypeError, ValueError):
        return None
    return None if math.isnan(number) else number

"""Answers of YARN and Flink for many jobs, in the recorded shapes: one source, nine other vertices, parallelism 8.

The load is steady, a little noisy as real ones are, and near the utilization a job is sized for, so that there is
nothing to scale. Counters grow with the time, so that windows hold what real ones hold.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from hashlib import md5
from pathlib import Path
from random import Random
from typing import Any, Final

VERTICES: Final = 10
PARALLELISM: Final = 8
CLUSTER_START: Final = 1_795_237_194_495
RUNNING_FOR: Final = 6 * 3_600_000  # how long every job has run when the stub starts; gives counters their digits

_RECORDED: Final = Path(__file__).parents[2] / "tests" / "data" / "yarn-rest"
_LOAD: Final = 0.66  # of the 0.7 a job is sized for
_RECORDS_PER_S: Final = 1_000.0
_NAMES: Final = (
    "Source: kafka-in",
    "parse -> filter invalid -> assign keys -> drop duplicates -> map",
    "enrich with customer -> map",
    "enrich with product -> split by region",
    "window by minute -> aggregate -> map",
    "join orders and payments",
    "session window -> aggregate",
    "deduplicate -> format",
    "Sink: orders-by-minute: Writer -> Sink: orders-by-minute: Committer",
    "Sink: alerts: Writer -> Sink: alerts: Committer",
)
_SHIPPED: Final = ("HASH", "HASH", "REBALANCE", "HASH", "FORWARD")
_SOURCE: Final = "Source__kafka-in"
_OF_OPERATORS: Final = ("worker.", "Sink__sink.")  # the operators of the recorded vertex that is no source
_OPERATORS: Final = ("map", "filter", "enrich", "aggregate", "format")  # ... and those that stand in their place


def recorded(name: str) -> Any:
    return json.loads((_RECORDED / f"{name}.json").read_text(encoding="utf-8"))


def compact(document: object) -> str:
    return json.dumps(document, separators=(",", ":"))


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """One application with one job; ``config`` is what was submitted with it beside what was recorded."""

    number: int
    config: Mapping[str, str]

    @property
    def application_id(self) -> str:
        return f"application_{CLUSTER_START}_{self.number + 1:04d}"

    @property
    def application_name(self) -> str:
        return f"orders-pipeline-{self.number:04d}"

    @property
    def name(self) -> str:
        return f"Orders of region {self.number:04d} by minute"

    @property
    def job_id(self) -> str:
        return _digest(f"job {self.number}")

    @property
    def vertex_ids(self) -> tuple[str, ...]:
        return tuple(_digest(f"{self.number} {name}") for name in _NAMES)


def _digest(text: str) -> str:
    return md5(text.encode(), usedforsecurity=False).hexdigest()


# ------------------------------------------------------------------ YARN


def applications(jobs: list[Job], address: str, *, lean: bool) -> str:
    """The ResourceManager's list; ``lean`` without what a caller can ask to have left out."""
    (one,) = recorded("rm_apps_running")["apps"]["app"]
    if lean:
        one = {k: v for k, v in one.items() if k not in ("resourceInfo", "timeouts", "amNodeLabelExpression")}
    listed = [
        one
        | {
            "id": job.application_id,
            "name": job.application_name,
            "trackingUrl": f"{address}/proxy/{job.application_id}/",
            "runningContainers": 1 + VERTICES * PARALLELISM // 8,
            "amContainerLogs": f"http://127.0.0.2:8042/node/containerlogs/container_{job.application_id[12:]}_01_000001",
        }
        for job in jobs
    ]
    return compact({"apps": {"app": listed}})


# ------------------------------------------------------------------ what is said once


def configuration(job: Job) -> str:
    own = {**job.config, "yarn.application.name": job.application_name}
    kept = [entry for entry in recorded("flink_jobmanager_config") if entry["key"] not in own]
    return compact(kept + [{"key": key, "value": value} for key, value in own.items()])


def job_config(job: Job) -> str:
    return compact(recorded("flink_jobs_JID_config") | {"jid": job.job_id, "name": job.name})


@lru_cache(maxsize=2)
def names(*, is_source: bool) -> str:
    """A vertex's metric names: as recorded for a Kafka source of 16 partitions, else those of a chain of operators."""
    if is_source:
        return compact(recorded("flink_vertex_source_subtasks_metrics_list"))
    listed = [entry["id"] for entry in recorded("flink_vertex_worker_subtasks_metrics_list")]
    first, second = _OF_OPERATORS
    of_task = [name for name in listed if not name.startswith(_OF_OPERATORS)]
    of_operator = [name.removeprefix(first) for name in listed if name.startswith(first)]
    assert any(name.startswith(second) for name in listed)
    chained = [f"{operator}.{name}" for operator in _OPERATORS for name in of_operator]
    return compact([{"id": name} for name in of_task + chained])


def requirements(job: Job) -> str:
    """``/jobs/:id/resource-requirements``."""
    return compact({each: {"parallelism": {"lowerBound": 1, "upperBound": PARALLELISM}} for each in job.vertex_ids})


# ------------------------------------------------------------------ what changes


def overview(job: Job, started: int) -> Callable[[int], str]:
    """``/jobs/overview`` by the time."""
    (line,) = recorded("flink_jobs_overview")["jobs"]
    tasks = line["tasks"] | {"running": VERTICES * PARALLELISM, "total": VERTICES * PARALLELISM}
    own = {"jid": job.job_id, "name": job.name, "start-time": started, "last-modification": started + 1_000}
    text = _template({"jobs": [line | own | {"duration": "@%d", "tasks": tasks}]})
    return lambda now: text % (now - started)


def details(job: Job, started: int) -> Callable[[int, Random], str]:
    """``/jobs/:id`` by the time, made of the recorded vertices and plan."""
    document = recorded("flink_jobs_JID")
    source, worker = document["vertices"]
    ids = job.vertex_ids
    vertices = [
        (worker if number else source)
        | {
            "id": ids[number],
            "name": name,
            "parallelism": PARALLELISM,
            "start-time": started,
            "duration": "@%d",
            "tasks": worker["tasks"] | {"RUNNING": PARALLELISM},
            "metrics": _vertex_metrics(worker["metrics"]),
        }
        for number, name in enumerate(_NAMES)
    ]
    document |= {
        "jid": job.job_id,
        "name": job.name,
        "start-time": started - 10_000,
        "duration": "@%d",
        "now": "@%d",
        "timestamps": document["timestamps"] | {"RUNNING": started, "INITIALIZING": started - 10_000},
        "vertices": vertices,
        "status-counts": document["status-counts"] | {"RUNNING": VERTICES},
        "plan": document["plan"] | {"jid": job.job_id, "name": job.name, "nodes": _nodes(document["plan"], ids)},
    }
    text = _template(document)

    def at(now: int, noise: Random) -> str:
        age = now - started
        numbers: list[float] = [age + 10_000, now]
        for vertex in range(VERTICES):
            numbers += [age, *_counters(vertex, age, noise)]
        return text % tuple(numbers)

    return at


def _vertex_metrics(recorded_ones: Mapping[str, Any]) -> dict[str, Any]:
    values = {
        "read-bytes": "@%d",
        "write-bytes": "@%d",
        "read-records": "@%d",
        "write-records": "@%d",
        "accumulated-backpressured-time": "@%d",
        "accumulated-idle-time": "@%d",
        "accumulated-busy-time": "@%.1f",
    }
    return {name: values.get(name, True) for name in recorded_ones}


def _counters(vertex: int, age: int, noise: Random) -> tuple[float, ...]:
    """A vertex's counters in the order of the recorded metrics; a source's own does not count what it reads."""
    records = records_in(vertex, age) + noise.randrange(64)
    read = records if vertex else 0
    busy = age * PARALLELISM * _LOAD + noise.randrange(2_000)
    waited = age * PARALLELISM * 0.02
    return 117 * read, 123 * records, read, records, waited, age * PARALLELISM - busy - waited, busy


def records_in(vertex: int, age: int) -> int:
    """What a vertex has read since the attempt began, over its subtasks."""
    return int(_RECORDS_PER_S * (1 + vertex / VERTICES) * age / 1000)


def _nodes(plan: Mapping[str, Any], ids: tuple[str, ...]) -> list[Mapping[str, Any]]:
    """The plan's nodes, each fed by the one before."""
    source, worker = plan["nodes"]
    (edge,) = worker["inputs"]
    nodes = [source | {"id": ids[0], "parallelism": PARALLELISM, "description": _NAMES[0] + "<br/>"}]
    for number in range(1, len(ids)):
        strategy = _SHIPPED[number % len(_SHIPPED)]
        nodes.append(
            worker
            | {
                "id": ids[number],
                "parallelism": PARALLELISM,
                "description": _NAMES[number].replace(" -> ", "<br/>+- ") + "<br/>",
                "inputs": [edge | {"id": ids[number - 1], "ship_strategy": strategy}],
            }
        )
    return nodes


def _template(document: object) -> str:
    """The document as text with ``%`` formats where it has strings that begin with ``@``."""
    text = compact(document).replace("%", "%%")
    for form in ("%d", "%.1f"):
        text = text.replace(f'"@%{form}"', form)
    return text


# ------------------------------------------------------------------ metrics over subtasks


def metrics(vertex: int, wanted: tuple[str, ...], aggregates: tuple[str, ...], age: int, noise: Random) -> str:
    """Aggregates of the named metrics, only those asked for, as Flink's releases do; all named ones are known."""
    return compact([_metric(name, vertex, aggregates, age, noise) for name in wanted])


def _metric(name: str, vertex: int, aggregates: tuple[str, ...], age: int, noise: Random) -> dict[str, Any]:
    values = _subtasks(name.rpartition(".")[2], vertex, age, noise)
    total = sum(values)
    known = {"min": min(values), "max": max(values), "avg": total / PARALLELISM, "sum": total, "skew": 0.0}
    return {"id": name} | {aggregate: known[aggregate] for aggregate in aggregates}


def _subtasks(metric: str, vertex: int, age: int, noise: Random) -> list[float]:
    """What the subtasks report: times as whole milliseconds, rates as events of a minute over 60."""
    each = records_in(vertex, age) / PARALLELISM
    middle, spread, unit = {
        "busyTimeMsPerSecond": (1_000 * _LOAD, 15, 1),
        "backPressuredTimeMsPerSecond": (20.0, 5, 1),
        "numRecordsInPerSecond": (60 * records_in(vertex, 1_000) / PARALLELISM, 60, 60),
        "numRecordsOutPerSecond": (60 * records_in(vertex, 1_000) / PARALLELISM, 60, 60),
        "pendingRecords": (40.0, 40, 1),
    }.get(metric, (each, 1, 1))
    return [(int(middle) + noise.randint(-spread, spread)) / unit for _ in range(PARALLELISM)]

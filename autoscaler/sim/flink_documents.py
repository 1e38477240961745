"""Flink's REST answers about a simulated job, in the form of the scenario's release (1.18 to 2.x)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any

from autoscaler.model import Millis
from autoscaler.sim.checkpoints import Checkpoint
from autoscaler.sim.job import Phase, SimJob
from autoscaler.sim.meters import Fetched, VertexReading
from autoscaler.sim.scenario import VertexSpec, vertex_id
from autoscaler.sim.yarn import MB, TaskManager

NEVER = 2**63 - 1
STATES = (
    "CREATED SCHEDULED DEPLOYING INITIALIZING RUNNING FINISHED CANCELING CANCELED FAILED RECONCILING".lower().split()
)
NONE_OF_THEM = {state.upper(): 0 for state in STATES}
TIMESTAMPS = (
    "INITIALIZING",
    "CREATED",
    "RUNNING",
    "FAILING",
    "FAILED",
    "CANCELLING",
    "CANCELED",
    "FINISHED",
    "RESTARTING",
    "SUSPENDED",
    "RECONCILING",
)

JobState = Mapping[Phase, tuple[str, str | None]]
STATE_OF: JobState = {  # the job's state, and that of its tasks; none while there is no execution graph
    Phase.RUNNING: ("RUNNING", "running"),
    Phase.STOPPING: ("RESTARTING", "canceling"),
    Phase.WAITING: ("CREATED", None),
    Phase.RESTORING: ("RUNNING", "initializing"),
    Phase.FAILED: ("FAILED", None),
    Phase.FINISHED: ("FINISHED", "finished"),
}


def job_id(job: SimJob) -> str:
    return _job_id(job.number, job.generation)


@lru_cache(maxsize=1024)
def _job_id(number: int, generation: int) -> str:
    return f"{number:024x}{generation:08x}"


def config(job: SimJob) -> dict[str, Any]:
    """``/config``"""
    return {
        "refresh-interval": 3000,
        "timezone-name": "Coordinated Universal Time",
        "timezone-offset": 0,
        "flink-version": job.scenario.flink,
        "flink-revision": "0000000 @ 2025-01-01T00:00:00Z",
        "features": {"web-submit": False, "web-cancel": False, "web-rescale": True, "web-history": False},
    }


def configuration(job: SimJob, settings: Mapping[str, str]) -> list[dict[str, str]]:
    """``/jobmanager/config``: what was submitted with the application."""
    spec = job.yarn.spec
    mine = {
        "jobmanager.scheduler": "adaptive",
        "taskmanager.numberOfTaskSlots": str(spec.slots_per_task_manager),
        "taskmanager.memory.process.size": f"{round(spec.task_manager_gb * MB)}m",
        "jobmanager.memory.process.size": f"{round(spec.master_gb * MB)}m",
        "execution.checkpointing.interval": f"{round(job.spec.checkpoint_interval_s * 1000)} ms",
        "execution.target": "yarn-session" if job.scenario.is_session else "embedded",
        "high-availability.type": "zookeeper" if job.spec.high_availability else "NONE",
        "job.autoscaler.enabled": "true",
        **settings,
    }
    return [{"key": key, "value": value} for key, value in mine.items()]


def overview(jobs: Sequence[SimJob]) -> dict[str, Any]:
    """``/overview``"""
    pool, held = jobs[0].pool, 0
    for job in jobs:
        restarts = job.phase is Phase.STOPPING
        held += pool.held_by(job) if restarts or job.used else 0
    return {
        "taskmanagers": len(pool.holder.registered),
        "slots-total": pool.slots,
        "slots-available": max(0, pool.slots - held),
        "jobs-running": sum(not job.ended for job in jobs),
        "jobs-finished": sum(job.phase is Phase.FINISHED for job in jobs),
        "jobs-cancelled": 0,
        "jobs-failed": sum(job.phase is Phase.FAILED for job in jobs),
        "flink-version": jobs[0].scenario.flink,
        "flink-commit": "0000000",
    }


def job_ids(jobs: Sequence[SimJob]) -> dict[str, Any]:
    """``/jobs``"""
    return {"jobs": [{"id": job_id(job), "status": STATE_OF[job.phase][0]} for job in jobs]}


def jobs_overview(jobs: Sequence[SimJob], now: Millis) -> dict[str, Any]:
    """``/jobs/overview``: never cached."""
    return {"jobs": [_overview_line(job, now) for job in jobs]}


def _overview_line(job: SimJob, now: Millis) -> dict[str, Any]:
    state, tasks = STATE_OF[job.phase]
    counts = dict.fromkeys(STATES, 0)
    total = sum(job.parallelism.values()) if tasks else 0
    if tasks:
        counts[tasks] = total
    line: dict[str, Any] = {
        "jid": job_id(job),
        "name": job.spec.name,
        "start-time": job.began,
        "end-time": now if job.ended else -1,
        "duration": now - job.began,
        "state": state,
        "last-modification": job.running_since,
        "tasks": counts | {"total": total},
    }
    if job.version >= (2, 0):
        line["pending-operators"] = 0
    if job.version >= (2, 3):
        line |= {"jobType": "STREAMING", "schedulerType": "Adaptive"}
    return line


def job_details(job: SimJob, now: Millis, fetched: Fetched | None) -> dict[str, Any]:
    """``/jobs/:id``; the sparse form while the job waits for slots."""
    state, tasks = STATE_OF[job.phase]
    document: dict[str, Any] = {
        "jid": job_id(job),
        "name": job.spec.name,
        "isStoppable": False,
        "state": state,
        "start-time": job.began,
        "end-time": -1,
        "duration": now - job.began,
        "maxParallelism": -1,
        "now": now,
        "timestamps": dict.fromkeys(TIMESTAMPS, 0) | {"INITIALIZING": job.began},
    }
    if job.version >= (1, 20):
        document["job-type"] = "STREAMING"
    if job.version >= (2, 0):
        document["pending-operators"] = 0
    if job.version >= (2, 3):
        document |= {"schedulerType": "Adaptive", "application-id": job_id(job)}
    if tasks is None:
        document["vertices"] = [_sparse_vertex(job, vertex) for vertex in reversed(job.vertices)]
        document["status-counts"] = NONE_OF_THEM
        document["plan"] = {} if job.version < (2, 1) else {"jid": "", "name": "", "type": "", "nodes": []}
        return document
    document["timestamps"] |= {"CREATED": job.running_since, "RUNNING": job.running_since}
    same = fetched if fetched is not None and fetched.running_since == job.running_since else None
    document["vertices"] = [_vertex(job, vertex, tasks.upper(), now, same) for vertex in job.vertices]
    document["status-counts"] = NONE_OF_THEM | {tasks.upper(): len(job.vertices)}
    document["plan"] = {
        "jid": job_id(job),
        "name": job.spec.name,
        "type": "STREAMING",
        "nodes": [_node(job, vertex) for vertex in reversed(job.vertices)],
    }
    return document


def _vertex(job: SimJob, vertex: VertexSpec, status: str, now: Millis, fetched: Fetched | None) -> dict[str, Any]:
    parallelism = job.parallelism[vertex.id]
    reading = None if fetched is None else fetched.vertices[vertex.id]
    found: dict[str, Any] = {
        "id": vertex.id,
        "name": vertex.name,
        "maxParallelism": vertex.max_parallelism,
        "parallelism": parallelism,
        "status": status,
        "start-time": job.running_since,
        "end-time": -1,
        "duration": now - job.running_since,
        "tasks": NONE_OF_THEM | {status: parallelism},
        "metrics": _io_metrics(job, vertex, reading, known=fetched is not None and fetched.complete),
    }
    if job.version >= (1, 20):
        found["slotSharingGroupId"] = _group_id(vertex.group)
    return found


@lru_cache(maxsize=1024)
def _group_id(group: str) -> str:
    return f"{sum(group.encode()):032x}"


def _io_metrics(job: SimJob, vertex: VertexSpec, reading: VertexReading | None, *, known: bool) -> dict[str, Any]:
    records_in = 0 if reading is None or (vertex.is_source and job.version < (2, 0)) else int(reading.records_in)
    busy: float | str = 0.0 if reading is None else reading.busy_ms
    return {
        "read-bytes": records_in * 100,
        "read-bytes-complete": known,
        "write-bytes": 0 if reading is None else int(reading.records_out) * 100,
        "write-bytes-complete": known,
        "read-records": records_in,
        "read-records-complete": known,
        "write-records": 0 if reading is None else int(reading.records_out),
        "write-records-complete": known,
        "accumulated-backpressured-time": 0 if reading is None else round(reading.blocked_ms),
        "accumulated-idle-time": 0 if reading is None else round(reading.idle_ms),
        "accumulated-busy-time": "NaN" if vertex.id in job.nan_busy else busy,
    }


def _sparse_vertex(job: SimJob, vertex: VertexSpec) -> dict[str, Any]:
    return _vertex(job, vertex, "CREATED", job.running_since, None) | {
        "parallelism": job.initial[vertex.id],
        "start-time": -1,
        "duration": -1,
        "tasks": NONE_OF_THEM,
    }


def _node(job: SimJob, vertex: VertexSpec) -> dict[str, Any]:
    node: dict[str, Any] = {
        "id": vertex.id,
        "parallelism": job.parallelism[vertex.id],
        "operator": "",
        "operator_strategy": "",
        "description": f"{vertex.name}<br/>",
        "optimizer_properties": {},
    }
    if vertex.inputs:
        node["inputs"] = [
            {"num": number, "id": vertex_id(name), "ship_strategy": vertex.ship, "exchange": "pipelined_bounded"}
            for number, name in enumerate(vertex.inputs)
        ]
    return node


# ------------------------------------------------------------------ checkpoints, requirements, TaskManagers


def checkpoints(job: SimJob) -> dict[str, Any]:
    """``/jobs/:id/checkpoints``"""
    book = job.checkpoints
    restored = None
    if book.restored is not None:
        restored = {"id": book.restored.id, "restore_timestamp": book.restored_at, "is_savepoint": False}
    return {
        "counts": {
            "restored": book.count_restored,
            "total": book.total,
            "in_progress": int(book.running is not None),
            "completed": book.count_completed,
            "failed": book.count_failed,
        },
        "summary": {"end_to_end_duration": _summary(round(job.spec.checkpoint_duration_s * 1000))},
        "latest": {
            "completed": _checkpoint(job, book.completed),
            "savepoint": None,
            "failed": None if book.failed is None else _checkpoint(job, book.failed),
            "restored": restored,
        },
        "history": [_checkpoint(job, each) for each in book.history],
    }


def _summary(value: float) -> dict[str, float]:
    return dict.fromkeys(("min", "max", "avg", "p50", "p90", "p95", "p99", "p999"), value)


def _checkpoint(job: SimJob, one: Checkpoint) -> dict[str, Any]:
    status = "COMPLETED" if one.completed_at else "FAILED" if one.failed_at else "IN_PROGRESS"
    ended = one.completed_at or one.failed_at or one.triggered_at
    size = round(job.spec.state_gb * 1e9)
    found: dict[str, Any] = {
        "className": status.lower(),
        "id": one.id,
        "status": status,
        "is_savepoint": False,
        "savepointFormat": None,
        "trigger_timestamp": one.triggered_at,
        "latest_ack_timestamp": ended,
        "checkpointed_size": size,
        "state_size": size,
        "end_to_end_duration": ended - one.triggered_at,
        "checkpoint_type": "CHECKPOINT",
        "tasks": {},
    }
    if one.completed_at:
        found |= {"external_path": f"s3://checkpoints/{job_id(job)}/chk-{one.id}", "discarded": False}
    if one.failed_at:
        found |= {"failure_timestamp": one.failed_at, "failure_message": one.message}
    return found


def checkpoint_config(job: SimJob) -> dict[str, Any]:
    """``/jobs/:id/checkpoints/config``"""
    return {
        "mode": "exactly_once",
        "interval": round(job.spec.checkpoint_interval_s * 1000),
        "timeout": 600_000,
        "min_pause": 0,
        "max_concurrent": 1,
        "unaligned_checkpoints": False,
        "tolerable_failed_checkpoints": 0,
    }


def requirements(job: SimJob) -> dict[str, Any]:
    """``/jobs/:id/resource-requirements``"""
    return {
        vertex: {"parallelism": {"lowerBound": bounds.lower, "upperBound": bounds.upper}}
        for vertex, bounds in job.requirements.items()
    }


def task_managers(job: SimJob, now: Millis) -> dict[str, Any]:
    """``/taskmanagers``"""
    return {"taskmanagers": [_task_manager(job, each, now) for each in job.holder.registered]}


def _task_manager(job: SimJob, one: TaskManager, now: Millis) -> dict[str, Any]:
    slots, memory = job.yarn.spec.slots_per_task_manager, job.yarn.task_manager_mb
    used = job.pool.used_on(one)
    resource = {
        "cpuCores": float(slots),
        "taskHeapMemory": memory * 4 // 10,
        "taskOffHeapMemory": 0,
        "managedMemory": memory * 3 // 10,
        "networkMemory": memory // 10,
        "extendedResources": {},
    }
    host = one.node.id.partition(":")[0]
    return {
        "id": one.id,
        "path": f"pekko.tcp://flink@{host}:{40_000 + one.number}/user/rpc/taskmanager_0",
        "dataPort": 30_000 + one.number,
        "jmxPort": -1,
        "timeSinceLastHeartbeat": now,
        "slotsNumber": slots,
        "freeSlots": slots - used,
        "totalResource": resource,
        "freeResource": resource,
        "hardware": {"cpuCores": slots, "physicalMemory": 2**36, "freeMemory": 2**33, "managedMemory": 2**30},
        "memoryConfiguration": {"totalProcessMemory": memory * 2**20},
    }

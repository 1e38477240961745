"""What a user sees of a job now."""

from __future__ import annotations

from dataclasses import dataclass

from autoscaler.model.base import JobKey, Millis, VertexId
from autoscaler.model.decision import Limit, Reason


@dataclass(frozen=True, slots=True, kw_only=True)
class VertexStatus:
    """One line of what a user sees of a vertex now. ``utilization`` is a ratio, ``rate`` records per second in."""

    id: VertexId
    name: str
    parallelism: int
    wanted: int
    rate: float | None = None
    target_rate: float | None = None
    lag: float | None = None
    utilization: float | None = None
    limits: tuple[Limit, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class JobStatus:
    """The last thing known of a job, whether it is ours or not; ``detail`` is a sentence for a person."""

    key: JobKey
    application_id: str
    job_id: str | None
    state: str
    reason: Reason
    detail: str
    at: Millis
    since: Millis
    user: str = ""
    queue: str = ""
    tracking_url: str = ""
    flink_version: str | None = None
    task_managers: int | None = None
    vertices: tuple[VertexStatus, ...] = ()

"""What a user sees of a job now, and what a pass over it leaves behind."""

from __future__ import annotations

from dataclasses import dataclass

from autoscaler.model.base import JobKey, Millis, VertexId
from autoscaler.model.decision import Decision, Limit, Reason
from autoscaler.model.history import History
from autoscaler.model.job import Topology
from autoscaler.model.samples import Sample


@dataclass(frozen=True, slots=True, kw_only=True)
class VertexStatus:
    """One line of what a user sees of a vertex now. ``granted`` is what of ``wanted`` the cluster has room for, and
    ``limits`` what stood between the model's wish and that. ``utilization`` is a ratio, ``rate`` records per second in.
    """

    id: VertexId
    name: str
    parallelism: int
    wanted: int
    granted: int | None = None
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


@dataclass(frozen=True, slots=True, kw_only=True)
class PassRecord:
    """What one pass leaves behind, to be kept together.

    ``history`` and ``decision`` are absent where they are what is kept already; ``detail`` explains the decision.
    """

    topology: Topology
    running_since: Millis
    sample: Sample
    status: JobStatus
    history: History | None = None
    decision: Decision | None = None
    detail: str = ""

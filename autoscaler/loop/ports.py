"""What the loop needs from the world, as small protocols; ``cluster``, ``store`` and ``service`` fulfil them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

from autoscaler.cluster import (
    Aggregate,
    Application,
    Checkpoints,
    ClusterConfig,
    JobDetails,
    JobOverview,
    Node,
    Objection,
    PutAnswer,
    TaskManager,
    TaskManagers,
    YarnScheduler,
)
from autoscaler.cluster import (
    Memory as TaskManagerMemory,
)
from autoscaler.loop.leadership import Leadership, Leases
from autoscaler.loop.wire import Wire
from autoscaler.model import (
    Bounds,
    Command,
    Decision,
    History,
    JobKey,
    JobStatus,
    Millis,
    PassRecord,
    Request,
    VertexId,
    Window,
)
from autoscaler.telemetry import Counters, Journal

Clock = Callable[[], Millis]


class Lane(StrEnum):
    """Which threads run a step.

    An application that answers badly moves to SUSPECTS, where it delays only its like; VISITS find out what an
    application runs, so that many that hang when first seen delay no pass; DISCOVERY has a thread of its own, so that
    nothing delays finding out that the ResourceManager is back, and so has REPORT, so that no job delays telling the
    service manager that all is well.
    """

    DISCOVERY = "discovery"
    VISITS = "visits"
    WORKERS = "workers"
    SUSPECTS = "suspects"
    REPORT = "report"


class Scheduler(Protocol):
    """Runs a step once at a time; a later call with the same name replaces an earlier one that has not started."""

    def at(self, when: Millis, step: Callable[[], None], *, name: str, lane: Lane = Lane.WORKERS) -> None: ...


class Yarn(Protocol):
    """The ResourceManager."""

    def applications(self) -> tuple[Application, ...]: ...
    def application(self, application_id: str) -> Application | None: ...
    def admits(self, application: Application) -> bool:
        """Whether the settings want an application of this queue, user, name and tags to be looked at."""

    def nodes(self, *states: str) -> tuple[Node, ...]: ...
    def scheduler(self) -> YarnScheduler: ...


class Flink(Protocol):
    """One application's Flink REST API, through the YARN proxy."""

    def cluster_config(self, timeout_s: float | None) -> ClusterConfig: ...
    def configuration(self) -> Mapping[str, str]: ...
    def jobs(self) -> tuple[JobOverview, ...]: ...
    def job_parameters(self, job_id: str) -> Mapping[str, str]: ...
    def poke(self, timeout_s: float | None) -> None: ...
    def job(self, job_id: str) -> JobDetails: ...
    def metric_names(self, job_id: str, vertex_id: VertexId) -> tuple[str, ...]: ...
    def metrics(
        self, job_id: str, vertex_id: VertexId, names: tuple[str, ...], agg: str
    ) -> Mapping[str, Aggregate] | None: ...
    def checkpoints(self, job_id: str) -> Checkpoints: ...
    def checkpoint_interval_ms(self, job_id: str) -> Millis | None: ...
    def requirements(self, job_id: str) -> Mapping[VertexId, Bounds]: ...
    def put_requirements(
        self, job_id: str, bounds: Mapping[VertexId, Bounds], timeout_s: float, objection: Objection
    ) -> PutAnswer:
        """Send once, unless ``objection``, asked right before that, says why not."""
        ...

    def task_managers(self) -> TaskManagers: ...
    def task_manager_list(self) -> tuple[TaskManager, ...]: ...
    def memory(self) -> TaskManagerMemory: ...


class Memory(Leases, Protocol):
    """What outlives the process. ``epoch`` changes when it had to begin anew, without what it held before."""

    @property
    def epoch(self) -> int: ...
    def record_pass(self, done: PassRecord) -> None: ...
    def window(self, key: JobKey, since: Millis) -> Window | None: ...
    def memory(self, key: JobKey) -> History: ...
    def record_decision(self, key: JobKey, decision: Decision, detail: str) -> None: ...
    def add_request(self, request: Request) -> int: ...
    def update_request(self, request: Request) -> None: ...
    def open_requests(self) -> tuple[Request, ...]: ...
    def requests(self, key: JobKey, limit: int) -> tuple[Request, ...]: ...
    def save_status(self, status: JobStatus) -> None: ...
    def statuses(self) -> tuple[JobStatus, ...]: ...
    def commands(self, cluster: str, now: Millis) -> tuple[Command, ...]: ...
    def set_command(self, command: Command) -> None: ...
    def mark_absent(self, key: JobKey, at: Millis) -> None: ...
    def present(self, key: JobKey) -> None: ...
    def absent(self) -> Mapping[JobKey, Millis]: ...
    def forget(self, key: JobKey) -> None: ...
    def retain(self, now: Millis) -> object: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Environment:
    """Everything a loop is handed: the world's ports and the clock."""

    yarn: Yarn
    connect: Callable[[Application], Flink]
    memory: Memory
    scheduler: Scheduler
    clock: Clock
    journal: Journal
    counters: Counters
    wire: Wire
    leadership: Leadership

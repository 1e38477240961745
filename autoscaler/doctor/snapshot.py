"""What was read of a cluster, all that the checks look at; ``None`` where it was not or could not be read."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from autoscaler.cluster import Checkpoints, CheckpointSettings, PutAnswer
from autoscaler.emrhost import EmrHost
from autoscaler.loop.contract import Contract, Objection, flink_release
from autoscaler.model import Millis, Reason, Topology
from autoscaler.options import Problem


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """Why something could not be read: the kind of ``Transient``, or unauthorized, or empty, and the message."""

    kind: str
    message: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Manager:
    """One ResourceManager of the settings. ``ahead_ms`` is how far its clock is ahead of ours, to a second."""

    address: str
    state: str | None = None
    fault: Fault | None = None
    ahead_ms: Millis | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """One job Flink lists. Jobs that nobody enabled are read no further than ``objections``.

    ``config`` holds the values that count, Flink's own keys included. ``rendered_at`` is Flink's clock when it put
    together what it said of the job, ``read_at`` ours when it came.
    """

    id: str
    name: str
    application: str
    flink_version: str
    contract: Contract
    objections: tuple[Objection, ...]
    config: Mapping[str, str]
    fault: Fault | None = None
    kind: str | None = None
    topology: Topology | None = None
    checkpoints: Checkpoints | None = None
    checkpointing: CheckpointSettings | None = None
    restart_strategy: str | None = None
    rendered_at: Millis | None = None
    read_at: Millis | None = None

    @property
    def label(self) -> str:
        return f"{self.application}/{self.name}"

    @property
    def release(self) -> tuple[int, int] | None:
        """The major and minor number of the Flink that runs it."""
        return flink_release(self.flink_version)

    @property
    def is_wanted(self) -> bool:
        """Whether it is meant to be scaled; of a batch job, or one nobody enabled, nothing more is demanded."""
        enabled = all(objection.reason is not Reason.NOT_ENABLED for objection in self.objections)
        return enabled and self.kind != "BATCH"


@dataclass(frozen=True, slots=True, kw_only=True)
class ApplicationSeen:
    """One running application. ``fault`` is why Flink could not be read, ``put`` what came of a harmless PUT."""

    id: str
    name: str
    user: str
    has_address: bool
    flink_version: str | None = None
    fault: Fault | None = None
    put: PutAnswer | None = None
    jobs: tuple[Job, ...] = ()

    @property
    def label(self) -> str:
        return f"{self.name} ({self.id})"


@dataclass(frozen=True, slots=True, kw_only=True)
class StoreSeen:
    """The daemon's store. ``problem`` is what keeps us from it, ``missing`` that there is none yet and there can be.

    ``free_bytes`` is the room left beside an SQLite file.
    ``owner`` and ``user`` are the uids of its file, or of the folder it will be in, and of this process.
    """

    place: str
    missing: bool = False
    problem: str | None = None
    size_bytes: int | None = None
    max_size_bytes: int = 0
    free_bytes: int | None = None
    owner: int | None = None
    user: int = 0
    newest_status_at: Millis | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot:
    """Everything that was read, at one time. ``applications_fault`` is why the list of applications is not known."""

    now: Millis
    acts: bool
    managers: tuple[Manager, ...]
    store: StoreSeen
    emr: EmrHost | None = None
    flink_conf: str | None = None
    flink_conf_exists: bool = False
    flink_conf_problems: tuple[Problem, ...] = ()
    applications: tuple[ApplicationSeen, ...] = ()
    applications_fault: Fault | None = None

    @property
    def jobs(self) -> tuple[Job, ...]:
        return tuple(job for application in self.applications for job in application.jobs)

    @property
    def wanted_jobs(self) -> tuple[Job, ...]:
        return tuple(job for job in self.jobs if job.is_wanted)

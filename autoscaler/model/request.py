"""What was asked of Flink, and what came of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from autoscaler.model.base import JobKey, Millis, VertexId, frozen


@dataclass(frozen=True, slots=True, kw_only=True)
class Bounds:
    """One vertex's resource requirement: Flink runs it at ``upper``, or at less, down to ``lower``."""

    lower: int
    upper: int


class RequestState(StrEnum):
    """What became of a request; everything but INTENDED and SENT is final."""

    INTENDED = "INTENDED"
    SENT = "SENT"
    ACHIEVED = "ACHIEVED"
    PARTIAL = "PARTIAL"
    TIMED_OUT = "TIMED_OUT"
    NOT_ACHIEVED = "NOT_ACHIEVED"
    REJECTED = "REJECTED"
    VOID = "VOID"
    ADOPTED = "ADOPTED"


class RequestKind(StrEnum):
    """Why requirements were changed; ADOPTED ones were changed by somebody else."""

    SCALE = "SCALE"
    ROLL_BACK = "ROLL_BACK"
    WITHDRAW = "WITHDRAW"
    RESTORE = "RESTORE"
    PIN = "PIN"
    ADOPT = "ADOPT"


class Phase(StrEnum):
    """Where a job is in the life of a request for another parallelism; ARCHITECTURE.md draws it."""

    STEADY = "STEADY"
    REQUESTED = "REQUESTED"
    APPLIED = "APPLIED"
    PARTIAL = "PARTIAL"
    TIMED_OUT = "TIMED_OUT"
    PROBATION = "PROBATION"
    ROLLED_BACK = "ROLLED_BACK"


@dataclass(frozen=True, slots=True, kw_only=True)
class Transition:
    """One step in the life of a request, and why it was taken."""

    at: Millis
    was: Phase
    now: Phase
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Fare:
    """How a job fares. ``throughput`` is what all sources read, ``arriving`` what there is to read, in records/s;
    ``lag_growth`` in records/s; ``slots`` the sum over slot sharing groups of their highest parallelism."""

    throughput: float | None = None
    arriving: float | None = None
    lag_growth: float | None = None
    slots: int | None = None
    gc_pressure: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Life:
    """The state a request's life is in, with the evidence so far; ``since`` is when the phase began.

    ``excused_ms`` is the time since the PUT in which no slots were missing: Flink waited of its own accord, or the job
    restarted. ``attempt`` is the start of the newest attempt seen, ``attempts`` counts those at the parallelism that
    was reached, ``failed_checkpoints`` is Flink's count when it was, ``lag_streak`` the samples in a row
    whose lag grew faster than before. ``before`` is how the job fared without the change.
    """

    phase: Phase = Phase.STEADY
    since: Millis = 0
    looked_at: Millis = 0
    excused_ms: Millis = 0
    attempt: Millis | None = None
    parallelism: Mapping[VertexId, int] = field(default_factory=lambda: frozen({}))
    attempts: int = 0
    steps: tuple[Millis, ...] = ()
    failed_checkpoints: int | None = None
    lag_streak: int = 0
    before: Fare | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What a request led to, as observed.

    ``took_ms`` runs from the PUT to all tasks running at the new parallelism, ``downtime_ms`` is the part of it
    without processing, ``replayed_records`` the estimate of records processed again since the restored checkpoint.
    ``task_managers`` is the last count seen within the time Flink takes to release idle ones.
    """

    at: Millis
    parallelism: Mapping[VertexId, int]
    took_ms: Millis | None = None
    downtime_ms: Millis | None = None
    replayed_records: int | None = None
    restored_checkpoint: int | None = None
    task_managers: int | None = None
    note: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """One PUT of resource requirements: stored as an intent before it is sent, updated with what came of it.

    ``before`` and ``target`` hold the parallelism of every vertex, ``requirements`` the body sent, ``former`` the
    requirements it replaced. ``source_rate`` is the records per second all sources together read before it,
    ``slots`` what the target takes, ``foreign_slots`` what other jobs held then, ``flink_waits_ms`` how long Flink may
    put a rescale off by itself. ``task_managers`` is how many the application had, ``needed_task_managers`` how many
    it needs for the target. ``life`` goes on after ``state`` is final: a change that was made is on probation.
    """

    key: JobKey
    application_id: str
    job_id: str
    decided_at: Millis
    reason: str
    before: Mapping[VertexId, int]
    target: Mapping[VertexId, int]
    requirements: Mapping[VertexId, Bounds]
    running_since: Millis
    kind: RequestKind = RequestKind.SCALE
    former: Mapping[VertexId, Bounds] = field(default_factory=lambda: frozen({}))
    source_rate: float | None = None
    task_managers: int | None = None
    needed_task_managers: int | None = None
    slots: int | None = None
    foreign_slots: int = 0
    flink_waits_ms: Millis = 0
    state: RequestState = RequestState.INTENDED
    sent_at: Millis | None = None
    answer: str | None = None
    outcome: Outcome | None = None
    life: Life = field(default_factory=lambda: Life())
    transitions: tuple[Transition, ...] = ()
    id: int | None = None

    @property
    def was_sent(self) -> bool:
        """Whether it left this service, as far as that is known; it may have been lost on its way."""
        never = (RequestState.INTENDED, RequestState.REJECTED, RequestState.VOID, RequestState.ADOPTED)
        return self.state not in never

    @property
    def is_open(self) -> bool:
        """Whether it is not known yet what became of it."""
        return self.state in (RequestState.INTENDED, RequestState.SENT)

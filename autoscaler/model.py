"""The values the autoscaler thinks in. Frozen, without I/O; absent is ``None``, never 0 or NaN.

Times are integers, epoch milliseconds UTC, as Flink gives them; durations are integers in milliseconds unless the
name says otherwise. Rates are records per second. ``math.inf`` is a legal number where the text says so.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from types import MappingProxyType
from typing import NamedTuple, TypeVar

Millis = int
VertexId = str

_K = TypeVar("_K")
_V = TypeVar("_V")


def frozen(mapping: Mapping[_K, _V]) -> Mapping[_K, _V]:
    """Return a read-only copy of a mapping, for use inside frozen values."""
    return MappingProxyType(dict(mapping))


# ------------------------------------------------------------------ what runs


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class JobKey:
    """Identity of a job that survives restarts and resubmissions.

    ``application`` is ``job.autoscaler.yarn.id`` if set, else the YARN application name; when two running
    applications share it, the application id is appended to keep them apart.
    """

    cluster: str
    application: str
    job: str

    def __str__(self) -> str:
        return f"{self.application}/{self.job}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Command:
    """What an operator set for running jobs, over whatever they ask for themselves.

    ``target`` is a job as ``application/job``, or ``application/*`` for all jobs of applications whose name fits
    a shell pattern. ``option`` is the full key. ``by`` is a user of the operating system; without ``until`` it
    holds until it is taken back. ``why`` is what its author wrote about it.
    """

    cluster: str
    target: str
    option: str
    value: str
    by: str
    at: Millis
    until: Millis | None = None
    why: str = ""

    def is_in_force(self, now: Millis) -> bool:
        return self.until is None or now < self.until


@dataclass(frozen=True, slots=True, kw_only=True)
class Input:
    """One edge into a vertex; ``ship_strategy`` is Flink's word in upper case (HASH, REBALANCE, FORWARD ...)."""

    id: VertexId
    ship_strategy: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Vertex:
    """One job vertex, a chain of operators that is scheduled as one task.

    ``source_partitions`` is the number of Kafka or Pulsar partitions a source reads, ``None`` if unknown.
    """

    id: VertexId
    name: str
    parallelism: int
    max_parallelism: int
    inputs: tuple[Input, ...] = ()
    finished: bool = False
    slot_sharing_group: str | None = None
    source_partitions: int | None = None

    @property
    def is_source(self) -> bool:
        return not self.inputs


@dataclass(frozen=True, slots=True, kw_only=True)
class Topology:
    """The vertices of a job, every input before the vertex it feeds."""

    vertices: tuple[Vertex, ...]


# ------------------------------------------------------------------ what was measured


class VertexSample(NamedTuple):
    """What one vertex reported at one instant (docs/ALGORITHM.md, 1). Values are rounded as that section says.

    ``load`` is a ratio, ``accumulated_busy_ms``, ``records_in`` and ``records_out`` are counters of the present attempt
    summed over subtasks, ``records_in_per_s`` (non-sources) and ``observed_tpr`` (sources, may be ``inf``) are rates,
    ``lag`` is in records (sources). ``back_pressure`` is the mean share of time, 0 to 1, the vertex waited for its
    outputs. A tuple, because these are made by the million and read by column.
    """

    load: float | None = None
    accumulated_busy_ms: float | None = None
    records_in: float | None = None
    records_out: float | None = None
    records_in_per_s: float | None = None
    lag: float | None = None
    observed_tpr: float | None = None
    back_pressure: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """What a job reported at one instant. ``doubts`` names what makes it unfit for a scale-down; empty if nothing."""

    at: Millis
    vertices: Mapping[VertexId, VertexSample]
    gc_pressure: float | None = None
    heap_usage: float | None = None
    slots_used: float | None = None
    doubts: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Window:
    """Everything measured for one job that one decision may look at: samples oldest first, the last one is of now."""

    topology: Topology
    running_since: Millis
    samples: tuple[Sample, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Cluster:
    """What the decision knows of the cluster around the job. ``task_manager_cpu`` in cores, memory in bytes."""

    task_manager_cpu: float | None = None
    task_manager_memory: int | None = None
    slots_per_task_manager: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Resource:
    """An amount of what YARN gives out: memory in MB, and virtual cores."""

    memory_mb: int = 0
    vcores: int = 0


NOTHING = Resource()


# ------------------------------------------------------------------ what happened before


@dataclass(frozen=True, slots=True, kw_only=True)
class Scaling:
    """One past scaling of one vertex: true processing rate before it, and the rate expected after it."""

    at: Millis
    from_parallelism: int
    to_parallelism: int
    tpr: float | None = None
    expected_rate: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Restart:
    """One rescale's restart; ``duration_s`` in whole seconds, ``None`` until it is measured."""

    at: Millis
    duration_s: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class DelayedRequest:
    """A scale-down that was computed but held back."""

    at: Millis
    parallelism: int
    outside_bounds: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class DelayedScaleDown:
    """Held-back scale-downs of one vertex since ``first``: rising ``at``, falling ``parallelism``."""

    first: Millis
    requests: tuple[DelayedRequest, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class History:
    """What the decision remembers of a job: past scalings and restarts oldest first, and held-back scale-downs."""

    scalings: Mapping[VertexId, tuple[Scaling, ...]] = field(default_factory=lambda: frozen({}))
    restarts: tuple[Restart, ...] = ()
    delayed: Mapping[VertexId, DelayedScaleDown] = field(default_factory=lambda: frozen({}))


# ------------------------------------------------------------------ what the user wants


class BusyTimeAggregator(StrEnum):
    """How busy time is taken over the subtasks of a vertex."""

    MAX = "MAX"
    AVG = "AVG"
    MIN = "MIN"


class Alignment(StrEnum):
    """How a parallelism is moved to fit key groups or source partitions (docs/ALGORITHM.md, 8)."""

    BALANCED = "BALANCED"
    EVENLY_SPREAD = "EVENLY_SPREAD"
    OFF = "OFF"
    LEGACY_EVENLY_SPREAD = "LEGACY_EVENLY_SPREAD"
    LEGACY_MAXIMIZE_UTILISATION = "LEGACY_MAXIMIZE_UTILISATION"


@dataclass(frozen=True, slots=True, kw_only=True)
class VertexRule:
    """What an operator's rules say of one vertex; ``None`` where they say nothing and the job's options hold."""

    min_parallelism: int | None = None
    max_parallelism: int | None = None
    excluded: bool | None = None
    utilization: float | None = None
    keep_equal_to: VertexId | None = None


NO_VERTEX_RULES: Mapping[VertexId, VertexRule] = frozen({})


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """What the user asked for, one field per ``job.autoscaler.*`` option; see conf/OPTIONS.md for each.

    Durations are milliseconds. The defaults are those of the ``emr`` profile, so that a test can name only what it
    is about; at run time every field comes from ``options``. ``extras`` switches on what goes beyond the reference
    (docs/ALGORITHM.md, 11). ``vertex_rules`` comes from an operator's rules and wins over the options.
    """

    extras: bool = True
    scaling_enabled: bool = True
    decision_interval: Millis = 60_000
    debug_logs_interval: Millis = 300_000
    metrics_window: Millis = 600_000
    stabilization_interval: Millis = 300_000
    utilization_target: float = 0.7
    utilization_boundary: float = 0.4
    utilization_max: float | None = None
    utilization_min: float | None = None
    scale_down_interval: Millis = 0
    scale_up_grace_period: Millis = 3_600_000
    min_parallelism: int = 1
    max_parallelism: int = 200
    scale_down_max_factor: float = 0.6
    scale_up_max_factor: float = 100_000.0
    catch_up_duration: Millis = 900_000
    restart_time: Millis = 180_000
    restart_time_tracking: bool = False
    restart_time_tracking_limit: Millis = 900_000
    backlog_lag_threshold: Millis = 300_000
    observed_tpr_lag_threshold: Millis = 30_000
    observed_tpr_switch_threshold: float = 0.15
    observed_tpr_min_observations: int = 2
    effectiveness_detection: bool = False
    effectiveness_threshold: float = 0.1
    gc_pressure_threshold: float = 1.0
    heap_usage_threshold: float = 1.0
    history_max_count: int = 3
    history_max_age: Millis = 86_400_000
    busy_time_aggregator: BusyTimeAggregator = BusyTimeAggregator.MAX
    excluded_vertices: frozenset[VertexId] = frozenset()
    excluded_periods: tuple[str, ...] = ()
    time_zone: str = "UTC"
    event_interval: Millis = 1_800_000
    rest_timeout: Millis = 10_000
    quota_memory: int | None = None
    quota_cpu: float | None = None
    alignment: Alignment = Alignment.BALANCED
    observed_scalability: bool = False
    observed_scalability_min_observations: int = 3
    observed_scalability_coefficient_min: float = 0.5
    yarn_id: str | None = None
    allow_without_checkpoint: bool = False
    rescale_timeout: Millis = 900_000
    back_off: Millis = 600_000
    probation: Millis = 600_000
    rollback_restarts: int = 2
    rollback_failed_checkpoints: int = 2
    rollback_throughput: float = 0.8
    rollback_lag_samples: int = 3
    rollback_gc_pressure: float = 0.5
    bad_target_memory: Millis = 21_600_000
    bad_target_memory_max: Millis = 172_800_000
    rescale_budget: int = 6
    rescale_gap_up: Millis = 120_000
    rescale_gap_down: Millis = 1_800_000
    external_change_hold: Millis = 1_800_000
    checkpoint_wait_max: Millis = 600_000
    restore_requirements: bool = True
    capacity: bool = True
    capacity_allowance: int | None = None
    decommission_timeout: Millis = 3_600_000
    fill_task_managers: bool = False
    whole_scale_down: bool = False
    rescales_in_flight: int = 5
    task_managers_per_minute: int = 20
    vertex_rules: Mapping[VertexId, VertexRule] = field(default_factory=lambda: NO_VERTEX_RULES)


# ------------------------------------------------------------------ what was decided


class Reason(StrEnum):
    """Why a pass over a job ended as it did. The first block is decided by ``core``, the rest around it."""

    SCALE = "SCALE"
    ERROR = "ERROR"
    MEMORY_PRESSURE = "MEMORY_PRESSURE"
    QUOTA = "QUOTA"
    SCALING_DISABLED = "SCALING_DISABLED"
    EXCLUDED_PERIOD = "EXCLUDED_PERIOD"
    NOT_READY = "NOT_READY"
    STEADY = "STEADY"
    WINDOW_NOT_FULL = "WINDOW_NOT_FULL"

    NOT_ENABLED = "NOT_ENABLED"
    EMR_SCALES = "EMR_SCALES"
    SCALER_UNKNOWN = "SCALER_UNKNOWN"
    TWO_SCALERS = "TWO_SCALERS"
    UNSUPPORTED_VERSION = "UNSUPPORTED_VERSION"
    NOT_ADAPTIVE = "NOT_ADAPTIVE"
    REACTIVE_MODE = "REACTIVE_MODE"
    BATCH = "BATCH"
    BAD_CONFIGURATION = "BAD_CONFIGURATION"
    UNREACHABLE = "UNREACHABLE"
    NOT_RUNNING = "NOT_RUNNING"
    ADVISE_ONLY = "ADVISE_ONLY"
    CHECKPOINTING_OFF = "CHECKPOINTING_OFF"
    NO_CHECKPOINT = "NO_CHECKPOINT"
    CHECKPOINTS_FAIL = "CHECKPOINTS_FAIL"
    SAVEPOINT = "SAVEPOINT"
    CHECKPOINT_WAIT = "CHECKPOINT_WAIT"
    IN_FLIGHT = "IN_FLIGHT"
    PROBATION = "PROBATION"
    KNOWN_BAD = "KNOWN_BAD"
    BUDGET = "BUDGET"
    TOO_SOON = "TOO_SOON"
    EXTERNAL_CHANGE = "EXTERNAL_CHANGE"
    FLAPPING = "FLAPPING"
    PINNED = "PINNED"
    COMMANDED = "COMMANDED"
    AWAITING_RESOURCES = "AWAITING_RESOURCES"
    REJECTED = "REJECTED"
    NO_CAPACITY = "NO_CAPACITY"
    FREES_NOTHING = "FREES_NOTHING"
    WAITS_ITS_TURN = "WAITS_ITS_TURN"
    STORE_UNAVAILABLE = "STORE_UNAVAILABLE"
    STOPPING = "STOPPING"


class EventKind(StrEnum):
    """The reference's event names."""

    SCALING_REPORT = "ScalingReport"
    SCALING_LIMITED = "ScalingLimited"
    INEFFECTIVE_SCALING = "IneffectiveScaling"
    MEMORY_PRESSURE = "MemoryPressure"
    RESOURCE_QUOTA_REACHED = "ResourceQuotaReached"
    AUTOSCALER_ERROR = "AutoscalerError"


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """Something a user may want to be told of; ``vertex`` is ``None`` where it concerns the whole job."""

    kind: EventKind
    vertex: VertexId | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Evaluation:
    """One vertex evaluated over the window (docs/ALGORITHM.md, 5). Rates in records per second, rounded."""

    tpr: float | None = None
    target_rate: float | None = None
    catch_up_rate: float | None = None
    load: float | None = None
    scale_up_threshold: float | None = None
    scale_down_threshold: float | None = None
    lag: float | None = None


class Limit(StrEnum):
    """What stood between the model's wish for a vertex and the parallelism it was given."""

    MAX_FACTOR = "max-factor"
    MIN_PARALLELISM = "min-parallelism"
    MAX_PARALLELISM = "max-parallelism"
    ALIGNMENT = "alignment"
    DELAYED = "delayed"
    INEFFECTIVE = "ineffective"
    GRACE_PERIOD = "grace-period"
    SATURATED = "saturated"
    BACK_PRESSURE = "back-pressure"
    DOUBTFUL = "doubtful"
    MEMORY_PRESSURE = "memory-pressure"
    EXCLUDED = "excluded"
    FINISHED = "finished"
    NO_BUSY_TIME = "no-busy-time"
    KEPT_EQUAL = "kept-equal"
    QUOTA = "quota"
    LAG_GROWS = "lag-grows"
    SINK_LIMITED = "sink-limited"
    HOT_KEY = "hot-key"
    PARTITION_LIMITED = "partition-limited"
    BOTTLENECK = "bottleneck"
    CAPACITY = "capacity"
    TASK_MANAGER = "task-manager"


@dataclass(frozen=True, slots=True, kw_only=True)
class Sizing:
    """How one vertex came to its parallelism (docs/ALGORITHM.md, 6): every step, so that it can be checked on paper.

    ``factor`` is needed capacity over true processing rate before clamping, ``wanted`` what the model asks for after
    clamping and before the vertex's bounds, ``parallelism`` what the decision gives it. ``limits`` names each thing
    that changed the number on its way, in order.
    """

    current: int
    parallelism: int
    factor: float | None = None
    wanted: int | None = None
    expected_rate: float | None = None
    outside_bounds: bool = False
    limits: tuple[Limit, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Grant:
    """What of a wished parallelism is granted (docs/ALGORITHM.md, 13).

    ``slots`` is what the job needs for it, ``task_managers`` what its application does, if that is known, ``new`` how
    many of these are not there and ``beyond`` how many of the new ones the cluster has no room for now. ``limited_by``
    names the limit with its numbers, empty if all is granted; ``unknown`` the limits that could not be learned.
    """

    wanted: Mapping[VertexId, int]
    granted: Mapping[VertexId, int]
    slots: int
    task_managers: int | None
    new: int = 0
    beyond: int = 0
    limited_by: str = ""
    unknown: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """What to do with one job at one instant, why, and every number it rests on.

    ``parallelism`` holds every vertex and is the present one unless ``rescale``. ``advised`` is what the job would be
    given but for a switched-off scaling, an excluded period, a quota or what the cluster can give, of which ``grant``
    tells. ``delayed`` is the state of held-back scale-downs after this decision, ``scalings`` and ``restarts`` the
    history as trimmed and completed by it.
    """

    at: Millis
    reason: Reason
    rescale: bool
    parallelism: Mapping[VertexId, int]
    advised: Mapping[VertexId, int]
    evaluations: Mapping[VertexId, Evaluation]
    sizings: Mapping[VertexId, Sizing]
    gc_pressure: float | None = None
    heap_usage: float | None = None
    delayed: Mapping[VertexId, DelayedScaleDown] = field(default_factory=lambda: frozen({}))
    scalings: Mapping[VertexId, tuple[Scaling, ...]] = field(default_factory=lambda: frozen({}))
    restarts: tuple[Restart, ...] = ()
    events: tuple[Event, ...] = ()
    error: str | None = None
    window_start: Millis | None = None
    full_at: Millis | None = None
    grant: Grant | None = None


# ------------------------------------------------------------------ what was asked for, and what came of it


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
    def is_open(self) -> bool:
        """Whether it is not known yet what became of it."""
        return self.state in (RequestState.INTENDED, RequestState.SENT)


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

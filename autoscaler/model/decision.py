"""What was decided, why, and every number it rests on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from msgspec import Struct

from autoscaler.model.base import Millis, VertexId, frozen
from autoscaler.model.history import DelayedScaleDown, Need, Restart, Scaling


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
    STANDBY = "STANDBY"


class EventKind(StrEnum):
    """The reference's event names."""

    SCALING_REPORT = "ScalingReport"
    SCALING_LIMITED = "ScalingLimited"
    INEFFECTIVE_SCALING = "IneffectiveScaling"
    MEMORY_PRESSURE = "MemoryPressure"
    RESOURCE_QUOTA_REACHED = "ResourceQuotaReached"
    AUTOSCALER_ERROR = "AutoscalerError"


class Event(Struct, frozen=True, kw_only=True):
    """Something a user may want to be told of; ``vertex`` is ``None`` where it concerns the whole job."""

    kind: EventKind
    vertex: VertexId | None = None


class Evaluation(Struct, frozen=True, kw_only=True):
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
    NEEDED_OF_LATE = "needed-of-late"
    SATURATED = "saturated"
    BACK_PRESSURE = "back-pressure"
    DOUBTFUL = "doubtful"
    MEMORY_PRESSURE = "memory-pressure"
    EXCLUDED = "excluded"
    FINISHED = "finished"
    NO_BUSY_TIME = "no-busy-time"
    NO_RATE = "no-rate"
    KEPT_EQUAL = "kept-equal"
    QUOTA = "quota"
    LAG_GROWS = "lag-grows"
    SINK_LIMITED = "sink-limited"
    HOT_KEY = "hot-key"
    PARTITION_LIMITED = "partition-limited"
    BOTTLENECK = "bottleneck"
    CAPACITY = "capacity"
    TASK_MANAGER = "task-manager"


class Sizing(Struct, frozen=True, kw_only=True):
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
    tells. ``delayed`` is the state of held-back scale-downs after this decision, ``needs`` what was needed of late,
    ``scalings`` and ``restarts`` the history as trimmed and completed by it.
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
    needs: Mapping[VertexId, tuple[Need, ...]] = field(default_factory=lambda: frozen({}))
    scalings: Mapping[VertexId, tuple[Scaling, ...]] = field(default_factory=lambda: frozen({}))
    restarts: tuple[Restart, ...] = ()
    events: tuple[Event, ...] = ()
    error: str | None = None
    window_start: Millis | None = None
    full_at: Millis | None = None
    grant: Grant | None = None

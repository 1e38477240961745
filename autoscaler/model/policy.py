"""What the user wants."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from autoscaler.model.base import Millis, VertexId, frozen


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

"""How much parallelism, how far from what there is, and within which limits."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from autoscaler.options.keys.key import (
    ALIGNMENT,
    APACHE,
    DOUBLE,
    DURATION,
    EMR,
    ID_LIST,
    INTEGER,
    LIST,
    MEMORY,
    OLD_ALIGNMENT,
    PROFILES,
    Key,
)


def _both(old: str) -> Mapping[str, tuple[str, ...]]:
    return MappingProxyType(dict.fromkeys(PROFILES, (old,)))


UTILIZATION = (
    Key(
        name="utilization.target",
        type=DOUBLE,
        emr="0.7",
        apache="0.7",
        fills="utilization_target",
        low=0,
        high=1,
        old_names=_both("target.utilization"),
        help="The share of its time a vertex should be busy after scaling. Lower leaves more room for peaks "
        "and costs more.",
    ),
    Key(
        name="target.utilization.boundary",
        type=DOUBLE,
        emr="0.4",
        apache="0.3",
        fills="utilization_boundary",
        superseded_by=("utilization.max", "utilization.min"),
        low=0,
        help="How far utilization may stray from the target, either way, before the job is scaled. Replaced "
        "by `utilization.max` and `utilization.min`; each of these wins on its side.",
    ),
    Key(
        name="utilization.max",
        type=DOUBLE,
        unset="target + boundary",
        fills="utilization_max",
        help="A vertex busier than this is reason to scale up.",
    ),
    Key(
        name="utilization.min",
        type=DOUBLE,
        unset="target - boundary",
        fills="utilization_min",
        help="A vertex less busy than this is reason to scale down.",
    ),
)

STEPS = (
    Key(
        name="scale-down.interval",
        type=DURATION,
        emr="0 s",
        apache="1 h",
        fills="scale_down_interval",
        old_names=MappingProxyType({APACHE: ("scale-up.grace-period",)}),
        help="How long a scale-down is held back and collected before it is applied; the highest "
        "parallelism asked for meanwhile counts. Saves restarts when the load goes up and down. 0 applies "
        "it at once.",
    ),
    Key(
        name="scale-up.grace-period",
        type=DURATION,
        emr="1 h",
        apache="0 s",
        fills="scale_up_grace_period",
        profiles=(EMR,),
        help="A vertex is not scaled down within this time after it was scaled up, nor below what it needed within "
        "this time, so that a load that swings is not followed down only to come back. The former is EMR's meaning; "
        "in the `apache` profile the key is an old name of `scale-down.interval`.",
    ),
    Key(
        name="vertex.min-parallelism",
        type=INTEGER,
        emr="1",
        apache="1",
        fills="min_parallelism",
        low=0,
        help="No vertex is scaled below this. A vertex that already runs with less is left there.",
    ),
    Key(
        name="vertex.max-parallelism",
        type=INTEGER,
        emr="200",
        apache="200",
        fills="max_parallelism",
        low=0,
        help="No vertex is scaled above this, nor above the number of its key groups. A vertex that already "
        "runs with more is left there.",
    ),
    Key(
        name="scale-down.max-factor",
        type=DOUBLE,
        emr="0.6",
        apache="0.6",
        fills="scale_down_max_factor",
        low=0,
        help="The largest share of its parallelism a vertex loses at once: the new parallelism is at least "
        "current * (1 - factor). 1 sets no limit.",
    ),
    Key(
        name="scale-up.max-factor",
        type=DOUBLE,
        emr="100000",
        apache="100000",
        fills="scale_up_max_factor",
        low=0,
        help="How far a vertex grows at once: the new parallelism is at most current * (1 + factor).",
    ),
    Key(
        name="vertex.exclude.ids",
        type=ID_LIST,
        unset="none",
        fills="excluded_vertices",
        help="Vertices that keep their parallelism, as 32 lower-case hex digits each, separated by `;`. Ids "
        "change with the job graph; a rule by vertex name does not.",
    ),
    Key(
        name="excluded.periods",
        type=LIST,
        unset="none",
        fills="excluded_periods",
        help="Times at which nothing is applied: Quartz cron expressions of 6 or 7 fields, times of day "
        "such as `08:00-10:30`, or one of each joined by `&&`; separated by `;`, in the time zone of "
        "`yarn.time-zone`.",
    ),
)

GATES = (
    Key(
        name="memory.gc-pressure.threshold",
        type=DOUBLE,
        emr="1.0",
        apache="1.0",
        fills="gc_pressure_threshold",
        low=0,
        help="Nothing is scaled while a TaskManager spends more than this share of its time collecting "
        "garbage. 1 switches the check off.",
    ),
    Key(
        name="memory.heap-usage.threshold",
        type=DOUBLE,
        emr="1.0",
        apache="1.0",
        fills="heap_usage_threshold",
        low=0,
        help="Nothing is scaled while the heap is used, on average, beyond this share. 1 switches the check off.",
    ),
    Key(
        name="quota.memory",
        type=MEMORY,
        unset="no limit",
        fills="quota_memory",
        help="The most memory all TaskManagers of the job may take together.",
    ),
    Key(
        name="quota.cpu",
        type=DOUBLE,
        unset="no limit",
        fills="quota_cpu",
        low=0,
        help="The most cores all TaskManagers of the job may take together.",
    ),
    Key(
        name="scaling.parallelism-alignment.mode",
        type=ALIGNMENT,
        unset="BALANCED",
        fills="alignment",
        help="How a parallelism is moved so that key groups or partitions divide over subtasks: BALANCED "
        "until no subtask has needlessly many, EVENLY_SPREAD until all have the same, OFF not at all. Upper "
        "case; any other word counts as BALANCED.",
    ),
    Key(
        name="scaling.key-group.partitions.adjust.mode",
        type=OLD_ALIGNMENT,
        unset="see `scaling.parallelism-alignment.mode`",
        fills="alignment",
        superseded_by=("scaling.parallelism-alignment.mode",),
        help="The older way to choose the alignment; it can also report that a change was limited by it, or stop it.",
    ),
    Key(
        name="scaling.event.interval",
        type=DURATION,
        emr="30 min",
        apache="30 min",
        fills="event_interval",
        help="The same event of the same job is not repeated within this time.",
    ),
    Key(
        name="flink.rest-client.timeout",
        type=DURATION,
        emr="10 s",
        apache="10 s",
        fills="rest_timeout",
        low=1,
        help="How long one call to the job's REST interface may take.",
    ),
)

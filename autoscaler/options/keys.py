"""Every option, once: name, type, defaults, bounds, older names, meaning, the Policy field it fills."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from autoscaler.model import Alignment, BusyTimeAggregator
from autoscaler.options import grammar

PREFIX = "job.autoscaler."
OPERATOR_PREFIX = "kubernetes.operator."

EMR = "emr"
APACHE = "apache"
PROFILES = (EMR, APACHE)


@dataclass(frozen=True, slots=True, kw_only=True)
class ValueType:
    """How the text of a value is read, what such a value is called, and what its number counts."""

    name: str
    read: Callable[[str], object]
    unit: str = ""


def _allowance(text: str) -> int | None:
    """Read a number, or ``auto``, which is ``None``."""
    if text.strip().lower() == "auto":
        return None
    try:
        return grammar.parse_int(text)
    except grammar.GrammarError:
        raise grammar.GrammarError("auto or a whole number") from None


def _text(text: str) -> str:
    if not text.strip():
        raise grammar.GrammarError("a name that is not empty")
    return text.strip()


_ALIGNMENTS = {mode.value: mode for mode in (Alignment.BALANCED, Alignment.EVENLY_SPREAD, Alignment.OFF)}
_OLD_ALIGNMENTS = {
    "EVENLY_SPREAD": Alignment.LEGACY_EVENLY_SPREAD,
    "MAXIMIZE_UTILISATION": Alignment.LEGACY_MAXIMIZE_UTILISATION,
}
_old_alignment = grammar.enumeration(*_OLD_ALIGNMENTS)
_aggregator = grammar.enumeration(*BusyTimeAggregator)

BOOLEAN = ValueType(name="bool", read=grammar.parse_boolean)
INTEGER = ValueType(name="int", read=grammar.parse_int)
DOUBLE = ValueType(name="double", read=grammar.parse_double)
DURATION = ValueType(name="duration", read=grammar.parse_duration, unit="ms")
MEMORY = ValueType(name="memory size", read=grammar.parse_memory, unit="bytes")
LIST = ValueType(name="list", read=grammar.parse_list)
ID_LIST = ValueType(name="list of vertex ids", read=lambda text: frozenset(grammar.parse_list(text)))
TEXT = ValueType(name="text", read=_text)
ALLOWANCE = ValueType(name="auto or int", read=_allowance)
AGGREGATOR = ValueType(name="MAX, AVG, MIN", read=lambda text: BusyTimeAggregator(_aggregator(text)))
# A name that is not exactly one of the three is a custom mode of the JVM, and counts as BALANCED.
ALIGNMENT = ValueType(name="BALANCED, EVENLY_SPREAD, OFF", read=lambda text: _ALIGNMENTS.get(text, Alignment.BALANCED))
OLD_ALIGNMENT = ValueType(
    name="EVENLY_SPREAD, MAXIMIZE_UTILISATION", read=lambda text: _OLD_ALIGNMENTS[_old_alignment(text)]
)
JAVA_CLASS = ValueType(name="Java class", read=lambda text: text)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Key:
    """One option, of which there is one value only; ``name`` is what follows ``job.autoscaler.``.

    ``emr`` and ``apache`` are the defaults as one would write them, ``None`` if the key has none there;
    ``unset`` says what holds then. ``low`` and ``high`` are bounds, both included. ``fills`` names the Policy
    field it fills, and ``superseded_by`` the keys that, when all are set, make this one moot. A ``family``
    stands for all keys that begin with its name. ``not_applicable`` says why the key has no effect here.
    """

    name: str
    type: ValueType
    help: str
    emr: str | None = None
    apache: str | None = None
    unset: str = ""
    fills: str | None = None
    low: float | None = None
    high: float | None = None
    old_names: Mapping[str, tuple[str, ...]] = field(default_factory=lambda: MappingProxyType({}))
    profiles: tuple[str, ...] = PROFILES
    superseded_by: tuple[str, ...] = ()
    family: bool = False
    not_applicable: str = ""

    @property
    def full_name(self) -> str:
        return PREFIX + self.name

    def default(self, profile: str) -> str | None:
        """Return the default of a profile as one would write it."""
        return self.apache if profile == APACHE else self.emr

    def read(self, text: str) -> object:
        """Read a value and hold it against the bounds; raises GrammarError with what was expected."""
        value = self.type.read(text)
        if isinstance(value, int | float) and not self._within_bounds(value):
            raise grammar.GrammarError(f"a value of {self.bounds}" if self.bounds else "a number")
        return value

    def _within_bounds(self, number: float) -> bool:
        # NaN passes neither comparison nor the test against itself.
        return (
            number == number and (self.low is None or number >= self.low) and (self.high is None or number <= self.high)
        )

    @property
    def bounds(self) -> str:
        """The bounds as a phrase, empty if there are none; no key is bounded from above alone."""
        if self.low is None:
            return ""
        unit = f" {self.type.unit}" if self.type.unit else ""
        if self.high is None:
            return f"at least {self.low:g}{unit}"
        return f"{self.low:g} to {self.high:g}{unit}"


def _both(old: str) -> Mapping[str, tuple[str, ...]]:
    return MappingProxyType(dict.fromkeys(PROFILES, (old,)))


_REDEPLOY = "changing the memory of TaskManagers needs a new deployment, which cannot be done in place on YARN"
_JVM = "it names Java classes, which cannot be loaded outside the JVM"

_SWITCHES = (
    Key(
        name="enabled",
        type=BOOLEAN,
        emr="false",
        apache="false",
        help="Switches autoscaling on for a job. On EMR the same key starts the scaler built into EMR's own "
        "Flink; such a job is then measured and advised on here, and not scaled.",
    ),
    Key(
        name="scaling.enabled",
        type=BOOLEAN,
        emr="true",
        apache="true",
        fills="scaling_enabled",
        help="With `false` the job is measured and every decision is computed and reported, but none is applied.",
    ),
    Key(
        name="decision.interval",
        type=DURATION,
        emr="60 s",
        apache="60 s",
        fills="decision_interval",
        low=1,
        help="How often the job is measured and a decision is computed. EMR knows this key per job; the "
        "Apache autoscaler has one interval for all jobs instead.",
    ),
    Key(
        name="debug.logs.interval",
        type=DURATION,
        emr="300 s",
        apache="300 s",
        fills="debug_logs_interval",
        help="How often the full evaluation of a job is written to the log while nothing changes.",
    ),
)

_WINDOW = (
    Key(
        name="metrics.window",
        type=DURATION,
        emr="600 s",
        apache="15 min",
        fills="metrics_window",
        help="The time over which rates and averages are taken. No scaling happens before it is full, so it "
        "is also the shortest time from the end of stabilization to the next scaling.",
    ),
    Key(
        name="stabilization.interval",
        type=DURATION,
        emr="300 s",
        apache="5 min",
        fills="stabilization_interval",
        help="The time after a job's start or restart in which its measurements are kept out of decisions, "
        "because caches are cold and state is being restored.",
    ),
    Key(
        name="metrics.busy-time.aggregator",
        type=AGGREGATOR,
        emr="MAX",
        apache="MAX",
        fills="busy_time_aggregator",
        help="How the busy time of a vertex is taken from its subtasks: the busiest one, the mean, or the "
        "idlest. `MAX` is right under skew, `AVG` is steadier.",
    ),
)

_UTILIZATION = (
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

_STEPS = (
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
        help="A vertex is not scaled down within this time after it was scaled up. This is EMR's meaning; "
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

_BACKLOG = (
    Key(
        name="catch-up.duration",
        type=DURATION,
        emr="15 min",
        apache="30 min",
        fills="catch_up_duration",
        help="The time in which a backlog should be worked off after scaling; the shorter, the more "
        "parallelism it asks for. Counts in whole seconds. 0 ignores backlogs.",
    ),
    Key(
        name="restart.time",
        type=DURATION,
        emr="3 min",
        apache="5 min",
        fills="restart_time",
        help="How long a rescale is expected to stop processing; what arrives meanwhile is part of the "
        "backlog to work off. Counts in whole seconds.",
    ),
    Key(
        name="restart.time-tracking.enabled",
        type=BOOLEAN,
        emr="false",
        apache="false",
        fills="restart_time_tracking",
        help="Uses the longest restart seen for this job instead of `restart.time`, once there is one.",
    ),
    Key(
        name="restart.time-tracking.limit",
        type=DURATION,
        emr="15 min",
        apache="15 min",
        fills="restart_time_tracking_limit",
        help="A restart seen to take longer counts as this long. Whole seconds.",
    ),
    Key(
        name="backlog-processing.lag-threshold",
        type=DURATION,
        emr="5 min",
        apache="5 min",
        fills="backlog_lag_threshold",
        help="A job further behind than this is working off a backlog; it is then allowed to be fully busy "
        "and is not scaled down. Whole seconds.",
    ),
    Key(
        name="observed-true-processing-rate.lag-threshold",
        type=DURATION,
        emr="30 s",
        apache="30 s",
        fills="observed_tpr_lag_threshold",
        help="A source at least this far behind reads as fast as it can, so that its rate shows its real "
        "capacity. Whole seconds.",
    ),
    Key(
        name="observed-true-processing-rate.switch-threshold",
        type=DOUBLE,
        emr="0.15",
        apache="0.15",
        fills="observed_tpr_switch_threshold",
        low=0,
        help="Once the capacity computed from busy time exceeds the observed one by this share, the "
        "observed one is believed.",
    ),
    Key(
        name="observed-true-processing-rate.min-observations",
        type=INTEGER,
        emr="2",
        apache="2",
        fills="observed_tpr_min_observations",
        low=0,
        help="How many observations of a source's capacity are needed before they are used.",
    ),
)

_LEARNING = (
    Key(
        name="scaling.effectiveness.detection.enabled",
        type=BOOLEAN,
        emr="false",
        apache="false",
        fills="effectiveness_detection",
        help="Blocks a further scale-up of a vertex whose last one brought too little. Without it such a "
        "scale-up is only reported.",
    ),
    Key(
        name="scaling.effectiveness.threshold",
        type=DOUBLE,
        emr="0.1",
        apache="0.1",
        fills="effectiveness_threshold",
        low=0,
        help="The share of the expected gain a scale-up must bring to count as effective.",
    ),
    Key(
        name="observed-scalability.enabled",
        type=BOOLEAN,
        emr="false",
        apache="false",
        fills="observed_scalability",
        help="Learns from past scalings how well a vertex gains from more subtasks, and asks for correspondingly more.",
    ),
    Key(
        name="observed-scalability.min-observations",
        type=INTEGER,
        emr="3",
        apache="3",
        fills="observed_scalability_min_observations",
        low=0,
        help="How many past scalings are needed before anything is learned from them.",
    ),
    Key(
        name="observed-scalability.coefficient-min",
        type=DOUBLE,
        emr="0.5",
        apache="0.5",
        fills="observed_scalability_coefficient_min",
        low=0,
        high=1,
        help="The lowest gain per subtask that is believed, as a share of linear scaling.",
    ),
    Key(
        name="history.max.count",
        type=INTEGER,
        emr="3",
        apache="3",
        fills="history_max_count",
        low=0,
        help="How many past scalings of a vertex count. 0 keeps none.",
    ),
    Key(
        name="history.max.age",
        type=DURATION,
        emr="24 h",
        apache="24 h",
        fills="history_max_age",
        help="How old a past scaling may be to count.",
    ),
)

_GATES = (
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

_OURS = (
    Key(
        name="yarn.enabled",
        type=BOOLEAN,
        unset="`enabled` decides",
        help="`true` hands the job to this daemon, also where EMR's own scaler could take it; switch "
        "`enabled` off then: a job that both would scale is held, as two controllers must not fight. `false` keeps "
        "this daemon's hands off the job.",
    ),
    Key(
        name="yarn.id",
        type=TEXT,
        unset="the YARN application name",
        fills="yarn_id",
        help="The identity of a job's application across resubmissions under changing names. History belongs to it.",
    ),
    Key(
        name="yarn.time-zone",
        type=TEXT,
        emr="UTC",
        apache="UTC",
        fills="time_zone",
        help="The IANA time zone, such as `Europe/Berlin`, in which `excluded.periods` are read.",
    ),
    Key(
        name="yarn.allow-without-checkpoint",
        type=BOOLEAN,
        emr="false",
        apache="false",
        fills="allow_without_checkpoint",
        help="Allows a rescale although checkpointing is off or no checkpoint exists yet. The job then "
        "starts from scratch: state is lost.",
    ),
    Key(
        name="yarn.restore-requirements",
        type=BOOLEAN,
        emr="true",
        apache="false",
        fills="restore_requirements",
        help="Asks again for what was asked last when a new ApplicationMaster of the same application has lost it, "
        "as one without high availability does. It is done once the job runs stably.",
    ),
    Key(
        name="yarn.external-change.hold",
        type=DURATION,
        emr="30 min",
        apache="0 s",
        fills="external_change_hold",
        help="How long a job is left alone after somebody else changed its resource requirements, or while its "
        "parallelism keeps changing without a request. 0 takes no notice.",
    ),
)

_RESCALES = (
    Key(
        name="yarn.rescale-timeout",
        type=DURATION,
        emr="15 min",
        apache="15 min",
        fills="rescale_timeout",
        low=1,
        help="How long slots may be missing for a rescale before it is closed as reached in part or not at all. "
        "The time Flink waits for a checkpoint or its cool-down, and that of the restart, does not count.",
    ),
    Key(
        name="yarn.back-off",
        type=DURATION,
        emr="10 min",
        apache="0 s",
        fills="back_off",
        help="After a rescale the cluster did not grant in full, the upper bounds are lowered to what was reached, "
        "so that YARN looks for no more containers, and this one job asks for no more slots during this time. It "
        "doubles each time in a row, up to 6 h. 0 switches both off. What it means for the other jobs of the queue is "
        "`yarn.capacity.allowance`.",
    ),
    Key(
        name="yarn.rescale-gap.up",
        type=DURATION,
        emr="2 min",
        apache="0 s",
        fills="rescale_gap_up",
        help="The least time between a rescale and a later one that gives some vertex more.",
    ),
    Key(
        name="yarn.rescale-gap.down",
        type=DURATION,
        emr="30 min",
        apache="0 s",
        fills="rescale_gap_down",
        help="The least time between a rescale and a later one that only takes away.",
    ),
    Key(
        name="yarn.rescale-budget",
        type=INTEGER,
        emr="6",
        apache="0",
        fills="rescale_budget",
        low=0,
        help="The most rescales of a job within 24 hours. A job further behind than "
        "`backlog-processing.lag-threshold`, and falling back, may overdraw it, and says so. 0 sets no limit.",
    ),
    Key(
        name="yarn.checkpoint-wait.max",
        type=DURATION,
        emr="10 min",
        apache="0 s",
        fills="checkpoint_wait_max",
        help="How long a rescale may wait for a checkpoint to complete, so that little is processed twice; at most "
        "2 min while the lag grows. Then a scale-down is dropped and a scale-up is sent. Only up to Flink 1.20 and "
        "where no containers are needed; later versions wait by themselves. 0 waits for none.",
    ),
    Key(
        name="yarn.probation",
        type=DURATION,
        emr="10 min",
        apache="0 s",
        fills="probation",
        help="How long a job is watched after a rescale, which is rolled back once if one of `yarn.rollback.*` is "
        "met. 0 switches that off.",
    ),
    Key(
        name="yarn.rollback.restarts",
        type=INTEGER,
        emr="2",
        apache="2",
        fills="rollback_restarts",
        low=0,
        help="Rolls a rescale on probation back after so many restarts beyond its own. 0 counts none.",
    ),
    Key(
        name="yarn.rollback.failed-checkpoints",
        type=INTEGER,
        emr="2",
        apache="2",
        fills="rollback_failed_checkpoints",
        low=0,
        help="Rolls a rescale on probation back after so many failed checkpoints. 0 counts none.",
    ),
    Key(
        name="yarn.rollback.throughput",
        type=DOUBLE,
        emr="0.8",
        apache="0.8",
        fills="rollback_throughput",
        low=0,
        high=1,
        help="Rolls a rescale on probation back if a slot processes less than this share of what it did, and the job "
        "less in all, although no less arrives. 0 switches that off.",
    ),
    Key(
        name="yarn.rollback.lag-samples",
        type=INTEGER,
        emr="3",
        apache="3",
        fills="rollback_lag_samples",
        low=0,
        help="Rolls a rescale on probation back once the lag grew faster than before in so many samples in a row. "
        "0 switches that off.",
    ),
    Key(
        name="yarn.rollback.gc-pressure",
        type=DOUBLE,
        emr="0.5",
        apache="0.5",
        fills="rollback_gc_pressure",
        low=0,
        high=1,
        help="Rolls a rescale on probation back if a TaskManager spends more than this share of its time collecting "
        "garbage, and did not before. 1 switches that off.",
    ),
    Key(
        name="yarn.bad-target.memory",
        type=DURATION,
        emr="6 h",
        apache="0 s",
        fills="bad_target_memory",
        help="How long a target that was rolled back is not tried again; doubled each time it is.",
    ),
    Key(
        name="yarn.bad-target.memory-max",
        type=DURATION,
        emr="48 h",
        apache="48 h",
        fills="bad_target_memory_max",
        help="The longest a target is held to be bad.",
    ),
)

_CAPACITY = (
    Key(
        name="yarn.capacity.enabled",
        type=BOOLEAN,
        emr="true",
        apache="false",
        fills="capacity",
        help="Holds growth to what the cluster can give: slots that are free, containers that fit on nodes which stay, "
        "the limits of queue and user, and Flink's own `slotmanager` limits. What does not fit is cut for all vertices "
        "to the same share of their load, never refused as a whole. `false` asks for whatever is wanted.",
    ),
    Key(
        name="yarn.capacity.allowance",
        type=ALLOWANCE,
        emr="auto",
        apache="auto",
        fills="capacity_allowance",
        low=0,
        help="How many nodes of the largest node's size may be counted on although they are not there. `0` is a fixed "
        "cluster. `auto` asks for as much as is wanted, as EMR managed scaling adds nodes only while containers are "
        "pending; when they did not come within `yarn.rescale-timeout` all jobs of the queue are held to what there is "
        "for 30 min, doubling up to 6 h with each time in a row. Limits below the size of the whole cluster hold in "
        "any case. How long the job that asked waits is `yarn.back-off`.",
    ),
    Key(
        name="yarn.capacity.decommission-timeout",
        type=DURATION,
        emr="1 h",
        apache="1 h",
        fills="decommission_timeout",
        low=1,
        help="How long the cluster gives a node that drains, as set by YARN's "
        "`yarn.resourcemanager.nodemanager-graceful-decommission-timeout-secs`, which it does not tell. Only for "
        "saying how much time is left.",
    ),
    Key(
        name="yarn.task-managers.fill",
        type=BOOLEAN,
        emr="false",
        apache="false",
        fills="fill_task_managers",
        help="Raises what a rescale changes, in proportion, to the slots of TaskManagers it pays for anyway. One that "
        "only takes away is left as it is. Off, because Flink up to 1.20 spreads what is left after a scale-down over "
        "all TaskManagers: the fuller they were, the fewer go.",
    ),
    Key(
        name="yarn.task-managers.whole-scale-down",
        type=BOOLEAN,
        emr="false",
        apache="false",
        fills="whole_scale_down",
        help="Leaves out a scale-down that would free no TaskManager, unless another job of the same application could "
        "use the slots. Off, because it counts on subtasks being packed, which Flink up to 1.20 does not do: a job "
        "that has two subtasks may hold two TaskManagers, and give one back when it has one.",
    ),
    Key(
        name="yarn.fleet.rescales-in-flight",
        type=INTEGER,
        emr="5",
        apache="0",
        fills="rescales_in_flight",
        low=0,
        help="How many jobs of the whole cluster may be under a rescale at once, this one included; `0` for any "
        "number. A scale-down waits for other scale-downs alone; of the rest the job that is farthest behind goes "
        "first.",
    ),
    Key(
        name="yarn.fleet.task-managers-per-minute",
        type=INTEGER,
        emr="20",
        apache="0",
        fills="task_managers_per_minute",
        low=0,
        help="How many TaskManagers may be asked for in one queue within a minute; `0` for any number. A rescale that "
        "needs more by itself is sent when nothing else was in that minute.",
    ),
)

_NOT_APPLICABLE = (
    Key(
        name="memory.tuning.enabled",
        type=BOOLEAN,
        emr="false",
        apache="false",
        not_applicable=_REDEPLOY,
        help="Fits the memory of TaskManagers to what they use.",
    ),
    Key(
        name="memory.tuning.overhead",
        type=DOUBLE,
        emr="0.2",
        apache="0.2",
        not_applicable=_REDEPLOY,
        help="The reserve memory tuning leaves, as a share.",
    ),
    Key(
        name="memory.tuning.maximize-managed-memory",
        type=BOOLEAN,
        emr="false",
        apache="false",
        not_applicable=_REDEPLOY,
        help="Gives the memory that tuning saves to managed memory.",
    ),
    Key(
        name="memory.tuning.scale-down-compensation.enabled",
        type=BOOLEAN,
        emr="true",
        apache="true",
        not_applicable=_REDEPLOY,
        help="Keeps the job's total memory when it is scaled down.",
    ),
    Key(
        name="metrics.custom-evaluators",
        type=JAVA_CLASS,
        unset="none",
        not_applicable=_JVM,
        help="Names evaluators of metrics written in Java.",
    ),
    Key(
        name="metrics.custom-evaluator.",
        type=JAVA_CLASS,
        unset="none",
        family=True,
        not_applicable=_JVM,
        help="Class and settings of one such evaluator.",
    ),
    Key(
        name="scaling.custom-executors",
        type=JAVA_CLASS,
        unset="none",
        not_applicable=_JVM,
        help="Names executors of decisions written in Java.",
    ),
    Key(
        name="scaling.custom-executor.",
        type=JAVA_CLASS,
        unset="none",
        family=True,
        not_applicable=_JVM,
        help="Class and settings of one such executor.",
    ),
    Key(
        name="scaling.parallelism-alignment.mode.",
        type=JAVA_CLASS,
        unset="none",
        family=True,
        not_applicable=_JVM,
        help="Class and settings of an alignment mode of one's own.",
    ),
)

GROUPS: tuple[tuple[str, tuple[Key, ...]], ...] = (
    ("What runs", _SWITCHES),
    ("What is looked at", _WINDOW),
    ("Utilization", _UTILIZATION),
    ("How far and when", _STEPS),
    ("Backlog and restarts", _BACKLOG),
    ("Learning from the past", _LEARNING),
    ("Limits and the rest", _GATES),
    ("Of this autoscaler", _OURS),
    ("The life of a rescale", _RESCALES),
    ("What the cluster can give", _CAPACITY),
    ("Not applicable on YARN", _NOT_APPLICABLE),
)
KEYS: tuple[Key, ...] = tuple(key for _, group in GROUPS for key in group)

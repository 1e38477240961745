"""A flat configuration becomes the policy the reference would have read from it."""

from __future__ import annotations

from dataclasses import fields

import pytest

from autoscaler.model import Alignment, BusyTimeAggregator, Cluster, Policy
from autoscaler.options import OptionError, cluster, policy
from autoscaler.options.keys import APACHE, EMR, KEYS, PREFIX, PROFILES
from autoscaler.options.names import REDACTED, find, named, nearest
from autoscaler.options.policy import defaults

NEW = "job.autoscaler.utilization.target"
OLD = "job.autoscaler.target.utilization"
INTERVAL = "job.autoscaler.scale-down.interval"
GRACE = "job.autoscaler.scale-up.grace-period"
OPERATOR = "kubernetes.operator."


def test_the_emr_defaults_are_those_of_the_model() -> None:
    """Nothing set in the emr profile is the Policy a test gets by naming nothing."""
    assert policy({}) == Policy()


def test_the_apache_defaults() -> None:
    """The apache profile differs from emr in the reference's defaults, and goes no further than it."""
    ours, theirs = policy({}), policy({}, APACHE)
    differing = {
        field.name: getattr(theirs, field.name)
        for field in fields(Policy)
        if getattr(ours, field.name) != getattr(theirs, field.name)
    }
    assert differing == {
        "extras": False,
        "metrics_window": 900_000,
        "utilization_boundary": 0.3,
        "scale_down_interval": 3_600_000,
        "scale_up_grace_period": 0,
        "catch_up_duration": 1_800_000,
        "restart_time": 300_000,
        "restore_requirements": False,
        "external_change_hold": 0,
        "back_off": 0,
        "rescale_gap_up": 0,
        "rescale_gap_down": 0,
        "rescale_budget": 0,
        "checkpoint_wait_max": 0,
        "probation": 0,
        "bad_target_memory": 0,
        "capacity": False,
        "rescales_in_flight": 0,
        "task_managers_per_minute": 0,
    }


@pytest.mark.parametrize(
    ("profile", "extras", "expected"),
    [(EMR, None, True), (APACHE, None, False), (EMR, False, False), (APACHE, True, True)],
)
def test_extras_follow_the_profile_unless_told(profile: str, extras: bool | None, expected: bool) -> None:
    """What goes beyond the reference is on in emr and off in apache, and can be set either way."""
    assert policy({}, profile, extras).extras is expected


def test_an_unknown_profile_is_refused() -> None:
    """A profile that does not exist is an error that names those that do."""
    with pytest.raises(ValueError, match="emr and apache"):
        policy({}, "aws")


EXAMPLES = {
    "scaling.enabled": ("false", "scaling_enabled", False),
    "decision.interval": ("10s", "decision_interval", 10_000),
    "debug.logs.interval": ("60s", "debug_logs_interval", 60_000),
    "metrics.window": ("5 min", "metrics_window", 300_000),
    "stabilization.interval": ("1 m", "stabilization_interval", 60_000),
    "utilization.target": ("0.8", "utilization_target", 0.8),
    "target.utilization.boundary": ("0.1", "utilization_boundary", 0.1),
    "utilization.max": ("0.9", "utilization_max", 0.9),
    "utilization.min": ("0.2", "utilization_min", 0.2),
    "scale-down.interval": ("30 min", "scale_down_interval", 1_800_000),
    "scale-up.grace-period": ("5 min", "scale_up_grace_period", 300_000),
    "vertex.min-parallelism": ("2", "min_parallelism", 2),
    "vertex.max-parallelism": ("50", "max_parallelism", 50),
    "scale-down.max-factor": ("1.5", "scale_down_max_factor", 1.5),
    "scale-up.max-factor": ("100000", "scale_up_max_factor", 100_000.0),
    "catch-up.duration": ("0", "catch_up_duration", 0),
    "restart.time": ("45900 ms", "restart_time", 45_900),
    "restart.time-tracking.enabled": ("true", "restart_time_tracking", True),
    "restart.time-tracking.limit": ("20 s", "restart_time_tracking_limit", 20_000),
    "backlog-processing.lag-threshold": ("1 d", "backlog_lag_threshold", 86_400_000),
    "observed-true-processing-rate.lag-threshold": ("1m", "observed_tpr_lag_threshold", 60_000),
    "observed-true-processing-rate.switch-threshold": ("0", "observed_tpr_switch_threshold", 0.0),
    "observed-true-processing-rate.min-observations": ("5", "observed_tpr_min_observations", 5),
    "scaling.effectiveness.detection.enabled": ("true", "effectiveness_detection", True),
    "scaling.effectiveness.threshold": ("0.5", "effectiveness_threshold", 0.5),
    "memory.gc-pressure.threshold": ("0.3", "gc_pressure_threshold", 0.3),
    "memory.heap-usage.threshold": ("0.8", "heap_usage_threshold", 0.8),
    "history.max.count": ("0", "history_max_count", 0),
    "history.max.age": ("48 h", "history_max_age", 172_800_000),
    "metrics.busy-time.aggregator": ("avg", "busy_time_aggregator", BusyTimeAggregator.AVG),
    "vertex.exclude.ids": ("ab;cd", "excluded_vertices", frozenset({"ab", "cd"})),
    "excluded.periods": ("9:30-10:30;* * * ? * SUN", "excluded_periods", ("9:30-10:30", "* * * ? * SUN")),
    "scaling.event.interval": ("0 ms", "event_interval", 0),
    "flink.rest-client.timeout": ("3 s", "rest_timeout", 3_000),
    "quota.memory": ("32 gb", "quota_memory", 32 * 2**30),
    "quota.cpu": ("15", "quota_cpu", 15.0),
    "scaling.parallelism-alignment.mode": ("OFF", "alignment", Alignment.OFF),
    "scaling.key-group.partitions.adjust.mode": ("evenly_spread", "alignment", Alignment.LEGACY_EVENLY_SPREAD),
    "observed-scalability.enabled": ("TRUE", "observed_scalability", True),
    "observed-scalability.min-observations": ("1", "observed_scalability_min_observations", 1),
    "observed-scalability.coefficient-min": ("0.01", "observed_scalability_coefficient_min", 0.01),
    "yarn.id": (" orders ", "yarn_id", "orders"),
    "yarn.time-zone": ("Europe/Berlin", "time_zone", "Europe/Berlin"),
    "yarn.allow-without-checkpoint": ("true", "allow_without_checkpoint", True),
    "yarn.rescale-timeout": ("5 min", "rescale_timeout", 300_000),
    "yarn.back-off": ("1 min", "back_off", 60_000),
    "yarn.rescale-gap.up": ("1 min", "rescale_gap_up", 60_000),
    "yarn.rescale-gap.down": ("1 h", "rescale_gap_down", 3_600_000),
    "yarn.rescale-budget": ("0", "rescale_budget", 0),
    "yarn.checkpoint-wait.max": ("0", "checkpoint_wait_max", 0),
    "yarn.probation": ("5 min", "probation", 300_000),
    "yarn.rollback.restarts": ("3", "rollback_restarts", 3),
    "yarn.rollback.failed-checkpoints": ("3", "rollback_failed_checkpoints", 3),
    "yarn.rollback.throughput": ("0.5", "rollback_throughput", 0.5),
    "yarn.rollback.lag-samples": ("5", "rollback_lag_samples", 5),
    "yarn.rollback.gc-pressure": ("1.0", "rollback_gc_pressure", 1.0),
    "yarn.bad-target.memory": ("1 h", "bad_target_memory", 3_600_000),
    "yarn.bad-target.memory-max": ("1 d", "bad_target_memory_max", 86_400_000),
    "yarn.external-change.hold": ("1 h", "external_change_hold", 3_600_000),
    "yarn.restore-requirements": ("false", "restore_requirements", False),
    "yarn.capacity.enabled": ("false", "capacity", False),
    "yarn.capacity.allowance": ("2", "capacity_allowance", 2),
    "yarn.capacity.decommission-timeout": ("2 h", "decommission_timeout", 7_200_000),
    "yarn.task-managers.fill": ("true", "fill_task_managers", True),
    "yarn.task-managers.whole-scale-down": ("true", "whole_scale_down", True),
    "yarn.fleet.rescales-in-flight": ("0", "rescales_in_flight", 0),
    "yarn.fleet.task-managers-per-minute": ("100", "task_managers_per_minute", 100),
}


@pytest.mark.parametrize("name", EXAMPLES)
def test_each_key_fills_its_field(name: str) -> None:
    """A key sets the one field of the policy that is named after it, and no other."""
    text, field, expected = EXAMPLES[name]
    assert policy({PREFIX + name: text}) == policy({}).__class__(**{field: expected})  # type: ignore[arg-type]


def test_every_key_that_fills_a_field_has_an_example() -> None:
    """The table above is complete, and every field of the policy is filled by some key, save what no key says."""
    assert {key.name for key in KEYS if key.fills} == set(EXAMPLES)
    assert {field.name for field in fields(Policy)} - {"extras", "vertex_rules"} == {
        key.fills for key in KEYS if key.fills
    }


@pytest.mark.parametrize(
    ("config", "expected"),
    [
        pytest.param({NEW: "0.1", OPERATOR + NEW: "0.2", OPERATOR + OLD: "0.3", OLD: "0.4"}, 0.1, id="plain-new-first"),
        pytest.param({OLD: "0.4", OPERATOR + OLD: "0.3", OPERATOR + NEW: "0.2"}, 0.2, id="then-operator-new"),
        pytest.param({OLD: "0.4", OPERATOR + OLD: "0.3"}, 0.3, id="then-operator-old"),
        pytest.param({OLD: "0.4"}, 0.4, id="then-plain-old"),
        pytest.param({NEW: REDACTED, OLD: "0.4"}, 0.4, id="redacted-is-not-set"),
        pytest.param({}, 0.7, id="else-the-default"),
    ],
)
@pytest.mark.parametrize("profile", PROFILES)
def test_which_name_counts(profile: str, config: dict[str, str], expected: float) -> None:
    """Of several names for one option the reference's order decides, whatever the order they are given in."""
    assert policy(config, profile).utilization_target == expected
    assert policy(dict(reversed(config.items())), profile).utilization_target == expected


@pytest.mark.parametrize(
    ("config", "expected"),
    [
        pytest.param(
            {INTERVAL: "1", OPERATOR + GRACE: "2", OPERATOR + INTERVAL: "3", GRACE: "4"}, 1, id="plain-new-first"
        ),
        pytest.param({OPERATOR + GRACE: "2", OPERATOR + INTERVAL: "3", GRACE: "4"}, 2, id="then-operator-old"),
        pytest.param({OPERATOR + INTERVAL: "3", GRACE: "4"}, 3, id="then-operator-new"),
        pytest.param({GRACE: "4"}, 4, id="then-plain-old"),
    ],
)
def test_the_grace_period_is_an_old_name_in_apache(config: dict[str, str], expected: int) -> None:
    """In apache the grace period is the scale-down interval, and under the operator's prefix its old name leads."""
    wanted = policy(config, APACHE)
    assert wanted.scale_down_interval == expected
    assert wanted.scale_up_grace_period == 0


def test_the_grace_period_is_a_key_of_its_own_in_emr() -> None:
    """In emr the grace period and the scale-down interval are two options."""
    wanted = policy({INTERVAL: "1", OPERATOR + GRACE: "2"}, EMR)
    assert (wanted.scale_down_interval, wanted.scale_up_grace_period) == (1, 2)


@pytest.mark.parametrize(
    ("mode", "adjust", "expected"),
    [
        (None, None, Alignment.BALANCED),
        ("BALANCED", "EVENLY_SPREAD", Alignment.BALANCED),
        ("EVENLY_SPREAD", None, Alignment.EVENLY_SPREAD),
        ("OFF", None, Alignment.OFF),
        ("off", None, Alignment.BALANCED),
        ("MY_MODE", "EVENLY_SPREAD", Alignment.BALANCED),
        ("LEGACY_EVENLY_SPREAD", None, Alignment.BALANCED),
        ("OFF", "nonsense", Alignment.OFF),
        (None, "Maximize_Utilisation", Alignment.LEGACY_MAXIMIZE_UTILISATION),
        (None, "EVENLY_SPREAD", Alignment.LEGACY_EVENLY_SPREAD),
    ],
)
def test_alignment(mode: str | None, adjust: str | None, expected: Alignment) -> None:
    """The mode wins if it is set, in exact upper case or as BALANCED; else the older key counts, in any case."""
    config = {
        "job.autoscaler.scaling.parallelism-alignment.mode": mode,
        "job.autoscaler.scaling.key-group.partitions.adjust.mode": adjust,
    }
    assert policy({key: text for key, text in config.items() if text is not None}).alignment is expected


@pytest.mark.parametrize(
    ("key", "value", "advice"),
    [
        ("metrics.window", "five minutes", "write a duration such as"),
        ("utilization.target", "1.5", "write a value of 0 to 1"),
        ("utilization.target", "-0.1", "write a value of 0 to 1"),
        ("utilization.target", "NaN", "write a value of 0 to 1"),
        ("utilization.max", "NaN", "write a number"),
        ("history.max.count", "-1", "write a value of at least 0"),
        ("decision.interval", "0 s", "write a value of at least 1 ms"),
        ("vertex.max-parallelism", "many", "write a whole number"),
        ("scaling.enabled", "yes", "write true or false"),
        ("metrics.busy-time.aggregator", "SUM", "write one of MAX, AVG, MIN"),
        ("excluded.periods", "'a'b", "Illegal quoting at position: 2"),
        ("yarn.id", " ", "write a name that is not empty"),
        ("quota.memory", "4 gib", "'gib' is not a unit"),
    ],
)
def test_a_bad_value_says_what_to_write(key: str, value: str, advice: str) -> None:
    """A value that cannot be used is named with its key and place, and what to write instead."""
    with pytest.raises(OptionError) as caught:
        policy({PREFIX + key: value}, sources={PREFIX + key: "flink-conf.yaml:7"})
    error = caught.value
    assert (error.key, error.value, error.source) == (PREFIX + key, value, "flink-conf.yaml:7")
    assert error.message.startswith(f"{PREFIX}{key} is {value!r} in flink-conf.yaml:7, which cannot be read: ")
    assert advice in str(error)


def test_a_bad_value_without_a_known_place() -> None:
    """Without sources the message speaks of the configuration."""
    with pytest.raises(OptionError, match="is 'x' in the configuration"):
        policy({NEW: "x"})


@pytest.mark.parametrize("key", ["enabled", "yarn.enabled", "memory.tuning.enabled", "metrics.custom-evaluator.a.b"])
def test_keys_the_policy_does_not_hold(key: str) -> None:
    """Keys that decide whose job it is, or have no effect here, leave the policy alone, whatever their value."""
    assert policy({PREFIX + key: "nonsense"}) == Policy()


def test_defaults_are_computed_once() -> None:
    """The defaults of a profile are read-only and shared."""
    assert defaults(EMR) is defaults(EMR)


@pytest.mark.parametrize(
    ("config", "expected"),
    [
        pytest.param({}, Cluster(), id="nothing-known"),
        pytest.param(
            {"taskmanager.memory.process.size": "4gb", "taskmanager.numberOfTaskSlots": "2"},
            Cluster(task_manager_memory=2**32, slots_per_task_manager=2),
            id="both",
        ),
        pytest.param({"taskmanager.memory.process.size": REDACTED}, Cluster(), id="redacted"),
    ],
)
def test_what_a_configuration_says_of_task_managers(config: dict[str, str], expected: Cluster) -> None:
    """Memory and slots come from Flink's own keys; what is not set is absent."""
    assert cluster(config) == expected


def test_the_cpu_of_task_managers_is_handed_in() -> None:
    """The number of cores is not in the configuration's own keys, and is taken as given."""
    assert cluster({}, 2.0).task_manager_cpu == 2.0


def test_a_bad_size_of_task_managers() -> None:
    """A memory size Flink could not read is an error like that of an option."""
    with pytest.raises(OptionError, match=r"taskmanager\.memory\.process\.size is 'big' in the configuration"):
        cluster({"taskmanager.memory.process.size": "big"})


@pytest.mark.parametrize(
    ("text", "name"),
    [
        (NEW, "utilization.target"),
        (OPERATOR + OLD, "utilization.target"),
        ("job.autoscaler.metrics.custom-evaluators", "metrics.custom-evaluators"),
        ("job.autoscaler.metrics.custom-evaluator.mine.class", "metrics.custom-evaluator."),
        (OPERATOR + "job.autoscaler.scaling.custom-executor.x", "scaling.custom-executor."),
        ("utilization.target", None),
        ("job.autoscaler.nothing", None),
        ("metrics.custom-evaluator.mine", None),
    ],
)
def test_keys_are_found_as_written(text: str, name: str | None) -> None:
    """A key is found under each of its full names, a family by its beginning."""
    found = find(text)
    assert (None if found is None else found.key.name) == name


@pytest.mark.parametrize("text", ["target.utilization", OLD, "utilization.target"])
def test_a_person_may_leave_the_prefix_out(text: str) -> None:
    """What a person types is found with or without the prefix."""
    found = named(text)
    assert found is not None
    assert found.key.name == "utilization.target"
    assert named("nothing") is None


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        ("job.autoscaler.metric.window", "job.autoscaler.metrics.window"),
        ("kubernetes.operator.job.autoscaler.stabilisation.interval", "job.autoscaler.stabilization.interval"),
        ("job.autoscaler.scale-down.max_factor", "job.autoscaler.scale-down.max-factor"),
        ("job.autoscaler.target.utilisation", "job.autoscaler.target.utilization"),
        ("job.autoscaler.yarn.timezone", "job.autoscaler.yarn.time-zone"),
        ("job.autoscaler.zzz", None),
    ],
)
def test_the_nearest_key_of_a_mistyped_one(typed: str, meant: str | None) -> None:
    """A mistyped key is answered with the one that looks most like it, if any does."""
    assert nearest(typed) == meant


def test_an_allowance_is_a_number_or_auto() -> None:
    """`auto` in any case is no number of nodes; anything else that is no whole number is refused with both forms."""
    key = PREFIX + "yarn.capacity.allowance"
    assert policy({key: " AUTO "}).capacity_allowance is None
    assert policy({key: "0"}).capacity_allowance == 0
    for wrong in ("many", "-1", "1.5"):
        with pytest.raises(OptionError, match=r"yarn\.capacity\.allowance"):
            policy({key: wrong})
    with pytest.raises(OptionError, match="auto or a whole number"):
        policy({key: "many"})

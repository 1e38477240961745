"""What is wrong with a configuration is said with its place, and what to do."""

from __future__ import annotations

import pytest

from autoscaler.options import EMR, Entry, Layer, Problem, Severity, check, profile_layer, resolve
from autoscaler.options.keys import APACHE

PREFIX = "job.autoscaler."


def problems(config: dict[str, str], profile: str = EMR) -> tuple[Problem, ...]:
    """Return the problems of a file with one line per key."""
    entries = {key: Entry(value=text, source=f"f:{line}") for line, (key, text) in enumerate(config.items(), 1)}
    return check(resolve([profile_layer(profile), Layer(name="file", entries=entries)], profile))


@pytest.mark.parametrize(
    ("key", "value", "severity", "message"),
    [
        pytest.param(
            "metrics.window", "five", Severity.ERROR, "cannot be read: write a duration such as", id="bad-value"
        ),
        pytest.param("utilization.target", "70", Severity.ERROR, "write a value of 0 to 1", id="out-of-bounds"),
        pytest.param(
            "metrics.window", "%{hiera('w')}", Severity.ERROR, "a template nothing has filled in", id="template"
        ),
        pytest.param(
            "metrics.windw",
            "5 min",
            Severity.WARNING,
            "job.autoscaler.metrics.windw is not an option; did you mean job.autoscaler.metrics.window?",
            id="typo",
        ),
        pytest.param("zzz", "1", Severity.WARNING, "job.autoscaler.zzz is not an option", id="unlike-any"),
        pytest.param(
            "stabilization.interval",
            "30",
            Severity.WARNING,
            "is '30', which means 30 ms: a duration without a unit is in milliseconds; add s, min or h",
            id="milliseconds",
        ),
        pytest.param("catch-up.duration", "3600", Severity.WARNING, "which means 3600 ms", id="seconds-by-mistake"),
        pytest.param("scale-down.interval", "3600", Severity.WARNING, "means 3600 ms", id="default-zero"),
        pytest.param("history.max.age", "86400", Severity.WARNING, "means 86400 ms", id="a-day-in-seconds"),
        pytest.param(
            "memory.tuning.enabled", "true", Severity.WARNING, "has no effect here: changing", id="not-applicable"
        ),
        pytest.param(
            "memory.tuning.enabled", "false", Severity.INFO, "has no effect here", id="not-applicable-default"
        ),
        pytest.param("metrics.custom-evaluator.mine.class", "X", Severity.WARNING, "names Java classes", id="family"),
        pytest.param(
            "target.utilization",
            "0.7",
            Severity.INFO,
            "job.autoscaler.target.utilization is an older name of job.autoscaler.utilization.target",
            id="old-name",
        ),
        pytest.param(
            "scaling.parallelism-alignment.mode", "off", Severity.WARNING, "counts as BALANCED", id="alignment"
        ),
        pytest.param(
            "vertex.exclude.ids", "ABC", Severity.WARNING, "'ABC' in job.autoscaler.vertex.exclude.ids", id="id"
        ),
    ],
)
def test_one_value(key: str, value: str, severity: Severity, message: str) -> None:
    """A single doubtful value gives a single problem with its severity, key, value and place."""
    (problem,) = problems({PREFIX + key: value})
    assert (problem.severity, problem.key, problem.value) == (severity, PREFIX + key, value)
    assert problem.source == "f:1"
    assert message in problem.message


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("job.autoscaler.metrics.window", "60000"),
        ("job.autoscaler.metrics.window", "5min"),
        ("job.autoscaler.catch-up.duration", "0"),
        ("job.autoscaler.flink.rest-client.timeout", "5000"),
        ("job.autoscaler.scaling.parallelism-alignment.mode", "OFF"),
        ("job.autoscaler.vertex.exclude.ids", "e398b7fee46f04fea7ddf5d3ef61de04"),
        ("job.autoscaler.yarn.enabled", "true"),
        ("jobmanager.scheduler", "adaptive"),
        ("jobmanager.memory.process.size", "1g"),
        ("my.own.key", "x"),
    ],
)
def test_nothing_wrong(key: str, value: str) -> None:
    """Values as one should write them, and keys of others, give no problem."""
    assert problems({key: value}) == ()


@pytest.mark.parametrize(
    ("key", "severity", "message"),
    [
        ("jobs.autoscaler.enabled", Severity.WARNING, "is not read: the keys of options begin with job.autoscaler."),
        ("job.autosclaer.enabled", Severity.WARNING, "is not read"),
        ("job-autoscaler.enabled", Severity.WARNING, "is not read"),
        ("autoscaler.metrics.window", Severity.WARNING, "is not read"),
        ("autoscaler.standalone.jdbc.url", Severity.INFO, "Apache Flink's standalone autoscaler; it has no effect"),
    ],
)
def test_keys_beside_the_prefix(key: str, severity: Severity, message: str) -> None:
    """A key that nearly has the prefix, or belongs to the standalone package, is pointed out."""
    (problem,) = problems({key: "true"})
    assert problem.severity is severity
    assert message in problem.message


@pytest.mark.parametrize(
    ("config", "key", "message"),
    [
        pytest.param(
            {"vertex.min-parallelism": "10", "vertex.max-parallelism": "4"},
            "vertex.min-parallelism",
            "vertex.min-parallelism is 10, above vertex.max-parallelism, which is 4",
            id="parallelism",
        ),
        pytest.param(
            {"vertex.max-parallelism": "0"}, "vertex.max-parallelism", "min-parallelism is 1", id="against-a-default"
        ),
        pytest.param({"utilization.min": "0.8"}, "utilization.min", "0.8 to 1.1", id="low-above-target"),
        pytest.param({"utilization.max": "0.5"}, "utilization.max", "0.3 to 0.5", id="high-below-target"),
        pytest.param(
            {"utilization.min": "0.9", "utilization.max": "0.8"}, "utilization.min", "0.9 to 0.8", id="crossed"
        ),
        pytest.param(
            {"decision.interval": "11 min"},
            "decision.interval",
            "decision.interval is 11 min, longer than metrics.window, which is 10 min",
            id="one-sample",
        ),
        pytest.param({"metrics.window": "30 s"}, "metrics.window", "which is 30 s", id="short-window"),
    ],
)
def test_values_that_contradict_each_other(config: dict[str, str], key: str, message: str) -> None:
    """Values that make no sense together are an error at the one somebody set."""
    (problem,) = problems({PREFIX + name: text for name, text in config.items()})
    assert (problem.severity, problem.key, problem.value) == (Severity.ERROR, PREFIX + key, config[key])
    assert message in problem.message


def test_contradictions_are_told_when_nobody_chose() -> None:
    """Without a place to point at, the profile is named."""
    resolved = resolve([Layer(name="profile emr", entries={PREFIX + "metrics.window": Entry(value="1 s", source="x")})])
    (problem,) = [found for found in check(resolved) if found.severity is Severity.ERROR]
    assert (problem.key, problem.value, problem.source) == (PREFIX + "metrics.window", "", "profile emr")


@pytest.mark.parametrize(
    ("config", "message"),
    [
        (
            {"scaling.key-group.partitions.adjust.mode": "x", "scaling.parallelism-alignment.mode": "OFF"},
            "has no effect, as job.autoscaler.scaling.parallelism-alignment.mode is set",
        ),
        (
            {"target.utilization.boundary": "x", "utilization.max": "0.9", "utilization.min": "0.4"},
            "has no effect, as job.autoscaler.utilization.max and job.autoscaler.utilization.min is set",
        ),
    ],
)
def test_values_without_effect(config: dict[str, str], message: str) -> None:
    """A value that others have replaced is not read, and said to have no effect."""
    (problem,) = problems({PREFIX + name: text for name, text in config.items()})
    assert problem.severity is Severity.INFO
    assert message in problem.message


def test_one_side_of_the_boundary_still_counts() -> None:
    """With one of the two newer keys set, the boundary holds on the other side and is read."""
    (problem,) = problems({PREFIX + "target.utilization.boundary": "x", PREFIX + "utilization.max": "0.9"})
    assert problem.severity is Severity.ERROR


def test_a_quota_without_a_measure_is_told() -> None:
    """A quota of memory limits nothing where the memory of a TaskManager is not known, and its owner learns that."""
    quota = {PREFIX + "quota.memory": "32 gb"}
    (problem,) = problems(quota)
    assert (problem.severity, problem.source) == (Severity.WARNING, "f:1")
    assert (
        "limits nothing: what a TaskManager takes is not known, as taskmanager.memory.process.size" in problem.message
    )
    assert problems(quota | {"taskmanager.memory.process.size": "4 gb"}) == ()


def test_errors_come_first() -> None:
    """Problems are given by severity, and contradictions only when every value can be read."""
    found = problems(
        {
            PREFIX + "target.utilization": "0.7",
            PREFIX + "unheard-of": "1",
            PREFIX + "metrics.window": "x",
            PREFIX + "vertex.max-parallelism": "0",
        }
    )
    assert [problem.severity for problem in found] == [Severity.ERROR, Severity.WARNING, Severity.INFO]


def test_the_grace_period_in_apache() -> None:
    """In apache the grace period is an older name of the scale-down interval."""
    (problem,) = problems({PREFIX + "scale-up.grace-period": "1 h"}, APACHE)
    assert problem.message == (
        "job.autoscaler.scale-up.grace-period is an older name of job.autoscaler.scale-down.interval"
    )


def test_validators_look_closer() -> None:
    """What is not known here, such as a time zone, can be checked by whoever knows it."""
    config = resolve([Layer(name="f", entries={PREFIX + "yarn.time-zone": Entry(value="Mars", source="f:1")})])
    (problem,) = check(config, {"yarn.time-zone": lambda text: f"there is no {text}"})
    assert str(problem) == (
        "f:1: error: job.autoscaler.yarn.time-zone is 'Mars', which cannot be used: there is no Mars"
    )
    assert check(config, {"yarn.time-zone": lambda _: None}) == ()


def test_a_problem_of_a_bad_value_is_its_error() -> None:
    """A bad value reads the same as a problem and as the error that would hold the job."""
    (problem,) = problems({PREFIX + "quota.cpu": "lots"})
    assert str(problem) == (
        "f:1: error: job.autoscaler.quota.cpu is 'lots' in f:1, which cannot be read: write a number such as 0.7"
    )

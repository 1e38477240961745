"""The last layer wins, and every value knows where it came from and what it shadows."""

from __future__ import annotations

import pytest

from autoscaler.model import Policy
from autoscaler.options import (
    EMR,
    PROFILES,
    Entry,
    Layer,
    OptionError,
    Resolved,
    check,
    layer_of,
    policy,
    profile_layer,
    resolve,
)
from autoscaler.options.names import REDACTED

TARGET = "job.autoscaler.utilization.target"
OLD_TARGET = "job.autoscaler.target.utilization"


def stack(resolved: Resolved, name: str) -> list[tuple[str, str]]:
    """Return value and source of a setting and of what it shadows, from the top."""
    top = resolved.settings[name]
    return [(setting.value, setting.source) for setting in (top, *top.shadows)]


def test_the_last_layer_wins() -> None:
    """A value of a later layer counts, and names all it shadows, nearest first."""
    resolved = resolve(
        [
            profile_layer(EMR),
            Layer(name="cluster", entries={TARGET: Entry(value="0.6", source="flink-conf.yaml:3")}),
            layer_of("application", {TARGET: "0.5"}),
        ]
    )
    assert stack(resolved, TARGET) == [
        ("0.5", "application"),
        ("0.6", "flink-conf.yaml:3"),
        ("0.7", "profile emr"),
    ]
    assert resolved.settings[TARGET].layer == "application"


def test_an_option_is_one_thing_under_all_its_names() -> None:
    """An old name in a later layer wins over the new name in an earlier one."""
    resolved = resolve([layer_of("cluster", {TARGET: "0.6"}), layer_of("rule", {OLD_TARGET: "0.5"})])
    assert stack(resolved, TARGET) == [("0.5", "rule"), ("0.6", "cluster")]
    assert resolved.flat() == {OLD_TARGET: "0.5"}
    assert resolved.sources() == {OLD_TARGET: "rule"}


@pytest.mark.parametrize("reverse", [False, True])
def test_within_a_layer_the_better_name_wins(reverse: bool) -> None:
    """In one layer the order of names decides, not the order of lines, and the others are shadowed."""
    config = {TARGET: "0.1", "kubernetes.operator." + TARGET: "0.2", OLD_TARGET: "0.3"}
    resolved = resolve([layer_of("file", dict(reversed(config.items())) if reverse else config)])
    assert [value for value, _ in stack(resolved, TARGET)] == ["0.1", "0.2", "0.3"]


def test_a_redacted_value_is_not_set() -> None:
    """What Flink hides shadows nothing."""
    resolved = resolve([layer_of("cluster", {TARGET: "0.6"}), layer_of("application", {TARGET: REDACTED})])
    assert stack(resolved, TARGET) == [("0.6", "cluster")]


def test_keys_of_flink_are_layered_too() -> None:
    """Keys that are no options, and families of options, are layered under the names they are written with."""
    family = "job.autoscaler.metrics.custom-evaluator.a.class"
    resolved = resolve(
        [
            layer_of("f", {"jobmanager.scheduler": "default", family: "x"}),
            layer_of("a", {"jobmanager.scheduler": "adaptive"}),
        ]
    )
    assert stack(resolved, "jobmanager.scheduler") == [("adaptive", "a"), ("default", "f")]
    assert resolved.settings["jobmanager.scheduler"].key is None
    assert resolved.settings[family].key is None


def test_the_grace_period_depends_on_the_profile() -> None:
    """In apache the grace period of a later layer shadows the scale-down interval; in emr it does not."""
    grace, interval = "job.autoscaler.scale-up.grace-period", "job.autoscaler.scale-down.interval"
    layers = [layer_of("a", {interval: "1 h"}), layer_of("b", {grace: "2 h"})]
    assert resolve(layers, "apache").flat() == {grace: "2 h"}
    assert resolve(layers, "emr").flat() == {grace: "2 h", interval: "1 h"}


@pytest.mark.parametrize("profile", PROFILES)
def test_the_defaults_as_a_layer_change_nothing(profile: str) -> None:
    """A profile's own layer gives the policy of an empty configuration, and no problem."""
    resolved = resolve([profile_layer(profile)], profile)
    assert policy(resolved.flat(), profile) == policy({}, profile)
    assert check(resolved) == ()


def test_what_somebody_chose() -> None:
    """A default is nobody's choice, a value in any other layer is somebody's."""
    resolved = resolve([profile_layer(EMR), layer_of("file", {OLD_TARGET: "0.7"})])
    chosen = resolved.chosen("utilization.target")
    assert chosen is not None
    assert chosen.spelling == OLD_TARGET
    assert resolved.chosen("metrics.window") is None
    assert resolved.chosen("quota.cpu") is None


def test_an_error_is_described_with_its_place() -> None:
    """The error of a bad value can be told with the file and line it stands in."""
    resolved = resolve([Layer(name="cluster", entries={TARGET: Entry(value="high", source="flink-conf.yaml:9")})])
    with pytest.raises(OptionError) as caught:
        policy(resolved.flat())
    assert resolved.describe(caught.value) == (
        f"{TARGET} is 'high' in flink-conf.yaml:9, which cannot be read: write a number such as 0.7"
    )
    elsewhere = OptionError("other", "x", "somewhere", "write y")
    assert resolved.describe(elsewhere) == elsewhere.message


def test_no_layers_set_nothing() -> None:
    """Without any layer nothing is set, and the policy is the default one."""
    assert policy(resolve([]).flat()) == Policy()

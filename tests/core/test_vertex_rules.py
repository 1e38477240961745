"""What rules for single vertices change, on a source and what it feeds."""

from __future__ import annotations

import math
from typing import Any

import pytest

from autoscaler.core.vertex_rules import leaders, policy_of
from autoscaler.model import (
    BusyTimeAggregator,
    Cluster,
    Decision,
    Event,
    EventKind,
    History,
    Limit,
    Reason,
    Vertex,
    VertexRule,
)
from tests.core.builders import HOUR, NOW, Values, a_decision, a_delay, a_policy, a_scaling, a_vertex, a_window

# The default source reads 1,000 records/s with 4 subtasks. At a load of L it needs 4 * L / 0.5 of them.
TOO_BUSY: Values = {"load": 0.8}  # factor 1.6: 7
TOO_IDLE: Values = {"load": 0.25}  # factor 0.5: 2
A_FOLLOWER = {"b": VertexRule(keep_equal_to="a")}


def ruled(values: Values, rule: VertexRule, **policy: Any) -> Decision:
    """Return the decision on one source with these values and this rule."""
    return a_decision(a_window(a_vertex(), values={"a": values}), vertex_rules={"a": rule}, **policy)


@pytest.mark.parametrize(
    ("values", "rule", "policy", "parallelism", "limits"),
    [
        pytest.param(TOO_BUSY, VertexRule(), {}, 7, (), id="nothing-said"),
        pytest.param(TOO_BUSY, VertexRule(max_parallelism=5), {}, 5, (Limit.MAX_PARALLELISM,), id="max"),
        pytest.param(
            TOO_BUSY,
            VertexRule(max_parallelism=6),
            {"max_parallelism": 5},
            6,
            (Limit.MAX_PARALLELISM,),
            id="higher-max",
        ),
        pytest.param(TOO_BUSY, VertexRule(max_parallelism=2), {}, 4, (Limit.MAX_PARALLELISM,), id="above-max-already"),
        pytest.param(TOO_IDLE, VertexRule(min_parallelism=3), {}, 3, (Limit.MIN_PARALLELISM,), id="min"),
        pytest.param(TOO_IDLE, VertexRule(min_parallelism=1), {"min_parallelism": 3}, 2, (), id="lower-min"),
        pytest.param(TOO_BUSY, VertexRule(excluded=True), {}, 4, (Limit.EXCLUDED,), id="excluded"),
        pytest.param(TOO_BUSY, VertexRule(excluded=False), {"excluded_vertices": frozenset("a")}, 7, (), id="included"),
        pytest.param({}, VertexRule(utilization=0.25), {}, 8, (), id="utilization"),
        pytest.param(TOO_BUSY, VertexRule(utilization=0.8), {}, 4, (), id="utilization-as-it-is"),
    ],
)
def test_limits_of_a_vertex(
    values: Values, rule: VertexRule, policy: dict[str, Any], parallelism: int, limits: tuple[Limit, ...]
) -> None:
    """What a rule says of a vertex takes the place of what the job's options say."""
    found = ruled(values, rule, **policy)
    assert (found.parallelism["a"], found.sizings["a"].limits) == (parallelism, limits)


def test_rules_of_one_vertex_leave_the_others_alone() -> None:
    """A rule holds for its vertex only."""
    window = a_window(a_vertex(), a_vertex("b", "a"), values={"a": TOO_BUSY, "b": TOO_BUSY})
    found = a_decision(window, vertex_rules={"b": VertexRule(max_parallelism=5)})
    assert found.parallelism == {"a": 7, "b": 5}


def test_thresholds_move_with_the_utilization() -> None:
    """A vertex with a utilization of its own is left alone as far from it as the others from theirs."""
    own = policy_of(
        a_vertex(),
        a_policy(utilization_max=0.75, utilization_min=0.25, vertex_rules={"a": VertexRule(utilization=0.625)}),
    )
    assert (own.utilization_target, own.utilization_max, own.utilization_min) == (0.625, 0.875, 0.375)
    evaluation = ruled({}, VertexRule(utilization=0.8)).evaluations["a"]
    assert (evaluation.scale_up_threshold, evaluation.scale_down_threshold) == (1111.0, 1429.0)


def test_without_a_rule_the_policy_is_the_jobs() -> None:
    """Where no rule is about a vertex nothing is computed for it."""
    policy = a_policy(vertex_rules=A_FOLLOWER)
    assert policy_of(a_vertex(), policy) is policy


def test_saturation_is_judged_by_the_own_utilization() -> None:
    """What is too busy to be shrunk follows the vertex's own utilization."""
    values: Values = {"load": 0.8, "records_in": [each * 60.0 for each in range(6)], "records_in_per_s": 1e4}
    for utilization, limits in ((0.6, (Limit.MAX_FACTOR, Limit.SATURATED)), (0.9, (Limit.MAX_FACTOR,))):
        found = ruled(values, VertexRule(utilization=utilization), extras=True)
        assert found.sizings["a"].limits == limits


def following(
    leader: Values, follower: Values, *vertices: Vertex, rule: VertexRule = A_FOLLOWER["b"], **changes: Any
) -> Decision:
    """Return the decision on two sources, the second of which follows the first."""
    window = a_window(*(vertices or (a_vertex(), a_vertex("b"))), values={"a": leader, "b": follower})
    return a_decision(window, vertex_rules={"b": rule}, **changes)


@pytest.mark.parametrize(
    ("leader", "follower", "current", "rule", "parallelism", "limits"),
    [
        pytest.param(TOO_BUSY, TOO_IDLE, 4, {}, 7, (Limit.KEPT_EQUAL,), id="up"),
        pytest.param(TOO_IDLE, TOO_BUSY, 4, {}, 2, (Limit.KEPT_EQUAL,), id="down"),
        pytest.param(TOO_BUSY, {}, 4, {"max_parallelism": 6}, 6, (Limit.KEPT_EQUAL, Limit.MAX_PARALLELISM), id="max"),
        pytest.param(TOO_BUSY, {}, 9, {"max_parallelism": 6}, 7, (Limit.KEPT_EQUAL,), id="above-max-already"),
        pytest.param(TOO_IDLE, {}, 4, {"min_parallelism": 3}, 3, (Limit.KEPT_EQUAL, Limit.MIN_PARALLELISM), id="min"),
        pytest.param(TOO_BUSY, TOO_BUSY, 4, {"excluded": True}, 4, (Limit.EXCLUDED,), id="excluded"),
        pytest.param(TOO_BUSY, {"load": None}, 4, {}, 7, (Limit.KEPT_EQUAL,), id="no-busy-time"),
        pytest.param(TOO_BUSY, {}, 1000, {}, 7, (Limit.KEPT_EQUAL,), id="beyond-the-factors"),
    ],
)
def test_a_follower_gets_what_its_leader_gets(
    leader: Values, follower: Values, current: int, rule: dict[str, Any], parallelism: int, limits: tuple[Limit, ...]
) -> None:
    """A vertex kept equal to another gets its parallelism within its own bounds, whatever its own rates."""
    pair = (a_vertex(), a_vertex("b", parallelism=current, max_parallelism=1000, source_partitions=64))
    found = following(leader, follower, *pair, rule=VertexRule(keep_equal_to="a", **rule))
    assert (found.reason, found.parallelism["b"], found.sizings["b"].limits) == (Reason.SCALE, parallelism, limits)


def test_a_finished_follower_stays() -> None:
    """What has finished is never changed."""
    found = following(TOO_BUSY, {}, a_vertex(), a_vertex("b", finished=True))
    assert (found.parallelism, found.sizings["b"].limits) == ({"a": 7, "b": 4}, (Limit.FINISHED,))


@pytest.mark.parametrize(
    ("follower", "current", "reason"),
    [
        pytest.param({}, 3, Reason.STEADY, id="inside-its-bounds"),
        pytest.param(TOO_BUSY, 3, Reason.SCALE, id="too-slow"),
        pytest.param(TOO_BUSY, 4, Reason.STEADY, id="equal-already"),
    ],
)
def test_being_unequal_is_no_reason_to_restart(follower: Values, current: int, reason: Reason) -> None:
    """A follower unlike its steady leader waits for the next rescale, unless its own rate is out of bounds."""
    found = following({}, follower, a_vertex(), a_vertex("b", parallelism=current))
    assert (found.reason, found.sizings["b"].parallelism) == (reason, 4)


def test_a_leader_held_back_gives_its_follower_no_reason() -> None:
    """A leader whose change is blocked does not change, so its follower has no reason to restart the job."""
    found = following(TOO_IDLE, {}, a_vertex(), a_vertex("b", parallelism=3), scale_down_interval=HOUR)
    assert (found.reason, found.sizings["b"].outside_bounds) == (Reason.STEADY, False)


def test_a_follower_tells_and_remembers_nothing() -> None:
    """What is held back for a follower is forgotten, and its past scalings are not judged."""
    window = a_window(a_vertex(), a_vertex("b"), values={"b": TOO_BUSY})
    history = History(
        scalings={"b": (a_scaling(tpr=1200.0, expected_rate=2400.0),)}, delayed={"b": a_delay((NOW - 1, 2, True))}
    )
    found = a_decision(window, history, vertex_rules=A_FOLLOWER, scale_down_interval=HOUR)
    assert (found.events, found.delayed, found.sizings["b"].expected_rate) == ((), {}, None)


def test_the_expected_rate_of_a_follower() -> None:
    """What a follower's change brings is told if its rate is known."""
    assert following(TOO_BUSY, {}).sizings["b"].expected_rate == 3500.0
    unknown = following(
        {"accumulated_busy_ms": [each * 60_000.0 * 4 * 0.8 for each in range(6)]},
        {"accumulated_busy_ms": None},
        busy_time_aggregator=BusyTimeAggregator.AVG,
    )
    assert (unknown.parallelism["b"], unknown.sizings["b"].expected_rate) == (7, None)


def test_a_doubtful_follower_does_not_shrink() -> None:
    """With extras a follower is protected like any other vertex."""
    backwards = {"records_in": [9e9, *(each * 60_000.0 for each in range(1, 6))], "load": 0.5, "records_in_per_s": 1e3}
    found = following(TOO_IDLE, backwards, extras=True)
    assert (found.parallelism, found.sizings["b"].limits) == ({"a": 2, "b": 4}, (Limit.KEPT_EQUAL, Limit.DOUBTFUL))


def test_a_quota_cuts_a_follower_of_unknown_rate() -> None:
    """Also growth whose effect is unknown stays within the quota."""
    found = following(
        {"accumulated_busy_ms": [each * 60_000.0 * 4 * 0.8 for each in range(6)]},
        {"accumulated_busy_ms": None},
        extras=True,
        busy_time_aggregator=BusyTimeAggregator.AVG,
        quota_cpu=5.0,
        cluster=Cluster(task_manager_cpu=1.0),
    )
    assert found.parallelism == {"a": 5, "b": 5}
    assert found.sizings["b"].limits == (Limit.KEPT_EQUAL, Limit.QUOTA)
    assert Event(kind=EventKind.RESOURCE_QUOTA_REACHED) in found.events


@pytest.mark.parametrize(
    ("rules", "expected"),
    [
        pytest.param({}, [], id="none"),
        pytest.param({"c": "b", "b": "a"}, [("b", "a"), ("c", "b")], id="chain"),
        pytest.param({"b": "a", "a": "b", "c": "b"}, [], id="circle"),
        pytest.param({"b": "b"}, [], id="itself"),
        pytest.param({"b": "gone", "gone": "a"}, [], id="unknown"),
        pytest.param({"b": "a", "c": "a"}, [("b", "a"), ("c", "a")], id="two"),
    ],
)
def test_who_follows_whom(rules: dict[str, str], expected: list[tuple[str, str]]) -> None:
    """Followers come after those they follow; circles and vertices that are not there are left out."""
    vertices = {each: a_vertex(each) for each in "abc"}
    said = {follower: VertexRule(keep_equal_to=leader) for follower, leader in rules.items()}
    assert list(leaders(vertices, a_policy(vertex_rules=said)).items()) == expected


def test_followers_in_a_circle_are_sized_by_themselves() -> None:
    """A rule that cannot be kept changes nothing."""
    window = a_window(a_vertex(), a_vertex("b"), values={"a": TOO_BUSY, "b": TOO_IDLE})
    rules = {"a": VertexRule(keep_equal_to="b"), "b": VertexRule(keep_equal_to="a")}
    assert a_decision(window, vertex_rules=rules).parallelism == a_decision(window).parallelism == {"a": 7, "b": 2}


def test_the_order_of_vertices_stays() -> None:
    """A follower before its leader in the topology stays there in the decision."""
    window = a_window(a_vertex(), a_vertex("b"), values={"b": TOO_BUSY})
    found = a_decision(window, vertex_rules={"a": VertexRule(keep_equal_to="b")})
    assert list(found.sizings) == ["a", "b"]
    assert found.parallelism == {"a": 7, "b": 7}
    assert math.isclose(found.sizings["a"].expected_rate or 0.0, 3500.0)

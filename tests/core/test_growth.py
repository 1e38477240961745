"""What is not grown although the model would: on doubt alone, and where more subtasks do not help."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import pytest
from msgspec import structs

from autoscaler.model import (
    Alignment,
    BusyTimeAggregator,
    Decision,
    History,
    Limit,
    Reason,
    Scaling,
    VertexRule,
    Window,
)
from tests.core.builders import MINUTE, NOW, a_decision, a_scaling, a_vertex, a_window, counter

BUSY = {"load": 1.0, "accumulated_busy_ms": counter(4_000)}
GROWING = {"lag": [60_000.0 * 400 * n / 1_000 for n in range(6)]}
# It grew from 2 to 4 for 2,000 records/s and still does the 1,000 it did.
IN_VAIN = a_scaling(at=NOW - 20 * MINUTE, tpr=1_000.0, expected_rate=2_000.0)


def decided(window: Window, *scaled: str, **policy: Any) -> Decision:
    history = History(scalings=dict.fromkeys(scaled, (IN_VAIN,)))
    return a_decision(window, history, extras=True, scale_up_grace_period=0, **policy)


def limits(decision: Decision) -> dict[str, tuple[Limit, ...]]:
    return {vertex: sizing.limits for vertex, sizing in decision.sizings.items() if sizing.limits}


# ------------------------------------------------------------------ doubt


@pytest.mark.parametrize(
    ("lag", "grown"),
    [
        ([0.0] * 6, False),
        ([None] * 6, False),
        (GROWING["lag"], True),
        ([900_000.0] * 6, True),
    ],
    ids=["no lag", "unknown lag", "growing lag", "backlog"],
)
def test_doubtful_numbers_are_followed_upwards_only_with_lag(lag: Sequence[float | None], grown: bool) -> None:
    """Counters that are incomplete are no reason to grow by themselves."""
    window = a_window(values={"a": {**BUSY, "lag": lag}}, doubts=["counters incomplete"])
    decision = decided(window)
    assert (decision.reason is Reason.SCALE) is grown
    assert (limits(decision).get("a") == (Limit.DOUBTFUL,)) is not grown


def test_lag_vouches_for_all_it_feeds_and_for_nothing_else() -> None:
    """Of two doubtful branches only the one with lag is grown."""
    vertices = (a_vertex("a"), a_vertex("b"), a_vertex("c", "a"), a_vertex("d", "b"))
    values = {each: dict(BUSY) for each in "abcd"}
    values["a"] |= GROWING
    decision = decided(a_window(*vertices, values=values, doubts=["x"]))
    grown = {vertex for vertex, parallelism in decision.parallelism.items() if parallelism > 4}
    assert grown == {"a", "c"}


def test_a_counter_that_ran_backwards_limits_only_what_it_feeds() -> None:
    """Vertices whose numbers are sound grow as the model has it."""
    values = {each: dict(BUSY) for each in "ab"}
    values["b"]["records_out"] = [9.0, 8.0, 7.0, 6.0, 5.0, 4.0]
    decision = decided(a_window(a_vertex("a"), a_vertex("b"), values=values))
    assert decision.parallelism["a"] > 4
    assert limits(decision) == {"b": (Limit.DOUBTFUL,)}


# ------------------------------------------------------------------ bottlenecks


def chain(strategy: str = "REBALANCE", partitions: int | None = None, **values: Any) -> Window:
    """A source ``a`` that feeds ``b`` that feeds ``c``, all busy."""
    vertices = (a_vertex("a", source_partitions=partitions), a_vertex("b", "a", strategy=strategy), a_vertex("c", "b"))
    return a_window(*vertices, values={each: {**BUSY, **values.get(each, {})} for each in "abc"})


@pytest.mark.parametrize("partitions", [None, 12])
def test_a_sink_that_did_not_gain_is_the_limit_of_its_path(partitions: int | None) -> None:
    """The sink is named, and nothing before it is grown for a rate it will not take, whatever partitions there are."""
    decision = decided(chain(partitions=partitions), "c")
    assert decision.reason is Reason.STEADY
    assert {vertex: each[-1] for vertex, each in limits(decision).items()} == {
        "a": Limit.BOTTLENECK,
        "b": Limit.BOTTLENECK,
        "c": Limit.SINK_LIMITED,
    }


@pytest.mark.parametrize(
    ("window", "scaled", "history"),
    [
        (chain(), (), {}),
        (chain(), ("b",), {}),
        (chain(c={"load": 0.5}), ("c",), {"tpr": 2_000.0, "expected_rate": 4_000.0}),
        (chain(), ("c",), {"tpr": None}),
        (chain(), ("c",), {"expected_rate": None}),
        (chain(), ("c",), {"tpr": 500.0}),
    ],
    ids=["never grown", "no sink", "not at its limit", "rate unknown", "expectation unknown", "it gained"],
)
def test_what_is_no_bottleneck(window: Window, scaled: tuple[str, ...], history: dict[str, Any]) -> None:
    """Without proof that a growth was in vain the path grows."""
    past = History(scalings={each: (structs.replace(IN_VAIN, **history),) for each in scaled})
    decision = a_decision(window, past, extras=True, scale_up_grace_period=0)
    assert not {Limit.SINK_LIMITED, Limit.HOT_KEY, Limit.BOTTLENECK} & {
        limit for each in decision.sizings.values() for limit in each.limits
    }
    assert decision.parallelism["a"] > 4


# From 1 to 2 it gained as little.
IN_VAIN_BEFORE = structs.replace(IN_VAIN, at=NOW - 40 * MINUTE, from_parallelism=1, to_parallelism=2)


@pytest.mark.parametrize(
    ("before", "held"),
    [
        (IN_VAIN_BEFORE, True),
        (None, False),
        (structs.replace(IN_VAIN_BEFORE, tpr=500.0, expected_rate=1_000.0), False),
        (structs.replace(IN_VAIN_BEFORE, to_parallelism=3), False),
        (structs.replace(IN_VAIN_BEFORE, tpr=None), False),
        (structs.replace(IN_VAIN_BEFORE, expected_rate=None), False),
    ],
    ids=["twice in vain", "once", "it gained before", "somebody else shrank it", "rate unknown", "not expected"],
)
def test_a_vertex_in_the_middle_that_did_not_gain_twice_is_the_limit_of_its_job(
    before: Scaling | None, held: bool
) -> None:
    """What waits for something outside of Flink is not grown to its largest parallelism step by step, nor what it feeds
    for records that will not come."""
    window = chain(a=GROWING, c={"load": 0.9})
    undone = structs.replace(IN_VAIN, at=NOW - 30 * MINUTE, to_parallelism=8)
    past = History(scalings={"b": tuple(each for each in (before, undone, IN_VAIN) if each is not None)})
    decision = a_decision(window, past, extras=True, scale_up_grace_period=0)
    assert (decision.parallelism["b"] == 4) is held
    if held:
        last = {vertex: each[-1] for vertex, each in limits(decision).items()}
        assert last == {"a": Limit.BOTTLENECK, "b": Limit.INEFFECTIVE, "c": Limit.BOTTLENECK}
        assert decision.parallelism["a"] == 4


def test_a_hot_key_is_named() -> None:
    """One busy subtask among idle ones that gained nothing by more of them: neither it nor its input is grown."""
    skewed = {"accumulated_busy_ms": counter(1_600)}
    decision = decided(chain("HASH", b=skewed), "b")
    assert limits(decision)["b"][-1] is Limit.HOT_KEY
    assert decision.sizings["a"].limits == (Limit.BOTTLENECK,)
    assert decision.parallelism["c"] > 4


@pytest.mark.parametrize(
    ("window", "policy"),
    [
        (chain("HASH"), {}),
        (chain("HASH", b={"accumulated_busy_ms": None}), {}),
        (chain("REBALANCE", b={"accumulated_busy_ms": counter(1_600)}), {}),
        (
            chain("HASH", b={"accumulated_busy_ms": counter(1_600)}),
            {"busy_time_aggregator": BusyTimeAggregator.MIN},
        ),
    ],
    ids=["all are busy", "unknown", "no keys", "the busiest is not measured"],
)
def test_what_is_no_hot_key(window: Window, policy: dict[str, Any]) -> None:
    """Skew is told only where it is seen."""
    decision = decided(window, "b", **policy)
    assert Limit.HOT_KEY not in decision.sizings["b"].limits


def test_one_subtask_has_no_skew() -> None:
    """A single subtask has all the keys there are."""
    vertices = (a_vertex("a"), a_vertex("b", "a", strategy="HASH", parallelism=1), a_vertex("c", "b"))
    window = a_window(*vertices, values={"b": {"load": 1.0, "accumulated_busy_ms": counter(100)}})
    history = History(scalings={"b": (structs.replace(IN_VAIN, from_parallelism=0, to_parallelism=1),)})
    decision = a_decision(window, history, extras=True, scale_up_grace_period=0)
    assert Limit.HOT_KEY not in decision.sizings["b"].limits


def test_a_source_is_not_grown_beyond_its_partitions() -> None:
    """Each reads one at least; the rest of its wish is told."""
    window = a_window(a_vertex("a", source_partitions=5), values={"a": BUSY})
    decision = decided(window)
    assert decision.parallelism == {"a": 5}
    assert decision.sizings["a"].limits[-1] is Limit.PARTITION_LIMITED
    assert decision.sizings["a"].expected_rate == 1_250.0


def test_what_only_full_sources_feed_is_not_grown() -> None:
    """A source with a subtask for each partition, at its limit, hands on no more; another source might."""
    full, free = a_vertex("a", source_partitions=4), a_vertex("x")
    values = {each: dict(BUSY) for each in "abx"}
    alone = decided(a_window(full, a_vertex("b", "a"), values=values))
    assert limits(alone) == {"a": (Limit.PARTITION_LIMITED,), "b": (Limit.BOTTLENECK,)}
    both = values | {"b": BUSY | {"records_in": counter(2_000)}}
    joined = decided(a_window(full, free, a_vertex("b", "a", "x"), values=both))
    assert joined.parallelism["b"] > 4
    idle = decided(a_window(full, a_vertex("b", "a"), values=values | {"a": {}}))
    assert idle.parallelism["b"] > 4


def test_a_follower_is_not_grown_either() -> None:
    """A vertex kept equal to another stays below its own ceiling."""
    rules = {"c": VertexRule(keep_equal_to="a")}
    vertices = (a_vertex("a"), a_vertex("b"), a_vertex("c", "b"))
    window = a_window(*vertices, values={each: dict(BUSY) for each in "abc"})
    decision = decided(window, "c", vertex_rules=rules)
    assert decision.parallelism["a"] > 4
    assert decision.parallelism["c"] == 4
    assert decision.sizings["c"].limits[-1] is Limit.SINK_LIMITED


# ------------------------------------------------------------------ rates that cannot come

# 1,000 records/s are read, 1,400/s arrive and some wait.
BEHIND = GROWING


def test_nothing_is_grown_for_a_rate_a_full_vertex_holds_back() -> None:
    """A vertex at its largest parallelism sets the pace: the rest is sized for what it lets through, not for lag."""
    vertices = (a_vertex("a"), a_vertex("b", "a", max_parallelism=4), a_vertex("c", "b"))
    values = {"a": {"load": 0.4, **BEHIND}, "b": {"load": 1.0}, "c": {"load": 0.8}}
    decision = decided(a_window(*vertices, values=values))
    assert decision.parallelism == {"a": 4, "b": 4, "c": 7}, "1,000/s at 312/s for each, half busy"
    assert limits(decision)["a"] == limits(decision)["c"] == (Limit.BOTTLENECK,)
    free = decided(a_window(vertices[0], a_vertex("b", "a"), vertices[2], values=values))
    assert min(free.parallelism[each] for each in "bc") > 7


def test_a_source_out_of_partitions_sets_the_pace() -> None:
    """So it does below its upper utilization, and however long the backlog is: no growth brings more of it."""
    vertices = (a_vertex("a", source_partitions=4), a_vertex("b", "a"))
    values: dict[str, Any] = {"a": {"load": 0.95, "lag": [9e7 + 6e4 * n for n in range(6)]}, "b": {"load": 0.45}}
    decision = decided(a_window(*vertices, values=values))
    assert decision.reason is Reason.STEADY
    assert {vertex: told[-1] for vertex, told in limits(decision).items()} == {
        "a": Limit.PARTITION_LIMITED,
        "b": Limit.BOTTLENECK,
    }


@pytest.mark.parametrize(("excluded", "grown"), [(True, False), (False, True)])
def test_a_vertex_that_is_left_alone_sets_the_pace(excluded: bool, grown: bool) -> None:
    """What an operator keeps as it is will not do more either."""
    values = {"a": {"load": 0.45, **BEHIND}, "b": {"load": 1.0}}
    window = a_window(a_vertex("a"), a_vertex("b", "a"), values=values)
    decision = decided(window, vertex_rules={"b": VertexRule(excluded=excluded)})
    assert (decision.parallelism["a"] > 4) is grown


def test_the_tightest_limit_leaves_the_rest_to_the_others() -> None:
    """What a source cannot send is no reason to hold another one that shares a vertex with it."""
    slow, free = a_vertex("a", max_parallelism=4), a_vertex("x")
    shared = a_vertex("b", "a", "x", max_parallelism=8)
    values: dict[str, Any] = {
        "a": {"load": 1.0, "lag": [6e5 * n for n in range(6)]},
        "x": {"load": 1.0},
        "b": {"load": 0.9, "records_in": counter(2_000)},
    }
    decision = decided(a_window(slow, free, shared, values=values))
    assert decision.parallelism == {"a": 4, "x": 8, "b": 8}, "the 2,000/s that come need 8 subtasks at half their time"
    assert "x" not in limits(decision)


def test_of_two_limits_the_second_counts_what_the_first_lets_through() -> None:
    """Each source is held by the tighter of the limits before it."""
    vertices = (
        a_vertex("a", max_parallelism=4),
        a_vertex("x"),
        a_vertex("b", "a", "x", max_parallelism=4),
        a_vertex("c", "x"),
    )
    values: dict[str, Any] = {
        "a": {"load": 1.0, "lag": [3e5 * n for n in range(6)]},
        "x": {"load": 0.4, **BEHIND},
        "b": {"load": 1.0, "records_in": counter(2_000)},
        "c": {"load": 0.4},
    }
    decision = decided(a_window(*vertices, values=values))
    assert decision.parallelism == dict.fromkeys("axbc", 4)


def test_what_a_limit_lets_through_is_aligned() -> None:
    """Key groups spread evenly over what is granted, as they do over what is asked for."""
    vertices = (a_vertex("a", max_parallelism=4), a_vertex("b", "a", strategy="HASH"))
    values = {"a": {"load": 1.0, **BEHIND}, "b": {"load": 0.8}}
    evenly = decided(a_window(*vertices, values=values), alignment=Alignment.EVENLY_SPREAD)
    assert evenly.parallelism["b"] == 8


@pytest.mark.parametrize(
    ("values", "policy"),
    [
        ({"a": {"lag": [0.0] * 5 + [math.inf]}}, {}),
        ({"b": {"records_in": None, "records_in_per_s": None}}, {}),
        ({"b": {"load": 1.0}}, {"utilization_target": 0.0}),
    ],
    ids=["endless", "unknown", "no target"],
)
def test_where_rates_are_not_known_nothing_is_held_back(values: Any, policy: dict[str, Any]) -> None:
    """Only numbers that can be compared limit anybody."""
    vertices = (a_vertex("a", max_parallelism=4), a_vertex("b", "a"))
    window = a_window(*vertices, values={"a": {"load": 1.0, **BEHIND} | values.get("a", {}), "b": values.get("b", {})})
    assert Limit.BOTTLENECK not in decided(window, **policy).sizings["b"].limits


# ------------------------------------------------------------------ lag keeps from shrinking


def test_nothing_behind_a_growing_lag_is_shrunk() -> None:
    """Whatever limits the job, less will not help; what other sources feed may shrink."""
    vertices = (a_vertex("a"), a_vertex("b"), a_vertex("c", "a"), a_vertex("d", "b"))
    idle = {"load": 0.05, "accumulated_busy_ms": counter(50)}
    values = {"a": {"load": 0.9} | GROWING, "b": {"load": 0.5}, "c": idle, "d": idle}
    decision = decided(a_window(*vertices, values=values))
    assert decision.parallelism["d"] < 4
    assert decision.parallelism["c"] == 4
    assert decision.sizings["c"].limits[-1] is Limit.LAG_GROWS


def test_without_extras_growth_is_the_references() -> None:
    """Ceilings are an extra: the reference grows sources beyond their partitions."""
    window = a_window(a_vertex("a", source_partitions=5), values={"a": BUSY}, doubts=["x"])
    assert a_decision(window).parallelism["a"] > 5

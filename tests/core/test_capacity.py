"""What of a wish is granted: by tables, and by promises that hold for every job and every cluster."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from autoscaler.core.alignment import align_down
from autoscaler.core.capacity import (
    Demand,
    Refusals,
    applied,
    is_shrinking,
    is_worth_a_restart,
    nodes_to_come,
    plan,
    slots_of,
    within_held,
)
from autoscaler.core.graph import inputs_of
from autoscaler.core.supply import room
from autoscaler.model import Alignment, Grant, Limit, Policy, Resource, Vertex
from tests.core.builders import HOUR, MINUTE, NOW, a_decision, a_vertex, a_window
from tests.core.strategies import few, topologies
from tests.core.test_supply import a_supply, mb

PLAIN = Policy(fill_task_managers=False, alignment=Alignment.OFF)
FILLING = replace(PLAIN, fill_task_managers=True, whole_scale_down=True)


def a_wish(target: Mapping[str, int], policy: Policy = PLAIN, **vertices: Any) -> Demand:
    """A chain of vertices in the order given, all at 2 unless said otherwise."""
    made: list[Vertex] = []
    for name in target:
        fed_by = [made[-1].id] if made else []
        made.append(a_vertex(name, *fed_by, **{"parallelism": 2} | vertices.get(name, {})))
    return Demand(vertices=tuple(made), target=target, policy=policy)


def granted(wish: Demand, beyond: int | None = 0, **supply: Any) -> Mapping[str, int]:
    return plan([wish], a_supply(**supply), beyond)[0].granted


# ------------------------------------------------------------------ slots


def test_slots_of_sharing_groups() -> None:
    """Each slot sharing group takes as many slots as its widest vertex; an unknown group counts as one."""
    vertices = [
        a_vertex("a", slot_sharing_group="x"),
        a_vertex("b", slot_sharing_group="x"),
        a_vertex("c", slot_sharing_group="y"),
        a_vertex("d"),
    ]
    assert slots_of(vertices, {"a": 3, "b": 5, "c": 2, "d": 1}) == 8


# ------------------------------------------------------------------ growing


def test_what_fits_is_granted() -> None:
    """A wish within what the cluster has room for is granted as it is, and said to need so many TaskManagers."""
    (grant,) = plan([a_wish({"a": 4, "b": 8})], a_supply(), 0)
    assert grant == Grant(wanted={"a": 4, "b": 8}, granted={"a": 4, "b": 8}, slots=8, task_managers=4, new=2)


def test_what_does_not_fit_is_cut_to_the_same_share() -> None:
    """Of 16 slots 8 are to be had: every vertex gets half of what it was to get, and the limit is named."""
    (grant,) = plan([a_wish({"a": 6, "b": 16, "c": 10})], a_supply(), 0)
    assert grant.granted == {"a": 3, "b": 8, "c": 5}
    assert grant.limited_by.startswith("nodes have room for 2 TaskManagers")
    assert (grant.slots, grant.task_managers, grant.new, grant.beyond) == (8, 4, 2, 0)


def test_a_vertex_that_is_large_enough_stays() -> None:
    """What already does its share of the load is not changed by a cut, what shrinks shrinks."""
    wish = a_wish({"a": 10, "b": 20, "c": 3}, a={"parallelism": 9}, c={"parallelism": 5})
    assert granted(wish, slots=10) == {"a": 9, "b": 14, "c": 3}


def test_groups_share_what_there_is() -> None:
    """Two groups are cut to the same share of their load, so that together they fit."""
    wish = a_wish({"a": 8, "b": 16}, a={"slot_sharing_group": "x"}, b={"slot_sharing_group": "y"})
    assert granted(wish, slots=8, free=(mb(768),) * 2) == {"a": 4, "b": 8}


def test_jobs_of_a_session_are_planned_together() -> None:
    """Two jobs that want more get the same share; one that wants nothing keeps what it has, and so do strangers."""
    wishes = [a_wish({"a": 8}), a_wish({"a": 4}), a_wish({"a": 2})]
    grants = plan(wishes, a_supply(slots=8, foreign=1), 0)
    assert [grant.granted["a"] for grant in grants] == [6, 3, 2]
    assert {grant.task_managers for grant in grants} == {6}


def test_slots_that_leave_are_not_counted_on() -> None:
    """A job on a draining node keeps what it has and gets no more than what stays has room for."""
    assert granted(a_wish({"a": 9}, a={"parallelism": 6}), slots=2, task_managers=3) == {"a": 6}
    (grant,) = plan([a_wish({"a": 9}, a={"parallelism": 6})], a_supply(slots=4, task_managers=3), 0)
    assert (grant.granted, grant.task_managers, grant.new) == ({"a": 8}, 4, 1)


def test_beyond_what_is_there() -> None:
    """Counted on nodes to come, a request says how many of its TaskManagers the cluster has no room for yet."""
    (grant,) = plan([a_wish({"a": 20})], a_supply(), None)
    assert (grant.granted, grant.new, grant.beyond, grant.limited_by) == ({"a": 20}, 8, 6, "")
    (grant,) = plan([a_wish({"a": 20})], a_supply(free=None), None)
    assert (grant.new, grant.beyond) == (8, 0)


@pytest.mark.parametrize(
    ("mode", "spread", "most", "expected"),
    [
        (Alignment.OFF, 128, 100, 100),
        (Alignment.BALANCED, 128, 100, 64),
        (Alignment.BALANCED, 7, 5, 4),
        (Alignment.BALANCED, 7, 9, 7),
        (Alignment.EVENLY_SPREAD, 128, 100, 64),
        (Alignment.EVENLY_SPREAD, 7, 5, 1),
        (Alignment.LEGACY_EVENLY_SPREAD, 12, 99, 12),
        (Alignment.LEGACY_MAXIMIZE_UTILISATION, 12, 5, 4),
    ],
)
def test_aligned_down(mode: Alignment, spread: int, most: int, expected: int) -> None:
    """Within a limit the least parallelism is taken whose busiest subtask has no more, or the largest even one."""
    vertex = a_vertex("a", source_partitions=spread, max_parallelism=128)
    assert align_down(vertex, most, mode) == expected


def test_nothing_to_align() -> None:
    """A vertex whose data does not spread by key or partition keeps its number."""
    assert align_down(a_vertex("a"), 5, Alignment.BALANCED) == 5


def test_a_cut_is_aligned_and_what_follows_gets_no_more() -> None:
    """Cut to 5 of 7 partitions a source gets 4, as fast as 5; the vertex it feeds is then sized for 4 of 7, too."""
    wish = a_wish({"a": 7, "b": 14}, replace(PLAIN, alignment=Alignment.BALANCED), a={"source_partitions": 7})
    assert granted(wish, slots=10, free=()) == {"a": 4, "b": 8}


def test_a_cut_that_alignment_undoes() -> None:
    """Where a few more subtasks would make the busiest no less busy, none are added."""
    wish = a_wish({"a": 16}, replace(PLAIN, alignment=Alignment.EVENLY_SPREAD), a={"source_partitions": 16})
    assert granted(wish, slots=3, free=()) == {"a": 2}


# ------------------------------------------------------------------ whole TaskManagers


def test_growth_fills_what_is_paid_for() -> None:
    """Of 4 slots per TaskManager 5 take two: what grows is raised in proportion, what does not change is not."""
    wish = a_wish({"a": 5, "b": 2, "c": 3}, FILLING)
    assert granted(wish, slots_per_task_manager=4) == {"a": 8, "b": 2, "c": 4}


@pytest.mark.parametrize(
    ("traits", "policy", "expected"),
    [
        ({"max_parallelism": 6}, FILLING, 6),
        ({"source_partitions": 5}, FILLING, 5),
        ({}, replace(FILLING, max_parallelism=7), 7),
        ({"source_partitions": 8}, replace(FILLING, alignment=Alignment.BALANCED), 8),
        ({"source_partitions": 7}, replace(FILLING, alignment=Alignment.BALANCED), 7),
        ({"source_partitions": 30}, replace(FILLING, alignment=Alignment.BALANCED), 8),
        ({"source_partitions": 10}, replace(FILLING, alignment=Alignment.BALANCED), 5),
        ({}, PLAIN, 5),
    ],
)
def test_filling_stays_within_bounds(traits: dict[str, Any], policy: Policy, expected: int) -> None:
    """Nothing is raised over its bounds or its partitions, or to where its data spreads no better."""
    assert granted(a_wish({"a": 5}, policy, a=traits), slots_per_task_manager=4) == {"a": expected}


def test_filling_never_goes_over_a_limit() -> None:
    """Slots that the cluster cannot give are not filled, though a TaskManager would have them."""
    assert granted(a_wish({"a": 5}, FILLING), slots=6, slots_per_task_manager=4, free=()) == {"a": 6}


@pytest.mark.parametrize(
    ("target", "others", "expected", "freed"),
    [
        (7, 0, 8, False),
        (5, 0, 8, False),
        (4, 0, 4, True),
        (3, 0, 3, True),
        (7, 1, 7, True),
        (5, 1, 5, True),
        (7, 3, 8, False),
    ],
)
def test_a_scale_down_frees_whole_task_managers(target: int, others: int, expected: int, freed: bool) -> None:
    """From 8 slots, 4 to a TaskManager: one that frees none is left out, another is not
    rounded up: what is left might be spread over all of them."""
    grant = within_held(a_wish({"a": target}, FILLING, a={"parallelism": 8}), others, 4)
    assert grant.granted == {"a": expected}
    assert ("free no TaskManager" not in grant.limited_by) is freed


def test_a_scale_down_as_wished() -> None:
    """With the switch off a scale-down is taken as it is, whatever it frees."""
    policy = replace(FILLING, whole_scale_down=False)
    assert within_held(a_wish({"a": 7}, policy, a={"parallelism": 8}), 0, 4).granted == {"a": 7}


def test_growth_within_what_is_held() -> None:
    """A vertex that may grow without another slot does; no slot is idle that it could fill."""
    wish = a_wish({"a": 6, "b": 8}, FILLING, a={"parallelism": 4}, b={"parallelism": 8})
    assert not is_shrinking(wish)
    assert within_held(wish, 0, 4).granted == {"a": 6, "b": 8}


# ------------------------------------------------------------------ allowance


@pytest.mark.parametrize(
    ("allowance", "refusals", "age", "expected"),
    [
        (3, Refusals(count=5, at=NOW), 0, 3),
        (None, Refusals(), 0, None),
        (None, Refusals(count=1, at=NOW), 30 * MINUTE - 1, 0),
        (None, Refusals(count=1, at=NOW), 30 * MINUTE, None),
        (None, Refusals(count=1, at=NOW), -30 * MINUTE, None),
        (None, Refusals(count=3, at=NOW), 2 * HOUR - 1, 0),
        (None, Refusals(count=3, at=NOW), 2 * HOUR, None),
        (None, Refusals(count=99, at=NOW), 6 * HOUR, None),
    ],
)
def test_nodes_to_come(allowance: int | None, refusals: Refusals, age: int, expected: int | None) -> None:
    """A number is what it is; `auto` asks for any, and after a refusal for none for 30 min, doubling to 6 h; not until
    a clock that was set back has caught up with it."""
    policy = Policy(capacity_allowance=allowance)
    assert nodes_to_come(policy, refusals, NOW + age) == expected


# ------------------------------------------------------------------ the decision


def test_a_decision_as_granted() -> None:
    """The decision's sizings tell what was cut, with the rate to expect of it, and its advice stays the wish."""
    decision = a_decision(a_window(values={"a": {"load": 1.0, "lag": 1e6}}))
    assert decision.parallelism == {"a": 8} or decision.rescale
    wanted = decision.parallelism["a"]
    cut = applied(decision, Grant(wanted={"a": wanted}, granted={"a": wanted - 1}, slots=1, task_managers=1))
    assert (cut.parallelism, cut.advised) == ({"a": wanted - 1}, {"a": wanted})
    assert cut.sizings["a"].limits[-1] is Limit.CAPACITY
    assert (cut.sizings["a"].expected_rate or 0) < (decision.sizings["a"].expected_rate or 0)
    raised = applied(decision, Grant(wanted={"a": wanted}, granted={"a": wanted + 1}, slots=1, task_managers=1))
    assert raised.sizings["a"].limits[-1] is Limit.TASK_MANAGER
    same = applied(decision, Grant(wanted={"a": wanted}, granted={"a": wanted}, slots=1, task_managers=1))
    assert same.sizings == decision.sizings
    kept = applied(decision, Grant(wanted={"a": wanted}, granted={"a": 4}, slots=1, task_managers=1))
    assert kept.sizings["a"].expected_rate is None
    assert [is_worth_a_restart(each) for each in (cut, raised, kept)] == [True, True, False]


# ------------------------------------------------------------------ promises


SIZES = st.builds(Resource, memory_mb=st.integers(0, 4000), vcores=st.integers(0, 8))


@st.composite
def wishes(draw: st.DrawFn) -> Demand:
    """Any job wanting anything, vertices within their maximum."""
    vertices = draw(topologies()).vertices
    policy = Policy(
        alignment=draw(st.sampled_from(Alignment)),
        fill_task_managers=draw(st.booleans()),
        whole_scale_down=draw(st.booleans()),
    )
    target = {vertex.id: draw(st.integers(1, vertex.max_parallelism)) for vertex in vertices}
    return Demand(vertices=vertices, target=target, policy=policy)


supplies = st.builds(
    a_supply,
    slots=st.integers(0, 300),
    slots_per_task_manager=st.integers(1, 8),
    free=st.lists(SIZES, max_size=4).map(tuple),
    foreign=st.integers(0, 5),
    in_flight=st.lists(SIZES, max_size=2).map(tuple),
    counts_vcores=st.booleans(),
)
jobs = st.lists(wishes(), min_size=1, max_size=3)


@few
@given(jobs, supplies, st.none() | st.integers(0, 3))
def test_supply_is_never_exceeded(wanted: list[Demand], supply: Any, beyond: int | None) -> None:
    """Together jobs get no more slots than there are or can be, except those they have already."""
    grants = plan(wanted, supply, beyond)
    more = room(supply, beyond).task_managers
    if more is None:
        return
    kept = sum(slots_of(w.vertices, {v.id: min(v.parallelism, w.target[v.id]) for v in w.vertices}) for w in wanted)
    limit = supply.slots + more * supply.slots_per_task_manager - supply.foreign
    assert sum(grant.slots for grant in grants) <= max(kept, limit)


@few
@given(jobs, supplies)
def test_nothing_shrinks_for_want_of_capacity(wanted: list[Demand], supply: Any) -> None:
    """A vertex that was to grow or to stay is never given less than it has."""
    for wish, grant in zip(wanted, plan(wanted, supply, 0), strict=True):
        for vertex in wish.vertices:
            assert grant.granted[vertex.id] >= min(vertex.parallelism, wish.target[vertex.id])
            assert grant.granted[vertex.id] <= vertex.max_parallelism


@few
@given(jobs, supplies, st.integers(1, 50), SIZES)
def test_more_supply_never_yields_less(wanted: list[Demand], supply: Any, slots: int, node: Resource) -> None:
    """With more slots or another node no vertex gets less."""
    richer = replace(supply, slots=supply.slots + slots, free=(*supply.free, node))
    for less, more in zip(plan(wanted, supply, 0), plan(wanted, richer, 0), strict=True):
        assert all(more.granted[vertex] >= less.granted[vertex] for vertex in less.granted)


@few
@given(jobs, supplies)
def test_the_same_again(wanted: list[Demand], supply: Any) -> None:
    """The same wishes and supply are always answered alike."""
    assert plan(wanted, supply, 0) == plan(wanted, supply, 0)


@few
@given(wishes(), supplies)
def test_no_vertex_outgrows_what_feeds_it(wish: Demand, supply: Any) -> None:
    """When growth is cut, a vertex gets at most the share of its wish that its best fed input got, rounded up."""
    (grant,) = plan([wish], supply, 0)
    if not grant.limited_by:
        return
    vertices = {vertex.id: vertex for vertex in wish.vertices}
    for vertex in wish.vertices:
        inputs = inputs_of(vertex)
        if not inputs or grant.granted[vertex.id] <= vertex.parallelism:
            continue
        fed = max(grant.granted[each] / wish.target[each] for each in inputs if each in vertices)
        assert grant.granted[vertex.id] - 1 < fed * wish.target[vertex.id] + 1e-9


@few
@given(wishes(), st.integers(0, 9), st.integers(1, 8))
def test_what_is_held_suffices(wish: Demand, others: int, each: int) -> None:
    """A wish within held slots never takes another TaskManager; where only whole ones count, a granted scale-down
    frees one."""
    if wish.slots > wish.slots_held:
        return
    grant = within_held(wish, others, each)
    held = -(-(wish.slots_held + others) // each)
    assert -(-(grant.slots + others) // each) <= held
    if wish.policy.whole_scale_down and is_shrinking(wish) and not grant.limited_by:
        assert grant.task_managers < held

"""What holds for every decision."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, TypeVar

from hypothesis import given
from hypothesis import strategies as st
from msgspec import structs

from autoscaler.core import decide
from autoscaler.core.graph import in_topological_order
from autoscaler.core.sizing import parallelism_bounds, wanted
from autoscaler.core.vertex_rules import is_excluded, policy_of
from autoscaler.model import (
    Alignment,
    Cluster,
    Decision,
    DelayedRequest,
    DelayedScaleDown,
    History,
    Policy,
    Reason,
    Topology,
    Window,
)
from tests.core.builders import NOW, Values, a_decision, a_policy, a_vertex, a_window, counter
from tests.core.strategies import ANY_NUMBER, CLUSTERS, few, histories, policies, windows

_Value = TypeVar("_Value")


@few
@given(windows(), histories(), policies(), CLUSTERS)
def test_same_input_same_answer(window: Window, history: History, policy: Policy, cluster: Cluster) -> None:
    """A decision depends on nothing but its arguments."""
    assert decide(window, history, policy, cluster, NOW) == decide(window, history, policy, cluster, NOW)


@few
@given(windows(), histories(), policies(), CLUSTERS, st.integers(-(10**11), 10**11))
def test_shifting_all_times_changes_nothing(
    window: Window, history: History, policy: Policy, cluster: Cluster, by: int
) -> None:
    """Without calendar rules only differences of time count."""
    before = decide(window, history, policy, cluster, NOW)
    moved = replace(
        window,
        running_since=window.running_since + by,
        samples=tuple(structs.replace(each, at=each.at + by) for each in window.samples),
    )
    remembered = History(
        scalings={
            vertex_id: tuple(structs.replace(each, at=each.at + by) for each in scalings)
            for vertex_id, scalings in history.scalings.items()
        },
        restarts=tuple(replace(each, at=each.at + by) for each in history.restarts),
        delayed={vertex_id: _moved(each, by) for vertex_id, each in history.delayed.items()},
        needs={v: tuple(replace(each, at=each.at + by) for each in needs) for v, needs in history.needs.items()},
    )
    after = decide(moved, remembered, policy, cluster, NOW + by)
    assert _timeless(after) == _timeless(before)
    assert after.delayed == {vertex_id: _moved(each, by) for vertex_id, each in before.delayed.items()}


def _backwards(mapping: Mapping[str, _Value]) -> dict[str, _Value]:
    return dict(reversed(list(mapping.items())))


def _moved(delayed: DelayedScaleDown, by: int) -> DelayedScaleDown:
    requests: list[DelayedRequest] = [structs.replace(each, at=each.at + by) for each in delayed.requests]
    return DelayedScaleDown(first=delayed.first + by, requests=tuple(requests))


def _timeless(decision: Decision) -> tuple[Any, ...]:
    return (
        decision.reason,
        decision.parallelism,
        decision.advised,
        decision.evaluations,
        decision.sizings,
        Counter(decision.events),
        decision.error,
    )


@few
@given(windows(), histories(), policies(observed_scalability=False), CLUSTERS, st.randoms())
def test_order_of_vertices_and_keys_is_irrelevant(
    window: Window, history: History, policy: Policy, cluster: Cluster, random: Any
) -> None:
    """Vertices may come in any topological order, and everything by id in any order."""
    vertices = list(window.topology.vertices)
    random.shuffle(vertices)
    shuffled = Window(
        topology=Topology(vertices=in_topological_order(vertices)),
        running_since=window.running_since,
        samples=tuple(structs.replace(each, vertices=_backwards(each.vertices)) for each in window.samples),
    )
    backwards = History(
        scalings=_backwards(history.scalings),
        restarts=history.restarts,
        delayed=_backwards(history.delayed),
        needs=_backwards(history.needs),
    )
    found = decide(shuffled, backwards, policy, cluster, NOW)
    expected = decide(window, history, policy, cluster, NOW)
    if expected.reason is Reason.ERROR:
        assert found.reason is Reason.ERROR
    else:
        assert (_timeless(found), found.delayed) == (_timeless(expected), expected.delayed)


@few
@given(windows(), histories(), policies(), CLUSTERS)
def test_a_change_is_within_the_factors(window: Window, history: History, policy: Policy, cluster: Cluster) -> None:
    """Before bounds, alignment and delay no vertex is asked to change by more than the factors."""
    for sizing in decide(window, history, policy, cluster, NOW).sizings.values():
        if sizing.wanted is not None and sizing.factor is not None:
            assert sizing.wanted >= math.floor((1 - policy.scale_down_max_factor) * sizing.current)
            assert sizing.wanted <= math.ceil((1 + policy.scale_up_max_factor) * sizing.current)


@few
@given(windows(), histories(), policies(), CLUSTERS)
def test_no_vertex_leaves_its_bounds_further(
    window: Window, history: History, policy: Policy, cluster: Cluster
) -> None:
    """A vertex inside its bounds stays inside; one outside never goes further out, but to where it once asked for."""
    found = decide(window, history, policy, cluster, NOW)
    for vertex in window.topology.vertices:
        lower, upper = parallelism_bounds(vertex, policy_of(vertex, policy))
        requested = (
            [each.parallelism for each in history.delayed[vertex.id].requests] if vertex.id in history.delayed else []
        )
        parallelism = found.parallelism[vertex.id]
        assert lower <= parallelism <= upper or (not policy.extras and parallelism in requested)


@few
@given(windows(), histories(), policies(), CLUSTERS)
def test_untouchable_vertices_are_never_touched(
    window: Window, history: History, policy: Policy, cluster: Cluster
) -> None:
    """An excluded or finished vertex keeps its parallelism whatever happens."""
    found = decide(window, history, policy, cluster, NOW)
    for vertex in window.topology.vertices:
        if vertex.finished or is_excluded(vertex, policy):
            assert found.parallelism[vertex.id] == found.advised[vertex.id] == vertex.parallelism


@few
@given(windows(), histories(), policies(extras=True), CLUSTERS)
def test_doubt_never_shrinks(window: Window, history: History, policy: Policy, cluster: Cluster) -> None:
    """With extras a window with any doubt leads to no scale-down of any vertex."""
    newest = structs.replace(window.samples[-1], doubts=("incomplete",))
    doubtful = replace(window, samples=(*window.samples[:-1], newest))
    found = decide(doubtful, history, policy, cluster, NOW)
    assert all(found.advised[each.id] >= each.parallelism for each in window.topology.vertices)


@few
@given(st.floats(0.01, 0.2), st.integers(10, 300), st.integers(0, 5))
def test_doubt_keeps_what_would_shrink(load: float, parallelism: int, where: int) -> None:
    """An idle vertex that would be shrunk stays as it is if any sample of its window has a doubt."""
    window = a_window(a_vertex(parallelism=parallelism), values={"a": {"load": load}})
    samples = list(window.samples)
    samples[where] = structs.replace(samples[where], doubts=("incomplete",))
    doubtful = replace(window, samples=tuple(samples))
    assert a_decision(window, extras=True).parallelism["a"] < parallelism
    assert a_decision(doubtful, extras=True).parallelism["a"] == parallelism


@few
@given(windows(), histories(), policies(extras=True), CLUSTERS)
def test_a_quota_is_never_exceeded_by_growth(
    window: Window, history: History, policy: Policy, cluster: Cluster
) -> None:
    """With extras the slots of a rescaled job fit the quota, or are no more than they were."""
    found = decide(window, history, policy, cluster, NOW)
    if not found.rescale or policy.quota_cpu is None or not cluster.task_manager_cpu:
        return
    before: Counter[str | None] = Counter()
    after: Counter[str | None] = Counter()
    for vertex in window.topology.vertices:
        group = vertex.slot_sharing_group
        before[group] = max(before[group], vertex.parallelism)
        after[group] = max(after[group], found.parallelism[vertex.id])
    task_managers = math.ceil(after.total() / cluster.slots_per_task_manager)
    fits = task_managers <= policy.quota_cpu / cluster.task_manager_cpu
    assert fits or after.total() <= before.total()


@few
@given(windows(ANY_NUMBER), histories(ANY_NUMBER), policies(), CLUSTERS, st.none() | st.floats(allow_nan=False))
def test_no_number_raises(
    window: Window, history: History, policy: Policy, cluster: Cluster, number: float | None
) -> None:
    """Whatever finite, infinite or absent numbers are measured, there is a decision, without NaN."""
    samples = (*window.samples[:-1], structs.replace(window.samples[-1], gc_pressure=number, heap_usage=number))
    found = decide(replace(window, samples=samples), history, policy, cluster, NOW)
    for evaluation in found.evaluations.values():
        for value in (evaluation.tpr, evaluation.target_rate, evaluation.load, evaluation.scale_up_threshold):
            assert value is None or not math.isnan(value)
    for sizing in found.sizings.values():
        for value in (sizing.factor, sizing.expected_rate):
            assert value is None or not math.isnan(value)


@given(st.floats(0.001, 1.0), st.floats(0.001, 1.0), st.floats(0.0, 1e6), st.floats(0.0, 1e6), st.integers(1, 60))
def test_more_load_never_yields_less(load: float, other: float, lag: float, more: float, parallelism: int) -> None:
    """A busier vertex, or one with more lag, is never sized smaller."""
    vertex = a_vertex(parallelism=parallelism, max_parallelism=1000)
    options: dict[str, Any] = {"alignment": Alignment.OFF, "max_parallelism": 1000}

    def sized(values: Values) -> int:
        return a_decision(a_window(vertex, values={"a": values}), **options).sizings["a"].parallelism

    low, high = sorted((load, other))
    assert sized({"load": low, "lag": lag}) <= sized({"load": high, "lag": lag})
    assert sized({"load": load, "lag": lag}) <= sized({"load": load, "lag": lag + more})


@given(st.floats(0.0, 1e3), st.floats(0.0, 1e3), st.integers(1, 1000))
def test_a_larger_factor_never_wants_less(factor: float, other: float, current: int) -> None:
    """The wish grows with the factor."""
    low, high = sorted((factor, other))
    assert wanted(low, current, a_policy()).parallelism <= wanted(high, current, a_policy()).parallelism


@given(
    st.lists(st.tuples(st.integers(0, 200), st.floats(0.05, 0.95), st.floats(0.0, 1.0)), min_size=1, max_size=4),
    st.floats(1e5, 1e7),
    st.floats(0.3, 0.8),
)
def test_an_applied_scale_up_leads_to_steady(chain: list[tuple[int, float, float]], rate: float, target: float) -> None:
    """Without lag and limits, and with linear capacity, one scale-up is enough."""
    options: dict[str, Any] = {
        "utilization_target": target,
        "alignment": Alignment.OFF,
        "max_parallelism": 30_000,
        "scale_up_max_factor": 1e6,
    }
    # Each vertex needs a whole number of subtasks and a part, and has enough of them to keep up, but not more.
    needed = [whole + part for whole, part, _ in chain]
    least = [max(1, math.ceil(each * target)) for each in needed]
    present = [
        low + int(share * (math.ceil(each) - low))
        for each, low, (_, _, share) in zip(needed, least, chain, strict=True)
    ]
    capacities = [rate / target / each for each in needed]
    first = _decided(rate, list(zip(capacities, present, strict=True)), options)
    applied = [first.parallelism[f"v{index}"] for index in range(len(chain))]
    assert all(after >= before for before, after in zip(present, applied, strict=True))
    if first.rescale:
        assert _decided(rate, list(zip(capacities, applied, strict=True)), options).reason is Reason.STEADY


def _decided(rate: float, chain: list[tuple[float, int]], options: dict[str, Any]) -> Decision:
    """Return the decision on a chain whose vertices process ``capacity`` records/s per subtask."""
    vertices = []
    values: dict[str, Values] = {}
    for index, (capacity, parallelism) in enumerate(chain):
        inputs = () if index == 0 else (f"v{index - 1}",)
        vertices.append(a_vertex(f"v{index}", *inputs, parallelism=parallelism, max_parallelism=32_768))
        values[f"v{index}"] = {"load": rate / (capacity * parallelism), "records_in": counter(rate)}
    return a_decision(a_window(*vertices, values=values), **options)

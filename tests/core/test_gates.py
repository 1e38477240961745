"""Whether a job is rescaled, and what is told of it."""

from __future__ import annotations

import math
from typing import Any

import pytest

from autoscaler.core import doubts
from autoscaler.core.protection import newest_counter_fell
from autoscaler.model import Cluster, Decision, Event, EventKind, History, Limit, Reason, Topology, Vertex
from tests.core.builders import (
    HOUR,
    MINUTE,
    NOW,
    Values,
    a_decision,
    a_delay,
    a_scaling,
    a_vertex,
    a_window,
    counter,
)

TOO_BUSY: Values = {"load": 0.8}  # 4 subtasks want to be 7
TOO_IDLE: Values = {"load": 0.25}  # 4 subtasks want to be 2
TOLD = (Event(kind=EventKind.SCALING_REPORT),)


def test_scale() -> None:
    """With nothing in the way the job is rescaled, all delays are forgotten, and it is told."""
    chain = (a_vertex("a"), a_vertex("b", "a"), a_vertex("c", "b"))
    delayed = {"b": a_delay((NOW - 1, 3, False)), "c": a_delay((NOW - 1, 3, False)), "gone": a_delay((1, 1, True))}
    found = a_decision(
        a_window(*chain, values={"a": TOO_BUSY, "b": {"load": 0.45}, "c": TOO_IDLE}),
        History(delayed=delayed),
        excluded_vertices=frozenset({"c"}),
        scale_down_interval=HOUR,
    )
    assert (found.reason, found.rescale, found.error) == (Reason.SCALE, True, None)
    assert found.parallelism == found.advised == {"a": 7, "b": 4, "c": 4}
    assert (found.delayed, found.events) == ({}, TOLD)
    assert found.window_start == NOW - 5 * MINUTE


def test_changes_inside_bounds_go_along_with_one_outside() -> None:
    """A vertex that is not worth a restart changes when another one is."""
    chain = (a_vertex("a"), a_vertex("b", "a"))
    inside: dict[str, Values] = {"a": {"load": 0.55}, "b": {"load": 0.5}}
    assert a_decision(a_window(*chain, values=inside)).reason is Reason.STEADY
    found = a_decision(a_window(*chain, values=inside | {"b": TOO_BUSY}))
    assert found.parallelism == {"a": 5, "b": 7}


def test_a_change_outside_bounds_that_is_held_back_does_not_count() -> None:
    """What is not changed is not worth a restart."""
    chain = (a_vertex("a"), a_vertex("b", "a"))
    found = a_decision(a_window(*chain, values={"a": {"load": 0.55}, "b": TOO_IDLE}), scale_down_interval=HOUR)
    assert (found.reason, found.sizings["a"].parallelism) == (Reason.STEADY, 5)
    assert found.parallelism == found.advised == {"a": 4, "b": 4}


def test_delays_of_vertices_gone_wait_for_the_next_rescale() -> None:
    """What was held back for a vertex the job no longer has stays until everything is forgotten."""
    delayed = {"gone": a_delay((NOW - 1, 2, True))}
    assert a_decision(history=History(delayed=delayed)).delayed == delayed
    assert a_decision(a_window(values={"a": TOO_BUSY}), History(delayed=delayed)).delayed == {}


@pytest.mark.parametrize("count", [0, 1])
def test_not_ready(count: int) -> None:
    """With fewer than two samples nothing is evaluated and nothing forgotten."""
    delayed = {"a": a_delay((NOW - 1, 2, True))}
    found = a_decision(a_window(count=count), History(delayed=delayed))
    assert (found.reason, found.evaluations, found.delayed) == (Reason.NOT_READY, {}, delayed)


def test_window_not_full() -> None:
    """Until the window is full it is evaluated, but neither sized nor judged."""
    window = a_window(values={"a": TOO_BUSY}, job={"heap_usage": 2.0}, count=5)
    found = a_decision(window)
    assert (found.reason, found.events, found.sizings) == (Reason.WINDOW_NOT_FULL, (), {})
    assert found.evaluations["a"].tpr == 1250.0
    assert found.full_at == NOW + MINUTE


def test_failed_evaluation() -> None:
    """A failed evaluation is an error even before the window is full, and tells why."""
    delayed = {"a": a_delay((NOW - 1, 2, True))}
    found = a_decision(a_window(values={"a": {"lag": None}}, count=3), History(delayed=delayed))
    assert (found.reason, found.evaluations, found.delayed) == (Reason.ERROR, {}, delayed)
    assert found.events == (Event(kind=EventKind.AUTOSCALER_ERROR),)
    assert found.error is not None
    assert found.heap_usage is None


def test_a_silent_source_does_not_hold_the_branch_beside_it() -> None:
    """With extras a source that counts nothing is left as it is, and named; what another feeds is scaled."""
    vertices = (a_vertex("a"), a_vertex("b"), a_vertex("c", "b"))
    silent: Values = {"records_in": None, "records_out": 0.0, "lag": None}
    found = a_decision(a_window(*vertices, values={"a": silent, "c": TOO_BUSY}), extras=True)
    assert found.parallelism == {"a": 4, "b": 4, "c": 7}
    assert found.sizings["a"].limits == (Limit.NO_RATE,)


def test_failed_sizing() -> None:
    """A failed sizing leaves what was evaluated, and everything else as it was."""
    records = tuple(a_scaling(NOW - HOUR + p, from_parallelism=p, tpr=math.inf) for p in (1, 2, 3))
    delayed = {"a": a_delay((NOW - 1, 2, True))}
    found = a_decision(
        a_window(a_vertex("a"), a_vertex("b", "a"), values={"a": TOO_IDLE}),
        History(scalings={"b": records}, delayed=delayed),
        observed_scalability=True,
        scale_down_interval=HOUR,
    )
    assert (found.reason, found.sizings, found.delayed) == (Reason.ERROR, {}, delayed)
    assert found.events == (Event(kind=EventKind.AUTOSCALER_ERROR),)
    assert found.evaluations["b"].tpr == 2000.0


@pytest.mark.parametrize(
    ("job", "policy", "pressed"),
    [
        pytest.param({}, {}, False, id="nothing-known"),
        pytest.param({"gc_pressure": 0.3}, {"gc_pressure_threshold": 0.3}, False, id="gc-at-threshold"),
        pytest.param({"gc_pressure": 0.301}, {"gc_pressure_threshold": 0.3}, True, id="gc-above"),
        pytest.param({"gc_pressure": 0.3004}, {"gc_pressure_threshold": 0.3}, False, id="gc-rounds-to-threshold"),
        pytest.param({"gc_pressure": [2.0] * 5 + [0.1]}, {}, False, id="gc-of-the-past"),
        pytest.param({"heap_usage": [1.0] * 5 + [0.1]}, {"heap_usage_threshold": 0.8}, True, id="heap-average"),
        pytest.param({"heap_usage": [0.1] * 5 + [1.0]}, {"heap_usage_threshold": 0.8}, False, id="heap-of-now"),
    ],
)
def test_memory_pressure(job: Values, policy: dict[str, Any], pressed: bool) -> None:
    """Under memory pressure nothing is sized, told apart or forgotten."""
    delayed = {"a": a_delay((NOW - 1, 2, True))}
    found = a_decision(
        a_window(values={"a": TOO_IDLE}, job=job), History(delayed=delayed), scale_down_interval=HOUR, **policy
    )
    assert found.reason is (Reason.MEMORY_PRESSURE if pressed else Reason.STEADY)
    assert found.events == ((Event(kind=EventKind.MEMORY_PRESSURE),) if pressed else ())
    assert (found.delayed == delayed, found.sizings == {}) == (pressed, pressed)


@pytest.mark.parametrize(
    ("policy", "reason"),
    [
        pytest.param({"scaling_enabled": False}, Reason.SCALING_DISABLED, id="disabled"),
        pytest.param({"excluded_periods": ("09:00-10:00",)}, Reason.EXCLUDED_PERIOD, id="excluded"),
        pytest.param(
            {"excluded_periods": ("09:00-10:00",), "scaling_enabled": False}, Reason.SCALING_DISABLED, id="both"
        ),
        pytest.param(
            {"excluded_periods": ("09:00-10:00",), "time_zone": "Europe/Berlin"}, Reason.SCALE, id="other-clocks"
        ),
    ],
)
def test_advice_only(policy: dict[str, Any], reason: Reason) -> None:
    """What would be done is told; unless it may be done, the delays stay as just updated."""
    chain = (a_vertex("a"), a_vertex("b", "a"))
    found = a_decision(a_window(*chain, values={"a": TOO_BUSY, "b": TOO_IDLE}), scale_down_interval=HOUR, **policy)
    assert (found.reason, found.events) == (reason, TOLD)
    assert found.advised == {"a": 7, "b": 4}
    assert found.parallelism == ({"a": 7, "b": 4} if found.rescale else {"a": 4, "b": 4})
    assert found.delayed == ({} if found.rescale else {"b": a_delay((NOW, 2, True))})


def test_unreadable_period_is_an_error() -> None:
    """A job whose excluded periods cannot be read is not scaled."""
    found = a_decision(a_window(values={"a": TOO_BUSY}), excluded_periods=("always",))
    assert (found.reason, found.rescale) == (Reason.ERROR, False)


def grouped(first: str | None, second: str | None, *loads: float, cluster: Cluster, **policy: Any) -> Decision:
    """Return the decision on two vertices of two slot sharing groups."""
    chain = (
        a_vertex("a", slot_sharing_group=first, max_parallelism=32768),
        a_vertex("b", "a", slot_sharing_group=second, max_parallelism=32768),
    )
    values: dict[str, Values] = {"a": {"load": loads[0]}, "b": {"load": loads[1]}}
    return a_decision(a_window(*chain, values=values), cluster=cluster, **policy)


TWO_SLOTS = Cluster(task_manager_cpu=1.0, task_manager_memory=10, slots_per_task_manager=2)


@pytest.mark.parametrize(
    ("groups", "loads", "policy", "reason"),
    [
        pytest.param(("x", "x"), (0.8, 0.8), {"quota_cpu": 3.0}, Reason.SCALE, id="7-slots-are-3-and-allowed"),
        pytest.param(("x", "x"), (0.8, 0.8), {"quota_cpu": 2.9}, Reason.QUOTA, id="7-slots-are-3-and-too-many"),
        pytest.param(("x", "y"), (0.8, 0.8), {"quota_cpu": 6.9}, Reason.QUOTA, id="14-slots-are-7"),
        pytest.param(("x", "y"), (0.8, 0.8), {"quota_cpu": 7.0}, Reason.SCALE, id="14-slots-are-allowed"),
        pytest.param(("x", "y"), (0.8, 0.5), {"quota_cpu": 3.0}, Reason.SCALE, id="unchanged-not-counted"),
        pytest.param(("x", "y"), (0.8, 0.1), {"quota_cpu": 1.0}, Reason.SCALE, id="8-to-9-slots-stay-4"),
        pytest.param(("x", "x"), (0.8, 0.8), {"quota_memory": 29}, Reason.QUOTA, id="memory"),
        pytest.param(("x", "x"), (0.8, 0.8), {"quota_memory": 30}, Reason.SCALE, id="memory-allowed"),
        pytest.param((None, None), (0.8, 0.8), {"quota_cpu": 0.0}, Reason.SCALE, id="groups-unknown"),
        pytest.param((None, "x"), (0.8, 0.5), {"quota_cpu": 0.0}, Reason.SCALE, id="changed-group-unknown"),
        pytest.param(("x", "x"), (0.25, 0.25), {"quota_cpu": 0.0}, Reason.SCALE, id="shrinking-over-quota"),
        pytest.param(("x", "x"), (0.8, 0.8), {}, Reason.SCALE, id="no-quota"),
    ],
)
def test_quota(
    groups: tuple[str | None, str | None], loads: tuple[float, float], policy: dict[str, Any], reason: Reason
) -> None:
    """Growing beyond a quota is vetoed; TaskManagers are counted by whole division over the changed vertices."""
    found = grouped(*groups, *loads, cluster=TWO_SLOTS, **policy)
    assert found.reason is reason
    kind = EventKind.RESOURCE_QUOTA_REACHED if reason is Reason.QUOTA else EventKind.SCALING_REPORT
    assert found.events == (Event(kind=kind),)


def test_quota_of_an_unknown_size() -> None:
    """A TaskManager of unknown CPU and memory counts as none."""
    found = grouped("x", "x", 0.8, 0.8, cluster=Cluster(), quota_cpu=0.0, quota_memory=0)
    assert found.reason is Reason.SCALE


def test_veto_keeps_delays() -> None:
    """A veto leaves delayed requests in place and tells what was wished."""
    chain = (a_vertex("a", slot_sharing_group="x"), a_vertex("b", "a", slot_sharing_group="x"))
    found = a_decision(
        a_window(*chain, values={"a": TOO_BUSY, "b": TOO_IDLE}),
        cluster=TWO_SLOTS,
        quota_cpu=1.0,
        scale_down_interval=HOUR,
    )
    assert (found.reason, found.delayed) == (Reason.QUOTA, {"b": a_delay((NOW, 2, True))})
    assert (found.parallelism, found.advised) == ({"a": 4, "b": 4}, {"a": 7, "b": 4})


# ------------------------------------------------------------------ beyond the reference


@pytest.mark.parametrize(
    ("groups", "loads", "policy", "expected", "reason"),
    [
        pytest.param(("x", "x"), (0.8, 0.8), {"quota_cpu": 3.0}, (6, 6), Reason.SCALE, id="to-whole-task-managers"),
        pytest.param(("x", "x"), (0.8, 0.8), {"quota_cpu": 4.0}, (7, 7), Reason.SCALE, id="enough"),
        pytest.param(("x", "x"), (0.8, 0.8), {"quota_cpu": 2.0}, (4, 4), Reason.QUOTA, id="no-room"),
        pytest.param(("x", "x"), (0.8, 0.8), {"quota_cpu": 0.5}, (4, 4), Reason.QUOTA, id="over-already"),
        pytest.param(("x", "y"), (0.8, 0.8), {"quota_cpu": 6.0}, (6, 6), Reason.SCALE, id="shared-by-growth"),
        pytest.param(("x", "y"), (0.8, 0.25), {"quota_cpu": 4.0}, (6, 2), Reason.SCALE, id="room-made-by-shrinking"),
        pytest.param(("x", "y"), (0.8, 0.5), {"quota_cpu": 4.0}, (4, 4), Reason.QUOTA, id="unchanged-counted"),
        pytest.param((None, None), (0.8, 0.8), {"quota_memory": 30}, (6, 6), Reason.SCALE, id="one-default-group"),
        pytest.param(("x", "x"), (0.8, 0.8), {}, (7, 7), Reason.SCALE, id="no-quota"),
        pytest.param(("x", "x"), (0.8, 0.8), {"quota_cpu": math.inf}, (7, 7), Reason.SCALE, id="boundless"),
        pytest.param(("x", "x"), (0.25, 0.25), {"quota_cpu": 0.5}, (2, 2), Reason.SCALE, id="shrinking-over-quota"),
    ],
)
def test_quota_cuts_growth(
    groups: tuple[str | None, str | None],
    loads: tuple[float, float],
    policy: dict[str, Any],
    expected: tuple[int, int],
    reason: Reason,
) -> None:
    """With extras growth is cut to what a quota allows, all vertices counted, and the rest goes ahead."""
    found = grouped(*groups, *loads, cluster=TWO_SLOTS, extras=True, **policy)
    wished = {(0.8, 0.8): (7, 7), (0.8, 0.25): (7, 2), (0.8, 0.5): (7, 4), (0.25, 0.25): (2, 2)}[loads]
    cut = tuple(limit for limit in (Limit.QUOTA,) if wished != expected)
    assert (tuple(found.parallelism.values()), found.reason) == (expected, reason)
    assert tuple(found.advised.values()) == wished
    assert found.sizings["a"].limits == cut
    assert (Event(kind=EventKind.RESOURCE_QUOTA_REACHED) in found.events) is bool(cut)


def test_a_cut_change_expects_less() -> None:
    """What a cut change is expected to bring is told of what is left of it."""
    found = grouped("x", "x", 0.8, 0.5, cluster=TWO_SLOTS, extras=True, quota_cpu=3.0)
    assert (found.sizings["a"].parallelism, found.sizings["a"].expected_rate) == (6, 1875.0)
    assert grouped("x", "x", 0.8, 0.5, cluster=TWO_SLOTS, extras=True, quota_cpu=2.0).sizings["a"].expected_rate is None


def test_memory_pressure_never_blocks_growth() -> None:
    """With extras a job under memory pressure grows where it must, and shrinks nowhere."""
    chain = (a_vertex("a"), a_vertex("b", "a"))
    window = a_window(*chain, values={"a": TOO_BUSY, "b": TOO_IDLE}, job={"heap_usage": 2.0})
    found = a_decision(window, extras=True)
    assert (found.reason, found.parallelism) == (Reason.SCALE, {"a": 7, "b": 4})
    assert found.sizings["b"].limits == (Limit.MEMORY_PRESSURE,)
    assert found.events == (Event(kind=EventKind.MEMORY_PRESSURE), *TOLD)


def test_memory_pressure_without_growth_is_the_reason() -> None:
    """With extras a job under memory pressure that need not grow is left alone for that reason."""
    window = a_window(values={"a": TOO_IDLE}, job={"heap_usage": 2.0})
    found = a_decision(window, extras=True)
    assert (found.reason, found.events) == (Reason.MEMORY_PRESSURE, (Event(kind=EventKind.MEMORY_PRESSURE),))


def protection(
    values: dict[str, Values] | None = None,
    *,
    history: History | None = None,
    vertices: tuple[Vertex, ...] = (),
    **policy: Any,
) -> dict[str, tuple[Limit, ...]]:
    """Return the limits of the vertices of a job that would like to shrink all of them to 1."""
    chain = vertices or (a_vertex("a"), a_vertex("b", "a"))
    wish: dict[str, Any] = {each.id: {"load": 0.05} | dict((values or {}).get(each.id, {})) for each in chain}
    doubts = policy.pop("doubts", ())
    found = a_decision(a_window(*chain, values=wish, doubts=doubts), history, extras=True, **policy)
    for vertex in chain:
        assert (found.parallelism[vertex.id] < vertex.parallelism) is (
            found.sizings[vertex.id].limits == (Limit.MAX_FACTOR,)
        )
    return {each: sizing.limits[1:] for each, sizing in found.sizings.items()}


def test_without_objection_all_shrink() -> None:
    """With extras an idle job shrinks as it should."""
    assert protection() == {"a": (), "b": ()}


def test_a_doubtful_window_shrinks_nothing() -> None:
    """A single doubtful sample in the window keeps every vertex from shrinking."""
    assert protection(doubts=["records_in of b is incomplete"]) == {"a": (Limit.DOUBTFUL,), "b": (Limit.DOUBTFUL,)}


def test_doubts_outside_the_window_are_forgotten() -> None:
    """What was doubtful before the window began no longer counts."""
    window = a_window(values={"a": TOO_IDLE}, count=8, doubts=["x"], running_since=NOW - 20 * MINUTE)
    assert a_decision(window, extras=True).reason is Reason.SCALE


@pytest.mark.parametrize("name", ["records_in", "records_out", "accumulated_busy_ms"])
def test_a_counter_that_fell_casts_doubt_downstream(name: str) -> None:
    """A counter that ran backwards, if only once, protects its vertex and all that it feeds."""
    chain = (a_vertex("a"), a_vertex("b", "a"), a_vertex("c", "b"), a_vertex("d"))
    fallen = [*counter(1000.0)[:3], 100_000.0, None, counter(1000.0)[5]]
    found = protection({"b": {name: fallen}}, vertices=chain)
    assert found == {"a": (), "b": (Limit.DOUBTFUL,), "c": (Limit.DOUBTFUL,), "d": ()}


def test_a_counter_that_fell_is_told_although_it_was_unknown_in_between() -> None:
    """What is noted with a sample is that a counter is lower than where it was last known, not that one fell before."""
    vertex = a_vertex("a")

    def fell(*values: float | None) -> bool:
        window = a_window(vertex, values={"a": {"records_in": list(values)}}, count=len(values))
        return newest_counter_fell(vertex, window.samples)

    assert fell(5.0, None, 4.0)
    assert not fell(5.0, 4.0, 6.0)
    assert not fell(5.0, 4.0, None)
    assert not newest_counter_fell(a_vertex("b"), a_window(vertex).samples)


def test_busy_time_may_wobble() -> None:
    """Busy time that falls by at most 1 s per subtask, as that of a nearly idle vertex does, casts no doubt."""
    steps = [0.0, 900_000.0, 896_000.0, 901_000.0, 901_000.0, 901_000.0]  # 4 subtasks
    assert protection({"a": {"accumulated_busy_ms": steps}}) == {"a": (), "b": ()}
    fallen = [*steps[:2], 895_999.0, *steps[3:]]
    assert protection({"a": {"accumulated_busy_ms": fallen}}) == {"a": (Limit.DOUBTFUL,), "b": (Limit.DOUBTFUL,)}


def test_doubts_are_told() -> None:
    """What makes a vertex's numbers doubtful is told for it and for all that it feeds."""
    chain = Topology(vertices=(a_vertex("a"), a_vertex("b", "a"), a_vertex("c")))
    window = a_window(*chain.vertices, values={"a": {"records_in": [5.0, 4.0, 6.0, 7.0, 8.0, 9.0]}})
    fell = f"a counter of {chain.vertices[0].name} ran backwards"
    assert doubts(chain, window.samples) == {"a": fell, "b": fell}
    told = a_window(*chain.vertices, doubts=["no metrics of b"])
    assert set(doubts(chain, told.samples).values()) == {"no metrics of b"}
    assert doubts(chain, a_window(*chain.vertices).samples) == {}


def test_a_saturated_vertex_is_not_shrunk() -> None:
    """A vertex at its upper utilization is not shrunk, however little the model asks for."""
    values: dict[str, Values] = {
        "a": {"load": 0.6, "records_in_per_s": 1e6},
        "b": {"load": 0.599, "records_in_per_s": 1e6},
    }
    assert protection(values) == {"a": (Limit.SATURATED,), "b": ()}
    assert protection(values, utilization_max=1.5) == {"a": (), "b": ()}
    busy: dict[str, Values] = {"a": {"load": 1.0, "records_in_per_s": 1e6}}
    assert protection(busy, utilization_max=1.5)["a"] == (Limit.SATURATED,)


@pytest.mark.parametrize(("load", "held"), [(0.95, True), (0.949, False)])
def test_full_load_is_a_little_less_than_one(load: float, held: bool) -> None:
    """Where the upper utilization is 1, as by default, a vertex that is as good as always busy is not shrunk."""
    found = protection({"a": {"load": load, "records_in_per_s": 1e6}}, utilization_max=1.0)
    assert (Limit.SATURATED in found["a"]) is held


@pytest.mark.parametrize(("share", "held"), [(0.5, True), (0.49, False), (None, False)])
def test_a_vertex_that_holds_up_its_input_is_not_shrunk(share: float | None, held: bool) -> None:
    """Of the outputs of a vertex that waits half of its time, the busiest is protected."""
    fan_out = (a_vertex("a"), a_vertex("b", "a"), a_vertex("c", "a"))
    values: dict[str, Values] = {"a": {"back_pressure": share}, "c": {"load": 0.06}}
    found = protection(values, vertices=fan_out)
    assert found == {"a": (), "b": (), "c": (Limit.BACK_PRESSURE,) if held else ()}


@pytest.mark.parametrize(
    ("age", "to", "protected"),
    [
        pytest.param(HOUR - 1, 4, True, id="within"),
        pytest.param(HOUR, 4, False, id="exactly-over"),
        pytest.param(HOUR - 1, 1, False, id="was-a-scale-down"),
    ],
)
def test_grace_period(age: int, to: int, protected: bool) -> None:
    """A vertex is not shrunk within the grace period after it last grew."""
    history = History(scalings={"a": (a_scaling(NOW - age, to_parallelism=to),)})
    found = protection(history=history, scale_up_grace_period=HOUR)
    assert found == {"a": (Limit.GRACE_PERIOD,) if protected else (), "b": ()}


def test_protection_leaves_the_delay_as_it_is() -> None:
    """A scale-down that is refused is not remembered as a request either."""
    delayed = {"a": a_delay((NOW - 1, 3, True))}
    window = a_window(values={"a": TOO_IDLE}, doubts=["x"])
    found = a_decision(window, History(delayed=delayed), extras=True, scale_down_interval=HOUR)
    assert (found.reason, found.delayed) == (Reason.STEADY, delayed)


def test_protection_never_blocks_growth() -> None:
    """What must not shrink may grow all the same."""
    history = History(scalings={"a": (a_scaling(at=NOW - MINUTE, tpr=100.0, expected_rate=200.0),)})
    found = a_decision(a_window(values={"a": TOO_BUSY}), history, extras=True, scale_up_grace_period=HOUR)
    assert found.parallelism == {"a": 7}


@pytest.mark.parametrize(
    ("kept", "parallelism", "after"),
    [
        pytest.param(
            a_delay((NOW - 2 * MINUTE, 7, True), (NOW - MINUTE, 3, True), first=NOW - HOUR),
            4,
            a_delay((NOW - MINUTE, 3, True), (NOW, 2, True)),
            id="waiting-starts-anew",
        ),
        pytest.param(a_delay((NOW - MINUTE, 7, True), first=NOW - HOUR), 4, a_delay((NOW, 2, True)), id="with-now"),
        pytest.param(a_delay((NOW - HOUR, 3, True)), 3, None, id="due"),
    ],
)
def test_a_delayed_scale_down_never_scales_up(kept: Any, parallelism: int, after: Any) -> None:
    """With extras, requests from before somebody shrank the vertex are forgotten."""
    found = a_decision(
        a_window(values={"a": TOO_IDLE}), History(delayed={"a": kept}), extras=True, scale_down_interval=HOUR
    )
    assert found.parallelism["a"] == parallelism
    assert found.delayed == ({} if after is None else {"a": after})


def test_never_less_than_one_subtask() -> None:
    """With extras a lower bound of 0 counts as 1; the reference takes it at its word."""
    options: dict[str, Any] = {"min_parallelism": 0, "scale_down_max_factor": 1.0}
    window = a_window(values={"a": {"records_in": 1.0}})
    assert a_decision(window, extras=True, **options).parallelism == {"a": 1}
    assert a_decision(window, **options).parallelism == {"a": 0}

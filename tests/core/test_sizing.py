"""The parallelism of one vertex, step by step, on a full window of one source unless said otherwise."""

from __future__ import annotations

import math
from typing import Any

import pytest

from autoscaler.core.sizing import expected_rate, is_outside_bounds, wanted
from autoscaler.model import (
    Alignment,
    BusyTimeAggregator,
    Decision,
    Evaluation,
    Event,
    EventKind,
    History,
    Limit,
    Reason,
    Vertex,
)
from tests.core.builders import (
    HOUR,
    MINUTE,
    NOW,
    Values,
    a_decision,
    a_delay,
    a_policy,
    a_scaling,
    a_vertex,
    a_window,
)

# The default source reads 1,000 records/s with 4 subtasks. At a load of L it needs 4 * L / 0.5 of them.
TOO_BUSY: Values = {"load": 0.8}  # factor 1.6: 7
TOO_IDLE: Values = {"load": 0.25}  # factor 0.5: 2


def sized(values: Values, vertex: Vertex | None = None, history: History | None = None, **policy: Any) -> Decision:
    """Return the decision on one source with these values."""
    return a_decision(a_window(vertex or a_vertex(), values={"a": values}), history, **policy)


@pytest.mark.parametrize(
    ("values", "vertex", "policy", "factor", "wish", "parallelism", "limits"),
    [
        pytest.param({}, {}, {}, 1.0000, 4, 4, (), id="steady"),
        pytest.param(TOO_BUSY, {}, {}, 1.6, 7, 7, (), id="up"),
        pytest.param(TOO_IDLE, {}, {}, 0.5, 2, 2, (), id="down"),
        pytest.param(TOO_BUSY, {}, {"scale_up_max_factor": 0.25}, 1.6, 5, 5, (Limit.MAX_FACTOR,), id="up-by-factor"),
        pytest.param(
            TOO_IDLE, {}, {"scale_down_max_factor": 0.25}, 0.5, 3, 3, (Limit.MAX_FACTOR,), id="down-by-factor"
        ),
        pytest.param(
            {"records_in": 1.0}, {}, {"scale_down_max_factor": 1.5}, 0.0, 0, 1, (Limit.MIN_PARALLELISM,), id="idle"
        ),
        pytest.param(TOO_IDLE, {}, {"min_parallelism": 3}, 0.5, 2, 3, (Limit.MIN_PARALLELISM,), id="min"),
        pytest.param(TOO_IDLE, {}, {"min_parallelism": 9}, 0.5, 2, 4, (Limit.MIN_PARALLELISM,), id="below-min-already"),
        pytest.param(TOO_BUSY, {}, {"max_parallelism": 5}, 1.6, 7, 5, (Limit.MAX_PARALLELISM,), id="max"),
        pytest.param(TOO_BUSY, {}, {"max_parallelism": 1}, 1.6, 7, 4, (Limit.MAX_PARALLELISM,), id="above-max-already"),
        pytest.param(TOO_BUSY, {"max_parallelism": 5}, {}, 1.6, 7, 5, (Limit.MAX_PARALLELISM,), id="key-groups"),
        pytest.param(TOO_BUSY, {"source_partitions": 8}, {}, 1.6, 7, 8, (Limit.ALIGNMENT,), id="aligned"),
        pytest.param(
            {"load": 0.45}, {"source_partitions": 4, "parallelism": 4}, {}, 0.9, 4, 4, (), id="same-is-not-aligned"
        ),
        pytest.param(
            {"load": 1.0, "lag": 1e15},
            {"max_parallelism": 2**40},
            {"max_parallelism": 2**35, "scale_up_max_factor": 1e12},
            None,
            2**31 - 1,
            2**31 - 1,
            (),
            id="largest-integer",
        ),
    ],
)
def test_from_factor_to_parallelism(
    values: Values,
    vertex: dict[str, Any],
    policy: dict[str, Any],
    factor: float | None,
    wish: int,
    parallelism: int,
    limits: tuple[Limit, ...],
) -> None:
    """A vertex gets the factor's share of subtasks, within the factors, the bounds and its data."""
    found = sized(values, a_vertex(**vertex), **policy).sizings["a"]
    assert factor is None or found.factor == pytest.approx(factor, abs=1e-3)
    assert (found.wanted, found.parallelism, found.limits) == (wish, parallelism, limits)


@pytest.mark.parametrize(
    ("factor", "expected"),
    [(math.nan, 0), (math.inf, 400_004), (-math.inf, 2), (0.0, 2), (1.0, 4)],
)
def test_extreme_factors(factor: float, expected: int) -> None:
    """An infinite factor is cut like any other; one that is not a number asks for nothing."""
    assert wanted(factor, 4, a_policy()).parallelism == expected


def test_factors_without_bounds() -> None:
    """Boundless factors give the largest and smallest integers instead of raising."""
    policy = a_policy(scale_up_max_factor=math.inf, scale_down_max_factor=math.inf)
    assert wanted(math.inf, 4, policy).parallelism == 2**31 - 1
    assert wanted(-math.inf, 4, policy).parallelism == 1 - 2**31


@pytest.mark.parametrize(
    ("values", "vertex", "policy", "limit"),
    [
        pytest.param(TOO_BUSY, {}, {"excluded_vertices": frozenset({"a"})}, Limit.EXCLUDED, id="excluded"),
        pytest.param(TOO_BUSY, {"finished": True}, {}, Limit.FINISHED, id="finished"),
        pytest.param({"load": [1.0] * 5 + [None]}, {}, {}, Limit.NO_BUSY_TIME, id="no-busy-time-now"),
        pytest.param({"load": [1.0] * 5 + [math.inf]}, {}, {}, Limit.NO_BUSY_TIME, id="infinite-busy-time-now"),
    ],
)
def test_untouchable(values: Values, vertex: dict[str, Any], policy: dict[str, Any], limit: Limit) -> None:
    """Some vertices are evaluated but never changed, and keep their held-back scale-down."""
    delayed = {"a": a_delay((NOW - HOUR, 2, True))}
    found = sized(values, a_vertex(**vertex), History(delayed=delayed), scale_down_interval=HOUR, **policy)
    assert found.reason is Reason.STEADY
    assert found.sizings["a"].limits == (limit,)
    assert found.evaluations["a"].tpr is not None
    assert found.delayed == delayed


def test_a_vertex_missing_from_the_newest_sample_is_untouchable() -> None:
    """What reports nothing at all just now is left alone."""
    window = a_window(a_vertex(), values={"a": TOO_BUSY})
    newest = window.samples[-1]
    samples = (*window.samples[:-1], type(newest)(at=newest.at, vertices={}))
    found = a_decision(type(window)(topology=window.topology, running_since=window.running_since, samples=samples))
    assert found.sizings["a"].limits == (Limit.NO_BUSY_TIME,)


def test_no_rate_no_change() -> None:
    """Without a true processing rate a vertex stays, and keeps its held-back scale-down."""
    delayed = {"a": a_delay((NOW - HOUR, 2, True))}
    found = sized(
        {"accumulated_busy_ms": None},
        history=History(delayed=delayed),
        busy_time_aggregator=BusyTimeAggregator.AVG,
    )
    assert (found.reason, found.sizings["a"].factor, found.delayed) == (Reason.STEADY, None, delayed)


def test_expected_rate_is_linear() -> None:
    """What a change is expected to bring grows with the subtasks, and is told with it."""
    found = sized(TOO_BUSY)
    assert found.sizings["a"].expected_rate == 2187.5
    assert found.rescale
    assert found.parallelism == {"a": 7}


def test_expected_rate_that_is_not_a_number_is_absent() -> None:
    """Infinitely fast times no subtask is nothing that could be told."""
    assert expected_rate(math.inf, 4, 0) is None


@pytest.mark.parametrize(
    ("tpr", "outside"), [(None, False), (99.0, True), (100.0, False), (200.0, False), (201.0, True)]
)
def test_is_outside_bounds(tpr: float | None, outside: bool) -> None:
    """Only a rate beyond a threshold, not at it, is worth a restart."""
    evaluation = Evaluation(tpr=tpr, scale_up_threshold=100.0, scale_down_threshold=200.0)
    assert is_outside_bounds(evaluation) is outside


def test_thresholds_unknown_are_never_crossed() -> None:
    """Where no threshold is known, none is crossed."""
    assert not is_outside_bounds(Evaluation(tpr=1.0))


def test_scalability_divides_the_factor() -> None:
    """A vertex that scales half as well gets twice the factor."""
    scalings = tuple(a_scaling(NOW - HOUR + p, from_parallelism=p, tpr=100.0) for p in (1, 2, 4))
    found = sized({}, history=History(scalings={"a": scalings}), observed_scalability=True)
    assert found.sizings["a"].factor == pytest.approx(2.0, abs=1e-3)


def test_scalability_of_zero_asks_for_all_it_may() -> None:
    """A vertex that does not scale at all is bounded by the factors only."""
    scalings = tuple(a_scaling(NOW - HOUR + p, from_parallelism=p, tpr=r) for p, r in ((1, 1.0), (2, -9.0), (4, 0.0)))
    found = sized(
        {},
        history=History(scalings={"a": scalings}),
        observed_scalability=True,
        observed_scalability_coefficient_min=0.0,
        scale_up_max_factor=1.0,
    )
    assert found.sizings["a"].wanted == 8


@pytest.mark.parametrize(
    ("detection", "reason", "parallelism"),
    [pytest.param(True, Reason.STEADY, 4, id="blocked"), pytest.param(False, Reason.SCALE, 7, id="only-told")],
)
def test_ineffective_scale_up(detection: bool, reason: Reason, parallelism: int) -> None:
    """A scale-up after one that did not help is told, and blocked if the user wants that."""
    history = History(
        scalings={"a": (a_scaling(tpr=1200.0, expected_rate=2400.0),)}, delayed={"a": a_delay((NOW - 1, 2, True))}
    )
    found = sized(TOO_BUSY, history=history, effectiveness_detection=detection, scale_down_interval=HOUR)
    assert (found.reason, found.parallelism["a"]) == (reason, parallelism)
    assert Event(kind=EventKind.INEFFECTIVE_SCALING, vertex="a") in found.events
    assert (Limit.INEFFECTIVE in found.sizings["a"].limits) is detection
    assert found.sizings["a"].expected_rate == 2187.5
    assert found.delayed == {}


def test_effective_scale_up_goes_on() -> None:
    """A scale-up after one that helped is nothing to tell."""
    history = History(scalings={"a": (a_scaling(tpr=625.0, expected_rate=1250.0),)})
    found = sized(TOO_BUSY, history=history, effectiveness_detection=True)
    assert [event.kind for event in found.events] == [EventKind.SCALING_REPORT]


@pytest.mark.parametrize(
    ("kept", "parallelism", "after"),
    [
        pytest.param(None, 4, a_delay((NOW, 2, True)), id="first-request-waits"),
        pytest.param(
            a_delay((NOW - HOUR + 1, 3, True)), 4, a_delay((NOW - HOUR + 1, 3, True), (NOW, 2, True)), id="one-ms-short"
        ),
        pytest.param(a_delay((NOW - HOUR, 3, True)), 3, None, id="exactly-due-to-the-highest"),
        pytest.param(a_delay((NOW - HOUR - 1, 3, True)), 2, None, id="too-old-a-request"),
        pytest.param(a_delay((NOW - MINUTE, 2, False), first=NOW - HOUR), 2, None, id="tie-takes-the-newer-flag"),
        pytest.param(
            a_delay((NOW - MINUTE, 3, False), first=NOW - HOUR),
            4,
            a_delay((NOW - MINUTE, 3, False), (NOW, 2, True), first=NOW - HOUR),
            id="highest-was-inside-bounds",
        ),
        pytest.param(
            a_delay((NOW - MINUTE, 4, True), first=NOW - HOUR),
            4,
            a_delay((NOW - MINUTE, 4, True), (NOW, 2, True), first=NOW - HOUR),
            id="highest-is-current",
        ),
        pytest.param(a_delay((NOW - MINUTE, 7, True), first=NOW - HOUR), 7, None, id="highest-is-above-current"),
    ],
)
def test_delayed_scale_down(kept: Any, parallelism: int, after: Any) -> None:
    """A scale-down waits for the interval, then follows the most that was asked for during it."""
    history = History(delayed={} if kept is None else {"a": kept})
    found = sized(TOO_IDLE, history=history, scale_down_interval=HOUR)
    assert found.parallelism["a"] == parallelism
    assert found.delayed == ({} if after is None else {"a": after})
    assert found.sizings["a"].expected_rate == 2000.0


def test_nothing_to_do_forgets_the_delayed_scale_down() -> None:
    """A vertex that should stay as it is has nothing to wait for."""
    found = sized({}, history=History(delayed={"a": a_delay((NOW - 1, 2, True))}), scale_down_interval=HOUR)
    assert (found.reason, found.delayed) == (Reason.STEADY, {})


def test_without_an_interval_requests_are_left_alone() -> None:
    """With the interval off, a scale-down inside its bounds is neither done nor remembered."""
    delayed = {"a": a_delay((NOW - 1, 2, True))}
    found = sized({"load": 0.3}, history=History(delayed=delayed), scale_down_interval=0, utilization_boundary=0.5)
    assert (found.reason, found.sizings["a"].parallelism, found.delayed) == (Reason.STEADY, 3, delayed)


def test_blocked_alignment_is_told_and_forgets_the_delay() -> None:
    """An older alignment mode that can only invert the change keeps the vertex, and says so."""
    vertex = a_vertex(parallelism=55, source_partitions=100, max_parallelism=80)
    delayed = {"a": a_delay((NOW - 1, 2, True))}
    found = sized(
        {"load": 0.54},
        vertex,
        History(delayed=delayed),
        alignment=Alignment.LEGACY_EVENLY_SPREAD,
        scale_down_interval=HOUR,
    )
    assert found.sizings["a"].parallelism == 55
    assert found.events == (Event(kind=EventKind.SCALING_LIMITED, vertex="a"),)
    assert (found.reason, found.delayed) == (Reason.STEADY, {})

"""From samples to what a vertex does, should do and could do."""

from __future__ import annotations

import math
from typing import Any

import pytest

from autoscaler.core.errors import UndecidableError
from autoscaler.core.evaluate import evaluate, needed_capacity
from autoscaler.model import BusyTimeAggregator, Evaluation, Vertex
from tests.core.builders import MINUTE, Values, a_policy, a_vertex, a_window, counter

AVG: dict[str, Any] = {"busy_time_aggregator": BusyTimeAggregator.AVG}


def evaluated(*vertices: Vertex, values: dict[str, Values], restart_s: int = 0, **policy: Any) -> dict[str, Evaluation]:
    """Return what a window of these vertices evaluates to."""
    return dict(evaluate(a_window(*vertices, values=values), a_policy(**policy), restart_s))


@pytest.mark.parametrize(
    ("values", "policy", "expected"),
    [
        pytest.param({}, {}, 2000.0, id="rate-by-busy-time"),
        pytest.param({"load": [0.4, 0.6, None, math.inf, 0.1, 0.1]}, {}, 3333.333, id="mean-of-finite-loads"),
        pytest.param({"load": None}, {}, None, id="no-load"),
        pytest.param({"load": math.inf}, {}, 0.0, id="infinitely-busy"),
        pytest.param({"load": 0.0}, {}, math.inf, id="not-busy"),
        pytest.param({"load": 0.0, "records_in": counter(-5.0)}, {}, -math.inf, id="backwards-not-busy"),
        pytest.param({"records_in": 7.0}, {}, math.inf, id="nothing-read"),
        pytest.param({"records_in": 7.0, "load": None}, {}, math.inf, id="nothing-read-at-unknown-load"),
        pytest.param({"records_in_per_s": 70.0}, {}, 140.0, id="gauge-before-counter"),
        pytest.param({"records_in_per_s": math.inf}, {}, 2000.0, id="infinite-gauge"),
        pytest.param({"records_in_per_s": 70.0}, AVG, 2000.0, id="avg-takes-the-counter"),
        pytest.param({"load": 0.1}, AVG, 2000.0, id="avg-takes-busy-counter"),
        pytest.param({"accumulated_busy_ms": None}, AVG, None, id="avg-without-busy-counter"),
        pytest.param({"accumulated_busy_ms": 7.0}, AVG, math.inf, id="avg-idle"),
        pytest.param({"accumulated_busy_ms": counter(-7.0)}, AVG, -571428.571, id="avg-fallen"),
        pytest.param(
            {"accumulated_busy_ms": counter(-7.0)}, AVG | {"extras": True}, math.inf, id="avg-fallen-counts-as-idle"
        ),
        pytest.param({"observed_tpr": 1000.0}, {}, 1000.0, id="observed-is-lower"),
        pytest.param({"observed_tpr": 1800.0}, {}, 2000.0, id="observed-within-threshold"),
        pytest.param({"observed_tpr": [None] * 5 + [9.0]}, {}, 2000.0, id="observed-too-seldom"),
        pytest.param({"observed_tpr": 1300.0, "load": 0.0}, {}, 1300.0, id="observed-for-infinite"),
        pytest.param({"observed_tpr": 1300.0, "load": None}, {}, 1300.0, id="observed-for-absent"),
        pytest.param({"observed_tpr": math.inf}, {}, 2000.0, id="observed-infinite"),
    ],
)
def test_true_processing_rate(values: Values, policy: dict[str, Any], expected: float | None) -> None:
    """The true processing rate is the rate per busy time, or what was observed where that is better known."""
    assert evaluated(values={"a": values}, **policy)["a"].tpr == expected


@pytest.mark.parametrize(
    ("values", "policy", "target", "catch_up"),
    [
        pytest.param({}, {}, 1000.0, 0.0, id="no-lag"),
        pytest.param({"lag": counter(100.0)}, {}, 1100.0, 50.0, id="growing-lag"),
        pytest.param({"lag": counter(-2000.0)}, {}, 0.0, -1000.0, id="never-negative"),
        pytest.param({"lag": [None, None, 0.0, 6e3, 12e3, 18e3]}, {}, 1100.0, 30.0, id="lag-appears"),
        pytest.param({"lag": [0.0, 6e3, 12e3, 18e3, 24e3, None]}, {}, 1100.0, 0.0, id="lag-unknown-now"),
        pytest.param({"lag": 600.0}, {"catch_up_duration": 0}, 1000.0, 0.0, id="catch-up-off"),
        pytest.param({"lag": 600.0}, {"catch_up_duration": 999}, 1000.0, 0.0, id="below-one-second"),
        pytest.param({"lag": 900.0}, {"catch_up_duration": 90_500}, 1000.0, 10.0, id="whole-seconds"),
    ],
)
def test_source_demand(values: Values, policy: dict[str, Any], target: float, catch_up: float) -> None:
    """A source should read what arrives, and what has piled up within the catch-up duration."""
    found = evaluated(values={"a": values}, **policy)["a"]
    assert (found.target_rate, found.catch_up_rate) == (target, catch_up)


@pytest.mark.parametrize("values", [{"records_in": None}, {"lag": None}, {"lag": [None] * 5 + [3.0]}])
def test_a_source_without_rates_cannot_be_evaluated(values: Values) -> None:
    """Without a rate of what a source reads, or of its lag, no vertex has a target."""
    with pytest.raises(UndecidableError, match="the source a"):
        evaluated(values={"a": values})


@pytest.mark.parametrize(("lag", "behind"), [(300.0, False), (301.0, True)])
def test_a_few_records_that_nobody_reads_hold_no_job(lag: float, behind: bool) -> None:
    """With extras an idle topic that shows some lag for ever, as a transactional one does, keeps nothing from
    shrinking; without them any lag at rate 0 is a backlog."""
    idle: Values = {"records_in": 7.0, "lag": lag}
    for extras in (True, False):
        found = evaluated(
            a_vertex("a"), a_vertex("b"), values={"a": idle}, extras=extras, backlog_lag_threshold=5 * MINUTE
        )
        assert (found["b"].scale_down_threshold == math.inf) is (behind or not extras)


UNKNOWN: Values = {"records_in": None, "lag": None}
SILENT: Values = UNKNOWN | {"records_out": 0.0}
INCOMPLETE: Values = UNKNOWN | {"records_out": None}


@pytest.mark.parametrize(
    ("source", "joined"),
    [
        pytest.param(SILENT, 1000.0, id="hands-on-nothing"),
        pytest.param(INCOMPLETE, None, id="nothing-is-known-of-it"),
        pytest.param(UNKNOWN, None, id="hands-on-what-it-does-not-count"),
    ],
)
def test_a_source_without_rates_holds_only_what_it_feeds(source: Values, joined: float | None) -> None:
    """With extras what a source feeds is not known if it hands on something, or may; the rest of the job is."""
    vertices = (
        a_vertex("a"),
        a_vertex("b"),
        a_vertex("of-b", "b"),
        a_vertex("of-both", "a", "b"),
        a_vertex("last", "of-both"),
    )
    found = evaluated(*vertices, values={"a": source}, extras=True)
    assert (found["a"].target_rate, found["a"].tpr) == (None, None)
    assert found["of-b"].target_rate == 1000.0
    assert found["of-both"].target_rate == found["last"].target_rate == joined
    with pytest.raises(UndecidableError):
        evaluated(*vertices, values={"a": source})


@pytest.mark.parametrize("other", [UNKNOWN, {"records_in": 0.0}], ids=["also-unknown", "finished"])
def test_a_job_all_of_whose_running_sources_are_unknown_cannot_be_evaluated(other: Values) -> None:
    """Where nothing at all can be sized an operator hears of an error, with extras too."""
    vertices = (a_vertex("a"), a_vertex("b", finished=other is not UNKNOWN))
    with pytest.raises(UndecidableError, match="for the source a"):
        evaluated(*vertices, values={"a": SILENT, "b": other}, extras=True)


def test_a_lag_never_reported_does_not_grow() -> None:
    """With extras a source whose connector reports no lag is sized by what it reads."""
    found = evaluated(values={"a": {"lag": None}}, extras=True)["a"]
    assert (found.target_rate, found.catch_up_rate) == (1000.0, 0.0)


@pytest.mark.parametrize(
    ("values", "behind"),
    [
        pytest.param({"lag": 300_001.0}, True, id="behind"),
        pytest.param({"lag": 300_000.0}, False, id="exactly-at-threshold"),
        pytest.param({"lag": 1.0, "records_in": 0.0}, True, id="lag-at-rate-zero"),
        pytest.param({"lag": 0.0, "records_in": 0.0}, False, id="no-lag-at-rate-zero"),
        pytest.param({"lag": 9e9, "records_in": counter(-1.0)}, False, id="negative-quotient"),
        pytest.param({"lag": [9e9] * 5 + [None]}, False, id="unknown-now"),
    ],
)
def test_backlog_widens_the_thresholds(values: Values, behind: bool) -> None:
    """While any source is far behind, utilizations from 0 to 1 are accepted."""
    found = evaluated(values={"a": values}, backlog_lag_threshold=5 * MINUTE)["a"]
    assert (found.scale_down_threshold == math.inf) is behind


JOIN = (a_vertex("a"), a_vertex("b"), a_vertex("j", "a", "b"))
JOIN_AND_SIDE = (*JOIN, a_vertex("s", "b"))


@pytest.mark.parametrize(
    ("vertices", "values", "target"),
    [
        pytest.param((a_vertex("a"), a_vertex("j", "a")), {"j": counter(250.0)}, 250.0, id="only-input"),
        pytest.param((a_vertex("a"), a_vertex("j", "a", "a")), {"j": counter(250.0)}, 250.0, id="self-join"),
        pytest.param((a_vertex("a"), a_vertex("j", "a")), {"j": None}, 0.0, id="only-input-and-no-rate"),
        pytest.param(JOIN, {"j": counter(1500.0)}, 1000.0, id="others-taken-off"),
        pytest.param(JOIN, {"j": counter(900.0)}, 0.0, id="others-sent-more"),
        pytest.param(JOIN, {"j": None}, 0.0, id="others-taken-off-nothing"),
        pytest.param(JOIN_AND_SIDE, {"j": counter(1500.0)}, 1500.0, id="output-where-other-feeds-two"),
    ],
)
def test_edges(vertices: tuple[Vertex, ...], values: dict[str, Any], target: float) -> None:
    """What flows along an edge is taken from what its ends report."""
    found = evaluated(*vertices, values={each: {"records_in": value} for each, value in values.items()})
    assert found["j"].target_rate == target


def test_an_edge_whose_rival_reports_no_output_carries_its_own() -> None:
    """Where it is not known what the others sent, the edge carries what its source sent."""
    values: dict[str, Values] = {"a": {"records_out": counter(300.0)}, "b": {"records_out": None}}
    assert evaluated(*JOIN, values=values)["j"].target_rate == 1000.0


def test_an_edge_whose_rate_is_no_number_carries_nothing() -> None:
    """Infinitely many records less infinitely many are not above 0: what flows on the other edge counts alone."""
    endless = [0.0] * 5 + [math.inf]
    values: dict[str, Values] = {"a": {"records_out": endless}, "j": {"records_in": endless}}
    assert evaluated(*JOIN, values=values)["j"].target_rate == math.inf


def test_an_input_that_reads_nothing_sends_nothing() -> None:
    """A ratio over a rate that is not above 0 is 0."""
    values: dict[str, Values] = {"a": {"records_in": 0.0}, "j": {"records_in": counter(5.0)}}
    assert evaluated(a_vertex("a"), a_vertex("j", "a"), values=values)["j"].target_rate == 0.0


def test_downstream_uses_rounded_rates() -> None:
    """A target is rounded before the next vertex multiplies it."""
    chain = (a_vertex("a"), a_vertex("b", "a"), a_vertex("c", "b"))
    values: dict[str, Values] = {
        "a": {"records_in": counter(0.0009)},
        "b": {"records_in": counter(3.0)},
        "c": {"records_in": counter(3000.0)},
    }
    found = evaluated(*chain, values=values)
    assert found["a"].target_rate == 0.001
    assert found["b"].target_rate == 3.333
    assert found["c"].target_rate == 3333.0


def test_an_infinite_target_times_nothing_is_absent() -> None:
    """Where a product is not a number, the demand downstream is absent, and so is its capacity."""
    chain = (a_vertex("a"), a_vertex("b", "a"), a_vertex("c", "b"))
    values: dict[str, Values] = {"a": {"lag": [0.0] * 5 + [math.inf]}, "b": {"records_in": None}}
    found = evaluated(*chain, values=values)
    assert (found["a"].target_rate, found["b"].target_rate, found["c"].target_rate) == (math.inf, None, None)
    assert found["c"].scale_up_threshold is None


@pytest.mark.parametrize(
    ("policy", "up", "down"),
    [
        pytest.param({}, 1667.0, 2500.0, id="target-and-boundary"),
        pytest.param({"utilization_max": 0.9, "utilization_min": 0.5}, 1111.0, 2000.0, id="explicit"),
        pytest.param({"utilization_max": 1.5, "utilization_min": 0.0}, 1000.0, math.inf, id="cut-to-0-and-1"),
        pytest.param({"utilization_boundary": 0.8}, 1000.0, math.inf, id="boundary-beyond-0"),
    ],
)
def test_thresholds(policy: dict[str, Any], up: float, down: float) -> None:
    """Thresholds are the capacities needed at the utilizations that bound peace."""
    found = evaluated(values={}, **policy)["a"]
    assert (found.scale_up_threshold, found.scale_down_threshold) == (up, down)


def test_restart_counts_in_the_scale_down_threshold_only() -> None:
    """Before shrinking, the backlog of the restart it takes is counted."""
    found = evaluated(values={}, restart_s=60)["a"]
    assert (found.scale_up_threshold, found.scale_down_threshold) == (1667.0, 2600.0)


def test_load_and_lag_are_reported() -> None:
    """Load comes from the aggregator's busy time; lag is the newest, of sources only."""
    vertices = (a_vertex("a"), a_vertex("b", "a"))
    found = evaluated(*vertices, values={"a": {"lag": 12.0, "load": 0.1}}, **AVG)
    assert (found["a"].load, found["a"].lag, found["b"].lag) == (0.5, 12.0, None)


def test_capacity_that_is_not_a_number_is_absent() -> None:
    """Infinite demands that cancel out leave no capacity."""
    assert needed_capacity(math.inf, -math.inf, 0.5, a_policy()) is None

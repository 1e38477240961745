"""Rates of counters, averages of gauges, and what is computed while sampling."""

from __future__ import annotations

import math

import pytest

from autoscaler.core import observed_true_processing_rate, rounded_sample
from autoscaler.core.estimators import average, rate
from autoscaler.model import VertexSample
from tests.core.builders import a_policy


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        pytest.param([0.0, 5.0, 60.0], 0.5, id="first-to-last"),
        pytest.param([None, 0.0, 60.0], 1.0, id="first-that-has-it"),
        pytest.param([0.0, 60.0, None], 1.0, id="last-that-has-it"),
        pytest.param([60.0, 0.0, 0.0], -0.5, id="backwards-is-a-number"),
        pytest.param([None, 1.0, None], None, id="one-value"),
        pytest.param([None, None, None], None, id="no-value"),
        pytest.param([math.inf, 0.0, math.inf], None, id="not-a-number"),
        pytest.param([0.0, 0.0, math.inf], math.inf, id="infinite"),
    ],
)
def test_rate(values: list[float | None], expected: float | None) -> None:
    """A rate runs from the first to the last sample that has a value."""
    assert rate([0, 60_000, 120_000], values) == expected


def test_rate_without_time_is_absent() -> None:
    """Two values at the same instant tell no rate."""
    assert rate([5, 5], [1.0, 2.0]) is None
    assert rate([], []) is None


@pytest.mark.parametrize(
    ("values", "minimum", "expected"),
    [
        pytest.param([1.0, 2.0, None], 1, 1.5, id="mean-of-present"),
        pytest.param([1.0, math.inf, 3.0], 1, 2.0, id="infinite-left-out"),
        pytest.param([1.0, math.inf], 2, None, id="too-few-finite"),
        pytest.param([math.inf, None], 5, math.inf, id="only-infinite"),
        pytest.param([-math.inf], 1, math.inf, id="any-infinite"),
        pytest.param([None], 1, None, id="absent"),
        pytest.param([], 1, None, id="empty"),
        pytest.param([0.1] * 10, 1, 0.09999999999999999, id="plain-sum"),
    ],
)
def test_average(values: list[float | None], minimum: int, expected: float | None) -> None:
    """An average takes the finite values, and enough of them, in a plain sum."""
    assert average(values, minimum) == expected


@pytest.mark.parametrize(
    ("rate_in", "lag", "back_pressured", "earlier", "expected"),
    [
        pytest.param(0.0, 1e9, 0.0, [], math.inf, id="idle"),
        pytest.param(100.0, 3000.0, 500.0, [], 200.0, id="at-threshold"),
        pytest.param(100.0, 2999.0, 500.0, [], None, id="below-threshold"),
        pytest.param(100.0, 2999.0, 500.0, [300.0, 500.0], 400.0, id="earlier-observations"),
        pytest.param(100.0, 2999.0, 500.0, [300.0], None, id="one-earlier-observation"),
        pytest.param(100.0, 1e9, 1000.0, [300.0, 500.0], 400.0, id="wholly-back-pressured"),
        pytest.param(100.0, 1e9, None, [], None, id="back-pressure-unknown"),
        pytest.param(100.0, None, 0.0, [], None, id="lag-unknown"),
    ],
)
def test_observed_true_processing_rate(
    rate_in: float, lag: float | None, back_pressured: float | None, earlier: list[float | None], expected: float | None
) -> None:
    """A source is observed only while it is behind; otherwise earlier observations stand in."""
    observed = observed_true_processing_rate(
        rate_in=rate_in, lag=lag, back_pressured_ms_per_s=back_pressured, earlier=earlier, policy=a_policy()
    )
    assert observed == expected


def test_observed_lag_threshold_counts_whole_seconds() -> None:
    """A threshold of 400 ms is none: any lag, even 0, counts as catching up."""
    policy = a_policy(observed_tpr_lag_threshold=400)
    observed = observed_true_processing_rate(
        rate_in=10.0, lag=0.0, back_pressured_ms_per_s=0.0, earlier=[], policy=policy
    )
    assert observed == 10.0


def test_rounded_sample() -> None:
    """Every value of a sample is rounded as it is kept; absent stays absent."""
    sample = VertexSample(load=0.70049, records_in=2.0005, observed_tpr=math.inf)
    assert rounded_sample(sample) == VertexSample(load=0.7, records_in=2.001, observed_tpr=math.inf)

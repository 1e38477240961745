"""How a job as a whole fares."""

from __future__ import annotations

from dataclasses import replace

import pytest
from msgspec import structs

from autoscaler.core.fare import fare_before, fare_of, growing_lag, samples_of_attempt, slots_of
from autoscaler.model import Fare, Policy, Topology, Window
from tests.core.builders import MINUTE, NOW, a_vertex, a_window, counter

POLICY = Policy(backlog_lag_threshold=5 * MINUTE)


def lags(*values: float | None, per_s: float = 1_000) -> Window:
    """A window of a source that reads at a rate while its lag goes through some values."""
    return a_window(values={"a": {"records_in": counter(per_s), "lag": list(values)}})


def with_doubt(window: Window, number: int) -> Window:
    """The window with a sample of which something is doubted."""
    samples = list(window.samples)
    samples[number] = structs.replace(samples[number], doubts=("metrics of 1 subtasks of a",))
    return replace(window, samples=tuple(samples))


def test_a_job_fares_as_its_sources_do() -> None:
    """What all sources read and what arrives at them, over the samples given; vertices of one group share slots."""
    window = a_window(
        a_vertex("a", parallelism=2, slot_sharing_group="x"),
        a_vertex("b", parallelism=3, slot_sharing_group="y"),
        a_vertex("c", "a", "b", parallelism=5, slot_sharing_group="y"),
        a_vertex("d", finished=True, parallelism=1, slot_sharing_group="x"),
        values={"a": {"lag": [0.0, 60.0, 120.0, 180.0, 240.0, 300.0]}, "b": {"records_in": counter(500)}},
    )
    found = fare_of(window.topology, window.samples, 0.2)
    assert found == Fare(throughput=1_500.0, arriving=1_501.0, lag_growth=1.0, slots=7, gc_pressure=0.2)


def test_a_change_is_judged_against_the_worse_of_the_window_and_its_end() -> None:
    """What set in just before a change is not blamed on it: less is read, and lag grows, in the newest samples only."""
    reads = [0.0, 60_000.0, 120_000.0, 180_000.0, 240_000.0, 270_000.0]
    found = fare_before(a_window(values={"a": {"records_in": reads, "lag": [0.0, 0.0, 0.0, 0.0, 0.0, 30_000.0]}}), 0.2)
    assert found == Fare(throughput=500.0, arriving=1_000.0, lag_growth=500.0, slots=4, gc_pressure=0.2)


def test_a_job_that_recovers_is_judged_by_the_whole_window() -> None:
    """A good newest minute makes nothing better than it was, and one sample or an unknown lag tells no newest one."""
    lag = [0.0, 60_000.0, 120_000.0, 180_000.0, 240_000.0, 240_000.0]
    assert fare_before(lags(*lag)).lag_growth == 800.0
    unknown = lags(0.0, 0.0, 0.0, 0.0, 60_000.0, None)
    assert fare_before(unknown) == fare_of(unknown.topology, unknown.samples)


def test_what_one_source_does_not_tell_is_not_known() -> None:
    """A sum that lacks a part is no sum."""
    window = a_window(a_vertex("a"), a_vertex("b"), values={"b": {"lag": None}})
    found = fare_of(window.topology, window.samples)
    assert (found.throughput, found.lag_growth, found.arriving) == (2_000.0, None, None)
    assert fare_of(Topology(vertices=()), ()) == Fare(slots=0)


def test_how_a_job_fares_is_told_by_what_came_after_a_doubt() -> None:
    """A sample that may be wrong neither blames a change nor sets what it is judged against; what follows it does."""
    half_told = lags(0.0, 0.0, 300_000.0, 300_000.0, 300_000.0, 300_000.0)
    assert fare_of(half_told.topology, half_told.samples).arriving == 2_000.0
    doubted = with_doubt(half_told, 1)
    assert fare_of(doubted.topology, doubted.samples).arriving == 1_000.0
    assert fare_before(doubted).arriving == 1_000.0


@pytest.mark.parametrize("doubtful", [4, 5])
def test_one_sample_after_a_doubt_tells_nothing(doubtful: int) -> None:
    """A rate takes two samples; slots and garbage collection are told by none of them."""
    window = with_doubt(a_window(), doubtful)
    assert fare_of(window.topology, window.samples, 0.2) == Fare(slots=4, gc_pressure=0.2)
    assert fare_before(window, 0.2) == Fare(slots=4, gc_pressure=0.2)


def test_slots_by_parallelism() -> None:
    """Groups that are not known are one."""
    vertices = (a_vertex("a"), a_vertex("b", "a"))
    assert slots_of(vertices, {}) == 4
    assert slots_of(vertices, {"b": 9}) == 9


@pytest.mark.parametrize(
    ("window", "behind"),
    [
        (lags(0, 60_000, 120_000, 180_000, 240_000, 300_000), 5 * MINUTE),
        (lags(0, 60_000, 120_000, 180_000, 240_000, 299_000), None),
        (lags(*[400_000.0] * 6), None),
        (lags(400_000, 410_000, 410_000, 412_000, 413_000, 414_000), None),
        (lags(400_000, 500_000, 600_000, 700_000, 800_000, 790_000), None),
        (lags(*[None] * 6), None),
        (lags(400_000, 500_000, 600_000, 700_000, 800_000, None), None),
        (lags(1, 2, 3, 4, 5, 6, per_s=0), 5 * MINUTE),
    ],
    ids=["growing", "not enough", "steady", "noise", "shrinking by now", "unknown", "not known now", "stands still"],
)
def test_a_growing_lag_is_far_behind_and_still_grows(window: Window, behind: int | None) -> None:
    """Beyond the threshold, growing over the window by more than noise, and growing still."""
    assert growing_lag(window, POLICY) == behind


def test_only_sources_that_run_fall_behind() -> None:
    """Neither a vertex that is fed nor a source that has ended has a lag of its own."""
    values = {each: {"lag": [0.0, 6e5, 12e5, 18e5, 24e5, 30e5]} for each in "abc"}
    window = a_window(a_vertex("a", finished=True), a_vertex("b", "a"), values=values)
    assert growing_lag(window, POLICY) is None


def test_samples_of_the_attempt_leave_out_what_was_before_and_its_settling() -> None:
    """Rates across a restart are no rates, and those of its first minutes are not typical."""
    window = replace(a_window(), running_since=NOW - 3 * MINUTE)
    assert [s.at for s in samples_of_attempt(window, MINUTE)] == [NOW - 2 * MINUTE, NOW - MINUTE, NOW]

"""What a vertex needed of late keeps it from being shrunk between two peaks."""

from __future__ import annotations

from typing import Any

import pytest

from autoscaler.core.needs import with_newest
from autoscaler.model import Decision, History, Limit, Need, Reason
from tests.core.builders import HOUR, MINUTE, NOW, Values, a_decision, a_policy, a_vertex, a_window, counter

IDLE: Values = {"load": 0.05}  # 20 subtasks want to be 2, and 3 would be too fast
PART = HOUR // 12


def a_need(age: int = 0, parallelism: int = 15, ample: int = 19) -> Need:
    return Need(at=NOW - age, parallelism=parallelism, ample=ample)


def idle(*needs: Need, values: Values = IDLE, **policy: Any) -> Decision:
    """What is decided on a source of 20 subtasks that hardly does anything, and needed some things of late."""
    vertex = a_vertex(parallelism=20, source_partitions=1)
    options: dict[str, Any] = {"extras": True, "scale_up_grace_period": HOUR, "scale_down_max_factor": 1.0}
    return a_decision(
        a_window(vertex, values={"a": values}), History(needs={"a": needs} if needs else {}), **options | policy
    )


@pytest.mark.parametrize(
    ("needs", "parallelism"),
    [
        pytest.param((), 2, id="nothing-known"),
        pytest.param((a_need(HOUR - 1),), 15, id="within"),
        pytest.param((a_need(HOUR),), 2, id="exactly-over"),
        pytest.param((a_need(HOUR - 1), a_need(MINUTE, parallelism=7, ample=9)), 15, id="the-most-counts"),
        pytest.param((a_need(parallelism=21),), 20, id="more-than-it-has"),
        pytest.param((a_need(ample=20),), 20, id="was-not-too-much-then"),
    ],
)
def test_no_vertex_is_shrunk_below_what_it_needed_of_late(needs: tuple[Need, ...], parallelism: int) -> None:
    """The largest need within the grace period bounds a scale-down, which must have been worth it for that need too."""
    found = idle(*needs)
    assert found.parallelism == {"a": parallelism}
    assert found.rescale is (parallelism != 20)
    assert (Limit.NEEDED_OF_LATE in found.sizings["a"].limits) is (parallelism != 2)


def test_what_was_needed_never_grows_a_vertex() -> None:
    """A need that is over is no reason to have more."""
    found = idle(a_need(parallelism=100, ample=100))
    assert (found.reason, found.parallelism) == (Reason.STEADY, {"a": 20})


def test_a_need_is_noted_with_each_decision() -> None:
    """What the model asks for, not cut by the largest step, and the most that is not too much."""
    assert idle(scale_down_max_factor=0.1).needs == {"a": (Need(at=NOW, parallelism=2, ample=2),)}
    busy = idle(values={"load": 1.0, "records_in": counter(1_000)})
    assert busy.needs == {"a": (Need(at=NOW, parallelism=40, ample=55),)}


def test_a_part_of_a_subtask_too_much_is_too_much() -> None:
    """Three subtasks that have work for one are too many, although more than two of them would be just ample."""
    vertex = a_vertex(parallelism=3, source_partitions=3)
    options: dict[str, Any] = {
        "extras": True,
        "scale_up_grace_period": HOUR,
        "scale_down_max_factor": 1.0,
        "utilization_min": 0.2,
    }
    found = a_decision(a_window(vertex, values={"a": {"load": 0.14}}), History(), **options)
    (need,) = found.needs["a"]
    assert (need.parallelism, need.ample) == (1, 2)
    assert found.rescale
    assert found.parallelism == {"a": 1}


def test_less_than_a_tenth_too_much_is_noise() -> None:
    """Windows differ by as much: twenty subtasks are left where nineteen would be just ample, and 18 are not."""
    options: dict[str, Any] = {"extras": True, "scale_up_grace_period": HOUR, "utilization_min": 0.2}
    for load, rescales in ((0.19, False), (0.18, True)):
        found = a_decision(a_window(a_vertex(parallelism=20), values={"a": {"load": load}}), History(), **options)
        assert found.rescale is rescales


def test_needs_stay_within_what_a_vertex_can_have() -> None:
    """Nothing processed needs one subtask; a backlog, for which nothing is too much, no more than the maximum."""
    stopped: Values = {"records_in": [0.0] * 6, "lag": [0.0] * 6}
    assert idle(values=stopped).needs == {"a": (Need(at=NOW, parallelism=1, ample=1),)}
    behind: Values = {"lag": [1e9] * 6, "load": 1.0}
    assert idle(values=behind).needs == {"a": (Need(at=NOW, parallelism=128, ample=128),)}


def test_what_cannot_be_told_now_is_not_noted() -> None:
    """A vertex without a rate or that is left alone keeps what is known of it."""
    known = a_need(MINUTE)
    assert idle(known, values={"load": None}).needs == {"a": (known,)}
    assert idle(known, excluded_vertices=frozenset({"a"})).needs == {"a": (known,)}
    assert idle(excluded_vertices=frozenset({"a"})).needs == {}


def test_needs_are_kept_by_a_decision_that_ends_early() -> None:
    """A window that is not full, a failed evaluation, or a rescale forgets nothing."""
    history = History(needs={"a": (a_need(MINUTE),)})
    extras: dict[str, Any] = {"extras": True, "scale_up_grace_period": HOUR}
    assert a_decision(a_window(count=3), history, **extras).needs == history.needs
    failed = a_decision(a_window(values={"a": {"records_in": None}}), history, **extras)
    assert (failed.reason, failed.needs) == (Reason.ERROR, history.needs)
    assert idle(a_need(MINUTE)).reason is Reason.SCALE
    assert idle(a_need(MINUTE)).needs == {"a": (a_need(MINUTE),)}


@pytest.mark.parametrize("policy", [{"extras": False}, {"scale_up_grace_period": 0}])
def test_without_a_period_or_extras_nothing_counts(policy: dict[str, Any]) -> None:
    """The reference knows no such memory, and who sets no grace period wants none."""
    found = idle(a_need(MINUTE), **policy)
    assert found.parallelism == {"a": 2}


def test_the_largest_of_each_part_of_a_period_is_kept() -> None:
    """What is stored changes twelve times a period, not with each decision, unless more is needed than before."""
    policy = a_policy(scale_up_grace_period=HOUR)
    first = (a_need(PART - 1, 4, 8),)
    assert with_newest(first, a_need(0, 3, 8), policy) == first
    assert with_newest(first, a_need(0, 5, 7), policy) == (a_need(PART - 1, 5, 8),)
    assert with_newest((a_need(PART, 4, 8),), a_need(0, 3, 8), policy) == (a_need(PART, 4, 8), a_need(0, 3, 8))
    assert with_newest((a_need(HOUR), a_need(1)), a_need(0), policy) == (a_need(1),)

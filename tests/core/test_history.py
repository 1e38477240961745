"""What past scalings and restarts tell, and how linear a vertex scales."""

from __future__ import annotations

import math
from typing import Any

import pytest

from autoscaler.core.errors import UndecidableError
from autoscaler.core.history import (
    completed_restarts,
    last_growth,
    restart_time_s,
    trimmed_scalings,
    was_ineffective,
)
from autoscaler.core.scalability import scalability
from autoscaler.model import History, Restart, Scaling
from tests.core.builders import HOUR, MINUTE, NOW, RUNNING_SINCE, a_policy, a_scaling, a_window

DAY = 24 * HOUR


@pytest.mark.parametrize(
    ("ages", "policy", "kept"),
    [
        pytest.param([4, 3, 2, 1], {}, [3, 2, 1], id="newest-three"),
        pytest.param([DAY, 1], {}, [DAY, 1], id="exactly-as-old"),
        pytest.param([DAY + 1, 1], {}, [1], id="too-old"),
        pytest.param([2, 1], {"history_max_count": 0}, [], id="keeps-none"),
    ],
)
def test_trimmed_scalings(ages: list[int], policy: dict[str, Any], kept: list[int]) -> None:
    """A scaling counts while it is young and among the newest."""
    history = History(scalings={"a": tuple(a_scaling(NOW - age) for age in ages), "gone": (a_scaling(),)})
    found = trimmed_scalings(history, a_window().topology, a_policy(**policy), NOW)
    assert [NOW - each.at for each in found.get("a", ())] == kept
    assert "gone" not in found


AT = RUNNING_SINCE - 42_900


@pytest.mark.parametrize(
    ("restarts", "scalings", "policy", "expected"),
    [
        pytest.param((), (), {}, (), id="none"),
        pytest.param((Restart(at=AT),), (), {}, (Restart(at=AT, duration_s=42),), id="measured-in-whole-seconds"),
        pytest.param(
            (Restart(at=AT),),
            (a_scaling(AT, to_parallelism=4),),
            {},
            (Restart(at=AT, duration_s=42),),
            id="achieved",
        ),
        pytest.param((Restart(at=AT),), (a_scaling(AT, to_parallelism=5),), {}, (Restart(at=AT),), id="not-achieved"),
        pytest.param(
            (Restart(at=AT),),
            (a_scaling(AT - 1, to_parallelism=5),),
            {},
            (Restart(at=AT, duration_s=42),),
            id="scaled-at-another-time",
        ),
        pytest.param((Restart(at=AT, duration_s=7),), (), {}, (Restart(at=AT, duration_s=7),), id="measured-before"),
        pytest.param(
            (Restart(at=AT - DAY), Restart(at=AT, duration_s=7)),
            (),
            {"history_max_age": MINUTE},
            (Restart(at=AT, duration_s=7),),
            id="newest-stays-however-old",
        ),
        pytest.param(
            (Restart(at=AT - 1), Restart(at=AT, duration_s=7)),
            (),
            {},
            (Restart(at=AT - 1), Restart(at=AT, duration_s=7)),
            id="only-newest-is-measured",
        ),
    ],
)
def test_completed_restarts(
    restarts: tuple[Restart, ...],
    scalings: tuple[Scaling, ...],
    policy: dict[str, Any],
    expected: tuple[Restart, ...],
) -> None:
    """The newest restart is measured once the job runs as it was scaled to."""
    found = completed_restarts(restarts, {"a": scalings}, a_window(), a_policy(**policy), NOW)
    assert found == expected


@pytest.mark.parametrize(
    ("durations", "tracking", "expected"),
    [
        pytest.param([10, 200, 30], True, 200, id="longest"),
        pytest.param([10, None], True, 10, id="unknown-left-out"),
        pytest.param([2000], True, 900, id="limited"),
        pytest.param([None], True, 90, id="none-known"),
        pytest.param([], True, 90, id="none"),
        pytest.param([-5], True, 90, id="clocks-disagree"),
        pytest.param([200], False, 90, id="not-tracked"),
    ],
)
def test_restart_time(durations: list[int | None], tracking: bool, expected: int) -> None:
    """A rescale is expected to take as long as the longest one known, or as the user says."""
    restarts = [Restart(at=NOW, duration_s=each) for each in durations]
    policy = a_policy(restart_time=90_500, restart_time_tracking=tracking)
    assert restart_time_s(restarts, policy) == expected


@pytest.mark.parametrize(
    ("changes", "tpr", "ineffective"),
    [
        pytest.param({}, 1099.0, True, id="little-gain"),
        pytest.param({}, 1100.0, False, id="exactly-at-threshold"),
        pytest.param({}, None, True, id="rate-unknown"),
        pytest.param({"tpr": None}, 1900.0, True, id="last-rate-unknown"),
        pytest.param({"expected_rate": None}, 1900.0, True, id="expectation-unknown"),
        pytest.param({"expected_rate": 1000.0}, 1000.0, True, id="nothing-of-nothing"),
        pytest.param({"expected_rate": 1000.0}, 1001.0, False, id="something-of-nothing"),
        pytest.param({"tpr": math.inf}, 1900.0, True, id="not-a-number"),
        pytest.param({"to_parallelism": 5}, 1000.0, False, id="another-parallelism"),
        pytest.param({"from_parallelism": 8}, 1000.0, False, id="was-a-scale-down"),
    ],
)
def test_was_ineffective(changes: dict[str, Any], tpr: float | None, ineffective: bool) -> None:
    """A scale-up has to bring its share of what was expected of it."""
    assert was_ineffective(a_scaling(**changes), 4, tpr, 0.1) is ineffective


def test_last_growth() -> None:
    """The last growth is the newest scaling upwards."""
    down = a_scaling(NOW, from_parallelism=4, to_parallelism=2)
    assert last_growth([a_scaling(1), a_scaling(2), down]) == 2
    assert last_growth([down]) is None


@pytest.mark.parametrize(
    ("points", "policy", "expected"),
    [
        pytest.param([(1, 100.0), (2, 200.0), (4, 400.0)], {}, 1.0, id="linear"),
        pytest.param([(1, 100.0), (2, 160.0), (4, 240.0)], {}, 0.66, id="sublinear-rounded-up"),
        pytest.param([(1, 100.0), (2, 100.0), (4, 100.0)], {}, 0.5, id="floor"),
        pytest.param([(1, 100.0), (2, 400.0), (4, 900.0)], {}, 1.0, id="better-than-linear"),
        pytest.param([(1, 100.0), (2, 100.0)], {}, 1.0, id="too-few"),
        pytest.param([], {"observed_scalability_min_observations": 0}, 1.0, id="none"),
        pytest.param([(1, 100.0), (2, None), (4, 100.0)], {}, 1.0, id="rate-unknown"),
        pytest.param([(1, 100.0), (2, math.inf), (4, 100.0)], {}, 1.0, id="infinite-not-baseline"),
        pytest.param([(1, 500.0), (2, 200.0), (1, 100.0)], {}, 1.0, id="newest-of-a-tie-is-baseline"),
    ],
)
def test_scalability(points: list[tuple[int, float | None]], policy: dict[str, Any], expected: float) -> None:
    """Past scalings say how much of linear scaling a vertex achieves."""
    scalings = [a_scaling(from_parallelism=parallelism, tpr=rate) for parallelism, rate in points]
    assert scalability(scalings, a_policy(**policy)) == expected


@pytest.mark.parametrize("rates", [[math.inf, 100.0, 100.0], [0.0, 0.0, 0.0]])
def test_scalability_that_is_not_a_number_fails_the_decision(rates: list[float]) -> None:
    """An infinite or zero baseline tells nothing, and is not passed over."""
    scalings = [a_scaling(from_parallelism=2**index, tpr=rate) for index, rate in enumerate(rates)]
    with pytest.raises(UndecidableError):
        scalability(scalings, a_policy())


@pytest.mark.parametrize("rates", [[math.inf, 100.0, 100.0], [0.0, 0.0, 0.0], [100.0, -50.0, 100.0]])
def test_a_scaling_of_an_idle_vertex_does_not_fail_decisions_until_it_is_forgotten(rates: list[float]) -> None:
    """With extras a past rate that is infinite, zero or negative says nothing of how a vertex scales."""
    scalings = [a_scaling(from_parallelism=2**index, tpr=rate) for index, rate in enumerate(rates)]
    assert scalability(scalings, a_policy(extras=True)) == 1.0

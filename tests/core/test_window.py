"""Which samples count, and when there are enough."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from autoscaler.core.window import carried, metric_window
from autoscaler.model import Millis, Policy, Topology, Window
from tests.core.builders import MINUTE, NOW, SECOND, a_policy, a_sample


@pytest.mark.parametrize(
    ("ages_s", "running_s", "full", "kept"),
    [
        pytest.param([300, 60, 0], 400, True, 3, id="exactly-full"),
        pytest.param([299, 60, 0], 400, False, 3, id="one-second-short"),
        pytest.param([350, 300, 0], 410, True, 2, id="trimmed-but-for-the-edge"),
        pytest.param([350, 301, 0], 410, True, 1, id="trimmed-to-one"),
        pytest.param([350, 310, 0], 360, False, 3, id="first-stable-is-late"),
        pytest.param([330, 310, 0], 390, True, 1, id="stable-exactly-at-the-first"),
        pytest.param([30, 0], 40, False, 2, id="stabilizing"),
        pytest.param([600, 500, 0], 100, False, 1, id="restarted-since"),
        pytest.param([0], 400, False, 1, id="only-now"),
        pytest.param([], 400, False, 0, id="empty"),
    ],
)
def test_metric_window(ages_s: list[int], running_s: int, full: bool, kept: int) -> None:
    """A window fills from its first stable sample on, and is trimmed only once it is full."""
    samples = tuple(a_sample(NOW - age * SECOND) for age in ages_s)
    window = Window(topology=Topology(vertices=()), running_since=NOW - running_s * SECOND, samples=samples)
    found = metric_window(window, a_policy(metrics_window=5 * MINUTE, stabilization_interval=MINUTE), NOW)
    assert (found.is_full, len(found.samples)) == (full, kept)
    assert found.samples == samples[len(samples) - kept :]


def test_full_at() -> None:
    """The window says when it will be full, counted from the first stable sample."""
    samples = (a_sample(NOW - 2 * MINUTE), a_sample(NOW - MINUTE), a_sample(NOW))
    window = Window(topology=Topology(vertices=()), running_since=NOW - 2 * MINUTE, samples=samples)
    assert metric_window(window, a_policy(), NOW).full_at == NOW - MINUTE + 5 * MINUTE


def _full(policy: Policy, running_since: Millis, ats: Sequence[Millis]) -> list[bool]:
    """Decide at each time on what was carried over from the decision before; return whether the window was full."""
    found, kept = [], ()
    for at in ats:
        window = Window(topology=Topology(vertices=()), running_since=running_since, samples=(*kept, a_sample(at)))
        metrics = metric_window(window, policy, at)
        kept = carried(window, policy, metrics.samples[0].at)
        found.append(metrics.is_full)
    return found


LATE_MS = (0, 7, 2, 0, 5, 9, 1, 4, 0, 3, 8, 2)
MINUTELY = [NOW + minute * MINUTE + LATE_MS[minute % len(LATE_MS)] for minute in range(60)]


def test_a_full_window_stays_full_although_samples_come_some_milliseconds_late() -> None:
    """No timer is exact: once full, the window of a job that goes on running is full at every decision."""
    policy = a_policy(metrics_window=5 * MINUTE, stabilization_interval=0, decision_interval=MINUTE, extras=True)
    full = _full(policy, NOW - MINUTE, MINUTELY)
    assert full[full.index(True) :] == [True] * (len(full) - full.index(True))


def test_without_extras_a_late_sample_counts_as_in_the_reference() -> None:
    """The reference forgets what is older than the window, and then finds it not full now and then."""
    policy = a_policy(metrics_window=5 * MINUTE, stabilization_interval=0, decision_interval=MINUTE, extras=False)
    full = _full(policy, NOW - MINUTE, MINUTELY)
    assert not all(full[full.index(True) :])


@pytest.mark.parametrize(
    ("age_s", "running_s", "kept"),
    [
        pytest.param(60, 90, 2, id="the-pass-before"),
        pytest.param(119, 200, 2, id="a-late-pass"),
        pytest.param(120, 200, 1, id="before-a-gap"),
        pytest.param(60, 59, 1, id="before-a-restart"),
    ],
)
def test_what_is_carried_over(age_s: int, running_s: int, kept: int) -> None:
    """One sample that no longer counts is kept, unless a restart or a gap in which nothing was measured followed it."""
    policy = a_policy(decision_interval=MINUTE, extras=True)
    samples = (a_sample(NOW - 5 * MINUTE), a_sample(NOW - age_s * SECOND), a_sample(NOW))
    window = Window(topology=Topology(vertices=()), running_since=NOW - running_s * SECOND, samples=samples)
    assert carried(window, policy, NOW) == samples[-kept:]

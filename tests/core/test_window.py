"""Which samples count, and when there are enough."""

from __future__ import annotations

import pytest

from autoscaler.core.window import metric_window
from autoscaler.model import Topology, Window
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

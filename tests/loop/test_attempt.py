"""How long Flink itself may put a rescale off."""

from __future__ import annotations

import pytest

from autoscaler.loop import contract
from autoscaler.loop.attempt import flink_waits_ms
from autoscaler.options import layer_of

S = "jobmanager.adaptive-scheduler."
SECOND = 1_000


@pytest.mark.parametrize(
    ("version", "config", "interval", "seconds"),
    [
        (None, {}, 10_000, 0),
        ("1.18.1", {f"{S}scaling-interval.min": "1 min"}, 10_000, 0),
        ("1.20.0-amzn-1", {}, 10_000, 30),
        ("1.19.3", {f"{S}scaling-interval.min": "1 s"}, 10_000, 1),
        ("2.1.3", {}, 10_000, 30 + 60 + 30),
        ("2.1.3", {}, None, 30 + 60),
        ("2.0.2", {f"{S}scaling-interval.min": "1 s"}, 10_000, 1 + 60 + 30),
        (
            "2.3.0",
            {
                f"{S}executing.cooldown-after-rescaling": "2 s",
                f"{S}executing.resource-stabilization-timeout": "3 s",
                f"{S}rescale-trigger.max-delay": "4 s",
            },
            10_000,
            9,
        ),
        ("2.3.0", {f"{S}rescale-trigger.max-delay": "soon"}, 10_000, 30 + 60 + 30),
    ],
)
def test_flinks_own_waiting(version: str | None, config: dict[str, str], interval: int | None, seconds: int) -> None:
    """By version and configuration: cool-down, then time to stabilize, then a checkpoint."""
    settled = contract([layer_of("the job", config)], version, "emr")
    assert flink_waits_ms(settled, version, interval) == seconds * SECOND

"""A simulated cluster that runs faster than the clock, as somebody with a clock sees it. Pure.

At speed 10 a minute of the cluster takes 6 seconds: instants lie closer together, durations are a tenth, rates ten
times what they are, and shares of time, counters and parallelism are themselves.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from autoscaler.model import Millis

INSTANTS = frozenset(
    (
        "start-time",
        "end-time",
        "last-modification",
        "now",
        "trigger_timestamp",
        "latest_ack_timestamp",
        "failure_timestamp",
        "restore_timestamp",
        "startedTime",
        "launchTime",
        "timeSinceLastHeartbeat",
        "lastHealthUpdate",
    )
)
DURATIONS = frozenset(
    (
        "duration",
        "end_to_end_duration",
        "elapsedTime",
        "interval",
        "accumulated-busy-time",
        "accumulated-idle-time",
        "accumulated-backpressured-time",
    )
)
AGGREGATES = ("min", "max", "avg", "sum")


def through(document: Any, speed: float, instant: Callable[[Millis], Millis]) -> Any:
    """A document as it looks at a speed; ``instant`` turns a simulated instant into one of the watcher's clock."""
    if isinstance(document, list):
        return [through(each, speed, instant) for each in document]
    if not isinstance(document, dict):
        return document
    if _is_rate(document.get("id")):
        return {
            key: value * speed if key in AGGREGATES and _is_number(value) else value for key, value in document.items()
        }
    return {key: _seen(key, value, speed, instant) for key, value in document.items()}


def _seen(key: str, value: Any, speed: float, instant: Callable[[Millis], Millis]) -> Any:
    if key == "timestamps":
        return {name: instant(at) if at > 0 else at for name, at in value.items()}
    if key in INSTANTS and _is_number(value):
        return instant(value) if value > 0 else value
    if key in DURATIONS and _is_number(value):
        return type(value)(value / speed) if value > 0 else value
    return through(value, speed, instant)


def _is_rate(name: object) -> bool:
    return isinstance(name, str) and name.endswith("PerSecond") and not name.endswith("TimeMsPerSecond")


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)

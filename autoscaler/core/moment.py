"""When a rescale costs least: right after a checkpoint, as what was processed since the last one is processed again.

Only for a rescale that takes effect at once: on Flink up to 1.20, within the slots the job holds. From 2.0 on Flink
itself waits for a checkpoint, and where containers have to come first it is they that set the time.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from autoscaler.model import Millis, Policy

FRESH: Millis = 5_000
LONGEST_WHILE_LAGGING: Millis = 120_000


class Moment(StrEnum):
    """What to do with a rescale now."""

    SEND = "SEND"
    WAIT = "WAIT"
    SEND_LATE = "SEND_LATE"
    DROP = "DROP"


@dataclass(frozen=True, slots=True, kw_only=True)
class Rhythm:
    """A job's checkpoints: one every ``interval``, each taking ``duration``, the last one completed at ``completed``.

    ``completed`` is by the autoscaler's own clock where it saw that checkpoint appear, else by Flink's.
    """

    interval: Millis
    duration: Millis | None
    completed: Millis | None


def moment(rhythm: Rhythm, wanted_since: Millis, *, grows: bool, lags: bool, policy: Policy, now: Millis) -> Moment:
    """Return whether a rescale wanted since a time is sent now, later, without a checkpoint, or not at all."""
    if policy.checkpoint_wait_max <= 0 or is_fresh(rhythm, now):
        return Moment.SEND
    if abs(now - wanted_since) < longest_wait(rhythm, lags=lags, policy=policy):  # a clock may have been set back
        return Moment.WAIT
    return Moment.SEND_LATE if grows else Moment.DROP


def is_fresh(rhythm: Rhythm, now: Millis) -> bool:
    return rhythm.completed is not None and 0 <= now - rhythm.completed <= FRESH


def longest_wait(rhythm: Rhythm, *, lags: bool, policy: Policy) -> Millis:
    """Return how long to wait for a checkpoint: one interval and one duration, within limits."""
    expected = rhythm.interval + (rhythm.duration or 0)
    longest = min(policy.checkpoint_wait_max, LONGEST_WHILE_LAGGING) if lags else policy.checkpoint_wait_max
    return min(expected, longest)


def replayed(rhythm: Rhythm, source_rate: float | None, now: Millis) -> int | None:
    """Return the records a restart now would process again, as an estimate."""
    if source_rate is None or rhythm.completed is None:
        return None
    return round(source_rate * max(0, now - rhythm.completed + (rhythm.duration or 0)) / 1000)

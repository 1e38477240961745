"""When a rescale costs least."""

from __future__ import annotations

from dataclasses import replace

import pytest

from autoscaler.core.moment import Moment, Rhythm, longest_wait, moment, replayed
from autoscaler.model import Policy
from tests.core.builders import MINUTE, NOW, SECOND

POLICY = Policy(checkpoint_wait_max=10 * MINUTE)
RHYTHM = Rhythm(interval=60 * SECOND, duration=10 * SECOND, completed=NOW - 30 * SECOND)


@pytest.mark.parametrize(
    ("completed_ago", "waited", "grows", "expected"),
    [
        (0, 0, True, Moment.SEND),
        (5 * SECOND, 0, False, Moment.SEND),
        (5 * SECOND + 1, 0, True, Moment.WAIT),
        (-1, 0, True, Moment.WAIT),
        (30 * SECOND, 70 * SECOND - 1, False, Moment.WAIT),
        (30 * SECOND, 70 * SECOND, False, Moment.DROP),
        (30 * SECOND, 70 * SECOND, True, Moment.SEND_LATE),
        (1 * SECOND, 70 * SECOND, False, Moment.SEND),
        (None, 0, True, Moment.WAIT),
    ],
)
def test_a_rescale_follows_a_checkpoint(completed_ago: int | None, waited: int, grows: bool, expected: Moment) -> None:
    """At most 5 s after one completed; when the wait is over an up goes without, a down does not go."""
    rhythm = replace(RHYTHM, completed=None if completed_ago is None else NOW - completed_ago)
    found = moment(rhythm, NOW - waited, grows=grows, lags=False, policy=POLICY, now=NOW)
    assert found is expected


def test_waiting_can_be_switched_off() -> None:
    """With a longest wait of 0 a rescale is sent at once."""
    off = replace(POLICY, checkpoint_wait_max=0)
    assert moment(RHYTHM, NOW, grows=False, lags=False, policy=off, now=NOW) is Moment.SEND


def test_no_wait_lasts_until_a_clock_that_was_set_back_has_caught_up() -> None:
    """Wanted since a time that lies far ahead a rescale has waited enough."""
    ahead = NOW + 24 * 60 * MINUTE
    assert moment(RHYTHM, ahead, grows=True, lags=False, policy=POLICY, now=NOW) is Moment.SEND_LATE


def test_the_wait_is_an_interval_and_a_duration_within_limits() -> None:
    """At most checkpoint-wait.max, and 2 min while the lag grows, unless the former is less."""
    slow = replace(RHYTHM, interval=30 * MINUTE)
    assert longest_wait(RHYTHM, lags=True, policy=POLICY) == 70 * SECOND
    assert longest_wait(replace(RHYTHM, duration=None), lags=False, policy=POLICY) == 60 * SECOND
    assert longest_wait(slow, lags=False, policy=POLICY) == 10 * MINUTE
    assert longest_wait(slow, lags=True, policy=POLICY) == 2 * MINUTE
    assert longest_wait(slow, lags=True, policy=replace(POLICY, checkpoint_wait_max=MINUTE)) == MINUTE


def test_what_is_replayed_is_estimated_from_when_the_checkpoint_began() -> None:
    """Records since the checkpoint was triggered are read again; unknown is not 0."""
    assert replayed(RHYTHM, 100.0, NOW) == 4_000
    assert replayed(replace(RHYTHM, duration=None), 100.0, NOW) == 3_000
    assert replayed(RHYTHM, None, NOW) is None
    assert replayed(replace(RHYTHM, completed=None), 100.0, NOW) is None

"""Steps run once, at their time, in the threads of their lane."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest
from structlog.testing import capture_logs

from autoscaler.loop import Lane
from autoscaler.service import system_clock
from autoscaler.steps import TICK, StepScheduler
from autoscaler.telemetry import Journal

PATIENCE = 10.0


@pytest.fixture
def scheduler() -> Iterator[StepScheduler]:
    running = StepScheduler(2, system_clock, Journal())
    running.start()
    yield running
    running.stop()


def test_steps_due_together_each_run(scheduler: StepScheduler) -> None:
    """As many threads as the lane has run what is due within one tick, whatever the order of planning."""
    both = threading.Barrier(3)
    due = system_clock() + TICK
    for name in ("one", "other"):
        scheduler.at(due, lambda: both.wait(PATIENCE), name=name)  # type: ignore[arg-type, return-value]
    both.wait(PATIENCE)
    assert not both.broken


def test_a_later_plan_replaces_an_earlier_one(scheduler: StepScheduler) -> None:
    """A name has one step: the last one planned, at its own time."""
    ran: list[str] = []
    done = threading.Event()
    due = system_clock() + 2 * TICK
    scheduler.at(due, lambda: ran.append("first"), name="job")
    scheduler.at(due - TICK, lambda: ran.append("second"), name="job")
    scheduler.at(due + TICK, done.set, name="end")
    assert done.wait(PATIENCE)
    assert ran == ["second"]


def test_a_step_is_never_early(scheduler: StepScheduler) -> None:
    """A time between two ticks waits for the later one."""
    began: list[int] = []
    done = threading.Event()
    due = (system_clock() // TICK + 2) * TICK + 1

    def step() -> None:
        began.append(system_clock())
        done.set()

    scheduler.at(due, step, name="job")
    assert done.wait(PATIENCE)
    assert began[0] >= due


def test_a_blocked_lane_does_not_hold_up_another(scheduler: StepScheduler) -> None:
    """What hangs in one lane costs only that lane's threads."""
    hung, done = threading.Event(), threading.Event()
    for number in range(4):
        scheduler.at(0, lambda: hung.wait(PATIENCE), name=f"hangs-{number}")  # type: ignore[arg-type, return-value]
    scheduler.at(0, done.set, name="report", lane=Lane.REPORT)
    assert done.wait(PATIENCE)
    assert len(scheduler.silent()) == 2
    hung.set()


def test_a_step_that_fails_is_told_of_and_ends_no_thread(scheduler: StepScheduler) -> None:
    """An error nobody caught is in the log, and the lane goes on."""
    done = threading.Event()

    def fail() -> None:
        raise RuntimeError("broken")

    with capture_logs() as log:
        for number in range(2):
            scheduler.at(0, fail, name=f"fails-{number}")
        scheduler.at(system_clock() + TICK, done.set, name="works")
        assert done.wait(PATIENCE)
    assert [line["event"] for line in log].count("a step failed") == 2

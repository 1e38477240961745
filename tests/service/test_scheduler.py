"""Steps run once, at their time, in the threads of their lane."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from datetime import UTC, timedelta

import pytest
from apscheduler.schedulers.background import BackgroundScheduler
from apscheduler.triggers.interval import IntervalTrigger
from structlog.testing import capture_logs

from autoscaler.loop import Lane
from autoscaler.service import system_clock, system_uptime
from autoscaler.steps import TICK, StepScheduler, Ticks
from autoscaler.telemetry import Journal

PATIENCE = 10.0
HOUR = 3_600_000


class Clock:
    """A wall clock that can be set."""

    def __init__(self) -> None:
        self.offset = 0

    def __call__(self) -> int:
        return system_clock() + self.offset


@pytest.fixture
def scheduler() -> Iterator[StepScheduler]:
    running = StepScheduler(2, system_clock, system_uptime, Journal())
    running.start()
    yield running
    running.stop()


def test_steps_due_together_each_run(scheduler: StepScheduler) -> None:
    """A step that does not end soon keeps another waiting for a tick, not longer."""
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
    hung, done, entered = threading.Event(), threading.Event(), threading.Semaphore(0)

    def hang() -> None:
        entered.release()
        hung.wait(PATIENCE)

    for number in range(4):
        scheduler.at(0, hang, name=f"hangs-{number}")
    assert all(entered.acquire(timeout=PATIENCE) for _ in range(2))
    scheduler.at(0, done.set, name="report", lane=Lane.REPORT)
    assert done.wait(PATIENCE)
    assert [name for name in scheduler.silent() if name != "report"] == ["hangs-0", "hangs-1"]
    hung.set()


def test_steps_that_end_soon_share_a_thread(scheduler: StepScheduler) -> None:
    """Threads that take turns cost more than many a step does: as few work as keep up."""
    threads, done, due = list[int](), threading.Event(), system_clock() + TICK
    for number in range(20):
        scheduler.at(due, lambda: threads.append(threading.get_ident()), name=f"quick-{number}")
    scheduler.at(due + 1, done.set, name="last")
    assert done.wait(PATIENCE)
    assert len(threads) == 20
    assert len(set(threads)) == 1


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


@pytest.mark.parametrize("by", [-HOUR, HOUR])
def test_a_clock_that_is_set_neither_holds_a_step_up_nor_hurries_it(by: int) -> None:
    """A step waits for as long as it was to wait when it was planned, and looks none older or younger."""
    clock, ran, done = Clock(), [], threading.Event()
    running = StepScheduler(2, clock, system_uptime, Journal())
    running.at(clock() + HOUR // 2, lambda: ran.append("too early"), name="later")
    running.at(clock() + 2 * TICK, done.set, name="soon")
    clock.offset = by
    running.start()
    try:
        assert done.wait(PATIENCE)
        assert not ran
        assert 0 <= running.since_began(Lane.WORKERS) < HOUR // 2
    finally:
        running.stop()


def test_ticks_go_on_when_the_clock_is_set() -> None:
    """What APScheduler would do in an hour it does now, as no tick is that far away; of those left out none is due."""
    ticks = Ticks()
    scheduler = BackgroundScheduler(jobstores={"default": ticks}, timezone=UTC)
    scheduler.start(paused=True)
    job = scheduler.add_job(lambda: None, IntervalTrigger(seconds=TICK / 1000, timezone=UTC))
    try:
        assert ticks.get_due_jobs(job.next_run_time - timedelta(milliseconds=TICK)) == []
        for by in (timedelta(hours=-1), timedelta(hours=1)):
            then = job.next_run_time + by
            assert ticks.get_due_jobs(then) == [job]
            assert job.next_run_time == then
    finally:
        scheduler.shutdown(wait=False)

"""Scores and the ground truth they rest on, by example."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from autoscaler.model import Bounds
from autoscaler.sim.job import Change
from autoscaler.sim.record import Minute, Record, Recorder, least_slots
from autoscaler.sim.scores import score
from tests.sim.builders import SOURCE, T0, WORKER, a_cluster, a_scenario, after

HOUR = 3_600_000


def day(rescales: list[Change], **changed: Any) -> Record:
    """A day of minutes with 8 slots held and 6 needed; ``changed`` are the differences by minute, as ``m90``."""
    minutes = [Minute(T0 + 60_000 * (n + 1), 1_000.0, 0.0, 0.0, True, (4, 4), 8, 6) for n in range(1_440)]
    for name, differences in changed.items():
        minutes[int(name[1:])] = replace(minutes[int(name[1:])], **differences)
    lags = [minute.time_lag_s for minute in minutes for _ in range(12)]
    return Record(minutes=minutes, time_lags=lags, changes=rescales, slot_ms=8 * 24 * HOUR, calls=0)


def rescale(at_minute: int, before: int, after_it: int) -> Change:
    at = T0 + at_minute * 60_000
    return Change(
        at=at,
        up_at=at + 20_000,
        why="rescale",
        before={"v": before},
        after={"v": after_it},
        replayed=0.0,
        slots=before,
    )


def test_a_rescale_that_changes_nothing_for_the_better_is_useless() -> None:
    """It freed nothing, mended nothing, and the slots before would have done."""
    assert score(day([rescale(60, 8, 9)]), a_scenario(), T0).useless_per_day == 1


@pytest.mark.parametrize(
    ("change", "record"),
    [
        (rescale(60, 8, 7), {"m75": {"held": 4}}),
        (rescale(60, 8, 9), {"m59": {"time_lag_s": 90.0}}),
        (rescale(60, 8, 9), {"m80": {"least": 12}}),
    ],
    ids=["freed a TaskManager", "removed a violation", "was needed soon after"],
)
def test_a_rescale_proves_itself_within_half_an_hour(change: Change, record: dict[str, Any]) -> None:
    """By what it freed, what it mended, or what it kept from happening."""
    assert score(day([change], **record), a_scenario(), T0).useless_per_day == 0


def test_there_and_back_is_a_reversal() -> None:
    """Within two hours it is one; later it is not; twice in one direction never is."""
    assert score(day([rescale(60, 8, 12), rescale(150, 12, 8)]), a_scenario(), T0).reversals_per_day == 1
    assert score(day([rescale(60, 8, 12), rescale(250, 12, 8)]), a_scenario(), T0).reversals_per_day == 0
    assert score(day([rescale(60, 8, 12), rescale(90, 12, 16)]), a_scenario(), T0).reversals_per_day == 0


def test_a_restart_at_the_same_parallelism_is_no_rescale() -> None:
    """It costs downtime, which is counted elsewhere."""
    assert score(day([rescale(60, 8, 8)]), a_scenario(), T0).rescales_per_day == 0


def test_convergence_ends_with_the_last_rescale_and_the_last_lag() -> None:
    """The load changes at 60 min, the second rescale is done at 72, the lag is gone after 80."""
    record = day([rescale(63, 8, 12), rescale(72, 12, 16)], m79={"time_lag_s": 90.0})
    found = score(record, a_scenario(changes=[60]), T0)
    assert found.converge_rescales == 2
    assert found.converge_min == pytest.approx(20.0)


def test_the_least_slots_are_those_at_a_utilization_of_0_7() -> None:
    """1,390/s through subtasks of 500/s need 1,986/s of capacity, so 4 slots; 1,410/s need a fifth."""
    assert least_slots(a_cluster().job, {SOURCE: 1_390.0}) == 4
    assert least_slots(a_cluster().job, {SOURCE: 1_410.0}) == 5


def bounds(worker: int, source: int = 4) -> dict[str, Bounds]:
    return {SOURCE: Bounds(lower=1, upper=source), WORKER: Bounds(lower=1, upper=worker)}


def broken_by(asked: dict[str, Bounds], *, job: dict[str, Any] | None = None, **fault: Any) -> tuple[str, ...]:
    """What a request breaks 11 minutes into a run, with fresh metrics."""
    faults = [{"at": 10, "minutes": 5} | fault] if fault else []
    cluster = after(a_cluster(a_scenario(job=job, faults=faults)), 598)
    recorder = Recorder(cluster, lambda _: 16)
    cluster.job.metrics.read(cluster.now)
    after(cluster, 3 if fault.get("kind") == "job-restart" else 60)
    recorder.asked(cluster.job, asked)
    return recorder.finish(0).asked[0].broken


def test_a_sound_request_breaks_nothing() -> None:
    """Within the cap, on fresh metrics, of a running job."""
    assert broken_by(bounds(3)) == ()


def test_giving_up_what_did_not_come_breaks_nothing() -> None:
    """What the job was submitted with, above a cap or not, is nobody's fault, and lowering it to what runs rests on
    nothing that was measured."""
    many = {"start_parallelism": 40}
    assert broken_by(bounds(32, source=32), job=many, kind="metric-gap") == ()
    assert broken_by(bounds(40, source=40), job=many) == ()


@pytest.mark.parametrize(
    ("asked", "circumstances", "what"),
    [
        (bounds(1), {"job": {"start_parallelism": 2}}, "shrank a saturated vertex"),
        (bounds(17), {}, "went over a cap"),
        (bounds(3), {"kind": "metric-gap"}, "acted on stale or absent data"),
        (bounds(3), {"kind": "nan-busy"}, "acted on stale or absent data"),
        (bounds(3), {"kind": "job-restart"}, "changed something during a restart"),
    ],
)
def test_what_must_not_be_is_counted(asked: dict[str, Bounds], circumstances: dict[str, Any], what: str) -> None:
    """With what was broken, seen from the truth behind the metrics."""
    assert what in broken_by(asked, **circumstances)

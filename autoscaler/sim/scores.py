"""The scores of a run, and what several runs say together: means, intervals and ratios. Pure."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from itertools import pairwise

from autoscaler.model import Millis
from autoscaler.sim.job import Change
from autoscaler.sim.load import CELL_S
from autoscaler.sim.record import TARGET_UTILIZATION, Record
from autoscaler.sim.scenario import Scenario

MINUTE: Millis = 60_000
PROVES_ITSELF_WITHIN: Millis = 30 * MINUTE
CONVERGES_WITHIN: Millis = 60 * MINUTE
REVERSAL_WITHIN: Millis = 120 * MINUTE
VIOLATION_S = 60.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Scores:
    """One run. Per day where the name says so; ``None`` where there was nothing to measure.

    ``slots_over_least`` is slot-hours held over those of the least slots that carry each minute's load at 0.7.
    ``v60`` and ``v300`` are minutes a day with a time lag above 60 and 300 s.
    """

    slot_hours_per_day: float
    slots_over_least: float
    v60_min_per_day: float
    v300_min_per_day: float
    p99_time_lag_s: float
    max_time_lag_s: float
    rescales_per_day: float
    useless_per_day: float
    downtime_min_per_day: float
    converge_min: float | None
    converge_rescales: float | None
    reversals_per_day: float
    broken_invariants: int
    calls_per_job_hour: float


TITLES: Mapping[str, str] = {
    "slot_hours_per_day": "slot-hours a day",
    "slots_over_least": "… over the least",
    "v60_min_per_day": "min a day with lag > 60 s",
    "v300_min_per_day": "min a day with lag > 300 s",
    "p99_time_lag_s": "time lag, 99 % (s)",
    "max_time_lag_s": "time lag, largest (s)",
    "rescales_per_day": "rescales a day",
    "useless_per_day": "useless rescales a day",
    "downtime_min_per_day": "downtime a day (min)",
    "converge_min": "min to converge",
    "converge_rescales": "rescales to converge",
    "reversals_per_day": "reversals within 2 h a day",
    "broken_invariants": "broken invariants",
    "calls_per_job_hour": "REST calls a job and hour",
}


def score(record: Record, scenario: Scenario, began: Millis) -> Scores:
    """Return the scores of a run that lasted as long as its record."""
    days = len(record.time_lags) * CELL_S / 86_400
    lags = sorted(record.time_lags)
    rescales = [change for change in record.changes if change.is_rescale]
    least = sum(minute.least for minute in record.minutes) / 60.0
    slot_hours = record.slot_ms / 3_600_000
    converged = [_converged(record, began + round(at * MINUTE)) for at in scenario.changes]
    reached = [minutes for minutes, _ in converged if minutes is not None]
    return Scores(
        slot_hours_per_day=slot_hours / days,
        slots_over_least=slot_hours / least if least else math.inf,
        v60_min_per_day=_minutes_above(record, 60.0) / days,
        v300_min_per_day=_minutes_above(record, 300.0) / days,
        p99_time_lag_s=lags[min(len(lags) - 1, int(0.99 * len(lags)))],
        max_time_lag_s=lags[-1],
        rescales_per_day=len(rescales) / days,
        useless_per_day=sum(not _was_useful(change, record) for change in rescales) / days,
        downtime_min_per_day=record.down_cells * CELL_S / 60 / days,
        converge_min=sum(reached) / len(reached) if reached else None,
        converge_rescales=sum(count for _, count in converged) / len(converged) if converged else None,
        reversals_per_day=_reversals(rescales) / days,
        broken_invariants=sum(len(asked.broken) for asked in record.asked),
        calls_per_job_hour=record.calls / (days * 24),
    )


def _minutes_above(record: Record, seconds: float) -> float:
    return sum(lag > seconds for lag in record.time_lags) * CELL_S / 60


def _was_useful(change: Change, record: Record) -> bool:
    """Whether within 30 minutes it freed a TaskManager, or removed a violation.

    A violation is a time lag above 60 s; or a load that the slots used before could not have carried, which without
    the change would have become one.
    """
    after = [m for m in record.minutes if change.at <= m.at <= change.up_at + PROVES_ITSELF_WITHIN]
    before = [m for m in record.minutes if m.at <= change.at][-1:]
    if not after or not before:
        return True  # the run ended before it could tell
    freed = min(minute.held for minute in after) < before[0].held
    mended = before[0].time_lag_s > VIOLATION_S and after[-1].time_lag_s <= VIOLATION_S
    grew = _size(change.after) > _size(change.before)
    needed = grew and any(minute.least * TARGET_UTILIZATION > change.slots for minute in after)
    return freed or mended or needed


def _size(parallelism: Mapping[str, int]) -> int:
    return sum(parallelism.values())


def _converged(record: Record, changed_at: Millis) -> tuple[float | None, int]:
    """Minutes from a change of the load to the end of the last rescale and of the lag, and rescales in the hour
    after it; ``None`` if there was still lag then."""
    until = changed_at + CONVERGES_WITHIN
    rescales = [c for c in record.changes if c.is_rescale and changed_at <= c.at < until]
    late = [m.at for m in record.minutes if changed_at <= m.at < until and m.time_lag_s > VIOLATION_S]
    ends = [changed_at, *(c.up_at for c in rescales), *late]
    settled = not late or late[-1] < until - 2 * MINUTE
    return ((max(ends) - changed_at) / MINUTE if settled else None), len(rescales)


def _reversals(rescales: Sequence[Change]) -> int:
    """Rescales that go back on the one before within 2 hours."""
    found = 0
    for earlier, later in pairwise(rescales):
        first, second = (_size(c.after) - _size(c.before) for c in (earlier, later))
        found += first * second < 0 and later.at - earlier.at <= REVERSAL_WITHIN
    return found


# ------------------------------------------------------------------ several runs


@dataclass(frozen=True, slots=True)
class Estimate:
    """A mean with the half-width of its 95 % interval; 0 for a single run."""

    mean: float
    half_width: float

    def __str__(self) -> str:
        return f"{self.mean:.4g}" + (f" ±{self.half_width:.2g}" if self.half_width else "")


STUDENT = (12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228)  # two-sided 95 %, by freedom
NORMAL = 1.96


def estimate(values: Sequence[float]) -> Estimate:
    """Mean and 95 % interval by Student's t over independent runs."""
    n = len(values)
    mean = sum(values) / n
    if n < 2:
        return Estimate(mean, 0.0)
    variance = sum((value - mean) ** 2 for value in values) / (n - 1)
    t = STUDENT[n - 2] if n - 2 < len(STUDENT) else NORMAL
    return Estimate(mean, t * math.sqrt(variance / n))


def summarized(runs: Sequence[Scores]) -> Mapping[str, Estimate | None]:
    """Each score over several runs; ``None`` where none of them measured it."""
    found: dict[str, Estimate | None] = {}
    for each in fields(Scores):
        values = [value for run in runs if (value := getattr(run, each.name)) is not None]
        found[each.name] = estimate(values) if values else None
    return found


def ratios(runs: Sequence[Scores], others: Sequence[Scores]) -> Mapping[str, Estimate | None]:
    """Each score over that of another policy on the same seeds; ``None`` where the other's mean is 0 or unknown.

    The interval is that of the ratio of paired means, by the delta method.
    """
    found: dict[str, Estimate | None] = {}
    for each in fields(Scores):
        pairs = [(getattr(a, each.name), getattr(b, each.name)) for a, b in zip(runs, others, strict=True)]
        known = [(a, b) for a, b in pairs if a is not None and b is not None]
        below = sum(b for _, b in known) / len(known) if known else 0.0
        if not below:
            found[each.name] = None
            continue
        ratio = sum(a for a, _ in known) / len(known) / below
        spread = estimate([(a - ratio * b) / below for a, b in known])
        found[each.name] = Estimate(ratio, spread.half_width)
    return found

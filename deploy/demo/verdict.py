"""What the story promises, judged from what was seen of the orders job while it was played."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from autoscaler.model import Request, RequestState

DRAINED_SECONDS = 5.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """The orders job at one moment: ``phase`` counts from 0, ``parallelism`` is the largest of its vertices."""

    at: float
    phase: int
    parallelism: int
    task_managers: int
    lag_records: float | None
    rate: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Promise:
    """One promise, whether it was kept, and the numbers that say so."""

    text: str
    kept: bool
    evidence: str


def judge(seen: Sequence[Seen], requests: Sequence[Request]) -> list[Promise]:
    """Return the verdict over low (0), peak (1) and low again (2); a phase that was not seen keeps no promise."""
    low, peak, after = ([s for s in seen if s.phase == phase] for phase in range(3))
    return [
        _scaled_up(low, peak + after),
        _drained(after),
        _scaled_down(peak + after, after),
        _returned(peak + after, after),
        _achieved(requests),
    ]


def _scaled_up(low: Sequence[Seen], later: Sequence[Seen]) -> Promise:
    before = max((s.parallelism for s in low), default=0)
    highest = max((s.parallelism for s in later), default=0)
    return Promise(
        text="scaled up when the load grew",
        kept=bool(low) and highest > before,
        evidence=f"parallelism {before} at low load, up to {highest} later",
    )


def _drained(after: Sequence[Seen]) -> Promise:
    behind = [s.lag_records / s.rate for s in after if s.lag_records is not None and s.rate]
    last = behind[-1] if behind else None
    return Promise(
        text="drained the lag",
        kept=last is not None and last < DRAINED_SECONDS,
        evidence="no lag was reported" if last is None else f"{last:.1f} s of load behind at the end",
    )


def _scaled_down(later: Sequence[Seen], after: Sequence[Seen]) -> Promise:
    highest = max((s.parallelism for s in later), default=0)
    last = after[-1].parallelism if after else highest
    return Promise(
        text="scaled down when the load fell",
        kept=bool(after) and last < highest,
        evidence=f"parallelism from {highest} to {last}",
    )


def _returned(later: Sequence[Seen], after: Sequence[Seen]) -> Promise:
    most = max((s.task_managers for s in later), default=0)
    last = after[-1].task_managers if after else most
    return Promise(
        text="gave TaskManagers back to YARN",
        kept=bool(after) and last < most,
        evidence=f"TaskManager processes from {most} to {last}",
    )


def _achieved(requests: Sequence[Request]) -> Promise:
    """Requests of all jobs; one still in flight at the end counts neither way."""
    done = [r for r in requests if r.state not in (RequestState.INTENDED, RequestState.SENT)]
    failed = [r for r in done if r.state is not RequestState.ACHIEVED]
    return Promise(
        text="reached every parallelism it asked for",
        kept=bool(done) and not failed,
        evidence=f"{len(done) - len(failed)} of {len(done)} rescales",
    )

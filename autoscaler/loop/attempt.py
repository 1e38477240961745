"""One attempt to carry out a decision: what is asked of Flink for it, each thing once, and what speaks against it."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property

from autoscaler.cluster import Checkpoints, TaskManagers
from autoscaler.core import pacing
from autoscaler.core.fare import fare_before, growing_lag, slots_of
from autoscaler.core.moment import Moment, Rhythm, longest_wait, moment, replayed
from autoscaler.core.pacing import Wish
from autoscaler.loop import action
from autoscaler.loop.contract import Contract
from autoscaler.loop.subject import Subject
from autoscaler.loop.view import source_rate
from autoscaler.model import (
    Bounds,
    Decision,
    Fare,
    Life,
    Millis,
    Policy,
    Reason,
    Request,
    VertexId,
    Window,
    frozen,
)
from autoscaler.options import GrammarError, parse_duration
from autoscaler.telemetry import sentences

FIRST_THAT_WAITS = (2, 0)  # from here on Flink itself lets a checkpoint complete before it rescales
FIRST_WITH_COOL_DOWN = (1, 19)


@dataclass(frozen=True, kw_only=True)
class Attempt:
    """A decision to be sent. ``wish`` says it in words, ``past`` is the job's record.

    ``adopts`` tells of live requirements whether they are somebody else's, ``refused`` of those to be sent what Flink
    said to them before.
    """

    subject: Subject
    contract: Contract
    decision: Decision
    window: Window
    wish: str
    past: tuple[Request, ...]
    unasked: tuple[Millis, ...]
    now: Millis
    adopts: Callable[[Mapping[VertexId, Bounds]], bool]
    refused: Callable[[Mapping[VertexId, Bounds]], str | None]

    @property
    def policy(self) -> Policy:
        return self.contract.policy

    @cached_property
    def wanted(self) -> Wish:
        vertices = self.window.topology.vertices
        return Wish(
            present=self.present,
            target=self.decision.parallelism,
            slots=slots_of(vertices, self.present),
            slots_wanted=slots_of(vertices, self.decision.parallelism),
            behind_ms=growing_lag(self.window, self.policy),
            unasked=self.unasked,
        )

    @cached_property
    def present(self) -> Mapping[VertexId, int]:
        return frozen({v.id: v.parallelism for v in self.window.topology.vertices})

    @cached_property
    def checkpoint_interval(self) -> Millis | None:
        return self.subject.flink.checkpoint_interval_ms(self.subject.job_id)

    @cached_property
    def checkpoints(self) -> Checkpoints:
        return self.subject.flink.checkpoints(self.subject.job_id)

    @cached_property
    def live(self) -> Mapping[VertexId, Bounds]:
        return self.subject.flink.requirements(self.subject.job_id)

    @cached_property
    def bounds(self) -> Mapping[VertexId, Bounds]:
        return action.bounds_to_send(self.live, self.present, self.decision.parallelism)

    @cached_property
    def task_managers(self) -> TaskManagers:
        return self.subject.flink.task_managers()

    @cached_property
    def foreign_slots(self) -> int:
        """The slots that other jobs of the cluster hold."""
        managers = self.task_managers
        return max(0, managers.slots_total - managers.slots_available - self.wanted.slots)

    @property
    def takes_effect_at_once(self) -> bool:
        """Whether Flink would restart the job as soon as it is asked: it needs no more slots, and does not wait."""
        version = _version(self.subject.flink_version)
        if version is None or version >= FIRST_THAT_WAITS:
            return False
        return self.wanted.slots_wanted + self.foreign_slots <= self.task_managers.slots_total

    def rhythm(self, seen_at: Millis | None) -> Rhythm | None:
        """The job's checkpoints; ``seen_at`` is when the newest was first seen, if that was watched."""
        checkpoints, interval = self.checkpoints, self.checkpoint_interval
        if interval is None:
            return None
        began, ended = checkpoints.completed_triggered_at, checkpoints.completed_at
        duration = max(0, ended - began) if began is not None and ended is not None else None
        return Rhythm(interval=interval, duration=duration, completed=seen_at if seen_at is not None else ended)

    def request(self, reason: str) -> Request:
        """The request as it is stored before it is sent."""
        memory = self.subject.flink.memory() if self.policy.probation and self.policy.rollback_gc_pressure < 1 else None
        before = fare_before(self.window, memory.gc_pressure if memory else None)
        return Request(
            key=self.subject.key,
            application_id=self.subject.application.id,
            job_id=self.subject.job_id,
            decided_at=self.decision.at,
            reason=reason,
            before=self.present,
            target=self.decision.parallelism,
            requirements=self.bounds,
            former=self.live,
            running_since=self.window.running_since,
            source_rate=source_rate(self.window),
            task_managers=self.task_managers.count,
            needed_task_managers=None if self.decision.grant is None else self.decision.grant.task_managers,
            slots=self.wanted.slots_wanted,
            foreign_slots=self.foreign_slots,
            flink_waits_ms=flink_waits_ms(self.contract, self.subject.flink_version, self.checkpoint_interval),
            life=Life(before=before if before != Fare() else None),
        )


Objection = action.Objection


def its_time_has_come(attempt: Attempt) -> Objection | None:
    """What was asked of the job before, and what came of it, must allow it."""
    return pacing.objection(attempt.past, attempt.wanted, attempt.policy, attempt.now)


def checkpoints_allow_it(attempt: Attempt) -> Objection | None:
    return action.refusal(attempt.policy, attempt.checkpoint_interval, attempt.checkpoints)


def requirements_are_ours(attempt: Attempt) -> Objection | None:
    if not attempt.adopts(attempt.live):
        return None
    hold = sentences.seconds(attempt.policy.external_change_hold)
    return Reason.EXTERNAL_CHANGE, f"somebody else changed the requirements; left as they are for {hold}"


def something_would_change(attempt: Attempt) -> Objection | None:
    if dict(attempt.bounds) != dict(attempt.live):
        return None
    return Reason.AWAITING_RESOURCES, "already asked for, and the cluster has not given it"


def flink_has_not_refused_it(attempt: Attempt) -> Objection | None:
    said = attempt.refused(attempt.bounds)
    return None if said is None else (Reason.REJECTED, f"not sent again, Flink refused it: {said}")


OBJECTIONS: tuple[Callable[[Attempt], Objection | None], ...] = (  # first to object wins
    its_time_has_come,  # asks nothing of Flink
    checkpoints_allow_it,  # a restart must not lose state, nor what somebody waits for
    requirements_are_ours,  # somebody else may have been here
    something_would_change,  # what was asked is not asked again
    flink_has_not_refused_it,  # nor what was refused
)


def objection(attempt: Attempt) -> Objection | None:
    """Return what speaks against sending, with the wish."""
    found = next((found for rule in OBJECTIONS if (found := rule(attempt)) is not None), None)
    return None if found is None else (found[0], f"{found[1]}; wanted {attempt.wish}")


def moment_of(attempt: Attempt, since: Millis, seen_at: Millis | None) -> tuple[Moment, str]:
    """Return what to do now with a rescale wanted since a time, and what to say of it."""
    if attempt.policy.checkpoint_wait_max <= 0 or not attempt.takes_effect_at_once:
        return Moment.SEND, ""
    rhythm = attempt.rhythm(seen_at)
    if rhythm is None:
        return Moment.SEND, ""
    lags, policy, now = attempt.wanted.behind_ms is not None, attempt.policy, attempt.now
    when = moment(rhythm, since, grows=attempt.wanted.grows, lags=lags, policy=policy, now=now)
    waited = sentences.seconds(now - since)
    if when is Moment.WAIT:
        left = longest_wait(rhythm, lags=lags, policy=policy) - (now - since)
        return when, f"waits for the next checkpoint, at most {sentences.seconds(left)} more"
    if when is Moment.DROP:
        return when, f"dropped, as no checkpoint completed within {waited}"
    if when is Moment.SEND_LATE:
        records = replayed(rhythm, source_rate(attempt.window), now)
        said = "an unknown number of" if records is None else f"about {sentences.number(records)}"
        return when, f"sent without a checkpoint after {waited}, {said} records are processed again"
    return when, ""


def waits_until(attempt: Attempt, since: Millis) -> Millis:
    """Return when a rescale has waited for a checkpoint for the longest time it may."""
    rhythm = attempt.rhythm(None)
    lags = attempt.wanted.behind_ms is not None
    return since if rhythm is None else since + longest_wait(rhythm, lags=lags, policy=attempt.policy)


def reason(attempt: Attempt, said: str) -> str:
    """Return the wish with what is special about sending it."""
    overdrawn = pacing.overdraft(attempt.past, attempt.wanted, attempt.policy, attempt.now)
    return "; ".join(part for part in (attempt.wish, said, overdrawn) if part)


def flink_waits_ms(contract: Contract, flink_version: str | None, checkpoint_interval: Millis | None) -> Millis:
    """Return how long Flink may put a rescale off although all slots are there, by its configuration.

    Up to 1.20 that is the cool-down after the last rescale. From 2.0 on the time to let resources stabilize follows,
    and then the wait for a checkpoint, by default three intervals.
    """
    version = _version(flink_version)
    if version is None or version < FIRST_WITH_COOL_DOWN:
        return 0
    config = contract.resolved.flat()

    def duration(default: Millis, *names: str) -> Millis:
        for name in names:
            try:
                return parse_duration(config[action.SCHEDULER + name])
            except (KeyError, GrammarError):  # Flink would not have started with a value it cannot read
                continue
        return default

    cool_down = duration(30_000, "executing.cooldown-after-rescaling", "scaling-interval.min")
    if version < FIRST_THAT_WAITS:
        return cool_down
    stabilizing = duration(60_000, "executing.resource-stabilization-timeout")
    return cool_down + stabilizing + duration(3 * (checkpoint_interval or 0), "rescale-trigger.max-delay")


def _version(text: str | None) -> tuple[int, int] | None:
    found = re.match(r"(\d+)\.(\d+)", text or "")
    return None if found is None else (int(found[1]), int(found[2]))

"""The watch over what a job was asked to become: in flight with one overview per look, then on probation."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace

from autoscaler.cluster import JobDetails, JobOverview
from autoscaler.core.lifecycle import Seen, advance, begun, entered, has_target, is_on_trial
from autoscaler.core.pacing import REMEMBERED, trial_of
from autoscaler.loop import action
from autoscaler.loop.ports import Environment
from autoscaler.loop.storing import tolerated
from autoscaler.loop.subject import Subject
from autoscaler.model import Millis, Phase, Policy, Request, RequestState, Transition, VertexId
from autoscaler.telemetry import sentences

RELEASE_TIME: Millis = 300_000  # slot.idle.timeout and taskmanager-timeout, each checked after up to twice its length


class Watch:
    """The record of one job's requests, and the one of them that is in flight.

    ``open`` is that one, ``looked`` whether its job was seen since, ``waits_for`` what it waits for in words.
    """

    def __init__(self, env: Environment) -> None:
        self.open: Request | None = None
        self.looked = False
        self.waits_for = ""
        self._env = env
        self._known: dict[int | None, Request] = {}
        self._last_seen_before: Millis = 0
        self._recent: Request | None = None
        self._unstored: dict[int | None, Request] = {}
        self._epoch = env.memory.epoch
        self._storing = threading.RLock()  # a pass and the discovery may both have something to store

    @property
    def is_settled(self) -> bool:
        """Whether it is known that the open request was sent."""
        return self.open is None or self.open.state is not RequestState.INTENDED

    @property
    def past(self) -> tuple[Request, ...]:
        """The job's requests, oldest first, as far as they are looked back on."""
        with self._storing:
            return tuple(self._known.values())

    @property
    def trial(self) -> Request | None:
        """The request whose change is on probation."""
        return trial_of(self.past)

    def recall(self, subject: Subject, now: Millis) -> None:
        """Take up what a former process left; what was under way with a job of another id is over.

        Jobs of different applications may have one id: some versions of Flink give the same to all.
        """
        self._known = {}
        self._take_up(self._env.memory.requests(subject.key, REMEMBERED), subject, now)

    def learn(self, subject: Subject, now: Millis) -> bool:
        """Take up what another process on the same store asked of the job meanwhile, and what became of what was asked;
        tell whether there was anything.

        Raises StoreUnavailable.
        """
        stored = self._env.memory.requests(subject.key, REMEMBERED)
        known = {_identity(request): request for request in self.past}
        news = [request for request in stored if _identity(request) not in known]
        lived_on = [request for request in stored if self._went_another_way(known.get(_identity(request)), request)]
        with self._storing:
            self._known |= {request.id: request for request in lived_on}
        if news:
            self._take_up(news, subject, now)
            self._env.journal.warn(
                "another autoscaler asked something of the job",
                job=str(subject.key),
                application_id=subject.application.id,
                asked=news[0].reason,
            )
        return bool(news or lived_on)

    def _went_another_way(self, known: Request | None, stored: Request) -> bool:
        return known is not None and stored.id not in self._unstored and stored.transitions != known.transitions

    def _take_up(self, requests: Iterable[Request], subject: Subject, now: Millis) -> None:
        requests = sorted(requests, key=lambda request: request.id or 0)
        with self._storing:
            self._known |= {request.id: request for request in requests}
        for request in requests:
            is_this_job = (request.application_id, request.job_id) == (subject.application.id, subject.job_id)
            if request.is_open and is_this_job:
                # who stored that it was sent may have died before it stored that its life had begun
                self.open = request if request.state is RequestState.INTENDED else begun(request, now)
            elif request.is_open:
                self._close(request, "the job runs under another id now", now)
            elif is_on_trial(request) and not is_this_job:
                self.store(entered(request, Phase.STEADY, "the job runs under another id now", now))

    def begin(self, request: Request, now: Millis) -> None:
        """Watch a request that was sent, maybe long ago and by another process: nothing is concluded before a look."""
        request = begun(request, now)
        self.store(request)
        self.open, self.looked, self.waits_for = request, False, ""
        self._recent = None  # from here on the count of TaskManagers tells of this request
        self._last_seen_before = request.sent_at or request.decided_at

    def settle(self, subject: Subject, now: Millis) -> None:
        """Find out from the live requirements whether an intent without an answer was sent."""
        request = self.open
        if request is None:
            return
        if request.state is RequestState.INTENDED:
            request = action.settled(request, subject.flink.requirements(subject.job_id))
            self.store(request)
            self._env.journal.requested(request)
        if request.state is RequestState.VOID:
            self.open = None
        else:
            self.begin(request, now)

    # -------------------------------------------------------------- in flight

    def look(
        self, subject: Subject, mine: JobOverview, policy: Policy, now: Millis, shortage: Callable[[], str]
    ) -> None:
        """Close the request if the target runs or its time is up; the details are read only when they may tell.

        ``shortage`` says why slots are missing, and is asked only when time is up.
        """
        request = self.open
        if request is None:
            return
        self.store_again()
        self.looked = True
        as_before = action.runs(mine) and mine.total == sum(request.before.values())
        if as_before:
            self._last_seen_before = now
            if self._has_never_arrived(subject, request, now):
                self._end(action.never_arrived(request, now), now)
                return
        moved_on = mine.total not in (0, sum(request.before.values()))
        worth_it = moved_on or mine.total == sum(request.target.values()) or self.is_overdue(policy, now)
        details = subject.flink.job(subject.job_id) if worth_it else None
        seen = self._seen(subject, request, details, running=action.runs(mine))
        if as_before and action.may_be_under_way(request, now):
            self.waits_for = f"whether Flink has it is {request.answer}"
        if seen.slots_missing and self.is_overdue(policy, now) and (why := shortage()):
            seen = replace(seen, missing=f"{seen.missing}: {why}")
        moved, taken = advance(request, seen, policy, now)
        if not taken:
            self.open = self._kept(moved)
            return
        closed = self._outcome(subject, moved, details, taken, now)
        self._end(closed, now)
        self._judged(closed, taken)

    def _has_never_arrived(self, subject: Subject, request: Request, now: Millis) -> bool:
        """Whether a PUT without a certain answer was not carried out; asked once it can no longer be on its way."""
        if not action.is_uncertain(request) or action.may_be_under_way(request, now):
            return False
        return action.was_not_carried_out(request, subject.flink.requirements(subject.job_id))

    def _seen(self, subject: Subject, request: Request, details: JobDetails | None, *, running: bool) -> Seen:
        """What the look told; slots are counted only where they matter, while the target does not run."""
        present = _parallelism(details)
        attempt = details.running_since if details is not None else None
        seen = Seen(
            parallelism=present, attempt=attempt, running=running, flink_waits_ms=request.flink_waits_ms, missing=""
        )
        if running and has_target(request, present):
            return seen
        managers = subject.flink.task_managers()
        missing = max(0, (request.slots or 0) + request.foreign_slots - managers.slots_total)
        if missing:
            self.waits_for = f"{sentences.counted(missing, 'slot')} missing"
        elif running:
            self.waits_for = "all slots are there, Flink waits for a checkpoint or its cool-down"
        else:
            self.waits_for = "the job restarts"
        short = sentences.changes(details.topology, present or {}, request.target) if details is not None else ""
        said = ", ".join(part for part in (self.waits_for, f"still wanted: {short}" if short else "") if part)
        return replace(seen, slots_missing=missing, missing=said)

    def _outcome(
        self,
        subject: Subject,
        request: Request,
        details: JobDetails | None,
        taken: tuple[Transition, ...],
        now: Millis,
    ) -> Request:
        """The request closed, by where its life went."""
        first = taken[0]
        if first.now is Phase.APPLIED and details is not None and taken[-1].now is not Phase.ROLLED_BACK:
            return action.achieved(
                request,
                details=details,
                checkpoints=subject.flink.checkpoints(subject.job_id),
                last_seen_before=self._last_seen_before,
                task_managers=subject.flink.task_managers().count,
                note=action.advice(request, subject.flink_version),
                now=now,
            )
        state = action.STATE_OF[first.now] if first.now is not Phase.APPLIED else RequestState.NOT_ACHIEVED
        return action.not_achieved(request, _parallelism(details) or {}, first.reason, now, state)

    def is_overdue(self, policy: Policy, now: Millis) -> bool:
        request = self.open
        if request is None:
            return False
        return now - (request.sent_at or request.decided_at) - request.life.excused_ms >= policy.rescale_timeout

    def give_up(self, note: str, now: Millis) -> None:
        """Close the request, if one is open, as not achieved, and end a probation."""
        if self.open is not None:
            self._close(self.open, note, now)
        self.end_trial(note, now)

    def next_look(self, now: Millis) -> Millis:
        request = self.open
        sent_at = None if request is None else request.sent_at
        return action.next_look(sent_at or now, now)

    def task_managers_seen(self, count: int, now: Millis) -> None:
        """YARN's count of TaskManagers: completes a recent outcome while Flink gives idle ones back."""
        with self._storing:
            recent = None if self._recent is None else self._known.get(self._recent.id)
            if recent is None or recent.outcome is None:
                return
            if now - recent.outcome.at > RELEASE_TIME:
                self._recent = None
            elif count != recent.outcome.task_managers:
                self.store(replace(recent, outcome=replace(recent.outcome, task_managers=count)))

    # -------------------------------------------------------------- on probation

    def judge(self, seen: Seen, policy: Policy, now: Millis) -> None:
        """Take what a look at a job on probation told; where it ends, say so."""
        trial = self.trial
        if trial is None:
            return
        self._moved(*advance(trial, seen, policy, now))

    def end_trial(self, why: str, now: Millis) -> None:
        """End a probation for what is no verdict on the change."""
        trial = self.trial
        if trial is not None:
            ended = entered(trial, Phase.STEADY, why, now)
            self._moved(ended, ended.transitions[-1:])

    # -------------------------------------------------------------- the record

    def note(self, request: Request) -> None:
        """Add to the record what somebody else did."""
        number = self._env.memory.add_request(request)
        with self._storing:
            self._remember(replace(request, id=number))

    def remark(self, number: int | None, note: str) -> None:
        """Add to a request's outcome what showed later."""
        with self._storing:
            request = self._known.get(number)
            if request is None or request.outcome is None:
                return
            notes = "; ".join(part for part in (request.outcome.note, note) if part)
            self.store(replace(request, outcome=replace(request.outcome, note=notes)))

    def store(self, request: Request) -> None:
        """Keep what is known of a request, now or as soon as the store can be used again."""
        with self._storing:
            self._remember(request)
            self._unstored[request.id] = request
            self.store_again()

    def _remember(self, request: Request) -> None:
        """Keep as much of the record as is looked back on, as one that begins with the store does."""
        self._known[request.id] = request
        while len(self._known) > REMEMBERED:
            del self._known[next(iter(self._known))]

    def store_again(self) -> None:
        """Store what could not be stored before, and what still goes on when the store had to begin anew."""
        with self._storing, tolerated(self._env):
            epoch = self._env.memory.epoch
            if epoch != self._epoch:
                for request in (self.open, self.trial):
                    if request is not None:
                        self._unstored.setdefault(request.id, request)
            self._epoch = epoch
            while self._unstored:
                number = next(iter(self._unstored))
                self._env.memory.update_request(self._unstored[number])
                del self._unstored[number]

    def _kept(self, request: Request) -> Request:
        """The request with new evidence, which is stored where losing it would change its course."""
        before, after = self._known.get(request.id, request).life, request.life
        if (before.attempt, before.attempts, before.lag_streak, before.failed_checkpoints) != (
            after.attempt,
            after.attempts,
            after.lag_streak,
            after.failed_checkpoints,
        ) or (after.excused_ms > before.excused_ms + RELEASE_TIME):
            self.store(request)
        return request

    def _moved(self, request: Request, taken: tuple[Transition, ...]) -> Request:
        """The request after a look, stored if that told anything, with a line for each transition."""
        if taken:
            self.store(request)
            self._judged(request, taken)
            return request
        with self._storing:
            kept = self._kept(request)
            self._known[kept.id] = kept
        return kept

    def _judged(self, request: Request, taken: tuple[Transition, ...]) -> None:
        """Tell how a probation ended; the rest of a life has lines of its own."""
        for transition in taken:
            if transition.was is Phase.PROBATION:
                self._env.journal.judged(request, transition)
            if transition.now is Phase.ROLLED_BACK:
                self._env.counters.add("requests_rolled_back")

    def _close(self, request: Request, note: str, now: Millis) -> None:
        if request.state is RequestState.INTENDED:
            self._end(replace(request, state=RequestState.VOID, answer=note), now)
        else:
            self._end(action.not_achieved(request, {}, note, now), now)

    def _end(self, request: Request, now: Millis) -> None:
        if self.open is not None and self.open.id == request.id:
            self.open = None
        if request.state is RequestState.ACHIEVED:
            self._env.counters.add("requests_achieved")
            self._recent = request
        elif request.state is not RequestState.VOID:
            self._env.counters.add("requests_not_achieved")
        self.store(request)
        self._env.journal.closed(request, now)


def _parallelism(details: JobDetails | None) -> Mapping[VertexId, int] | None:
    if details is None or details.sparse:
        return None
    return {v.id: v.parallelism for v in details.topology.vertices}


def _identity(request: Request) -> tuple[object, ...]:
    """What tells two requests apart whose numbers may differ, as one has a new number in a store that began anew."""
    return request.decided_at, request.kind, request.job_id, frozenset(request.requirements.items())

"""The watch over one request: from its PUT to its outcome, with one overview per look."""

from __future__ import annotations

import threading
from dataclasses import replace

from autoscaler.cluster import JobOverview
from autoscaler.loop import action
from autoscaler.loop.ports import Environment
from autoscaler.loop.storing import tolerated
from autoscaler.loop.subject import Subject
from autoscaler.model import JobKey, Millis, Request, RequestState
from autoscaler.telemetry import sentences

RELEASE_TIME: Millis = 300_000  # slot.idle.timeout and taskmanager-timeout, each checked after up to twice its length


class Watch:
    """What a job was asked to become, until it is or is not. ``open`` is the request that is in flight, ``looked``
    whether its job was seen since, ``last`` the one that was closed last."""

    def __init__(self, env: Environment) -> None:
        self.open: Request | None = None
        self.last: Request | None = None
        self.looked = False
        self._env = env
        self._last_seen_before: Millis = 0
        self._recent: Request | None = None
        self._unstored: dict[int | None, Request] = {}
        self._epoch = env.memory.epoch
        self._storing = threading.RLock()  # a pass and the discovery may both have something to store

    @property
    def is_settled(self) -> bool:
        """Whether it is known that the open request was sent."""
        return self.open is None or self.open.state is not RequestState.INTENDED

    def recall(self, key: JobKey, job_id: str, now: Millis) -> None:
        """Take up what a former process left open; a request to a job that now has another id is over."""
        for request in [r for r in self._env.memory.open_requests() if r.key == key]:
            if request.job_id == job_id:
                self.open = request
            else:
                self._close(request, "the job runs under another id now", now)

    def begin(self, request: Request) -> None:
        self.open, self.looked = request, False
        self._recent = None  # from here on the count of TaskManagers tells of this request
        self._last_seen_before = request.sent_at or request.decided_at

    def settle(self, subject: Subject) -> None:
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
            self.begin(request)

    def look(self, subject: Subject, mine: JobOverview, timeout: Millis, now: Millis) -> None:
        """Close the request if the target runs or its time is up; the details are read only when it may run."""
        request = self.open
        if request is None:
            return
        self.store_again()
        self.looked = True
        if action.runs(mine) and mine.total == sum(request.before.values()):
            self._last_seen_before = now
        if action.may_be_reached(request, mine):
            details = subject.flink.job(subject.job_id)
            if action.is_reached(request, details):
                closed = action.achieved(
                    request,
                    details=details,
                    checkpoints=subject.flink.checkpoints(subject.job_id),
                    last_seen_before=self._last_seen_before,
                    task_managers=subject.flink.task_managers().count,
                    now=now,
                )
                self._env.counters.add("requests_achieved")
                self._recent = self._end(closed, now)
                return
        if self.is_overdue(timeout, now):
            details = subject.flink.job(subject.job_id)
            reached = {v.id: v.parallelism for v in details.topology.vertices}
            short = sentences.changes(details.topology, reached, request.target) or "not all tasks run"
            note = f"not reached within {sentences.seconds(timeout)}, missing: {short}"
            self.give_up(note, now, reached)

    def is_overdue(self, timeout: Millis, now: Millis) -> bool:
        request = self.open
        return request is not None and now - (request.sent_at or request.decided_at) >= timeout

    def give_up(self, note: str, now: Millis, reached: dict[str, int] | None = None) -> None:
        """Close the request, if one is open, as not achieved."""
        if self.open is not None:
            self._close(self.open, note, now, reached)

    def next_look(self, now: Millis) -> Millis:
        request = self.open
        sent_at = None if request is None else request.sent_at
        return action.next_look(sent_at or now, now)

    def task_managers_seen(self, count: int, now: Millis) -> None:
        """YARN's count of TaskManagers: completes a recent outcome while Flink gives idle ones back."""
        recent = self._recent
        if recent is None or recent.outcome is None:
            return
        if now - recent.outcome.at > RELEASE_TIME:
            self._recent = None
        elif count != recent.outcome.task_managers:
            self._recent = self.last = replace(recent, outcome=replace(recent.outcome, task_managers=count))
            self.store(self._recent)

    def remark(self, number: int | None, note: str) -> None:
        """Add what showed later to the outcome of the request that was closed last, if it is that one."""
        last = self.last
        if last is None or last.outcome is None or last.id != number:
            return
        self.last = replace(
            last, outcome=replace(last.outcome, note="; ".join(filter(None, (last.outcome.note, note))))
        )
        self._recent = None
        self.store(self.last)

    def store(self, request: Request) -> None:
        """Keep what is known of a request, now or as soon as the store can be used again."""
        with self._storing:
            self._unstored[request.id] = request
            self.store_again()

    def store_again(self) -> None:
        """Store what could not be stored before, and what is open when the store had to begin anew."""
        with self._storing, tolerated(self._env):
            epoch = self._env.memory.epoch
            if epoch != self._epoch and self.open is not None:
                self._unstored.setdefault(self.open.id, self.open)
            self._epoch = epoch
            while self._unstored:
                number = next(iter(self._unstored))
                self._env.memory.update_request(self._unstored[number])
                del self._unstored[number]

    def _close(self, request: Request, note: str, now: Millis, reached: dict[str, int] | None = None) -> None:
        if request.state is RequestState.INTENDED:
            self._end(replace(request, state=RequestState.VOID, answer=note), now)
        else:
            self._env.counters.add("requests_not_achieved")
            self._end(action.not_achieved(request, reached or {}, note, now), now)

    def _end(self, request: Request, now: Millis) -> Request:
        if self.open is not None and self.open.id == request.id:
            self.open = None
        self.last = request
        self.store(request)
        self._env.journal.closed(request, now)
        return request

"""The watch over one request: from its PUT to its outcome, with one overview per look."""

from __future__ import annotations

from dataclasses import replace

from autoscaler.cluster import JobOverview
from autoscaler.loop import action
from autoscaler.loop.ports import Environment
from autoscaler.loop.subject import Subject
from autoscaler.model import JobKey, Millis, Request, RequestState
from autoscaler.store import StoreUnavailable
from autoscaler.telemetry import sentences

RELEASE_TIME: Millis = 300_000  # slot.idle.timeout and taskmanager-timeout, each checked after up to twice its length


class Watch:
    """What a job was asked to become, until it is or is not. ``open`` is the request that is in flight."""

    def __init__(self, env: Environment) -> None:
        self.open: Request | None = None
        self._env = env
        self._last_seen_before: Millis = 0
        self._recent: Request | None = None

    def recall(self, key: JobKey, job_id: str, now: Millis) -> None:
        """Take up what a former process left open; a request to a job that now has another id is void."""
        for request in self._env.memory.open_requests():
            if request.key != key:
                continue
            if request.job_id == job_id:
                self.open = request
            else:
                self._end(replace(request, state=RequestState.VOID, answer="the job runs under another id"), now)

    def begin(self, request: Request) -> None:
        self.open = request
        self._last_seen_before = request.sent_at or request.decided_at

    def settle(self, subject: Subject) -> None:
        """Find out from the live requirements whether an intent without an answer was sent."""
        request = self.open
        if request is None:
            return
        if request.state is RequestState.INTENDED:
            request = action.settled(request, subject.flink.requirements(subject.job_id))
            self._store(request)
            self._env.journal.requested(request)
        if request.state is RequestState.VOID:
            self.open = None
        else:
            self.begin(request)

    def look(self, subject: Subject, mine: JobOverview | None, timeout: Millis, now: Millis) -> None:
        """Close the request if the target runs or its time is up; the details are read only when it may run."""
        request = self.open
        assert request is not None
        if mine is not None and action.runs(mine) and mine.total == sum(request.before.values()):
            self._last_seen_before = now
        if mine is not None and action.may_be_reached(request, mine):
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
        """Close the request as not achieved."""
        if self.open is not None:
            self._env.counters.add("requests_not_achieved")
            self._end(action.not_achieved(self.open, reached or {}, note, now), now)

    def next_look(self, now: Millis) -> Millis:
        assert self.open is not None
        return action.next_look(self.open.sent_at or now, now)

    def task_managers_seen(self, count: int, now: Millis) -> None:
        """YARN's count of TaskManagers: completes a recent outcome while Flink gives idle ones back."""
        recent = self._recent
        if recent is None or recent.outcome is None:
            return
        if now - recent.outcome.at > RELEASE_TIME:
            self._recent = None
        elif count != recent.outcome.task_managers:
            self._recent = replace(recent, outcome=replace(recent.outcome, task_managers=count))
            self._store(self._recent)

    def _end(self, request: Request, now: Millis) -> Request:
        self._store(request)
        self._env.journal.closed(request, now)
        self.open = None
        return request

    def _store(self, request: Request) -> None:
        try:
            self._env.memory.update_request(request)
        except StoreUnavailable as error:
            self._env.counters.add("store_errors")
            self._env.journal.once("store", "the store cannot be used", error=str(error))

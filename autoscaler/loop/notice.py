"""What is told of one job: its status, stored and shown, and a log line for each change of mind."""

from __future__ import annotations

from collections.abc import Mapping

from autoscaler.loop.ports import Environment
from autoscaler.loop.storing import tolerated
from autoscaler.loop.subject import Subject
from autoscaler.loop.view import job_status, undecided_status
from autoscaler.model import Decision, JobStatus, Millis, Reason, VertexId, Window, frozen


class Notice:
    """The last thing told of one job; ``former`` is what was told of it before its loop began."""

    def __init__(self, env: Environment, former: JobStatus | None = None) -> None:
        self.status = former
        self._env = env
        self._mind: tuple[Reason, Mapping[VertexId, int]] | None = None
        self._last_logged: Millis = 0

    def is_news(self, decision: Decision) -> bool:
        """Whether a decision differs from what was told last, so that it is worth a row and a line."""
        return self._mind != (decision.reason, decision.advised)

    def decided(
        self, subject: Subject, window: Window, decision: Decision, detail: str, now: Millis, repeat: Millis
    ) -> JobStatus:
        """Tell of a decision, and return the status to store with it; while it stays the same its numbers are logged
        every ``repeat``."""
        if not self.is_news(decision) and now - self._last_logged >= repeat:
            self._env.journal.evaluation(subject.key, decision, window.topology)
            self._last_logged = now
        return self._told(job_status(subject, window, decision, detail, now, self.status), decision.advised)

    def show(self, subject: Subject, now: Millis, reason: Reason, detail: str, state: str | None = None) -> None:
        """Tell and store what rests on no decision."""
        known = state or (self.status.state if self.status else "UNKNOWN")
        status = self._told(undecided_status(subject, known, reason, detail, now, self.status), frozen({}))
        with tolerated(self._env):
            self._env.memory.save_status(status)

    def hold(self, subject: Subject, now: Millis, reason: Reason, detail: str) -> None:
        """Tell once what lasts while nothing can be seen of the job, so that it is not called seen just now."""
        if self.status is None or self.status.reason is not reason:
            self.show(subject, now, reason, detail)

    def _told(self, status: JobStatus, advised: Mapping[VertexId, int]) -> JobStatus:
        self.status = status
        if (status.reason, advised) != self._mind:
            self._mind = (status.reason, advised)
            self._last_logged = status.at
            if status.reason is not Reason.IN_FLIGHT:  # the request and its outcome have lines of their own
                self._env.journal.changed_mind(status, advised)
        return status

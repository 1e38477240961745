"""The jobs of an application that are not ours: listed with the reason, and nothing else."""

from __future__ import annotations

import threading
from collections.abc import Container, Iterable
from dataclasses import replace

from autoscaler.loop.ports import Environment
from autoscaler.loop.storing import tolerated
from autoscaler.model import JobKey, JobStatus, Millis, Reason

LISTED_NO_LONGER = "Flink lists the job no longer: it ended, or runs under another id"


class Others:
    """What is listed of an application beside the jobs that are ours."""

    def __init__(self, env: Environment) -> None:
        self._env = env
        self._listed: dict[str, JobStatus] = {}
        self._troubled: dict[str, JobStatus] = {}
        self._application: JobStatus | None = None
        self._lock = threading.Lock()

    def __contains__(self, job_id: str) -> bool:
        with self._lock:
            return job_id in self._listed

    def known(self) -> set[str]:
        """The jobs a pass need not report: those listed, and those that could not be taken up and are tried again."""
        with self._lock:
            return self._listed.keys() | self._troubled.keys()

    @property
    def have_trouble(self) -> bool:
        """Whether a job could not be taken up the last time."""
        return bool(self._troubled)

    def statuses(self) -> list[JobStatus]:
        with self._lock:
            listed = [*self._listed.values(), *self._troubled.values()]
            return listed + ([self._application] if self._application else [])

    def add(self, status: JobStatus) -> None:
        """List a job that is not ours."""
        with self._lock:
            self._listed[status.job_id or ""] = status
            self._troubled.pop(status.job_id or "", None)
        self._env.journal.changed_mind(status, {})
        with tolerated(self._env):
            self._env.memory.save_status(status)
            self._env.memory.present(status.key)

    def without(self, job_ids: Iterable[str]) -> dict[str, JobStatus | None]:
        """Take jobs off the list that are to be taken up anew, and return how they were shown."""
        with self._lock:
            return {job_id: self._listed.pop(job_id) for job_id in job_ids if job_id in self._listed}

    def trouble(self, status: JobStatus) -> None:
        """List a job that could not be taken up; that is tried again."""
        job_id = status.job_id or ""
        with self._lock:
            former = self._troubled.get(job_id)
            if former is not None and former.reason is status.reason:
                status = replace(status, since=former.since)
            self._troubled[job_id] = status
        if former is None or former.reason is not status.reason:
            self._env.journal.changed_mind(status, {})
        with tolerated(self._env):
            self._env.memory.save_status(status)
            self._env.memory.present(status.key)

    def taken_up(self, job_id: str, key: JobKey, now: Millis) -> None:
        """Take a job off the list that is ours; it may have been listed by another name, as long as it told none."""
        with self._lock:
            former = self._troubled.pop(job_id, None)
        if former is not None and former.key != key:
            with tolerated(self._env):
                self._env.memory.mark_absent(former.key, now)

    def show_application(self, status: JobStatus) -> None:
        """List the application itself while nothing is known of its jobs."""
        with self._lock:
            former = self._application
            if former is not None and former.reason is status.reason:
                status = replace(status, since=former.since)
            self._application = status
        if former is None or former.reason is not status.reason:
            self._env.journal.changed_mind(status, {})
        with tolerated(self._env):
            self._env.memory.save_status(status)

    def keep(self, running: Container[str], now: Millis) -> list[str]:
        """Take those that run no longer off the list; return their ids.

        Those of which nothing was ever measured may be forgotten; a session lists many short jobs in its life. What
        is known of the others stays until the application ends.
        """
        with self._lock:
            gone: list[str] = []
            statuses: list[JobStatus] = []
            for listed in (self._listed, self._troubled):
                ids = [job_id for job_id in listed if job_id not in running]
                statuses += [listed.pop(job_id) for job_id in ids]
                gone += ids
        with tolerated(self._env):
            for status in statuses:
                self._env.memory.save_status(ended(status, LISTED_NO_LONGER, now))
                if self._env.memory.window(status.key, 0) is None:
                    self._env.memory.mark_absent(status.key, now)
        return gone

    def clear(self) -> None:
        """Begin a new list; the application has answered."""
        with self._lock:
            self._listed.clear()
            self._troubled.clear()
            shown, self._application = self._application, None
        if shown is not None:
            with tolerated(self._env):
                self._env.memory.forget(shown.key)


def ended(status: JobStatus, why: str, now: Millis) -> JobStatus:
    """How a job is kept that is shown no longer."""
    return replace(status, state="ENDED", reason=Reason.NOT_RUNNING, detail=why, at=now, since=now)

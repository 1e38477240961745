"""Identities: which running job has which key, so that two with one name never share a history."""

from __future__ import annotations

import threading
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass, replace
from typing import NamedTuple

from autoscaler.model import JobKey, JobStatus


class Holder(NamedTuple):
    """A running job, by the ids of the present attempt."""

    application_id: str
    job_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Claimed:
    """The key a job was given, and who has the plain one if it is another's."""

    key: JobKey
    other: Holder | None


class Claims:
    """A key belongs to whoever has it until that job is gone; a later one of the same name is kept apart by its id."""

    def __init__(self) -> None:
        self._held: dict[JobKey, Holder] = {}
        self._lock = threading.Lock()

    def recall(self, statuses: Iterable[JobStatus], running: Collection[str]) -> None:
        """Reserve what jobs of applications that still run had before the daemon was restarted: otherwise the order
        in which they are found now would exchange their histories."""
        with self._lock:
            for status in statuses:
                if status.application_id in running and status.job_id is not None:
                    self._held.setdefault(status.key, Holder(status.application_id, status.job_id))

    def claim(self, key: JobKey, me: Holder, runs: Callable[[Holder], bool]) -> Claimed:
        """Give a job its key; ``runs`` tells whether another job of the same application is still there."""
        by_application = replace(key, application=f"{key.application} ({me.application_id})")
        by_job = replace(key, job=f"{key.job} ({me.job_id})")
        by_both = replace(by_application, job=by_job.job)
        with self._lock:
            mine = [k for k in (key, by_application, by_job, by_both) if self._held.get(k) == me]
            plain = self._held.get(key)
            same = plain is not None and plain.application_id == me.application_id
            wished = mine[:1] or [k for k in (key, by_job if same else by_application) if self._is_free(k, me, runs)]
            chosen = wished[0] if wished else by_both
            self._drop(lambda _, holder: holder == me)
            self._held[chosen] = me
        return Claimed(key=chosen, other=plain if chosen != key else None)

    def release(self, application_id: str, job_id: str | None = None) -> None:
        """Free the keys of an application that ended, or of one of its jobs."""
        with self._lock:
            self._drop(
                lambda _, holder: holder.application_id == application_id and job_id in (None, holder.job_id),
            )

    def _is_free(self, key: JobKey, me: Holder, runs: Callable[[Holder], bool]) -> bool:
        holder = self._held.get(key)
        return holder is None or (holder.application_id == me.application_id and not runs(holder))

    def _drop(self, unwanted: Callable[[JobKey, Holder], bool]) -> None:
        self._held = {key: holder for key, holder in self._held.items() if not unwanted(key, holder)}

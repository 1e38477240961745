"""Who a loop is about."""

from __future__ import annotations

from dataclasses import dataclass

from autoscaler.cluster import Application
from autoscaler.loop.ports import Flink
from autoscaler.model import JobKey


@dataclass(frozen=True, slots=True, kw_only=True)
class Held:
    """What an application holds by YARN's count; ``memory_mb`` of all its containers."""

    task_managers: int
    memory_mb: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """A running job; ``application`` and ``flink`` are renewed when YARN starts another attempt.

    ``name`` is what Flink calls the job, ``key`` what we do.
    """

    key: JobKey
    name: str
    application: Application
    flink: Flink
    flink_version: str | None
    job_id: str

    @property
    def task_managers(self) -> int | None:
        """TaskManagers by YARN's count of containers; one of those is the ApplicationMaster."""
        running = self.application.running_containers
        return None if running is None else max(0, running - 1)

    @property
    def held(self) -> Held | None:
        """What the application holds now, ``None`` where YARN does not tell."""
        count = self.task_managers
        return None if count is None else Held(task_managers=count, memory_mb=self.application.allocated_mb)

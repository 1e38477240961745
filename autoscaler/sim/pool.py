"""The slots of one application, dealt to its jobs as they declare what they need: one job, or those of a session."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

from autoscaler.model import Millis
from autoscaler.sim.slots import placement
from autoscaler.sim.yarn import Holder, SimYarn, TaskManager

SLOT_IDLE: Millis = 50_000  # slot.idle.timeout
TASK_MANAGER_IDLE: Millis = 30_000  # resourcemanager.taskmanager-timeout


class Tenant(Protocol):
    """A job, as its pool sees it. ``used`` are the slots its tasks run in, ``needed`` those it has declared."""

    @property
    def needed(self) -> int: ...
    @property
    def used(self) -> int: ...
    @property
    def runs(self) -> bool: ...
    @property
    def ended(self) -> bool: ...
    @property
    def packs(self) -> bool: ...
    @property
    def settled_since(self) -> Millis: ...
    @property
    def slots_on(self) -> Mapping[str, int]: ...

    def slots_came(self, now: Millis) -> None: ...
    def worker_lost(self, task_manager: TaskManager, now: Millis) -> None: ...


class SlotPool:
    """Whoever came first is dealt free slots first; what a job uses, or was dealt while it restarts, stays its own."""

    def __init__(self, yarn: SimYarn) -> None:
        self.yarn = yarn
        self.holder = Holder(number=1, changed=self._workers_changed)
        self.jobs: list[Tenant] = []
        self._dealt: dict[int, int] = {}

    @property
    def slots(self) -> int:
        """Slots of the TaskManagers that have registered."""
        return len(self.holder.registered) * self.each

    @property
    def each(self) -> int:
        return self.yarn.spec.slots_per_task_manager

    @property
    def needed(self) -> int:
        """The slots that all jobs have declared."""
        return sum(job.needed for job in self.jobs)

    @property
    def workers_needed(self) -> int:
        return -(-self.needed // self.each)

    def join(self, job: Tenant, now: Millis) -> None:
        """A job is submitted; as the simulation begins its TaskManagers run already, as many as there is room for."""
        self.jobs.append(job)
        self.yarn.join(self.holder, self.workers_needed, now)

    def declare(self, job: Tenant, now: Millis) -> None:
        """A job needs more or fewer slots than before, or has ended; the others are dealt what it leaves."""
        self.yarn.declare(self.holder, self.workers_needed, now)
        self.freed(job, now)

    def freed(self, by: Tenant, now: Millis) -> None:
        """A job may have left slots to the others."""
        for job in self.jobs:
            if job is not by:
                job.slots_came(now)

    def restart(self, now: Millis) -> None:
        """The ApplicationMaster takes all TaskManagers with it, and asks for those that are needed now."""
        for task_manager in list(self.holder.task_managers):
            self.yarn.release(self.holder, task_manager, now)
        self.yarn.declare(self.holder, self.workers_needed, now)

    # -------------------------------------------------------------- who has which

    def slots_for(self, job: Tenant) -> int:
        """The slots that are there and not another job's."""
        if len(self.jobs) == 1:
            return self.slots
        dealt = self._deal()
        return max(0, self.slots - sum(dealt[id(other)] for other in self.jobs if other is not job))

    def held_by(self, job: Tenant) -> int:
        """The slots a job has, used or not."""
        return max(job.used, self._deal()[id(job)])

    def place(self, job: Tenant, slots: int) -> list[TaskManager]:
        """The TaskManager of each slot a job starts to use."""
        workers = self.holder.registered
        free = [self.each - self._used_by_others(job, worker) for worker in workers]
        return [workers[place] for place in placement(slots, free, packs=job.packs)]

    def used_on(self, task_manager: TaskManager) -> int:
        return sum(job.slots_on.get(task_manager.id, 0) for job in self.jobs if job.used)

    def _used_by_others(self, job: Tenant, task_manager: TaskManager) -> int:
        return sum(other.slots_on.get(task_manager.id, 0) for other in self.jobs if other is not job and other.used)

    def _deal(self) -> Mapping[int, int]:
        """What each job has by now, by its identity."""
        free = self.slots
        for running in (True, False):  # tasks that run have their slots, whoever restarts may have lost some
            for job in self.jobs:
                if bool(job.used) is running:
                    kept = max(job.used, min(self._dealt.get(id(job), 0), job.needed))
                    self._dealt[id(job)] = min(kept, free)
                    free -= self._dealt[id(job)]
        for job in self.jobs:
            more = min(free, max(0, job.needed - self._dealt[id(job)]))
            self._dealt[id(job)] += more
            free -= more
        return self._dealt

    # -------------------------------------------------------------- TaskManagers that come and go

    def _workers_changed(self, now: Millis, task_manager: TaskManager, joined: bool) -> None:
        for job in self.jobs:
            if joined:
                job.slots_came(now)
            else:
                job.worker_lost(task_manager, now)
        if joined:
            self.plan_release(now)

    def plan_release(self, now: Millis) -> None:
        """Look for idle TaskManagers when slots and TaskManagers have been idle for their time-outs."""
        if self.slots - self.needed >= self.each:
            self.yarn.schedule(now + SLOT_IDLE + TASK_MANAGER_IDLE, self._release)

    def _release(self, now: Millis) -> None:
        """Give back TaskManagers no slot of which is used, down to what is required."""
        present: Sequence[Tenant] = [job for job in self.jobs if not job.ended]
        if not all(job.runs for job in present):
            return
        idle_for = now - max((job.settled_since for job in present), default=0)
        if idle_for < SLOT_IDLE + TASK_MANAGER_IDLE:
            self.yarn.schedule(now + SLOT_IDLE + TASK_MANAGER_IDLE - idle_for, self._release)
            return
        for task_manager in reversed(self.holder.registered):
            idle = not any(task_manager.id in job.slots_on for job in present)
            if idle and len(self.holder.task_managers) > self.workers_needed:
                self.yarn.release(self.holder, task_manager, now)

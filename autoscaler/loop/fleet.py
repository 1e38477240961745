"""All applications of one cluster: the discovery pass, identities, and what happens while YARN does not answer."""

from __future__ import annotations

import threading
from dataclasses import replace

from autoscaler.cluster import Application, ClusterError, Transient
from autoscaler.loop.application import ApplicationLoop, FleetView, Orders
from autoscaler.loop.job import JobLoop
from autoscaler.loop.ports import Environment, Lane
from autoscaler.model import JobKey, JobStatus, Millis
from autoscaler.store import StoreUnavailable

FORGET_AFTER: Millis = 24 * 3_600_000  # a job resubmitted within a day goes on with its history
RETAIN_EVERY: Millis = 600_000
LONGEST_BACK_OFF: Millis = 30_000
ASK_AT_ONCE_AFTER: Millis = 5_000


class Fleet:
    """Finds applications, keeps one loop for each, and holds them all while the ResourceManager is away."""

    def __init__(self, env: Environment, orders: Orders, discovery_interval: Millis) -> None:
        self.orders = orders
        self.discovery_interval = discovery_interval
        self.discovered_at: Millis | None = None
        self._env = env
        self._applications: dict[str, ApplicationLoop] = {}
        self._claims: dict[JobKey, tuple[str, str]] = {}
        self._down_since: Millis | None = None
        self._failures = 0
        self.asked_at: Millis = env.clock()
        self._lock = threading.RLock()
        self._view = FleetView(
            orders=lambda: self.orders,
            reachable=lambda: self._down_since is None,
            failed=self._application_failed,
            claim=self._claim,
        )

    # -------------------------------------------------------------- life

    def start(self, now: Millis) -> None:
        self._env.scheduler.at(now, self._discover, name="discovery", lane=Lane.DISCOVERY)
        self._env.scheduler.at(now + RETAIN_EVERY, self._retain, name="retention", lane=Lane.DISCOVERY)

    def obey(self, orders: Orders, discovery_interval: Millis, now: Millis) -> None:
        """New settings: every job is taken up anew under them."""
        self.orders = orders
        self.discovery_interval = discovery_interval
        for application in self.applications():
            application.start_over(now)
        self._env.scheduler.at(now, self._discover, name="discovery", lane=Lane.DISCOVERY)

    def applications(self) -> list[ApplicationLoop]:
        with self._lock:
            return list(self._applications.values())

    def jobs(self) -> list[JobLoop]:
        return [job for application in self.applications() for job in list(application.jobs.values())]

    def statuses(self) -> list[JobStatus]:
        return [status for application in self.applications() for status in application.statuses()]

    @property
    def down_since(self) -> Millis | None:
        """Since when the ResourceManager has not answered, ``None`` while it does."""
        return self._down_since

    # -------------------------------------------------------------- discovery

    def _discover(self) -> None:
        now = self._env.clock()
        self.asked_at = now
        wait = self.discovery_interval
        try:
            running = self._env.yarn.applications()
        except ClusterError as error:
            self._failures += 1
            wait = min(1_000 * 2 ** min(self._failures - 1, 5), LONGEST_BACK_OFF)
            self._down_since = self._down_since or now
            self._env.journal.once(
                "resourcemanager", "the ResourceManager does not answer; waiting for it", error=str(error)
            )
        else:
            self._failures, self._down_since = 0, None
            self._env.journal.over("resourcemanager", "the ResourceManager answers again")
            self._meet(running, now)
        finally:
            self._env.scheduler.at(self._env.clock() + wait, self._discover, name="discovery", lane=Lane.DISCOVERY)

    def _meet(self, running: tuple[Application, ...], now: Millis) -> None:
        with self._lock:
            known = dict(self._applications)
        for application in sorted(running, key=lambda a: a.id):
            loop = known.pop(application.id, None)
            if loop is not None:
                loop.renew(application, now)
                continue
            loop = ApplicationLoop(self._env, self._view, application)
            with self._lock:
                self._applications[application.id] = loop
            loop.start(now)
        for missing in known.values():
            self._missing(missing, now)
        if self.discovered_at is None:
            self._mark_ended_meanwhile({a.id for a in running}, now)
        self.discovered_at = now

    def _missing(self, loop: ApplicationLoop, now: Millis) -> None:
        """No longer among the running: ended, or between two attempts, in which case its passes back off."""
        try:
            application = self._env.yarn.application(loop.application.id)
        except ClusterError:
            return
        if application is not None and not application.is_terminal:
            loop.renew(replace(application, tracking_url=loop.application.tracking_url), now)
            return
        state = application.state if application is not None else "unknown to YARN"
        self._env.journal.note("application ended", application_id=loop.application.id, state=state)
        loop.retire(f"the application ended ({state})", now)
        with self._lock:
            del self._applications[loop.application.id]
            for key in [k for k, (owner, _) in self._claims.items() if owner == loop.application.id]:
                del self._claims[key]
        self._mark_absent(loop.application.id, now)

    def _mark_ended_meanwhile(self, running: set[str], now: Millis) -> None:
        """Applications that ended while no daemon ran."""
        try:
            ended = {s.application_id for s in self._env.memory.statuses()} - running
        except StoreUnavailable:
            return
        for application_id in sorted(ended):
            try:
                application = self._env.yarn.application(application_id)
            except ClusterError:
                continue
            if application is None or application.is_terminal:
                self._mark_absent(application_id, now)

    def _mark_absent(self, application_id: str, now: Millis) -> None:
        try:
            absent = self._env.memory.absent()
            for status in self._env.memory.statuses():
                if status.application_id == application_id and status.key not in absent:
                    self._env.memory.mark_absent(status.key, now)
        except StoreUnavailable as error:
            self._env.journal.once("store", "the store cannot be used", error=str(error))

    def _application_failed(self, error: ClusterError) -> None:
        """A time-out may mean that the ResourceManager is down, for the proxy asks it first: find out at once."""
        now = self._env.clock()
        if isinstance(error, Transient) and error.kind == "timeout" and now - self.asked_at > ASK_AT_ONCE_AFTER:
            self.asked_at = now
            self._env.scheduler.at(now, self._discover, name="discovery", lane=Lane.DISCOVERY)

    # -------------------------------------------------------------- identity and retention

    def _claim(self, key: JobKey, application: Application, job_id: str) -> JobKey:
        """The identity of a job: its plain key, unless another running job holds it.

        Of applications with one name the one YARN started first has the plain key, whatever the order in which they
        were inspected, so that a restart of the daemon does not exchange histories.
        """
        me = (application.id, job_id)
        with self._lock:
            older = [
                loop.application.id
                for loop in self._applications.values()
                if loop.application.name == application.name and loop.application.id < application.id
            ]
            holder = self._claims.get(key)
            if not older and (holder is None or (holder[0] == application.id and not self._runs(holder))):
                self._claims[key] = me
                return key
            if holder == me:
                return key
            apart = replace(key, application=f"{key.application} ({application.id})")
            if holder is not None and holder[0] == application.id:
                apart = replace(key, job=f"{key.job} ({job_id})")
            self._claims[apart] = me
        self._env.journal.once(
            f"name {apart}",
            "two running jobs have the same name; set job.autoscaler.yarn.id to tell them apart by name",
            name=str(key),
            kept_as=str(apart),
            other=holder[0] if holder else older[0],
        )
        return apart

    def _runs(self, claim: tuple[str, str]) -> bool:
        loop = self._applications.get(claim[0])
        return loop is not None and claim[1] in loop.jobs

    def _retain(self) -> None:
        now = self._env.clock()
        try:
            for key, since in self._env.memory.absent().items():
                if now - since >= FORGET_AFTER:
                    self._env.memory.forget(key)
            self._env.memory.retain(now)
        except StoreUnavailable as error:
            self._env.journal.once("store", "the store cannot be used", error=str(error))
        finally:
            self._env.scheduler.at(now + RETAIN_EVERY, self._retain, name="retention", lane=Lane.DISCOVERY)

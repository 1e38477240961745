"""All applications of one cluster: the discovery pass, identities, and what happens while YARN does not answer."""

from __future__ import annotations

import re
import threading
from collections.abc import Callable
from dataclasses import replace

from autoscaler.cluster import Application, ClusterError, Transient
from autoscaler.loop import action
from autoscaler.loop.allotment import Market
from autoscaler.loop.application import ApplicationLoop, FleetView, Orders
from autoscaler.loop.asks import Asks
from autoscaler.loop.claims import Claimed, Claims, Holder
from autoscaler.loop.commanded import Commanded
from autoscaler.loop.job import JobLoop
from autoscaler.loop.others import ended
from autoscaler.loop.ports import Environment, Lane
from autoscaler.loop.storing import tolerated
from autoscaler.loop.survey import Surveyor
from autoscaler.model import JobKey, JobStatus, Millis, Request

FORGET_AFTER: Millis = 24 * 3_600_000  # a job resubmitted within a day goes on with its history
RETAIN_EVERY: Millis = 600_000
LONGEST_BACK_OFF: Millis = 30_000
ASK_AT_ONCE_AFTER: Millis = 5_000
NOT_ADMITTED = "the settings' filter no longer admits the application"


class Fleet:
    """Finds applications, keeps one loop for each, and holds them all while the ResourceManager is away.

    ``beside_standby`` is whether it is away because every one that is known answers as a standby does.
    """

    def __init__(self, env: Environment, orders: Orders, discovery_interval: Millis) -> None:
        self.orders = orders
        self.discovery_interval = discovery_interval
        self.discovered_at: Millis | None = None
        self._asked_at: Millis = env.clock()
        self._env = env
        self._has_begun = False
        self._applications: dict[str, ApplicationLoop] = {}
        self._claims = Claims()
        self._commanded = Commanded(env)
        self.beside_standby = False
        self._down_since: Millis | None = None
        self._failures = 0
        self._wanted_at: Millis = 0
        self._lock = threading.RLock()
        self._asks = Asks(flying=self._flying)
        self._surveyor = Surveyor(env)
        self._view = FleetView(
            orders=lambda: self.orders,
            reachable=lambda: self._down_since is None,
            failed=self._application_failed,
            commands=self._commanded.of,
            commands_now=self._commanded.newest,
            claim=self._claim,
            release=lambda holder: self._claims.release(holder.application_id, holder.job_id),
            market=Market(
                surveyor=self._surveyor,
                asks=self._asks,
                survey=lambda now: self._surveyor.survey(now, self.discovered_at or now),
            ),
        )

    # -------------------------------------------------------------- life

    def start(self, now: Millis) -> None:
        self._has_begun = True
        self._env.scheduler.at(now, self._discover, name="discovery", lane=Lane.DISCOVERY)
        self._env.scheduler.at(now + RETAIN_EVERY, self._retain, name="retention", lane=Lane.DISCOVERY)

    def obey(self, orders: Orders, discovery_interval: Millis, now: Millis) -> None:
        """New settings: every job is taken up anew under them."""
        self.orders = orders
        self.discovery_interval = discovery_interval
        for application in self.applications():
            application.start_over(now)
        if self._has_begun:  # what the store is to begin with may still be awaited
            self._env.scheduler.at(now, self._discover, name="discovery", lane=Lane.DISCOVERY)

    def applications(self) -> list[ApplicationLoop]:
        with self._lock:
            return list(self._applications.values())

    def jobs(self) -> list[JobLoop]:
        return [job for application in self.applications() for job in application.own_jobs()]

    def statuses(self) -> list[JobStatus]:
        return [status for application in self.applications() for status in application.statuses()]

    @property
    def down_since(self) -> Millis | None:
        """Since when the ResourceManager has not answered, ``None`` while it does."""
        return self._down_since

    # -------------------------------------------------------------- discovery

    def _discover(self) -> None:
        now = self._env.clock()
        self._asked_at = now
        wait = self.discovery_interval
        try:
            self._commanded.refresh(self.orders.cluster, now)
            running = self._env.yarn.applications()
            self._failures, self._down_since, self.beside_standby = 0, None, False
            self._env.journal.over("resourcemanager", "the ResourceManager answers again")
            if self._env.leadership.review():
                self._begin_to_act(now)
            self._meet(running, now)
            self._env.journal.over("discovery", "discovery succeeds again")
        except ClusterError as error:
            self._failures += 1
            wait = min(1_000 * 2 ** min(self._failures - 1, 5), LONGEST_BACK_OFF, self.discovery_interval)
            self._down_since = self._down_since or now
            self._not_answered(error)
        except Exception as error:  # the next discovery may find what this one stumbled over gone
            self._env.journal.crashed("discovery", "discovery failed", error)
        finally:
            self._env.scheduler.at(self._env.clock() + wait, self._discover, name="discovery", lane=Lane.DISCOVERY)

    def _not_answered(self, error: ClusterError) -> None:
        """Say so, and leave the lease to the daemon beside the active one where all that are known are standbys."""
        self.beside_standby = isinstance(error, Transient) and error.kind == "standby"
        if not self.beside_standby:
            said = "the ResourceManager does not answer; waiting for it"
        else:
            said = "the ResourceManager is a standby; waiting for it to become active"
            self._env.leadership.review()
        self._env.journal.once("resourcemanager", said, _cause(error), error=str(error))

    def _begin_to_act(self, now: Millis) -> None:
        """Take up every job anew from what the store holds, which another daemon may have written until now: its
        requests in flight, its history. Where it holds nothing, windows fill before anything is scaled."""
        for application in self.applications():
            application.start_over(now)

    def _meet(self, running: tuple[Application, ...], now: Millis) -> None:
        """Compare what runs with what is known. Who left goes first, so that a successor gets the name."""
        ids = {application.id for application in running}
        if self.discovered_at is None:
            self._recall(ids, now)
        for loop in self.applications():
            if loop.application.id not in ids:
                self._missing(loop, now)
        with self._lock:
            known = dict(self._applications)
        for application in sorted(running, key=lambda a: a.id):
            if application.id in known:
                known[application.id].renew(application, now)
                known[application.id].review(now)
                continue
            loop = ApplicationLoop(self._env, self._view, application)
            with self._lock:
                self._applications[application.id] = loop
            loop.start(now)
        self.discovered_at = now
        self._look_at_room(running, now)

    def _missing(self, loop: ApplicationLoop, now: Millis) -> None:
        """No longer among the running: ended, between two attempts, or no longer wanted by the settings."""
        try:
            application = self._env.yarn.application(loop.application.id)
        except ClusterError:
            return
        if application is None or application.is_terminal:
            state = application.state if application is not None else "unknown to YARN"
            self._part_from(loop, f"the application ended ({state})")
            self._mark_absent(loop.application.id, now)
        elif not self._env.yarn.admits(application):
            self._part_from(loop, NOT_ADMITTED)
            self._show_no_longer(loop.application.id, now)
        else:
            loop.renew(replace(application, tracking_url=loop.application.tracking_url), now)

    def _look_at_room(self, running: tuple[Application, ...], now: Millis) -> None:
        """See what came of what was asked for, and which nodes drain."""
        counts = {a.id: max(0, a.running_containers - 1) for a in running if a.running_containers is not None}
        for ask in self._asks.look(counts, now):
            self._env.journal.warn(
                "the cluster did not grow",
                queue=ask.queue,
                application_id=ask.who.application_id,
                asked_for=ask.new,
                held_to_what_there_is_ms=self._asks.refusals(ask.queue).back_off,
            )
        if any(job.contract.policy.capacity for job in self.jobs()):
            self._surveyor.look_for_drains(now)

    def _flying(self) -> dict[Holder, bool]:
        """The jobs under a rescale now, and whether it only shrinks them."""
        return {
            Holder(job.subject.application.id, job.subject.job_id): action.shrinks(request)
            for job in self.jobs()
            if (request := job.watch.open) is not None
        }

    def _part_from(self, loop: ApplicationLoop, why: str) -> None:
        known = loop.application
        self._env.journal.note("application left", name=known.name, application_id=known.id, detail=why)
        self._env.journal.forget(known.id)
        loop.retire(why)
        with self._lock:
            del self._applications[known.id]
        self._claims.release(known.id)

    def _recall(self, running: set[str], now: Millis) -> None:
        """Who had which name when the daemon last ran, and which applications ended since."""
        with tolerated(self._env):
            statuses, absent = self._env.memory.statuses(), self._env.memory.absent()
            self._claims.recall(statuses, running)
            ended = {s.application_id for s in statuses if s.key not in absent} - running
            for application_id in sorted(ended):
                try:
                    application = self._env.yarn.application(application_id)
                except ClusterError:
                    continue
                if application is None or application.is_terminal:
                    self._mark_absent(application_id, now)
                elif not self._env.yarn.admits(application):
                    self._show_no_longer(application_id, now)

    def _mark_absent(self, application_id: str, now: Millis) -> None:
        """Note that an application's jobs are gone, and close the requests nobody will watch any more."""
        with tolerated(self._env):
            for status in self._env.memory.statuses():
                if status.application_id == application_id:
                    self._env.memory.mark_absent(status.key, now)
            self._close_requests(lambda request: request.application_id == application_id, "the job is gone", now)

    def _show_no_longer(self, application_id: str, now: Millis) -> None:
        """Let an application go on that is none of ours any more: its jobs' history is kept."""
        with tolerated(self._env):
            for status in self._env.memory.statuses():
                if status.application_id == application_id and status.state != "ENDED":
                    self._env.memory.save_status(ended(status, NOT_ADMITTED, now))
            self._close_requests(lambda request: request.application_id == application_id, NOT_ADMITTED, now)

    def _close_requests(self, orphaned: Callable[[Request], bool], why: str, now: Millis) -> None:
        watched = {job.watch.open.id for job in self.jobs() if job.watch.open is not None}
        for request in self._env.memory.open_requests():
            if request.id not in watched and orphaned(request):
                self._env.memory.update_request(action.not_achieved(request, {}, why, now))

    def _application_failed(self, error: ClusterError) -> None:
        """A time-out may mean that the ResourceManager is down, for the proxy asks it first: find out at once."""
        now = self._env.clock()
        asked = max(self._asked_at, self._wanted_at)
        if isinstance(error, Transient) and error.kind == "timeout" and now - asked > ASK_AT_ONCE_AFTER:
            self._wanted_at = now
            self._env.scheduler.at(now, self._discover, name="discovery", lane=Lane.DISCOVERY)

    # -------------------------------------------------------------- identity and retention

    def _claim(self, key: JobKey, holder: Holder) -> Claimed:
        return self._claims.claim(key, holder, self._runs)

    def _runs(self, holder: Holder) -> bool:
        loop = self._applications.get(holder.application_id)
        return loop is not None and loop.runs(holder)

    def _retain(self) -> None:
        now = self._env.clock()
        try:
            with tolerated(self._env):
                for key, since in self._env.memory.absent().items():
                    if now - since >= FORGET_AFTER:
                        self._env.memory.forget(key)
                self._close_requests(lambda request: now - request.decided_at >= FORGET_AFTER, "the job is gone", now)
                self._env.memory.retain(now)
        except Exception as error:
            self._env.journal.crashed("retention", "retention failed", error)
        finally:
            self._env.scheduler.at(now + RETAIN_EVERY, self._retain, name="retention", lane=Lane.DISCOVERY)


def _cause(error: ClusterError) -> str:
    """What tells one trouble from another: its text without the times and sizes in it."""
    return re.sub(r"[\d.]+", "", str(error))

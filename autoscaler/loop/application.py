"""One YARN application: what it says of itself, and which jobs run in it; session clusters hold several."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from autoscaler.cluster import Application, ClusterError, JobOverview
from autoscaler.loop.contract import Contract, contract
from autoscaler.loop.job import JobLoop, Surroundings
from autoscaler.loop.ports import Environment, Flink, Lane
from autoscaler.loop.subject import Subject
from autoscaler.loop.view import undecided_status
from autoscaler.model import JobKey, JobStatus, Millis, Reason
from autoscaler.options import Layer, layer_of
from autoscaler.store import StoreUnavailable

LOOK_EVERY: Millis = 60_000  # at applications of whose jobs none is ours; the passes of ours see the others too
LONGEST_BACK_OFF: Millis = 300_000
ENDED = frozenset({"FAILED", "CANCELED", "FINISHED"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Orders:
    """What the daemon was told, as far as loops need it; replaced as a whole when settings are read again.

    ``layers_of`` gives the configuration layers below and above those of an application and its job.
    """

    cluster: str
    act: bool
    profile: str
    below: Callable[[], Sequence[Layer]]
    above: Callable[[Application, str], Sequence[Layer]]
    spread: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class FleetView:
    """What an application's loop asks of, and tells, the fleet."""

    orders: Callable[[], Orders]
    reachable: Callable[[], bool]
    failed: Callable[[ClusterError], None]
    claim: Callable[[JobKey, Application, str], JobKey]


class ApplicationLoop:
    """Inspects an application once per attempt, takes up its jobs, and looks for new ones."""

    def __init__(self, env: Environment, fleet: FleetView, application: Application) -> None:
        self.application = application
        self.jobs: dict[str, JobLoop] = {}
        self.inspected = False
        self._env = env
        self._fleet = fleet
        self._flink: Flink | None = None
        self._version: str | None = None
        self._config: Mapping[str, str] = {}
        self._others: dict[str, JobStatus] = {}
        self._retired = False
        self._failures = 0
        self._seen_at: Millis = 0
        self._lock = threading.RLock()

    # -------------------------------------------------------------- life

    def start(self, now: Millis) -> None:
        self._schedule(now, self._inspect)

    def renew(self, application: Application, now: Millis) -> None:
        """Take YARN's newest word; another ApplicationMaster address means another attempt, to be inspected anew."""
        moved = (application.am_address, application.tracking_url) != (
            self.application.am_address,
            self.application.tracking_url,
        )
        self.application = application
        count = None if application.running_containers is None else max(0, application.running_containers - 1)
        for job in self._jobs():
            job.renew(application)
            if count is not None:
                job.watch.task_managers_seen(count, now)
        if moved:
            self._schedule(now, self._inspect)

    def start_over(self, now: Millis) -> None:
        """Take up every job anew under the present orders; what was measured is recalled from the store."""
        with self._lock:
            for job in self.jobs.values():
                job.retire()
            self.jobs.clear()
            self._others.clear()
        self._schedule(now, self._inspect)

    def retire(self, why: str, now: Millis) -> None:
        """The application ended; its jobs' history is kept for a successor."""
        self._retired = True
        for job in self._jobs():
            job.retire()
            job.watch.give_up(why, now)

    @property
    def failing(self) -> bool:
        """Whether the application did not answer the last time it was asked."""
        return self._failures > 0

    def statuses(self) -> list[JobStatus]:
        with self._lock:
            own = [job.status for job in self.jobs.values() if job.status is not None]
            return own + list(self._others.values())

    def _jobs(self) -> list[JobLoop]:
        with self._lock:
            return list(self.jobs.values())

    # -------------------------------------------------------------- steps

    def _schedule(self, when: Millis, step: Callable[[Millis], None]) -> None:
        if not self._retired:
            lane = Lane.SUSPECTS if self._failures else Lane.WORKERS
            self._env.scheduler.at(when, lambda: self._take(step), name=self.application.id, lane=lane)

    def _take(self, step: Callable[[Millis], None]) -> None:
        if self._retired:
            return
        now = self._env.clock()
        try:
            if self._fleet.reachable():
                step(now)
                self._failures = 0
                self._env.journal.over(self.application.id, "the application answers again", id=self.application.id)
        except ClusterError as error:
            self._failed(error, now)
            wait = min(2_000 * 2 ** min(self._failures, 10), LONGEST_BACK_OFF)
            self._schedule(now + wait, step)
            return
        except Exception as error:  # one application must not stop the others, whatever it does
            self._env.journal.error("application failed", error, application_id=self.application.id)
        self._schedule(now + LOOK_EVERY, self._look if self.inspected else self._inspect)

    def _inspect(self, now: Millis) -> None:
        """Read what the application is and which jobs it runs."""
        url = self.application.tracking_url
        if url is None:
            return
        flink = self._env.connect(self.application)
        version = flink.cluster_config().flink_version
        config = flink.configuration()
        jobs = flink.jobs()
        with self._lock:
            self._flink, self._version, self._config = flink, version, config
            self._others.clear()
            self.inspected = True
        for job in self._jobs():
            job.move_to(self.application, flink)
        self._take_up(jobs, now)

    def _look(self, now: Millis) -> None:
        """List the jobs, unless a pass of one of ours did so lately."""
        if now - self._seen_at >= LOOK_EVERY and self._flink is not None:
            self._take_up(self._flink.jobs(), now)

    def noticed(self, seen: tuple[JobOverview, ...]) -> None:
        """A pass listed the application's jobs: look closer if one is new, forget others that ended."""
        now = self._env.clock()
        self._seen_at = now
        running = {job.id for job in seen if job.state not in ENDED}
        with self._lock:
            for gone in self._others.keys() - running:
                del self._others[gone]
            new = running - self.jobs.keys() - self._others.keys()
        if new:
            self._schedule(now, lambda at: self._take_up(seen, at))

    def vanished(self, job: JobLoop) -> None:
        """A job is no longer listed although the application answers: it ended, or it runs under another id."""
        job.retire()
        with self._lock:
            self.jobs.pop(job.subject.job_id, None)
        job.watch.give_up("the job ended", self._env.clock())
        self._env.journal.note("job ended", job=str(job.subject.key), job_id=job.subject.job_id)

    # -------------------------------------------------------------- taking up jobs

    def _take_up(self, seen: Sequence[JobOverview], now: Millis) -> None:
        self._seen_at = now
        for overview in seen:
            if overview.state in ENDED or overview.id in self.jobs or overview.id in self._others:
                continue
            self._take_up_one(overview, now)

    def _take_up_one(self, overview: JobOverview, now: Millis) -> None:
        assert self._flink is not None
        orders = self._fleet.orders()
        agreed = self._agreement(orders, overview)
        chosen = agreed.resolved.chosen("yarn.id")
        key = JobKey(
            cluster=orders.cluster,
            application=chosen.value if chosen else self.application.name,
            job=overview.name,
        )
        subject = Subject(
            key=self._fleet.claim(key, self.application, overview.id),
            application=self.application,
            flink=self._flink,
            flink_version=self._version,
            job_id=overview.id,
        )
        if agreed.hold is not None:
            self._list_other(undecided_status(subject, overview.state, agreed.hold, agreed.detail, now, None))
            return
        surroundings = Surroundings(
            acting=lambda: self._fleet.orders().act,
            reachable=self._fleet.reachable,
            noticed=self.noticed,
            failed=self._fleet.failed,
            vanished=self.vanished,
        )
        loop = JobLoop(self._env, surroundings, subject, agreed)
        with self._lock:
            self.jobs[overview.id] = loop
        if agreed.detail:
            self._env.journal.warn("two scalers", job=str(subject.key), detail=agreed.detail)
        loop.start(now, spread=orders.spread)

    def _agreement(self, orders: Orders, overview: JobOverview) -> Contract:
        assert self._flink is not None
        layers = [
            *orders.below(),
            layer_of(f"application {self.application.id}", self._config),
            layer_of(f"global parameters of job {overview.name}", self._flink.job_parameters(overview.id)),
            *orders.above(self.application, overview.name),
        ]
        return contract(layers, self._version, orders.profile)

    def _list_other(self, status: JobStatus) -> None:
        with self._lock:
            self._others[status.job_id or ""] = status
        self._env.journal.changed_mind(status, {})
        try:
            self._env.memory.save_status(status)
        except StoreUnavailable as error:
            self._env.journal.once("store", "the store cannot be used", error=str(error))

    def _failed(self, error: ClusterError, now: Millis) -> None:
        self._failures += 1
        self._fleet.failed(error)
        self._env.journal.once(
            self.application.id, "the application does not answer", id=self.application.id, error=str(error)
        )
        if not self.inspected:
            key = JobKey(cluster=self._fleet.orders().cluster, application=self.application.name, job="")
            self._others[""] = JobStatus(
                key=key,
                application_id=self.application.id,
                job_id=None,
                state=self.application.state,
                reason=Reason.UNREACHABLE,
                detail=str(error),
                at=now,
                since=now,
                user=self.application.user,
                queue=self.application.queue,
                tracking_url=self.application.tracking_url or "",
            )

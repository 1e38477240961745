"""One YARN application: what it says of itself, and which jobs run in it; session clusters hold several."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from autoscaler.cluster import Application, ClusterError, Gone, JobOverview, Transient
from autoscaler.loop.allotment import Market, Neighbours
from autoscaler.loop.claims import Claimed, Holder
from autoscaler.loop.contract import Contract, contract
from autoscaler.loop.job import ENDED, HOLD, JobLoop, Surroundings
from autoscaler.loop.others import Others
from autoscaler.loop.ports import Environment, Flink, Lane
from autoscaler.loop.standing import Standing
from autoscaler.loop.subject import Subject
from autoscaler.loop.view import undecided_status
from autoscaler.model import Command, JobKey, JobStatus, Millis, Reason
from autoscaler.options import Layer, Resolved, layer_of, resolve
from autoscaler.options.commands import command_layers, pins
from autoscaler.options.rules import Rule, policy_for

LOOK_EVERY: Millis = 60_000  # at applications of whose jobs none is ours; the passes of ours see the others too
SOON: Millis = 5_000
LONGEST_BACK_OFF: Millis = 300_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Orders:
    """What the daemon was told, as far as loops need it; replaced as a whole when settings are read again.

    ``below`` and ``above`` give the configuration layers below and above those of an application and its job; only
    the operators' commands are above them all. ``rules`` is what is wanted of single vertices; ``interval`` replaces
    what they say of the time between two passes. ``on_emr_host`` is whether this host is EMR's.
    """

    cluster: str
    act: bool
    profile: str
    below: Callable[[], Sequence[Layer]]
    above: Callable[[Application, str], Sequence[Layer]]
    rules: Sequence[Rule] = ()
    spread: bool = True
    interval: Millis | None = None
    on_emr_host: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class FleetView:
    """What an application's loop asks of, and tells, the fleet.

    ``commands`` are those of the last discovery, ``commands_now`` reads the store again.
    """

    orders: Callable[[], Orders]
    reachable: Callable[[], bool]
    failed: Callable[[ClusterError], None]
    commands: Callable[[JobKey], tuple[Command, ...]]
    commands_now: Callable[[JobKey], tuple[Command, ...]]
    claim: Callable[[JobKey, Holder], Claimed]
    release: Callable[[Holder], None]
    market: Market


class ApplicationLoop:
    """Inspects an application once per attempt, takes up its jobs, and looks for new ones.

    All of that happens in visits, one at a time: whoever wants one while another is under way has it follow.
    """

    def __init__(self, env: Environment, fleet: FleetView, application: Application) -> None:
        self.application = application
        self.jobs: dict[str, JobLoop] = {}
        self.others = Others(env)
        self.standing = Standing()
        self._env = env
        self._fleet = fleet
        self._flink: Flink | None = None
        self._version: str | None = None
        self._config: Mapping[str, str] = {}
        self._leaving: list[JobLoop] = []
        self._former: dict[str, JobStatus | None] = {}
        self._under: dict[str, tuple[JobKey, tuple[Command, ...]]] = {}  # the commands each job was taken up under
        self._retired = False
        self._failures = 0
        self._attempts = 1  # seen so far, and the last of them that was inspected
        self._inspected = 0
        self._list_due = False
        self._seen_at: Millis = 0
        self._visiting = False
        self._again = False
        self._lock = threading.RLock()

    # -------------------------------------------------------------- life

    def start(self, now: Millis) -> None:
        self._want_visit(now)

    def renew(self, application: Application, now: Millis) -> None:
        """Take YARN's newest word; another ApplicationMaster address means another attempt, to be inspected anew."""
        with self._lock:
            before, self.application = self.application, application
            moved = (application.am_address, application.tracking_url) != (before.am_address, before.tracking_url)
            if moved:
                self._attempts += 1
        for job in self.own_jobs():
            job.renew(application)
            held = job.subject.held
            if held is not None:
                job.held_seen(held, now, session=len(self.jobs) + len(self.others.known()) > 1)
        if moved:
            self._want_visit(now)

    def start_over(self, now: Millis) -> None:
        """Take up every job anew under the present orders; what was measured is recalled from the store."""
        with self._lock:
            self._leaving += self.jobs.values()
            self._former = {job_id: job.status for job_id, job in self.jobs.items()}
            self.jobs.clear()
            self._attempts += 1
        for job in self._leaving:
            job.retire()
        self.others.clear()
        self._want_visit(now)

    def review(self, now: Millis) -> None:
        """Take up anew each job for which other commands are in force than it was taken up under."""
        with self._lock:
            current = {job_id: self._fleet.commands(key) for job_id, (key, _) in self._under.items()}
            changed = {job_id: key for job_id, (key, under) in self._under.items() if current[job_id] != under}
            if not changed:
                return
            leaving = {job_id: self.jobs[job_id] for job_id in changed if job_id in self.jobs}
            for job in leaving.values():
                job.retire()
            self._leaving += leaving.values()  # before they are gone: a visit under way must not take them up yet
            self._former |= {job_id: job.status for job_id, job in leaving.items()}
            self.jobs = {job_id: job for job_id, job in self.jobs.items() if job_id not in changed}
            self._former |= self.others.without(changed)
            self._under = {job_id: under for job_id, under in self._under.items() if job_id not in changed}
            self._list_due = True
        for job_id, key in changed.items():
            said = [f"{command.option}: {command.value}" for command in current[job_id]]
            self._env.journal.note("operator commands changed", job=str(key), job_id=job_id, in_force=said)
        self._want_visit(now)

    def retire(self, why: str) -> None:
        """The application ended; its jobs' history is kept for a successor."""
        self._retired = True
        for job in self.own_jobs():
            job.retire(why)

    @property
    def settled(self) -> bool:
        """Whether every job was taken up, or the application does not answer."""
        with self._lock:
            if self._visiting or self._again:
                return False
            done = self._inspected == self._attempts and not self._list_due
        return done or self._failures > 0 or self.others.have_trouble

    def statuses(self) -> list[JobStatus]:
        with self._lock:
            shown = [job.status for job in self.jobs.values()] + list(self._former.values())
        return [status for status in shown if status is not None] + self.others.statuses()

    def own_jobs(self) -> list[JobLoop]:
        with self._lock:
            return list(self.jobs.values())

    def runs(self, holder: Holder) -> bool:
        """Whether a job that has an identity is still there."""
        with self._lock:
            return holder.job_id in self.jobs or holder.job_id in self.others

    # -------------------------------------------------------------- visits

    def _want_visit(self, at: Millis) -> None:
        with self._lock:
            if self._visiting:
                self._again = True
            elif not self._retired:
                lane = Lane.SUSPECTS if self._failures else Lane.VISITS
                self._env.scheduler.at(at, self._visit, name=self.application.id, lane=lane)

    def _visit(self) -> None:
        with self._lock:
            if self._visiting or self._retired:
                return
            self._visiting = True
        wait = LOOK_EVERY
        try:
            wait = self._visited(self._env.clock())
        except Exception as error:  # one application must not stop the others, whatever it does
            subject = f"visit {self.application.id}"
            self._env.journal.crashed(subject, "application failed", error, application_id=self.application.id)
        finally:
            with self._lock:
                self._visiting = False
                again, self._again = self._again, False
                self._want_visit(self._env.clock() + (0 if again else wait))

    def _visited(self, now: Millis) -> Millis:
        """See what is new; return how long to wait until the next time."""
        if not self._fleet.reachable():
            return HOLD
        try:
            wait = self._look(now) if self._inspected == self._attempts else self._inspect(now)
        except ClusterError as error:
            return self._failed(error, now)
        self._failures = 0
        self._env.journal.over(self.application.id, "the application answers again", id=self.application.id)
        self._env.journal.over(f"visit {self.application.id}", "the application is looked at again")
        return wait

    def _inspect(self, now: Millis) -> Millis:
        """Read what the application is and which jobs it runs."""
        attempt = self._attempts
        application = self._with_address()
        if application is None:
            detail = f"YARN says {self.application.state}, and knows no address of an ApplicationMaster yet"
            self._show_unknown(Reason.NOT_RUNNING, detail, now)
            return SOON
        flink = self._env.connect(application)
        version = flink.cluster_config(self.standing.patience_s).flink_version
        config = flink.configuration()
        seen = flink.jobs()
        self._flink, self._version, self._config = flink, version, config
        self.others.clear()
        for job in self.own_jobs():
            job.renew(application, flink)
        self.standing.answered()
        self._inspected = attempt
        return self._take_up(seen, now, new_attempt=True)

    def _with_address(self) -> Application | None:
        """The application with the address of its Flink, which the list of applications may not have had yet."""
        if self.application.tracking_url is not None:
            return self.application
        try:
            found = self._env.yarn.application(self.application.id)
        except ClusterError:
            return None
        return found if found is not None and found.tracking_url is not None else None

    def _look(self, now: Millis) -> Millis:
        """List the jobs, unless a pass of one of ours did so lately and found nothing new."""
        if self._flink is None or not (self._list_due or now - self._seen_at >= LOOK_EVERY):
            return LOOK_EVERY
        return self._take_up(self._flink.jobs(), now)

    def noticed(self, seen: tuple[JobOverview, ...]) -> None:
        """A pass listed the application's jobs: look closer if one is new, forget others that ended."""
        now = self._env.clock()
        running = {job.id for job in seen if job.state not in ENDED}
        self._release(self.others.keep(running, now))
        with self._lock:
            self._seen_at = now
            if not (running - self.jobs.keys() - self.others.known()):
                return
            self._list_due = True
            if self._failures:  # the next try is scheduled already, and should not come sooner
                return
        self._want_visit(now)

    def vanished(self, job: JobLoop, why: str) -> None:
        """A job ended, or runs under another id."""
        with self._lock:
            if self.jobs.pop(job.subject.job_id, None) is None:
                return
            self._leaving.append(job)
            self._list_due = True
        self._release([job.subject.job_id])
        job.retire(why)
        self._env.journal.note("job ended", job=str(job.subject.key), job_id=job.subject.job_id, detail=why)
        self._want_visit(self._env.clock())

    def _release(self, job_ids: Sequence[str]) -> None:
        for job_id in job_ids:
            self._fleet.release(Holder(self.application.id, job_id))

    # -------------------------------------------------------------- taking up jobs

    def _take_up(self, seen: Sequence[JobOverview], now: Millis, *, new_attempt: bool = False) -> Millis:
        """Take up each job that is new. One that cannot be taken up keeps none of the others from it."""
        with self._lock:
            self._seen_at = now
            self._list_due = False
            self._leaving = [job for job in self._leaving if job.busy]
            self._former = {job.id: self._former[job.id] for job in seen if job.id in self._former}
            self._under = {job.id: self._under[job.id] for job in seen if job.id in self._under}
        running = {job.id: job for job in seen if job.state not in ENDED}
        self._release(self.others.keep(running, now))
        trouble: ClusterError | None = None
        wait = LOOK_EVERY
        for overview in running.values():
            if overview.id in self.jobs or overview.id in self.others:
                continue
            if self._must_wait(overview, running, new_attempt=new_attempt):
                self._list_due, wait = True, SOON
                continue
            try:
                self._take_up_one(overview, now)
            except Gone:
                continue  # it ended meanwhile
            except ClusterError as error:
                self._list_troubled(overview, Reason.UNREACHABLE, str(error), now)
                trouble = trouble or error
            except Exception as error:
                detail = f"unexpected {type(error).__name__}: {error}"
                self._list_troubled(overview, Reason.ERROR, detail, now)
                about = f"taking up {overview.id}"
                self._env.journal.crashed(about, "job cannot be taken up", error, job=overview.name, job_id=overview.id)
        if trouble is not None:
            raise trouble
        return wait

    def _must_wait(self, overview: JobOverview, running: Mapping[str, JobOverview], *, new_attempt: bool) -> bool:
        """Whether somebody must leave first: a loop that still takes its last step, or a predecessor of the same
        name that is not listed, of which it is not known yet whether it is gone."""
        if any(job.subject.job_id == overview.id for job in self._leaving):
            return True
        for job in self.own_jobs():
            if job.subject.name == overview.name and job.subject.job_id not in running:
                if not new_attempt:
                    return True
                self.vanished(job, f"the job was started anew and runs under another id, {overview.id}")
        return False

    def _list_troubled(self, overview: JobOverview, reason: Reason, detail: str, now: Millis) -> None:
        """List a job that cannot be taken up, by the name it has as far as it is known, and have that tried again."""
        self._list_due = True
        orders = self._fleet.orders()
        subject = self._subject(orders, overview, resolve(self._layers(orders, overview, {}), orders.profile))
        self.others.trouble(undecided_status(subject, overview.state, reason, detail, now, None))

    def _take_up_one(self, overview: JobOverview, now: Millis) -> None:
        assert self._flink is not None
        orders = self._fleet.orders()
        layers = self._layers(orders, overview, self._flink.job_parameters(overview.id))
        subject = self._subject(orders, overview, resolve(layers, orders.profile))
        commands = self._fleet.commands(subject.key)
        agreed = self._agreement(orders, overview, [*layers, *command_layers(commands)])
        agreed = replace(agreed, pins=pins(commands))
        for warning in agreed.warnings:
            self._env.journal.once(f"{warning} {subject.key}", "configuration", job=str(subject.key), detail=warning)
        if agreed.hold is not None:
            self._former.pop(overview.id, None)
            self.others.add(undecided_status(subject, overview.state, agreed.hold, agreed.detail, now, None))
            with self._lock:
                self._under[overview.id] = (subject.key, commands)
            return
        surroundings = Surroundings(
            acting=lambda: self._fleet.orders().act and agreed.advice is None,
            undisturbed=lambda: self._fleet.commands_now(subject.key) == commands,
            reachable=self._fleet.reachable,
            standing=self.standing,
            noticed=self.noticed,
            failed=self._fleet.failed,
            vanished=self.vanished,
            market=self._fleet.market,
            neighbours=self._neighbours,
        )
        with self._lock:
            self._under[overview.id] = (subject.key, commands)
            former = self._former.pop(overview.id, None)
            loop = self.jobs[overview.id] = JobLoop(self._env, surroundings, subject, agreed, former)
        self.others.taken_up(overview.id, subject.key, now)
        loop.start(now, spread=orders.spread)

    def _neighbours(self, job_id: str, now: Millis) -> Neighbours:
        """What the application's other jobs take of its slots; one of which nothing is known yet is a stranger."""
        others = [job for job in self.own_jobs() if job.subject.job_id != job_id]
        demands = [demand for job in others if (demand := job.demand(now)) is not None]
        return Neighbours(
            demands=tuple(demands),
            slots_held=sum(job.slots_held for job in others),
            strangers=len(demands) < len(others) or bool(self.others.known()),
        )

    def _layers(self, orders: Orders, overview: JobOverview, parameters: Mapping[str, str]) -> list[Layer]:
        """What is said of a job, but for the commands, which are found by the name that follows from it."""
        return [
            *orders.below(),
            layer_of(f"application {self.application.id}", self._config, submitted=True),
            layer_of(f"global parameters of job {overview.name}", parameters, submitted=True),
            *orders.above(self.application, overview.name),
        ]

    def _agreement(self, orders: Orders, overview: JobOverview, layers: Sequence[Layer]) -> Contract:
        agreed = contract(layers, self._version, orders.profile, on_emr_host=orders.on_emr_host)
        policy = agreed.policy
        if orders.interval is not None:
            policy = replace(policy, decision_interval=orders.interval)
        policy_of = policy_for(policy, orders.rules, self.application.name, overview.name)
        return replace(agreed, policy=policy, policy_of=policy_of)

    def _subject(self, orders: Orders, overview: JobOverview, resolved: Resolved) -> Subject:
        assert self._flink is not None
        chosen = resolved.chosen("yarn.id")
        name = chosen.value if chosen else self.application.name
        wanted = JobKey(cluster=orders.cluster, application=name, job=overview.name)
        claimed = self._fleet.claim(wanted, Holder(self.application.id, overview.id))
        if claimed.other is not None:
            self._env.journal.once(
                f"name {claimed.key}",
                "two running jobs have the same name; set job.autoscaler.yarn.id to tell them apart by name",
                name=str(wanted),
                kept_as=str(claimed.key),
                other=claimed.other.application_id,
            )
        return Subject(
            key=claimed.key,
            name=overview.name,
            application=self.application,
            flink=self._flink,
            flink_version=self._version,
            job_id=overview.id,
        )

    # -------------------------------------------------------------- failing

    def _failed(self, error: ClusterError, now: Millis) -> Millis:
        self._failures += 1
        self._fleet.failed(error)
        if isinstance(error, Transient):
            self.standing.failed()
        self._env.journal.once(
            self.application.id, "the application does not answer", id=self.application.id, error=str(error)
        )
        if self._inspected != self._attempts and not self.own_jobs():
            self._show_unknown(Reason.UNREACHABLE, str(error), now)
        wait: Millis = 2_000 * 2 ** min(self._failures, 10)
        return min(wait, LONGEST_BACK_OFF)

    def _show_unknown(self, reason: Reason, detail: str, now: Millis) -> None:
        """List the application itself, as nothing is known of its jobs."""
        known = self.application
        key = JobKey(cluster=self._fleet.orders().cluster, application=known.name, job=known.id)
        self.others.show_application(
            JobStatus(
                key=key,
                application_id=known.id,
                job_id=None,
                state=known.state,
                reason=reason,
                detail=detail,
                at=now,
                since=now,
                user=known.user,
                queue=known.queue,
                tracking_url=known.tracking_url or "",
            )
        )

"""One pass for one job after the other: poke, read and act, and looks at what came of it.

The steps of a job never overlap: each one schedules the next when it ends. No thread sleeps in between.
"""

from __future__ import annotations

import threading
import zlib
from collections.abc import Callable
from dataclasses import dataclass, replace

from autoscaler.cluster import Application, ClusterError, Gone, JobOverview, Transient
from autoscaler.core.capacity import Demand
from autoscaler.loop import action
from autoscaler.loop.allotment import Allotment, Market, Neighbours
from autoscaler.loop.contract import Contract
from autoscaler.loop.notice import Notice
from autoscaler.loop.pilot import CHECK_EVERY, Pilot
from autoscaler.loop.ports import Environment, Flink, Lane
from autoscaler.loop.release import Release
from autoscaler.loop.sender import Sender
from autoscaler.loop.standing import Standing
from autoscaler.loop.storing import store_failed
from autoscaler.loop.subject import Held, Subject
from autoscaler.loop.upkeep import Upkeep
from autoscaler.loop.watch import Watch
from autoscaler.model import JobStatus, Millis, Reason
from autoscaler.store import StoreUnavailable
from autoscaler.telemetry import sentences

POKE_TO_READ: Millis = 2_000  # the JobManager needs about a second to fetch the metrics the poke asked for
LATE_AFTER: Millis = 5_000
LONGEST_BACK_OFF: Millis = 300_000
HOLD: Millis = 5_000  # how soon to ask again whether the ResourceManager is back
GONE_AFTER: Millis = 15_000  # of absences in a row: an overview omits a job whose JobMaster did not answer in time
ENDED = frozenset({"FAILED", "CANCELED", "FINISHED"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Surroundings:
    """What a job's loop asks of, and tells, its application and the fleet.

    ``undisturbed`` is whether the operators' commands, read anew, are those it was taken up under.
    """

    acting: Callable[[], bool]
    undisturbed: Callable[[], bool]
    reachable: Callable[[], bool]
    standing: Standing
    noticed: Callable[[tuple[JobOverview, ...]], None]
    failed: Callable[[ClusterError], None]
    vanished: Callable[[JobLoop, str], None]
    market: Market
    neighbours: Callable[[str, Millis], Neighbours]


@dataclass(frozen=True, slots=True, kw_only=True)
class Following:
    """The step to run next: ``due`` is when it should run, ``at`` when to try (again). ``held`` is one that waits
    on purpose, so that it is not late."""

    step: Callable[[Millis], Following]
    due: Millis
    at: Millis
    held: bool = False


def following(step: Callable[[Millis], Following], due: Millis) -> Following:
    return Following(step=step, due=due, at=due)


class JobLoop:
    """The life of one running job that is ours."""

    def __init__(
        self,
        env: Environment,
        surroundings: Surroundings,
        subject: Subject,
        contract: Contract,
        former: JobStatus | None = None,
    ) -> None:
        self.subject = subject
        self.contract = contract
        self.retired = False
        self.passes = 0
        self.watch = Watch(env)
        self._env = env
        self._around = surroundings
        self._notice = Notice(env, former)
        self._allotment = Allotment(
            env,
            surroundings.market,
            contract,
            Release(env, self.watch),
            lambda: surroundings.neighbours(self.subject.job_id, env.clock()),
        )
        upkeep = Upkeep(env, contract, Sender(env, self.watch, surroundings.undisturbed), self._allotment)
        self._pilot = Pilot(env, surroundings.acting, upkeep, self._notice)
        self._due: Millis = 0
        self._poked_at: Millis = 0
        self._failures = 0
        self._absent_since: Millis | None = None
        self._turn = threading.Lock()  # held by the one step that runs
        self._renewing = threading.Lock()
        self._farewell: str | None = None

    # -------------------------------------------------------------- life

    @property
    def status(self) -> JobStatus | None:
        return self._notice.status

    @property
    def _name(self) -> str:
        return f"{self.subject.application.id}/{self.subject.job_id}"

    @property
    def busy(self) -> bool:
        """Whether a step runs now; one that runs while its loop is retired finishes, and may be sending."""
        return self._turn.locked()

    @property
    def has_settled(self) -> bool:
        """Whether another pass soon would tell no more: the last one decided on a window, or could not look.

        A request that was found open counts once it was looked at, and a step that runs once it has stored its outcome.
        """
        if self.busy or (self.watch.open is not None and not self.watch.looked):
            return False
        return self.status is not None and self.status.reason is not Reason.NOT_READY

    def start(self, now: Millis, *, spread: bool = True) -> None:
        """Recall what was known of the job and schedule its first step.

        First passes are spread over the interval by the job's name, so that a thousand jobs do not come at once.
        A request that a former process left open is settled at once.
        """
        self._pilot.recall(self.subject, now)
        interval = min(self.contract.policy.decision_interval, 60_000)
        offset = zlib.crc32(str(self.subject.key).encode()) % interval if spread else 0
        self._due = now + offset - self.contract.policy.decision_interval
        if self.watch.open is not None:
            self._allotment.asked(self.subject, self.watch.open)
            self._schedule(following(self._settle, now))
        else:
            self._schedule(following(self._poke, now + offset))

    def renew(self, application: Application, flink: Flink | None = None) -> None:
        """YARN's newest word on the application; with ``flink`` another attempt of it answers."""
        with self._renewing:
            self.subject = replace(self.subject, application=application, flink=flink or self.subject.flink)
        if flink is not None:
            self._pilot.look_anew()

    def demand(self, now: Millis) -> Demand | None:
        """What the job takes of its application's slots, ``None`` before its first pass."""
        return self._allotment.demand(self.watch.open, now)

    @property
    def slots_held(self) -> int:
        """The slots it held at its last pass."""
        return self._allotment.slots_held

    def held_seen(self, held: Held, now: Millis, *, session: bool) -> None:
        """YARN's newest count of what the application holds."""
        self.watch.task_managers_seen(held.task_managers, now)
        self._allotment.release.seen(self.subject, held, self.contract.resolved, session=session, now=now)

    def retire(self, farewell: str | None = None) -> None:
        """End the loop; a step that is running finishes and schedules nothing.

        ``farewell`` is why the job is no more; without one it goes on under another loop.
        """
        self._farewell = farewell
        self.retired = True
        self._part()

    def _part(self) -> None:
        """Close what is open, by whoever is last: who retires the loop, or the step that ran then."""
        if self._farewell is None or not self._turn.acquire(blocking=False):
            return
        try:
            why, self._farewell = self._farewell, None
            if why is not None:
                now = self._env.clock()
                self.watch.give_up(why, now)
                self._notice.show(self.subject, now, Reason.NOT_RUNNING, why, "ENDED")
        finally:
            self._turn.release()

    # -------------------------------------------------------------- scheduling

    def _schedule(self, following: Following) -> None:
        if self.retired:
            return
        lane = Lane.SUSPECTS if self._failures or self._around.standing.suspect else Lane.WORKERS
        self._env.scheduler.at(
            following.at,
            lambda: self._around.standing.run(lambda runs_in: self._take(following, runs_in), lane),
            name=self._name,
            lane=lane,
        )

    def _take(self, following: Following, lane: Lane) -> None:
        with self._turn:
            if not self.retired:
                self._schedule(self._admitted(following, lane))
        self._part()

    def _admitted(self, following: Following, lane: Lane) -> Following:
        """Run the step if it may run now and here."""
        now, standing = self._env.clock(), self._around.standing
        if not self._around.reachable():
            why = "held: the ResourceManager does not answer, and the proxy needs it"
            self._notice.hold(self.subject, now, Reason.UNREACHABLE, why)
            step = self._poke if following.step == self._read else following.step  # what was poked is old by then
            return replace(following, step=step, at=now + HOLD, held=True)
        if standing.suspect and lane is not Lane.SUSPECTS:
            return following
        return self._run(following, now)

    def _run(self, following: Following, now: Millis) -> Following:
        if following.step == self._poke:
            self._due = following.due
            if now - following.due > LATE_AFTER and not following.held:
                self._env.counters.add("late_passes")
        try:
            result = following.step(now)
        except Gone as error:
            self._show(now, Reason.NOT_RUNNING, str(error))
            return self._absent(now)
        except ClusterError as error:
            if self._was_hasty(following, error):
                self._around.standing.failed()
                return replace(following, at=now)
            return self._failed(error, now)
        except StoreUnavailable as error:
            store_failed(self._env, error)
            return self._onward(now)
        except Exception as error:  # one job's failure must not stop the others, whatever it is
            self._env.journal.crashed(f"pass {self._name}", "pass failed", error, job=str(self.subject.key))
            self._show(now, Reason.ERROR, f"unexpected {type(error).__name__}: {error}")
            return self._onward(now)
        self._failures = 0
        self._around.standing.answered()
        if following.step != self._poke:
            self._env.journal.over(f"pass {self._name}", "passes succeed again", job=str(self.subject.key))
        return result

    def _was_hasty(self, following: Following, error: ClusterError) -> bool:
        """Whether a poke was given little time only; it is made again among the suspects, with all it may take."""
        timed_out = isinstance(error, Transient) and error.kind == "timeout"
        return timed_out and following.step == self._poke and not self._around.standing.suspect

    def _onward(self, now: Millis) -> Following:
        """The next look while a request is in flight, else the next pass."""
        if self.watch.open is None:
            return self._next_pass_or_check(now)
        step = self._look if self.watch.is_settled else self._settle
        return following(step, self.watch.next_look(now))

    def _next_pass_or_check(self, now: Millis) -> Following:
        """The next pass, or before it a look whether the checkpoint came that a rescale waits for."""
        upcoming = self._next_pass()
        if not self._pilot.waits or upcoming.due <= now + CHECK_EVERY:
            return upcoming
        return following(self._check, now + CHECK_EVERY)

    def _next_pass(self, intervals: int = 1) -> Following:
        interval = self.contract.policy.decision_interval
        return following(self._poke, next_due(self._due, interval, intervals, self._env.clock()))

    # -------------------------------------------------------------- steps

    def _poke(self, now: Millis) -> Following:
        """Start the JobManager's metric refresh; the values read after it are those of about now."""
        self.subject.flink.poke(self._around.standing.patience_s)
        self._poked_at = now
        return following(self._read, now + POKE_TO_READ)

    def _read(self, now: Millis) -> Following:
        self._env.counters.add("passes")
        self._pilot.recall(self.subject, now)
        if self.watch.open is not None:  # known only now that the store can be read
            return following(self._settle, now)
        mine = self._overview()
        if mine is None:
            return self._absent(now)
        if not action.runs(mine):
            ran = f"{mine.running} of {mine.total} tasks run"
            self._show(now, Reason.NOT_RUNNING, f"Flink says {mine.state}, {ran}", mine.state)
            self._pilot.endure(self.subject, now)
            return self._onward(now)
        details = self.subject.flink.job(self.subject.job_id)
        if details.kind == "BATCH":
            self._show(now, Reason.BATCH, "a batch job; only streaming jobs are scaled", mine.state)
            return self._next_pass()
        if details.running_since is None or details.sparse:
            self._show(now, Reason.NOT_RUNNING, "the job waits for slots or is being restarted", mine.state)
            return self._next_pass()
        self._pilot.consider(self.subject, details, details.running_since, self._poked_at, now)
        self.passes += 1
        return self._onward(now)

    def _check(self, now: Millis) -> Following:
        """Between two passes: send what waits for a checkpoint as soon as one completed."""
        self._pilot.await_checkpoint(self.subject, now)
        return self._onward(now)

    def _settle(self, now: Millis) -> Following:
        """Find out whether the request of a former process was sent, and go on with it."""
        self.watch.settle(self.subject, now)
        self._pilot.note_sent()
        self._show_flight(now)
        return self._onward(now)

    def _look(self, now: Millis) -> Following:
        """One overview while a request is in flight; no second target is sent meanwhile."""
        policy = self.contract.policy
        mine = self._overview()
        if mine is None:
            if self.watch.is_overdue(policy, now):
                self.watch.give_up("not reached in time, and Flink does not list the job", now)
            return self._absent(now)
        self.watch.look(self.subject, mine, policy, now, lambda: self._allotment.shortage(self.subject, now))
        if self.watch.open is None:
            self._pilot.endure(self.subject, now)
        self._show_flight(now, mine.state)
        return self._onward(now)

    def _show_flight(self, now: Millis, state: str | None = None) -> None:
        request = self.watch.open
        if request is not None:
            since = sentences.seconds(now - (request.sent_at or now))
            waits = f" ({self.watch.waits_for})" if self.watch.waits_for else ""
            self._show(now, Reason.IN_FLIGHT, f"asked {since} ago: {request.reason}{waits}", state)

    def _overview(self) -> JobOverview | None:
        """The job as Flink lists it now; ``None`` if it does not, or as ended."""
        seen = self.subject.flink.jobs()
        self._around.noticed(seen)
        mine = next((job for job in seen if job.id == self.subject.job_id), None)
        if mine is None:
            return None
        if mine.state in ENDED:
            self._around.vanished(self, f"the job ended ({mine.state})")
            return None
        self._absent_since = None
        return mine

    def _absent(self, now: Millis) -> Following:
        if self._absent_since is None:
            self._absent_since = now
        if now - self._absent_since >= GONE_AFTER and not self.retired:
            self._around.vanished(self, "Flink lists the job no longer: it ended, or runs under another id")
        return self._onward(now)

    def _failed(self, error: ClusterError, now: Millis) -> Following:
        self._failures += 1
        self._env.counters.add("failed_passes")
        self._around.failed(error)
        if isinstance(error, Transient):
            self._around.standing.failed()
        self._show(now, Reason.UNREACHABLE, str(error))
        if self.watch.is_overdue(self.contract.policy, now):
            self.watch.give_up("not reached in time, and the application does not answer", now)
        if self.watch.open is not None:
            return self._onward(now)
        longest = max(1, LONGEST_BACK_OFF // self.contract.policy.decision_interval)
        return self._next_pass(min(2 ** min(self._failures - 1, 10), longest))

    def _show(self, now: Millis, reason: Reason, detail: str, state: str | None = None) -> None:
        self._notice.show(self.subject, now, reason, detail, state)


def next_due(last: Millis, interval: Millis, intervals: int, now: Millis) -> Millis:
    """When a pass is due ``intervals`` after the last one, on the grid of that one; those that are past are left out.

    A clock that was set back begins another grid: by the former one nothing would be due until it has caught up.
    """
    due = min(last, now) + intervals * interval
    return due + max(0, -((due - now) // interval)) * interval

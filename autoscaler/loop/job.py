"""One pass for one job: poke, read, decide, record, apply, record.

The steps of a job never overlap: each one schedules the next when it ends. No thread sleeps in between.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

from autoscaler.cluster import Application, ClusterError, Gone, JobDetails, JobOverview, PutResult
from autoscaler.core import decide
from autoscaler.loop import action
from autoscaler.loop.contract import Contract
from autoscaler.loop.observe import Observer
from autoscaler.loop.ports import Environment, Flink, Lane
from autoscaler.loop.subject import Subject
from autoscaler.loop.view import job_status, source_rate, undecided_status
from autoscaler.loop.watch import Watch
from autoscaler.model import (
    Decision,
    History,
    JobStatus,
    Millis,
    Reason,
    Request,
    Restart,
    Sample,
    Scaling,
    VertexId,
    Window,
    frozen,
)
from autoscaler.store import StoreUnavailable
from autoscaler.telemetry import sentences

POKE_TO_READ: Millis = 2_000  # the JobManager needs about a second to fetch the metrics the poke asked for
LATE_AFTER: Millis = 5_000
LONGEST_BACK_OFF: Millis = 300_000
HOLD: Millis = 5_000  # how soon to ask again whether the ResourceManager is back
GONE_AFTER_ABSENCES = 2  # an overview may omit a job whose JobMaster did not answer in time


@dataclass(frozen=True, slots=True, kw_only=True)
class Surroundings:
    """What a job's loop asks of, and tells, the fleet around it."""

    acting: Callable[[], bool]
    reachable: Callable[[], bool]
    noticed: Callable[[tuple[JobOverview, ...]], None]
    failed: Callable[[ClusterError], None]
    vanished: Callable[[JobLoop], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Following:
    """The step to run next and when it is due."""

    step: Callable[[Millis], Following | None]
    at: Millis


class JobLoop:
    """The life of one running job that is ours."""

    def __init__(self, env: Environment, surroundings: Surroundings, subject: Subject, contract: Contract) -> None:
        self.subject = subject
        self.contract = contract
        self.retired = False
        self.passes = 0
        self.status: JobStatus | None = None
        self.watch = Watch(env)
        self._env = env
        self._around = surroundings
        self._observer = Observer(subject.flink, subject.job_id)
        self._samples: tuple[Sample, ...] = ()
        self._history = History()
        self._poked_at: Millis = 0
        self._failures = 0
        self._absences = 0
        self._last_logged: Millis = 0
        self._mind: tuple[Reason, Mapping[VertexId, int]] | None = None

    def start(self, now: Millis, *, spread: bool = True) -> None:
        """Recall what was known of the job and schedule its first step.

        First passes are spread over the interval by the job's name, so that a thousand jobs do not come at once.
        A request that a former process left open is settled at once.
        """
        self._recall(now)
        if self.watch.open is not None:
            self._schedule(Following(step=self._settle, at=now))
            return
        interval = min(self.contract.policy.decision_interval, 60_000)
        offset = zlib.crc32(str(self.subject.key).encode()) % interval if spread else 0
        self._schedule(Following(step=self._poke, at=now + offset))

    def renew(self, application: Application) -> None:
        """YARN's newest word on the application."""
        self.subject = replace(self.subject, application=application)

    def move_to(self, application: Application, flink: Flink) -> None:
        """Another attempt of the application answers at another address."""
        self.subject = replace(self.subject, application=application, flink=flink)
        self._observer = Observer(flink, self.subject.job_id)

    def retire(self) -> None:
        """End the loop; a step that is running finishes and schedules nothing."""
        self.retired = True

    def _recall(self, now: Millis) -> None:
        policy, key = self.contract.policy, self.subject.key
        reach = policy.metrics_window + policy.stabilization_interval + 2 * policy.decision_interval
        try:
            self._history = self._env.memory.memory(key)
            window = self._env.memory.window(key, now - reach)
            self.watch.recall(key, self.subject.job_id, now)
            self._env.memory.present(key)
        except StoreUnavailable as error:
            self._store_failed(error)
            return
        if window is not None:
            self._samples = window.samples

    # -------------------------------------------------------------- steps

    def _schedule(self, following: Following | None) -> None:
        if following is None or self.retired:
            return
        self._env.scheduler.at(
            following.at,
            lambda: self._take(following),
            name=f"{self.subject.application.id}/{self.subject.job_id}",
            lane=Lane.SUSPECTS if self._failures else Lane.WORKERS,
        )

    def _take(self, following: Following) -> None:
        if self.retired:
            return
        now = self._env.clock()
        if not self._around.reachable():
            self._show(now, Reason.UNREACHABLE, "held: the ResourceManager does not answer, and the proxy needs it")
            self._schedule(replace(following, at=now + HOLD))
            return
        if now - following.at > LATE_AFTER:
            self._env.counters.add("late_passes")
        try:
            result = following.step(now)
            self._failures = 0
        except Gone as error:
            self._show(now, Reason.NOT_RUNNING, str(error))
            result = self._absent()
        except ClusterError as error:
            result = self._failed(error, now)
        except StoreUnavailable as error:
            self._store_failed(error)
            result = self._next_pass(now)
        except Exception as error:  # one job's failure must not stop the others, whatever it is
            self._env.journal.error("pass failed", error, job=str(self.subject.key))
            self._show(now, Reason.ERROR, f"unexpected {type(error).__name__}: {error}")
            result = self._next_pass(now)
        if following.step == self._read:
            self.passes += 1
        self._schedule(result)

    @property
    def has_settled(self) -> bool:
        """Whether another pass soon would tell no more: the last one decided on a window, or could not look."""
        return self.status is not None and self.status.reason is not Reason.NOT_READY

    def _next_pass(self, after: Millis) -> Following:
        """The next poke, one interval after ``after`` or, if that is past, at the next point of the same grid."""
        interval = self.contract.policy.decision_interval
        at = after + interval
        behind = self._env.clock() - at
        return Following(step=self._poke, at=at + max(0, -(-behind // interval)) * interval)

    def _poke(self, now: Millis) -> Following:
        """Start the JobManager's metric refresh; the values read after it are those of about now."""
        self.subject.flink.poke()
        self._poked_at = now
        return Following(step=self._read, at=now + POKE_TO_READ)

    def _read(self, now: Millis) -> Following | None:
        self._env.counters.add("passes")
        mine = self._overview()
        if mine is None:
            return self._absent()
        self._absences = 0
        next_pass = self._next_pass(self._poked_at)
        if not action.runs(mine):
            ran = f"{mine.running} of {mine.total} tasks run"
            self._show(now, Reason.NOT_RUNNING, f"Flink says {mine.state}, {ran}", mine.state)
            return next_pass
        details = self.subject.flink.job(self.subject.job_id)
        if details.kind == "BATCH":
            self._show(now, Reason.BATCH, "a batch job; only streaming jobs are scaled", mine.state)
            return next_pass
        if details.running_since is None:
            self._show(now, Reason.NOT_RUNNING, "the job waits for slots or is being restarted", mine.state)
            return next_pass
        self._consider(details, details.running_since, now)
        return self._looking(now) if self.watch.open is not None else next_pass

    def _overview(self) -> JobOverview | None:
        seen = self.subject.flink.jobs()
        self._around.noticed(seen)
        return next((job for job in seen if job.id == self.subject.job_id), None)

    def _absent(self) -> Following | None:
        self._absences += 1
        if self._absences >= GONE_AFTER_ABSENCES:
            self._around.vanished(self)
        return self._next_pass(self._poked_at)

    def _settle(self, now: Millis) -> Following:
        self.watch.settle(self.subject)
        return self._looking(now) if self.watch.open is not None else Following(step=self._poke, at=now)

    def _looking(self, now: Millis) -> Following:
        return Following(step=self._look, at=self.watch.next_look(now))

    def _look(self, now: Millis) -> Following:
        """One overview while a request is in flight; no second target is sent meanwhile."""
        mine = self._overview()
        self.watch.look(self.subject, mine, self.contract.policy.rescale_timeout, now)
        request = self.watch.open
        if request is None:
            return self._next_pass(now)
        since = sentences.seconds(now - (request.sent_at or now))
        state = mine.state if mine else "ABSENT"
        self._show(now, Reason.IN_FLIGHT, f"asked {since} ago: {request.reason}", state)
        return self._looking(now)

    def _failed(self, error: ClusterError, now: Millis) -> Following:
        self._failures += 1
        self._env.counters.add("failed_passes")
        self._around.failed(error)
        self._show(now, Reason.UNREACHABLE, str(error))
        if self.watch.is_overdue(self.contract.policy.rescale_timeout, now):
            self.watch.give_up("not reached in time, and the application does not answer", now)
        if self.watch.open is not None:
            return Following(step=self._settle, at=self.watch.next_look(now))
        interval = self.contract.policy.decision_interval
        wait = min(interval * 2 ** min(self._failures - 1, 10), max(interval, LONGEST_BACK_OFF))
        return Following(step=self._poke, at=now + wait)

    # -------------------------------------------------------------- deciding

    def _consider(self, details: JobDetails, running_since: Millis, now: Millis) -> None:
        """Observe, decide, apply, record."""
        policy, before = self.contract.policy, self._history
        observed = self._observer.observe(details, policy, self._poked_at, self._samples)
        window = Window(
            topology=observed.topology,
            running_since=running_since,
            samples=(*self._samples, observed.sample),
        )
        decision = decide(window, before, policy, self.contract.cluster, observed.sample.at)
        oldest = decision.window_start if decision.window_start is not None else window.samples[0].at
        self._samples = tuple(sample for sample in window.samples if sample.at >= oldest)
        self._history = History(scalings=decision.scalings, restarts=decision.restarts, delayed=decision.delayed)
        detail = sentences.explain(decision, observed.topology)
        if decision.rescale:
            objection = self._apply(decision, window, detail)
            if objection is not None:
                decision = withheld(decision, window, before, objection[0])
                self._history = replace(self._history, delayed=before.delayed)
                detail = objection[1]
        self._record(window, before, decision, detail, now)

    def _apply(self, decision: Decision, window: Window, wish: str) -> action.Objection | None:
        """Send the decision; return why it was not sent."""
        flink, job_id = self.subject.flink, self.subject.job_id
        if not self._around.acting():
            return Reason.ADVISE_ONLY, f"would scale {wish}"
        objection = action.refusal(
            self.contract.policy, flink.checkpoint_interval_ms(job_id), flink.checkpoints(job_id)
        )
        if objection is not None:
            return objection[0], f"{objection[1]}; wanted {wish}"
        live = flink.requirements(job_id)
        present = {v.id: v.parallelism for v in window.topology.vertices}
        bounds = action.bounds_to_send(live, present, decision.parallelism)
        if dict(bounds) == dict(live):
            return Reason.AWAITING_RESOURCES, f"already asked for, and the cluster has not given it: {wish}"
        request = action.intent(
            self.subject.key,
            decision,
            window,
            bounds,
            application_id=self.subject.application.id,
            job_id=job_id,
            reason=wish,
            source_rate=source_rate(window),
            task_managers=flink.task_managers().count,
        )
        return self._send(request, decision)

    def _send(self, request: Request, decision: Decision) -> action.Objection | None:
        with self._env.wire as open_for_sending:
            if not open_for_sending:
                return Reason.STOPPING, f"not sent, the autoscaler is stopping: {request.reason}"
            try:
                request = replace(request, id=self._env.memory.add_request(request))
            except StoreUnavailable as error:
                self._store_failed(error)
                return Reason.STORE_UNAVAILABLE, f"not sent, the intent cannot be stored: {request.reason}"
            sent_at = self._env.clock()
            answer = self.subject.flink.put_requirements(
                self.subject.job_id, request.requirements, action.PUT_TIMEOUT_S
            )
            request = action.answered(request, answer, sent_at)
            self._update(request)
        self._env.journal.requested(request)
        if answer.result is PutResult.REJECTED:
            self._env.counters.add("requests_rejected")
            return Reason.REJECTED, f"Flink refused: {answer.message}; wanted {request.reason}"
        if answer.result is PutResult.NOT_SENT:
            return Reason.UNREACHABLE, f"not sent: {answer.message}; wanted {request.reason}"
        self._env.counters.add("requests_sent")
        self.watch.begin(request)
        self._history = with_scaling(self._history, decision)
        return None

    # -------------------------------------------------------------- recording and showing

    def _record(self, window: Window, before: History, decision: Decision, detail: str, now: Millis) -> None:
        """Store the sample, and of history and decision what changed; then show the job."""
        key, memory = self.subject.key, self._env.memory
        changed = self._mind != (decision.reason, decision.advised)
        try:
            memory.append_sample(key, window.topology, window.running_since, window.samples[-1])
            if self._history != before:
                memory.save_memory(key, self._history)
            if changed:
                memory.record_decision(key, decision, detail)
            self._env.journal.over("store", "the store can be used again")
        except StoreUnavailable as error:
            self._store_failed(error)
        if not changed and now - self._last_logged >= self.contract.policy.debug_logs_interval:
            self._env.journal.evaluation(key, decision)
            self._last_logged = now
        self._publish(job_status(self.subject, window, decision, detail, now, self.status), decision.advised)

    def _show(self, now: Millis, reason: Reason, detail: str, state: str | None = None) -> None:
        """Publish a status that rests on no decision."""
        known = state or (self.status.state if self.status else "UNKNOWN")
        self._publish(undecided_status(self.subject, known, reason, detail, now, self.status), frozen({}))

    def _publish(self, status: JobStatus, advised: Mapping[VertexId, int]) -> None:
        self.status = status
        if (status.reason, advised) != self._mind:
            self._mind = (status.reason, advised)
            self._last_logged = status.at
            if status.reason is not Reason.IN_FLIGHT:  # the request and its outcome have lines of their own
                self._env.journal.changed_mind(status, advised)
        try:
            self._env.memory.save_status(status)
        except StoreUnavailable as error:
            self._store_failed(error)

    def _update(self, request: Request) -> None:
        try:
            self._env.memory.update_request(request)
        except StoreUnavailable as error:
            self._store_failed(error)

    def _store_failed(self, error: StoreUnavailable) -> None:
        self._env.counters.add("store_errors")
        self._env.journal.once("store", "the store cannot be used", error=str(error))


def withheld(decision: Decision, window: Window, before: History, reason: Reason) -> Decision:
    """The decision as it stands when it is not sent: advised only, held-back scale-downs as before it."""
    return replace(
        decision,
        reason=reason,
        rescale=False,
        parallelism=frozen({v.id: v.parallelism for v in window.topology.vertices}),
        advised=decision.parallelism,
        delayed=before.delayed,
    )


def with_scaling(history: History, decision: Decision) -> History:
    """The history after a decision was sent: one scaling per changed vertex, one restart not yet measured."""
    scalings = dict(history.scalings)
    for vertex, sizing in decision.sizings.items():
        target = decision.parallelism[vertex]
        if target == sizing.current:
            continue
        scaling = Scaling(
            at=decision.at,
            from_parallelism=sizing.current,
            to_parallelism=target,
            tpr=decision.evaluations[vertex].tpr,
            expected_rate=sizing.expected_rate,
        )
        scalings[vertex] = (*scalings.get(vertex, ()), scaling)
    return replace(history, scalings=frozen(scalings), restarts=(*history.restarts, Restart(at=decision.at)))

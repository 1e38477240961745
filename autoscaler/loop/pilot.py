"""What one job measured, what is decided about it, and what is sent: the middle of a pass."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TypeVar

from autoscaler.cluster import ClusterError, JobDetails
from autoscaler.core import carried, decide, doubts, pacing
from autoscaler.core.moment import Moment
from autoscaler.loop import action
from autoscaler.loop import attempt as attempts
from autoscaler.loop.attempt import Attempt
from autoscaler.loop.notice import Notice
from autoscaler.loop.observe import Observer
from autoscaler.loop.ports import Environment
from autoscaler.loop.storing import store_answered, tolerated
from autoscaler.loop.subject import Subject
from autoscaler.loop.upkeep import Upkeep
from autoscaler.model import (
    Decision,
    History,
    JobStatus,
    Limit,
    Millis,
    PassRecord,
    Policy,
    Reason,
    Request,
    RequestKind,
    Restart,
    Sample,
    Scaling,
    Topology,
    VertexId,
    Window,
    frozen,
)
from autoscaler.store import StoreUnavailable
from autoscaler.telemetry import sentences

CHECK_EVERY: Millis = 3_000  # Flink keeps an answer about checkpoints for so long
_Dated = TypeVar("_Dated", Scaling, Restart)
Kept = tuple[int, History, Mapping[VertexId, Millis]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Pending:
    """A rescale that waits, at the longest ``until``, for a checkpoint after the one with ``checkpoint`` as its id."""

    attempt: Attempt
    since: Millis
    until: Millis
    checkpoint: int | None


class Pilot:
    """Observes, decides, applies and records, for one job."""

    def __init__(self, env: Environment, acting: Callable[[], bool], upkeep: Upkeep, notice: Notice) -> None:
        self._env = env
        self._acting = acting
        self._contract = upkeep.contract
        self._upkeep = upkeep
        self._watch = upkeep.watch
        self._notice = notice
        self._allotment = upkeep.allotment
        self._observer: Observer | None = None
        self._samples: tuple[Sample, ...] = ()
        self._history = History()
        self._recalled = False
        self._kept: Kept | None = None
        self._pending: Pending | None = None

    def recall(self, subject: Subject, now: Millis) -> None:
        """Take up what the store holds of the job, as soon as it can be read.

        Until then nothing is sent, as a request may be in flight, and what is stored is not written over.
        """
        if self._recalled:
            return
        policy, key, memory = self._contract.policy, subject.key, self._env.memory
        reach = policy.metrics_window + policy.stabilization_interval + 2 * policy.decision_interval
        with tolerated(self._env):
            epoch, history, window = memory.epoch, memory.memory(key), memory.window(key, now - reach)
            self._watch.recall(subject, now)
            memory.present(key)
            self._kept, self._recalled = kept(epoch, history), True
            self._history = completed(history, self._watch.past)
            stored = () if window is None else window.samples
            known = {sample.at for sample in stored}
            self._samples = (*stored, *(s for s in self._samples if s.at not in known))

    def look_anew(self) -> None:
        """Another attempt answers: nothing that was known of its metrics holds."""
        self._observer = None

    def note_sent(self) -> None:
        """Complete the history by what another process sent and could not note there, or noted in a copy of its own."""
        self._history = completed(self._history, self._watch.past)

    def consider(self, subject: Subject, details: JobDetails, running_since: Millis, at: Millis, now: Millis) -> None:
        """Observe, decide, apply, record. ``at`` is the time of the poke, which is that of the metrics."""
        policy, before = self._contract.policy, measured(self._history, self._watch.past, self._contract.policy)
        self._forget_the_future(subject, at)
        if self._observer is None:
            self._observer = Observer(subject.flink, subject.job_id, self._contract.fetched_every)
        observed = self._observer.observe(details, policy, at, self._samples)
        window = Window(
            topology=observed.topology, running_since=running_since, samples=(*self._samples, observed.sample)
        )
        decision = decide(window, before, self._contract.policy_of(observed.topology), self._contract.cluster, at)
        oldest = decision.window_start if decision.window_start is not None else window.samples[0].at
        self._samples = carried(window, policy, oldest)
        self._history = History(
            scalings=decision.scalings, restarts=decision.restarts, delayed=decision.delayed, needs=decision.needs
        )
        self._allotment.seen(observed.topology)
        detail = self._explained(decision, observed.topology)
        trouble: ClusterError | None = None
        objection: action.Objection | None = None
        try:
            note = self._upkeep.keep_up(subject, details, window, now) if self._may_touch() else None
            if self._is_pinned():
                self._pending, decision = None, withheld(decision, window, before, Reason.PINNED)
                detail = self._upkeep.pin(subject, details, now) if self._leads() and self._recalled else "pinned"
            elif decision.rescale:
                decision, objection = self._allotment.fit(subject, decision, observed.topology, now)
                if objection is None:
                    detail = self._explained(decision, observed.topology)
                    objection = self._apply(subject, decision, window, detail, now)
                else:
                    self._pending = None
            else:
                self._pending = None
            detail = f"{detail}; {note}" if note else detail
        except ClusterError as error:  # the sample and the decision are kept all the same
            trouble, objection = error, (Reason.UNREACHABLE, f"{error}; wanted {detail}")
        if objection is not None and decision.rescale:
            decision = withheld(decision, window, before, objection[0])
            self._history = replace(self._history, delayed=before.delayed)
            detail = objection[1]
        draining = self._allotment.drain_note(subject, now)
        self._record(subject, window, decision, f"{detail}; {draining}" if draining else detail, now)
        if trouble is not None:
            raise trouble

    def _forget_the_future(self, subject: Subject, at: Millis) -> None:
        """Begin the window anew once the clock was set back: rates over the jump are too high, and the window would not
        be full before the clock has caught up. By less than an interval only what is ahead goes, as the clocks of two
        daemons differ too."""
        if not self._samples or self._samples[-1].at < at:
            return
        ahead = self._samples[-1].at - at
        stays = ahead < self._contract.policy.decision_interval
        self._samples = tuple(sample for sample in self._samples if stays and sample.at < at)
        if not stays:
            said = "the clock was set back; the metrics window begins anew"
            self._env.journal.warn(said, job=str(subject.key), newest_sample_ahead=sentences.seconds(ahead))

    def endure(self, subject: Subject, now: Millis) -> None:
        """See to a job that does not run, as one whose rescale did it harm."""
        if self._may_touch():
            self._upkeep.endure(subject, now)

    def _may_touch(self) -> bool:
        """Whether anything at all may be asked of the job: one that is paused or pinned is left alone."""
        if self._contract.pins:
            return False
        return self._leads() and self._recalled and self._contract.policy.scaling_enabled

    def _leads(self) -> bool:
        """Whether this daemon is told to act, and is the one of several that does."""
        return self._acting() and self._env.leadership.objection is None

    def _is_pinned(self) -> bool:
        return bool(self._contract.pins) and self._contract.policy.scaling_enabled

    def _explained(self, decision: Decision, topology: Topology) -> str:
        """Why, in a sentence; of a job that is paused also by whom, as somebody may have forgotten to resume it."""
        detail = sentences.explain(decision, topology)
        if any(Limit.DOUBTFUL in sizing.limits for sizing in decision.sizings.values()):
            detail = f"{detail} ({'; '.join(sorted(set(doubts(topology, self._samples).values())))})"
        if self._contract.advice is not None:
            detail = f"{detail} (advice only: {self._contract.advice.detail})"
        switch = self._contract.resolved.chosen("scaling.enabled")
        if decision.reason is not Reason.SCALING_DISABLED or switch is None:
            return detail
        return f"{detail} ({switch.spelling} is {switch.value} in {switch.source})"

    # -------------------------------------------------------------- applying

    def _apply(
        self, subject: Subject, decision: Decision, window: Window, wish: str, now: Millis
    ) -> action.Objection | None:
        """Send the decision; return why it was not sent."""
        if self._contract.advice is not None:
            return self._contract.advice.reason, f"would scale {wish}"
        if not self._acting():
            return Reason.ADVISE_ONLY, f"would scale {wish}"
        standby = self._env.leadership.objection
        if standby is not None:
            return Reason.STANDBY, f"would scale {wish}; this daemon stands by: {standby}"
        if not self._recalled:
            return Reason.STORE_UNAVAILABLE, f"not sent, a request in flight may be stored and cannot be read: {wish}"
        if self._watch.open is not None:
            return Reason.IN_FLIGHT, f"{self._watch.open.reason}; wanted {wish}"
        return self._tried(self._upkeep.attempt(subject, decision, window, wish, now), None)

    def _tried(self, attempt: Attempt, seen_at: Millis | None) -> action.Objection | None:
        """Send unless something objects, or a better moment is near. ``seen_at`` is when a checkpoint was seen."""
        pending, self._pending = self._pending, None
        objection = attempts.objection(attempt)
        if objection is not None:
            return objection
        since = pending.since if pending is not None else attempt.now
        when, said = attempts.moment_of(attempt, since, seen_at)
        if when is Moment.WAIT:
            until, newest = attempts.waits_until(attempt, since), attempt.checkpoints.completed_id
            self._pending = Pending(attempt=attempt, since=since, until=until, checkpoint=newest)
        if when in (Moment.WAIT, Moment.DROP):
            return Reason.CHECKPOINT_WAIT, f"{said}; wanted {attempt.wish}"
        return self._send(attempt, attempts.reason(attempt, said))

    def _send(self, attempt: Attempt, reason: str) -> action.Objection | None:
        policy, decision, subject = attempt.policy, attempt.decision, attempt.subject
        request = attempt.request(reason)
        with self._allotment.turn(self._allotment.turn_of(subject, decision), attempt.now) as waiting:
            if waiting is not None:
                return Reason.WAITS_ITS_TURN, f"{waiting}; wanted {attempt.wish}"
            if pacing.overdraft(attempt.past, attempt.wanted, policy, attempt.now) is not None:
                self._env.counters.add("requests_overdrawn")
            refused = self._upkeep.sender.send(subject, request, attempt.window.topology)
        if refused is not None:
            self.note_sent()  # it may have been refused because somebody else asked
            return refused
        if self._watch.open is not None:
            self._allotment.sent(subject, self._watch.open, decision.grant)
        self._history = with_scaling(replace(self._history, delayed=decision.delayed), decision)
        return None

    # -------------------------------------------------------------- waiting for a checkpoint

    @property
    def waits(self) -> bool:
        """Whether a rescale waits for a checkpoint."""
        return self._pending is not None

    def await_checkpoint(self, subject: Subject, now: Millis) -> None:
        """Look whether a checkpoint completed since, and send what waits for it, or when it has waited enough."""
        pending = self._pending
        if pending is None:
            return
        newest = subject.flink.checkpoints(subject.job_id).completed_id
        appeared = newest is not None and newest != pending.checkpoint
        if not appeared and now < pending.until:
            return
        attempt = replace(pending.attempt, subject=subject, now=now, past=self._watch.past)
        objection = self._tried(attempt, now if appeared else None)
        decision, detail = attempt.decision, attempt.wish
        if objection is not None:
            decision, detail = withheld(decision, attempt.window, self._history, objection[0]), objection[1]
        status = self._told(subject, attempt.window, decision, detail, now)
        with tolerated(self._env):
            self._env.memory.record_decision(subject.key, decision, detail)
            self._env.memory.save_status(status)

    # -------------------------------------------------------------- recording

    def _record(self, subject: Subject, window: Window, decision: Decision, detail: str, now: Millis) -> None:
        """Show the job, and store the sample, the status, and of history and decision what changed."""
        memory, is_news = self._env.memory, self._notice.is_news(decision)
        status = self._told(subject, window, decision, detail, now)
        with tolerated(self._env):
            keeping = kept(memory.epoch, self._history)
            done = PassRecord(
                topology=window.topology,
                running_since=window.running_since,
                sample=window.samples[-1],
                status=status,
                history=self._history if self._recalled and self._kept != keeping else None,
                decision=decision if is_news else None,
                detail=detail,
            )
            try:
                memory.record_pass(done)
            except StoreUnavailable:
                memory.save_status(status)  # even a store that is full has room for it, as it replaces the last one
                raise
            if done.history is not None:
                self._kept = keeping
            self._watch.store_again()
            store_answered(self._env)

    def _told(self, subject: Subject, window: Window, decision: Decision, detail: str, now: Millis) -> JobStatus:
        repeat = self._contract.policy.debug_logs_interval
        return self._notice.decided(subject, window, decision, detail, now, repeat)


def kept(epoch: int, history: History) -> Kept:
    """What tells whether a history is worth writing again: all of it, but of needs only when each was first noted.

    A need that rises within its span is written with the next span. A crash loses no more than that rise.
    """
    spans = frozen({vertex: needs[-1].at for vertex, needs in history.needs.items()})
    return epoch, replace(history, needs=frozen({})), spans


def withheld(decision: Decision, window: Window, before: History, reason: Reason) -> Decision:
    """The decision as it stands when it is not sent: advised only, held-back scale-downs as before it."""
    return replace(
        decision,
        reason=reason,
        rescale=False,
        parallelism=frozen({v.id: v.parallelism for v in window.topology.vertices}),
        advised=decision.parallelism if decision.grant is None else decision.advised,
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


def completed(history: History, past: Sequence[Request]) -> History:
    """The history with the scalings of requests that it lacks; those older than all it holds were forgotten."""
    known = [restart.at for restart in history.restarts]
    lacking = [
        request
        for request in past
        if request.kind is RequestKind.SCALE
        and request.was_sent
        and request.decided_at not in known
        and request.decided_at >= min(known, default=0)
    ]
    return functools.reduce(with_request, lacking, history)


def with_request(history: History, request: Request) -> History:
    """The history after a request was sent by what the request itself tells, which has no rates."""
    scalings = dict(history.scalings)
    for vertex, target in request.target.items():
        was = request.before.get(vertex, target)
        if was != target:
            scaling = Scaling(at=request.decided_at, from_parallelism=was, to_parallelism=target)
            scalings[vertex] = _by_time((*scalings.get(vertex, ()), scaling))
    restarts = _by_time((*history.restarts, Restart(at=request.decided_at)))
    return replace(history, scalings=frozen(scalings), restarts=restarts)


def _by_time(records: tuple[_Dated, ...]) -> tuple[_Dated, ...]:
    return tuple(sorted(records, key=lambda record: record.at))


def measured(history: History, past: tuple[Request, ...], policy: Policy) -> History:
    """The history with restarts as long as they were seen to stop the job, without the wait before it."""
    if not policy.extras:
        return history
    stops = {request.decided_at: request.outcome.downtime_ms for request in past if request.outcome is not None}

    def of(restart: Restart) -> Restart:
        stopped = stops.get(restart.at)
        return restart if stopped is None else replace(restart, duration_s=round(stopped / 1000))

    restarts = tuple(of(restart) for restart in history.restarts)
    return history if restarts == history.restarts else replace(history, restarts=restarts)

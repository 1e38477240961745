"""What one job measured, what is decided about it, and what is sent: the middle of a pass."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

from autoscaler.cluster import ClusterError, JobDetails, PutAnswer, PutResult
from autoscaler.core import decide, doubts
from autoscaler.loop import action
from autoscaler.loop.allotment import Allotment
from autoscaler.loop.contract import Contract
from autoscaler.loop.notice import Notice
from autoscaler.loop.observe import Observer
from autoscaler.loop.ports import Environment, Flink
from autoscaler.loop.release import Release
from autoscaler.loop.storing import store_answered, store_failed, tolerated
from autoscaler.loop.subject import Subject
from autoscaler.loop.view import source_rate
from autoscaler.loop.watch import Watch
from autoscaler.model import (
    Bounds,
    Decision,
    History,
    Limit,
    Millis,
    Reason,
    Request,
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

CONFLICT = 409  # another update of the requirements is under way: the same request may be taken later


@dataclass(frozen=True, slots=True, kw_only=True)
class Refused:
    """Requirements Flink said no to, which it would again for as long as the same attempt runs."""

    bounds: Mapping[VertexId, Bounds]
    running_since: Millis
    message: str


class Pilot:
    """Observes, decides, applies and records, for one job."""

    def __init__(
        self,
        env: Environment,
        acting: Callable[[], bool],
        contract: Contract,
        watch: Watch,
        notice: Notice,
        allotment: Allotment,
        release: Release,
    ) -> None:
        self._env = env
        self._acting = acting
        self._contract = contract
        self._watch = watch
        self._notice = notice
        self._allotment = allotment
        self._release = release
        self._observer: Observer | None = None
        self._samples: tuple[Sample, ...] = ()
        self._history = History()
        self._recalled = False
        self._kept: tuple[int, History] | None = None
        self._refused: Refused | None = None

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
            self._watch.recall(key, subject.job_id, now)
            memory.present(key)
            self._kept, self._history, self._recalled = (epoch, history), history, True
            stored = () if window is None else window.samples
            known = {sample.at for sample in stored}
            self._samples = (*stored, *(s for s in self._samples if s.at not in known))

    def look_anew(self) -> None:
        """Another attempt answers: nothing that was known of its metrics holds."""
        self._observer = None

    def note_sent(self) -> None:
        """Complete the history by a request that a former process sent and could not note there any more."""
        request = self._watch.open
        if request is None:
            return
        changed = {v: s for v, s in self._history.scalings.items() if any(x.at == request.decided_at for x in s)}
        if not changed:
            self._history = with_request(self._history, request)

    def consider(self, subject: Subject, details: JobDetails, running_since: Millis, at: Millis, now: Millis) -> None:
        """Observe, decide, apply, record. ``at`` is the time of the poke, which is that of the metrics."""
        policy, before = self._contract.policy, self._history
        observer = self._observer = self._observer or Observer(subject.flink, subject.job_id)
        observed = observer.observe(details, policy, at, self._samples)
        window = Window(
            topology=observed.topology, running_since=running_since, samples=(*self._samples, observed.sample)
        )
        decision = decide(window, before, self._contract.policy_of(observed.topology), self._contract.cluster, at)
        oldest = decision.window_start if decision.window_start is not None else window.samples[0].at
        self._samples = tuple(sample for sample in window.samples if sample.at >= oldest)
        self._history = History(scalings=decision.scalings, restarts=decision.restarts, delayed=decision.delayed)
        self._allotment.seen(observed.topology)
        detail = self._explained(decision, observed.topology)
        trouble: ClusterError | None = None
        if decision.rescale:
            try:
                decision, objection = self._allotment.fit(subject, decision, observed.topology, now)
                if objection is None:
                    detail = self._explained(decision, observed.topology)
                    objection = self._apply(subject, decision, window, detail, now)
            except ClusterError as error:  # the sample and the decision are kept all the same
                trouble, objection = error, (Reason.UNREACHABLE, f"{error}; wanted {detail}")
            if objection is not None:
                decision = withheld(decision, window, before, objection[0])
                self._history = replace(self._history, delayed=before.delayed)
                detail = objection[1]
        draining = self._allotment.drain_note(subject, now)
        self._record(subject, window, decision, f"{detail}; {draining}" if draining else detail, now)
        if trouble is not None:
            raise trouble

    def _explained(self, decision: Decision, topology: Topology) -> str:
        """Why, in a sentence; of a job that is paused also by whom, as somebody may have forgotten to resume it."""
        detail = sentences.explain(decision, topology)
        if any(Limit.DOUBTFUL in sizing.limits for sizing in decision.sizings.values()):
            detail = f"{detail} ({'; '.join(sorted(set(doubts(topology, self._samples).values())))})"
        switch = self._contract.resolved.chosen("scaling.enabled")
        if decision.reason is not Reason.SCALING_DISABLED or switch is None:
            return detail
        return f"{detail} ({switch.spelling} is {switch.value} in {switch.source})"

    # -------------------------------------------------------------- applying

    def _apply(
        self, subject: Subject, decision: Decision, window: Window, wish: str, now: Millis
    ) -> action.Objection | None:
        """Send the decision; return why it was not sent."""
        flink, job_id = subject.flink, subject.job_id
        if not self._acting():
            return Reason.ADVISE_ONLY, f"would scale {wish}"
        if not self._recalled:
            return Reason.STORE_UNAVAILABLE, f"not sent, a request in flight may be stored and cannot be read: {wish}"
        objection = action.refusal(
            self._contract.policy, flink.checkpoint_interval_ms(job_id), flink.checkpoints(job_id)
        )
        if objection is not None:
            return objection[0], f"{objection[1]}; wanted {wish}"
        live = flink.requirements(job_id)
        present = {v.id: v.parallelism for v in window.topology.vertices}
        bounds = action.bounds_to_send(live, present, decision.parallelism)
        if dict(bounds) == dict(live):
            return Reason.AWAITING_RESOURCES, f"already asked for, and the cluster has not given it: {wish}"
        refused = self._refused
        if refused and (refused.bounds, refused.running_since) == (dict(bounds), window.running_since):
            return Reason.REJECTED, f"not sent again, Flink refused it: {refused.message}; wanted {wish}"
        request = action.intent(
            subject.key,
            decision,
            window,
            bounds,
            application_id=subject.application.id,
            job_id=job_id,
            reason=wish,
            source_rate=source_rate(window),
            task_managers=flink.task_managers().count,
            needed_task_managers=None if decision.grant is None else decision.grant.task_managers,
        )
        with self._allotment.turn(subject, decision, now) as waiting:
            if waiting is not None:
                return Reason.WAITS_ITS_TURN, f"{waiting}; wanted {wish}"
            return self._send(subject, request, decision, window)

    def _send(self, subject: Subject, request: Request, decision: Decision, window: Window) -> action.Objection | None:
        with self._env.wire as open_for_sending:
            if not open_for_sending:
                return Reason.STOPPING, f"not sent, the autoscaler is stopping: {request.reason}"
            try:
                request = replace(request, id=self._env.memory.add_request(request))
            except StoreUnavailable as error:
                store_failed(self._env, error)
                return Reason.STORE_UNAVAILABLE, f"not sent, the intent cannot be stored: {request.reason}"
            sent_at = self._env.clock()
            answer = _readable(_put(subject.flink, request), window)
            request = action.answered(request, answer, sent_at)
            self._watch.store(request)
        self._env.journal.requested(request)
        if answer.result is PutResult.REJECTED:
            self._env.counters.add("requests_rejected")
            if answer.status != CONFLICT:
                self._refused = Refused(
                    bounds=dict(request.requirements), running_since=window.running_since, message=answer.message
                )
            return Reason.REJECTED, f"Flink refused: {answer.message}; wanted {request.reason}"
        if answer.result is PutResult.NOT_SENT:
            return Reason.UNREACHABLE, f"not sent: {answer.message}; wanted {request.reason}"
        self._env.counters.add("requests_sent")
        self._watch.begin(request)
        self._allotment.sent(subject, decision.grant, sent_at)
        self._release.begin(request, subject.held)
        self._history = with_scaling(self._history, decision)
        return None

    # -------------------------------------------------------------- recording

    def _record(self, subject: Subject, window: Window, decision: Decision, detail: str, now: Millis) -> None:
        """Store the sample, and of history and decision what changed; then show the job."""
        key, memory = subject.key, self._env.memory
        with tolerated(self._env):
            memory.append_sample(key, window.topology, window.running_since, window.samples[-1])
            keeping = (memory.epoch, self._history)
            if self._recalled and self._kept != keeping:
                memory.save_memory(key, self._history)
                self._kept = keeping
            if self._notice.is_news(decision):
                memory.record_decision(key, decision, detail)
            self._watch.store_again()
            store_answered(self._env)
        self._notice.decided(subject, window, decision, detail, now, self._contract.policy.debug_logs_interval)


def _put(flink: Flink, request: Request) -> PutAnswer:
    """Send once. Whatever goes wrong after the intent is stored leaves open whether the request was carried out."""
    try:
        return flink.put_requirements(request.job_id, request.requirements, action.PUT_TIMEOUT_S)
    except Exception as error:
        return PutAnswer(result=PutResult.UNCERTAIN, status=None, message=f"{type(error).__name__}: {error}")


def _readable(answer: PutAnswer, window: Window) -> PutAnswer:
    """The answer with names in place of vertex ids."""
    message = answer.message
    for vertex in window.topology.vertices:
        message = message.replace(vertex.id, sentences.short_name(vertex.name))
    return replace(answer, message=message)


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


def with_request(history: History, request: Request) -> History:
    """The same from the request alone, whose rates are not known."""
    scalings = dict(history.scalings)
    for vertex, target in request.target.items():
        was = request.before.get(vertex, target)
        if was != target:
            scaling = Scaling(at=request.decided_at, from_parallelism=was, to_parallelism=target)
            scalings[vertex] = (*scalings.get(vertex, ()), scaling)
    return replace(history, scalings=frozen(scalings), restarts=(*history.restarts, Restart(at=request.decided_at)))

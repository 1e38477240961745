"""The one way a request leaves: intent stored, PUT once, answer stored."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

from autoscaler.cluster import Objection, PutAnswer, PutResult
from autoscaler.loop import action
from autoscaler.loop.ports import Environment, Flink
from autoscaler.loop.storing import store_failed
from autoscaler.loop.subject import Subject
from autoscaler.loop.watch import Watch
from autoscaler.model import Bounds, Millis, Reason, Request, RequestKind, Topology, VertexId
from autoscaler.store import StoreUnavailable
from autoscaler.telemetry import sentences

CONFLICT = 409  # another update of the requirements is under way: the same request may be taken later


@dataclass(frozen=True, slots=True, kw_only=True)
class Refused:
    """Requirements Flink said no to, which it would again for as long as the same attempt runs."""

    bounds: Mapping[VertexId, Bounds]
    running_since: Millis
    message: str


class Sender:
    """Sends for one job. ``undisturbed`` is whether the operators' commands are still those the job runs under."""

    def __init__(self, env: Environment, watch: Watch, undisturbed: Callable[[], bool]) -> None:
        self.refused: Refused | None = None
        self._env = env
        self.watch = watch
        self._undisturbed = undisturbed

    def send(self, subject: Subject, request: Request, topology: Topology) -> action.Objection | None:
        """Send a request and watch it; return why it was not sent."""
        objection = self._objection(request)
        if objection is not None:
            return objection
        with self._env.wire as open_for_sending:
            if not open_for_sending:
                return Reason.STOPPING, f"not sent, the autoscaler is stopping: {request.reason}"
            try:
                if self.watch.learn(subject, self._env.clock()):
                    return Reason.EXTERNAL_CHANGE, f"not sent, another autoscaler asked meanwhile: {request.reason}"
                request = replace(request, id=self._env.memory.add_request(request))
            except StoreUnavailable as error:
                store_failed(self._env, error)
                return Reason.STORE_UNAVAILABLE, f"not sent, the intent cannot be stored: {request.reason}"
            sent_at = self._env.clock()
            answer = _readable(_put(subject.flink, request, self._env.leadership.last_objection), topology)
            request = action.answered(request, answer, sent_at)
            self.watch.store(request)
        self._env.journal.requested(request)
        if answer.result is PutResult.REJECTED:
            self._env.counters.add("requests_rejected")
            if answer.status != CONFLICT:
                self.refused = Refused(
                    bounds=dict(request.requirements), running_since=request.running_since, message=answer.message
                )
            return Reason.REJECTED, f"Flink refused: {answer.message}; wanted {request.reason}"
        if answer.result is PutResult.WITHDRAWN:
            return Reason.STANDBY, f"not sent: {answer.message}; wanted {request.reason}"
        if answer.result is PutResult.NOT_SENT:
            return Reason.UNREACHABLE, f"not sent: {answer.message}; wanted {request.reason}"
        self._env.counters.add("requests_sent")
        if request.kind is not RequestKind.WITHDRAW:
            self.watch.end_trial("followed by another rescale", sent_at)
        self.watch.begin(request, sent_at)
        return None

    def _objection(self, request: Request) -> action.Objection | None:
        standby = self._env.leadership.objection
        if standby is not None:
            return Reason.STANDBY, f"not sent, this daemon stands by: {standby}; wanted {request.reason}"
        if not self._undisturbed():
            return Reason.COMMANDED, f"not sent, an operator's command arrived: {request.reason}"
        return None

    def was_refused(self, bounds: Mapping[VertexId, Bounds], running_since: Millis) -> str | None:
        """Return what Flink said to the same requirements of the same attempt."""
        refused = self.refused
        if refused and (refused.bounds, refused.running_since) == (dict(bounds), running_since):
            return refused.message
        return None


def _put(flink: Flink, request: Request, objection: Objection) -> PutAnswer:
    """Send once. Whatever goes wrong after the intent is stored leaves open whether the request was carried out."""
    try:
        return flink.put_requirements(request.job_id, request.requirements, action.PUT_TIMEOUT_S, objection)
    except Exception as error:
        return PutAnswer(result=PutResult.UNCERTAIN, status=None, message=f"{type(error).__name__}: {error}")


def _readable(answer: PutAnswer, topology: Topology) -> PutAnswer:
    """The answer with names in place of vertex ids."""
    message = answer.message
    for vertex, name in sentences.short_names(topology.vertices).items():
        message = message.replace(vertex, name)
    return replace(answer, message=message)

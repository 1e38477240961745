"""The log as the loop speaks it: one line per job and change of mind, not per tick."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from typing import Any

import structlog

from autoscaler.model import (
    Decision,
    Evaluation,
    JobKey,
    JobStatus,
    Millis,
    Phase,
    Request,
    RequestState,
    Topology,
    Transition,
    VertexId,
)
from autoscaler.telemetry import sentences

SUBJECTS = 10_000  # a session's short jobs come without end
CAUSES = 20


class Journal:
    """Writes log lines; remembers what it last said of each of the newest subjects, to say a thing once."""

    def __init__(self, subjects: int = SUBJECTS) -> None:
        self._subjects = subjects
        self._log: Any = structlog.get_logger()
        self._said: dict[str, tuple[str, tuple[str, ...]]] = {}
        self._lock = threading.Lock()

    def started(self, **facts: object) -> None:
        self._log.info("autoscaler started", **facts)

    def note(self, event: str, **facts: object) -> None:
        self._log.info(event, **facts)

    def warn(self, event: str, **facts: object) -> None:
        self._log.warning(event, **facts)

    def error(self, event: str, error: BaseException | None = None, **facts: object) -> None:
        self._log.error(event, exc_info=error, **facts)

    def once(self, subject: str, event: str, cause: str = "", /, **facts: object) -> None:
        """Warn of ``event`` about ``subject`` unless that was the last thing said about it.

        Of several causes, which may alternate, each is told once.
        """
        if self._is_news(subject, event, cause):
            self._log.warning(event, **facts)

    def crashed(self, subject: str, event: str, error: BaseException, /, **facts: object) -> None:
        """Tell an error that nobody expected with its trace, once for as long as it is the same."""
        if self._is_news(subject, event, f"{type(error).__name__}: {error}"):
            self._log.error(event, exc_info=error, **facts)

    def _is_news(self, subject: str, event: str, cause: str) -> bool:
        with self._lock:
            last, causes = self._said.get(subject, ("", ()))
            causes = causes if last == event else ()
            if cause in causes:
                return False
            self._said[subject] = (event, (*causes, cause)[-CAUSES:])
            if len(self._said) > self._subjects:
                del self._said[next(iter(self._said))]
            return True

    def over(self, subject: str, event: str, **facts: object) -> None:
        """Say that what ``once`` or ``crashed`` told of has ended; silent if nothing was said."""
        with self._lock:
            if self._said.pop(subject, None) is None:
                return
        self._log.info(event, **facts)

    def forget(self, subject: str) -> None:
        """Drop what was said of a subject that is gone."""
        with self._lock:
            self._said.pop(subject, None)

    def changed_mind(self, status: JobStatus, wanted: Mapping[VertexId, int]) -> None:
        """A job's reason or wanted parallelism differs from the last pass."""
        names = sentences.short_names(status.vertices)
        self._log.info(
            "job",
            application=status.key.application,
            job=status.key.job,
            application_id=status.application_id,
            reason=status.reason.value,
            detail=status.detail,
            wanted={names[v.id]: wanted[v.id] for v in status.vertices if v.id in wanted},
        )

    def evaluation(self, key: JobKey, decision: Decision, topology: Topology) -> None:
        """The full numbers of a job, every ``debug.logs.interval`` while nothing changes."""
        names = sentences.short_names(topology.vertices)
        self._log.info(
            "evaluation",
            application=key.application,
            job=key.job,
            reason=decision.reason.value,
            vertices={names.get(v, v): _numbers(e) for v, e in decision.evaluations.items()},
        )

    def requested(self, request: Request) -> None:
        level = self._log.info if request.state is RequestState.SENT else self._log.warning
        level(
            "requested",
            application=request.key.application,
            job=request.key.job,
            application_id=request.application_id,
            state=request.state.value,
            detail=request.reason,
            answer=request.answer,
        )

    def closed(self, request: Request, now: Millis) -> None:
        result = request.outcome
        level = self._log.info if request.state is RequestState.ACHIEVED else self._log.warning
        level(
            "outcome",
            application=request.key.application,
            job=request.key.job,
            state=request.state.value,
            detail=sentences.outcome(request, result) if result else request.answer,
            after_ms=now - (request.sent_at or request.decided_at),
        )

    def judged(self, request: Request, transition: Transition) -> None:
        """How the probation of a rescale ended; one that is rolled back is worth an alert."""
        level = self._log.warning if transition.now is Phase.ROLLED_BACK else self._log.info
        level(
            "probation",
            application=request.key.application,
            job=request.key.job,
            application_id=request.application_id,
            state=transition.now.value,
            rescale=request.reason,
            detail=transition.reason,
        )


def _numbers(e: Evaluation) -> dict[str, float | None]:
    return {
        "tpr": e.tpr,
        "target_rate": e.target_rate,
        "catch_up_rate": e.catch_up_rate,
        "load": e.load,
        "lag": e.lag,
        "scale_up_threshold": e.scale_up_threshold,
        "scale_down_threshold": e.scale_down_threshold,
    }

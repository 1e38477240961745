"""What a person is shown of a job, put together from one pass."""

from __future__ import annotations

from typing import TYPE_CHECKING

from autoscaler.model import (
    Decision,
    Evaluation,
    JobStatus,
    Millis,
    Reason,
    Sample,
    Sizing,
    Vertex,
    VertexStatus,
    Window,
)

if TYPE_CHECKING:
    from autoscaler.loop.subject import Subject

NOTHING_EVALUATED = Evaluation()


def job_status(
    subject: Subject, window: Window, decision: Decision, detail: str, now: Millis, former: JobStatus | None
) -> JobStatus:
    """The status after a pass that led to a decision."""
    return JobStatus(
        key=subject.key,
        application_id=subject.application.id,
        job_id=subject.job_id,
        state="RUNNING",
        reason=decision.reason,
        detail=detail,
        at=now,
        since=former.since if former and former.reason is decision.reason else now,
        user=subject.application.user,
        queue=subject.application.queue,
        tracking_url=subject.application.tracking_url or "",
        flink_version=subject.flink_version,
        task_managers=subject.task_managers,
        vertices=tuple(_vertex_status(v, window, decision) for v in window.topology.vertices),
    )


def undecided_status(
    subject: Subject, state: str, reason: Reason, detail: str, now: Millis, former: JobStatus | None
) -> JobStatus:
    """The status of a job of which nothing was decided; its vertices are shown as they were last seen."""
    return JobStatus(
        key=subject.key,
        application_id=subject.application.id,
        job_id=subject.job_id,
        state=state,
        reason=reason,
        detail=detail,
        at=now,
        since=former.since if former and former.reason is reason else now,
        user=subject.application.user,
        queue=subject.application.queue,
        tracking_url=subject.application.tracking_url or "",
        flink_version=subject.flink_version,
        task_managers=subject.task_managers,
        vertices=former.vertices if former else (),
    )


def _vertex_status(vertex: Vertex, window: Window, decision: Decision) -> VertexStatus:
    newest = window.samples[-1].vertices.get(vertex.id)
    evaluation = decision.evaluations.get(vertex.id, NOTHING_EVALUATED)
    sizing = decision.sizings.get(vertex.id, Sizing(current=vertex.parallelism, parallelism=vertex.parallelism))
    load = evaluation.load if evaluation.load is not None else newest.load if newest else None
    wanted = decision.advised.get(vertex.id, vertex.parallelism)
    return VertexStatus(
        id=vertex.id,
        name=vertex.name,
        parallelism=vertex.parallelism,
        wanted=wanted,
        granted=wanted if decision.grant is None else decision.grant.granted.get(vertex.id, wanted),
        rate=_records_per_s(window.samples, vertex.id),
        target_rate=evaluation.target_rate,
        lag=newest.lag if newest else None,
        utilization=load,
        limits=sizing.limits,
    )


def source_rate(window: Window) -> float | None:
    """Records per second that all sources together read between the two newest samples, ``None`` if unknown."""
    rates = [_records_per_s(window.samples, v.id) for v in window.topology.vertices if v.is_source]
    known = [rate for rate in rates if rate is not None]
    return sum(known) if known else None


def _records_per_s(samples: tuple[Sample, ...], vertex_id: str) -> float | None:
    """The counter's growth between the two newest samples; ``None`` across a restart, where it runs backwards."""
    if len(samples) < 2:
        return None
    older, newer = (sample.vertices.get(vertex_id) for sample in samples[-2:])
    if older is None or newer is None or older.records_in is None or newer.records_in is None:
        return None
    grown = newer.records_in - older.records_in
    return 1000 * grown / (samples[-1].at - samples[-2].at) if grown >= 0 else None

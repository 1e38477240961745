"""``status`` and ``history``: what the store remembers, for people and programs."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Mapping

from autoscaler.commands.naming import job_called
from autoscaler.commands.output import clock_time, complain, print_json, print_table, say
from autoscaler.model import JobKey, JobStatus, Millis, Request, Sizing, VertexId, VertexStatus
from autoscaler.options.commands import CommandError
from autoscaler.store import Recorded, Store
from autoscaler.telemetry import sentences
from autoscaler.telemetry.sentences import number, seconds, short_names

VERTEX_COLUMNS = ("vertex", "now", "wanted", "in/s", "target/s", "lag", "busy")


def show_status(store: Store, *, as_json: bool, now: Millis) -> int:
    """Print the last thing known of each job that has not ended."""
    absent = store.absent()
    statuses = sorted(
        (s for s in store.statuses() if s.key not in absent and s.state != "ENDED"), key=lambda s: str(s.key)
    )
    if as_json:
        print_json(statuses)
        return 0
    print_statuses(statuses, now)
    return 0


def print_statuses(statuses: Iterable[JobStatus], now: Millis) -> None:
    empty = True
    for status in statuses:
        empty = False
        managers = "" if status.task_managers is None else f", {sentences.counted(status.task_managers, 'TaskManager')}"
        say(f"{status.key}  ({status.application_id}, Flink {status.flink_version or '?'}{managers})")
        say(f"  {status.state}, {status.reason.value} for {seconds(now - status.since)}: {status.detail}")
        say(f"  seen {seconds(now - status.at)} ago, {status.tracking_url}")
        if status.vertices:
            names = short_names(status.vertices)
            print_table(VERTEX_COLUMNS, [_vertex_row(v, names[v.id]) for v in status.vertices], indent=4)
    if empty:
        print("no job has been seen yet", file=sys.stderr)


def _vertex_row(vertex: VertexStatus, name: str) -> tuple[str, ...]:
    busy = "-" if vertex.utilization is None else f"{vertex.utilization:.0%}"
    return (
        name,
        str(vertex.parallelism),
        str(vertex.wanted),
        number(vertex.rate),
        number(vertex.target_rate),
        number(vertex.lag),
        busy,
    )


def show_history(store: Store, job: str, limit: int, *, as_json: bool) -> int:
    """Print a job's decisions and rescales, newest first. 1 if no job or several go by that name."""
    try:
        key = job_called(job, store.keys())
    except CommandError as error:
        complain(str(error))
        return 1
    decisions, requests = store.decisions(key, limit), store.requests(key, limit)
    if as_json:
        print_json({"job": key, "decisions": decisions, "requests": requests})
        return 0
    names = short_names(v for s in store.statuses() if s.key == key for v in s.vertices)
    _print_history(key, decisions, requests, names)
    return 0


def _print_history(
    key: JobKey, decisions: tuple[Recorded, ...], requests: tuple[Request, ...], names: Mapping[VertexId, str]
) -> None:
    say(f"{key}: rescales, newest first (UTC)")
    for request in requests:
        came = sentences.outcome(request, request.outcome) if request.outcome else request.answer or ""
        say(f"  {clock_time(request.decided_at)}  {request.state.value}: {request.reason}")
        say(f"    {came}")
        for step in request.transitions:
            say(f"    {clock_time(step.at)}  {step.was.value} → {step.now.value}: {step.reason}")
    say(f"{key}: changes of mind, newest first (UTC)")
    for recorded in decisions:
        decision = recorded.decision
        say(f"  {clock_time(decision.at)}  {decision.reason.value}: {recorded.detail}")
        for vertex, sizing in decision.sizings.items():
            say(f"    {names.get(vertex, vertex[:8])}: {_steps(recorded, vertex, sizing)}")


def _steps(recorded: Recorded, vertex: str, sizing: Sizing) -> str:
    evaluation = recorded.decision.evaluations.get(vertex)
    return sentences.steps(sizing, evaluation) if evaluation else f"{sizing.current} → {sizing.parallelism}"

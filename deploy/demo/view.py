"""The story on a terminal: jobs and vertices above, rescales below; or plain lines where there is no terminal."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from rich import box
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from autoscaler.model import JobStatus, Request, RequestState
from autoscaler.telemetry import sentences
from autoscaler.telemetry.sentences import number


@dataclass(frozen=True, slots=True, kw_only=True)
class Scene:
    """What is shown at one moment. ``task_managers`` are the live processes by application."""

    heading: str
    statuses: Sequence[JobStatus]
    requests: Sequence[Request]
    task_managers: dict[str, int]


def render(scene: Scene) -> RenderableType:
    """The whole screen."""
    return Group(Text(scene.heading, style="bold"), _jobs(scene), _rescales(scene.requests))


def _jobs(scene: Scene) -> Table:
    table = Table(expand=True, pad_edge=False, box=box.SIMPLE_HEAD)
    for name, right in (
        ("job", False),
        ("vertex", False),
        ("in/s", True),
        ("lag", True),
        ("busy", True),
        ("now", True),
        ("wanted", True),
        ("last decision", False),
    ):
        table.add_column(name, justify="right" if right else "left", no_wrap=name != "last decision")
    for status in sorted(scene.statuses, key=lambda s: str(s.key)):
        count = scene.task_managers.get(status.application_id)
        title = status.key.job if count is None else f"{status.key.job}  ({sentences.counted(count, 'TaskManager')})"
        why = Text(f"{status.reason.value}: {status.detail}")
        vertices = status.vertices or (None,)
        for index, vertex in enumerate(vertices):
            first = index == 0
            table.add_row(
                title if first else "",
                sentences.short_name(vertex.name) if vertex else "",
                number(vertex.rate) if vertex else "",
                number(vertex.lag) if vertex and vertex.lag is not None else "",
                f"{vertex.utilization:.0%}" if vertex and vertex.utilization is not None else "",
                str(vertex.parallelism) if vertex else "",
                _wanted(vertex.parallelism, vertex.wanted) if vertex else "",
                why if first else "",
                end_section=index == len(vertices) - 1,
            )
    return table


def _wanted(now: int, wanted: int) -> Text:
    style = "green" if wanted < now else "yellow" if wanted > now else "dim"
    return Text(str(wanted), style=style)


def _rescales(requests: Sequence[Request]) -> RenderableType:
    if not requests:
        return Text("no rescales so far", style="dim")
    table = Table(title="rescales so far", title_justify="left", expand=True, pad_edge=False, box=box.SIMPLE_HEAD)
    for name in ("job", "asked for", "outcome"):
        table.add_column(name)
    for request in requests:
        style = {"ACHIEVED": "green", "SENT": "yellow", "INTENDED": "yellow"}.get(request.state.value, "red")
        table.add_row(request.key.job, request.reason, Text(outcome_of(request), style=style))
    return table


def outcome_of(request: Request) -> str:
    if request.outcome is not None:
        return sentences.outcome(request, request.outcome)
    return "in flight" if request.state is RequestState.SENT else (request.answer or request.state.value.lower())


def plain_line(status: JobStatus) -> str:
    """One job in one line."""
    vertices = ", ".join(
        f"{sentences.short_name(v.name)} {v.parallelism}"
        + (f"→{v.wanted}" if v.wanted != v.parallelism else "")
        + (f" {v.utilization:.0%}" if v.utilization is not None else "")
        + (f" lag {number(v.lag)}" if v.lag else "")
        for v in status.vertices
    )
    return f"{status.key.job}: {status.reason.value} [{vertices}] {status.detail}"

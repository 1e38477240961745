"""Whether a scale-down gave back what it was to: TaskManagers and their memory, within the time Flink takes."""

from __future__ import annotations

import re
from collections.abc import Mapping

from autoscaler.core.pacing import known_requirements
from autoscaler.loop.ports import Environment
from autoscaler.loop.subject import Held, Subject
from autoscaler.loop.watch import Watch
from autoscaler.model import Millis, Request, RequestState
from autoscaler.options import GrammarError, Resolved, parse_duration
from autoscaler.telemetry import sentences

SLOT_IDLE: Millis = 50_000  # Flink's defaults
TASK_MANAGER_IDLE: Millis = 30_000
SLACK: Millis = 60_000  # a container's end, and YARN's and our own rounds of looking


def release_time(config: Mapping[str, str]) -> Millis:
    """How long Flink may take: a slot and then a TaskManager must be idle for so long, each looked at as seldom."""
    slot = _duration(config.get("slot.idle.timeout"), SLOT_IDLE)
    manager = _duration(config.get("resourcemanager.taskmanager-timeout"), TASK_MANAGER_IDLE)
    return 2 * (slot + manager) + SLACK


def likely_cause(config: Mapping[str, str], flink_version: str | None, *, session: bool) -> str:
    """Why slots that are free may not make a TaskManager idle, the likeliest first."""
    version = re.match(r"(\d+)\.(\d+)", flink_version or "")
    number = (int(version[1]), int(version[2])) if version else None
    spares = config.get("slotmanager.redundant-taskmanager-num", "0")
    floors = [name for name in FLOORS if name in config]
    recovery = next((name for name in LOCAL_RECOVERY if config.get(name, "").lower() == "true"), None)
    if spares not in ("", "0"):
        return f"slotmanager.redundant-taskmanager-num is {spares}"
    if floors:
        return f"{floors[0]} is {config[floors[0]]}"
    if number is not None and number < (1, 19):
        return f"Flink {flink_version} spreads slots over all TaskManagers; 1.19 and later pack them into few"
    if session:
        return "in a session cluster Flink spreads slots over all TaskManagers; it packs them in application mode only"
    if recovery is not None:
        return f"{recovery} is true, and Flink then prefers the TaskManagers it had to few of them"
    if number is not None and number < (1, 20):
        return f"Flink {flink_version} keeps to the TaskManagers it had after a restart; 1.20 and later pack slots"
    if config.get("jobmanager.adaptive-scheduler.prefer-minimal-taskmanagers", "").lower() == "false":
        return "jobmanager.adaptive-scheduler.prefer-minimal-taskmanagers is false"
    return "slots in use may be spread over all TaskManagers"


FLOORS = (
    "slotmanager.number-of-slots.min",
    "slotmanager.min-total-resource.cpu",
    "slotmanager.min-total-resource.memory",
)
LOCAL_RECOVERY = ("execution.state-recovery.from-local", "state.backend.local-recovery")


class Release:
    """Follows one job's latest scale-down until TaskManagers are back or ought to be."""

    def __init__(self, env: Environment, watch: Watch) -> None:
        self._env = env
        self._watch = watch
        self._request: Request | None = None
        self._before: Held | None = None

    def begin(self, request: Request, held: Held | None) -> None:
        """A rescale went out: follow it if it was to free TaskManagers, and in any case none before it."""
        needed = request.needed_task_managers
        frees = held is not None and needed is not None and needed < held.task_managers
        self._request, self._before = (request if frees else None), held

    def seen(self, subject: Subject, held: Held, resolved: Resolved, *, session: bool, now: Millis) -> None:
        """YARN's newest count; tells once how it went."""
        request, before, last = self._request, self._before, known_requirements(self._watch.past)
        if request is None or before is None or self._watch.open is not None:
            return
        if last is None or last.outcome is None or last.id != request.id or last.state is not RequestState.ACHIEVED:
            self._request = None  # the job never came to run at less, or was asked for something else since
            return
        expected, took, config = request.needed_task_managers or 0, now - last.outcome.at, resolved.flat()
        if held.task_managers > expected and took <= release_time(config):
            return
        self._request = None
        back = f"TaskManagers {before.task_managers}→{held.task_managers}"
        if before.memory_mb is not None and held.memory_mb is not None:
            back += f", {max(0, before.memory_mb - held.memory_mb)} MB given back"
        if held.task_managers <= expected:
            note, say = f"{back} {sentences.seconds(took)} after it", self._env.journal.note
        else:
            cause = likely_cause(config, subject.flink_version, session=session)
            note = f"{back}, where {expected} would do, {sentences.seconds(took)} after it; likely because {cause}"
            say = self._env.journal.warn
        say("scale-down", job=str(subject.key), application_id=subject.application.id, detail=note)
        self._watch.remark(request.id, note)


def _duration(text: str | None, default: Millis) -> Millis:
    try:
        return default if text is None else parse_duration(text)
    except GrammarError:  # Flink refuses it too, and takes nothing in its place
        return default

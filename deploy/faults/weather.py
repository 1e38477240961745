"""What goes wrong between the daemon and the world: which fault each step has in store, and what became of it."""

from __future__ import annotations

import random
from collections import Counter
from dataclasses import dataclass, field
from enum import StrEnum

from autoscaler.model import Millis, RequestKind, RequestState


class Answer(StrEnum):
    """The questions the daemon asks, each of which may be answered badly."""

    APPLICATIONS = "applications"
    APPLICATION = "application"
    NODES = "nodes"
    SCHEDULER = "scheduler"
    INFO = "info"
    CONFIG = "config"
    CONFIGURATION = "jobmanager/config"
    PARAMETERS = "jobs/:id/config"
    POKE = "jobmanager/metrics"
    JOBS = "jobs/overview"
    JOB = "jobs/:id"
    METRICS = "subtasks/metrics"
    CHECKPOINTS = "checkpoints"
    CHECKPOINT_CONFIG = "checkpoints/config"
    REQUIREMENTS = "resource-requirements"
    SLOTS = "overview"
    TASK_MANAGERS = "taskmanagers"
    PUT = "PUT resource-requirements"


EVERY_PASS = (Answer.APPLICATIONS, Answer.POKE, Answer.JOBS, Answer.JOB, Answer.METRICS)
# What a bad answer to a read looks like; doubtful ones are those of a job's details alone.
SPOILT = ("error", "unavailable", "gone", "time-out", "html", "html-ok", "truncated", "empty", "refused")
MILD = ("reordered", "reordered", "stale", "stale")
DOUBTFUL = ("incomplete", "subtasks", "backwards", "no-metrics")
PUTS = (
    "refused",
    "not-found page",
    "error page, not carried out",
    "error page, carried out",
    "time-out, not carried out",
    "time-out, carried out",
    "truncated, carried out",
    "conflict",
    "rejected",
    "error",
)
EVENTS = (
    "killed",
    "killed",
    "clock",
    "store",
    "second daemon",
    "second daemon",
    "fail-over",
    "human",
    "room taken",
    "bad target",
    "pause",
)

STORE_WRITES = (
    "record_pass",
    "record_decision",
    "save_status",
    "present",
    "mark_absent",
    "forget",
    "retain",
    *(f"add_request {kind.value}" for kind in RequestKind if kind is not RequestKind.PIN),
    *(f"update_request {state.value}" for state in RequestState if state not in ("INTENDED", "ADOPTED")),
)
PUT_WRITES = tuple(f"PUT {kind.value}" for kind in RequestKind if kind not in (RequestKind.PIN, RequestKind.ADOPT))
CRASH_POINTS = tuple(f"{side} {write}" for write in (*STORE_WRITES, *PUT_WRITES) for side in ("before", "after"))
"""Where the daemon may die: on either side of each statement that writes. Pins are set by operators, of whom there are
none here, and a command is written only for a store that begins anew."""


class Moment(StrEnum):
    """The last moments before a PUT, in each of which a daemon may be frozen: its intent is stored, and both questions
    on its right to act are answered."""

    INTENT = "the intent is stored"
    ACTIVE = "is my ResourceManager active"
    LEASE = "is the lease mine"


class Killed(BaseException):
    """kill -9 between two statements."""


@dataclass(slots=True, kw_only=True)
class Weather:
    """The faults in store. ``effects`` counts those that came about, by name; ``hit`` the crash points. ``freeze`` is
    at which moment before a PUT a daemon stands still, and for how long."""

    draw: random.Random
    favourite: str
    effects: Counter[str] = field(default_factory=Counter)
    hit: Counter[str] = field(default_factory=Counter)
    armed: dict[Answer, str] = field(default_factory=dict)
    crashes: set[str] = field(default_factory=set)
    store_fails_until: Millis = 0
    freeze: tuple[Moment, Millis] | None = None
    calm: bool = False
    _count: int = 0

    @property
    def effect_count(self) -> int:
        return self._count

    def happened(self, what: str) -> None:
        self.effects[what] += 1
        self._count += 1

    def arm(self) -> None:
        """Have the next answer of some kind be a bad one."""
        often = self.draw.random() < 0.8
        which = self.draw.choice(EVERY_PASS if often else tuple(Answer))
        kinds = PUTS if which is Answer.PUT else SPOILT if self.draw.random() < 0.25 else MILD
        if which is Answer.JOB and self.draw.random() < 0.25:
            kinds = DOUBTFUL
            if self.draw.random() < 0.3:
                self.crashes.add("after record_pass")  # whoever comes next has to know of the doubt
        fault = self.draw.choice(kinds)
        if which is Answer.INFO and fault == "stale":
            fault = "reordered"  # of its own state a ResourceManager tells nothing old
        self.armed[which] = fault

    def arm_crash(self) -> None:
        """Have the daemon die at some point, and time and again at this episode's own one."""
        self.crashes |= {self.favourite, self.draw.choice(CRASH_POINTS)}

    def taken(self, which: Answer) -> str | None:
        """The fault an answer of this kind has now, if it has one."""
        fault = None if self.calm else self.armed.pop(which, None)
        if fault is not None:
            self.happened(f"{which.value}: {fault}")
        return fault

    def passing(self, point: str) -> None:
        """A point where the daemon may die is passed. Raises Killed if this is the moment."""
        if point in self.crashes and not self.calm:
            self.crashes.remove(point)
            self.hit[point] += 1
            self.happened("killed")
            raise Killed(point)

    def frozen(self, moment: Moment) -> Millis:
        """For how long the daemon that is about to send stands still now."""
        if self.freeze is None or self.freeze[0] is not moment:
            return 0
        _, duration = self.freeze
        self.freeze = None
        self.happened("frozen before a PUT")
        return duration

    def clear_up(self) -> None:
        """From here on nothing goes wrong."""
        self.freeze = None
        self.calm = True
        self.armed.clear()
        self.crashes.clear()
        self.store_fails_until = 0

"""What the steps of a decision hand on to each other."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from autoscaler.core.window import MetricWindow
from autoscaler.model import (
    Cluster,
    DelayedScaleDown,
    Evaluation,
    Event,
    History,
    Limit,
    Millis,
    Policy,
    Reason,
    Restart,
    Scaling,
    Sizing,
    VertexId,
    Window,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """What is known before anything is computed.

    ``window`` holds the samples that count, ``scalings`` and ``restarts`` the records that count,
    ``history`` all that is remembered. ``restart_s`` is the time a rescale is expected to take, in whole
    seconds.
    """

    window: Window
    metrics: MetricWindow
    policy: Policy
    cluster: Cluster
    now: Millis
    history: History
    scalings: Mapping[VertexId, tuple[Scaling, ...]]
    restarts: tuple[Restart, ...]
    restart_s: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Evaluated:
    """Every vertex of a job, and the job as a whole, evaluated over the window."""

    vertices: Mapping[VertexId, Evaluation] = field(default_factory=dict)
    gc_pressure: float | None = None
    heap_usage: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """A decision in the making; ``reason`` is unknown until a step ends it.

    ``protected`` names the vertices that must not shrink now, ``ceilings`` those that must not grow beyond something,
    ``delayed`` the held-back scale-downs so far, ``wished`` the sizings before a quota cut them, if it did.
    """

    facts: Facts
    delayed: Mapping[VertexId, DelayedScaleDown]
    evaluated: Evaluated = field(default_factory=Evaluated)
    protected: Mapping[VertexId, Limit] = field(default_factory=dict)
    ceilings: Mapping[VertexId, tuple[int, Limit]] = field(default_factory=dict)
    sizings: Mapping[VertexId, Sizing] = field(default_factory=dict)
    wished: Mapping[VertexId, Sizing] | None = None
    events: tuple[Event, ...] = ()
    memory_is_short: bool = False
    reason: Reason | None = None

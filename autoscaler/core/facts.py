"""What the steps of a decision hand on to each other."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, NamedTuple

from autoscaler.core.window import MetricWindow
from autoscaler.model import (
    Cluster,
    DelayedScaleDown,
    Evaluation,
    Event,
    History,
    Limit,
    Millis,
    Need,
    Policy,
    Reason,
    Restart,
    Scaling,
    Sizing,
    VertexId,
    Window,
)

_NOTHING: Mapping[VertexId, Any] = MappingProxyType({})


class Facts(NamedTuple):
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


class Evaluated(NamedTuple):
    """Every vertex of a job, and the job as a whole, evaluated over the window."""

    vertices: Mapping[VertexId, Evaluation] = _NOTHING
    gc_pressure: float | None = None
    heap_usage: float | None = None


class Plan(NamedTuple):
    """A decision in the making; ``reason`` is unknown until a step ends it.

    ``doubts`` says whose numbers may be wrong and why, ``protected`` which vertices must not shrink now, ``ceilings``
    which must not grow beyond something, ``needs`` what was needed of late: all these with the extras only. ``delayed``
    are the held-back scale-downs so far, ``wished`` the sizings before a quota cut them, if it did.
    """

    facts: Facts
    delayed: Mapping[VertexId, DelayedScaleDown]
    needs: Mapping[VertexId, tuple[Need, ...]] = _NOTHING
    evaluated: Evaluated = Evaluated()
    doubts: Mapping[VertexId, str] = _NOTHING
    protected: Mapping[VertexId, Limit] = _NOTHING
    ceilings: Mapping[VertexId, tuple[int, Limit]] = _NOTHING
    sizings: Mapping[VertexId, Sizing] = _NOTHING
    wished: Mapping[VertexId, Sizing] | None = None
    events: tuple[Event, ...] = ()
    memory_is_short: bool = False
    reason: Reason | None = None

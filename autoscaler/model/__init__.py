"""The values the autoscaler thinks in. Frozen, without I/O; absent is ``None``, never 0 or NaN.

What a decision or a window has many of is a struct of msgspec's, frozen like the dataclasses but far faster to make;
``msgspec.structs.replace`` is its ``replace``.

Times are integers, epoch milliseconds UTC, as Flink gives them; durations are integers in milliseconds unless the
name says otherwise. Rates are records per second. ``math.inf`` is a legal number where the text says so.
"""

from __future__ import annotations

from autoscaler.model.base import JobKey, Millis, VertexId, frozen
from autoscaler.model.decision import Decision, Evaluation, Event, EventKind, Grant, Limit, Reason, Sizing
from autoscaler.model.history import DelayedRequest, DelayedScaleDown, History, Need, Restart, Scaling
from autoscaler.model.job import NOTHING, Cluster, Input, Resource, Topology, Vertex
from autoscaler.model.lease import Lease
from autoscaler.model.policy import NO_VERTEX_RULES, Alignment, BusyTimeAggregator, Command, Policy, VertexRule
from autoscaler.model.request import Bounds, Fare, Life, Outcome, Phase, Request, RequestKind, RequestState, Transition
from autoscaler.model.samples import Sample, VertexSample, Window
from autoscaler.model.status import JobStatus, PassRecord, VertexStatus

__all__ = [
    "NOTHING",
    "NO_VERTEX_RULES",
    "Alignment",
    "Bounds",
    "BusyTimeAggregator",
    "Cluster",
    "Command",
    "Decision",
    "DelayedRequest",
    "DelayedScaleDown",
    "Evaluation",
    "Event",
    "EventKind",
    "Fare",
    "Grant",
    "History",
    "Input",
    "JobKey",
    "JobStatus",
    "Lease",
    "Life",
    "Limit",
    "Millis",
    "Need",
    "Outcome",
    "PassRecord",
    "Phase",
    "Policy",
    "Reason",
    "Request",
    "RequestKind",
    "RequestState",
    "Resource",
    "Restart",
    "Sample",
    "Scaling",
    "Sizing",
    "Topology",
    "Transition",
    "Vertex",
    "VertexId",
    "VertexRule",
    "VertexSample",
    "VertexStatus",
    "Window",
    "frozen",
]

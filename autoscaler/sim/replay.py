"""A recorded job decided anew: the daemon's decisions on what a store holds of it, at the recorded times.

A store keeps what was decided on, not what Flink and YARN answered. So samples, topologies and starts are taken from
it, and history, windows and decisions are made anew from nothing. What the rest of the daemon then said to a rescale
(that it came too soon, that no checkpoint had completed, that the cluster has room for less) rests on answers that are
gone; there the record speaks.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

from autoscaler.core import carried, decide
from autoscaler.core.capacity import applied
from autoscaler.loop.pilot import measured, with_request, with_scaling
from autoscaler.model import (
    Cluster,
    Decision,
    History,
    JobKey,
    Millis,
    Policy,
    Reason,
    Request,
    RequestKind,
    Sample,
    Topology,
    VertexId,
    Window,
)
from autoscaler.store import Store

DECIDED = frozenset(
    {
        Reason.SCALE,
        Reason.ERROR,
        Reason.MEMORY_PRESSURE,
        Reason.QUOTA,
        Reason.SCALING_DISABLED,
        Reason.EXCLUDED_PERIOD,
        Reason.NOT_READY,
        Reason.STEADY,
        Reason.WINDOW_NOT_FULL,
    }
)
"""The reasons that follow from samples and history alone; with every other one a rescale was held back."""


class Mind(NamedTuple):
    """What is told of a decision: a change of it is what a store keeps a row of."""

    reason: Reason
    advised: Mapping[VertexId, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class Recording:
    """What a store holds of one job, oldest first. Each pass is a window of its one sample."""

    passes: Sequence[Window]
    decisions: Sequence[Decision]
    requests: Sequence[Request]


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One pass, as it was recorded and as it is decided anew."""

    at: Millis
    topology: Topology
    recorded: Mind
    replayed: Mind

    @property
    def differs(self) -> bool:
        return self.recorded != self.replayed


def recording(store: Store, key: JobKey) -> Recording:
    """Read all that a store holds of a job. Raises StoreUnavailable."""
    everything = 2**31 - 1
    return Recording(
        passes=store.passes(key),
        decisions=tuple(one.decision for one in reversed(store.decisions(key, everything))),
        requests=tuple(reversed(store.requests(key, everything))),
    )


def replay(recorded: Recording, policy: Policy, cluster: Cluster) -> tuple[Step, ...]:
    """Decide each recorded pass anew. Those from before the first recorded decision only fill the window."""
    replayed = _Replayed(recorded.requests, policy, cluster)
    rows = list(recorded.decisions)
    row: Decision | None = None
    steps = []
    for one in recorded.passes:
        at = one.samples[-1].at
        while rows and rows[0].at <= at:
            row = rows.pop(0)
        decision = replayed.decided(one)
        if row is None:
            replayed.kept(decision)
            continue
        was = Mind(row.reason, row.advised)
        step = Step(at=at, topology=one.topology, recorded=was, replayed=_mind(decision, was.reason))
        replayed.follow(decision, row, agreed=not step.differs)
        steps.append(step)
    return tuple(steps)


def changes(steps: Sequence[Step]) -> tuple[Step, ...]:
    """Return the passes at which the recorded or the replayed mind changed."""
    before = [None, *((step.recorded, step.replayed) for step in steps)]
    return tuple(step for step, last in zip(steps, before, strict=False) if (step.recorded, step.replayed) != last)


def _mind(decision: Decision, recorded: Reason) -> Mind:
    """What is told of a decision where the record says what held a rescale back; a pin holds back any decision."""
    if recorded not in DECIDED and (decision.rescale or recorded is Reason.PINNED):
        return Mind(recorded, decision.parallelism)
    return Mind(decision.reason, decision.advised)


class _Replayed:
    """What a daemon would remember of the job between passes."""

    def __init__(self, requests: Sequence[Request], policy: Policy, cluster: Cluster) -> None:
        self._requests = requests
        self._sent = [r for r in requests if r.kind is RequestKind.SCALE and r.was_sent]
        self._policy, self._cluster = policy, cluster
        self._vertices: set[VertexId] = set()
        self._samples: tuple[Sample, ...] = ()
        self._history = self._before = History()

    def decided(self, one: Window) -> Decision:
        """Decide on a pass and all before it."""
        (sample,) = one.samples
        while self._sent and self._sent[0].decided_at < sample.at:
            self._history = with_request(self._history, self._sent.pop(0))
        past = tuple(r for r in self._requests if r.outcome is not None and r.outcome.at <= sample.at)
        self._before = measured(self._history, past, self._policy)
        vertices = {vertex.id for vertex in one.topology.vertices}
        if vertices != self._vertices:  # another job of the same name: nothing measured of the one before counts
            self._vertices, self._samples = vertices, ()
        window = replace(one, samples=(*self._samples, sample))
        decision = decide(window, self._before, self._policy, self._cluster, sample.at)
        oldest = sample.at if decision.window_start is None else decision.window_start
        self._samples = carried(window, self._policy, oldest)
        return decision

    def kept(self, decision: Decision) -> None:
        self._history = History(
            scalings=decision.scalings, restarts=decision.restarts, delayed=decision.delayed, needs=decision.needs
        )

    def follow(self, decision: Decision, recorded: Decision, *, agreed: bool) -> None:
        """Remember what was done at the time; where it was decided otherwise, only that somebody did it."""
        self.kept(decision)
        sent = bool(self._sent) and self._sent[0].decided_at == decision.at
        if sent and agreed:
            self._sent.pop(0)
            granted = decision if recorded.grant is None else applied(decision, recorded.grant)
            self._history = with_scaling(self._history, granted)
        elif decision.rescale and recorded.reason is not Reason.PINNED:
            self._history = replace(self._history, delayed=self._before.delayed)

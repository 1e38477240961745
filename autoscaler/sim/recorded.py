"""A recorded job in the simulator's place of a job: what Flink's REST answers are rendered from comes from a store's
samples and requests instead of from a flow, and the daemon's adapters and loop read it unchanged.

What a store lacks is made up so that it stands in nobody's way: a checkpoint has always just completed, YARN has the
room that the recorded grants tell of, and Flink is of one release. A source's own rate is found again from what was
computed of it.
"""

from __future__ import annotations

import math
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from typing import TypeVar

from msgspec.structs import replace

from autoscaler.loop import Lane
from autoscaler.loop.action import FIRST_LOOKS, LOOK_EVERY
from autoscaler.model import (
    Bounds,
    Decision,
    JobKey,
    Millis,
    Policy,
    Reason,
    Request,
    RequestKind,
    Vertex,
    VertexId,
    VertexSample,
    Window,
)
from autoscaler.options import cluster, policy
from autoscaler.sim.chance import Chance
from autoscaler.sim.checkpoints import Checkpoint, Checkpoints
from autoscaler.sim.cluster import SimCluster
from autoscaler.sim.drive import CLUSTER, STORE_BYTES, fleet_on
from autoscaler.sim.edge import Edge
from autoscaler.sim.job import Phase, SimJob
from autoscaler.sim.meters import Fetched, MetricStore, VertexReading
from autoscaler.sim.pool import SlotPool
from autoscaler.sim.replay import Recording
from autoscaler.sim.scenario import Scenario, ScenarioError, checked_scenario, vertex_id
from autoscaler.sim.virtual import VirtualTime
from autoscaler.store import open_store

RELEASE = "2.0.0"  # whose answers are rendered: it waits for checkpoints by itself
JITTER: Millis = 250  # of a scheduler's threads
PLENTY = 1_000  # TaskManagers there is room for where no limit was met
NODE_GB = 1_000_000.0
_T = TypeVar("_T")


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """One change of mind: when, why, and the parallelism advised by vertex name."""

    at: Millis
    reason: Reason
    advised: Mapping[str, int]

    @property
    def mind(self) -> tuple[Reason, Mapping[str, int]]:
        """What is compared: the instant is not."""
        return self.reason, self.advised


def rerun(recorded: Recording, settings: Mapping[str, str], profile: str) -> tuple[Told, ...]:
    """Play a recording to the daemon's loop over REST; return its changes of mind, oldest first.

    Raises ScenarioError and OptionError.
    """
    scenario, wanted = scenario_of(recorded, settings), policy(dict(settings), profile)
    began = recorded.passes[0].samples[0].at

    def job_of(own: Scenario, chance: Chance, pool: SlotPool, at: Millis, *, at_peak: bool) -> SimJob:
        return RecordedJob(own, chance, pool, at, recorded, wanted)

    sim = SimCluster(scenario, 1, began, job_of=job_of)
    time = _RecordedTime(began, sim.advance, [one.samples[0].at for one in recorded.passes])
    with closing(open_store("sqlite://", STORE_BYTES, began).store) as store:
        interval = min(wanted.decision_interval, 60_000)
        fleet_on(Edge(sim, scenario.settings), time, store, profile, interval).start(began)
        time.run(recorded.passes[-1].samples[0].at + LOOK_EVERY)
        key = JobKey(cluster=CLUSTER, application=f"{scenario.job.name}-app", job=scenario.job.name)
        rows = [row.decision for row in reversed(store.decisions(key, 2**31 - 1))]
    names = {vertex.id: vertex.name for vertex in scenario.job.vertices}
    return tuple(_told(row, names) for row in rows)


class _RecordedTime(VirtualTime):
    """Runs what is due about when a pass was recorded at that very time: what is in a window turns on a millisecond."""

    def __init__(self, now: Millis, pass_to: Callable[[Millis], None], instants: Sequence[Millis]) -> None:
        super().__init__(now, pass_to)
        self._instants = instants

    def at(self, when: Millis, step: Callable[[], None], *, name: str, lane: Lane = Lane.WORKERS) -> None:
        nearest = bisect_left(self._instants, when)
        around = self._instants[max(0, nearest - 1) : nearest + 1]
        near = min(around, key=lambda instant: abs(instant - when))
        super().at(near if abs(near - when) <= JITTER else when, step, name=name, lane=lane)


def told(recorded: Recording) -> tuple[Told, ...]:
    """Return the recorded changes of mind, oldest first."""
    names = {vertex.id: vertex.name for one in recorded.passes for vertex in one.topology.vertices}
    return tuple(_told(decision, names) for decision in recorded.decisions)


def _told(decision: Decision, names: Mapping[VertexId, str]) -> Told:
    advised = {names.get(vertex, vertex): number for vertex, number in decision.advised.items()}
    return Told(at=decision.at, reason=decision.reason, advised=advised)


def scenario_of(recorded: Recording, settings: Mapping[str, str]) -> Scenario:
    """Return a scenario of the recorded job. Raises ScenarioError if two vertices have one name, or one has ended."""
    topology = recorded.passes[0].topology
    gone = [vertex.name for one in recorded.passes for vertex in one.topology.vertices if vertex.finished]
    if gone:
        raise ScenarioError(f"{gone[0]!r} had finished: a job whose vertices end cannot be played over REST")
    names = {vertex.id: vertex.name for vertex in topology.vertices}
    return checked_scenario(
        {
            "name": "recorded",
            "about": "A recorded job.",
            "hours": 0.1,
            "flink": RELEASE,
            "settings": dict(settings),
            "job": {
                "records_per_slot": 1,
                "start_parallelism": 1,
                "vertices": [_described(vertex, names) for vertex in topology.vertices],
            },
            "cluster": {
                "nodes": 1,
                "max_nodes": 1,
                "node_gb": NODE_GB,
                "slots_per_task_manager": cluster(settings).slots_per_task_manager,
            },
        },
        "the recording",
    )


def _described(vertex: Vertex, names: Mapping[VertexId, str]) -> Mapping[str, object]:
    described = {
        "name": vertex.name,
        "inputs": {names[edge.id]: 1.0 for edge in vertex.inputs},
        "ship": "HASH" if any(edge.ship_strategy == "HASH" for edge in vertex.inputs) else "REBALANCE",
        "max_parallelism": vertex.max_parallelism,
        "group": vertex.slot_sharing_group or "default",
    }
    source = {"load": {"shape": "steady", "rate": 1}, "partitions": vertex.source_partitions or 1}
    return described if vertex.inputs else described | source


class RecordedJob(SimJob):
    """Is at any time what the recording says it was; requests that were recorded take effect as they did then."""

    def __init__(
        self, scenario: Scenario, chance: Chance, pool: SlotPool, began: Millis, recorded: Recording, wanted: Policy
    ) -> None:
        super().__init__(scenario, chance, pool, began, at_peak=False)
        self.attempt += 1  # nothing happens to it by itself
        uncounted = {v.name for v in recorded.passes[0].topology.vertices if v.source_partitions is None}
        self.vertices = tuple(
            v.model_copy(update={"partitions": 0}) if v.name in uncounted else v for v in self.vertices
        )
        self._passes = list(recorded.passes)
        self._read_at = [one.samples[0].at for one in self._passes]
        self._grants = [(each.at, each.grant) for each in recorded.decisions if each.grant is not None]
        self._sent = [each for each in recorded.requests if each.was_sent]
        self._adopted = [(_changed_at(each, recorded), each) for each in recorded.requests if _is_adopted(each)]
        self._names = {vertex.id: vertex.name for one in recorded.passes for vertex in one.topology.vertices}
        self._restart: tuple[Millis, Millis, Mapping[VertexId, int]] | None = None
        self.metrics = _RecordedMetrics(self, wanted)
        first = next((each.former for each in recorded.requests if each.former), None)
        self._is(self._passes[0])
        ones = {vertex: Bounds(lower=1, upper=p) for vertex, p in self.parallelism.items()}
        self.requirements = self._named(first) if first is not None else ones
        self._hold_workers(began)

    def flow_to(self, now: Millis) -> None:
        self.now = now
        while self._adopted and self._adopted[0][0] <= now:
            self.requirements = self._named(self._adopted.pop(0)[1].requirements)
        if self._restart is not None and now < self._restart[1]:
            self.phase = Phase.RESTORING if now >= self._restart[0] else Phase.RUNNING
            return
        if self._restart is not None:
            self.parallelism, self._restart = self._restart[2], None
        self.phase = Phase.RUNNING
        self._is(self._pass_at(now))
        self._hold_workers(now)

    def put(self, requirements: Mapping[VertexId, Bounds], now: Millis) -> None:
        """Take effect after as long as the recorded request of the same requirements did; any other has none."""
        self.requirements = dict(requirements)
        if not self._sent or self._named(self._sent[0].requirements) != self.requirements:
            return
        outcome = self._sent.pop(0).outcome
        if outcome is not None and outcome.took_ms is not None and outcome.downtime_ms:
            up_at, last_seen = now + _look_by(outcome.took_ms), now + _look_by(outcome.took_ms - outcome.downtime_ms)
            self._restart = (last_seen + 1, up_at, self._named(outcome.parallelism))

    def lasting(self, now: Millis) -> Window:
        """The newest pass by a time."""
        return self._passes[max(0, bisect_right(self._read_at, now) - 1)]

    def _pass_at(self, now: Millis) -> Window:
        """What ran at a time: the next pass tells it, if the job was started before."""
        upcoming = self._passes[min(bisect_left(self._read_at, now), len(self._passes) - 1)]
        return upcoming if upcoming.running_since <= now else self.lasting(now)

    def _is(self, one: Window) -> None:
        self.parallelism = {vertex_id(vertex.name): vertex.parallelism for vertex in one.topology.vertices}
        self.running_since = self.tasks_since = one.running_since
        newest = Checkpoint(id=1, triggered_at=self.now - 1, positions={}, completed_at=self.now)
        self.checkpoints = Checkpoints(newest)

    def _hold_workers(self, now: Millis) -> None:
        """Hold the TaskManagers that are needed, and have room for those that were granted then."""
        pool, yarn = self.pool, self.yarn
        (node,) = yarn.nodes
        node.memory_mb = round(NODE_GB * 1024)
        needed = -(-self.used // pool.each)
        yarn.join(pool.holder, needed, now)
        for spare in pool.holder.task_managers[needed:]:
            yarn.release(pool.holder, spare, now)
        told = bisect_right(self._grants, now, key=lambda each: each[0])
        grant = self._grants[told - 1][1] if told else None
        room = grant.new if grant is not None and grant.limited_by else PLENTY
        node.memory_mb = node.used_mb + room * yarn.task_manager_mb

    def _named(self, by_id: Mapping[VertexId, _T]) -> dict[VertexId, _T]:
        return {vertex_id(self._names[vertex]): value for vertex, value in by_id.items()}


class _RecordedMetrics(MetricStore):
    """The JobManager's metric store, which holds the newest recorded sample."""

    def __init__(self, job: RecordedJob, wanted: Policy) -> None:
        super().__init__(lambda _: None)
        self._job, self._wanted = job, wanted

    def read(self, now: Millis) -> Fetched | None:
        return self.held(now)

    def held(self, now: Millis) -> Fetched | None:
        one, job = self._job.lasting(now), self._job
        (sample,) = one.samples
        found = {vertex_id(v.name): (v.parallelism, sample.vertices[v.id]) for v in one.topology.vertices}
        job.nan_busy = {vertex for vertex, (_, measured) in found.items() if measured.load is None}
        for vertex in job.lag_known_at:
            job.lag_known_at[vertex] = now + 1 if found[vertex][1].lag is None else 0
        return Fetched(
            at=now,
            attempt=job.attempt,
            running_since=one.running_since,
            vertices={
                vertex: replace(reading_of(measured, parallelism, self._wanted), idle_ms=float(sample.at))
                for vertex, (parallelism, measured) in found.items()
            },
            complete=not any("incomplete" in doubt for doubt in sample.doubts),
        )


def reading_of(measured: VertexSample, parallelism: int, wanted: Policy) -> VertexReading:
    """What Flink must have told for this to be measured of it.

    The mean over subtasks is not recorded: it is taken as high as the time leaves it that a vertex waited.
    """
    busy, waited = 1000 * (measured.load or 0.0), 1000 * min(1.0, measured.back_pressure or 0.0)
    mean = min(busy, 1000 - waited)
    return VertexReading(
        parallelism=parallelism,
        busy=(mean, busy, mean, mean * parallelism),
        waiting=waited / (1000 - mean) if mean < 1000 else 0.0,
        records_in=measured.records_in or 0.0,
        records_out=measured.records_out or 0.0,
        in_per_s=measured.records_in_per_s if measured.records_in_per_s is not None else source_rate(measured, wanted),
        out_per_s=0.0,
        lag=measured.lag or 0.0,
        busy_ms=measured.accumulated_busy_ms or 0.0,
        blocked_ms=0.0,
        idle_ms=0.0,
    )


def source_rate(measured: VertexSample, wanted: Policy) -> float:
    """Return a rate that a source's observed true rate follows from (docs/ALGORITHM.md, 2).

    While it is not catching up that is the mean of earlier ones, whatever its rate.
    """
    threshold_s, lag, tpr = wanted.observed_tpr_lag_threshold // 1000, measured.lag or 0.0, measured.observed_tpr
    if tpr == math.inf:
        return 0.0
    rate = (tpr or 0.0) * (1 - (measured.back_pressure or 0.0))
    return rate if rate and lag >= threshold_s * rate else 2 * (lag + 1) / max(1, threshold_s)


def _is_adopted(request: Request) -> bool:
    return request.kind is RequestKind.ADOPT


def _changed_at(adopted: Request, recorded: Recording) -> Millis:
    """When somebody else changed the requirements that were adopted later: with the last start before, if it is new."""
    before = [one for one in recorded.passes if one.samples[0].at <= adopted.decided_at]
    news = len(before) > 1 and before[-1].running_since > before[-2].samples[0].at
    return before[-1].running_since if news else adopted.decided_at - LOOK_EVERY


def _look_by(elapsed: Millis) -> Millis:
    """The last time after a request, up to one, at which the loop looks what became of it."""
    if elapsed < FIRST_LOOKS[-1]:
        return max((look for look in FIRST_LOOKS if look <= elapsed), default=0)
    return FIRST_LOOKS[-1] + (elapsed - FIRST_LOOKS[-1]) // LOOK_EVERY * LOOK_EVERY

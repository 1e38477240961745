"""What is true of a simulated job at any moment, kept cell by cell: what the daemon can only infer from metrics."""

from __future__ import annotations

from collections import deque

from autoscaler.model import Millis, VertexId
from autoscaler.sim.cluster import SimCluster
from autoscaler.sim.flow import Stage
from autoscaler.sim.job import Phase, SimJob
from autoscaler.sim.load import CELL_S
from faults.world import Promises

MARGIN = 0.05  # of utilization; a gauge's noise and the weight of a minute at the edge of a window
LAG_S = 3.0  # seconds' worth of records that are no lag, but what lies between two looks
CAPACITY_FOR: Millis = 180_000  # how old what the daemon knows of room may be
OLD_METRICS: Millis = 120_000


class Truth:
    """``saturated_since`` and ``lag_free_since`` are ``None`` while it is not so."""

    def __init__(self, cluster: SimCluster, promises: Promises) -> None:
        self.saturated_since: dict[VertexId, Millis | None] = dict.fromkeys(cluster.job.ids)
        self.lag_free_since: Millis | None = cluster.now
        self.blind_at: Millis = 0
        self._cluster, self._promises = cluster, promises
        self._limit = min(1.0 - 1e-6, promises.upper_utilization + MARGIN)
        self._used: list[tuple[Stage, list[float]]] = []
        self._room: deque[tuple[Millis, int]] = deque()
        cluster.job.watchers.append(self._cell)

    @property
    def room(self) -> int:
        """The most slots there were or could have been had lately."""
        return max((slots for _, slots in self._room), default=0)

    def _cell(self, job: SimJob) -> None:
        self.note_room(job.now)
        self._note_lag(job)
        fetched = job.metrics.held(job.now)
        if job.no_metrics or job.nan_busy or fetched is None or job.now - fetched.at > OLD_METRICS:
            self.blind_at = job.now
        stages = job.flow.stages
        if job.phase is not Phase.RUNNING or len(self._used) != len(stages):
            self.saturated_since = dict.fromkeys(job.ids)
            self._used = [(stage, list(stage.use_s)) for stage in stages]
            return
        for number, vertex in enumerate(job.ids):
            stage, (known, before) = stages[number], self._used[number]
            if known is not stage:
                self.saturated_since[vertex], self._used[number] = None, (stage, list(stage.use_s))
                continue
            if self._utilization(stage, before) < self._limit:
                self.saturated_since[vertex] = None
            elif self.saturated_since[vertex] is None:
                self.saturated_since[vertex] = job.now
            before[:] = stage.use_s

    def _utilization(self, stage: Stage, before: list[float]) -> float:
        used = [now - then for now, then in zip(stage.use_s, before, strict=True)]
        if self._promises.average:
            busy = sum(c * u for c, u in zip(stage.plant.cost_of, used, strict=True))
            return busy / stage.plant.parallelism / CELL_S
        return max(used) / CELL_S

    def _note_lag(self, job: SimJob) -> None:
        elapsed = (job.now - job.began) / 1000.0
        for source, lag in job.lag().items():
            if lag > LAG_S and lag > LAG_S * job.arrivals[source].rate(elapsed):
                self.lag_free_since = None
                return
        if self.lag_free_since is None:
            self.lag_free_since = job.now

    def least(self, vertex: VertexId, at: Millis) -> float:
        """The fewest subtasks with which a source could have read what arrived within the window before an instant; 0
        for what is no source."""
        job = self._cluster.job
        if vertex not in job.arrivals:
            return 0.0
        until, window = (at - job.began) / 1000.0, self._promises.window / 1000.0
        arrived = job.arrivals[vertex].until(until) - job.arrivals[vertex].until(max(0.0, until - window))
        (spec,) = (each for each in job.vertices if each.id == vertex)
        return arrived / window / (self._cluster.scenario.job.records_per_slot * spec.speed) * (1.0 - 4 * MARGIN)

    def note_room(self, now: Millis) -> None:
        """Take down how many slots there are or could be had now."""
        yarn, holder = self._cluster.yarn, self._cluster.job.holder
        each, used, fitting = yarn.task_manager_mb, 0, 0
        for node in yarn.nodes:
            used += node.used_mb
            if node.state == "RUNNING":
                fitting += (node.memory_mb - node.used_mb) // each
        fitting = min(fitting, max(0, yarn.queue_mb - used) // each)
        self._room.append((now, (len(holder.task_managers) + fitting) * yarn.spec.slots_per_task_manager))
        while self._room[0][0] < now - CAPACITY_FOR:
            self._room.popleft()

"""What is true of a simulated job at any moment, kept cell by cell: what the daemon can only infer from metrics."""

from __future__ import annotations

from collections import deque
from operator import mul, sub

from autoscaler.model import Millis, VertexId
from autoscaler.sim.cluster import SimCluster
from autoscaler.sim.flow import Flow
from autoscaler.sim.job import Phase, SimJob
from autoscaler.sim.load import CELL_S
from faults.world import Promises

MARGIN = 0.05  # of utilization; a gauge's noise and the weight of a minute at the edge of a window
NEEDED = 0.8  # of what a vertex needs: measured by gauges it may be as little
LAG_S = 3.0  # seconds' worth of records that are no lag, but what lies between two looks
CAPACITY_FOR: Millis = 180_000  # how old what the daemon knows of room may be
MINUTE: Millis = 60_000
NEW_METRICS: Millis = 20_000  # of a pass: it asks for them before it reads
OLD_METRICS: Millis = 120_000


class Truth:
    """``saturated_since`` and ``lag_free_since`` are ``None`` while it is not so."""

    def __init__(self, cluster: SimCluster, promises: Promises) -> None:
        self.saturated_since: dict[VertexId, Millis | None] = dict.fromkeys(cluster.job.ids)
        self.lag_free_since: Millis | None = cluster.now
        self.blind_at: Millis = 0
        self._cluster, self._promises = cluster, promises
        self._limit = min(1.0 - 1e-6, promises.upper_utilization + MARGIN)
        self._flow: Flow | None = None  # which used so much by the last cell:
        self._used: list[list[float]] = []
        self._worked: dict[VertexId, list[float]] = {vertex: [0.0] for vertex in cluster.job.ids}
        self._unsteady = [0]
        self._fetched_at: list[Millis] = [cluster.now]
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
        self._fetched_at.append(0 if fetched is None else fetched.at)
        stages = job.flow.stages
        runs_on = job.phase is Phase.RUNNING and self._flow is job.flow
        self._unsteady.append(self._unsteady[-1] + (not runs_on or self.lag_free_since is None))
        if not runs_on:
            self.saturated_since = dict.fromkeys(job.ids)
            self._flow, self._used = job.flow, [list(stage.use_s) for stage in stages]
        for i, (vertex, stage) in enumerate(zip(job.ids, stages, strict=True)):
            plant = stage.plant
            used = list(map(sub, stage.use_s, self._used[i]))
            busy = sum(map(mul, plant.cost_of, used))
            worked = self._worked[vertex]
            worked.append(worked[-1] + busy)
            utilization = (busy / plant.parallelism if self._promises.average else max(used)) / CELL_S
            if utilization < self._limit:
                self.saturated_since[vertex] = None
            elif self.saturated_since[vertex] is None:
                self.saturated_since[vertex] = job.now
            self._used[i] = list(stage.use_s)

    def _note_lag(self, job: SimJob) -> None:
        elapsed = (job.now - job.began) / 1000.0
        for source, lag in job.lag().items():
            if lag > LAG_S and lag > LAG_S * job.arrivals[source].rate(elapsed):
                self.lag_free_since = None
                return
        if self.lag_free_since is None:
            self.lag_free_since = job.now

    def needed(self, vertex: VertexId, at: Millis) -> float:
        """The fewest subtasks a vertex needed at an instant, less what a measurement may miss: for what it did at the
        target utilization, or for what arrived at a source at full load. 0 where nobody could tell."""
        busy = self._busy(vertex, at) / self._promises.utilization
        return NEEDED * max(busy, self._arrived(vertex, at))

    def _busy(self, vertex: VertexId, at: Millis) -> float:
        """The subtasks that were busy before an instant; 0 unless the job ran without lag for the window and its
        metrics were new then.

        How far back the samples of a pass go depends on those that failed before it: the least counts.
        """
        cells = [length // (CELL_S * 1000) for length in range(MINUTE, self._promises.window + 1, MINUTE)]
        until = (at - self._cluster.job.began) // (CELL_S * 1000)
        if until < cells[-1] or self._unsteady[until - cells[-1]] != self._unsteady[until]:
            return 0.0
        if self._fetched_at[min(until + 1, len(self._fetched_at) - 1)] < at - NEW_METRICS:
            return 0.0
        worked = self._worked[vertex]
        return min((worked[until] - worked[until - span]) / (span * CELL_S) for span in cells)

    def _arrived(self, vertex: VertexId, at: Millis) -> float:
        """The subtasks that could have read what arrived at a source within the window before an instant."""
        job = self._cluster.job
        if vertex not in job.arrivals:
            return 0.0
        until, window = (at - job.began) / 1000.0, self._promises.window / 1000.0
        arrived = job.arrivals[vertex].until(until) - job.arrivals[vertex].until(max(0.0, until - window))
        (spec,) = (each for each in job.vertices if each.id == vertex)
        return arrived / window / (self._cluster.scenario.job.records_per_slot * spec.speed)

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

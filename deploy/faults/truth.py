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
        if job.phase is not Phase.RUNNING or len(self._used) != len(job.flow.stages):
            self.saturated_since = dict.fromkeys(job.ids)
            self._used = [(stage, list(stage.use_s)) for stage in job.flow.stages]
            return
        for number, (vertex, stage) in enumerate(zip(job.ids, job.flow.stages, strict=True)):
            known, before = self._used[number]
            saturated = known is stage and self._utilization(stage, before) >= self._limit
            self.saturated_since[vertex] = (self.saturated_since[vertex] or job.now) if saturated else None
            self._used[number] = (stage, list(stage.use_s))

    @property
    def _limit(self) -> float:
        return min(1.0 - 1e-6, self._promises.upper_utilization + MARGIN)

    def _utilization(self, stage: Stage, before: list[float]) -> float:
        used = [(now - then) / CELL_S for now, then in zip(stage.use_s, before, strict=True)]
        if self._promises.average:
            return sum(c * u for c, u in zip(stage.plant.cost_of, used, strict=True)) / stage.plant.parallelism
        return max(used)

    def _note_lag(self, job: SimJob) -> None:
        elapsed = (job.now - job.began) / 1000.0
        lags = job.lag()
        free = all(lags[source] <= LAG_S * max(1.0, load.rate(elapsed)) for source, load in job.arrivals.items())
        if not free:
            self.lag_free_since = None
        elif self.lag_free_since is None:
            self.lag_free_since = job.now

    def note_room(self, now: Millis) -> None:
        """Take down how many slots there are or could be had now."""
        yarn, holder = self._cluster.yarn, self._cluster.job.holder
        fitting = sum(node.free_mb // yarn.task_manager_mb for node in yarn.nodes)
        fitting = min(fitting, max(0, yarn.queue_mb - yarn.used_mb) // yarn.task_manager_mb)
        slots = (len(holder.task_managers) + fitting) * yarn.spec.slots_per_task_manager
        self._room.append((now, slots))
        while self._room[0][0] < now - CAPACITY_FOR:
            self._room.popleft()

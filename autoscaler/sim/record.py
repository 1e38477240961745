"""What happened in a run, minute by minute, seen with the eyes of the simulation and not of the metrics."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from autoscaler.model import Bounds, Millis, VertexId
from autoscaler.sim.cluster import SimCluster
from autoscaler.sim.job import Change, Phase, SimJob
from autoscaler.sim.load import CELL_S

CELLS_A_MINUTE = 60 // CELL_S
SATURATED = 0.95
RATE_OVER_S = 600.0
TARGET_UTILIZATION = 0.7
OLD_AFTER: Millis = 120_000  # metrics as old as this are no ground to act on


@dataclass(frozen=True, slots=True)
class Minute:
    """The state at the end of a minute; ``least`` are the slots that carry its load at a utilization of 0.7."""

    at: Millis
    arriving: float
    lag: float
    time_lag_s: float
    running: bool
    parallelism: tuple[int, ...]
    held: int
    least: int


@dataclass(frozen=True, slots=True)
class Asked:
    """One PUT, with why, and what it broke."""

    at: Millis
    bounds: Mapping[VertexId, Bounds]
    broken: tuple[str, ...]


@dataclass(slots=True)
class Record:
    """A whole run. ``time_lags`` has one entry for each cell of 5 seconds."""

    minutes: list[Minute] = field(default_factory=list)
    time_lags: list[float] = field(default_factory=list)
    asked: list[Asked] = field(default_factory=list)
    changes: list[Change] = field(default_factory=list)
    down_cells: int = 0
    slot_ms: int = 0
    calls: int = 0


class Recorder:
    """Watches all jobs of a cluster. ``cap`` is the largest parallelism their settings allow a vertex."""

    def __init__(self, cluster: SimCluster, cap: Callable[[VertexId], int]) -> None:
        self._cluster = cluster
        self._watched = {job.number: _Watched(cluster, job, cap) for job in cluster.jobs}

    def asked(self, job: SimJob, bounds: Mapping[VertexId, Bounds]) -> None:
        """A job's requirements are about to change."""
        self._watched[job.number].asked(bounds)

    def finish(self, calls: int) -> Record:
        """What happened to all jobs together: of time lags the worst, of all else the sum."""
        each = [watched.record for watched in self._watched.values()]
        return Record(
            minutes=[_together(minutes) for minutes in zip(*(one.minutes for one in each), strict=True)],
            time_lags=[max(lags) for lags in zip(*(one.time_lags for one in each), strict=True)],
            asked=sorted((asked for one in each for asked in one.asked), key=lambda asked: asked.at),
            changes=sorted((change for job in self._cluster.jobs for change in job.changes), key=lambda c: c.up_at),
            down_cells=sum(one.down_cells for one in each),
            slot_ms=self._cluster.slot_ms,
            calls=calls,
        )


def _together(minutes: Sequence[Minute]) -> Minute:
    if len(minutes) == 1:
        return minutes[0]
    return Minute(
        at=minutes[0].at,
        arriving=sum(each.arriving for each in minutes),
        lag=sum(each.lag for each in minutes),
        time_lag_s=max(each.time_lag_s for each in minutes),
        running=all(each.running for each in minutes),
        parallelism=tuple(p for each in minutes for p in each.parallelism),
        held=minutes[0].held,
        least=sum(each.least for each in minutes),
    )


class _Watched:
    """One job."""

    def __init__(self, cluster: SimCluster, job: SimJob, cap: Callable[[VertexId], int]) -> None:
        self.record = Record()
        self._cluster, self._job, self._cap = cluster, job, cap
        self._floor = {v: max(1e-9, a.mean / 100) for v, a in job.arrivals.items()}
        job.watchers.append(self._cell)

    def asked(self, bounds: Mapping[VertexId, Bounds]) -> None:
        broken = tuple(self._broken(self._job, bounds))
        self.record.asked.append(Asked(self._cluster.now, dict(bounds), broken))

    def _cell(self, job: SimJob) -> None:
        record, elapsed = self.record, (job.now - job.began) / 1000.0
        time_lag = 0.0
        for source, records in job.lag().items():
            if records > 0:
                time_lag = max(time_lag, self._time_lag(job, source, records, elapsed))
        record.time_lags.append(time_lag)
        gone = job.phase is Phase.FINISHED
        record.down_cells += not (job.runs or gone)
        if len(record.time_lags) % CELLS_A_MINUTE:
            return
        rates = {
            v: 0.0 if gone else (a.until(elapsed) - a.until(elapsed - 60.0)) / 60.0 for v, a in job.arrivals.items()
        }
        each = self._cluster.yarn.spec.slots_per_task_manager
        record.minutes.append(
            Minute(
                at=job.now,
                arriving=sum(rates.values()),
                lag=sum(job.lag().values()),
                time_lag_s=time_lag,
                running=job.runs or gone,
                parallelism=tuple(0 if gone else p for p in job.parallelism.values()),
                held=len(job.holder.task_managers) * each,
                least=0 if gone else least_slots(job, rates),
            )
        )

    def _time_lag(self, job: SimJob, source: VertexId, records: float, elapsed: float) -> float:
        """How long the records wait: over the rate now or of late, so that it means something when nothing arrives."""
        arrivals = job.arrivals[source]
        past = max(0.0, elapsed - RATE_OVER_S)
        late = (arrivals.until(elapsed) - arrivals.until(past)) / RATE_OVER_S
        return records / max(arrivals.rate(elapsed), late, self._floor[source])

    def _broken(self, job: SimJob, bounds: Mapping[VertexId, Bounds]) -> list[str]:
        found = []
        elapsed = (job.now - job.began) / 1000.0
        demands = job.capacities.demands({v: a.rate(elapsed) for v, a in job.arrivals.items()})
        for i, vertex in enumerate(job.ids):
            wanted, present = bounds[vertex].upper, job.parallelism[vertex]
            if wanted < present and demands[vertex] >= SATURATED * job.flow.stages[i].plant.total:
                found.append("shrank a saturated vertex")
            if wanted > max(self._cap(vertex), present, job.requirements[vertex].upper):
                found.append("went over a cap")
        fetched = job.metrics.held(self._cluster.now)
        old = fetched is None or self._cluster.now - fetched.at > OLD_AFTER
        # To give up what did not come rests on no metrics.
        decided = any(b.upper not in (job.parallelism[v], job.requirements[v].upper) for v, b in bounds.items())
        if decided and (old or job.no_metrics or job.nan_busy):
            found.append("acted on stale or absent data")
        if job.phase is not Phase.RUNNING:
            found.append("changed something during a restart")
        return found


def least_slots(job: SimJob, rates: Mapping[VertexId, float]) -> int:
    """The slots that carry a load at a utilization of 0.7, were they there at once and for nothing."""
    demands = job.capacities.demands(rates)
    wanted = {v.id: job.capacities.smallest(v, demands[v.id] / TARGET_UTILIZATION) for v in job.vertices}
    return sum(max(wanted[v] for v in members) for members in job.groups.values())

"""One simulated job: its life from attempt to attempt, as Flink's adaptive scheduler of its version leads it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from autoscaler.model import Bounds, Millis, VertexId
from autoscaler.sim.capacities import Capacities
from autoscaler.sim.chance import Chance
from autoscaler.sim.checkpoints import Checkpoint, Checkpoints
from autoscaler.sim.flow import Flow, Stage
from autoscaler.sim.load import CELL, CELL_S, Arrivals, arrivals
from autoscaler.sim.meters import Fetched, Meter, MetricStore
from autoscaler.sim.pool import SlotPool
from autoscaler.sim.scenario import Scenario, ScenarioError, VertexSpec
from autoscaler.sim.slots import parallelism_with, slots_needed, used_by
from autoscaler.sim.yarn import Holder, TaskManager

CANCEL: Millis = 2_000  # tasks stop and the job waits for slots again
STABILIZATION: Millis = 10_000  # resource-stabilization-timeout, while slots are missing
COOLDOWN: Millis = 30_000  # scaling-interval.min, executing.cooldown-after-rescaling
STABILIZED_AFTER: Millis = 60_000  # executing.resource-stabilization-timeout, 2.0 and later
MOST_FAILED_CHECKPOINTS = 2
GIVE_UP_WAITING: Millis = 300_000  # resource-wait-timeout
WARM_FROM, WARM_AFTER_S = 0.6, 90.0
DOWNTIME_SIGMA = 0.35
SIZED_BY_S = 600.0
LATE_NAMES_S = (30.0, 60.0)  # after a start, until a Kafka reader has registered its lag
BUFFER_S = 0.2  # records a vertex can hold, in seconds of its capacity


class Phase(StrEnum):
    RUNNING = "running"
    STOPPING = "stopping"
    WAITING = "waiting for slots"
    RESTORING = "restoring"
    FAILED = "failed"
    FINISHED = "finished"


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """One restart of the job: why, and the parallelism before and after; ``slots`` are those used before."""

    at: Millis
    up_at: Millis
    why: str
    before: Mapping[VertexId, int]
    after: Mapping[VertexId, int]
    replayed: float
    slots: int

    @property
    def is_rescale(self) -> bool:
        return dict(self.before) != dict(self.after)


class SimJob:
    """Records flow while it runs; everything else happens at instants that the cluster's schedule calls.

    Times are epoch milliseconds; ``began`` is the start of the simulation, from which the load counts. Raises
    ScenarioError if there is no slot for it.
    """

    def __init__(self, scenario: Scenario, chance: Chance, pool: SlotPool, began: Millis, *, at_peak: bool) -> None:
        self.scenario, self.spec = scenario, scenario.job
        self.vertices = self.spec.vertices
        self.ids = tuple(vertex.id for vertex in self.vertices)
        self.groups: Mapping[str, Sequence[VertexId]] = _groups(self.vertices)
        self.arrivals: Mapping[VertexId, Arrivals] = {
            v.id: arrivals(v.load.shape, v.load.numbers, v.name, chance, scenario.hours * 3600)
            for v in self.vertices
            if v.load is not None
        }
        self._sources = [self.arrivals.get(v) for v in self.ids]
        self._source_places = [(i, v) for i, v in enumerate(self.ids) if v in self.arrivals]
        self.began = self.now = began
        self.version = scenario.version
        self.generation = 1  # of the job id
        self.attempt = 0
        self.restarts = 0
        self.phase = Phase.RUNNING
        self.changes: list[Change] = []
        self.capacities = Capacities(self.spec, chance)
        self.nan_busy: set[VertexId] = set()
        self.no_metrics = False
        self.checkpoints_fail = False
        self.watchers: list[Callable[[SimJob], None]] = []
        self.chance, self.pool, self.yarn = chance, pool, pool.yarn
        self._at = self.yarn.schedule
        self.metrics = MetricStore(self._fetch)
        self.initial = self._initial_parallelism(at_peak=at_peak)
        self.requirements: Mapping[VertexId, Bounds] = self._submitted()
        self.slots_on: Mapping[str, int] = {}
        self._changed_at = self.tasks_since = began
        self.parallelism: Mapping[VertexId, int] = {}
        pool.join(self, began)
        self.number = len(pool.jobs)  # in its application
        self._base = dict.fromkeys(self.arrivals, 0.0)  # records of each source read before this attempt
        self.checkpoints = self._first_checkpoints(began)
        self._stopped_at = began
        self._why = "started"
        self._before: Mapping[VertexId, int] = dict(self.initial)
        start = parallelism_with(self.slots, self.groups, self.requirements)
        if start is None:
            raise ScenarioError(f"job {self.spec.name}: the cluster has no slot left for it to start in; add nodes")
        self.parallelism = start
        self.running_since = began
        self._build(dict.fromkeys(self.arrivals, 0.0))
        self.lag_known_at = dict.fromkeys(self.arrivals, began)
        self._warm_from = began - round(WARM_AFTER_S * 1000)
        self._plan_checkpoint(began)
        if start != dict(self.initial):
            self._check(began)

    # -------------------------------------------------------------- what it is

    @property
    def holder(self) -> Holder:
        return self.pool.holder

    @property
    def slots(self) -> int:
        """Slots of the TaskManagers that have registered, but for those other jobs have."""
        return self.pool.slots_for(self)

    @property
    def needed(self) -> int:
        return 0 if self.ended else slots_needed(self.groups, self.requirements)

    @property
    def used(self) -> int:
        if self.phase not in (Phase.RUNNING, Phase.RESTORING) or not self.parallelism:
            return 0
        return used_by(self.groups, self.parallelism)

    @property
    def runs(self) -> bool:
        return self.phase is Phase.RUNNING

    @property
    def ended(self) -> bool:
        return self.phase in (Phase.FAILED, Phase.FINISHED)

    @property
    def settled_since(self) -> Millis:
        """Since when neither its requirements nor its tasks changed."""
        return max(self._changed_at, self.tasks_since)

    @property
    def packs(self) -> bool:
        said = self.yarn.spec.packs
        return self.version >= (1, 19) if said is None else said

    def lag(self) -> Mapping[VertexId, float]:
        """Records of each source that were not read yet."""
        stages = () if self.phase is Phase.FINISHED else self.flow.stages
        return {v: sum(stages[i].lag) for i, v in self._source_places if stages}

    def positions(self) -> Mapping[VertexId, float]:
        """Records each source has read, those it will read again not counted."""
        return {v: self._base[v] + self.flow.stages[self.ids.index(v)].records_in for v in self.arrivals}

    # -------------------------------------------------------------- time

    def flow_to(self, now: Millis) -> None:
        """Let records flow up to an instant, cell by cell."""
        while self.now < now:
            cell = (self.now - self.began) // CELL
            end = self.began + (cell + 1) * CELL
            to = min(end, now)
            seconds = (to - self.now) / 1000.0
            arriving = [0.0 if source is None else source.in_cell(cell) for source in self._sources]
            if self.phase is Phase.RUNNING:
                self.flow.step(seconds, arriving, self._warmth(self.now))
            elif self.phase is not Phase.FINISHED:
                self.flow.wait(seconds, arriving)
            self.now = to
            if to == end:
                self._end_cell()

    def _end_cell(self) -> None:
        if self.phase is Phase.RUNNING:
            at = (self.now - self.began) / 1000.0
            for meter in self.meters:
                meter.mark(at)
        for watcher in self.watchers:
            watcher(self)

    def _warmth(self, now: Millis) -> float:
        age = (now - self._warm_from) / 1000.0
        return 1.0 if age >= WARM_AFTER_S else WARM_FROM + (1.0 - WARM_FROM) * age / WARM_AFTER_S

    # -------------------------------------------------------------- requirements and rescales

    def put(self, requirements: Mapping[VertexId, Bounds], now: Millis) -> None:
        """New resource requirements, which were found valid."""
        if dict(requirements) == dict(self.requirements):
            return
        self.requirements = dict(requirements)
        self._changed_at = now
        self.pool.declare(self, now)
        self.slots_came(now)
        self.pool.plan_release(now)
        if self.version >= (2, 0):
            longest = (MOST_FAILED_CHECKPOINTS + 1) * self.spec.checkpoint_interval_s
            self._at(now + round(longest * 1000), lambda at: self._check(at, trigger=True))

    def _check(self, now: Millis, *, trigger: bool = False) -> None:
        """Rescale if the slots held allow another parallelism, when the version's rules say so."""
        if self.phase is not Phase.RUNNING:
            return
        target = self._possible()
        if target is None or dict(target) == dict(self.parallelism):
            return
        if self.version >= (1, 19) and now < self.running_since + COOLDOWN:
            self._in_attempt(self.running_since + COOLDOWN, lambda at: self._check(at, trigger=trigger))
            return
        if self.version >= (2, 0):
            waiting_since = max(self._changed_at, self.running_since + COOLDOWN)
            complete = self.slots >= self.needed
            if not (trigger and (complete or now >= waiting_since + STABILIZED_AFTER)):
                return
        self.stop(now, "rescale")

    def _possible(self) -> Mapping[VertexId, int] | None:
        return parallelism_with(self.slots, self.groups, self.requirements, lowest=self.version < (1, 19))

    def slots_came(self, now: Millis) -> None:
        """There may be more slots for it than before."""
        if self.phase is Phase.WAITING:
            self._try_start(now)
        else:
            self._check(now)

    def worker_lost(self, task_manager: TaskManager, now: Millis) -> None:
        if self.phase in (Phase.RUNNING, Phase.RESTORING) and task_manager.id in self.slots_on:
            self.stop(now, f"TaskManager {task_manager.id} was lost")

    def finish(self, now: Millis) -> None:
        """All its records are read."""
        if not self.ended:
            self._end(Phase.FINISHED, now)

    def _end(self, phase: Phase, now: Millis) -> None:
        """Its slots are left to the other jobs of its session, TaskManagers that nobody needs are given back."""
        self.attempt += 1
        self.phase = phase
        self.slots_on = {}
        self._changed_at = now
        self.pool.declare(self, now)
        self.pool.plan_release(now)

    # -------------------------------------------------------------- attempts

    def stop(self, now: Millis, why: str) -> None:
        """Cancel all tasks; the job starts again from its last completed checkpoint."""
        if self.phase not in (Phase.RUNNING, Phase.RESTORING):
            return
        if self.phase is Phase.RUNNING:  # a restart that fails while it restores is part of the same stop
            self._stopped_at, self._why, self._before = now, why, dict(self.parallelism)
            self._reread()
        self.phase = Phase.STOPPING
        self.attempt += 1
        self.restarts += 1
        self.checkpoints.fail(now, "Checkpoint Coordinator is suspending.")
        self._in_attempt(now + CANCEL, self._wait)

    def _reread(self) -> None:
        """Sources go back to where the last completed checkpoint has them; what was read since is lag again."""
        saved = self.checkpoints.completed.positions
        positions = self.positions()
        self._replayed = sum(positions[v] - saved[v] for v in self.arrivals)
        for i, vertex in enumerate(self.ids):
            if vertex in self.arrivals:
                stage = self.flow.stages[i]
                stage.take_lag(sum(stage.lag) + positions[vertex] - saved[vertex])
                stage.records_in = saved[vertex] - self._base[vertex]

    def _wait(self, now: Millis) -> None:
        self.phase = Phase.WAITING
        self._waiting_since = now
        self._in_attempt(now + GIVE_UP_WAITING, self._give_up)
        if self.version < (2, 0):  # at least so long for slots that are missing, with the job down
            self._in_attempt(now + STABILIZATION, lambda at: self._try_start(at, with_what_is_there=True))
        self._try_start(now, with_what_is_there=self.version >= (2, 0))

    def _give_up(self, now: Millis) -> None:
        if self.phase is Phase.WAITING:
            self._end(Phase.FAILED, now)

    def _try_start(self, now: Millis, *, with_what_is_there: bool = False) -> None:
        if self.phase is not Phase.WAITING:
            return
        patient = with_what_is_there or now - self._waiting_since >= STABILIZATION
        target = self._possible()
        if target is None or (self.slots < self.needed and not patient):
            return
        self.phase = Phase.RESTORING
        self.running_since = now
        takes = self.chance.lognormal(self.spec.downtime_s, DOWNTIME_SIGMA, "downtime", self.attempt)
        takes += self.spec.state_gb / self.spec.restore_gb_per_s
        lag = self.lag()
        saved = self.checkpoints.restore(now).positions
        self.parallelism = target
        self._base = dict(saved)
        self._build(lag)
        self.tasks_since = now + round(takes * 1000) - CANCEL if takes * 1000 > CANCEL else now
        self._in_attempt(self.tasks_since, self._run)

    def _run(self, now: Millis) -> None:
        self.phase = Phase.RUNNING
        self._warm_from = now
        began = (now - self.began) / 1000.0
        self.meters = [Meter(stage, began) for stage in self.flow.stages]
        for vertex in self.arrivals:
            late = self.chance.uniform(*LATE_NAMES_S, "names", vertex, self.attempt)
            self.lag_known_at[vertex] = now + round(late * 1000)
        self.changes.append(
            Change(
                at=self._stopped_at,
                up_at=now,
                why=self._why,
                before=self._before,
                after=dict(self.parallelism),
                replayed=self._replayed,
                slots=used_by(self.groups, self._before),
            )
        )
        self._plan_checkpoint(now)
        self.pool.plan_release(now)
        self._check(now)
        self.pool.freed(self, now)

    def _in_attempt(self, when: Millis, step: Callable[[Millis], None]) -> None:
        """At a time, unless the job was restarted meanwhile."""
        attempt = self.attempt
        self._at(when, lambda now: step(now) if attempt == self.attempt else None)

    def _build(self, lag: Mapping[VertexId, float]) -> None:
        """The stages of a new attempt, on the TaskManagers there are."""
        workers = self.pool.place(self, used_by(self.groups, self.parallelism))
        self._speeds = speeds = [worker.speed for worker in workers]
        self.slots_on = Counter(worker.id for worker in workers)
        stages, offset = [], self._slot_offsets()
        for vertex in self.vertices:
            p = self.parallelism[vertex.id]
            first = offset[vertex.group]
            plant = self.capacities.plant(vertex, p, speeds[first : first + p])
            room = BUFFER_S * self.spec.records_per_slot * vertex.speed * p
            stage = Stage(plant, self._inputs(vertex), self.capacities.sends(vertex), room)
            if vertex.id in lag:
                stage.take_lag(lag[vertex.id])
            stages.append(stage)
        self.flow = Flow(stages)
        began = (self.now - self.began) / 1000.0
        self.meters = [Meter(stage, began) for stage in stages]

    def _inputs(self, vertex: VertexSpec) -> tuple[tuple[int, float], ...]:
        return tuple((self.ids.index(v), sent) for v, sent in self.capacities.inputs(vertex).items())

    def _slot_offsets(self) -> Mapping[str, int]:
        found, offset = {}, 0
        for group, members in self.groups.items():
            found[group] = offset
            offset += max(self.parallelism[v] for v in members)
        return found

    def retune(self) -> None:
        """A fault changed skew or selectivity: the present attempt feels it too."""
        self.capacities.forget()
        speeds, offset = self._speeds, self._slot_offsets()
        for vertex, stage in zip(self.vertices, self.flow.stages, strict=True):
            stage.inputs = self._inputs(vertex)
            stage.selectivity = self.capacities.sends(vertex)
            if not vertex.is_source and self.used:
                first, p = offset[vertex.group], self.parallelism[vertex.id]
                stage.plant = self.capacities.plant(vertex, p, speeds[first : first + p])
                stage.capacity, stage.share = stage.plant.capacity, stage.plant.share

    # -------------------------------------------------------------- checkpoints

    def _first_checkpoints(self, now: Millis) -> Checkpoints:
        first = Checkpoint(id=1, triggered_at=now, positions=dict.fromkeys(self.arrivals, 0.0), completed_at=now)
        return Checkpoints(first)

    def _plan_checkpoint(self, now: Millis) -> None:
        self._in_attempt(now + round(self.spec.checkpoint_interval_s * 1000), self._trigger)

    def _trigger(self, now: Millis) -> None:
        if self.phase is Phase.RUNNING:
            self.checkpoints.trigger(now, self.positions())
            self._in_attempt(now + round(self.spec.checkpoint_duration_s * 1000), self._finish)
            self._plan_checkpoint(now)

    def _finish(self, now: Millis) -> None:
        if self.checkpoints_fail:
            self.checkpoints.fail(now, "Checkpoint expired before completing.")
            if self.checkpoints.failures_in_a_row >= MOST_FAILED_CHECKPOINTS:
                self._check(now, trigger=True)
            return
        self.checkpoints.complete(now)
        self._check(now, trigger=True)

    # -------------------------------------------------------------- the ApplicationMaster

    def restart_master(self, now: Millis) -> None:
        """Another attempt of the ApplicationMaster; without high availability nothing of the job survives it."""
        if self.phase is Phase.FINISHED:
            return
        self.stop(now, "the ApplicationMaster was restarted")
        self.metrics.forget()
        if not self.spec.high_availability:
            self.requirements = self._submitted()
            self.generation += 1

    def _submitted(self) -> Mapping[VertexId, Bounds]:
        return {v: Bounds(lower=1, upper=p) for v, p in self.initial.items()}

    def _initial_parallelism(self, *, at_peak: bool) -> Mapping[VertexId, int]:
        """As submitted: what the scenario says, else what the mean of the first minutes needs at 70 %."""
        if at_peak:
            rates = {v: max(a.rates) for v, a in self.arrivals.items()}
        elif self.spec.start_parallelism is not None:
            return {v.id: min(self.spec.start_parallelism, v.max_parallelism) for v in self.vertices}
        else:
            first = min(SIZED_BY_S, self.scenario.hours * 3600)
            rates = {v: a.until(first) / first for v, a in self.arrivals.items()}
        demands = self.capacities.demands(rates)
        return {v.id: self.capacities.smallest(v, demands[v.id] / 0.7) for v in self.vertices}

    # -------------------------------------------------------------- metrics

    def _fetch(self, now: Millis) -> Fetched | None:
        if self.phase is not Phase.RUNNING:
            return None
        seconds = (now - self.began) / 1000.0
        instant = int(seconds) // CELL_S
        return Fetched(
            at=now,
            attempt=self.attempt,
            running_since=self.running_since,
            vertices={
                vertex.id: meter.read(
                    seconds,
                    self.chance.normals(self.parallelism[vertex.id], vertex.id, instant),
                    self.spec.noise,
                )
                for vertex, meter in zip(self.vertices, self.meters, strict=True)
            },
        )


def _groups(vertices: Sequence[VertexSpec]) -> Mapping[str, Sequence[VertexId]]:
    groups: dict[str, list[VertexId]] = {}
    for vertex in vertices:
        groups.setdefault(vertex.group, []).append(vertex.id)
    return groups

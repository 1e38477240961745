"""One episode: a world in which something goes wrong at every step, then calm, then the verdict."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from time import process_time

from autoscaler.model import Bounds, JobKey, Millis
from autoscaler.sim.cluster import SimCluster
from autoscaler.sim.drive import BEGAN, CLUSTER, STORE_BYTES
from autoscaler.sim.edge import Edge
from autoscaler.sim.job import Phase
from autoscaler.sim.virtual import VirtualTime
from autoscaler.store import Store, open_store
from faults.observer import Observer, Violation
from faults.process import HostClock, Process
from faults.weather import CRASH_POINTS, EVENTS, Answer, Weather
from faults.world import World, world

STEP: Millis = 60_000
COLD_START = 0.3  # of a daemon's beginnings meet an application that does not answer
EVENTFUL = 0.12  # of steps bring more than a bad answer
LULL, STORM = (2, 6), (20, 60)  # minutes


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What came of one episode; ``faulty`` are the passes with a fault since the pass before."""

    seed: int
    hours: float
    passes: int
    faulty: int
    puts: int
    daemons: int
    cpu_s: float
    effects: Counter[str]
    hit: Counter[str]
    violations: tuple[Violation, ...]


def play(seed: int, hours: float) -> Outcome:
    """Play one episode; a pure function of its seed and length, but for ``cpu_s``."""
    began = process_time()
    with closing(open_store("sqlite://", STORE_BYTES, BEGAN).store) as store:
        episode = Episode(world(seed, hours), store)
        episode.run()
        return episode.outcome(process_time() - began)


class Episode:
    """Everything of one episode."""

    def __init__(self, world: World, store: Store) -> None:
        self._world = world
        self._store = store
        self._draw = random.Random(f"weather/{world.seed}")
        self._weather = Weather(draw=self._draw, favourite=CRASH_POINTS[world.seed % len(CRASH_POINTS)])
        self._cluster = SimCluster(world.scenario, world.seed, BEGAN)
        self._edge = Edge(self._cluster, world.scenario.settings)
        self._time = VirtualTime(BEGAN, self._cluster.advance)
        self._host = HostClock(self._time)
        self._processes: list[Process] = []
        self._senders: list[Process] = []
        key = JobKey(cluster=CLUSTER, application=f"{world.scenario.job.name}-app", job=world.scenario.job.name)
        self.observer = Observer(world, self._cluster, self._host, store, key, self._senders)
        self._edge.puts.append(lambda _, bounds: self.observer.asked(bounds))
        self._passes = self._faulty = self._daemons = 0
        self._seen = (0, 0, self._cluster.job.generation)
        self._until_lull = 0
        self._until_storm = 0
        self._bad_targets: set[tuple[tuple[str, int], ...]] = set()

    # -------------------------------------------------------------- the whole

    def run(self) -> None:
        self._weather.arm_crash()
        self._begin()
        stormy = BEGAN + self._world.stormy
        end = BEGAN + round(self._world.scenario.hours * 3_600_000)
        ends_early = self._world.seed % 16 == 7
        while self._time.now < stormy:
            self._step()
            self._time.run(self._time.now + STEP)
            self._count()
        self._weather.clear_up()
        if not self._alive:
            self._begin()
        self._time.run(end - 5 * STEP)
        self._count()
        before = self._passes
        if ends_early:
            self._cluster.job.phase = Phase.FAILED
            self._weather.calm = False
            self._weather.crashes = {self._draw.choice(("before mark_absent", "after mark_absent"))}
        self._time.run(end)
        self._count()
        ended = self._cluster.job.phase is Phase.FAILED
        self.observer.finish(self._processes, lambda: ended or self._passes > before)

    def outcome(self, cpu_s: float) -> Outcome:
        return Outcome(
            seed=self._world.seed,
            hours=self._world.scenario.hours,
            passes=self._passes,
            faulty=self._faulty,
            puts=len(self.observer.puts),
            daemons=self._daemons,
            cpu_s=round(cpu_s, 3),
            effects=self._weather.effects,
            hit=self._weather.hit,
            violations=tuple(self.observer.violations),
        )

    @property
    def _alive(self) -> list[Process]:
        return [process for process in self._processes if process.alive]

    def _count(self) -> None:
        """Passes since the step before count as faulty if something went wrong since, or still does."""
        passes = sum(process.passes for process in self._processes)
        generation = self._cluster.job.generation
        if generation != self._seen[2]:
            self.observer.changed_by_others()
        wrong = self._weather.effect_count != self._seen[1] or self._is_wrong()
        self._passes += passes - self._seen[0]
        self._faulty += (passes - self._seen[0]) * wrong
        self._seen = (passes, self._weather.effect_count, generation)

    def _is_wrong(self) -> bool:
        job, cluster = self._cluster.job, self._cluster
        stale = job.metrics.stale_until > cluster.now
        return bool(job.no_metrics or job.nan_busy or stale or job.checkpoints_fail or not cluster.rm_answers)

    # -------------------------------------------------------------- daemons

    def _begin(self) -> Process:
        known = {
            id(doubt): doubt for process in self._processes for doubt in process.doubts
        }  # each inherits the others'
        process = Process(
            self._host,
            self._edge,
            self._store,
            self._weather,
            [*known.values()],
            lambda _: self._again(),
            self._senders,
        )
        self._processes.append(process)
        self._daemons += 1
        if not self._weather.calm and self._draw.random() < COLD_START:
            self._weather.armed[Answer.CONFIG] = "error"
        process.start()
        return process

    def _again(self) -> None:
        """The service manager starts another daemon after a while."""
        wait = self._draw.choice((5_000, 30_000, 120_000))
        self._later(wait, lambda: None if self._alive else self._begin())

    def _later(self, wait: Millis, what: Callable[[], object]) -> None:
        name = f"later {self._draw.random()}"
        self._time.at(self._time.now + wait, lambda: (what(), None)[1], name=name)

    # -------------------------------------------------------------- one step

    def _step(self) -> None:
        """Something goes wrong, or for once nothing."""
        minute = (self._time.now - BEGAN) // STEP
        if minute >= self._until_lull and minute >= self._until_storm:
            self._until_lull = minute + self._draw.randint(*STORM)
            self._until_storm = self._until_lull + self._draw.randint(*LULL)
        self._suffer_bad_target()
        if minute >= self._until_lull:
            return
        self._weather.arm()
        if self._draw.random() < EVENTFUL:
            EVENT[self._draw.choice(EVENTS)](self)

    def _killed(self) -> None:
        self._weather.arm_crash()

    def _clock(self) -> None:
        self._weather.happened("clock jump")
        self._host.jump(self._draw.choice((-1, 1)) * self._draw.choice((1_000, 15_000, 90_000, 400_000)))

    def _store_errors(self) -> None:
        self._weather.store_fails_until = self._host.now() + self._draw.choice((1_000, 60_000, 240_000))

    def _second_daemon(self) -> None:
        if len(self._alive) == 1:
            self._weather.happened("second daemon")
            second = self._begin()
            self._later(self._draw.randint(3, 30) * STEP, lambda: second.die() if len(self._alive) > 1 else None)

    def _human(self) -> None:
        """Somebody asks for something by hand, as with curl."""
        job = self._cluster.job
        if job.phase is Phase.FAILED:
            return
        self._weather.happened("human")
        vertex = self._draw.choice(job.ids)
        bound = job.requirements[vertex]
        upper = max(1, min(self._world.promises.most, bound.upper + self._draw.choice((-3, -1, 1, 3))))
        self.observer.changed_by_others()
        job.put({**job.requirements, vertex: Bounds(lower=1, upper=upper)}, self._cluster.now)

    def _room_taken(self) -> None:
        """Another tenant takes all free room for a while, so that containers are never granted."""
        self._weather.happened("room taken")
        taken = [(node, node.free_mb) for node in self._cluster.yarn.nodes]
        for node, memory in taken:
            node.used_mb += memory

        def give_back() -> None:
            for node, memory in taken:
                node.used_mb -= memory
            self._cluster.yarn.settle(self._cluster.now)

        self._later(self._draw.randint(3, 25) * STEP, give_back)

    def _bad_target(self) -> None:
        """What the daemon asks for next does not run well: the job restarts again and again at it."""
        if self.observer.puts:
            self._bad_targets.add(tuple(sorted(self.observer.puts[-1].target.items())))

    def _suffer_bad_target(self) -> None:
        job = self._cluster.job
        if job.phase is Phase.RUNNING and tuple(sorted(job.parallelism.items())) in self._bad_targets:
            self._weather.happened("bad target")
            job.stop(self._cluster.now, "a task failed for want of network buffers")

    def _pause(self) -> None:
        """The daemon's machine stands still for a while."""
        self._weather.happened("pause")
        self._time.spend(self._draw.choice((10_000, 90_000)))


EVENT: dict[str, Callable[[Episode], None]] = {
    "killed": Episode._killed,
    "clock": Episode._clock,
    "store": Episode._store_errors,
    "second daemon": Episode._second_daemon,
    "human": Episode._human,
    "room taken": Episode._room_taken,
    "bad target": Episode._bad_target,
    "pause": Episode._pause,
}

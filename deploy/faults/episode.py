"""One episode: a world in which something goes wrong at every step, then calm, then the verdict."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from time import process_time

from autoscaler.model import Bounds, JobKey, Millis, VertexId
from autoscaler.sim.cluster import SimCluster
from autoscaler.sim.drive import BEGAN, CLUSTER
from autoscaler.sim.edge import Edge
from autoscaler.sim.job import Phase
from autoscaler.sim.virtual import VirtualTime
from autoscaler.sim.yarn import TaskManager
from faults.doubts import Doubt
from faults.masters import ADDRESSES, Masters
from faults.memory import Database
from faults.observer import Observer, Violation
from faults.process import HostClock, Process, Site
from faults.weather import CRASH_POINTS, DOUBTFUL, EVENTS, Answer, Moment, Weather
from faults.world import World, world

STEP: Millis = 60_000
COLD_START = 0.3  # of a daemon's beginnings meet an application that does not answer
EVENTFUL = 0.12  # of steps bring more than a bad answer
LULL, STORM = (2, 6), (20, 60)  # minutes
FLAPPING = 12  # of so many seeds one has a spell in which TaskManagers are lost time and again
LOSSES, LOSS_EVERY = 5, 7 * STEP
HARMED = 11  # the same for one in which a job does less after each growth, and its details are doubtful meanwhile
HARM, HARM_AFTER, HARM_LASTS = 3.0, 2, 10  # times the records, minutes
FREEZES: tuple[Millis, ...] = (3_000, 30_000, 240_000, 400_000)  # the longer ones outlast a lease


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
    episode = Episode(world(seed, hours))
    episode.run()
    return episode.outcome(process_time() - began)


class Episode:
    """Everything of one episode."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._draw = random.Random(f"weather/{world.seed}")
        self._weather = Weather(draw=self._draw, favourite=CRASH_POINTS[world.seed % len(CRASH_POINTS)])
        self._cluster = SimCluster(world.scenario, world.seed, BEGAN)
        edge = Edge(self._cluster, world.scenario.settings)
        self._time = VirtualTime(BEGAN, self._cluster.advance)
        self._host = HostClock(self._time)
        self._masters = Masters()
        self._processes: list[Process] = []
        database = Database()
        key = JobKey(cluster=CLUSTER, application=f"{world.scenario.job.name}-app", job=world.scenario.job.name)
        self.observer = Observer(world, self._cluster, self._host, database.store(), key, self._masters)
        edge.puts += [lambda _, bounds: self.observer.asked(bounds), self._asked]
        self._site = Site(
            host=self._host,
            edge=edge,
            weather=self._weather,
            masters=self._masters,
            leases=world.leases,
            store=lambda: database.opened(self._host.now),
            stored=self._stored_doubts,
            frozen=self._stands_still,
            ended=self._again,
            sender=self.observer.sender,
        )
        self._passes = self._faulty = self._daemons = 0
        self._seen = (0, self._cluster.job.generation)
        self._until_lull = 0
        self._until_storm = 0
        self._bad_targets: list[Mapping[VertexId, int]] = []
        self._next_is_bad = False
        self._is_harmed = False

    # -------------------------------------------------------------- the whole

    def run(self) -> None:
        self._weather.arm_crash()
        self._begin()
        if self._world.seed % FLAPPING == 5:
            self._plan_losses()
        stormy = BEGAN + self._world.stormy
        end = BEGAN + round(self._world.scenario.hours * 3_600_000)
        ends_early = self._world.seed % 16 == 7
        while self._time.now < stormy:
            self._step()
            self._time.run(self._time.now + STEP)
            self._count()
        self._weather.clear_up()
        if not self._is_served:
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
        passes = sum(process.count() for process in self._processes)
        generation = self._cluster.job.generation
        if generation != self._seen[1]:
            self.observer.changed_by_others()
        wrong = self._weather.effect_count != self._seen[0] or self._is_wrong()
        self._passes += passes
        self._faulty += passes * wrong
        self._seen = (self._weather.effect_count, generation)

    def _is_wrong(self) -> bool:
        job, cluster = self._cluster.job, self._cluster
        stale = job.metrics.stale_until > cluster.now
        return bool(job.no_metrics or job.nan_busy or stale or job.checkpoints_fail or not cluster.rm_answers)

    # -------------------------------------------------------------- daemons

    @property
    def _is_served(self) -> bool:
        """Whether a daemon lives that may act, now or as soon as the fail-over under way has ended."""
        return any(self._may_act(process) for process in self._alive)

    def _may_act(self, process: Process) -> bool:
        return process.address == self._masters.chosen or not self._world.leases

    def _stored_doubts(self) -> list[Doubt]:
        known = {id(doubt): doubt for process in self._processes for doubt in process.doubts if doubt.stored}
        return [*known.values()]

    def _begin(self, address: str = "") -> None:
        process = Process(self._site, address or self._masters.chosen)
        self._processes.append(process)
        self._daemons += 1
        if not self._weather.calm and self._draw.random() < COLD_START:
            self._weather.armed[Answer.CONFIG] = "error"
        process.start()

    def _again(self) -> None:
        """The service manager starts another daemon after a while."""
        wait = self._draw.choice((5_000, 30_000, 120_000))
        self._later(wait, lambda: None if self._is_served else self._begin())

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
        """For a while there are two: beside one ResourceManager each, or, where leases do not count, both acting."""
        if len(self._alive) != 1:
            return
        self._weather.happened("second daemon")
        first, before = self._alive[0], len(self._processes)
        (other,) = (address for address in ADDRESSES if address != first.address)
        self._begin(other)
        self._later(self._draw.randint(3, 15) * STEP, lambda: self._leave_one(self._processes[before:]))
        if self._world.leases:
            self._weather.freeze = (self._draw.choice(tuple(Moment)), self._draw.choice(FREEZES))

    def _leave_one(self, later: list[Process]) -> None:
        """Of two daemons the one that may not act ends, or one that came later."""
        alive = self._alive
        idle = [process for process in alive if not self._may_act(process)] or [each for each in later if each.alive]
        if len(alive) > 1:
            idle[0].die()

    def _stands_still(self) -> None:
        """The daemon that was about to send is frozen; meanwhile the other master may take over."""
        if self._draw.random() < 0.7:
            self._fail_over()

    def _fail_over(self) -> None:
        """The other ResourceManager becomes the active one, after a while without any."""
        if self._masters.active is None:
            return
        self._weather.happened("fail-over")
        self._masters.step_down(self._time.now)
        self._later(self._draw.choice((1_000, 10_000, 40_000)), self._taken_over)

    def _taken_over(self) -> None:
        self._masters.take_over(self._time.now)
        if not self._is_served:
            self._begin()

    def _human(self) -> None:
        """Somebody asks for something by hand, as with curl."""
        job = self._cluster.job
        if job.phase is Phase.FAILED:
            return
        self._weather.happened("human")
        vertex = self._draw.choice(job.ids)
        bound = job.requirements[vertex]
        upper = max(1, min(self._world.promises.most, bound.upper + self._draw.choice((-3, -1, 1, 3))))
        changed = {vertex: Bounds(lower=1, upper=upper)}
        self.observer.changed_by_others(changed)
        job.put({**job.requirements, **changed}, self._cluster.now)

    def _room_taken(self) -> None:
        """Another tenant takes all free room for a while, so that containers are never granted."""
        self._weather.happened("room taken")
        give_back = self._take_room()
        self._later(self._draw.randint(3, 25) * STEP, give_back)

    def _take_room(self, of: TaskManager | None = None) -> Callable[[], None]:
        """Take what is free, and what a TaskManager is about to leave; return how to give it back."""
        taken = [(node, node.free_mb) for node in self._cluster.yarn.nodes]
        if of is not None:
            taken.append((of.node, self._cluster.yarn.task_manager_mb))
        for node, memory in taken:
            node.used_mb += memory

        def give_back() -> None:
            for node, memory in taken:
                node.used_mb -= memory
            self._cluster.yarn.settle(self._cluster.now)

        return give_back

    def _plan_losses(self) -> None:
        """Have the job's parallelism change time and again without anybody having asked for it."""
        latest = max(2 * STEP, self._world.stormy - LOSSES * LOSS_EVERY)
        first = BEGAN + random.Random(f"losses/{self._world.seed}").randrange(STEP, latest)
        for number in range(LOSSES):
            self._time.at(first + number * LOSS_EVERY, self._lose_worker, name=f"loss {number}")

    def _lose_worker(self) -> None:
        """A TaskManager is lost, and for a while there is no room for another."""
        yarn, holder = self._cluster.yarn, self._cluster.pool.holder
        if self._weather.calm or not holder.registered:
            return
        self._weather.happened("TaskManager lost, no room")
        lost = holder.registered[0]
        give_back = self._take_room(lost)
        yarn.release(holder, lost, self._time.now, lost=True)
        self._time.at(self._time.now + LOSS_EVERY // 2, give_back, name="room after a loss")

    def _plan_harm(self) -> None:
        """Have the job do less for a while, which looks like the change's doing, and tell of it what is doubtful."""
        self._is_harmed = True
        draw, began = random.Random(f"harm/{self._world.seed}/{self._time.now}"), self._time.now + HARM_AFTER * STEP
        self._time.at(began, lambda: self._send_more(HARM), name="harm begins")
        for minute in range(HARM_LASTS):
            if draw.random() < 0.6:
                self._time.at(began + minute * STEP, lambda: self._doubt(draw), name=f"harm doubtful {minute}")
        self._time.at(began + HARM_LASTS * STEP, self._harm_ends, name="harm ends")

    def _harm_ends(self) -> None:
        self._send_more(1 / HARM)
        self._is_harmed = False

    def _send_more(self, factor: float) -> None:
        """From here on the sources send so many times the records for each that they read."""
        self._weather.happened("harm")
        job = self._cluster.job
        for source in job.arrivals:
            job.capacities.send_factor[source] *= factor
        job.retune()

    def _doubt(self, draw: random.Random) -> None:
        if not self._weather.calm:
            self._weather.armed[Answer.JOB] = draw.choice(DOUBTFUL)

    def _bad_target(self) -> None:
        """What the daemon asks for next does not run well: the job restarts again and again at it."""
        self._next_is_bad = True

    def _asked(self, _job: object, _bounds: object) -> None:
        """Of what was asked for just now the target is bad, or whatever gives one of the grown vertices as much."""
        put = self.observer.puts[-1]
        grown = sorted(vertex for vertex, upper in put.target.items() if upper > put.present.get(vertex, upper))
        if self._world.seed % FLAPPING == HARMED and put.scales and grown and not self._is_harmed:
            self._plan_harm()
        if not self._next_is_bad or not put.scales:
            return
        self._next_is_bad = False
        far = {self._draw.choice(grown): 0} if grown and self._draw.random() < 0.5 else put.target
        self._bad_targets = [*self._bad_targets[-3:], {vertex: put.target[vertex] for vertex in far}]

    def _suffer_bad_target(self) -> None:
        job = self._cluster.job
        present = job.parallelism
        if job.phase is Phase.RUNNING and any(_is_bad(present, target) for target in self._bad_targets):
            self._weather.happened("bad target")
            job.stop(self._cluster.now, "a task failed for want of network buffers")

    def _pause(self) -> None:
        """The daemon's machine stands still for a while."""
        self._weather.happened("pause")
        self._time.spend(self._draw.choice((10_000, 90_000)))


def _is_bad(present: Mapping[VertexId, int], target: Mapping[VertexId, int]) -> bool:
    """Whether a job runs at a target, or, where that is of one vertex, beyond it."""
    if len(target) < len(present):
        return all(present[vertex] >= most for vertex, most in target.items())
    return dict(present) == dict(target)


EVENT: dict[str, Callable[[Episode], None]] = {
    "killed": Episode._killed,
    "clock": Episode._clock,
    "store": Episode._store_errors,
    "second daemon": Episode._second_daemon,
    "fail-over": Episode._fail_over,
    "human": Episode._human,
    "room taken": Episode._room_taken,
    "bad target": Episode._bad_target,
    "pause": Episode._pause,
}

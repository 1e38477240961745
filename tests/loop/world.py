"""A small world in virtual time: a clock, a scheduler, a ResourceManager and Flink jobs that behave as scripted."""

from __future__ import annotations

import heapq
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, cast

from autoscaler.cluster import (
    Aggregate,
    Application,
    Checkpoints,
    ClusterConfig,
    ClusterError,
    Gone,
    JobDetails,
    JobOverview,
    Node,
    Objection,
    Own,
    PutAnswer,
    PutResult,
    Queue,
    TaskManager,
    TaskManagers,
    VertexCounters,
    YarnScheduler,
)
from autoscaler.cluster import Memory as TaskManagerMemory
from autoscaler.loop import Environment, Fleet, Lane, Leadership, Memory, Orders, Wire, lease_time
from autoscaler.model import (
    Bounds,
    Input,
    JobKey,
    JobStatus,
    Millis,
    Request,
    Resource,
    Topology,
    Vertex,
    VertexId,
)
from autoscaler.options import Layer, profile_layer
from autoscaler.store import Store, StoreUnavailable, open_store
from autoscaler.telemetry import Counters, Journal

T0: Millis = 1_767_225_600_000  # 2026-01-01T00:00:00Z
SOURCE, WORKER = "a" * 32, "b" * 32
ADAPTIVE = {
    "job.autoscaler.enabled": "true",
    "jobmanager.scheduler": "adaptive",
    "job.autoscaler.decision.interval": "10 s",
    "job.autoscaler.metrics.window": "60 s",
    "job.autoscaler.stabilization.interval": "20 s",
    "job.autoscaler.scale-up.grace-period": "0 s",
    "job.autoscaler.restart.time": "10 s",
    "job.autoscaler.catch-up.duration": "5 min",
    "job.autoscaler.yarn.rescale-timeout": "10 min",
}
# What follows a rescale, and how often one may come: off here, so that a test has on only what it is about.
UNPACED = {
    "job.autoscaler.yarn.back-off": "0 s",
    "job.autoscaler.yarn.rescale-gap.up": "0 s",
    "job.autoscaler.yarn.rescale-gap.down": "0 s",
    "job.autoscaler.yarn.rescale-budget": "0",
    "job.autoscaler.yarn.checkpoint-wait.max": "0 s",
    "job.autoscaler.yarn.probation": "0 s",
    "job.autoscaler.yarn.external-change.hold": "0 s",
    "job.autoscaler.yarn.restore-requirements": "false",
}
ADAPTIVE |= UNPACED


class VirtualTime:
    """A clock and a scheduler in one: time passes only from one step to the next."""

    def __init__(self, now: Millis = T0) -> None:
        self.now = now
        self.lanes: list[tuple[str, Lane]] = []
        self._steps: list[tuple[Millis, int, str, Callable[[], None]]] = []
        self._latest: dict[str, int] = {}
        self._count = 0

    def clock(self) -> Millis:
        return self.now

    def at(self, when: Millis, step: Callable[[], None], *, name: str, lane: Lane = Lane.WORKERS) -> None:
        self._count += 1
        self._latest[name] = self._count
        self.lanes.append((name, lane))
        heapq.heappush(self._steps, (when, self._count, name, step))

    def next_at(self) -> Millis | None:
        """When the next step is due."""
        return self._steps[0][0] if self._steps else None

    def taken(self, part: str) -> Callable[[], None]:
        """The next step whose name holds a text, for a test to run in a thread of its own."""
        entry = min(entry for entry in self._steps if part in entry[2] and self._latest[entry[2]] == entry[1])
        self._steps.remove(entry)
        heapq.heapify(self._steps)
        return entry[3]

    def run(self, until: Millis) -> None:
        """Run every step due up to a time, in order."""
        while self._steps and self._steps[0][0] <= until:
            when, count, name, step = heapq.heappop(self._steps)
            if self._latest.get(name) == count:
                self.now = max(self.now, when)
                step()
        self.now = until


@dataclass
class FakeJob:
    """A Kafka source feeding one worker by key at a constant rate; a worker subtask is worth ``per_subtask`` records/s.

    ``restart_ms`` is how long a rescale takes once slots are there, ``slots`` how many the cluster gives.
    """

    clock: Callable[[], Millis]
    id: str = "1" * 32
    name: str = "orders"
    rate: float = 400.0
    per_subtask: float = 500.0
    slots: int = 1_000
    held_slots: int = 0  # TaskManagers' slots beyond those it uses
    delay_ms: Millis = 0  # from a PUT to the restart
    fails_at: int | None = None  # the worker's parallelism at which it dies as soon as it is started
    due: tuple[Millis, dict[VertexId, int]] | None = None
    restart_ms: Millis = 3_000
    parallelism: dict[VertexId, int] = field(default_factory=lambda: {SOURCE: 1, WORKER: 1})
    wanted: dict[VertexId, Bounds] = field(
        default_factory=lambda: {SOURCE: Bounds(lower=1, upper=1), WORKER: Bounds(lower=1, upper=1)}
    )
    lag: float = 0.0
    running_since: Millis = 0
    checkpoint_interval: Millis | None = 10_000
    checkpoints: Checkpoints = field(
        default_factory=lambda: Checkpoints(completed=1, completed_id=1, triggers={1: T0}, restored_id=None)
    )
    kind: str = "STREAMING"
    present: bool = True
    state: str = "RUNNING"
    finished: tuple[VertexId, ...] = ()
    changes: dict[str, Any] = field(default_factory=dict)
    spoil: Callable[[VertexId, dict[str, Aggregate]], dict[str, Aggregate]] = lambda _, metrics: metrics
    busy_until: Millis = 0
    records: float = 0.0
    seen_at: Millis = 0
    put_answer: PutAnswer | None = None
    puts: list[dict[VertexId, Bounds]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.running_since = self.running_since or self.clock() - 600_000
        self.seen_at = self.clock()

    @property
    def capacity(self) -> float:
        return self.per_subtask * self.parallelism[WORKER]

    @property
    def running(self) -> bool:
        return self.clock() >= self.busy_until

    def advance(self) -> None:
        """Let the load since the last look flow."""
        now = self.clock()
        start = max(self.seen_at, self.running_since)
        seconds = max(0, now - start) / 1000
        done = min(self.rate * seconds + self.lag, self.capacity * seconds)
        self.lag += self.rate * (now - self.seen_at) / 1000 - done
        self.records += done
        self.seen_at = now

    def put(self, bounds: Mapping[VertexId, Bounds]) -> PutAnswer:
        self.puts.append(dict(bounds))
        if self.put_answer is not None and self.put_answer.result is not PutResult.UNCERTAIN:
            return self.put_answer
        self.advance()
        self.wanted = dict(bounds)
        given = {vertex: min(bound.upper, self.slots) for vertex, bound in bounds.items()}
        self.due = (self.clock() + self.delay_ms, given)
        self.catch_up()
        return self.put_answer or PutAnswer(result=PutResult.ACCEPTED, status=200, message="")

    def catch_up(self) -> None:
        """Let what was asked for and what fails take effect by now."""
        now = self.clock()
        if self.due is not None and now >= self.due[0]:
            at, given = self.due
            self.due = None
            if given != self.parallelism:
                self.parallelism = given
                self.running_since = self.busy_until = at + self.restart_ms
                self.records = 0.0
        elif self.fails_at == self.parallelism[WORKER] and now >= self.busy_until:
            self.running_since = self.busy_until = now + self.restart_ms

    def grant(self) -> None:
        """Let slots that came since take effect."""
        self.advance()
        self.due = (self.clock(), {vertex: min(bound.upper, self.slots) for vertex, bound in self.wanted.items()})
        self.catch_up()

    def rescale(self, **to: int) -> None:
        """Let the parallelism change without a request, as when a TaskManager is lost."""
        self.advance()
        self.due = (self.clock(), self.parallelism | to)
        self.catch_up()

    def overview(self) -> JobOverview:
        self.catch_up()
        total = sum(self.parallelism.values())
        return JobOverview(
            id=self.id,
            name=self.name,
            state=self.state if self.running else "RESTARTING",
            start_time=T0,
            running=total if self.running else 0,
            finished=0,
            total=total,
        )

    def details(self) -> JobDetails:
        self.advance()
        vertices = (
            Vertex(
                id=SOURCE,
                name="Source: orders",
                parallelism=self.parallelism[SOURCE],
                max_parallelism=128,
                finished=SOURCE in self.finished,
            ),
            Vertex(
                id=WORKER,
                name="enrich",
                parallelism=self.parallelism[WORKER],
                max_parallelism=128,
                inputs=(Input(id=SOURCE, ship_strategy="HASH"),),
                finished=WORKER in self.finished,
            ),
        )
        details = JobDetails(
            id=self.id,
            name=self.name,
            state="RUNNING",
            kind=self.kind,
            scheduler=None,
            start_time=T0,
            running_since=self.running_since,
            now=self.clock(),
            sparse=False,
            topology=Topology(vertices=vertices),
            counters={v.id: self._counters(v) for v in vertices},
        )
        return replace(details, **self.changes)

    def _counters(self, vertex: Vertex) -> VertexCounters:
        busy = self.busy(vertex.id)
        duration = max(1, self.clock() - self.running_since)
        return VertexCounters(
            status="RUNNING",
            parallelism=vertex.parallelism,
            duration=duration,
            tasks={"RUNNING": vertex.parallelism},
            read_records=0.0 if vertex.id == SOURCE else self.records,
            write_records=self.records if vertex.id == SOURCE else 0.0,
            busy_ms=busy * duration * vertex.parallelism,
            idle_ms=0.0,
            back_pressured_ms=0.0,
        )

    def busy(self, vertex: VertexId) -> float:
        return 0.1 if vertex == SOURCE else min(1.0, self.rate / self.capacity if self.lag < 1 else 1.0)

    def metrics(self, vertex: VertexId) -> dict[str, Aggregate]:
        parallelism = self.parallelism[vertex]
        through = min(self.rate, self.capacity)
        busy = self.busy(vertex) * 1000
        found = {"busyTimeMsPerSecond": Aggregate(max=busy, min=busy, avg=busy, sum=busy * parallelism)}
        if vertex == SOURCE:
            found |= {
                "Source__orders.pendingRecords": Aggregate(sum=self.lag),
                "Source__orders.numRecordsIn": Aggregate(sum=self.records),
                "Source__orders.numRecordsInPerSecond": Aggregate(sum=through),
                "backPressuredTimeMsPerSecond": Aggregate(avg=0.0, sum=0.0),
            }
        else:
            found["numRecordsInPerSecond"] = Aggregate(sum=through)
        return self.spoil(vertex, found)


class FakeFlink:
    """One application's Flink.

    ``fail`` is raised by every call while it is set, ``broken`` by the calls it names; ``log`` is when which was made.
    """

    def __init__(self, jobs: list[FakeJob], config: Mapping[str, str] = ADAPTIVE, version: str = "1.20.0") -> None:
        self.jobs_there = jobs
        self.config = dict(config)
        self.version = version
        self.parameters: dict[str, dict[str, str]] = {}
        self.fail: Exception | None = None
        self.broken: dict[str, Exception] = {}
        self.clock: Callable[[], Millis] = lambda: T0
        self.fetches_every: Millis = 0  # how long what was fetched of jobs and metrics is told; 0 fetches each time
        self._fetched: tuple[Millis, dict[str, JobDetails], dict[tuple[str, VertexId], dict[str, Aggregate]]] | None
        self._fetched = None
        self.log: list[tuple[Millis, str]] = []
        self.patience: list[float | None] = []  # the time each poke was given
        self.managers: tuple[TaskManager, ...] | None = None  # one of one slot for each that is used, unless set

    @property
    def calls(self) -> list[str]:
        return [what for _, what in self.log]

    def times(self, what: str) -> list[Millis]:
        """When a call was made."""
        return [at for at, call in self.log if call == what]

    def _called(self, what: str) -> None:
        self.log.append((self.clock(), what))
        trouble = self.fail or self.broken.get(what)
        if trouble is not None:
            raise trouble

    def _job(self, job_id: str) -> FakeJob:
        for job in self.jobs_there:
            if job.id == job_id and job.present:
                return job
        raise Gone(f"job {job_id} not found")

    def cluster_config(self, timeout_s: float | None) -> ClusterConfig:
        self._called("config")
        return ClusterConfig(flink_version=self.version, adaptive=True, session=False)

    def configuration(self) -> Mapping[str, str]:
        self._called("jobmanager/config")
        return self.config

    def jobs(self) -> tuple[JobOverview, ...]:
        self._called("overview")
        return tuple(job.overview() for job in self.jobs_there if job.present)

    def job_parameters(self, job_id: str) -> Mapping[str, str]:
        self._called("job config")
        return self.parameters.get(job_id, {})

    def poke(self, timeout_s: float | None) -> None:
        self.patience.append(timeout_s)
        self._called("poke")
        self._fetch()

    def _fetch(self) -> None:
        """Fetch from TaskManagers, unless that was done not long ago."""
        now = self.clock()
        if self.fetches_every and (self._fetched is None or now - self._fetched[0] > self.fetches_every):
            jobs = {job.id: job.details() for job in self.jobs_there if job.present}
            metrics = {
                (job.id, vertex): job.metrics(vertex)
                for job in self.jobs_there
                if job.present
                for vertex in job.parallelism
            }
            self._fetched = (now, jobs, metrics)

    def job(self, job_id: str) -> JobDetails:
        self._called("job")
        present = self._job(job_id).details()
        if not self.fetches_every:
            return present
        told = self._fetched[1].get(job_id) if self._fetched else None
        self._fetch()
        return replace(present, counters=told.counters) if told is not None else present

    def metric_names(self, job_id: str, vertex_id: VertexId) -> tuple[str, ...]:
        self._called("names")
        return tuple(self._job(job_id).metrics(vertex_id))

    def metrics(
        self, job_id: str, vertex_id: VertexId, names: tuple[str, ...], agg: str
    ) -> Mapping[str, Aggregate] | None:
        self._called("metrics")
        told = self._fetched[2].get((job_id, vertex_id)) if self._fetched and self.fetches_every else None
        found = told or self._job(job_id).metrics(vertex_id)
        return {name: found[name] for name in names} if all(name in found for name in names) else None

    def checkpoints(self, job_id: str) -> Checkpoints:
        self._called("checkpoints")
        return self._job(job_id).checkpoints

    def checkpoint_interval_ms(self, job_id: str) -> Millis | None:
        self._called("checkpoints/config")
        return self._job(job_id).checkpoint_interval

    def requirements(self, job_id: str) -> Mapping[VertexId, Bounds]:
        self._called("requirements")
        return dict(self._job(job_id).wanted)

    def put_requirements(
        self, job_id: str, bounds: Mapping[VertexId, Bounds], timeout_s: float, objection: Objection
    ) -> PutAnswer:
        said = objection()
        if said is not None:
            return PutAnswer(result=PutResult.WITHDRAWN, status=None, message=said)
        self._called("PUT")
        return self._job(job_id).put(bounds)

    def task_managers(self) -> TaskManagers:
        self._called("task managers")
        used = sum(max(job.parallelism.values()) for job in self.jobs_there if job.present)
        slots = sum(max(*job.parallelism.values(), job.held_slots) for job in self.jobs_there if job.present)
        each = int(self.config.get("taskmanager.numberOfTaskSlots", "1"))
        return TaskManagers(count=-(-slots // each), slots_total=slots, slots_available=slots - used)

    def task_manager_list(self) -> tuple[TaskManager, ...]:
        self._called("task manager list")
        if self.managers is not None:
            return self.managers
        slots = sum(max(job.parallelism.values()) for job in self.jobs_there if job.present)
        return tuple(
            TaskManager(id=f"container_{n}", host="node-1", slots=1, free_slots=0, process_memory=1 << 30)
            for n in range(slots)
        )

    def memory(self) -> TaskManagerMemory:
        self._called("memory")
        return TaskManagerMemory(gc_pressure=0.0, heap_usage=0.5)


def a_node(host: str, free_gb: int = 100, state: str = "RUNNING", total_gb: int = 100) -> Node:
    """A node with so much memory, in containers of 1 GB."""
    return Node(
        host=host,
        state=state,
        free=Resource(memory_mb=free_gb * 1024, vcores=64),
        total=Resource(memory_mb=total_gb * 1024, vcores=64),
    )


class FakeYarn:
    """A ResourceManager: ``running`` are listed, ``ended`` are only found by id; ``fail`` is raised while set."""

    def __init__(self) -> None:
        self.running: dict[str, Application] = {}
        self.ended: dict[str, Application] = {}
        self.fail: ClusterError | None = None
        self.unwanted: set[str] = set()
        self.asked = 0
        self.nodes_there: tuple[Node, ...] | ClusterError = (a_node("node-1"),)
        self.queues: YarnScheduler | ClusterError = YarnScheduler(
            kind="capacityScheduler", queues=(Queue(path="root"), Queue(path="root.default", unit=1024))
        )
        self.surveys: list[str] = []  # what was asked about nodes and queues
        self.active: str | None = "rm"

    def applications(self) -> tuple[Application, ...]:
        self.asked += 1
        if self.fail is not None:
            raise self.fail
        return tuple(a for a in self.running.values() if a.state == "RUNNING" and self.admits(a))

    def ha_state(self, address: str, timeout_s: float | None = None) -> str:
        if self.fail is not None:
            raise self.fail
        return "ACTIVE" if address == self.active else "STANDBY"

    def admits(self, application: Application) -> bool:
        return application.id not in self.unwanted

    def nodes(self, *states: str) -> tuple[Node, ...]:
        self.surveys.append(f"nodes {','.join(states)}".strip())
        if isinstance(self.nodes_there, ClusterError):
            raise self.nodes_there
        return tuple(node for node in self.nodes_there if not states or node.state in states)

    def scheduler(self) -> YarnScheduler:
        self.surveys.append("scheduler")
        if isinstance(self.queues, ClusterError):
            raise self.queues
        return self.queues

    def application(self, application_id: str) -> Application | None:
        if self.fail is not None:
            raise self.fail
        return self.running.get(application_id) or self.ended.get(application_id)


class FragileStore:
    """A store that fails on demand, in all it does or in the ``failing`` calls alone."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self.fail: StoreUnavailable | None = None
        self.failing: set[str] = set()

    def __getattr__(self, name: str) -> Any:
        found = getattr(self.store, name)
        if not callable(found):
            return found

        def call(*arguments: Any) -> Any:
            if self.fail is not None:
                raise self.fail
            if name in self.failing:
                raise StoreUnavailable(f"{name} failed")
            return found(*arguments)

        return call


class World:
    """Everything around a fleet, put together."""

    def __init__(self, *, act: bool = True, memory: Memory | None = None) -> None:
        self.time = VirtualTime()
        self.yarn = FakeYarn()
        self.flinks: dict[str, FakeFlink] = {}
        self.store = open_store("sqlite://", 1 << 30, T0).store
        self.fragile = FragileStore(self.store)
        self.memory = memory or cast("Memory", self.fragile)
        self.counters = Counters()
        self.wire = Wire()
        self.journal = Journal()
        self.above: list[Layer] = []
        self.orders = Orders(
            cluster="test",
            act=act,
            profile="emr",
            below=lambda: (profile_layer("emr"),),
            above=lambda _application, _job: tuple(self.above),
            spread=False,
        )
        self.fleet = self.new_fleet()

    def new_fleet(self) -> Fleet:
        """A daemon started anew: nothing is known but what the store holds."""
        self.environment = Environment(
            yarn=self.yarn,
            connect=lambda application: self.flinks[application.id],
            memory=self.memory,
            scheduler=self.time,
            clock=self.time.clock,
            journal=self.journal,
            counters=self.counters,
            wire=self.wire,
            leadership=Leadership(
                holder="daemon",
                cluster="test",
                own=lambda: Own(addresses=("rm",)),
                managers=self.yarn,
                leases=self.memory,
                lease_time=lambda: lease_time(30_000),
                clock=self.time.clock,
                uptime=self.time.clock,
                journal=self.journal,
            ),
        )
        return Fleet(self.environment, self.orders, 30_000)

    def add(self, flink: FakeFlink, number: int = 1, name: str = "orders-app") -> Application:
        application = Application(
            id=f"application_1767225600000_{number:04d}",
            name=name,
            user="hadoop",
            queue="root.default",
            state="RUNNING",
            tracking_url=f"http://proxy:20888/proxy/application_1767225600000_{number:04d}/",
            running_containers=2,
            am_address="host:1",
        )
        self.yarn.running[application.id] = application
        self.flinks[application.id] = flink
        flink.clock = self.time.clock
        return application

    def add_job(self, config: Mapping[str, str] = ADAPTIVE, version: str = "1.20.0", **traits: Any) -> FakeJob:
        """One application with one job, ours unless its configuration says otherwise."""
        job = FakeJob(clock=self.time.clock, **traits)
        number = len(self.flinks) + 1
        self.add(FakeFlink([job], config, version), number, "orders-app" if number == 1 else f"app-{number}")
        return job

    @property
    def application(self) -> Application:
        """The first application."""
        return next(iter(self.yarn.running.values()))

    @property
    def flink(self) -> FakeFlink:
        """That of the first application."""
        return next(iter(self.flinks.values()))

    def set_application(self, **changes: Any) -> None:
        """The ResourceManager's word on the first application changes."""
        self.yarn.running[self.application.id] = replace(self.application, **changes)

    def end(self, application: Application, state: str = "FINISHED") -> None:
        del self.yarn.running[application.id]
        self.yarn.ended[application.id] = replace(application, state=state, tracking_url=None)

    def run(self, seconds: float) -> None:
        self.time.run(self.time.now + round(seconds * 1000))

    def start(self) -> None:
        self.fleet.start(self.time.now)

    def restart(self) -> None:
        """The daemon was killed and started again; its steps are gone, the store and the cluster are not."""
        self.time = replace_time(self.time)
        for flink in self.flinks.values():
            flink.clock = self.time.clock
            for job in flink.jobs_there:
                job.clock = self.time.clock
        self.fleet = self.new_fleet()
        self.start()

    def status(self, job: str = "orders") -> JobStatus:
        return next(s for s in self.fleet.statuses() if s.key.job.startswith(job))

    def reasons(self) -> dict[str, str]:
        """Why each job listed is or is not scaled."""
        return {str(s.key): s.reason.value for s in self.fleet.statuses()}

    def requests(self) -> tuple[Request, ...]:
        """The first job's requests as stored, newest first."""
        return self.store.requests(JobKey(cluster="test", application="orders-app", job="orders"), 50)


def replace_time(time: VirtualTime) -> VirtualTime:
    return VirtualTime(time.now)

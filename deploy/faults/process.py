"""The daemon as a process: begins on the store as it finds it, dies at any statement, and lives by its host's clock."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import dataclass, field

from autoscaler.cluster import FlinkRest, Own
from autoscaler.loop import Environment, Fleet, Lane, Leadership, Orders, Wire, lease_time
from autoscaler.model import Lease, Millis, VertexId
from autoscaler.options import EMR, profile_layer
from autoscaler.sim.drive import CLUSTER, DISCOVERY_INTERVAL, RM, Managers
from autoscaler.sim.edge import DirectHttp, Edge
from autoscaler.sim.virtual import VirtualTime
from autoscaler.store import Store
from autoscaler.telemetry import Counters, Journal
from faults.memory import FaultyMemory
from faults.weather import Killed, Weather
from faults.wire import FaultyHttp, Watcher


@dataclass(slots=True)
class HostClock:
    """What the host believes the time to be; ``offset`` is how wrong it is."""

    time: VirtualTime
    offset: Millis = 0
    jumped_at: Millis = 0
    jumps: list[Callable[[], None]] = field(default_factory=list)

    def now(self) -> Millis:
        return self.time.now + self.offset

    def jump(self, by: Millis) -> None:
        """Step the clock; whoever waits for a time by it waits anew."""
        self.offset += by
        self.jumped_at = self.time.now
        for told in self.jumps:
            told()


class ErrorLog(Journal):
    """A journal that also counts what should never happen."""

    def __init__(self) -> None:
        super().__init__()
        self.errors: list[str] = []

    def error(self, event: str, error: BaseException | None = None, **facts: object) -> None:
        self.errors.append(f"{event}: {type(error).__name__}: {error}" if error else event)


@dataclass(slots=True)
class Doubt:
    """Details that must not be trusted, of one vertex or all: when their pass began, truly and by the host's clock.

    ``sampled`` is whether a sample was made of them, as a pass may fail after them, ``stored`` whether it was stored.
    """

    at: Millis
    by_clock: Millis
    vertex: VertexId | None
    sampled: bool = False
    stored: bool = False


class OpenLease:
    """A lease that keeps nobody out: a second daemon acts too, so that the record alone has to keep them apart."""

    def hold_lease(self, cluster: str, holder: str, duration: Millis, now: Millis) -> Lease:
        return Lease(holder=holder, token=1, expires_at=now + duration)

    def release_lease(self, cluster: str, holder: str, now: Millis) -> Lease | None:
        return None


class Process(Watcher):
    """One daemon, from its start to its end. ``ended`` is told when it dies."""

    _numbers = itertools.count(1)

    def __init__(
        self,
        host: HostClock,
        edge: Edge,
        store: Store,
        weather: Weather,
        doubts: list[Doubt],
        ended: Callable[[Process], None],
        senders: list[Process],
    ) -> None:
        self.number = next(self._numbers)
        self.alive = True
        self.counters = Counters()
        self.journal = ErrorLog()
        self.doubts = [doubt for doubt in doubts if doubt.stored]
        self._host = host
        self._weather = weather
        self._ended = ended
        self._senders = senders
        self._waiting: dict[str, tuple[Millis, Callable[[], None]]] = {}
        self._poked: tuple[Millis, Millis] | None = None
        self._memory = FaultyMemory(store, weather, host.now, self._kept)
        http = FaultyHttp(DirectHttp(edge), weather, lambda: host.time.now, self._spend, self)
        managers = Managers(http, [RM])
        environment = Environment(
            yarn=managers,
            connect=lambda application: FlinkRest(http, application.id, application.tracking_url or ""),
            memory=self._memory,
            scheduler=self,
            clock=host.now,
            journal=self.journal,
            counters=self.counters,
            wire=Wire(),
            leadership=Leadership(
                holder=f"daemon {self.number}",
                cluster=CLUSTER,
                own=Own,
                managers=managers,
                leases=OpenLease(),
                lease_time=lambda: lease_time(DISCOVERY_INTERVAL),
                clock=host.now,
                uptime=lambda: host.time.now,
                journal=self.journal,
            ),
        )
        orders = Orders(
            cluster=CLUSTER,
            act=True,
            profile=EMR,
            below=lambda: (profile_layer(EMR),),
            above=lambda _application, _job: (),
        )
        self.fleet = Fleet(environment, orders, DISCOVERY_INTERVAL)
        host.jumps.append(self._wait_anew)

    def start(self) -> None:
        self._guarded(lambda: self.fleet.start(self._host.now()))

    @property
    def passes(self) -> int:
        return self.counters.passes

    def die(self) -> None:
        """Nothing of it runs any more, and nobody is told."""
        self.alive = False
        if self._wait_anew in self._host.jumps:
            self._host.jumps.remove(self._wait_anew)

    # -------------------------------------------------------------- steps

    def at(self, when: Millis, step: Callable[[], None], *, name: str, lane: Lane = Lane.WORKERS) -> None:
        """As the daemon's scheduler: by the host's clock, which may be stepped meanwhile."""
        self._waiting[name] = (when, step)
        self._wait(name)

    def _wait(self, name: str) -> None:
        when, step = self._waiting[name]
        self._host.time.at(when - self._host.offset, lambda: self._run(name, step), name=f"{self.number} {name}")

    def _wait_anew(self) -> None:
        for name in list(self._waiting):
            self._wait(name)

    def _run(self, name: str, step: Callable[[], None]) -> None:
        if self.alive:
            self._waiting.pop(name, None)
            self._guarded(step)

    def _guarded(self, step: Callable[[], None]) -> None:
        try:
            step()
        except Killed:
            self.die()
            self._ended(self)

    def _spend(self, duration: Millis) -> None:
        self._host.time.spend(duration)

    # -------------------------------------------------------------- what its traffic tells

    def poked(self) -> None:
        self._poked = (self._host.time.now, self._host.now())

    def detailed(self, doubt: VertexId | None = None) -> None:
        """The first details after a poke are those a sample is made of."""
        if doubt is not None and self._poked is not None:
            self.doubts.append(Doubt(*self._poked, doubt or None))
        self._poked = None

    def _kept(self, at: Millis, stored: bool) -> None:
        for doubt in self.doubts:
            if doubt.by_clock == at:
                doubt.sampled, doubt.stored = True, doubt.stored or stored

    def sending(self, *, before: bool) -> None:
        point = f"PUT {self._memory.intent.value}"
        if before:
            self._senders[:] = [self]
            self._weather.passing(f"before {point}")
        else:
            self._weather.passing(f"after {point}")

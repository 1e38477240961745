"""The daemon as a process: begins on the store as it finds it, dies at any statement, and lives by its host's clock."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import dataclass, field

from autoscaler.cluster import FlinkRest, Objection, Own
from autoscaler.loop import Environment, Fleet, Lane, Leadership, Orders, Wire, lease_time
from autoscaler.model import Lease, Millis, VertexId
from autoscaler.options import EMR, profile_layer
from autoscaler.sim.drive import CLUSTER, DISCOVERY_INTERVAL, Managers, OpenLease
from autoscaler.sim.edge import Edge
from autoscaler.sim.virtual import VirtualTime
from autoscaler.store import RecoveringStore
from autoscaler.telemetry import Counters, Journal
from faults.doubts import Doubt
from faults.masters import ADDRESSES, Masters, MastersHttp
from faults.memory import FaultyMemory
from faults.weather import Killed, Moment, Weather
from faults.wire import FaultyHttp, Watcher


@dataclass(slots=True)
class HostClock:
    """What the host believes the time to be; ``offset`` is how wrong it is."""

    time: VirtualTime
    offset: Millis = 0
    jumped_at: Millis = 0

    def now(self) -> Millis:
        return self.time.now + self.offset

    def jump(self, by: Millis) -> None:
        self.offset += by
        self.jumped_at = self.time.now


class ErrorLog(Journal):
    """A journal that also counts what should never happen."""

    def __init__(self) -> None:
        super().__init__()
        self.errors: list[str] = []

    def error(self, event: str, error: BaseException | None = None, **facts: object) -> None:
        self.errors.append(f"{event}: {type(error).__name__}: {error}" if error else event)

    def crashed(self, subject: str, event: str, error: BaseException, /, **facts: object) -> None:
        self.error(event, error)


@dataclass(frozen=True, slots=True, kw_only=True)
class Site:
    """What all daemons of an episode share. ``store`` opens the one database anew, ``leases`` says whether the lease
    and the ResourceManagers' parts count, ``stored`` gives all doubts that are stored, ``sender`` holds the daemon
    whose PUT is under way; ``frozen`` and ``ended`` are told of a daemon that stands still, or died."""

    host: HostClock
    edge: Edge
    weather: Weather
    masters: Masters
    leases: bool
    store: Callable[[], RecoveringStore]
    stored: Callable[[], list[Doubt]]
    frozen: Callable[[], None]
    ended: Callable[[], None]
    sender: list[Process] = field(default_factory=list)


class Process(Watcher):
    """One daemon beside the ResourceManager of one address, from its start to its end. ``acts`` is whether the lease is
    its own, when last asked for."""

    _numbers = itertools.count(1)

    def __init__(self, site: Site, address: str) -> None:
        self.number = next(self._numbers)
        self.name = f"daemon {self.number}"
        self.address = address
        self.alive = True
        self.counters = Counters()
        self.journal = ErrorLog()
        self.doubts = site.stored()
        self._site = site
        self._host, self._weather = site.host, site.weather
        self._poked: tuple[Millis, Millis] | None = None
        self.acts = True
        self._asking = False
        self._counted = 0
        self.sized_at: list[Millis] = []
        self._thaws_at: Millis = 0
        self._memory = FaultyMemory(site.store(), self._weather, self._host.now, self._kept, self._leased, self._sized)
        http = FaultyHttp(
            MastersHttp(site.edge, site.masters), self._weather, lambda: self._host.time.now, self._spend, self
        )
        managers = Managers(http, ADDRESSES)
        environment = Environment(
            yarn=managers,
            connect=lambda application: FlinkRest(http, application.id, application.tracking_url or ""),
            memory=self._memory,
            scheduler=self,
            clock=self._host.now,
            journal=self.journal,
            counters=self.counters,
            wire=Wire(),
            leadership=self._leadership(managers),
        )
        orders = Orders(
            cluster=CLUSTER,
            act=True,
            profile=EMR,
            below=lambda: (profile_layer(EMR),),
            above=lambda _application, _job: (),
        )
        self.fleet = Fleet(environment, orders, DISCOVERY_INTERVAL)

    def _leadership(self, managers: Managers) -> Leadership:
        site = self._site
        return Leadership(
            holder=self.name,
            cluster=CLUSTER,
            own=lambda: Own(addresses=(self.address,) if site.leases else None),
            managers=managers,
            leases=self._memory if site.leases else OpenLease(),
            lease_time=lambda: lease_time(DISCOVERY_INTERVAL),
            clock=self._host.now,
            uptime=lambda: self._host.time.now,
            journal=self.journal,
        )

    def start(self) -> None:
        self._guarded(lambda: self.fleet.start(self._host.now()))

    def count(self) -> int:
        """Count the passes since this was last asked for; those of a daemon that stands by decide nothing."""
        new = self.counters.passes - self._counted
        self._counted += new
        return new if self.acts else 0

    def die(self) -> None:
        """Nothing of it runs any more, and nobody is told."""
        self.alive = False

    # -------------------------------------------------------------- steps

    def at(self, when: Millis, step: Callable[[], None], *, name: str, lane: Lane = Lane.WORKERS) -> None:
        """As the daemon's scheduler: for as long as it is until then by the host's clock, whatever becomes of that."""
        self._host.time.at(when - self._host.offset, lambda: self._run(name, step), name=f"{self.number} {name}")

    def _run(self, name: str, step: Callable[[], None]) -> None:
        if self.alive and self._thaws_at:
            again = self._thaws_at + 1
            self._host.time.at(again, lambda: self._run(name, step), name=f"{self.number} {name}")
        elif self.alive:
            self._guarded(step)

    def _guarded(self, step: Callable[[], None]) -> None:
        """As under the daemon's scheduler, a step that fails is a line in the log and has no successor."""
        try:
            step()
        except Killed:
            self.die()
            self._site.ended()
        except Exception as error:
            self.journal.error("a step failed", error)

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
            doubt.kept(at, stored=stored and self.acts)

    def _sized(self) -> None:
        self.sized_at.append(self._host.time.now)

    def sending(self, *, before: bool) -> None:
        point = f"PUT {self._memory.intent.value}"
        if before:
            self._site.sender[:] = [self]
            self._weather.passing(f"before {point}")
            self._stand_still(Moment.INTENT)
        else:
            self._weather.passing(f"after {point}")

    # -------------------------------------------------------------- its right to act

    def asking(self, objection: Objection) -> str | None:
        self._asking = True
        try:
            return objection()
        finally:
            self._asking = False

    def answered(self, moment: Moment) -> None:
        if self._asking:
            self._stand_still(moment)

    def _stand_still(self, moment: Moment) -> None:
        """Be frozen where that is in store, while everybody else goes on."""
        duration = self._weather.frozen(moment)
        if not duration:
            return
        self._thaws_at = self._host.time.now + duration
        self._site.frozen()
        self._host.time.run(self._thaws_at)
        self._thaws_at = 0
        if not self.alive:
            raise Killed("while it stood still")

    def _leased(self, lease: Lease | None) -> None:
        """Who begins to keep the record takes up what the record holds."""
        keeps = lease is not None and lease.holder == self.name
        if lease is not None:
            self._site.masters.holder = lease.holder
        if keeps and not self.acts:
            self.doubts = self._site.stored()
        self.acts = keeps
        self.answered(Moment.LEASE)

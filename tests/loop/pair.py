"""Two daemons on one cluster in virtual time, one of which can be frozen after any of its calls."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

from autoscaler.cluster import Application, Own
from autoscaler.loop import Environment, Fleet, Leadership, Memory, Orders, Wire, lease_time
from autoscaler.model import Millis
from autoscaler.options import profile_layer
from autoscaler.store import Opened, RecoveringStore, Store
from autoscaler.telemetry import Counters, Journal
from tests.loop.world import T0, FakeFlink, FakeJob, FakeYarn, VirtualTime

DISCOVERY: Millis = 5_000
ROOMY = 1 << 30


class Instant:
    """The one time of everybody."""

    def __init__(self) -> None:
        self.now = T0


class SharedTime(VirtualTime):
    """The steps of one daemon; time only goes forward, whoever moves it."""

    def __init__(self, instant: Instant) -> None:
        self._instant = instant
        super().__init__(instant.now)

    @property
    def now(self) -> Millis:
        return self._instant.now

    @now.setter
    def now(self, value: Millis) -> None:
        self._instant.now = max(self._instant.now, value)


class Managers:
    """The ResourceManagers as one daemon knows them: who was active is what it saw when it last asked."""

    def __init__(self, yarn: FakeYarn) -> None:
        self._yarn = yarn
        self.active: str | None = None

    def applications(self) -> tuple[Application, ...]:
        found = self._yarn.applications()
        self.active = self._yarn.active
        return found

    def __getattr__(self, name: str) -> Any:
        return getattr(self._yarn, name)


class Watched:
    """Any port, which tells after each call that it was made."""

    def __init__(self, port: Any, called: Callable[[str], None]) -> None:
        self._port = port
        self._called = called

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._port, name)
        if not callable(found):
            return found

        def call(*arguments: Any) -> Any:
            answer = found(*arguments)
            self._called(name)
            return answer

        return call


class Daemon:
    """One daemon, beside the ResourceManager ``own``."""

    def __init__(self, pair: Pair, own: str, store: Store) -> None:
        self.own = own
        self.store = store
        self.time = SharedTime(pair.instant)
        self.calls: list[str] = []
        self.after_call: Callable[[], None] = lambda: None
        notes: list[str] = []
        memory = RecoveringStore("sqlite://", ROOMY, self.time.clock, notes.append, Opened(store=store))
        self.memory = cast("Memory", Watched(memory, self._called))
        managers = Watched(Managers(pair.yarn), self._called)
        journal = Journal()
        self.leadership = Leadership(
            holder=f"daemon of {own}",
            cluster="test",
            own=lambda: Own(addresses=(pair.beside[own],)),
            managers=cast("Any", managers),
            leases=self.memory,
            lease_time=lambda: lease_time(DISCOVERY),
            clock=self.time.clock,
            uptime=self.time.clock,
            journal=journal,
        )
        environment = Environment(
            yarn=cast("Any", managers),
            connect=lambda _: cast("Any", Watched(Sending(pair, self), self._called)),
            memory=self.memory,
            scheduler=self.time,
            clock=self.time.clock,
            journal=journal,
            counters=Counters(),
            wire=Wire(),
            leadership=self.leadership,
        )
        orders = Orders(
            cluster="test",
            act=True,
            profile="emr",
            below=lambda: (profile_layer("emr"),),
            above=lambda _application, _job: (),
            spread=False,
        )
        self.fleet = Fleet(environment, orders, DISCOVERY)

    @property
    def leads(self) -> bool:
        return self.leadership.objection is None

    def _called(self, name: str) -> None:
        self.calls.append(name)
        self.after_call()


class Sending:
    """Flink as one daemon reaches it: who sends is known."""

    def __init__(self, pair: Pair, daemon: Daemon) -> None:
        self._pair = pair
        self._daemon = daemon

    def put_requirements(self, *arguments: Any) -> Any:
        self._pair.sender = self._daemon
        return self._pair.flink.put_requirements(*arguments)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._pair.flink, name)


class Pair:
    """Daemons ``a`` and ``b`` and one overloaded job; ``beside`` is the ResourceManager each looks at as its own."""

    def __init__(self, stores: tuple[Store, Store], *, one_manager: bool) -> None:
        self.instant = Instant()
        self.yarn = FakeYarn()
        self.yarn.active = "rm a"
        self.beside = {"rm a": "rm a", "rm b": "rm a" if one_manager else "rm b"}
        self.job = FakeJob(clock=lambda: self.instant.now, rate=2_000.0)
        self.flink = FakeFlink([self.job])
        self.flink.clock = lambda: self.instant.now
        application = Application(
            id="application_1_0001",
            name="orders-app",
            state="RUNNING",
            tracking_url="http://proxy/",
            running_containers=2,
            am_address="host:1",
        )
        self.yarn.running[application.id] = application
        self.sender: Daemon | None = None
        self.a, self.b = Daemon(self, "rm a", stores[0]), Daemon(self, "rm b", stores[1])

    def start(self) -> None:
        self.a.fleet.start(self.instant.now)
        self.b.fleet.start(self.instant.now + 1)

    def run(self, seconds: float, *who: Daemon) -> None:
        """Let time pass for the daemons that are not frozen."""
        until = self.instant.now + round(seconds * 1000)
        awake = who or (self.a, self.b)
        while True:
            due = [(when, place) for place, one in enumerate(awake) if (when := one.time.next_at()) is not None]
            if not due or min(due)[0] > until:
                break
            when, place = min(due)
            awake[place].time.run(when)
        self.instant.now = max(self.instant.now, until)

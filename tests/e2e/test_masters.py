"""Two masters with a daemon each: whatever is killed or frozen, exactly one acts, and no two targets are in flight."""

from __future__ import annotations

import re
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from lab import Lab

from autoscaler.model import Millis, RequestState
from autoscaler.service import system_clock
from tests.e2e.conftest import QUICK, until
from tests.e2e.masters import (
    ACTS,
    LEASE_SECONDS,
    NAME,
    STANDS_BY,
    MasterDaemon,
    Masters,
    discovery,
    last_reading,
    let_time_pass,
    right_to_act,
)
from tests.e2e.relay import Relay
from tests.store import servers

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(260), pytest.mark.parametrize("lab", [2], indirect=True)]

INTERVAL: Millis = 3_000
WINDOW: Millis = 20_000
# Nothing is decided by measurements, unless a test has a window that fills: it is for the test to say who wants what.
# The slots of one TaskManager are enough for every target.
CONF = {
    **QUICK,
    "job.autoscaler.decision.interval": INTERVAL,
    "job.autoscaler.metrics.window": "1 h",
    "taskmanager.numberOfTaskSlots": 4,
}
WINDOW_FILLS = f"[{{match: {{application: {NAME}}}, set: {{metrics.window: {WINDOW} ms}}}}]"
LOCAL, SHARED = "a store each", "one store"

Start = Callable[..., Masters]


@pytest.fixture(scope="module")
def application(lab: Lab) -> Iterator[str]:
    """The one job of all these tests, at a load that one subtask can take."""
    lab.set_rate("orders", 20)
    application = lab.submit_orders(name=NAME, conf=CONF)
    lab.wait_until_running(application)
    yield application
    lab.kill_application(application)


@pytest.fixture(scope="module")
def postgresql() -> Iterator[servers.Server]:
    with servers.postgresql() as server:
        yield server


@pytest.fixture
def masters(lab: Lab, application: str, request: pytest.FixtureRequest) -> Iterator[Start]:
    """Make two daemons, each beside its own ResourceManager, with a store each or one for both."""
    made: list[Masters] = []
    with ExitStack() as open_:

        def make(stores: str = LOCAL, **settings: str) -> Masters:
            daemons = []
            name = re.sub(r"\W+", "-", request.node.name)
            database = request.getfixturevalue("postgresql").new_database() if stores == SHARED else ""
            for master in range(2):
                home = lab.layout.data / name / str(master)
                log = lab.layout.log / f"{name}-{master}.log"
                chosen, relay = dict(settings), None
                if stores == SHARED:
                    server = request.getfixturevalue("postgresql")
                    folder = Path(open_.enter_context(tempfile.TemporaryDirectory(prefix="autoscaler-relay-")))
                    relay = open_.enter_context(Relay(server.socket, folder))
                    url = database.replace(str(server.socket.parent), str(folder))
                    chosen["store"] = f"{{url: '{url}'}}"
                daemon = MasterDaemon(master, home, log, chosen, relay)
                open_.enter_context(daemon.gate)
                daemons.append(daemon)
            both = Masters(lab=lab, application=application, daemons=(daemons[0], daemons[1]), shared=stores == SHARED)
            made.append(both)
            return both

        yield make
        for both in made:
            for daemon in both.daemons:
                daemon.wake()
                daemon.stop()
            both.restore()


# ------------------------------------------------------------------ killed


@pytest.mark.parametrize("knows", ["its own", "both"])
def test_beside_the_new_active_manager_a_daemon_takes_over(lab: Lab, masters: Start, knows: str) -> None:
    """When the active ResourceManager dies the other daemon acts within two intervals; with a store of its own it
    shrinks nothing before its window is full."""
    both = masters(rules=WINDOW_FILLS)
    if knows == "its own":
        for daemon in both.daemons:
            daemon.know_own_only()
    both.ask(3)
    acting, other = both.begin()
    lab.kill_resource_manager(acting.master)
    until(lambda: lab.active_master() == other.master, 60, "the other ResourceManager to become active")
    active_at = system_clock()
    until(lambda: other.part == ACTS, 60, "the other daemon to act")
    began = other.events(ACTS)[-1][0]
    assert began - active_at <= 2 * INTERVAL
    shrunk = until(lambda: other.gate.puts, 90, "the job to be shrunk")[0]
    assert shrunk.at - began >= WINDOW
    assert both.sent() == [(other.master, 1)]


@pytest.mark.parametrize("stores", [LOCAL, SHARED])
def test_a_daemon_that_died_is_not_replaced_beside_a_standby(masters: Start, stores: str) -> None:
    """When the acting daemon dies nobody acts, however long, until its service manager has started it again."""
    both = masters(stores)
    acting, other = both.begin()
    target, _ = both.others()
    acting.kill()
    for daemon in both.daemons:
        daemon.pin(target)
    passes = other.passes()
    let_time_pass(LEASE_SECONDS + 5, lambda: not both.shared and other.passes() >= passes + 3)
    assert (other.part, both.sent()) == (STANDS_BY, [])
    acting.start()
    until(lambda: both.sent(), 60, "the one that was started again to act")
    assert both.sent() == [(acting.master, target)]


# ------------------------------------------------------------------ frozen

Want = Callable[[], None]
Step = Callable[[MasterDaemon, Want], None]


def told_what_runs(daemon: MasterDaemon, want: Want) -> None:
    """Before a pass, with what shall be sent known."""

    def discover_again() -> None:
        want()
        daemon.gate.at_the_next(discovery, daemon.freeze, answered=True)

    daemon.gate.at_the_next(discovery, discover_again, answered=True)


def has_read_the_job(daemon: MasterDaemon, want: Want) -> None:
    """In the pass, with the last of what it reads of the job."""
    daemon.gate.at_the_next(last_reading, daemon.freeze, answered=True)
    want()


def stored_its_intent(daemon: MasterDaemon, want: Want) -> None:
    """With the answer that the shared store has the request: from here on only the last questions are left."""
    relay = daemon.relay
    assert relay is not None
    relay.after_the_next_commit(daemon.freeze, of=b"INSERT INTO requests")
    want()


def asks_its_manager(daemon: MasterDaemon, want: Want) -> None:
    """On the open connection of the PUT, with the question for haState on its way."""

    def hold() -> None:
        daemon.freeze()
        daemon.gate.hold(right_to_act)

    daemon.gate.at_the_next(right_to_act, hold)
    want()


def its_manager_is_active(daemon: MasterDaemon, want: Want) -> None:
    """With the answer that haState is ACTIVE: with a store of its own nothing but the sending is left."""
    daemon.gate.at_the_next(right_to_act, daemon.freeze, answered=True)
    want()


def holds_the_lease(daemon: MasterDaemon, want: Want) -> None:
    """With the answer that the shared store's lease is its own too: nothing but the sending is left."""
    relay = daemon.relay
    assert relay is not None
    daemon.gate.at_the_next(right_to_act, lambda: relay.after_the_next_commit(daemon.freeze), answered=True)
    want()


STEPS: tuple[tuple[str, Step], ...] = (
    (LOCAL, told_what_runs),
    (LOCAL, has_read_the_job),
    (LOCAL, asks_its_manager),
    (LOCAL, its_manager_is_active),
    (SHARED, stored_its_intent),
    (SHARED, holds_the_lease),
)


def frozen_at(step: Step, acting: MasterDaemon, other: MasterDaemon, targets: tuple[int, int]) -> None:
    """Freeze the acting daemon at a step on its way to the first target; the second one is wanted of the other."""
    step(acting, lambda: acting.pin(targets[0]))
    until(lambda: acting.frozen, 60, "the step at which to freeze")
    other.pin(targets[1])


def wakes_and_sends_nothing(both: Masters, frozen: MasterDaemon, other: MasterDaemon, target: int) -> None:
    """When the other daemon has sent ``target``, wake the frozen one, and leave it as it is for a whole pass: what it
    believed when it was frozen is not corrected by a discovery before."""
    until(lambda: other.gate.puts, 60, "the other daemon's target to be in flight")
    passes = frozen.passes()
    frozen.gate.let_go()
    frozen.gate.hold(discovery)
    frozen.wake()
    let_time_pass(9, lambda: frozen.passes() >= passes + 2)
    frozen.gate.let_go()
    until(lambda: frozen.part == STANDS_BY, 30, "who was frozen to stand by")
    assert both.sent() == [(other.master, target)]
    assert both.enrich() == target


@pytest.mark.parametrize(("stores", "step"), STEPS, ids=lambda value: getattr(value, "__name__", value))
def test_who_was_frozen_through_a_fail_over_sends_nothing(masters: Start, stores: str, step: Step) -> None:
    """Frozen at any step of what it was about to send, a daemon wakes up and does not send it any more."""
    both = masters(stores)
    acting, other = both.begin()
    targets = both.others()
    frozen_at(step, acting, other, targets)
    with both.failed_over():
        until(lambda: other.part == ACTS, 60, "the other daemon to act")
    wakes_and_sends_nothing(both, acting, other, targets[1])


def test_who_was_frozen_longer_than_its_lease_sends_nothing(masters: Start) -> None:
    """Of daemons that act whichever ResourceManager is active, the shared store's lease alone decides."""
    both = masters(SHARED, own_resource_manager="any")
    acting, other = both.begin()
    targets = both.others()
    frozen_at(stored_its_intent, acting, other, targets)
    wakes_and_sends_nothing(both, acting, other, targets[1])


def test_what_was_being_sent_and_arrives_late_is_a_change_by_others(masters: Start) -> None:
    """A pause within the sending itself cannot be told by who sends: its successor sees the target as somebody else's
    and leaves it."""
    both = masters()
    acting, other = both.begin()
    target, _ = both.others()
    acting.gate.at_the_next(right_to_act, lambda: acting.gate.hold(last_reading), answered=True)
    acting.pin(target)
    until(lambda: acting.gate.arrived, 60, "the request to be on its way")
    acting.freeze()
    with both.failed_over():
        until(lambda: other.part == ACTS, 60, "the other daemon to act")
    passes = other.passes()
    until(lambda: other.passes() >= passes + 2, 60, "the other daemon to have seen what is asked for now")
    acting.gate.let_go()
    acting.wake()
    adopted = until(lambda: other.requests(NAME), 60, "the change to be noticed")[0]
    assert adopted.state is RequestState.ADOPTED
    assert both.sent() == [(acting.master, target)]
    assert both.enrich() == target

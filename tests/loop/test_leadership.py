"""Which daemon acts, and that of two never two act."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from autoscaler.cluster import Own, Transient, own_managers
from autoscaler.loop import lease_time
from autoscaler.loop.leadership import GOOD_FOR, Evidence, objection
from autoscaler.model import Bounds, Lease, Millis, Reason, RequestState, VertexId
from autoscaler.store import Store, StoreUnavailable, open_store
from tests.loop.conftest import Log
from tests.loop.pair import DISCOVERY, ROOMY, Daemon, Pair
from tests.loop.test_life import BY_HAND, STEADY_RATE, paced, pinned
from tests.loop.world import T0, World

HELD = Lease(holder="me", token=1, expires_at=T0)
RIGHT = Evidence(
    holder="me", own=Own(addresses=("http://m1:8088",)), active="http://m1:8088", lease=HELD, asked_at=0, now=0
)


# ------------------------------------------------------------------ the rules


OBJECTIONS = {
    "own is unknown": (replace(RIGHT, own=Own(problem="who am I")), "who am I"),
    "no answer": (replace(RIGHT, trouble="it is silent"), "it is silent"),
    "another is active": (replace(RIGHT, active="http://m2:8088"), "http://m2:8088 is the active one"),
    "none is active": (replace(RIGHT, active=None), "none is active"),
    "another holds the lease": (replace(RIGHT, lease=replace(HELD, holder="you")), "you holds the store's lease"),
    "no lease": (replace(RIGHT, lease=None), "nobody holds the store's lease"),
    "too long ago": (replace(RIGHT, now=GOOD_FOR + 1), "2.0 s passed"),
}


@pytest.mark.parametrize(("evidence", "said"), OBJECTIONS.values(), ids=OBJECTIONS)
def test_each_lack_is_an_objection(evidence: Evidence, said: str) -> None:
    """Whatever is missing of the right to act is said in words that name it."""
    assert said in (objection(evidence) or "")


def test_there_is_nothing_to_object_to() -> None:
    """Active, leased and just asked is enough; beside no ResourceManager of its own any active one is."""
    assert objection(RIGHT) is None
    assert objection(replace(RIGHT, now=GOOD_FOR)) is None
    assert objection(replace(RIGHT, own=Own(), active="http://m2:8088")) is None


HOSTS = {"m1": False, "m2": True, "m3": False, "lost": None}
ADDRESSES = ("http://m1:8088", "http://m2:8088", "http://m3:8088")


def own(*addresses: str, chosen: str = "auto", shared_store: bool = False) -> Own:
    return own_managers(addresses, chosen, lambda host: HOSTS[host], shared_store=shared_store)


def test_its_own_manager_is_found_by_its_address() -> None:
    """Of several it is the one of this machine, a single one wherever it is, or the one that is named."""
    assert own(*ADDRESSES).addresses == ("http://m2:8088",)
    assert own(ADDRESSES[0]).addresses == (ADDRESSES[0],)
    assert own(*ADDRESSES, chosen=ADDRESSES[2]).addresses == (ADDRESSES[2],)
    assert own(*ADDRESSES, chosen="any") == Own()


def test_without_its_own_manager_it_does_not_act() -> None:
    """What cannot be told is a problem with what to do, never a right; only a shared store's lease replaces it."""
    assert "own_resource_manager, or `any`" in (own(ADDRESSES[0], ADDRESSES[2]).problem or "")
    assert "does not resolve" in (own(ADDRESSES[0], "http://lost:8088").problem or "")
    assert own(ADDRESSES[0], ADDRESSES[2], shared_store=True) == Own()
    assert own(ADDRESSES[0], "http://lost:8088", shared_store=True).problem is not None


# ------------------------------------------------------------------ one daemon


def busy(world: World, rate: float = 2_000.0) -> list[dict[VertexId, Bounds]]:
    job = world.add_job(rate=rate)
    world.start()
    return job.puts


def test_a_standby_observes_and_says_so(world: World, log: Log) -> None:
    """Beside a standby ResourceManager jobs are read and shown with what would be done, and nothing is sent."""
    world.yarn.active = "another"
    puts = busy(world)
    world.run(300)
    assert puts == []
    status = world.status()
    assert status.reason is Reason.STANDBY
    assert "this daemon stands by: this machine's ResourceManager rm is not active; another is the active one" in (
        status.detail
    )
    assert [line["event"] for line in log if "stands by" in line["event"]] == ["this daemon stands by"]
    world.yarn.active = "rm"
    world.run(300)
    assert len(puts) > 0
    assert [line["event"] for line in log if line["event"] == "this daemon acts"] == ["this daemon acts"]


def test_a_standby_leaves_a_pin_to_the_acting_one(world: World) -> None:
    """What an operator wants is carried out once, by the daemon that acts."""
    world.yarn.active = "another"
    world.store.set_command(pinned("3"))
    job = world.add_job(rate=400.0)
    world.start()
    world.run(120)
    assert (job.puts, world.requests(), world.status().reason) == ([], (), Reason.PINNED)
    world.yarn.active = "rm"
    world.run(60)
    assert len(job.puts) == 1


def test_a_standby_notes_no_change_of_others(world: World) -> None:
    """What somebody else, who may be the acting daemon, changes is that one's to put on record."""
    world.yarn.active = "another"
    job = world.add_job(paced(external_change__hold="5 min"), rate=100.0)
    world.start()
    world.run(100)
    job.put(BY_HAND)
    job.rate = STEADY_RATE
    world.run(60)
    assert world.requests() == ()


def test_a_manager_that_became_standby_ends_a_reign(world: World, log: Log) -> None:
    """A daemon that knows its own ResourceManager alone gives the lease back as soon as that is a standby, and acts
    again when it is active again."""
    busy(world)
    world.run(100)
    assert world.environment.leadership.objection is None
    world.yarn.active = None
    world.yarn.fail = Transient("standby", "no active ResourceManager: rm is STANDBY")
    world.run(40)
    assert "not active; none is active" in (world.environment.leadership.objection or "")
    assert world.memory.hold_lease("test", "another", 1_000, world.time.now).holder == "another"
    world.memory.release_lease("test", "another", world.time.now)
    world.yarn.active, world.yarn.fail = "rm", None
    world.run(60)
    assert world.environment.leadership.objection is None


def test_a_single_manager_is_not_asked_more(world: World) -> None:
    """With one ResourceManager steady passes ask it nothing beyond the list of applications."""
    asked: list[str] = []
    world.yarn.ha_state = lambda address, timeout_s=None: asked.append(address) or "ACTIVE"  # type: ignore[method-assign,func-returns-value]
    puts = busy(world, rate=400.0)
    world.run(600)
    assert (puts, asked) == ([], [])
    world.flink.jobs_there[0].rate = 2_000.0
    world.run(300)
    assert len(asked) == len(puts) > 0


def test_a_request_is_withdrawn_when_the_manager_became_standby(world: World) -> None:
    """What changed since the last discovery is noticed before the sending; the intent is void."""
    world.yarn.ha_state = lambda address, timeout_s=None: "STANDBY"  # type: ignore[method-assign]
    puts = busy(world)
    world.run(100)
    assert puts == []
    assert {request.state for request in world.requests()} == {RequestState.VOID}


def test_a_silent_manager_is_no_permission(world: World) -> None:
    """Without its answer nothing is sent, and the daemon is not taken for a standby for that."""

    def silent(address: str, timeout_s: float | None = None) -> str:
        raise Transient("timeout", "no answer within 2 s")

    ask, world.yarn.ha_state = world.yarn.ha_state, silent  # type: ignore[method-assign]
    puts = busy(world)
    world.run(100)
    assert puts == []
    assert "did not say whether it is active: no answer" in world.status().detail
    world.yarn.ha_state = ask  # type: ignore[method-assign]
    world.run(11)
    assert len(puts) == 1


def test_a_request_is_dropped_after_a_pause(world: World) -> None:
    """More than two seconds between the answers and the sending are too many."""
    job = world.add_job(rate=2_000.0)

    def slow(address: str, timeout_s: float | None = None) -> str:
        world.time.now += GOOD_FOR + 1
        return "ACTIVE"

    world.yarn.ha_state = slow  # type: ignore[method-assign]
    world.start()
    world.run(100)
    assert job.puts == []
    assert "2.0 s passed since the right to act was asked for" in world.status().detail


def test_a_store_that_fails_does_not_end_a_reign(world: World, log: Log) -> None:
    """While the store cannot be asked for the lease the daemon goes on from memory, without sending."""
    busy(world, rate=400.0)
    world.run(100)
    world.fragile.fail = StoreUnavailable("full")
    world.run(100)
    assert not [line for line in log if "stands by" in line["event"]]


# ------------------------------------------------------------------ two daemons


@pytest.fixture
def shared(tmp_path: Path) -> Iterator[tuple[Store, Store]]:
    """One database, as two processes have it open."""
    store = open_store("sqlite://", ROOMY, T0).store
    yield store, Store(store._engine, store._place, ROOMY)
    store.close()


@pytest.fixture
def apart() -> Iterator[tuple[Store, Store]]:
    """A database for each."""
    stores = open_store("sqlite://", ROOMY, T0).store, open_store("sqlite://", ROOMY, T0).store
    yield stores
    for store in stores:
        store.close()


def acting(pair: Pair) -> list[Daemon]:
    return [one for one in (pair.a, pair.b) if one.leads]


def test_two_daemons_on_one_store(shared: tuple[Store, Store]) -> None:
    """Of two daemons that both see their ResourceManager active exactly one acts and writes."""
    pair = Pair(shared, one_manager=True)
    pair.start()
    pair.run(200)
    assert acting(pair) == [pair.a]
    assert len(pair.job.puts) > 0
    window = pair.a.store.window(pair.b.fleet.jobs()[0].subject.key, 0)
    assert window is not None
    assert len(window.samples) < 25  # one daemon's, every 10 s


@pytest.mark.parametrize("way", ["killed", "failed over", "stopped"])
def test_a_hand_over_takes_at_most_two_intervals(shared: tuple[Store, Store], way: str) -> None:
    """Whether the acting daemon dies, ends in order, or its ResourceManager fails over: another acts soon."""
    pair = Pair(shared, one_manager=way != "failed over")
    pair.start()
    pair.run(100)
    assert acting(pair) == [pair.a]
    since = pair.instant.now
    awake = (pair.a, pair.b) if way == "failed over" else (pair.b,)
    if way == "stopped":
        pair.a.leadership.resign()
    pair.yarn.active = "rm b" if way == "failed over" else "rm a"
    while not pair.b.leads:
        pair.run(1, *awake)
    took = pair.instant.now - since
    assert took <= {"killed": lease_time(DISCOVERY) + DISCOVERY + 1_000, "stopped": DISCOVERY + 1_000}.get(way, 11_000)
    assert lease_time(30_000) + 30_000 <= 2 * 60_000  # with the defaults of discovery and decision


@pytest.mark.parametrize("silence", [3, 9, 21, 40])
def test_a_slow_fail_over_delays_nobody_further(apart: tuple[Store, Store], silence: int) -> None:
    """However long no ResourceManager answered, once another is active its daemon acts by its next discovery."""
    pair = Pair(apart, one_manager=False)
    pair.start()
    pair.run(100)
    pair.yarn.fail = Transient("no-active-rm", "no active ResourceManager")
    pair.run(silence)
    pair.yarn.fail, pair.yarn.active = None, "rm b"
    pair.run(DISCOVERY / 1000)
    assert acting(pair) == [pair.b]


def test_a_new_leader_goes_on_with_the_shared_history(shared: tuple[Store, Store]) -> None:
    """A request in flight is taken over with its window: it is watched, and no second one is sent meanwhile."""
    pair = Pair(shared, one_manager=False)
    pair.job.slots = 3
    pair.start()
    pair.run(70)
    assert len(pair.job.puts) == 1
    pair.yarn.active = "rm b"
    pair.run(60)
    assert acting(pair) == [pair.b]
    (job,) = pair.b.fleet.jobs()
    assert job.watch.open is not None
    assert job.watch.open.state is RequestState.SENT
    assert len(pair.job.puts) == 1


def test_a_new_leader_without_history_waits_for_a_full_window(apart: tuple[Store, Store]) -> None:
    """With a store of its own a new leader scales nothing, least of all down, before its own window is full."""
    pair = Pair(apart, one_manager=False)
    pair.job.rate = 1_500.0
    pair.job.parallelism = dict.fromkeys(pair.job.parallelism, 4)
    pair.job.wanted = {vertex: Bounds(lower=1, upper=4) for vertex in pair.job.parallelism}
    pair.start()
    pair.run(300)
    before = len(pair.job.puts)
    pair.yarn.active = "rm b"
    pair.job.rate = 100.0
    while not pair.b.leads:
        pair.run(1)
    pair.run(59)
    assert pair.b.fleet.statuses()[0].reason in (Reason.WINDOW_NOT_FULL, Reason.NOT_READY)
    assert len(pair.job.puts) == before
    pair.run(60)
    assert len(pair.job.puts) == before + 1
    assert pair.sender is pair.b


def test_who_wakes_up_writes_nothing(shared: tuple[Store, Store]) -> None:
    """A daemon frozen for longer than its lease finds its writes refused before it knows that it stands by."""
    pair = Pair(shared, one_manager=True)
    pair.start()
    pair.run(40)
    pair.run(120, pair.b)
    assert acting(pair) == [pair.a, pair.b]
    key = pair.b.fleet.jobs()[0].subject.key
    before = pair.b.store.window(key, 0)
    with pytest.raises(StoreUnavailable, match="the lease of daemon of rm a is lost, daemon of rm b holds it"):
        pair.a.memory.mark_absent(key, pair.instant.now)
    pair.run(DISCOVERY / 1000)
    assert acting(pair) == [pair.b]
    assert before is not None


# ------------------------------------------------------------------ freezing


class Referee:
    """Looks at each request as it arrives at Flink, and notes what is wrong with it."""

    def __init__(self, pair: Pair, *, shared: bool) -> None:
        self._pair = pair
        self._shared = shared
        self._put = pair.job.put
        self._last: tuple[Daemon, Millis, dict[VertexId, Bounds]] | None = None
        self.moved_at: Millis | None = None
        self.senders: list[Daemon] = []
        self.wrong: list[str] = []
        pair.job.put = self  # type: ignore[assignment,method-assign]

    def __call__(self, bounds: dict[VertexId, Bounds]) -> object:
        pair, now = self._pair, self._pair.instant.now
        sender = pair.sender
        assert sender is not None
        beside = pair.beside[sender.own]
        lately = self.moved_at is not None and now - self.moved_at <= GOOD_FOR
        if beside != pair.yarn.active and not lately:
            self.wrong.append(f"{sender.own} sends beside a standby")
        if self._shared:
            others = [one for one in sender.store.open_requests() if dict(one.requirements) != dict(bounds)]
            self.wrong += [f"{sender.own} sends while {one.target} is in flight" for one in others]
        elif self._last is not None:
            former, at, asked = self._last
            if former is not sender and asked != dict(bounds) and now - at < 60_000:
                self.wrong.append(f"{sender.own} sends while another target may be in flight")
        self._last = (sender, now, dict(bounds))
        self.senders.append(sender)
        return self._put(bounds)


WAYS = {
    # stores, whether both daemons look at one ResourceManager, whether it fails over while one is frozen
    "one store, one manager": (True, True, False),
    "one store, the manager fails over": (True, False, True),
    "a store each, the manager fails over": (False, False, True),
}
SENDING = ("requirements", "add_request", "ha_state", "hold_lease", "put_requirements", "update_request")


def stores_for(way: tuple[bool, bool, bool]) -> tuple[Store, Store]:
    first = open_store("sqlite://", ROOMY, T0).store
    return first, Store(first._engine, first._place, ROOMY) if way[0] else open_store("sqlite://", ROOMY, T0).store


def frozen_after(call: int, way: tuple[bool, bool, bool], freeze: float) -> tuple[list[str], list[Daemon]]:
    """Freeze daemon a after one of its calls; return the names of all it made, and who sent something."""
    shared, one_manager, fails_over = way
    stores = stores_for(way)
    pair = Pair(stores, one_manager=one_manager)
    referee = Referee(pair, shared=shared)
    made: list[str] = []

    def after_call() -> None:
        made.append(pair.a.calls[-1])
        if len(made) == call:
            pair.job.rate = 900.0  # what is right now differs from what was about to be sent
            if fails_over:
                pair.yarn.active, referee.moved_at = "rm b", pair.instant.now
            pair.run(freeze, pair.b)

    pair.start()
    pair.run(61)  # the window is full with the next pass, which sends
    pair.a.after_call = after_call
    pair.run(13)
    seen = made.copy()
    pair.run(90)
    assert len(acting(pair)) == 1
    assert referee.wrong == [], f"frozen after call {call}, {seen[call - 1]}"
    for store in stores:
        store.close()
    return seen, referee.senders


@pytest.mark.slow
@pytest.mark.timeout(300)
@pytest.mark.usefixtures("log")
@pytest.mark.parametrize("way", WAYS.values(), ids=WAYS)
def test_no_freeze_lets_two_targets_fly(way: tuple[bool, bool, bool]) -> None:
    """Whichever call of the acting daemon it is frozen after, through discovery, pass, intent, the last questions and
    the answer: at no time are two different targets in flight, and in the end exactly one daemon acts."""
    calls, senders = frozen_after(0, way, 0)
    assert senders
    assert set(SENDING) <= set(calls)
    for call in range(1, len(calls) + 1):
        frozen_after(call, way, 90.0)


@pytest.mark.slow
@pytest.mark.timeout(300)
@pytest.mark.usefixtures("log")
@pytest.mark.parametrize("freeze", [1.5, 2.5, 4.0])
@pytest.mark.parametrize("way", WAYS.values(), ids=WAYS)
def test_no_short_pause_lets_two_targets_fly(way: tuple[bool, bool, bool], freeze: float) -> None:
    """The same for pauses around what the answers are good for, after each call around the sending."""
    calls, _ = frozen_after(0, way, 0)
    for call, name in enumerate(calls, 1):
        if name in SENDING:
            frozen_after(call, way, freeze)

"""Two things at once: what threads may do to each other."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import replace

import pytest

from autoscaler.cluster import JobOverview, PutAnswer
from autoscaler.core.lifecycle import entered
from autoscaler.loop import Fleet, Lane, Wire
from autoscaler.loop.claims import Claims, Holder
from autoscaler.loop.standing import STEPS_AT_ONCE, Standing
from autoscaler.model import Bounds, JobKey, Millis, Phase, Reason, Request, RequestKind, RequestState
from tests.loop.world import ADAPTIVE, SOURCE, WORKER, World

KEY = JobKey(cluster="test", application="app", job="job")
PATIENCE_S = 5.0


def in_thread(call: object) -> threading.Thread:
    thread = threading.Thread(target=call, daemon=True)  # type: ignore[arg-type]
    thread.start()
    return thread


def test_two_visits_of_one_application_never_overlap(world: World) -> None:
    """A visit that is asked for while one is under way follows it: no job is taken up twice."""
    world.add_job()
    world.start()
    entered, go = threading.Event(), threading.Event()
    honest = world.flink.jobs

    def slow() -> tuple[JobOverview, ...]:
        entered.set()
        assert go.wait(PATIENCE_S)
        return honest()

    world.time.taken("discovery")()
    (loop,) = world.fleet.applications()
    world.flink.jobs = slow  # type: ignore[method-assign]
    visit = in_thread(world.time.taken(world.application.id))
    assert entered.wait(PATIENCE_S)
    loop.renew(replace(world.application, am_address="host:2"), world.time.now)
    world.flink.jobs = honest  # type: ignore[method-assign]
    loop._visit()  # the scheduler's second thread: it has to turn back
    assert loop.jobs == {}
    assert not loop.settled
    go.set()
    visit.join(PATIENCE_S)
    world.run(3)
    assert [job.passes for job in world.fleet.jobs()] == [1]
    assert loop.settled


def test_a_loop_that_is_sending_is_waited_for_before_its_job_is_taken_up_anew(world: World) -> None:
    """New settings during a PUT: the new loop begins when the old one has stored what came of it."""
    job = world.add_job(rate=1_600.0)
    world.start()
    world.run(61)
    sending, go = threading.Event(), threading.Event()
    put = job.put

    def slow(bounds: dict[str, Bounds]) -> PutAnswer:
        sending.set()
        assert go.wait(PATIENCE_S)
        return put(bounds)

    job.put = slow  # type: ignore[method-assign,assignment]
    (old,) = world.fleet.jobs()
    world.time.now += 1_000
    pass_under_way = in_thread(world.time.taken("/"))
    assert sending.wait(PATIENCE_S)
    world.fleet.obey(world.orders, 30_000, world.time.now)
    world.run(3)
    assert world.fleet.jobs() == [], "the old loop is still sending"
    assert world.status().job_id == "1" * 32, "and is still shown"
    go.set()
    pass_under_way.join(PATIENCE_S)
    world.run(7)
    assert world.fleet.jobs() != [old]
    world.run(30)
    assert len(job.puts) == 1
    assert world.requests()[0].state is RequestState.ACHIEVED


def test_an_application_that_ends_during_a_step_closes_its_request_once(world: World) -> None:
    """The discovery retires a loop whose step runs in another thread: the last of the two closes what is open."""
    world.add_job(rate=1_600.0, restart_ms=100_000)
    world.start()
    world.run(62)
    looking, go = threading.Event(), threading.Event()
    honest = world.flink.jobs

    def slow() -> tuple[JobOverview, ...]:
        looking.set()
        assert go.wait(PATIENCE_S)
        return honest()

    world.flink.jobs = slow  # type: ignore[method-assign]
    look = in_thread(world.time.taken("/"))
    assert looking.wait(PATIENCE_S)
    (loop,) = world.fleet.applications()
    loop.retire("the application ended (KILLED)")
    assert world.requests()[0].state is RequestState.SENT
    go.set()
    look.join(PATIENCE_S)
    request = world.requests()[0]
    assert request.state is RequestState.NOT_ACHIEVED
    assert request.outcome is not None
    assert "KILLED" in request.outcome.note
    assert world.store.statuses()[0].state == "ENDED"
    assert world.store.statuses()[0].reason is Reason.NOT_RUNNING


def test_few_steps_of_one_application_run_at_once() -> None:
    """A session whose jobs all hang holds two workers, not all of them; the others' steps follow in their order."""
    standing, taken = Standing(), list[tuple[str, Lane]]()
    entered, go = threading.Semaphore(0), threading.Event()

    def hang(_: Lane) -> None:
        entered.release()
        assert go.wait(PATIENCE_S)

    def step(name: str) -> Callable[[Lane], None]:
        return lambda lane: taken.append((name, lane))

    hanging = [in_thread(lambda: standing.run(hang, Lane.SUSPECTS)) for _ in range(STEPS_AT_ONCE)]
    assert all(entered.acquire(timeout=PATIENCE_S) for _ in hanging)
    for name in ("a", "b", "c"):
        standing.run(step(name), Lane.WORKERS)
    assert taken == []
    go.set()
    for thread in hanging:
        thread.join(PATIENCE_S)
    assert sorted(taken) == [(name, Lane.SUSPECTS) for name in ("a", "b", "c")], "told whose thread they are in"
    standing.run(step("d"), Lane.WORKERS)
    assert taken[-1] == ("d", Lane.WORKERS)


def test_a_step_that_fails_gives_its_place_back() -> None:
    """Whatever becomes of steps, others of the application run after them."""
    standing, taken = Standing(), list[Lane]()

    def failing(_: Lane) -> None:
        raise ZeroDivisionError

    for _ in range(STEPS_AT_ONCE):
        with pytest.raises(ZeroDivisionError):
            standing.run(failing, Lane.WORKERS)
    standing.run(taken.append, Lane.WORKERS)
    assert taken == [Lane.WORKERS]


def test_every_job_of_a_crowded_session_is_looked_at_in_time(world: World) -> None:
    """While two steps of an application are slow, those of its other jobs wait without a worker, and come next."""
    world.add_job()
    world.start()
    world.run(3)
    (loop,) = world.fleet.applications()
    entered, go = threading.Semaphore(0), threading.Event()

    def hang(_: Lane) -> None:
        entered.release()
        assert go.wait(PATIENCE_S)

    hanging = [in_thread(lambda: loop.standing.run(hang, Lane.WORKERS)) for _ in range(STEPS_AT_ONCE)]
    assert all(entered.acquire(timeout=PATIENCE_S) for _ in hanging)
    world.run(10)
    assert world.status().reason is Reason.NOT_READY
    go.set()
    for thread in hanging:
        thread.join(PATIENCE_S)
    world.run(5)
    assert world.status().reason is Reason.WINDOW_NOT_FULL


def test_a_name_is_given_to_one_of_many_threads() -> None:
    """Jobs of one name that are taken up at the same time get different keys."""
    claims = Claims()
    given: list[JobKey] = []
    barrier = threading.Barrier(8)

    def claim(number: int) -> None:
        barrier.wait(PATIENCE_S)
        given.append(claims.claim(KEY, Holder(f"application_{number}", "1"), lambda _: True).key)

    threads = [in_thread(lambda number=number: claim(number)) for number in range(8)]
    for thread in threads:
        thread.join(PATIENCE_S)
    assert len(set(given)) == 8
    assert given.count(KEY) == 1


def test_a_stop_waits_for_the_put_on_the_wire() -> None:
    """Who closes the wire waits for what is being sent, and nothing begins after."""
    wire = Wire()
    inside, go = threading.Event(), threading.Event()

    def send() -> None:
        with wire as is_open:
            assert is_open
            inside.set()
            assert go.wait(PATIENCE_S)

    sender = in_thread(send)
    assert inside.wait(PATIENCE_S)
    assert not wire.close(0.05)
    go.set()
    assert wire.close(PATIENCE_S)
    sender.join(PATIENCE_S)
    with wire as is_open:
        assert not is_open


# ------------------------------------------------------------------ two daemons on one store


class Second:
    """Another daemon beside the first, on the same store and cluster; its steps are told apart by their names."""

    def __init__(self, world: World) -> None:
        self._time = world.time
        env = replace(world.environment, scheduler=self)
        self.fleet = Fleet(env, world.orders, 30_000)
        self.fleet.start(world.time.now)

    def at(self, when: Millis, step: Callable[[], None], *, name: str, lane: Lane = Lane.WORKERS) -> None:
        self._time.at(when, step, name=f"second {name}", lane=lane)


def test_what_another_daemon_asked_for_is_nobody_elses_change(world: World) -> None:
    """The requirements are another daemon's on the same store: they are in the record and not adopted once more."""
    job = world.add_job(ADAPTIVE | {"job.autoscaler.yarn.external-change.hold": "30 min"}, rate=1_600.0)
    world.start()
    Second(world)
    world.run(600)
    assert len(job.puts) > 1
    assert [request.kind for request in world.requests()] == [RequestKind.SCALE] * len(job.puts)


def test_a_budget_is_shared_by_two_daemons_on_one_store(world: World) -> None:
    """What the other one asked for counts before anything is sent."""
    config = ADAPTIVE | {"job.autoscaler.yarn.rescale-budget": "1", "job.autoscaler.scale-down.interval": "0 s"}
    job = world.add_job(config, rate=1_600.0)
    world.start()
    Second(world)
    world.run(120)
    job.catch_up()
    job.rate = 100.0
    world.run(3_600)
    assert len(job.puts) == 1
    assert world.status().reason is Reason.BUDGET


def test_what_another_daemon_sent_before_it_died_is_watched_to_its_end(world: World) -> None:
    """It stored the answer and died before the request's life began: whoever learns of the request begins it."""
    job = world.add_job(ADAPTIVE | {"job.autoscaler.yarn.external-change.hold": "30 min"})
    world.start()
    world.run(61)
    bounds = {SOURCE: Bounds(lower=1, upper=1), WORKER: Bounds(lower=1, upper=4)}
    sent = Request(
        key=JobKey(cluster="test", application="orders-app", job="orders"),
        application_id=world.application.id,
        job_id=job.id,
        decided_at=world.time.now,
        sent_at=world.time.now,
        reason="another daemon's",
        before=dict(job.parallelism),
        target={SOURCE: 1, WORKER: 4},
        requirements=bounds,
        former=dict(job.wanted),
        running_since=job.running_since,
        state=RequestState.SENT,
    )
    world.store.add_request(sent)
    job.put(bounds)
    world.run(60)
    assert [request.state for request in world.requests()] == [RequestState.ACHIEVED]


def test_what_became_of_a_request_in_another_daemon_is_learnt_before_the_next(world: World) -> None:
    """A roll-back that only the store tells of is taken up, once: a decision made without it is not sent."""
    world.add_job(rate=1_600.0)
    world.start()
    world.run(200)
    (loop,) = world.fleet.jobs()
    stood = loop.watch.past[-1]
    assert stood.life.phase is Phase.STEADY
    world.store.update_request(entered(stood, Phase.ROLLED_BACK, "it restarted 2 times", world.time.now))
    assert loop.watch.learn(loop.subject, world.time.now)
    assert loop.watch.past[-1].life.phase is Phase.ROLLED_BACK
    assert not loop.watch.learn(loop.subject, world.time.now)

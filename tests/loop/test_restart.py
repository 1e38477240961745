"""The daemon dies at the worst moments, the store fails: nothing is asked twice, nothing is lost for good."""

from __future__ import annotations

from pathlib import Path

import pytest

from autoscaler.cluster import Checkpoints, PutAnswer, PutResult, Transient
from autoscaler.model import Bounds, History, JobKey, Reason, RequestState
from autoscaler.store import RecoveringStore, StoreUnavailable, open_store
from tests.loop.conftest import Log
from tests.loop.world import ADAPTIVE, SOURCE, T0, WORKER, FakeJob, World

KEY = JobKey(cluster="test", application="orders-app", job="orders")
FULL = StoreUnavailable("store /var/lib/x.db: database or disk is full (the disk is full)")


class Killed(BaseException):
    """kill -9 in the middle of a step."""


def busy(world: World, **traits: object) -> FakeJob:
    job = world.add_job(rate=1_600.0, **traits)  # type: ignore[arg-type]
    world.start()
    world.run(61)
    return job


def killed_during_put(world: World, job: FakeJob, *, carried_out: bool) -> None:
    put = job.put

    def deadly(bounds: dict[str, Bounds]) -> PutAnswer:
        if carried_out:
            put(bounds)
        raise Killed

    job.put = deadly  # type: ignore[method-assign,assignment]
    with pytest.raises(Killed):
        world.run(1)
    job.put = put  # type: ignore[method-assign]


# ------------------------------------------------------------------ the daemon dies


def test_a_crash_between_intent_and_put_voids_the_intent(world: World) -> None:
    """The requirements are not those of the intent, so it was not sent: it is void and decided on anew."""
    job = busy(world)
    killed_during_put(world, job, carried_out=False)
    assert world.requests()[0].state is RequestState.INTENDED
    world.restart()
    world.run(1)
    assert world.requests()[0].state is RequestState.VOID
    assert job.puts == []
    world.run(20)
    assert len(job.puts) == 1, "the window was recalled, so the next pass decides"


def test_a_crash_between_put_and_answer_finds_that_it_was_sent(world: World) -> None:
    """The requirements equal the intent, so it was sent: it is watched to its outcome and not asked again."""
    job = busy(world)
    killed_during_put(world, job, carried_out=True)
    world.restart()
    world.run(1)
    assert world.requests()[0].state is RequestState.SENT
    world.run(60)
    assert [request.state for request in world.requests()][-1] is RequestState.ACHIEVED
    assert len(job.puts) == 1
    scalings = world.store.memory(KEY).scalings
    assert [(s.from_parallelism, s.to_parallelism) for s in scalings[WORKER]] == [(1, 7)]


def test_a_crash_while_watching_goes_on_watching(world: World) -> None:
    """A request in flight is taken up by the next process, with its time-out running on."""
    job = busy(world, slots=3)
    world.run(300)
    world.restart()
    world.run(1)
    assert world.status().reason is Reason.IN_FLIGHT
    world.run(280)
    assert world.requests()[0].state is RequestState.SENT
    world.run(30)
    assert world.requests()[0].state is RequestState.PARTIAL
    assert len(job.puts) == 1
    assert len(world.store.memory(KEY).restarts) == 1, "the scaling is not noted twice"


def test_growth_that_the_history_lacks_is_found_in_the_record(world: World) -> None:
    """A history that another process wrote over does not hide from a grace period what was grown within it."""
    config = ADAPTIVE | {"job.autoscaler.scale-up.grace-period": "1 h"}
    job = world.add_job(config, rate=1_600.0)
    world.start()
    world.run(200)
    assert [put[WORKER].upper for put in job.puts] == [7]
    noted = world.store.memory(KEY).scalings[WORKER]
    world.store.save_memory(KEY, History())
    world.restart()
    job.rate = 100.0
    world.run(300)
    assert [put[WORKER].upper for put in job.puts] == [7]
    (found,) = world.store.memory(KEY).scalings[WORKER]
    assert (found.at, found.from_parallelism, found.to_parallelism) == (noted[0].at, 1, 7)


def test_a_look_that_is_under_way_has_told_nothing_yet(world: World) -> None:
    """Who waits for one look at what is in flight, as ``once`` does, waits until its outcome is stored."""
    busy(world)
    world.run(1)
    world.restart()
    settled = []
    honest = world.flink.checkpoints

    def watched(job_id: str) -> Checkpoints:
        settled.append(loop.has_settled)
        return honest(job_id)

    world.flink.checkpoints = watched  # type: ignore[method-assign]
    world.run(1)
    (loop,) = world.fleet.jobs()
    world.run(60)
    assert settled, "the outcome asks what was replayed"
    assert set(settled) == {False}
    assert loop.has_settled


def test_a_restart_continues_the_window(world: World) -> None:
    """A daemon that was away for seconds decides with its first pass."""
    world.add_job()
    world.start()
    world.run(100)
    assert world.status().reason is Reason.STEADY
    world.restart()
    world.run(3)
    assert world.status().reason is Reason.STEADY


@pytest.mark.parametrize("grace", ["1 h", "0 s"])
def test_what_a_vertex_needed_of_late_outlives_the_process(world: World, grace: str) -> None:
    """A job that idles since the daemon was restarted is shrunk only if there is no grace period to remember."""
    bounds = {SOURCE: Bounds(lower=1, upper=1), WORKER: Bounds(lower=1, upper=8)}
    config = ADAPTIVE | {"job.autoscaler.scale-up.grace-period": grace}
    job = world.add_job(config, rate=2_000.0, parallelism={SOURCE: 1, WORKER: 8}, wanted=bounds)
    world.start()
    world.run(100)
    world.restart()
    job.rate = 100.0
    world.run(200)
    assert (job.puts == []) is (grace == "1 h")


def test_a_need_that_varies_is_not_written_with_each_pass(world: World) -> None:
    """Of what was needed the store holds what its span began with, until the next span begins."""
    world.add_job(ADAPTIVE | {"job.autoscaler.scale-up.grace-period": "1 h"}, rate=400.0)
    world.start()
    world.run(100)
    (noted,) = world.store.memory(KEY).needs[WORKER]
    world.flink.jobs_there[0].rate = 440.0
    world.run(120)
    assert world.store.memory(KEY).needs[WORKER] == (noted,)
    world.run(300)
    _, later = world.store.memory(KEY).needs[WORKER]
    assert later.at - noted.at == 300_000


def test_a_restart_after_a_stop_of_the_application_voids_its_request(world: World) -> None:
    """A request to a job id that is gone is closed when its successor is taken up."""
    busy(world, restart_ms=100_000)
    world.run(1)
    world.flink.jobs_there[:] = [FakeJob(clock=world.time.clock, id="2" * 32)]
    world.restart()
    world.run(3)
    (request,) = world.requests()
    assert request.state is RequestState.NOT_ACHIEVED
    assert request.outcome is not None
    assert "another id" in request.outcome.note


def test_settling_waits_for_the_application(world: World) -> None:
    """An intent is settled when the application can be asked, and until then nothing is sent."""
    job = busy(world)
    killed_during_put(world, job, carried_out=True)
    world.restart()
    world.flink.broken["requirements"] = Transient("timeout", "no answer")
    world.run(60)
    assert world.requests()[0].state is RequestState.INTENDED
    world.flink.broken.clear()
    world.run(30)
    assert world.requests()[0].state is RequestState.ACHIEVED
    assert len(job.puts) == 1


def test_a_clock_that_was_set_back_begins_the_window_anew(world: World, log: Log) -> None:
    """What was measured in what is the future now tells no rates, and must not keep a job unscaled until then."""
    bounds = {SOURCE: Bounds(lower=1, upper=1), WORKER: Bounds(lower=1, upper=8)}
    days_ago = world.time.now - 172_800_000
    job = world.add_job(rate=2_800.0, parallelism={SOURCE: 1, WORKER: 8}, wanted=bounds, running_since=days_ago)
    world.start()
    world.run(100)
    assert world.status().reason is Reason.STEADY
    world.time.now -= 3_600_000
    job.seen_at = world.time.now
    world.restart()
    world.run(60)
    assert world.status().reason in (Reason.NOT_READY, Reason.WINDOW_NOT_FULL)
    (said,) = [line for line in log if line["event"].startswith("the clock was set back")]
    assert said["newest_sample_ahead"] == "59 min 50 s"
    world.run(120)
    assert world.status().reason is Reason.STEADY
    assert job.puts == []


def test_a_clock_that_is_a_little_behind_keeps_the_window(world: World) -> None:
    """A daemon that takes over from one whose clock was some seconds ahead goes on with its window."""
    world.add_job(rate=2_800.0, parallelism={SOURCE: 1, WORKER: 8}, running_since=world.time.now - 172_800_000)
    world.start()
    world.run(100)
    world.time.now -= 8_000
    world.restart()
    world.run(3)
    assert world.status().reason is Reason.STEADY


def test_new_settings_while_in_flight_lose_nothing(world: World) -> None:
    """Settings read again in the middle of a rescale: its request is watched on by the new loop."""
    job = busy(world, restart_ms=20_000)
    world.run(5)
    world.fleet.obey(world.orders, 30_000, world.time.now)
    world.run(1)
    assert world.status().reason is Reason.IN_FLIGHT
    world.run(40)
    assert world.requests()[0].state is RequestState.ACHIEVED
    assert len(job.puts) == 1


# ------------------------------------------------------------------ the store fails


def test_without_a_store_nothing_is_sent_and_all_goes_on(world: World, log: Log) -> None:
    """A full disk: no intent can be stored, so none is sent; the job says so; once there is room it is sent."""
    job = busy(world)
    world.fragile.fail = FULL
    world.run(100)
    assert job.puts == []
    assert world.status().reason is Reason.STORE_UNAVAILABLE
    assert "not sent, the intent cannot be stored: orders 1→" in world.status().detail
    assert len([line for line in log if line["event"].startswith("the store cannot be used")]) == 1
    world.fragile.fail = None
    world.run(10)
    assert len(job.puts) == 1
    assert "the store can be used again" in [line["event"] for line in log]


def test_a_store_that_fails_during_a_rescale_learns_its_outcome_later(world: World) -> None:
    """What came of a request is stored as soon as that is possible again."""
    busy(world)
    world.run(1)
    world.fragile.fail = FULL
    world.run(60)
    assert world.requests()[0].state is RequestState.SENT
    world.fragile.fail = None
    world.run(20)
    assert world.requests()[0].state is RequestState.ACHIEVED
    assert [s.to_parallelism for s in world.store.memory(KEY).scalings[WORKER]] == [7]


def test_a_store_away_at_the_start_does_not_lose_the_history(world: World) -> None:
    """A daemon that starts without its store sends nothing and writes nothing over what is stored."""
    job = busy(world)
    world.run(60)
    before = world.store.memory(KEY)
    assert before.scalings
    world.fragile.fail = FULL
    world.restart()
    job.rate = 20_000.0
    world.run(200)
    assert len(job.puts) == 1
    world.fragile.fail = None
    world.run(300)
    history = world.store.memory(KEY)
    assert before.scalings[WORKER][0] in history.scalings[WORKER]
    assert len(job.puts) > 1


def test_while_the_history_cannot_be_read_nothing_is_sent_or_written_over(world: World) -> None:
    """A store that takes writes but does not give back what it holds may hide a request in flight."""
    job = busy(world)
    world.run(60)
    before = world.store.memory(KEY)
    assert before.scalings
    world.fragile.failing = {"requests"}
    world.restart()
    job.rate = 20_000.0
    world.run(200)
    assert len(job.puts) == 1
    assert world.status().reason is Reason.STORE_UNAVAILABLE
    assert world.store.memory(KEY) == before
    world.fragile.failing = set()
    world.run(20)
    assert len(job.puts) == 2


def test_a_request_in_flight_is_found_when_the_store_is_back(world: World) -> None:
    """A request the new process could not know of is taken up before anything else is sent."""
    job = busy(world, slots=3)
    world.run(1)
    world.fragile.fail = FULL
    world.restart()
    world.run(100)
    assert world.status().reason is not Reason.IN_FLIGHT
    world.fragile.fail = None
    world.run(20)
    assert world.status().reason is Reason.IN_FLIGHT
    assert len(job.puts) == 1


def test_a_damaged_store_is_set_aside_and_told_what_matters(tmp_path: Path, log: Log) -> None:
    """Damage found while running: the file is set aside by name, jobs go on from memory, and history and the open
    request are stored again."""
    path = tmp_path / "history.db"
    url = f"sqlite:///{path}"
    notes: list[str] = []
    store = RecoveringStore(url, 1 << 30, lambda: T0, notes.append, open_store(url, 1 << 30, T0))
    world = World(memory=store)
    job = busy(world, slots=3)
    world.run(30)
    store.close()
    path.write_bytes(b"this is not a database " * 1_000)
    world.run(20)
    (note,) = notes
    assert f"set aside as {path}.corrupt-" in note
    (request,) = store.open_requests()
    assert request.target == {SOURCE: 6, WORKER: 7}
    world.run(1_200)
    assert store.open_requests() == ()
    assert store.memory(KEY).scalings
    assert world.status().reason is Reason.AWAITING_RESOURCES
    assert len(job.puts) == 1
    store.close()


def test_after_damage_a_new_process_waits_for_a_full_window(tmp_path: Path) -> None:
    """Who starts without a history scales nothing, least of all down, until the window is full again."""
    path = tmp_path / "history.db"
    url = f"sqlite:///{path}"
    store = RecoveringStore(url, 1 << 30, lambda: T0, pytest.fail, open_store(url, 1 << 30, T0))
    world = World(memory=store)
    job = world.add_job(rate=50.0)
    job.parallelism = {SOURCE: 1, WORKER: 4}
    world.start()
    world.run(50)
    store.close()
    path.write_bytes(b"this is not a database " * 1_000)
    opened = open_store(url, 1 << 30, world.time.now)
    assert opened.history_lost
    world.memory = RecoveringStore(url, 1 << 30, lambda: T0, pytest.fail, opened)
    world.restart()
    world.run(59)
    assert world.status().reason is Reason.WINDOW_NOT_FULL
    assert job.puts == []
    world.run(10)
    assert len(job.puts) == 1
    opened.store.close()


def test_an_intent_whose_answer_could_not_be_stored_is_settled_by_the_next_process(world: World) -> None:
    """The store failed between PUT and answer, and the daemon died: the requirements tell."""
    job = busy(world)
    put = job.put

    def then_full(bounds: dict[str, Bounds]) -> PutAnswer:
        world.fragile.fail = FULL
        return put(bounds)

    job.put = then_full  # type: ignore[method-assign,assignment]
    world.run(1)
    assert world.requests()[0].state is RequestState.INTENDED
    world.fragile.fail = None
    world.restart()
    world.run(30)
    assert world.requests()[0].state is RequestState.ACHIEVED
    assert len(job.puts) == 1


@pytest.mark.slow
def test_requests_nobody_watches_are_closed_after_a_day(world: World) -> None:
    """A request to a session's job that ended while no daemon ran does not stay open for ever."""
    busy(world, restart_ms=100_000)
    world.run(1)
    world.flink.jobs_there.clear()
    world.restart()
    world.run(86_400 + 1_200)
    assert world.store.open_requests() == ()
    assert world.requests()[0].state is RequestState.NOT_ACHIEVED


def test_refused_results_are_final(world: World) -> None:
    """A refused request is not open: a restart does not take it up."""
    job = busy(world)
    job.put_answer = PutAnswer(result=PutResult.REJECTED, status=400, message="no")
    world.run(1)
    assert world.store.open_requests() == ()

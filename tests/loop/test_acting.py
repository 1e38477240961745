"""What is sent and when, what is never sent, and how its outcome is watched."""

from __future__ import annotations

from dataclasses import replace

import pytest

from autoscaler.cluster import Checkpoints, Gone, PutAnswer, PutResult, Transient
from autoscaler.core.lifecycle import entered
from autoscaler.core.pacing import REMEMBERED
from autoscaler.loop.action import answered, bounds_to_send, next_look, was_not_carried_out
from autoscaler.model import Bounds, JobKey, Phase, Reason, RequestState
from autoscaler.options.rules import parse_rules
from tests.loop.conftest import Log
from tests.loop.world import ADAPTIVE, SOURCE, WORKER, FakeJob, World

KEY = JobKey(cluster="test", application="orders-app", job="orders")
SENT_AFTER = 62  # the window is full with the pass of the 60th second, read 2 s later


def busy(world: World, **traits: object) -> FakeJob:
    """A job that needs more, started and watched until just before it is asked for."""
    job = world.add_job(rate=1_600.0, **traits)  # type: ignore[arg-type]
    world.start()
    world.run(SENT_AFTER - 1)
    assert job.puts == []
    return job


def answer(result: PutResult, status: int | None = None, message: str = "no") -> PutAnswer:
    return PutAnswer(result=result, status=status, message=message)


# ------------------------------------------------------------------ what is sent


def test_a_scale_up_is_sent_with_all_vertices(world: World) -> None:
    """The PUT holds every vertex of the job, the lower bound as it was and the target as upper bound."""
    job = busy(world)
    world.run(1)
    (put,) = job.puts
    assert put == {SOURCE: Bounds(lower=1, upper=6), WORKER: Bounds(lower=1, upper=7)}


@pytest.mark.parametrize(
    ("live", "present", "target", "sent"),
    [
        (Bounds(lower=1, upper=2), 2, 5, Bounds(lower=1, upper=5)),
        (Bounds(lower=2, upper=2), 2, 5, Bounds(lower=2, upper=5)),
        (Bounds(lower=4, upper=4), 4, 2, Bounds(lower=2, upper=2)),
        (Bounds(lower=3, upper=8), 8, 5, Bounds(lower=3, upper=5)),
        (Bounds(lower=3, upper=9), 4, 4, Bounds(lower=3, upper=9)),
        (Bounds(lower=1, upper=-1), 4, 4, Bounds(lower=1, upper=4)),
    ],
    ids=[
        "up",
        "lower bound kept",
        "lower bound follows down",
        "lower bound not raised",
        "unchanged keeps its bounds",
        "what Flink cannot work with is not passed on",
    ],
)
def test_bounds(live: Bounds, present: int, target: int, sent: Bounds) -> None:
    """A lower bound is kept or lowered and never raised; a vertex that does not change keeps what it has."""
    assert bounds_to_send({"v": live}, {"v": present}, {"v": target}) == {"v": sent}


def test_the_intent_is_stored_before_the_put(world: World) -> None:
    """When the PUT goes out the store already holds what it asks for."""
    job = busy(world)
    held: list[RequestState] = []
    put = job.put

    def spy(bounds: dict[str, Bounds]) -> PutAnswer:
        held.extend(request.state for request in world.store.open_requests())
        return put(bounds)

    job.put = spy  # type: ignore[method-assign,assignment]
    world.run(1)
    assert held == [RequestState.INTENDED]
    assert world.requests()[0].state is RequestState.SENT


def test_the_outcome_is_recorded(world: World, log: Log) -> None:
    """What a rescale took, cost and led to is stored and said in one line."""
    job = busy(world)
    job.checkpoints = replace(job.checkpoints, restored_id=1, triggers={1: world.time.now - 7_000})
    world.run(60)
    (request,) = world.requests()
    assert request.state is RequestState.ACHIEVED
    outcome = request.outcome
    assert outcome is not None
    assert outcome.parallelism == {SOURCE: 6, WORKER: 7}
    assert outcome.took_ms == 4_000
    assert outcome.downtime_ms == 4_000
    assert outcome.replayed_records == 500 * 8
    assert (request.task_managers, outcome.task_managers) == (1, 1)
    (line,) = [line for line in log if line["event"] == "outcome"]
    assert "reached in 4 s" in line["detail"]


def test_released_task_managers_complete_the_outcome(world: World) -> None:
    """TaskManagers that Flink gives back minutes later are counted by YARN and added to the outcome."""
    busy(world)
    world.run(60)
    world.set_application(running_containers=6)
    world.run(60)
    outcome = world.requests()[0].outcome
    assert outcome is not None
    assert outcome.task_managers == 5


def test_task_managers_of_the_next_request_are_not_those_of_the_last(world: World) -> None:
    """Once another request is sent, YARN's count tells of that one, and the earlier outcome stays as it was."""
    job = busy(world)
    world.run(60)
    before = world.requests()[0].outcome
    job.rate *= 4
    job.restart_ms = 200_000
    while len(world.requests()) == 1:
        world.run(10)
    world.set_application(running_containers=9)
    world.run(60)
    first = min(world.requests(), key=lambda request: request.decided_at)
    assert first.outcome == before


# ------------------------------------------------------------------ watching


def test_looks_come_after_1_2_4_and_then_every_5_seconds(world: World) -> None:
    """Between PUT and outcome each look is an overview, the count of slots, and details where they may tell."""
    busy(world, restart_ms=40_000)
    world.run(1)
    sent = world.flink.times("PUT")[0]
    mark = len(world.flink.calls)
    world.run(30)
    assert [(at - sent) // 1000 for at in world.flink.times("overview") if at > sent] == [1, 2, 4, 9, 14, 19, 24, 29]
    assert set(world.flink.calls[mark:]) == {"overview", "task managers", "job"}
    assert world.status().reason is Reason.IN_FLIGHT


def test_next_look_is_always_later() -> None:
    """Whatever the time, the next look lies ahead, at most 5 s; also by a clock that is behind the sending."""
    for now in range(-60_000, 60_000, 250):
        assert now < next_look(0, now) <= now + 5_000


def test_no_second_target_while_one_is_in_flight(world: World) -> None:
    """Whatever the load does meanwhile, one request is answered before another is made."""
    job = busy(world, restart_ms=300_000)
    world.run(1)
    job.rate = 50_000.0
    world.run(200)
    assert len(job.puts) == 1


@pytest.mark.parametrize(
    "trouble",
    [Transient("timeout", "no answer"), Gone("not found"), RuntimeError("surprise")],
    ids=["hangs", "vanished for a moment", "a bug"],
)
@pytest.mark.parametrize("call", ["overview", "job", "checkpoints", "task managers"])
def test_trouble_while_watching_sends_nothing_twice(world: World, log: Log, trouble: Exception, call: str) -> None:
    """Whatever a look stumbles over, the request stays open and is watched on."""
    job = busy(world, restart_ms=10_000)
    world.run(1)
    world.flink.broken[call] = trouble
    world.run(9)
    assert len(job.puts) == 1
    world.flink.broken.clear()
    world.run(60)
    assert len(job.puts) == 1
    assert world.requests()[0].state is RequestState.ACHIEVED


def test_what_is_not_reached_is_closed_after_the_timeout(world: World, log: Log) -> None:
    """After `rescale-timeout` a request the cluster could not fulfil is closed, with what is missing."""
    job = busy(world, slots=3)
    world.run(660)
    request = world.requests()[-1]
    assert request.state is RequestState.PARTIAL
    assert request.outcome is not None
    assert request.outcome.note.startswith("4 slots missing, still wanted: orders 3→6, enrich 3→7, for 10 min")
    assert "outcome" in [line["event"] for line in log]
    world.run(600)
    assert world.status().reason is Reason.AWAITING_RESOURCES
    assert len(job.puts) == 1, "what was asked for is not asked again"


def test_a_job_gone_while_in_flight_closes_the_request(world: World) -> None:
    """If the job ends before its target is reached, that is the outcome."""
    job = busy(world, restart_ms=100_000)
    world.run(1)
    job.present = False
    world.run(60)
    assert world.requests()[0].state is RequestState.NOT_ACHIEVED
    assert world.fleet.jobs() == []


def test_an_application_that_ends_while_in_flight_closes_the_request(world: World) -> None:
    """The end of the application is the outcome of what was asked of it."""
    busy(world, restart_ms=100_000)
    world.run(1)
    world.end(world.application, "KILLED")
    world.run(60)
    outcome = world.requests()[0].outcome
    assert outcome is not None
    assert "KILLED" in outcome.note


def test_an_application_silent_until_the_timeout_closes_the_request(world: World) -> None:
    """A request to an application that answers no more is closed when its time is up."""
    busy(world, restart_ms=100_000)
    world.run(1)
    world.flink.fail = Transient("timeout", "no answer")
    world.run(700)
    outcome = world.requests()[0].outcome
    assert outcome is not None
    assert "does not answer" in outcome.note


# ------------------------------------------------------------------ answers


@pytest.mark.parametrize(
    ("result", "state", "reason"),
    [
        (PutResult.REJECTED, RequestState.REJECTED, Reason.REJECTED),
        (PutResult.NOT_SENT, RequestState.VOID, Reason.UNREACHABLE),
    ],
)
def test_an_answer_that_says_no_is_recorded_and_shown(
    world: World, result: PutResult, state: RequestState, reason: Reason
) -> None:
    """A PUT that was refused or never went out is stored as such, and the job says so."""
    job = busy(world)
    job.put_answer = answer(result, 400, f"vertex {WORKER} exceeds its maximum parallelism")
    world.run(1)
    assert world.requests()[0].state is state
    status = world.status()
    assert status.reason is reason
    assert "vertex enrich exceeds" in status.detail, "a name, not an id"
    assert "wanted orders 1→6, enrich 1→7" in status.detail


def test_what_flink_refused_is_not_sent_again(world: World) -> None:
    """The same requirements would be refused again: they are held back until something changes."""
    job = busy(world)
    job.put_answer = answer(PutResult.REJECTED, 400, "too much")
    job.rate = 1_600.0
    world.run(1)
    job.lag = 0.0
    for _ in range(30):
        job.lag = 0.0
        world.run(10)
    sent = [tuple(sorted((v, b.upper) for v, b in put.items())) for put in job.puts]
    assert len(sent) == len(set(sent)), "no requirements were sent twice in a row"
    assert len(sent) < 10
    assert world.status().reason is Reason.REJECTED
    assert "not sent again, Flink refused it: too much" in world.status().detail


def test_a_conflict_with_another_update_is_tried_again(world: World) -> None:
    """409 means that somebody else's update is under way; the next pass may ask again."""
    job = busy(world)
    job.put_answer = answer(PutResult.REJECTED, 409, "Another update is in progress")
    world.run(1)
    job.put_answer = None
    world.run(10)
    assert len(job.puts) == 2
    assert world.requests()[0].state is RequestState.SENT


def test_what_was_never_sent_is_asked_again(world: World) -> None:
    """NOT_SENT is certain: the next pass decides anew and sends."""
    job = busy(world)
    job.put_answer = answer(PutResult.NOT_SENT, 302, "redirect")
    world.run(1)
    job.put_answer = None
    world.run(10)
    assert len(job.puts) == 2


def test_an_uncertain_put_is_observed_and_not_repeated(world: World) -> None:
    """A time-out or 500 may mean that it was carried out: looking tells, sending again would not."""
    job = busy(world)
    job.put_answer = answer(PutResult.UNCERTAIN, None, "no complete answer within 8 s")
    world.run(30)
    assert len(job.puts) == 1
    request = world.requests()[0]
    assert request.state is RequestState.ACHIEVED
    assert request.answer == "uncertain: no complete answer within 8 s"


def test_an_uncertain_put_that_was_not_carried_out_is_asked_again(world: World) -> None:
    """After a minute the live requirements tell that Flink never had it: it is void, and a new decision free to ask."""
    job = busy(world)
    world.flink.broken["PUT"] = OSError("the connection broke")
    world.run(55)
    assert world.flink.calls.count("PUT") == 1
    assert world.status().reason is Reason.IN_FLIGHT
    assert "whether Flink has it is uncertain: OSError: the connection broke" in world.status().detail
    world.flink.broken.clear()
    world.run(90)
    request, void = world.requests()
    assert void.state is RequestState.VOID
    assert void.answer == "not carried out, uncertain: OSError: the connection broke"
    assert request.state is RequestState.ACHIEVED
    assert len(job.puts) == 1


def test_an_uncertain_put_that_flink_has_is_waited_for(world: World) -> None:
    """Requirements that are those of the request tell that it was carried out, however long the slots take."""
    job = busy(world, slots=1)
    job.put_answer = answer(PutResult.UNCERTAIN, 500, "no complete answer within 8 s")
    world.run(50)
    assert "whether Flink has it is uncertain" in world.status().detail
    world.run(250)
    assert len(job.puts) == 1
    assert world.status().reason is Reason.IN_FLIGHT
    assert world.status().detail.endswith("(6 slots missing)")


def test_the_record_of_a_job_is_as_long_as_what_is_looked_back_on(world: World) -> None:
    """However often Flink refuses, what is kept in memory of a job's requests is what a start would read again."""
    job = busy(world)
    job.put_answer = answer(PutResult.REJECTED, 409, "Another update is in progress")
    world.run(1_300)
    (loop,) = world.fleet.jobs()
    assert len(job.puts) > REMEMBERED == len(loop.watch.past)
    assert loop.watch.past[-1].decided_at == world.requests()[0].decided_at


def test_an_answer_is_told_in_words() -> None:
    """The stored answer names the result and what was said."""
    world = World()
    busy(world)
    world.run(1)
    request = world.requests()[0]
    assert request.answer == "accepted"
    assert answered(request, answer(PutResult.UNCERTAIN, 500, "x"), 1).answer == "uncertain: x"


def test_what_was_seen_to_run_was_carried_out() -> None:
    """Requirements that are the former ones again mean that an uncertain PUT came to nothing, unless its target ran."""
    world = World()
    busy(world)
    world.run(1)
    uncertain = answered(world.requests()[0], answer(PutResult.UNCERTAIN, 500, "x"), 1)
    assert was_not_carried_out(uncertain, uncertain.former)
    assert not was_not_carried_out(entered(uncertain, Phase.APPLIED, "it ran", 2), uncertain.former)


# ------------------------------------------------------------------ never


def test_checkpointing_off_is_refused(world: World) -> None:
    """Without checkpoints a rescale restarts the job from scratch: it is not sent, and that is the reason given."""
    job = busy(world, checkpoint_interval=None)
    world.run(100)
    assert job.puts == []
    assert world.status().reason is Reason.CHECKPOINTING_OFF
    assert "from scratch" in world.status().detail
    assert "enrich 1→" in world.status().detail
    assert world.requests() == ()


def test_no_checkpoint_yet_is_refused(world: World) -> None:
    """Before the first checkpoint the same holds; with it the request goes out."""
    job = busy(world, checkpoints=Checkpoints())
    world.run(30)
    assert job.puts == []
    assert world.status().reason is Reason.NO_CHECKPOINT
    job.checkpoints = Checkpoints(restored_id=4)
    world.run(10)
    assert len(job.puts) == 1


def test_the_override_sends_all_the_same(world: World) -> None:
    """An owner who says so accepts the restart from scratch."""
    config = ADAPTIVE | {"job.autoscaler.yarn.allow-without-checkpoint": "true"}
    job = busy(world, checkpoint_interval=None, config=config)
    world.run(1)
    assert len(job.puts) == 1


def test_advise_mode_decides_and_sends_nothing() -> None:
    """`mode: advise` shows what would be done, with the numbers, and never asks for it."""
    world = World(act=False)
    job = busy(world)
    world.run(300)
    assert job.puts == []
    assert world.requests() == ()
    status = world.status()
    assert status.reason is Reason.ADVISE_ONLY
    assert "would scale orders 1→" in status.detail
    assert {v.name: v.wanted > v.parallelism for v in status.vertices} == {"Source: orders": True, "enrich": True}


def test_a_daemon_that_stops_sends_nothing(world: World) -> None:
    """Once the stop began no request is made; the job says why."""
    job = busy(world)
    world.wire.close(0)
    world.run(1)
    assert job.puts == []
    assert world.status().reason is Reason.STOPPING


@pytest.mark.parametrize("call", ["checkpoints/config", "checkpoints", "requirements", "task managers"])
def test_a_failure_on_the_way_to_the_put_keeps_the_sample(world: World, call: str) -> None:
    """What was measured and wanted is stored even if the application fails in the middle, and it is tried again."""
    job = busy(world)
    world.flink.broken[call] = Transient("timeout", "no answer")
    world.run(1)
    assert job.puts == []
    assert world.status().reason is Reason.UNREACHABLE
    window = world.store.window(KEY, 0)
    assert window is not None
    assert len(window.samples) == 7
    assert world.counters.failed_passes == 1
    world.flink.broken.clear()
    world.run(30)
    assert len(job.puts) == 1


def test_a_rule_for_a_vertex_bounds_it(world: World) -> None:
    """What the settings' rules say of a vertex by its name holds in every decision about it."""
    found = parse_rules([{"match": {"vertex": "enrich"}, "set": {"max": 3}}], "autoscaler.yaml")
    assert found.problems == ()
    world.orders = world.fleet.orders = replace(world.orders, rules=found.rules)
    job = busy(world)
    world.run(300)
    assert job.parallelism[WORKER] == 3

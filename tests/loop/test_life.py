"""The life of a rescale in the loop: what follows a PUT, what others do meanwhile, and what outlives a process."""

from __future__ import annotations

from dataclasses import replace

import pytest

from autoscaler.cluster import PutAnswer, PutResult, Transient
from autoscaler.model import Bounds, Command, JobKey, Life, Phase, Reason, RequestKind, RequestState
from tests.loop.conftest import Log
from tests.loop.world import ADAPTIVE, SOURCE, T0, UNPACED, WORKER, FakeFlink, FakeJob, World

KEY = JobKey(cluster="test", application="orders-app", job="orders")
Y = "job.autoscaler.yarn."
QUIET = ADAPTIVE | {f"{Y}probation": "2 min"}
SENT_AFTER = 62
STEADY_RATE = 1_600.0


def paced(**settings: str) -> dict[str, str]:
    """The settings of a quick job, with some of what paces rescales switched on."""
    return ADAPTIVE | {f"{Y}{name.replace('__', '.').replace('_', '-')}": value for name, value in settings.items()}


def rescaled(world: World, config: dict[str, str] = QUIET, **traits: object) -> FakeJob:
    """A job just asked to grow from 1 to 6 and 7."""
    job = world.add_job(config, rate=STEADY_RATE, **traits)  # type: ignore[arg-type]
    world.start()
    world.run(SENT_AFTER)
    assert len(job.puts) == 1
    return job


def trail(world: World, nth: int = -1) -> list[str]:
    return [each.now.value for each in sorted(world.requests(), key=lambda r: r.id or 0)[nth].transitions]


# ------------------------------------------------------------------ probation


def test_a_change_that_does_no_harm_stands_after_its_probation(world: World, log: Log) -> None:
    """Every transition is stored with its reason; the end of the probation is said."""
    rescaled(world)
    world.run(10)
    assert trail(world) == ["REQUESTED", "APPLIED", "PROBATION"]
    world.run(140)
    (request,) = [r for r in world.requests() if r.decided_at == min(x.decided_at for x in world.requests())]
    assert [each.now for each in request.transitions][-1] is Phase.STEADY
    assert request.transitions[-1].reason == "nothing got worse within 2 min"
    assert request.state is RequestState.ACHIEVED
    assert [line["state"] for line in log if line["event"] == "probation"] == ["STEADY"]


def test_failing_checkpoints_roll_a_rescale_back_once(world: World, log: Log) -> None:
    """The former requirements are asked for, once; an alert says why; metrics count it."""
    job = rescaled(world)
    before = {SOURCE: Bounds(lower=1, upper=1), WORKER: Bounds(lower=1, upper=1)}
    world.run(20)
    job.checkpoints = replace(job.checkpoints, failed=2)
    world.run(300)
    assert job.puts[1] == before
    rolled_back = [r for r in world.requests() if r.kind is RequestKind.ROLL_BACK]
    assert len(rolled_back) == 1
    assert "2 checkpoints failed since" in rolled_back[0].reason
    assert [each.now for each in rolled_back[0].transitions] == [Phase.REQUESTED, Phase.APPLIED, Phase.STEADY]
    assert trail(world, 0) == ["REQUESTED", "APPLIED", "PROBATION", "ROLLED_BACK"]
    assert world.counters.requests_rolled_back == 1
    assert next(line["log_level"] for line in log if line["event"] == "probation") == "warning"


def test_a_target_that_does_not_come_up_is_rolled_back(world: World) -> None:
    """A job that dies at its new parallelism again and again gets the former one back before any timeout."""
    job = rescaled(world, fails_at=7)
    world.run(120)
    assert job.puts[1][WORKER] == Bounds(lower=1, upper=1)
    assert job.parallelism == {SOURCE: 1, WORKER: 1}
    first = min(world.requests(), key=lambda r: r.id or 0)
    assert first.state is RequestState.NOT_ACHIEVED
    assert "restarted 2 times" in first.transitions[-1].reason


def test_a_job_that_dies_on_probation_is_rolled_back_while_it_is_down(world: World) -> None:
    """Not even a pass with samples is needed."""
    job = rescaled(world)
    world.run(20)
    job.fails_at = 7
    world.run(120)
    assert job.puts[1][WORKER].upper == 1


def test_a_bad_target_is_not_tried_again(world: World) -> None:
    """The same load wants the same target, which is known to be bad for a while, and the job says so."""
    job = rescaled(world, paced(probation="2 min", bad_target__memory="6 h"))
    world.run(20)
    job.checkpoints = replace(job.checkpoints, failed=2)
    world.run(30)
    assert len(job.puts) == 2
    for _ in range(40):
        job.lag = 0.0
        world.run(10)
    assert {tuple(put.items()) for put in job.puts[2:]} & {tuple(job.puts[0].items())} == set()
    assert all(r.target != world.requests()[-1].target for r in world.requests()[:-1] if r.kind is RequestKind.SCALE)


def test_a_paused_job_is_not_rolled_back(world: World) -> None:
    """Whoever paused a job is not overruled by a probation."""
    job = rescaled(world)
    world.store.set_command(
        Command(cluster="test", target=str(KEY), option="job.autoscaler.scaling.enabled", value="false", by="a", at=T0)
    )
    world.run(40)
    job.checkpoints = replace(job.checkpoints, failed=9)
    world.run(200)
    assert len(job.puts) == 1


def test_a_probation_goes_on_in_the_next_process(world: World) -> None:
    """What was seen before a restart counts, and what is found after it is undone all the same."""
    job = rescaled(world)
    world.run(40)
    world.restart()
    job.checkpoints = replace(job.checkpoints, failed=2)
    world.run(60)
    assert [put[WORKER].upper for put in job.puts] == [7, 1]


def test_a_roll_back_that_could_not_be_sent_is_sent_by_the_next_process(world: World) -> None:
    """The verdict is stored before the PUT: a crash in between does not leave the job as it is."""
    job = rescaled(world)
    world.run(20)
    world.flink.broken["requirements"] = Transient("timeout", "no answer")
    world.run(5)
    job.checkpoints = replace(job.checkpoints, failed=2)
    request = world.store.requests(KEY, 1)[0]
    assert request.life.phase is Phase.PROBATION
    world.store.update_request(replace(request, life=replace(request.life, phase=Phase.ROLLED_BACK)))
    world.flink.broken.clear()
    world.restart()
    world.run(60)
    assert [put[WORKER].upper for put in job.puts] == [7, 1]


def test_further_growth_ends_a_probation(world: World) -> None:
    """A job that needs more is not made to wait; a scale-down waits."""
    job = rescaled(world, paced(probation="10 min"))
    job.rate = 6_000.0
    world.run(200)
    assert len(job.puts) > 1
    first = min(world.requests(), key=lambda r: r.id or 0)
    assert first.transitions[-1].reason == "followed by another rescale"
    assert sum(r.life.phase is Phase.PROBATION for r in world.requests()) <= 1
    job.rate, job.lag, count = 100.0, 0.0, len(job.puts)
    world.run(200)
    assert len(job.puts) == count
    assert world.status().reason is Reason.PROBATION


# ------------------------------------------------------------------ what the cluster does not give


def test_what_is_not_granted_is_withdrawn_and_asked_again_later(world: World) -> None:
    """The upper bounds are lowered to what was reached; more slots wait for a back-off that doubles."""
    job = rescaled(world, paced(back_off="5 min"), slots=3)
    world.run(606)
    assert job.puts[1] == {SOURCE: Bounds(lower=1, upper=3), WORKER: Bounds(lower=1, upper=3)}
    partial, withdrawal = sorted(world.requests(), key=lambda r: r.id or 0)
    assert partial.state is RequestState.PARTIAL
    assert [each.now.value for each in partial.transitions] == ["REQUESTED", "PARTIAL", "STEADY"]
    assert withdrawal.kind is RequestKind.WITHDRAW
    assert withdrawal.state in (RequestState.SENT, RequestState.ACHIEVED)
    world.run(120)
    assert world.status().reason is Reason.AWAITING_RESOURCES
    assert "tried again from" in world.status().detail
    assert len(job.puts) == 2
    job.slots = 1_000
    world.run(200)
    assert len(job.puts) == 3


def test_flinks_own_waiting_does_not_use_up_the_timeout(world: World) -> None:
    """From 2.0 on Flink waits for a checkpoint with all slots at hand; that is shown, and no failure."""
    job = rescaled(world, QUIET, version="2.1.3", delay_ms=900_000, held_slots=8)
    world.run(700)
    status = world.status()
    assert status.reason is Reason.IN_FLIGHT
    assert "Flink waits for a checkpoint" in status.detail
    world.run(260)
    assert world.requests()[-1].state is RequestState.ACHIEVED
    assert world.requests()[-1].outcome is not None
    assert len(job.puts) == 1


def test_a_restart_is_measured_from_the_moment_the_job_stops(world: World) -> None:
    """The wait before it is no part of what a rescale costs."""
    rescaled(world, QUIET, version="2.1.3", delay_ms=60_000, held_slots=8)
    world.run(100)
    outcome = world.requests()[0].outcome
    assert outcome is not None
    assert outcome.took_ms is not None
    assert outcome.took_ms >= 60_000
    (restart,) = world.store.memory(KEY).restarts
    assert restart.duration_s is not None
    assert restart.duration_s <= 10


@pytest.mark.parametrize(
    ("version", "words"),
    [
        ("1.18.1", "min-parallelism-increase: 6 would make it one"),
        ("1.20.0", "scaling-interval.min: 25 s would make it one"),
        ("2.1.3", "restarted 3 times as slots came"),
    ],
)
def test_slots_that_come_one_by_one_are_one_rescale_with_an_advice(world: World, version: str, words: str) -> None:
    """Each restart on the way is known, and what would have made one of them, from the times measured."""
    job = rescaled(world, QUIET, version=version, slots=3)
    for slots in (5, 1_000):
        world.run(10)
        job.slots = slots
        job.grant()
    world.run(30)
    (request,) = [r for r in world.requests() if r.kind is RequestKind.SCALE]
    assert request.state is RequestState.ACHIEVED
    assert request.outcome is not None
    assert words in request.outcome.note
    assert len(job.puts) == 1


# ------------------------------------------------------------------ somebody else


BY_HAND = {SOURCE: Bounds(lower=1, upper=2), WORKER: Bounds(lower=1, upper=3)}


def test_somebody_elses_change_is_adopted_and_held(world: World, log: Log) -> None:
    """Requirements that are not ours are kept for the hold, visibly; then the job is scaled again."""
    job = rescaled(world, paced(external_change__hold="5 min"))
    world.run(30)
    job.put(BY_HAND)
    world.run(120)
    assert world.status().reason is Reason.EXTERNAL_CHANGE
    assert "somebody else changed the requirements: orders 6→2, enrich 7→3" in world.status().detail
    adopted = world.requests()[0]
    assert (adopted.kind, adopted.state) == (RequestKind.ADOPT, RequestState.ADOPTED)
    assert dict(adopted.requirements) == BY_HAND
    assert len(job.puts) == 2, "ours and theirs"
    assert world.counters.external_changes == 1
    assert "external change" in [line["event"] for line in log]
    world.run(300)
    assert len(job.puts) > 2


def test_somebody_elses_change_of_a_job_never_asked_for_anything_is_adopted_too(world: World) -> None:
    """What a person sets on a job that was steady so far is theirs, however different from what it was."""
    job = world.add_job(paced(external_change__hold="5 min"), rate=100.0)
    world.start()
    world.run(100)
    job.put(BY_HAND)
    job.rate = STEADY_RATE
    world.run(120)
    assert world.requests()[-1].state is RequestState.ADOPTED
    assert world.status().reason is Reason.EXTERNAL_CHANGE
    assert len(job.puts) == 1, "theirs alone"


def test_a_request_whose_time_ran_out_while_nobody_watched_is_closed(world: World) -> None:
    """A daemon that was down for longer than rescale-timeout looks first, and then closes what was not reached."""
    job = world.add_job(paced(rescale_timeout="5 min"), rate=STEADY_RATE, slots=2)
    world.start()
    world.run(SENT_AFTER)
    assert len(job.puts) == 1
    world.time.now += 900_000  # the daemon is down
    world.restart()
    world.run(30)
    first = min(world.requests(), key=lambda each: each.id or 0)
    assert first.state is RequestState.PARTIAL, "of 6 and 7 it has 2"
    assert trail(world, 0) == ["REQUESTED", "PARTIAL", "STEADY"]
    assert world.status().reason is not Reason.IN_FLIGHT


def test_a_hold_outlives_the_process(world: World) -> None:
    """A daemon started anew does not fight either."""
    job = rescaled(world, paced(external_change__hold="10 min"))
    world.run(30)
    job.put(BY_HAND)
    world.run(100)
    world.restart()
    world.run(200)
    assert world.status().reason is Reason.EXTERNAL_CHANGE
    assert len(job.puts) == 2


def test_somebody_elses_change_ends_a_probation(world: World) -> None:
    """Without a fight: nothing is rolled back over what a person set."""
    job = rescaled(world, paced(probation="5 min", external_change__hold="30 min"))
    world.run(20)
    job.put(BY_HAND)
    job.checkpoints = replace(job.checkpoints, failed=9)
    world.run(400)
    assert len(job.puts) == 2
    first = min(world.requests(), key=lambda r: r.id or 0)
    assert first.transitions[-1].reason == "somebody else changed the requirements"
    assert world.counters.requests_rolled_back == 0


def test_bounds_that_change_nothing_yet_are_somebody_elses_all_the_same(world: World) -> None:
    """On probation the requirements are looked at, so that a roll-back does not undo what a person has set since."""
    job = rescaled(world, paced(probation="5 min", external_change__hold="30 min"))
    world.run(20)
    job.wanted = job.wanted | {WORKER: Bounds(lower=2, upper=7)}
    world.run(15)
    job.checkpoints = replace(job.checkpoints, failed=9)
    world.run(100)
    assert len(job.puts) == 1
    assert world.requests()[0].state is RequestState.ADOPTED
    assert world.counters.requests_rolled_back == 0


def flapping(world: World, **more: str) -> FakeJob:
    """A job of 7 whose TaskManagers come and go, at its third fall to 4."""
    job = rescaled(world, paced(external_change__hold="30 min", **more))
    for to in (4, 7, 4, 7, 4):
        world.run(30)
        job.rescale(**{WORKER: to})
    return job


def test_a_flapping_job_is_pinned_without_a_restart(world: World, log: Log) -> None:
    """Its upper bounds are lowered to what runs while it is small, once, and said; its lower bounds stay. When its
    TaskManagers are back it is not restarted for them, nor by us for an hour."""
    job = flapping(world)
    since = job.running_since
    world.run(30)
    assert job.puts[1:] == [{SOURCE: Bounds(lower=1, upper=6), WORKER: Bounds(lower=1, upper=4)}]
    assert world.requests()[0].kind is RequestKind.PIN
    assert world.requests()[0].state is RequestState.ACHIEVED
    said = "its parallelism changed 3 times and more within an hour without a request"
    assert f"pinned, as {said}: enrich 7→4" in world.requests()[0].reason
    job.grant()
    job.rate = 300.0
    world.run(1_800)
    assert (job.running_since, len(job.puts)) == (since, 2)
    assert world.status().reason is Reason.FLAPPING
    assert f"{said}; left as it is until" in world.status().detail
    assert len([line for line in log if line["event"] == "parallelism changed without a request"]) == 3
    assert len([line for line in log if line["event"] == "flapping job pinned"]) == 1
    assert world.counters.flapping_pinned == 1
    world.run(1_900)
    assert len(job.puts) > 2, "after an hour of quiet it is scaled again"


def test_a_job_that_recovers_step_by_step_is_not_pinned(world: World) -> None:
    """One loss that is made up for TaskManager by TaskManager is as many changes, but the job gets them all again."""
    job = rescaled(world, paced(external_change__hold="30 min"))
    for to in (3, 4, 5, 6):
        world.run(30)
        job.rescale(**{WORKER: to})
    world.run(60)
    assert len(job.puts) == 1
    assert "left as it is for" in world.status().detail
    assert job.wanted[WORKER].upper == 7


def test_a_job_that_falls_step_by_step_is_not_pinned(world: World) -> None:
    """TaskManagers lost one after the other in one outage are one fall: the job recovers in full when they are back."""
    job = rescaled(world, paced(external_change__hold="30 min"))
    for parallelism in (6, 5, 4):
        world.run(30)
        job.rescale(**{WORKER: parallelism})
    world.run(60)
    assert len(job.puts) == 1
    assert job.wanted[WORKER].upper == 7


def test_a_pin_of_a_flapping_job_is_lost_with_its_applicationmaster(world: World) -> None:
    """A job that begins anew, as large as it was submitted, is not made as small as it was pinned."""
    job = flapping(world, restore_requirements="true")
    world.run(60)
    assert world.requests()[0].kind is RequestKind.PIN
    successor = another_attempt(world, job)
    successor.parallelism = {SOURCE: 6, WORKER: 7}
    successor.wanted = {SOURCE: Bounds(lower=1, upper=6), WORKER: Bounds(lower=1, upper=7)}
    world.run(300)
    assert RequestKind.RESTORE not in {request.kind for request in world.requests()}


def test_slots_that_an_untouched_vertex_takes_are_no_change_of_somebody_elses(world: World, log: Log) -> None:
    """A scale-down frees slots, and a vertex that was allowed more than it had takes some: that was asked for too."""
    job = world.add_job(paced(external_change__hold="30 min"), rate=900.0)
    job.parallelism = {SOURCE: 1, WORKER: 8}
    job.wanted = {SOURCE: Bounds(lower=1, upper=4), WORKER: Bounds(lower=1, upper=8)}
    world.start()
    world.run(300)
    assert world.requests()
    assert "parallelism changed without a request" not in [line["event"] for line in log]


def test_a_pinned_flapping_job_that_falls_behind_grows(world: World) -> None:
    """A pin must not cost a night: a lag beyond the threshold that grows ends it."""
    job = flapping(world)
    world.run(30)
    assert len(job.puts) == 2
    job.rate = 3_000.0
    world.run(600)
    assert job.puts[-1][WORKER].upper > 4


def test_an_operator_ends_the_wait_of_a_flapping_job(world: World) -> None:
    """`resume JOB --for` takes it up anew: it is scaled by its load from then on."""
    job = flapping(world)
    world.run(30)
    job.rate = 300.0
    world.run(300)
    assert (len(job.puts), world.status().reason) == (2, Reason.FLAPPING)
    world.store.set_command(replace(pinned("true", at=world.time.now), option="job.autoscaler.scaling.enabled"))
    world.run(150)
    assert len(job.puts) > 2


# ------------------------------------------------------------------ another attempt, another application


def another_attempt(world: World, job: FakeJob) -> FakeJob:
    """A new ApplicationMaster without high availability: the job as it was submitted, under another id."""
    successor = FakeJob(clock=world.time.clock, id="2" * 32, rate=job.rate, running_since=world.time.now)
    world.flink.jobs_there[:] = [successor]
    world.set_application(am_address="host:2")
    return successor


def test_requirements_lost_with_the_applicationmaster_are_asked_for_again(world: World, log: Log) -> None:
    """Seen, recorded, and asked for again once the job runs stably; that is on no probation."""
    config = paced(restore_requirements="true", probation="10 min")
    job = rescaled(world, config | {"job.autoscaler.stabilization.interval": "60 s"})
    world.run(30)
    successor = another_attempt(world, job)
    said = "a new ApplicationMaster lost the requirements"
    while not any(said in status.detail for status in world.fleet.statuses()):
        world.run(1)
    assert successor.puts == []
    world.run(60)
    assert [put[WORKER].upper for put in successor.puts] == [7]
    restored = world.requests()[0]
    assert restored.kind is RequestKind.RESTORE
    assert restored.transitions[-1].now is Phase.STEADY
    assert world.counters.requirements_lost == 1
    assert "requirements lost" in [line["event"] for line in log]


@pytest.mark.parametrize(("timeout", "waited"), [("15 min", 65), ("30 s", 50)], ids=["after a minute", "time is up"])
def test_what_was_never_carried_out_is_not_restored(world: World, timeout: str, waited: int) -> None:
    """A PUT without a certain answer never reached the job: that shows in the requirements."""
    config = paced(restore_requirements="true", back_off="10 min", rescale_timeout=timeout)
    job = world.add_job(config, rate=STEADY_RATE)
    world.flink.broken["PUT"] = OSError("the connection broke")
    world.start()
    world.run(SENT_AFTER + waited)
    assert world.requests()[-1].state is RequestState.VOID
    world.flink.broken["PUT"] = OSError("nothing may be asked for meanwhile")
    successor = another_attempt(world, job)
    successor.rate = 100.0
    world.run(120)
    assert RequestKind.RESTORE not in {request.kind for request in world.requests()}


def test_what_another_daemon_restored_before_it_died_is_settled(world: World) -> None:
    """It died between its PUT and the outcome: who sees that what was lost runs again looks who asked for it."""
    config = paced(restore_requirements="true", probation="10 min")
    job = rescaled(world, config | {"job.autoscaler.stabilization.interval": "60 s"})
    world.run(30)
    lost = world.requests()[0]
    successor = another_attempt(world, job)
    while not any("lost the requirements" in status.detail for status in world.fleet.statuses()):
        world.run(1)
    world.store.add_request(
        replace(
            lost,
            kind=RequestKind.RESTORE,
            job_id=successor.id,
            decided_at=world.time.now,
            sent_at=None,
            before=dict(successor.parallelism),
            state=RequestState.INTENDED,
            outcome=None,
            life=Life(),
            transitions=(),
            id=None,
        )
    )
    successor.put(lost.requirements)
    world.run(90)
    assert len(successor.puts) == 1, "the other one's"
    assert world.requests()[0].kind is RequestKind.RESTORE
    assert world.requests()[0].state is RequestState.ACHIEVED


def test_a_new_application_inherits_the_history_and_nothing_else(world: World) -> None:
    """It was submitted at the parallelism its owner wants now; the window starts anew."""
    job = rescaled(world, paced(restore_requirements="true"))
    world.run(60)
    history = world.store.memory(KEY)
    assert history.scalings[WORKER]
    world.end(world.application)
    world.run(31)
    successor = FakeJob(clock=world.time.clock, id="2" * 32, rate=100.0, running_since=world.time.now)
    world.add(FakeFlink([successor], paced(restore_requirements="true")), 2)
    world.run(75)
    assert world.status().reason in (Reason.NOT_READY, Reason.WINDOW_NOT_FULL)
    assert successor.puts == []
    assert world.store.memory(KEY).scalings[WORKER] == history.scalings[WORKER]
    assert len(job.puts) == 1


# ------------------------------------------------------------------ when


def test_a_rescale_within_held_slots_follows_a_checkpoint(world: World) -> None:
    """On 1.20 it is sent within seconds of the next one that completes, and not before."""
    job = world.add_job(paced(checkpoint_wait__max="10 min"), rate=STEADY_RATE, held_slots=8)
    job.checkpoint_interval = 60_000
    world.start()
    world.run(90)
    assert job.puts == []
    assert world.status().reason is Reason.CHECKPOINT_WAIT
    job.checkpoints = replace(job.checkpoints, completed_id=2, completed_at=world.time.now)
    world.run(4)
    assert len(job.puts) == 1
    assert world.status().reason in (Reason.SCALE, Reason.IN_FLIGHT)
    assert world.store.decisions(KEY, 1)[0].decision.reason is Reason.SCALE
    assert world.store.memory(KEY) is not None


def test_without_a_checkpoint_an_up_is_sent_and_a_down_is_dropped(world: World) -> None:
    """When the wait is over the one says what is processed again, the other is not worth it."""
    up = world.add_job(paced(checkpoint_wait__max="10 min"), rate=STEADY_RATE, held_slots=8)
    down = world.add_job(paced(checkpoint_wait__max="10 min"), rate=50.0, id="2" * 32, held_slots=8)
    down.parallelism = {SOURCE: 1, WORKER: 4}
    down.wanted = {SOURCE: Bounds(lower=1, upper=1), WORKER: Bounds(lower=1, upper=4)}
    for job in (up, down):
        job.checkpoint_interval = 60_000
        job.checkpoints = replace(job.checkpoints, completed_at=T0 - 5_000, completed_triggered_at=T0 - 6_000)
    world.start()
    world.run(SENT_AFTER + 70)
    assert len(up.puts) == 1
    assert "sent without a checkpoint after 1 min" in world.requests()[0].reason
    assert "records are processed again" in world.requests()[0].reason
    assert down.puts == []
    assert world.reasons()["app-2/orders"] == "CHECKPOINT_WAIT"


@pytest.mark.parametrize(
    ("trouble", "reason"),
    [({"failing": True}, Reason.CHECKPOINTS_FAIL), ({"savepoint_running": True}, Reason.SAVEPOINT)],
)
def test_nothing_is_sent_while_checkpoints_fail_or_a_savepoint_runs(
    world: World, trouble: dict[str, bool], reason: Reason
) -> None:
    """Both pass, and then the rescale is sent."""
    job = world.add_job(rate=STEADY_RATE)
    good = job.checkpoints
    job.checkpoints = replace(good, **trouble)  # type: ignore[arg-type]
    world.start()
    world.run(90)
    assert (job.puts, world.status().reason) == ([], reason)
    job.checkpoints = good
    world.run(10)
    assert len(job.puts) == 1


def test_the_budget_stops_a_job_that_keeps_up(world: World) -> None:
    """Beyond it only a job that falls behind is rescaled, which is said."""
    job = rescaled(world, paced(rescale_budget="1"))
    world.run(30)
    job.rate = 5_000.0
    for _ in range(30):
        job.lag = 0.0
        world.run(10)
    assert len(job.puts) == 1
    assert world.status().reason is Reason.BUDGET
    job.rate = 40_000.0
    world.run(400)
    assert len(job.puts) > 1
    assert "rescale 2 of 1 within a day" in sorted(world.requests(), key=lambda r: r.id or 0)[1].reason
    assert world.counters.requests_overdrawn >= 1


def test_a_command_counts_before_the_next_put(world: World) -> None:
    """A pause given a moment ago stops a rescale although no discovery has seen it yet."""
    job = world.add_job(rate=STEADY_RATE)
    world.start()
    world.run(SENT_AFTER - 1)
    world.store.set_command(
        Command(cluster="test", target=str(KEY), option="job.autoscaler.scaling.enabled", value="false", by="a", at=T0)
    )
    world.run(1)
    assert (job.puts, world.status().reason) == ([], Reason.COMMANDED)
    world.run(60)
    assert (job.puts, world.status().reason) == ([], Reason.SCALING_DISABLED)


# ------------------------------------------------------------------ what it costs

DEFAULTS = {key: value for key, value in ADAPTIVE.items() if key not in UNPACED}


def test_a_steady_pass_asks_for_no_more_than_without_all_this(world: World) -> None:
    """With everything switched on, a job that needs nothing costs the same five calls."""
    world.add_job(DEFAULTS)
    world.start()
    world.run(100)
    assert world.status().reason is Reason.STEADY
    mark = len(world.flink.calls)
    world.run(60)
    assert len(world.flink.calls) - mark == 6 * (3 + 2)
    assert set(world.flink.calls[mark:]) == {"poke", "overview", "job", "metrics"}


def test_a_pass_on_probation_asks_for_three_things_more(world: World) -> None:
    """Checkpoints, requirements and garbage collection, once each."""
    rescaled(world)
    world.run(30)
    assert "the rescale before is on probation for" in world.status().detail
    mark = len(world.flink.calls)
    world.run(10)
    extra = [call for call in world.flink.calls[mark:] if call not in ("poke", "overview", "job", "metrics")]
    assert sorted(extra) == ["checkpoints", "memory", "requirements"]


def test_the_same_id_in_another_application_is_another_job(world: World) -> None:
    """Some versions of Flink give every job one id: requirements of a new submission are nobody's change."""
    config = paced(external_change__hold="30 min", probation="10 min")
    rescaled(world, config)
    world.run(20)
    world.end(world.application)
    successor = FakeJob(clock=world.time.clock, rate=STEADY_RATE)
    world.add(FakeFlink([successor], config), 2)
    world.restart()
    world.run(200)
    assert world.counters.external_changes == 0
    assert len(successor.puts) == 1
    ended = min(world.requests(), key=lambda r: r.id or 0).transitions[-1]
    assert (ended.now, ended.reason) == (Phase.STEADY, "the job runs under another id now")


# ------------------------------------------------------------------ pins


def pinned(value: str, at: int = T0, vertex: str = "enrich") -> Command:
    return Command(
        cluster="test", target=str(KEY), option=f"pin {vertex}", value=value, by="alice", at=at, why="campaign"
    )


def test_a_pinned_job_is_brought_there_once_and_left_alone(world: World) -> None:
    """The vertex gets what the operator wants, the others keep what they have, whatever the load does."""
    world.store.set_command(pinned("3"))
    job = world.add_job(paced(probation="10 min"), rate=STEADY_RATE)
    world.start()
    world.run(300)
    assert job.puts == [{SOURCE: Bounds(lower=1, upper=1), WORKER: Bounds(lower=1, upper=3)}]
    status = world.status()
    assert status.reason is Reason.PINNED
    assert "pinned: enrich at 3 by operator command by alice (campaign) at" in status.detail
    assert world.requests()[0].kind is RequestKind.PIN
    job.put(BY_HAND | {WORKER: Bounds(lower=1, upper=2)})
    world.run(100)
    world.restart()
    world.run(100)
    assert len(job.puts) == 2, "nobody fights over it"
    world.store.unset_command(pinned("3"))
    world.run(120)
    assert len(job.puts) > 2, "from here on it is scaled again"


def test_a_pin_waits_for_a_checkpoint_to_exist(world: World) -> None:
    """An operator's wish is no reason to lose state."""
    world.store.set_command(pinned("3"))
    job = world.add_job()
    good = job.checkpoints
    job.checkpoints = replace(good, completed_id=None)
    world.start()
    world.run(60)
    assert job.puts == []
    assert "no checkpoint has completed" in world.status().detail
    job.checkpoints = good
    world.run(20)
    assert len(job.puts) == 1


def test_a_pin_that_was_not_reached_says_so(world: World) -> None:
    """What did not come about does not look as if it had: the status says why as long as the pin stands."""
    world.store.set_command(pinned("3"))
    job = world.add_job(rate=STEADY_RATE)
    job.put_answer = PutAnswer(result=PutResult.REJECTED, status=400, message="enrich cannot have so many")
    world.start()
    world.run(200)
    assert len(job.puts) == 1
    assert "which Flink refused (rejected: enrich cannot have so many), and is not again: enrich 3→" in (
        world.status().detail
    )
    job.put_answer, job.slots = None, 2
    world.store.set_command(pinned("4", at=world.time.now))
    world.run(900)
    assert len(job.puts) == 2
    assert "and not reached (" in world.status().detail
    job.slots = 9
    job.put(BY_HAND | {WORKER: Bounds(lower=1, upper=4)})
    world.run(60)
    assert world.status().detail.endswith(" UTC"), "it runs there now"


def test_a_job_pinned_where_it_is_is_never_touched(world: World) -> None:
    """Not even to undo what an earlier rescale did."""
    job = rescaled(world)
    world.store.set_command(pinned("7"))
    world.run(40)
    job.checkpoints = replace(job.checkpoints, failed=9)
    job.rate = 9_000.0
    world.run(300)
    assert len(job.puts) == 1
    assert world.status().reason is Reason.PINNED


def test_a_paused_pin_waits(world: World) -> None:
    """Paused is paused."""
    world.store.set_command(pinned("3"))
    world.store.set_command(replace(pinned("false"), option="job.autoscaler.scaling.enabled"))
    job = world.add_job(rate=STEADY_RATE)
    world.start()
    world.run(200)
    assert (job.puts, world.status().reason) == ([], Reason.SCALING_DISABLED)


def test_advice_pins_nothing() -> None:
    """In advise mode a pin is shown and not carried out."""
    world = World(act=False)
    world.store.set_command(pinned("3"))
    job = world.add_job(rate=STEADY_RATE)
    world.start()
    world.run(100)
    assert (job.puts, world.status().reason) == ([], Reason.PINNED)

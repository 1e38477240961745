"""Where what the cluster can give meets the life of a rescale: what is not granted, taken back, or has to wait."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from types import MappingProxyType

import pytest

from autoscaler.model import Bounds, Reason, RequestKind, RequestState
from tests.loop.conftest import Log
from tests.loop.test_commands import command
from tests.loop.world import ADAPTIVE, SOURCE, WORKER, FakeJob, World, a_node

Y = "job.autoscaler.yarn."
SENT_AFTER = 62
SECOND = "2" * 32


def test_one_refusal_begins_two_waits(world: World, log: Log) -> None:
    """What ends PARTIAL stops the growth of its job, and holds the other jobs of its queue to what there is."""
    world.yarn.nodes_there = (a_node("node-1", 2),)
    first = world.add_job(ADAPTIVE | {f"{Y}back-off": "20 min"}, rate=1_600.0, slots=3)
    second = world.add_job(id=SECOND, name="second", rate=300.0)
    world.start()
    world.run(SENT_AFTER)
    assert first.puts[-1][WORKER].upper == 7
    world.run(630)
    partial = next(request for request in world.requests() if request.kind is RequestKind.SCALE)
    assert partial.state is RequestState.PARTIAL
    assert first.puts[-1] == {SOURCE: Bounds(lower=1, upper=3), WORKER: Bounds(lower=1, upper=3)}
    world.run(60)
    assert [line["queue"] for line in log if line["event"] == "the cluster did not grow"] == ["root.default"]
    assert world.status("orders").reason is Reason.AWAITING_RESOURCES
    world.yarn.nodes_there = (a_node("node-1", 0),)
    world.run(60)
    second.rate = 1_600.0
    world.run(120)
    assert second.puts == []
    assert world.status("second").reason is Reason.NO_CAPACITY
    assert "room for 0 TaskManagers" in world.status("second").detail
    assert len(first.puts) == 2


def test_what_was_lowered_stopped_nothing(world: World) -> None:
    """The withdrawal of what was not granted restarts no job, and its outcome says so."""
    world.add_job(ADAPTIVE | {f"{Y}back-off": "20 min"}, rate=1_600.0, slots=3)
    world.start()
    world.run(SENT_AFTER + 630)
    withdrawal = next(request for request in world.requests() if request.kind is RequestKind.WITHDRAW)
    assert withdrawal.outcome is not None
    assert withdrawal.outcome.downtime_ms == 0


def shrunk(world: World, more: Mapping[str, str] = MappingProxyType({})) -> FakeJob:
    """A job on probation after it went from 8 slots to 4, in a cluster that has no room left."""
    shape = {"taskmanager.numberOfTaskSlots": "4", "taskmanager.memory.process.size": "1 gb"}
    settings = ADAPTIVE | more | shape | {"job.autoscaler.target.utilization.boundary": "0.1"}
    job = world.add_job(settings | {f"{Y}probation": "10 min"}, rate=900.0)
    job.parallelism = {SOURCE: 1, WORKER: 8}
    job.wanted = {SOURCE: Bounds(lower=1, upper=1), WORKER: Bounds(lower=1, upper=8)}
    world.set_application(running_containers=3, allocated_mb=3_072)
    world.yarn.nodes_there = (a_node("node-1", 0),)
    world.start()
    world.run(SENT_AFTER + 10)
    assert job.puts[-1][WORKER].upper == 4
    return job


def test_a_roll_back_is_not_fitted_to_the_cluster(world: World) -> None:
    """A change that did harm is taken back in full, without a look at what there is room for."""
    job = shrunk(world)
    job.checkpoints = replace(job.checkpoints, failed=2)
    world.run(40)
    assert world.requests()[0].kind is RequestKind.ROLL_BACK
    assert job.puts[-1][WORKER].upper == 8
    assert world.yarn.surveys.count("scheduler") == 0


def test_a_scale_down_that_was_taken_back_gives_nothing_back(world: World, log: Log) -> None:
    """Whoever has its TaskManagers again is not told that they did not leave."""
    job = shrunk(world)
    job.checkpoints = replace(job.checkpoints, failed=2)
    world.run(600)
    assert job.parallelism[WORKER] == 8
    assert not [line for line in log if line["event"] == "scale-down"]


def test_who_waited_for_a_checkpoint_waits_its_turn_too(world: World) -> None:
    """The checkpoint a rescale waited for does not let it pass before the others."""
    one = ADAPTIVE | {f"{Y}fleet.rescales-in-flight": "1", f"{Y}checkpoint-wait.max": "10 min"}
    waiting = world.add_job(one, rate=1_600.0, held_slots=8, name="waiting")
    waiting.checkpoint_interval = 60_000
    other = world.add_job(one, id=SECOND, name="other", rate=1_600.0, restart_ms=300_000)
    world.start()
    world.run(90)
    assert (len(waiting.puts), len(other.puts)) == (0, 1)
    waiting.checkpoints = replace(waiting.checkpoints, completed_id=2, completed_at=world.time.now)
    world.run(4)
    assert waiting.puts == []
    assert "1 of at most 1 rescales are under way" in world.status("waiting").detail


# ------------------------------------------------------------------ what is no decision, among all that is asked for


def harmed(world: World, job: FakeJob) -> None:
    """What the job was changed to does it harm."""
    job.checkpoints = replace(job.checkpoints, failed=2)


def test_a_roll_back_goes_before_all_others(world: World) -> None:
    """However many rescales are under way, harm is undone at once; it counts among them from then on."""
    one = ADAPTIVE | {f"{Y}fleet.rescales-in-flight": "1"}
    job = shrunk(world, {f"{Y}fleet.rescales-in-flight": "1"})
    other = world.add_job(one, id=SECOND, name="other", rate=1_600.0, restart_ms=400_000)
    third = world.add_job(one, id="3" * 32, name="third", rate=1_600.0)
    job.restart_ms = 900_000
    world.run(120)
    assert (len(other.puts), len(third.puts)) == (1, 0)
    harmed(world, job)
    world.run(40)
    assert world.requests()[0].kind is RequestKind.ROLL_BACK
    world.run(450)
    assert third.puts == []
    assert "1 of at most 1 rescales are under way" in world.status("third").detail


def test_the_task_managers_of_a_roll_back_are_asked_for_within_a_minute(world: World) -> None:
    """It waits for the minute that others have used up, and no longer, although who waits is behind."""
    few = {f"{Y}fleet.task-managers-per-minute": "5"}
    job = shrunk(world, few)
    others = [
        world.add_job(ADAPTIVE | few, id=str(n) * 32, name=f"job-{n}", rate=1_600.0, restart_ms=600_000)
        for n in range(2, 6)
    ]
    while not any(other.puts for other in others):
        world.run(1)
    world.run(5)
    harmed(world, job)
    world.run(35)
    assert len(job.puts) == 1
    assert "(yarn.fleet.task-managers-per-minute); wanted rolled back" in world.status("orders").detail
    world.run(35)
    assert world.requests()[0].kind is RequestKind.ROLL_BACK
    assert sum(len(other.puts) for other in others) == 1


def test_what_a_roll_back_takes_is_not_there_for_others(world: World) -> None:
    """The last room of a cluster goes to the job that is to have its TaskManagers again."""
    job = shrunk(world)
    world.set_application(running_containers=2)
    world.yarn.nodes_there = (a_node("node-1", 1),)
    job.restart_ms = 600_000
    fixed = ADAPTIVE | {f"{Y}capacity.allowance": "0"}
    other = world.add_job(fixed, id=SECOND, name="other", rate=400.0)
    world.run(90)
    harmed(world, job)
    world.run(40)
    assert job.puts[-1][WORKER].upper == 8
    other.rate = 1_600.0
    world.run(120)
    assert other.puts == []
    assert world.status("other").reason is Reason.NO_CAPACITY


def test_what_a_former_process_rolled_back_is_counted_on(world: World) -> None:
    """A daemon started anew knows from the record what a roll-back still waits for."""
    job = shrunk(world)
    world.set_application(running_containers=2)
    job.restart_ms = 600_000
    harmed(world, job)
    world.run(40)
    assert world.requests()[0].needed_task_managers == 2
    world.restart()
    world.yarn.nodes_there = (a_node("node-1", 1),)
    other = world.add_job(ADAPTIVE | {f"{Y}capacity.allowance": "0"}, id=SECOND, name="other", rate=1_600.0)
    world.run(120)
    assert other.puts == []
    assert world.status("other").reason is Reason.NO_CAPACITY


@pytest.mark.parametrize("kind", [RequestKind.RESTORE, RequestKind.PIN])
def test_what_is_restored_or_pinned_waits_its_turn(world: World, kind: RequestKind) -> None:
    """What a lost ApplicationMaster took along and what an operator wants go when fewer others are under way."""
    one = ADAPTIVE | {f"{Y}fleet.rescales-in-flight": "1", f"{Y}restore-requirements": "true"}
    job = world.add_job(one, rate=1_600.0)
    world.start()
    other = world.add_job(one, id=SECOND, name="other", rate=400.0, restart_ms=300_000)
    world.run(180)
    other.rate = 1_600.0
    while not other.puts:
        world.run(1)
    if kind is RequestKind.RESTORE:
        job = FakeJob(clock=world.time.clock, id="3" * 32, rate=350.0, running_since=world.time.now)
        world.flink.jobs_there[:] = [job]
        world.set_application(am_address="host:2")
    else:
        job.puts.clear()
        nine = command("pin enrich", "9", at=world.time.now)
        world.store.set_command(nine)
    world.run(100)
    assert job.puts == []
    assert "1 of at most 1 rescales are under way" in world.status("orders").detail
    world.run(300)
    assert world.requests()[0].kind is kind
    assert len(job.puts) == 1

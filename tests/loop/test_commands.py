"""Commands of an operator: taken up while jobs run, held for as long as they say, and taken back."""

from __future__ import annotations

from pathlib import Path

import pytest

from autoscaler.model import Command, Millis, Reason, RequestState
from autoscaler.store import RecoveringStore, StoreUnavailable, open_store
from tests.loop.conftest import Log
from tests.loop.world import ADAPTIVE, T0, FakeFlink, FakeJob, World

ORDERS = "orders-app/orders"
SCALING = "job.autoscaler.scaling.enabled"
ENABLED = "job.autoscaler.yarn.enabled"
MINUTE: Millis = 60_000
NOTICED = 31  # seconds after which a discovery has seen what is in the store


def command(
    option: str = SCALING, value: str = "false", target: str = ORDERS, *, at: Millis = T0, until: Millis | None = None
) -> Command:
    return Command(cluster="test", target=target, option=option, value=value, by="alice", at=at, until=until)


PAUSE = command()


def running(world: World, seconds: float = 100) -> FakeJob:
    """A job with a full window that needs no change."""
    job = world.add_job()
    world.start()
    world.run(seconds)
    return job


def overload(job: FakeJob) -> None:
    job.rate = 1_600.0


def test_a_pause_holds_until_it_is_taken_back(world: World, log: Log) -> None:
    """A paused job is measured and advised about, and scaled from the discovery after it is resumed on."""
    job = running(world)
    since = job.running_since
    world.store.set_command(PAUSE)
    world.run(NOTICED)
    overload(job)
    world.run(300)
    status = world.status()
    assert status.reason is Reason.SCALING_DISABLED
    assert "by alice at 2026-01-01 00:00 UTC" in status.detail
    assert (job.puts, job.running_since) == ([], since)
    world.store.unset_command(PAUSE)
    world.run(NOTICED + 12)
    assert len(job.puts) == 1
    changed = [line["in_force"] for line in log if line["event"] == "operator commands changed"]
    assert changed == [[f"{SCALING}: false"], []]


def test_a_command_ends_at_its_time(world: World) -> None:
    """Nobody has to resume what was paused for a while."""
    job = running(world)
    world.store.set_command(command(until=T0 + 10 * MINUTE))
    world.run(NOTICED)
    overload(job)
    world.run(499 - NOTICED)
    assert (job.puts, world.status().reason) == ([], Reason.SCALING_DISABLED)
    world.run(NOTICED + 12)
    assert len(job.puts) == 1


def test_a_command_is_over_all_other_layers(world: World) -> None:
    """What an operator commands counts over rules, and of two commands for one option the later one."""
    world.store.set_command(command("job.autoscaler.decision.interval", "20 s", at=T0))
    world.store.set_command(command("job.autoscaler.decision.interval", "30 s", "orders-app/*", at=T0 + 1))
    running(world, 10)
    (job,) = world.fleet.jobs()
    assert job.contract.policy.decision_interval == 30_000


def test_only_the_jobs_meant_are_taken_up_anew(world: World) -> None:
    """A command disturbs no other job of the same application, and no job twice."""
    jobs = [FakeJob(clock=world.time.clock, id=c * 32, name=f"job-{c}") for c in "12"]
    world.add(FakeFlink(jobs), name="session")
    world.start()
    world.run(100)
    before = {loop.subject.name: loop for loop in world.fleet.jobs()}
    world.store.set_command(command(target="session/job-1"))
    world.run(40)
    after = {loop.subject.name: loop for loop in world.fleet.jobs()}
    assert after["job-1"] is not before["job-1"]
    assert after["job-2"] is before["job-2"]
    world.run(120)
    assert {loop.subject.name: loop for loop in world.fleet.jobs()} == after


def test_what_was_measured_is_kept(world: World) -> None:
    """A job taken up anew goes on with its window and is shown all the while."""
    running(world)
    world.store.set_command(command("job.autoscaler.utilization.target", "0.6"))
    for _ in range(60):
        world.run(1)
        assert world.status().reason is Reason.STEADY
    (job,) = world.fleet.jobs()
    assert job.contract.policy.utilization_target == 0.6


def test_a_rescale_in_flight_is_watched_on(world: World) -> None:
    """A pause in the middle of a rescale neither repeats nor loses its request."""
    job = world.add_job(rate=1_600.0, restart_ms=40_000)
    world.start()
    world.run(70)
    assert len(job.puts) == 1
    world.store.set_command(PAUSE)
    world.run(120)
    assert world.requests()[0].state is RequestState.ACHIEVED
    assert len(job.puts) == 1


def test_a_job_that_is_not_ours_can_be_taken_over_and_given_back(world: World) -> None:
    """Whose job it is follows commands too: listed with its reason, then scaled, then listed again."""
    job = world.add_job({**ADAPTIVE, "job.autoscaler.enabled": "false"}, rate=1_600.0)
    world.start()
    world.run(10)
    assert world.status().reason is Reason.NOT_ENABLED
    enable = command(ENABLED, "true")
    world.store.set_command(enable)
    world.run(120)
    assert len(job.puts) == 1
    world.store.unset_command(enable)
    world.run(40)
    assert world.status().reason is Reason.NOT_ENABLED


def test_a_pattern_is_about_jobs_to_come(world: World) -> None:
    """A command for all jobs of an application holds for those that start later, and for no other application's."""
    world.store.set_command(command(target="orders-*/*"))
    world.add_job(rate=1_600.0)
    world.add_job(rate=1_600.0, id="2" * 32)
    world.start()
    world.run(200)
    assert world.reasons()[ORDERS] == "SCALING_DISABLED"
    assert world.reasons()["app-2/orders"] != "SCALING_DISABLED"


def test_a_job_is_meant_by_the_name_it_is_shown_under(world: World) -> None:
    """That is its ``yarn.id`` where it has one; a name that two jobs share is the first one's alone."""
    world.add_job({**ADAPTIVE, "job.autoscaler.yarn.id": "shop"}, rate=1_600.0)
    world.add(FakeFlink([FakeJob(clock=world.time.clock, id="2" * 32, rate=1_600.0)]), 2, "shop")
    world.store.set_command(command(target="shop/orders"))
    world.start()
    world.run(200)
    paused = [name for name, reason in world.reasons().items() if reason == "SCALING_DISABLED"]
    assert paused == ["shop/orders"]
    assert len(world.reasons()) == 2


def test_a_bad_value_holds_the_job_and_names_its_author(world: World) -> None:
    """A value that only another version understood is an error of this job, with who set it."""
    world.store.set_command(command("job.autoscaler.metrics.window", "long"))
    running(world, 5)
    assert world.status().reason is Reason.BAD_CONFIGURATION
    assert "in operator command by alice at" in world.status().detail


def test_another_process_begins_with_the_commands(world: World) -> None:
    """A daemon that is started anew knows of a pause before its first pass."""
    job = running(world)
    world.store.set_command(PAUSE)
    overload(job)
    world.restart()
    world.run(60)
    assert (job.puts, world.status().reason) == ([], Reason.SCALING_DISABLED)


def test_while_the_store_fails_commands_hold_on_and_end(world: World) -> None:
    """A store that cannot be read takes no pause back, and prolongs none."""
    job = running(world)
    world.store.set_command(command(until=T0 + 10 * MINUTE))
    world.run(35)
    world.fragile.fail = StoreUnavailable("database is locked")
    overload(job)
    world.run(100)
    assert world.status().reason is Reason.SCALING_DISABLED
    world.run(400)
    assert world.status().reason is not Reason.SCALING_DISABLED


def test_a_store_that_begins_anew_is_told_the_commands(tmp_path: Path) -> None:
    """A paused job does not go on because a file was damaged; what has expired is not told."""
    path = tmp_path / "history.db"
    url = f"sqlite:///{path}"
    notes: list[str] = []
    store = RecoveringStore(url, 1 << 30, lambda: T0, notes.append, open_store(url, 1 << 30, T0))
    world = World(memory=store)
    store.set_command(PAUSE)
    store.set_command(command("job.autoscaler.metrics.window", "2 min", until=T0 + MINUTE))
    job = running(world)
    store.close()
    path.write_bytes(b"this is not a database " * 1_000)
    overload(job)
    world.run(200)
    assert len(notes) == 1
    assert store.commands("test", 0) == (PAUSE,)
    assert job.puts == []
    store.close()


@pytest.mark.parametrize("cluster", ["other", "Test"])
def test_another_clusters_commands_are_not_ours(world: World, cluster: str) -> None:
    """Clusters that share a store are commanded apart."""
    world.store.set_command(Command(cluster=cluster, target=ORDERS, option=SCALING, value="false", by="bob", at=T0))
    job = running(world)
    overload(job)
    world.run(100)
    assert job.puts

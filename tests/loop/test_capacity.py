"""Rescales in a cluster that cannot give everything, and what of all that costs no further call."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from autoscaler.cluster import Queue, Rejected, TaskManager, Transient, UserShare, YarnScheduler
from autoscaler.model import Bounds, JobKey, Limit, Reason, RequestState, Resource
from tests.loop.conftest import Log
from tests.loop.world import ADAPTIVE, SOURCE, WORKER, FakeFlink, FakeJob, World, a_node

SENT_AFTER = 62  # the window is full with the pass of the 60th second, read 2 s later
FIXED = ADAPTIVE | {"job.autoscaler.yarn.capacity.allowance": "0"}
SLOTS_OF_4 = FIXED | {
    "taskmanager.numberOfTaskSlots": "4",
    "job.autoscaler.target.utilization.boundary": "0.1",
    "job.autoscaler.yarn.task-managers.fill": "true",
    "job.autoscaler.yarn.task-managers.whole-scale-down": "true",
}
AWAY = Transient("timeout", "no answer")
PLAIN = ADAPTIVE | {"job.autoscaler.yarn.capacity.enabled": "false"}


def gb(amount: float) -> Resource:
    return Resource(memory_mb=round(amount * 1024), vcores=1)


def managers(*slots: int, host: str = "node-1") -> tuple[TaskManager, ...]:
    return tuple(
        TaskManager(id=f"container_{n}", host=host, slots=count, free_slots=0, process_memory=1 << 30)
        for n, count in enumerate(slots)
    )


def queues(*, maximum: float, used: float = 0, **user: tuple[float, float]) -> YarnScheduler:
    """One queue, of so many GB, and users with limit and use."""
    users = {name: UserShare(limit=gb(limit), used=gb(taken)) for name, (limit, taken) in user.items()}
    leaf = Queue(path="root.default", maximum=gb(maximum), used=gb(used), unit=1024, users=users)
    return YarnScheduler(kind="capacityScheduler", queues=(Queue(path="root"), leaf))


def put(job: FakeJob) -> tuple[int, int]:
    """What source and worker were asked to become last."""
    return job.puts[-1][SOURCE].upper, job.puts[-1][WORKER].upper


# ------------------------------------------------------------------ growing


def test_growth_is_cut_to_what_nodes_have_room_for(world: World) -> None:
    """With room for 3 more TaskManagers a job that wants 7 slots gets 4; status, history and request say all of it."""
    world.yarn.nodes_there = (a_node("node-1", 2), a_node("node-2", 1))
    job = world.add_job(FIXED, rate=1_600.0)
    world.start()
    world.run(SENT_AFTER)
    assert put(job) == (4, 4)
    (request,) = world.requests()
    assert (request.target, request.needed_task_managers) == ({SOURCE: 4, WORKER: 4}, 4)
    assert "orders 1→4, enrich 1→4" in request.reason
    assert "wanted orders 1→6, enrich 1→7, but nodes have room for 3 TaskManagers of 1024 MB" in request.reason
    (recorded, *_) = world.store.decisions(JobKey(cluster="test", application="orders-app", job="orders"), 1)
    assert recorded.decision.grant is not None
    assert recorded.decision.grant.wanted == {SOURCE: 6, WORKER: 7}
    assert recorded.decision.grant.granted == {SOURCE: 4, WORKER: 4}


def test_nothing_can_be_given_until_there_is_room(world: World) -> None:
    """In a full cluster a job asks for nothing and says what it waits for; it grows when there is room."""
    world.yarn.nodes_there = (a_node("node-1", 0),)
    job = world.add_job(FIXED, rate=1_600.0)
    world.start()
    world.run(SENT_AFTER + 120)
    assert job.puts == []
    status = world.status()
    assert status.reason is Reason.NO_CAPACITY
    assert status.detail.startswith("wanted orders 1→7, enrich 1→8; nodes have")
    assert "room for 0 TaskManagers" in status.detail
    worker = next(vertex for vertex in status.vertices if vertex.id == WORKER)
    assert (worker.parallelism, worker.wanted, worker.granted) == (1, 8, 1)
    assert Limit.CAPACITY in worker.limits
    assert {v.id: v.wanted for v in status.vertices} == {SOURCE: 7, WORKER: 8}
    world.yarn.nodes_there = (a_node("node-1", 50),)
    world.run(60)
    assert len(job.puts) == 1


@pytest.mark.parametrize(
    ("scheduler", "granted", "said"),
    [
        (queues(maximum=50, used=48), 3, "queue root.default has 2048 MB left"),
        (queues(maximum=50, used=1, hadoop=(5, 4), other=(9, 0)), 2, "user hadoop in queue root.default has 1024 MB"),
        (queues(maximum=100, used=98), 3, "queue root.default has 2048 MB left"),
    ],
    ids=["queue", "user", "the whole cluster"],
)
def test_growth_is_cut_to_the_limits_of_queue_and_user(
    world: World, scheduler: YarnScheduler, granted: int, said: str
) -> None:
    """A limit of YARN's is named with what is left under it."""
    world.yarn.queues = scheduler
    job = world.add_job(FIXED, rate=1_600.0)
    world.start()
    world.run(SENT_AFTER)
    assert put(job)[1] == granted
    assert said in world.requests()[0].reason


def test_flinks_own_limit(world: World) -> None:
    """Flink asks YARN for no more slots than slotmanager.number-of-slots.max."""
    job = world.add_job(ADAPTIVE | {"slotmanager.number-of-slots.max": "5"}, rate=1_600.0)
    world.start()
    world.run(SENT_AFTER)
    assert put(job) == (5, 5)
    assert "slotmanager.number-of-slots.max allows 5 TaskManagers, 1 are there" in world.requests()[0].reason


def test_another_schedulers_limits_are_unknown_and_that_is_said(world: World) -> None:
    """Beside the capacity scheduler only nodes limit growth, and the sentence says what is not known."""
    world.yarn.queues = YarnScheduler(kind="fairScheduler")
    job = world.add_job(FIXED, rate=1_600.0)
    world.start()
    world.run(SENT_AFTER)
    assert put(job) == (6, 7)
    assert "not known: the limits of queues (of a fairScheduler none are read)" in world.requests()[0].reason


def test_whole_task_managers_are_filled(world: World) -> None:
    """Of 4 slots each, 7 take two TaskManagers: the eighth is used as well."""
    job = world.add_job(SLOTS_OF_4, rate=1_600.0)
    world.flink.managers = managers(4)
    world.start()
    world.run(SENT_AFTER)
    assert put(job) == (6, 8)


def test_promises_to_others_are_kept(world: World) -> None:
    """What one application was granted a moment ago is not granted to the next from the same look at the nodes."""
    world.yarn.nodes_there = (a_node("node-1", 8),)
    first, second = (world.add_job(FIXED, id=str(n) * 32, name=f"orders-{n}", rate=1_600.0) for n in (1, 2))
    for job in (first, second):
        job.restart_ms = 300_000
    world.start()
    world.run(SENT_AFTER)
    assert [put(first)[1], put(second)[1]] == [7, 3]
    assert "6 promised to others" in world.status("orders-2").detail


def test_a_restarted_daemon_keeps_promises(world: World) -> None:
    """What was asked for before a restart of the daemon is promised after it."""
    world.yarn.nodes_there = (a_node("node-1", 8),)
    config = FIXED | {"taskmanager.memory.process.size": "1 gb"}
    first = world.add_job(config, rate=1_600.0, restart_ms=3_000_000)
    world.start()
    world.run(SENT_AFTER)
    world.restart()
    second = world.add_job(config, id="2" * 32, name="later", rate=1_600.0)
    world.run(SENT_AFTER)
    assert [put(first)[1], put(second)[1]] == [7, 3]
    assert "6 promised to others" in world.status("later").detail


# ------------------------------------------------------------------ a cluster that grows when asked to


def test_limits_that_were_told_once_are_not_forgotten_for_one_refusal(world: World) -> None:
    """A ResourceManager that has told its queues and refuses now is in trouble: nobody grows without the limit."""
    world.yarn.queues = queues(maximum=6, used=2)
    world.yarn.nodes_there = (a_node("node-1", 50),)
    job = world.add_job(FIXED, rate=1_600.0)
    world.start()
    world.run(SENT_AFTER)
    assert put(job)[1] < 7
    world.yarn.queues = Rejected(403, "403 Forbidden")
    job.rate = 16_000.0
    sent = len(job.puts)
    world.run(300)
    assert len(job.puts) == sent
    assert "YARN does not tell what is free (403 Forbidden)" in world.status().detail


def test_a_node_that_joins_while_containers_are_pending(world: World) -> None:
    """By default a job asks for more than there is, and says so; that is what makes a managed cluster grow."""
    world.yarn.nodes_there = (a_node("node-1", 1, total_gb=8),)
    job = world.add_job(rate=1_600.0, slots=2)
    world.start()
    world.run(SENT_AFTER)
    assert put(job) == (6, 7)
    assert "5 of 6 new TaskManagers beyond what the cluster has room for now" in world.requests()[0].reason
    world.yarn.nodes_there = (a_node("node-1", 0, total_gb=8), a_node("node-2", 3, total_gb=8))
    job.slots = 1_000
    job.parallelism = {SOURCE: 6, WORKER: 7}
    job.running_since = world.time.now
    world.set_application(running_containers=8)
    world.run(60)
    job.rate = 16_000.0
    world.run(300)
    assert put(job)[1] > 30  # it came once, so more is asked for


def test_what_was_missing_is_named_when_time_is_up(world: World) -> None:
    """A request that was not reached says how many slots were missing, and what kept YARN from giving them."""
    world.yarn.nodes_there = (a_node("node-1", 0, total_gb=8),)
    world.add_job(rate=1_600.0, slots=1)
    world.start()
    world.run(SENT_AFTER + 960)
    first = min(world.requests(), key=lambda each: each.id or 0)
    assert first.state is RequestState.TIMED_OUT
    assert first.outcome is not None
    assert "slots missing, still wanted: orders 1→6, enrich 1→7: nodes have room for 0 TaskMan" in first.outcome.note


def test_a_cluster_that_does_not_grow_is_not_asked_for_a_while(world: World, log: Log) -> None:
    """After a request beyond what there is was not granted a job holds to what there is; half an hour later it asks."""
    world.yarn.nodes_there = (a_node("node-1", 2),)
    job = world.add_job(rate=1_600.0, slots=1)
    world.start()
    world.run(SENT_AFTER)
    assert put(job)[1] == 7
    world.run(690)
    (line,) = [line for line in log if line["event"] == "the cluster did not grow"]
    assert (line["queue"], line["asked_for"], line["held_to_what_there_is_ms"]) == ("root.default", 6, 1_800_000)
    assert put(job) == (3, 3)
    world.run(1_720)
    assert {bounds[WORKER].upper for bounds in job.puts[1:]} == {3}
    world.run(300)
    assert put(job)[1] > 7


# ------------------------------------------------------------------ YARN does not tell


def test_without_an_answer_only_slots_that_exist_are_taken(world: World) -> None:
    """While nodes and queues cannot be learned a job grows into free slots and no farther."""
    world.yarn.nodes_there = AWAY
    job = world.add_job(FIXED, rate=1_600.0)
    world.flink.managers = managers(1, 1, 1)
    world.start()
    world.run(SENT_AFTER)
    assert put(job) == (3, 3)
    assert "YARN does not tell what is free (no answer)" in world.requests()[0].reason


def test_without_an_answer_for_long_a_job_grows_unplanned(world: World) -> None:
    """A job is not left behind for a night because limits cannot be learned; that they are not known is said."""
    world.yarn.queues = AWAY
    job = world.add_job(FIXED, rate=1_600.0)
    world.start()
    world.run(SENT_AFTER)
    assert world.status().reason is Reason.NO_CAPACITY
    world.run(660)
    assert put(job)[1] > 3
    assert "not known: nodes and queues (YARN has not told for 10 min)" in world.requests()[-1].reason


def test_a_refusal_leaves_a_limit_unknown(world: World) -> None:
    """Who may not see queues is not held by them; nodes still count."""
    world.yarn.queues = Rejected(403, "no right to see queues")
    world.yarn.nodes_there = (a_node("node-1", 4),)
    job = world.add_job(FIXED, rate=1_600.0)
    world.start()
    world.run(SENT_AFTER)
    assert put(job)[1] == 5
    assert "not known: queues (no right to see queues)" in world.requests()[0].reason


def test_flink_does_not_list_its_task_managers(world: World) -> None:
    """A job whose TaskManagers cannot be listed is not grown, and tries again."""
    job = world.add_job(FIXED, rate=1_600.0)
    world.flink.broken["task manager list"] = AWAY
    world.start()
    world.run(SENT_AFTER)
    assert job.puts == []
    assert world.status().reason is Reason.UNREACHABLE
    world.flink.broken.clear()
    world.run(60)
    assert len(job.puts) == 1


# ------------------------------------------------------------------ nodes that drain


def test_a_draining_node(world: World, log: Log) -> None:
    """A job is not grown onto a node that drains, and it is told what stands there and how long it has."""
    world.yarn.nodes_there = (a_node("node-1", 2), a_node("node-2", 0, "DECOMMISSIONING"))
    job = world.add_job(FIXED, rate=1_600.0)
    world.set_application(am_address="node-2:1234")
    world.flink.managers = (*managers(1), *managers(1, 1, host="Node-2"))
    world.start()
    world.run(SENT_AFTER)
    assert put(job) == (3, 3)  # 1 slot that stays and room for 2; the slots of node-2 count for nothing
    assert (
        "2 TaskManagers and the JobManager on node-2, which drains: at most 59 min 28 s left" in world.status().detail
    )
    assert [line for line in log if line["event"] == "draining node"]
    world.yarn.nodes_there = (a_node("node-1", 2),)
    world.run(120)
    assert "drains" not in world.status().detail
    assert [line for line in log if line["event"] == "no draining node any more"]


def test_draining_nodes_cost_one_call_per_job_and_change(world: World) -> None:
    """Flink is asked for its hosts once while a node drains, not in every pass."""
    world.yarn.nodes_there = (a_node("node-1"), a_node("node-2", 0, "DECOMMISSIONING"))
    world.add_job(rate=200.0)
    world.start()
    world.run(600)
    assert world.flink.calls.count("task manager list") == 1
    world.flink.broken["task manager list"] = AWAY
    world.set_application(running_containers=3)
    world.run(60)
    assert "Flink does not list its TaskManagers (no answer)" in world.status().detail


def test_drains_that_cannot_be_learned_are_said_once(world: World, log: Log) -> None:
    """A ResourceManager that does not tell its nodes is noted once, until it does again."""
    world.yarn.nodes_there = AWAY
    world.add_job(rate=200.0)
    world.start()
    world.run(300)
    world.yarn.nodes_there = (a_node("node-1"),)
    world.run(60)
    said = [line["event"] for line in log if "which nodes drain" in line["event"]]
    assert said == ["YARN does not tell which nodes drain", "YARN tells which nodes drain again"]


# ------------------------------------------------------------------ calls


def test_steady_passes_ask_nothing_of_room(world: World) -> None:
    """While no job wants to grow YARN is asked once per discovery which nodes drain, and Flink nothing at all."""
    world.add_job(rate=200.0)
    world.start()
    world.run(600)
    assert set(world.yarn.surveys) == {"nodes DECOMMISSIONING"}
    assert len(world.yarn.surveys) <= world.yarn.asked
    assert "task manager list" not in world.flink.calls


def test_nodes_and_queues_are_asked_for_once_per_discovery(world: World) -> None:
    """However many jobs want to grow, one look at nodes and queues per discovery serves them all."""
    world.yarn.nodes_there = (a_node("node-1", 0),)
    for number in range(1, 10):
        world.add_job(FIXED, id=str(number) * 32, name=f"job-{number}", rate=1_600.0)
    world.start()
    world.run(600)
    assert world.yarn.surveys.count("scheduler") <= world.yarn.asked
    assert world.yarn.surveys.count("nodes") == world.yarn.surveys.count("scheduler")


@pytest.mark.parametrize("profile", ["emr", "apache"])
def test_switched_off_it_asks_nothing(profile: str) -> None:
    """Without the plan a job asks for what it wants, as the reference does; so does the whole apache profile."""
    world = World()
    world.orders = replace(world.orders, profile=profile, below=lambda: ())
    world.fleet = world.new_fleet()
    world.yarn.nodes_there = (a_node("node-1", 0),)
    job = world.add_job(PLAIN if profile == "emr" else ADAPTIVE, rate=1_600.0)
    world.start()
    world.run(SENT_AFTER + 600)
    assert job.puts
    assert world.yarn.surveys == []
    assert "task manager list" not in world.flink.calls


# ------------------------------------------------------------------ session clusters


def session(world: World, *rates: float, config: dict[str, str] = SLOTS_OF_4) -> list[FakeJob]:
    jobs = [
        FakeJob(clock=world.time.clock, id=str(n) * 32, name=f"job-{n}", rate=rate)
        for n, rate in enumerate(rates, start=1)
    ]
    world.add(FakeFlink(jobs, config))
    return jobs


def test_jobs_of_a_session_share_what_there_is(world: World) -> None:
    """What one job of a session holds or was granted is not there for another."""
    first, second = session(world, 1_600.0, 1_600.0, config=FIXED)
    world.flink.managers = managers(1, 1)
    world.yarn.nodes_there = (a_node("node-1", 6),)
    first.restart_ms = 60_000
    world.start()
    world.run(SENT_AFTER + 30)
    assert put(first)[1] == 7
    assert second.puts == []
    assert world.status("job-2").reason is Reason.NO_CAPACITY


def test_strangers_of_a_session_keep_their_slots(world: World) -> None:
    """Slots of a job that is not ours are not given away."""
    (job, stranger) = session(world, 1_600.0, 400.0, config=FIXED)
    world.flink.parameters[stranger.id] = {"job.autoscaler.enabled": "false"}
    world.flink.managers = managers(1, 1, 1, 1)
    world.yarn.nodes_there = (a_node("node-1", 0),)
    world.start()
    world.run(SENT_AFTER)
    assert job.puts == []
    assert world.status("job-1").reason is Reason.NO_CAPACITY


@pytest.mark.parametrize(("others", "reason"), [(3, Reason.FREES_NOTHING), (2, Reason.SCALE)])
def test_a_steady_neighbour_is_counted(world: World, others: int, reason: Reason) -> None:
    """From 8 slots to 6, with 3 of a neighbour that wants nothing 11 or 9 of 4 each take three TaskManagers all the
    same; with 2 of it they take two instead of three."""
    job, neighbour = session(world, 1_600.0, 350.0 * others)
    job.parallelism = {SOURCE: 1, WORKER: 8}
    neighbour.parallelism = {SOURCE: 1, WORKER: others}
    world.start()
    world.run(SENT_AFTER)
    assert world.status("job-1").reason is reason


# ------------------------------------------------------------------ scale-downs


def wide(world: World, parallelism: int, rate: float, config: dict[str, str] = SLOTS_OF_4) -> FakeJob:
    job = world.add_job(config, rate=rate)
    job.parallelism = {SOURCE: 1, WORKER: parallelism}
    job.wanted = {SOURCE: Bounds(lower=1, upper=1), WORKER: Bounds(lower=1, upper=parallelism)}
    return job


def test_a_scale_down_that_frees_nothing_is_left_out(world: World) -> None:
    """From 8 slots to 5 of 4 each still takes two TaskManagers: no restart, no call, and a reason."""
    job = wide(world, 8, 1_600.0)
    world.start()
    world.run(SENT_AFTER + 60)
    assert job.puts == []
    status = world.status()
    assert status.reason is Reason.FREES_NOTHING
    assert "it would free no TaskManager" in status.detail
    assert {"checkpoints", "task manager list"}.isdisjoint(world.flink.calls)
    assert world.flink.calls.count("requirements") == 1, "when the job was first seen"


def test_a_scale_down_that_frees_one_is_done(world: World) -> None:
    """From 8 slots to 4 frees a TaskManager, and takes no look at the cluster."""
    job = wide(world, 8, 900.0)
    world.start()
    world.run(SENT_AFTER)
    assert put(job)[1] == 4
    assert world.yarn.surveys.count("scheduler") == 0


def test_a_scale_down_matters_to_a_stranger(world: World) -> None:
    """Where another job could use the slots a scale-down is done though no TaskManager is freed."""
    (job, stranger) = session(world, 1_600.0, 400.0)
    world.flink.parameters[stranger.id] = {"job.autoscaler.enabled": "false"}
    job.parallelism = {SOURCE: 1, WORKER: 8}
    world.start()
    world.run(SENT_AFTER)
    assert put(job)[1] < 8


def freed(world: World, containers: int, *, config: dict[str, str] = SLOTS_OF_4) -> FakeJob:
    """A job scaled down from two TaskManagers to one, whose containers are so many from then on."""
    job = wide(world, 8, 900.0, config)
    world.set_application(running_containers=3, allocated_mb=3_072)
    world.start()
    world.run(SENT_AFTER + 10)
    assert put(job)[1] == 4
    world.set_application(running_containers=containers, allocated_mb=containers * 1_024)
    world.run(60)
    return job


def test_what_a_scale_down_gave_back_is_said(world: World, log: Log) -> None:
    """TaskManagers and memory that came back are told with the time it took, and stored with the outcome."""
    freed(world, 2)
    (line,) = [line for line in log if line["event"] == "scale-down"]
    assert line["detail"].startswith("TaskManagers 2→1, 1024 MB given back ")
    outcome = world.requests()[0].outcome
    assert outcome is not None
    assert outcome.note == line["detail"]


def test_what_a_scale_down_did_not_give_back_is_said_with_the_likely_cause(world: World, log: Log) -> None:
    """When TaskManagers are not back in the time Flink takes, that and the likely cause are told once."""
    freed(world, 3, config=SLOTS_OF_4 | {"slotmanager.redundant-taskmanager-num": "1"})
    assert not [line for line in log if line["event"] == "scale-down"]
    world.run(400)
    (line,) = [line for line in log if line["event"] == "scale-down"]
    assert line["log_level"] == "warning"
    assert "TaskManagers 2→2, 0 MB given back, where 1 would do" in line["detail"]
    assert "likely because slotmanager.redundant-taskmanager-num is 1" in line["detail"]


def test_a_scale_down_that_was_never_reached_frees_nothing(world: World, log: Log) -> None:
    """Of a scale-down that did not come about nothing is said."""
    job = wide(world, 8, 900.0)
    job.restart_ms = 3_000_000
    world.set_application(running_containers=3)
    world.start()
    world.run(1_500)
    assert not [line for line in log if line["event"] == "scale-down"]


# ------------------------------------------------------------------ many jobs at once


def fleet_of(world: World, count: int, config: dict[str, str], rate: Callable[[int], float]) -> list[FakeJob]:
    jobs = [world.add_job(config, id=str(n) * 32, name=f"job-{n}", rate=rate(n)) for n in range(1, count + 1)]
    for job in jobs:
        job.restart_ms = 300_000
    return jobs


def test_few_rescales_at_once(world: World) -> None:
    """No more jobs than allowed are under a rescale; the others say whose turn they wait for."""
    jobs = fleet_of(world, 4, ADAPTIVE | {"job.autoscaler.yarn.fleet.rescales-in-flight": "2"}, lambda _: 1_600.0)
    world.start()
    world.run(SENT_AFTER)
    assert [len(job.puts) for job in jobs] == [1, 1, 0, 0]
    assert world.status("job-4").reason is Reason.WAITS_ITS_TURN
    assert "2 of at most 2 rescales are under way" in world.status("job-4").detail
    world.run(600)
    assert all(job.puts for job in jobs)


def test_who_is_farthest_behind_goes_first(world: World) -> None:
    """When a rescale ends, the job with the longest time behind goes next, not the one that asks first."""
    config = ADAPTIVE | {"job.autoscaler.yarn.fleet.rescales-in-flight": "1"}
    first, second, third = fleet_of(world, 3, config, lambda n: (1_600.0, 1_200.0, 2_400.0)[n - 1])
    world.start()
    world.run(SENT_AFTER)
    assert [len(job.puts) for job in (first, second, third)] == [1, 0, 0]
    while not (second.puts or third.puts):
        world.run(5)
    assert (len(second.puts), len(third.puts)) == (0, 1)


def test_few_task_managers_per_minute(world: World) -> None:
    """Within a minute a queue is asked for no more TaskManagers than allowed, but for one larger request alone."""
    config = ADAPTIVE | {"job.autoscaler.yarn.fleet.task-managers-per-minute": "8"}
    jobs = fleet_of(world, 3, config, lambda n: 1_600.0 if n < 3 else 9_000.0)
    world.start()
    world.run(SENT_AFTER)
    assert [len(job.puts) for job in jobs] == [1, 0, 0]
    assert "(yarn.fleet.task-managers-per-minute)" in world.status("job-2").detail
    world.run(240)
    assert [len(job.puts) for job in jobs] == [1, 1, 1]

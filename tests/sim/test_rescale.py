"""What a rescale costs, by version, and what YARN does meanwhile."""

from __future__ import annotations

import pytest

from autoscaler.model import Bounds
from autoscaler.sim.job import Phase
from autoscaler.sim.slots import parallelism_with, placement, slots_needed
from tests.sim.builders import SOURCE, T0, WORKER, a_cluster, a_scenario, after, ask

GROUPS = {"a": ["x", "y"], "b": ["z"]}


def bounds(**upper: int) -> dict[str, Bounds]:
    return {name: Bounds(lower=1, upper=p) for name, p in upper.items()}


def test_slots_needed_are_those_of_the_largest_vertex_of_each_group() -> None:
    """Vertices of one slot sharing group share slots; groups do not."""
    assert slots_needed(GROUPS, bounds(x=2, y=5, z=3)) == 8


@pytest.mark.parametrize(
    ("slots", "expected"),
    [(8, {"x": 2, "y": 5, "z": 3}), (6, {"x": 2, "y": 3, "z": 3}), (2, {"x": 1, "y": 1, "z": 1}), (1, None)],
)
def test_too_few_slots_are_divided(slots: int, expected: dict[str, int] | None) -> None:
    """Spare slots go to the groups in equal parts, the smallest range first; below the lower bounds nothing runs."""
    assert parallelism_with(slots, GROUPS, bounds(x=2, y=5, z=3)) == expected


def test_slots_are_packed_or_spread() -> None:
    """Packed slots leave TaskManagers idle; spread ones keep every one of them busy."""
    assert placement(3, [2, 2, 2], packs=True) == [0, 0, 1]
    assert placement(3, [2, 2, 2], packs=False) == [0, 1, 2]
    assert placement(3, [1, 0, 2], packs=True) == placement(3, [1, 0, 2], packs=False) == [0, 2, 2]


def test_a_job_starts_within_its_largest_parallelism() -> None:
    """However many partitions there are: Flink would refuse every later request otherwise."""
    load = {"shape": "steady", "rate": 9_000}
    wide = a_scenario(load=load, source={"partitions": 60, "max_parallelism": 3}, job={"start_parallelism": None})
    assert a_cluster(wide).job.initial[SOURCE] == 3


def test_a_restart_costs_its_downtime_and_the_replay() -> None:
    """Down for 20 s at 1,000/s, 30 s after a checkpoint: exactly 20,000 + 30,000 records of lag when it runs again."""
    cluster = after(a_cluster(), 60 + 30)
    ask(cluster, worker=3)
    assert cluster.job.phase is Phase.STOPPING
    after(cluster, 20)
    assert cluster.job.phase is Phase.RUNNING
    (change,) = cluster.job.changes
    assert change.up_at - change.at == 20_000
    assert change.replayed == pytest.approx(30_000)
    assert cluster.job.lag()[SOURCE] == pytest.approx(50_000)


def test_no_record_is_lost_over_restarts() -> None:
    """What arrived is what the sources have read for good plus what they have not, over any number of restarts."""
    cluster = a_cluster(a_scenario(load={"shape": "sine", "mean": 1500, "amplitude": 1500, "period": 20}))
    for minute in range(60):
        after(cluster, 60)
        if minute % 7 == 3:
            ask(cluster, worker=2 + minute % 5)
        if minute % 11 == 5:
            cluster.job.stop(cluster.now, "a failure")
        elapsed = (cluster.now - T0) / 1000
        arrived = cluster.job.arrivals[SOURCE].until(elapsed)
        assert cluster.job.positions()[SOURCE] + cluster.job.lag()[SOURCE] == pytest.approx(arrived)


@pytest.mark.parametrize(("version", "after_s"), [("1.18.1", 0), ("1.20.1", 20)])
def test_before_2_0_a_rescale_follows_at_once_or_after_the_cooldown(version: str, after_s: int) -> None:
    """1.18 restarts as soon as it can; 1.19 and 1.20 not within 30 s of the last start."""
    cluster = after(a_cluster(a_scenario(flink=version)), 10)
    ask(cluster, worker=3)
    after(cluster, after_s - 1 if after_s else 0)
    assert (cluster.job.phase is Phase.RUNNING) is (after_s > 0)
    after(cluster, 1)
    assert cluster.job.phase is not Phase.RUNNING


def test_2_x_waits_for_a_checkpoint() -> None:
    """With the slots there, the job restarts when the next checkpoint completes, so nothing but its age is replayed."""
    cluster = after(a_cluster(a_scenario(flink="2.1.0")), 90)
    ask(cluster, worker=3)
    after(cluster, 32.9)  # checkpoints at 60, 120, ... take 3 s
    assert cluster.job.phase is Phase.RUNNING
    after(cluster, 0.2)
    assert cluster.job.phase is Phase.STOPPING
    after(cluster, 20)
    assert cluster.job.changes[0].replayed == pytest.approx(3_000)


def test_containers_come_while_the_job_runs() -> None:
    """Growing beyond the slots held: the job runs on until the TaskManagers have registered, 15 to 30 s later."""
    cluster = after(a_cluster(), 60)
    ask(cluster, worker=8)
    after(cluster, 14)
    assert cluster.job.phase is Phase.RUNNING
    assert cluster.job.slots == 4
    after(cluster, 17)
    assert cluster.job.slots == 8
    assert cluster.job.phase is not Phase.RUNNING
    after(cluster, 30)
    assert cluster.job.parallelism[WORKER] == 8


def test_what_the_cluster_has_not_got_is_not_given() -> None:
    """A full cluster grants a part: the job runs with what it has got, and the rest stays pending."""
    cluster = after(a_cluster(a_scenario(worker={"max_parallelism": 128})), 60)
    ask(cluster, worker=100)
    after(cluster, 300)
    job = cluster.job
    assert job.slots == 4 * 8  # two nodes of 34 GB, less 2 GB for the ApplicationMaster: 4 + 4 TaskManagers of 8 GB
    assert job.parallelism[WORKER] == 32
    assert job.holder.pending == 25 - 8


def test_a_queue_limit_holds() -> None:
    """The queue's limit counts, however free the nodes are."""
    cluster = after(a_cluster(a_scenario(cluster={"queue_gb": 20})), 60)
    ask(cluster, worker=32)
    after(cluster, 300)
    assert cluster.job.slots == 8
    assert cluster.yarn.used_mb <= 20 * 1024


def test_managed_scaling_brings_nodes() -> None:
    """Containers that wait make the cluster grow, minutes later, and idle nodes go again."""
    cluster = after(a_cluster(a_scenario(cluster={"max_nodes": 4})), 60)
    ask(cluster, worker=48)
    after(cluster, 90)
    assert cluster.job.slots == 32
    after(cluster, 1500)
    assert cluster.job.slots == 48
    assert cluster.job.parallelism[WORKER] == 48
    ask(cluster, worker=4)
    after(cluster, 1500)
    assert cluster.yarn.total_mb == 2 * 34 * 1024


@pytest.mark.parametrize(("packs", "left"), [(True, 1), (False, 2)])
def test_a_scale_down_frees_task_managers_only_where_slots_are_packed(packs: bool, left: int) -> None:
    """After 80 to 160 s an idle TaskManager is given back; slots spread over all of them free none."""
    cluster = after(a_cluster(a_scenario(job={"start_parallelism": 8}, cluster={"packs": packs})), 60)
    assert len(cluster.job.holder.task_managers) == 2
    ask(cluster, source=4, worker=4)
    after(cluster, 60)
    assert len(cluster.job.holder.task_managers) == 2
    after(cluster, 120)
    assert len(cluster.job.holder.task_managers) == left


def test_slots_are_paid_for_from_allocation_to_release() -> None:
    """An hour with one TaskManager of four slots is four slot-hours; another is counted from its allocation."""
    cluster = after(a_cluster(), 3600)
    assert cluster.slot_ms == 4 * 3_600_000
    ask(cluster, worker=8)
    after(cluster, 3600)
    assert cluster.slot_ms == 4 * 3_600_000 + 8 * 3_600_000


def test_a_lost_task_manager_restarts_the_job_and_is_replaced() -> None:
    """The job comes back with what is left after 10 s, and at full size when a container has started."""
    faults = [{"kind": "task-manager-lost", "at": 10}]
    cluster = after(a_cluster(a_scenario(job={"start_parallelism": 8}, faults=faults)), 600)
    assert cluster.job.phase is Phase.STOPPING
    after(cluster, 30)
    assert cluster.job.parallelism[WORKER] in (4, 8)
    after(cluster, 120)
    assert cluster.job.parallelism[WORKER] == 8
    assert "was lost" in cluster.job.changes[0].why


@pytest.mark.parametrize("available", [True, False])
def test_an_application_master_restart_keeps_requirements_only_with_high_availability(available: bool) -> None:
    """Without it the job runs under another id with the requirements it was submitted with."""
    faults = [{"kind": "am-restart", "at": 10}]
    cluster = after(a_cluster(a_scenario(job={"high_availability": available}, faults=faults)), 60)
    ask(cluster, worker=3)
    after(cluster, 900)
    assert cluster.job.requirements[WORKER].upper == (3 if available else 4)
    assert cluster.job.generation == (1 if available else 2)
    assert cluster.job.holder.attempt == 2
    assert cluster.job.phase is Phase.RUNNING


def test_a_draining_node_ends_with_its_containers() -> None:
    """It takes no new container, and those on it are lost at its deadline."""
    faults = [{"kind": "node-drains", "at": 10, "minutes": 5}]
    cluster = after(a_cluster(a_scenario(faults=faults)), 601)
    drained = next(node for node in cluster.yarn.nodes if node.state == "DECOMMISSIONING")
    ask(cluster, worker=8)
    after(cluster, 60)
    assert {tm.node.number for tm in cluster.job.holder.task_managers} == {drained.number, 1 - drained.number}
    after(cluster, 400)
    assert drained.state == "DECOMMISSIONED"
    assert all(tm.node is not drained for tm in cluster.job.holder.task_managers)
    assert cluster.job.phase is Phase.RUNNING


def test_lower_bounds_that_cannot_be_had_end_the_job_at_its_next_failure() -> None:
    """As in Flink: it waits five minutes for slots, and is then FAILED for good."""
    cluster = after(a_cluster(), 60)
    cluster.job.put({SOURCE: Bounds(lower=1, upper=4), WORKER: Bounds(lower=64, upper=64)}, cluster.now)
    after(cluster, 60)
    assert cluster.job.phase is Phase.RUNNING
    cluster.job.stop(cluster.now, "a failure")
    after(cluster, 310)
    assert cluster.job.phase is Phase.FAILED

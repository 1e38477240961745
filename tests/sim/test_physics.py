"""Capacity, skew, flow and back-pressure, with numbers."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from autoscaler.sim.flow import Flow, Stage
from autoscaler.sim.subtasks import (
    key_group_shares,
    linear_capacity,
    partition_shares,
    source_plant,
    vertex_plant,
)
from tests.sim.builders import SOURCE, WORKER, a_cluster, a_scenario, after


def plant(capacity: float, subtasks: int = 1) -> Stage:
    return Stage(vertex_plant(capacity, [1 / subtasks] * subtasks, [1.0] * subtasks), [(0, 1.0)], 1.0, room=10.0)


def source(capacity: float, lag: float = 0.0) -> Stage:
    stage = Stage(source_plant(capacity, [1.0], [1.0]), [], 1.0, room=0.0)
    stage.take_lag(lag)
    return stage


@pytest.mark.parametrize(
    ("p", "a", "b", "expected"),
    [(1, 0.03, 0.0, 100.0), (10, 0.0, 0.0, 1000.0), (11, 0.03, 0.0, 1100 / 1.3), (10, 0.01, 0.001, 1000 / 1.18)],
)
def test_the_capacity_law(p: int, a: float, b: float, expected: float) -> None:
    """Contention and coherence take their share of mu times p."""
    assert linear_capacity(100.0, a, b, p) == pytest.approx(expected)


@pytest.mark.parametrize(("p", "partitions", "hottest"), [(3, 8, 3 / 8), (4, 8, 2 / 8), (5, 8, 2 / 8), (8, 8, 1 / 8)])
def test_the_hottest_source_subtask_has_the_most_partitions(p: int, partitions: int, hottest: float) -> None:
    """ceil(N/p)/N of the records go through one subtask."""
    shares = partition_shares(p, partitions)
    assert max(shares) == pytest.approx(hottest)
    assert sum(shares) == pytest.approx(1.0)


@given(p=st.integers(1, 128), groups=st.integers(128, 720), hot=st.floats(0, 0.5))
def test_key_groups_are_all_dealt(p: int, groups: int, hot: float) -> None:
    """Every record has a subtask, and the hottest has at least ceil(K/p)/K of the rest plus the hot key at best."""
    shares = key_group_shares(p, groups, hot, 0)
    assert sum(shares) == pytest.approx(1.0)
    assert max(shares) >= hot
    assert max(key_group_shares(p, groups, 0.0, 0)) == pytest.approx(-(-groups // p) / groups)


def test_a_hot_key_bounds_a_vertex() -> None:
    """With 2 % of the records on one key, 100 subtasks of 10/s do no more than its subtask lets them."""
    shares = key_group_shares(100, 1000, 0.02, 7)
    assert vertex_plant(1000.0, shares, [1.0] * 100).total == pytest.approx(10.0 / (0.98 / 100 + 0.02))


def test_a_straggler_slows_a_vertex_that_waits_for_it() -> None:
    """A subtask on a TaskManager of half the speed halves what an evenly loaded vertex can do."""
    assert vertex_plant(400.0, [0.25] * 4, [1.0, 1.0, 0.5, 1.0]).total == pytest.approx(200.0)


def test_partitions_do_not_wait_for_each_other() -> None:
    """Of 3 partitions on 2 subtasks the pair falls behind; the single one keeps up."""
    stage = Stage(source_plant(200.0, partition_shares(2, 3), [1.0, 1.0]), [], 1.0, room=0.0)
    flow = Flow([stage])
    for _ in range(12):
        flow.step(5.0, [180.0], 1.0)
    assert stage.lag == pytest.approx([60 * (120.0 - 100.0), 0.0])


def test_the_slowest_vertex_sets_the_pace() -> None:
    """Everything before a full vertex is held back to its rate, and waits; what is after it is idle in part."""
    stages = [source(1000.0, lag=1e9), plant(500.0), Stage(plant(300.0).plant, [(1, 1.0)], 1.0, 10.0)]
    flow = Flow(stages)
    for _ in range(20):
        flow.step(5.0, [100.0, 0.0, 0.0], 1.0)
    before = [stage.records_in for stage in stages]
    flow.step(5.0, [100.0, 0.0, 0.0], 1.0)
    rates = [(stage.records_in - count) / 5.0 for stage, count in zip(stages, before, strict=True)]
    assert rates == pytest.approx([300.0, 300.0, 300.0])
    assert stages[0].blocked_s > 0
    assert stages[1].blocked_s > 0
    assert stages[2].blocked_s == 0
    assert stages[1].buffer == pytest.approx(10.0)


def test_selectivity_multiplies_what_comes_after() -> None:
    """A vertex that sends two records for each gives its successor twice the rate."""
    worker = Stage(plant(1e6).plant, [(0, 2.0)], 0.0, 10.0)
    flow = Flow([source(1000.0), worker])
    flow.step(5.0, [100.0, 0.0], 1.0)
    assert worker.records_in == pytest.approx(1000.0)


def test_of_two_inputs_each_gets_its_part() -> None:
    """A full join takes from its inputs in proportion to what they could send."""
    join = Stage(plant(300.0).plant, [(0, 1.0), (1, 1.0)], 0.0, 0.0)
    flow = Flow([source(200.0, 1e9), source(400.0, 1e9), join])
    flow.step(5.0, [0.0, 0.0, 0.0], 1.0)
    assert [s.records_in / 5 for s in flow.stages] == pytest.approx([100.0, 200.0, 300.0])


@given(
    arriving=st.lists(st.floats(0, 5_000), min_size=1, max_size=40),
    capacities=st.tuples(st.floats(10, 4_000), st.floats(10, 4_000), st.floats(10, 4_000)),
    seconds=st.floats(0.1, 5.0),
)
def test_no_record_is_lost(arriving: list[float], capacities: tuple[float, float, float], seconds: float) -> None:
    """What arrived is read or lag, and what was read is processed downstream or in a buffer, whatever the load."""
    first = source(capacities[0])
    stages = [first, plant(capacities[1]), Stage(plant(capacities[2]).plant, [(1, 1.0)], 1.0, 10.0)]
    flow = Flow(stages)
    for rate in arriving:
        flow.step(seconds, [rate, 0.0, 0.0], 1.0)
    total = sum(arriving) * seconds
    assert first.records_in + sum(first.lag) == pytest.approx(total, abs=1e-6)
    assert stages[1].records_in + stages[1].buffer == pytest.approx(first.records_in, abs=1e-6)
    assert stages[2].records_in + stages[2].buffer == pytest.approx(stages[1].records_in, abs=1e-6)
    assert all(0 <= stage.buffer <= stage.room + 1e-6 for stage in stages)


def test_a_load_within_capacity_leaves_no_lag() -> None:
    """A flat load on enough subtasks: lag is 0 at every instant."""
    cluster = a_cluster()
    for _ in range(60):
        after(cluster, 61)
        assert cluster.job.lag() == {SOURCE: 0.0}


def test_lag_grows_by_what_is_missing() -> None:
    """1,000/s into 1 worker of 500/s: the lag grows by 500/s, but for what fits the buffer."""
    cluster = after(a_cluster(a_scenario(job={"start_parallelism": 1})), 3600)
    room = 0.2 * 500
    assert cluster.job.lag()[SOURCE] == pytest.approx(3600 * 500 - room)


def test_capacity_warms_up() -> None:
    """60 % right after a restart, all of it 90 s later."""
    cluster = after(a_cluster(a_scenario(job={"start_parallelism": 2})), 60)
    cluster.job.stop(cluster.now, "a test")
    after(cluster, 20)
    lag = cluster.job.lag()[SOURCE]
    after(cluster, 5)
    job = cluster.job
    assert job.lag()[SOURCE] > lag, "2 workers of 500/s at 60 % do not keep up with 1,000/s"
    after(cluster, 120)
    lag = job.lag()[SOURCE]
    after(cluster, 60)
    assert job.lag()[SOURCE] == pytest.approx(lag), "and just keep up when warm"
    assert job.parallelism[WORKER] == 2

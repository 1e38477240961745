"""Metrics as Flink gives them: windows, ramps, restarts, and a store that is always one request behind."""

from __future__ import annotations

from typing import Any

import pytest

from autoscaler.sim.cluster import SimCluster
from autoscaler.sim.edge import DirectHttp, Edge
from autoscaler.sim.flink_documents import job_id
from autoscaler.sim.yarn_documents import application_id
from tests.sim.builders import SOURCE, WORKER, a_cluster, a_scenario, after, ask

BUSY, PENDING, RATE = "busyTimeMsPerSecond", "Source__in.pendingRecords", "numRecordsInPerSecond"


class Asking:
    """Asks a cluster as the daemon's adapters do."""

    def __init__(self, cluster: SimCluster) -> None:
        self.cluster = cluster
        self.http = DirectHttp(Edge(cluster, {}))
        self.base = f"http://proxy:20888/proxy/{application_id(cluster)}/"

    def get(self, path: str) -> Any:
        return self.http.get_json(self.base + path)

    def job(self, path: str = "") -> Any:
        return self.get(f"jobs/{job_id(self.cluster.job)}{path}")

    def names(self, vertex: str) -> set[str]:
        return {each["id"] for each in self.job(f"/vertices/{vertex}/subtasks/metrics")}

    def metric(self, vertex: str, name: str) -> Any:
        found = self.job(f"/vertices/{vertex}/subtasks/metrics?get={name}&agg=min,max,avg,sum")
        return found[0] if found else None

    def fresh(self, vertex: str, name: str) -> Any:
        """Poke, wait, read."""
        self.get("jobmanager/metrics?get=taskSlotsTotal")
        after(self.cluster, 2)
        return self.metric(vertex, name)


def test_a_request_is_answered_from_what_was_fetched_before() -> None:
    """The first one finds nothing; a later one what the one before had fetched, however old."""
    asking = Asking(after(a_cluster(), 300))
    assert asking.metric(WORKER, RATE) is None
    after(asking.cluster, 600)
    old = asking.metric(WORKER, "numRecordsIn")["sum"]
    assert old == pytest.approx(300_000, rel=1e-3)
    after(asking.cluster, 2)
    assert asking.metric(WORKER, "numRecordsIn")["sum"] == pytest.approx(900_000, rel=1e-3)


def test_a_rate_ramps_up_over_a_minute() -> None:
    """Meters divide by 60 seconds from the first one of an attempt."""
    asking = Asking(after(a_cluster(), 30))
    assert asking.fresh(WORKER, RATE)["sum"] == pytest.approx(500, rel=0.02)
    after(asking.cluster, 60)
    assert asking.fresh(WORKER, RATE)["sum"] == pytest.approx(1000, rel=0.02)


def test_busy_time_is_that_of_the_last_minute() -> None:
    """1,000/s on 4 subtasks of 500/s: 500 ms a second each; a task that has just begun calls itself busy."""
    asking = Asking(after(a_cluster(), 2))
    assert asking.fresh(WORKER, BUSY)["max"] == 1000.0
    after(asking.cluster, 300)
    found = asking.fresh(WORKER, BUSY)
    assert (found["max"], found["avg"], found["sum"]) == pytest.approx((500.0, 500.0, 2000.0), rel=0.01)


def test_noise_is_per_subtask_and_has_the_deviation_asked_for() -> None:
    """The maximum over subtasks is above the mean, and gauges stay within what a second can hold."""
    asking = Asking(after(a_cluster(a_scenario(job={"noise": 0.15})), 300))
    spread = []
    for _ in range(50):
        found = asking.fresh(WORKER, BUSY)
        assert 0 <= found["min"] <= found["avg"] <= found["max"] <= 1000
        spread.append(found["avg"])
        after(asking.cluster, 60)
    deviation = (sum((each - 500) ** 2 for each in spread) / len(spread)) ** 0.5
    assert 20 < deviation < 60, "15 % of 500 over the root of 4 subtasks is 37.5"


def test_back_pressure_is_seen_before_the_bottleneck() -> None:
    """Sources wait for a full worker; busy, idle and back-pressured time make up the second."""
    asking = Asking(after(a_cluster(a_scenario(worker={"speed": 0.4})), 300))
    assert asking.fresh(WORKER, BUSY)["avg"] == pytest.approx(1000, rel=0.01)
    parts = [asking.metric(SOURCE, f"{kind}TimeMsPerSecond")["avg"] for kind in ("busy", "idle", "backPressured")]
    assert sum(parts) == pytest.approx(1000)
    assert parts[0] == pytest.approx(200, rel=0.02)  # 800/s through 4 subtasks of 1,000/s
    assert parts[2] == pytest.approx(800, rel=0.02)


def test_after_a_rescale_values_of_the_old_attempt_remain_until_the_next_fetch() -> None:
    """And `/jobs/:id`, which is exact, calls its counters incomplete meanwhile."""
    asking = Asking(after(a_cluster(), 300))
    asking.fresh(WORKER, BUSY)
    ask(asking.cluster, worker=3)
    after(asking.cluster, 25)
    vertex = next(v for v in asking.job()["vertices"] if v["id"] == WORKER)
    assert vertex["parallelism"] == 3
    assert vertex["metrics"]["read-records-complete"] is False
    assert asking.metric(WORKER, BUSY)["sum"] == pytest.approx(2000, rel=0.01), "of four subtasks"
    after(asking.cluster, 2)
    assert asking.metric(WORKER, BUSY)["sum"] == pytest.approx(3 * 1000, rel=0.01), "of three that catch up"
    assert next(v for v in asking.job()["vertices"] if v["id"] == WORKER)["metrics"]["read-records-complete"] is False
    after(asking.cluster, 4)
    assert next(v for v in asking.job()["vertices"] if v["id"] == WORKER)["metrics"]["read-records-complete"] is True


def test_counters_begin_anew_with_each_attempt() -> None:
    """They count what the present attempt did."""
    asking = Asking(after(a_cluster(), 600))
    assert asking.fresh(WORKER, "numRecordsIn")["sum"] > 500_000
    asking.cluster.job.stop(asking.cluster.now, "a test")
    after(asking.cluster, 30)
    assert asking.fresh(WORKER, "numRecordsIn")["sum"] < 50_000


def test_lag_is_reported_late_after_a_restart() -> None:
    """The Kafka reader registers it 30 to 60 s after the start; until then the name is missing."""
    asking = Asking(after(a_cluster(), 600))
    assert asking.fresh(SOURCE, PENDING)["sum"] == 0
    asking.cluster.job.stop(asking.cluster.now, "a test")
    after(asking.cluster, 40)
    assert asking.fresh(SOURCE, PENDING) is None
    assert PENDING not in asking.names(SOURCE)
    after(asking.cluster, 60)
    assert asking.fresh(SOURCE, PENDING)["sum"] > 0


def test_an_unknown_name_empties_the_answer() -> None:
    """As in Flink: one name that no subtask has, and there is nothing at all."""
    asking = Asking(after(a_cluster(), 300))
    asking.fresh(WORKER, BUSY)
    assert asking.job(f"/vertices/{WORKER}/subtasks/metrics?get={BUSY},nope") == []


@pytest.mark.parametrize(("version", "counted"), [("1.18.1", False), ("1.20.1", False), ("2.1.0", True)])
def test_a_source_task_counts_what_it_reads_from_2_0_on(version: str, counted: bool) -> None:
    """Before that only its operator does."""
    asking = Asking(after(a_cluster(a_scenario(flink=version)), 300))
    assert (asking.fresh(SOURCE, "numRecordsIn")["sum"] > 0) is counted
    assert asking.metric(SOURCE, "Source__in.numRecordsIn")["sum"] == pytest.approx(300_000, rel=0.01)


def test_a_partition_is_a_name() -> None:
    """As many partitions as the source reads can be counted in its metric names."""
    asking = Asking(after(a_cluster(), 300))
    asking.fresh(SOURCE, BUSY)
    assert sum(name.endswith(".currentOffset") for name in asking.names(SOURCE)) == 8


@pytest.mark.parametrize(
    ("kind", "seen"),
    [("metric-gap", lambda found: found is None), ("nan-busy", lambda found: found["avg"] == "NaN")],
    ids=["gap", "NaN"],
)
def test_a_signal_fails_for_its_time_only(kind: str, seen: Any) -> None:
    """During the fault the answer is empty, or a string that is no number; after it all is well."""
    faults = [{"kind": kind, "at": 5, "minutes": 5, "vertex": "worker"}]
    asking = Asking(after(a_cluster(a_scenario(faults=faults)), 320))
    assert seen(asking.fresh(WORKER, BUSY))
    after(asking.cluster, 300)
    assert asking.fresh(WORKER, BUSY)["avg"] == pytest.approx(500, rel=0.01)


def test_stale_metrics_do_not_move() -> None:
    """While the fault lasts the store is not refreshed."""
    faults = [{"kind": "stale-metrics", "at": 5, "minutes": 2}]
    asking = Asking(after(a_cluster(a_scenario(faults=faults)), 240))
    before = asking.fresh(WORKER, "numRecordsIn")["sum"]
    after(asking.cluster, 120)
    asking.fresh(WORKER, "numRecordsIn")
    after(asking.cluster, 20)
    assert asking.fresh(WORKER, "numRecordsIn")["sum"] == before
    after(asking.cluster, 60)
    assert asking.fresh(WORKER, "numRecordsIn")["sum"] > before + 100_000

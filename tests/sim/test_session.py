"""A session cluster: several jobs whose slots come from one set of TaskManagers."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import closing
from typing import Any

import pytest

from autoscaler.cluster import FlinkRest, HttpClient, ResourceManagers
from autoscaler.model import Bounds, JobKey, Reason
from autoscaler.options import EMR
from autoscaler.service import system_clock
from autoscaler.sim.cluster import SimCluster
from autoscaler.sim.drive import BEGAN, CLUSTER, STORE_BYTES, fleet_on
from autoscaler.sim.edge import DirectHttp, Edge
from autoscaler.sim.flink_documents import job_id
from autoscaler.sim.job import Phase, SimJob
from autoscaler.sim.record import Recorder
from autoscaler.sim.scenario import Scenario, ScenarioError, parse_scenario, vertex_id
from autoscaler.sim.server import SimServer
from autoscaler.sim.virtual import VirtualTime
from autoscaler.store import open_store
from tests.sim.builders import SOURCE, WORKER, a_cluster, a_scenario, after

STEP = {"shape": "step", "low": 1_000, "high": 4_500, "up": 30, "down": 1_000}


def a_session(*, steps: bool = False, version: str = "1.20.1", **third: Any) -> Scenario:
    """Three jobs of 4 slots each on 2 nodes, which hold 8 TaskManagers of 4 slots: 32 slots."""
    scenario = a_scenario(flink=version, settings={"job.autoscaler.yarn.capacity.allowance": "0"})
    document = scenario.model_dump(mode="json")
    jobs = [dict(document["job"]) | {"name": name} for name in ("orders", "clicks", "import")]
    for job in jobs[:2] if steps else ():
        source, worker = job["vertices"]
        job["vertices"] = [source | {"load": STEP, "partitions": 32}, worker]
    return Scenario.model_validate(document | {"job": jobs[0], "beside": [jobs[1], jobs[2] | third]})


def ask(cluster: SimCluster, job: SimJob, worker: int) -> None:
    present = {v: bound.upper for v, bound in job.requirements.items()}
    job.put({v: Bounds(lower=1, upper=p) for v, p in (present | {WORKER: worker}).items()}, cluster.now)


def declared(cluster: SimCluster) -> int:
    return sum(job.needed for job in cluster.jobs)


@pytest.mark.parametrize("version", ["1.18.1", "1.20.1", "2.1.0"])
def test_no_slot_is_dealt_twice(version: str) -> None:
    """Two jobs that ask for more than there is in one moment get no more than there is, at every second; the one that
    came first gets all it wants, the other what is left."""
    cluster = after(a_cluster(a_session(version=version)), 120)
    orders, clicks, _ = cluster.jobs
    ask(cluster, orders, 20)
    ask(cluster, clicks, 20)
    for _ in range(400):
        after(cluster, 1)
        assert sum(job.used for job in cluster.jobs) <= cluster.pool.slots
    assert [job.parallelism[WORKER] for job in cluster.jobs] == [20, 8, 4]
    assert sum(sum(job.slots_on.values()) for job in cluster.jobs) == 32
    for manager in cluster.pool.holder.registered:
        assert cluster.pool.used_on(manager) <= 4


def test_a_job_that_ends_leaves_its_slots() -> None:
    """Who still waits for slots gets them; those that nobody needs are given back with their TaskManagers."""
    cluster = after(a_cluster(a_session(ends=10)), 120)
    orders, clicks, third = cluster.jobs
    ask(cluster, orders, 20)
    ask(cluster, clicks, 12)
    after(cluster, 400)
    assert clicks.parallelism[WORKER] == 8
    after(cluster, 120)
    assert third.phase is Phase.FINISHED
    assert clicks.parallelism[WORKER] == 12
    ask(cluster, orders, 4)
    after(cluster, 300)
    assert len(cluster.pool.holder.task_managers) == 4


def test_only_jobs_on_a_lost_task_manager_restart() -> None:
    """The others go on; who lost slots gets a new TaskManager's."""
    cluster = after(a_cluster(a_session()), 120)
    after(cluster, 10)
    lost = cluster.pool.holder.registered[0]
    hit = [job for job in cluster.jobs if lost.id in job.slots_on]
    cluster.yarn.release(cluster.pool.holder, lost, cluster.now, lost=True)
    after(cluster, 180)
    assert len(hit) == 1
    assert [job.restarts for job in cluster.jobs] == [int(job in hit) for job in cluster.jobs]
    assert [job.used for job in cluster.jobs] == [4, 4, 4]


def test_flink_tells_of_each_job() -> None:
    """Over HTTP every job has a line, details and requirements of its own; slots are counted together."""
    with HttpClient(workers=2) as http, SimServer(a_session(ends=1), 1, 0, 200.0, system_clock) as server:
        (application,) = ResourceManagers(http, [server.url]).applications()
        flink = FlinkRest(http, application.id, application.tracking_url or "")
        while server.advance() < 120_000:
            pass
        seen = {job.name: job for job in flink.jobs()}
        assert {name: job.state for name, job in seen.items()} == {
            "orders": "RUNNING",
            "clicks": "RUNNING",
            "import": "FINISHED",
        }
        assert len({job.id for job in seen.values()}) == 3
        clicks = seen["clicks"].id
        assert flink.job(clicks).name == "clicks"
        held = flink.task_managers()
        assert held.slots_total - held.slots_available == 8
        wanted = {SOURCE: Bounds(lower=1, upper=4), WORKER: Bounds(lower=1, upper=6)}
        flink.put_requirements(clicks, wanted, 5.0)
        assert dict(flink.requirements(clicks)) == wanted
        assert flink.requirements(seen["orders"].id)[WORKER].upper == 4


class Session:
    """The daemon's loop on a session cluster; ``most`` are the slots all jobs together ever declared."""

    def __init__(self, scenario: Scenario, minutes: int) -> None:
        self.cluster = SimCluster(scenario, 1, BEGAN)
        self.edge = Edge(self.cluster, scenario.settings)
        self.most = 0
        self.puts: list[tuple[str, Mapping[str, Bounds]]] = []
        self.edge.puts.append(lambda job, bounds: self.puts.append((job.spec.name, bounds)))
        time = VirtualTime(BEGAN, self.cluster.advance)
        with closing(open_store("sqlite://", STORE_BYTES, BEGAN).store) as store:
            fleet = fleet_on(self.edge, time, store, EMR)
            fleet.start(BEGAN)
            self.reasons: set[Reason] = set()
            for second in range(0, minutes * 60, 10):
                time.run(BEGAN + second * 1_000)
                self.most = max(self.most, declared(self.cluster))
                self.reasons |= {status.reason for status in fleet.statuses()}
            key = JobKey(cluster=CLUSTER, application="orders-app", job="clicks")
            self.limited = [r.reason for r in store.requests(key, 100)]


def test_jobs_of_a_session_are_planned_together() -> None:
    """Two jobs that grow in the same minute never ask together for more than the cluster can give, and the job that
    ends leaves its slots to the one that was given less."""
    session = Session(a_session(steps=True, ends=70), 100)
    grown = {name for name, _ in session.puts}
    assert {"orders", "clicks"} <= grown
    assert session.most <= 32
    orders, clicks, third = session.cluster.jobs
    assert third.phase is Phase.FINISHED
    assert orders.used + clicks.used > 32 - 4, "what the third one had is used"
    assert any("wanted" in reason and "but" in reason for reason in session.limited), "less was granted, and said"


def test_all_jobs_of_a_session_are_scored() -> None:
    """What arrives and what is least needed is that of all jobs, the time lag that of the worst."""
    cluster = SimCluster(a_session(ends=10), 1, BEGAN)
    recorder = Recorder(cluster, lambda _: 100)
    cluster.advance(BEGAN + 20 * 60_000)
    record = recorder.finish(0)
    assert [minute.arriving for minute in (record.minutes[0], record.minutes[-1])] == [3_000, 2_000]
    assert record.minutes[0].parallelism == (4,) * 6
    assert record.minutes[-1].parallelism == (4,) * 4 + (0, 0)
    assert all(minute.running for minute in record.minutes)


def test_a_job_is_named_once() -> None:
    """Two jobs of one name could not be told apart in what is printed."""
    one = "{name: a, records_per_slot: 1, vertices: [{name: s, partitions: 1, load: {shape: steady, rate: 1}}]}"
    with pytest.raises(ScenarioError, match="two jobs are called 'a'"):
        parse_scenario(f"{{name: x, about: y, hours: 1, job: {one}, beside: [{one}]}}", "x.yaml")


def test_a_job_without_a_slot_is_named() -> None:
    """Whoever came first took all of them: the scenario says which job cannot start."""
    scenario = a_session()
    greedy = scenario.job.model_copy(update={"start_parallelism": 64})
    with pytest.raises(ScenarioError, match="job clicks: the cluster has no slot left"):
        a_cluster(scenario.model_copy(update={"job": greedy}))


def test_an_id_is_of_one_job() -> None:
    """The first job of a session has the id it would have alone, the others have others."""
    session, alone = a_cluster(a_session()), a_cluster()
    assert job_id(session.job) == job_id(alone.job)
    assert (
        DirectHttp(Edge(session, {})).get_json(
            f"http://proxy:20888/proxy/application_{BEGAN}_0001/jobs/{job_id(session.jobs[1])}"
        )["name"]
        == "clicks"
    )
    assert vertex_id("worker") == WORKER

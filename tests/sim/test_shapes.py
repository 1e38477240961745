"""Every key the simulator sends is one that was recorded of that release, with a value of the same kind."""

from __future__ import annotations

from typing import Any

import pytest

from autoscaler.sim.edge import Edge
from autoscaler.sim.flink_documents import job_id
from autoscaler.sim.yarn_documents import application_id
from tests.adapters.recorded import flink, yarn
from tests.sim.builders import WORKER, a_cluster, a_scenario, after

RELEASES = {"1.18.1": "1.18.1", "1.20.1": "1.20.3", "2.0.1": "2.0.2", "2.3.0": "2.3.0"}
FLINK = {
    "config": "config",
    "overview": "overview",
    "jobs": "jobs",
    "jobs/overview": "jobs_overview",
    "jobmanager/config": "jm_config",
    "taskmanagers": "tms",
    "jobs/JOB": "job",
    "jobs/JOB/config": "job_config",
    "jobs/JOB/status": "status",
    "jobs/JOB/checkpoints": "checkpoints_after2",
    "jobs/JOB/checkpoints/config": "chk_config",
    "jobs/JOB/resource-requirements": "rr",
    "jobs/JOB/vertices/WORKER/subtasks/metrics": "v_slow_names",
    "jobs/JOB/vertices/WORKER/subtasks/metrics?get=busyTimeMsPerSecond&agg=max,sum": "v_slow_agg",
}


def strange(ours: Any, theirs: Any, where: str = "") -> list[str]:
    """What ours has that theirs has not, or has as another kind of value."""
    if isinstance(ours, dict) and isinstance(theirs, dict):
        free = bool(theirs) and all(len(key) == 32 for key in theirs)  # vertices by id
        found = []
        for key, value in ours.items():
            other = next(iter(theirs.values())) if free else theirs.get(key, strange)
            found += [f"{where}.{key}"] if other is strange else strange(value, other, f"{where}.{key}")
        return found
    if isinstance(ours, list) and isinstance(theirs, list):
        if not ours or not theirs:
            return []
        return min((strange(ours[0], each, f"{where}[]") for each in theirs), key=len)
    kinds = {type(ours), type(theirs)}
    same = len(kinds) == 1 or kinds <= {int, float} or type(None) in kinds or (str in kinds and kinds & {float, int})
    return [] if same else [f"{where}: {type(ours).__name__}, not {type(theirs).__name__}"]


@pytest.mark.parametrize("version", RELEASES)
@pytest.mark.parametrize("path", FLINK)
def test_flink_shapes(version: str, path: str) -> None:
    """Of Flink, by release."""
    cluster = after(a_cluster(a_scenario(flink=version)), 130)
    edge = Edge(cluster, {})
    base = f"http://x/proxy/{application_id(cluster)}/"
    edge.answer("GET", base + "jobmanager/metrics")
    after(cluster, 2)
    asked = path.replace("JOB", job_id(cluster.job)).replace("WORKER", WORKER)
    status, document = edge.answer("GET", base + asked)
    assert status == 200
    assert document
    assert strange(document, flink(RELEASES[version], FLINK[path])) == []


@pytest.mark.parametrize(
    ("path", "name"),
    [("info", "rm_info"), ("metrics", "rm_metrics"), ("apps", "rm_apps_running"), ("apps/ID", "rm_app")],
)
def test_yarn_shapes(path: str, name: str) -> None:
    """Of the ResourceManager."""
    cluster = a_cluster()
    asked = path.replace("ID", application_id(cluster))
    status, document = Edge(cluster, {}).answer("GET", f"http://rm:8088/ws/v1/cluster/{asked}")
    assert status == 200
    assert strange(document, yarn(name)) == []


def test_a_job_that_waits_for_slots_has_the_sparse_form() -> None:
    """Without an execution graph: CREATED, the submitted parallelism, no plan."""
    cluster = after(a_cluster(a_scenario(cluster={"nodes": 1, "max_nodes": 1, "node_gb": 18})), 60)
    cluster.job.stop(cluster.now, "a test")
    after(cluster, 1)
    edge = Edge(cluster, {})
    url = f"http://x/proxy/{application_id(cluster)}/jobs/{job_id(cluster.job)}"
    assert edge.answer("GET", url).document["state"] == "RESTARTING"
    for manager in list(cluster.job.holder.task_managers):
        cluster.yarn.release(cluster.job.holder, manager, cluster.now)
    after(cluster, 10)
    document = edge.answer("GET", url).document
    assert (document["state"], document["plan"], document["timestamps"]["RUNNING"]) == ("CREATED", {}, 0)
    recorded = flink("1.20.3-waiting", "job_waiting")
    assert strange(document, recorded) == []
    assert {vertex["status"] for vertex in document["vertices"]} == {"CREATED"}

"""Small scenarios for tests: a source, a keyed worker, exact numbers, no noise unless a test asks for it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from autoscaler.model import Bounds, VertexId
from autoscaler.sim.cluster import SimCluster
from autoscaler.sim.scenario import Scenario, vertex_id

T0 = 1_767_571_200_000
SOURCE, WORKER = vertex_id("Source: in"), vertex_id("worker")
STEADY = {"shape": "steady", "rate": 1_000}


def a_scenario(
    *,
    load: Mapping[str, Any] = STEADY,
    source: Mapping[str, Any] | None = None,
    worker: Mapping[str, Any] | None = None,
    job: Mapping[str, Any] | None = None,
    cluster: Mapping[str, Any] | None = None,
    **top: Any,
) -> Scenario:
    """1,000 records/s into subtasks that can do 500/s each (sources 1,000/s); restarts take exactly 20 s."""
    document: dict[str, Any] = {
        "name": "test",
        "about": "a test",
        "hours": 4,
        "job": {
            "records_per_slot": 500,
            "noise": 0,
            "downtime_s": 1e-9,
            "state_gb": 10,
            "restore_gb_per_s": 0.5,
            "start_parallelism": 4,
            "vertices": [
                {"name": "Source: in", "speed": 2, "partitions": 8, "max_parallelism": 64, "load": dict(load)}
                | dict(source or {}),
                {"name": "worker", "inputs": {"Source: in": 1}, "ship": "REBALANCE", "max_parallelism": 64}
                | dict(worker or {}),
            ],
        }
        | dict(job or {}),
        "cluster": {"nodes": 2, "max_nodes": 2, "node_gb": 34, "speed_spread": 0} | dict(cluster or {}),
    }
    return Scenario.model_validate(document | top)


def a_cluster(scenario: Scenario | None = None, seed: int = 1) -> SimCluster:
    return SimCluster(scenario or a_scenario(), seed, T0)


def after(cluster: SimCluster, seconds: float) -> SimCluster:
    """Let time pass."""
    cluster.advance(cluster.now + round(seconds * 1000))
    return cluster


def ask(cluster: SimCluster, **upper: int) -> None:
    """PUT requirements by name: ``source=2, worker=8``."""
    known: dict[str, VertexId] = {"source": SOURCE, "worker": WORKER}
    present = {v: bound.upper for v, bound in cluster.job.requirements.items()}
    wanted = present | {known[name]: p for name, p in upper.items()}
    cluster.job.put({v: Bounds(lower=1, upper=p) for v, p in wanted.items()}, cluster.now)

"""Numbers nobody should measure, and jobs nobody should run."""

from __future__ import annotations

import math
from typing import Any

import pytest

from autoscaler.core.graph import in_topological_order
from autoscaler.model import Cluster, Reason, Topology, Window
from tests.core.builders import NOW, RUNNING_SINCE, Values, a_decision, a_vertex, a_window, counter


@pytest.mark.parametrize(
    ("values", "policy", "reason"),
    [
        pytest.param({"load": math.inf}, {}, Reason.STEADY, id="infinite-load"),
        pytest.param({"load": -1.0}, {}, Reason.SCALE, id="negative-load"),
        pytest.param({"load": 5e-324}, {}, Reason.SCALE, id="smallest-load"),
        pytest.param(
            {"records_in": [0.0, 1e308, 1e308, 1e308, 1e308, 1e308]},
            {"restart_time": 60_000},
            Reason.SCALE,
            id="overflowing-rate",
        ),
        pytest.param({"lag": math.inf}, {}, Reason.ERROR, id="always-infinite-lag"),
        pytest.param({"lag": [0.0] * 5 + [math.inf]}, {"restart_time": 60_000}, Reason.SCALE, id="infinite-lag"),
        pytest.param({"lag": [0.0] * 5 + [math.inf]}, {}, Reason.STEADY, id="infinite-lag-times-no-restart"),
        pytest.param({"lag": 1e300}, {}, Reason.SCALE, id="huge-lag"),
        pytest.param({"records_in": math.inf}, {}, Reason.ERROR, id="infinite-counter"),
        pytest.param({"records_in": counter(-1e9)}, {}, Reason.SCALE, id="backwards"),
        pytest.param({"observed_tpr": 0.0}, {}, Reason.SCALE, id="observed-zero"),
        pytest.param({"observed_tpr": 0.0, "records_in": 0.0, "load": 0.5}, {}, Reason.STEADY, id="zero-of-zero"),
        pytest.param({}, {"utilization_target": 0.0}, Reason.SCALE, id="target-zero"),
        pytest.param({}, {"utilization_target": 2.0}, Reason.SCALE, id="target-above-one"),
        pytest.param({}, {"restart_time": 10**15}, Reason.STEADY, id="endless-restart"),
    ],
)
def test_absurd_numbers(values: Values, policy: dict[str, Any], reason: Reason) -> None:
    """Every number leads to a decision, and every parallelism stays one that can be asked for."""
    found = a_decision(a_window(values={"a": values}), **policy)
    assert found.reason is reason
    assert 1 <= found.parallelism["a"] <= 128


def test_a_job_without_vertices() -> None:
    """A job of nothing has nothing to scale."""
    window = Window(topology=Topology(vertices=()), running_since=RUNNING_SINCE, samples=a_window().samples)
    assert a_decision(window).reason is Reason.STEADY


def test_a_vertex_without_subtasks() -> None:
    """A vertex that runs with no subtask cannot be multiplied, and does not raise."""
    for aggregator in ("MAX", "AVG"):
        found = a_decision(a_window(a_vertex(parallelism=0)), busy_time_aggregator=aggregator)
        assert found.parallelism == {"a": 0}


def test_a_huge_job_is_decided_in_linear_steps() -> None:
    """A thousand vertices in a chain are no different from one."""
    chain = [a_vertex("v0"), *(a_vertex(f"v{index}", f"v{index - 1}") for index in range(1, 1000))]
    found = a_decision(a_window(*chain, values={"v999": {"load": 0.8}}), extras=True)
    assert found.parallelism == {f"v{index}": 4 for index in range(999)} | {"v999": 7}


def test_a_time_before_all_samples() -> None:
    """A clock that went back finds no full window."""
    assert a_decision(now=NOW - 10**9).reason is Reason.WINDOW_NOT_FULL


def test_vertices_are_put_in_order() -> None:
    """Every input comes before what it feeds; an order that holds already is kept."""
    given = (a_vertex("c", "b", "a"), a_vertex("a"), a_vertex("b", "a"))
    assert [vertex.id for vertex in in_topological_order(given)] == ["a", "b", "c"]
    kept = (a_vertex("b"), a_vertex("a"))
    assert in_topological_order(kept) == kept


@pytest.mark.parametrize(
    "vertices",
    [
        pytest.param((a_vertex("a", "x"),), id="unknown-input"),
        pytest.param((a_vertex("a", "b"), a_vertex("b", "a")), id="cycle"),
    ],
)
def test_what_is_no_job(vertices: Any) -> None:
    """Unknown inputs and cycles are refused."""
    with pytest.raises(ValueError):
        in_topological_order(vertices)


def test_unknown_quota_sizes() -> None:
    """With extras a quota over TaskManagers of unknown size limits nothing."""
    window = a_window(values={"a": {"load": 0.8}})
    found = a_decision(window, cluster=Cluster(), extras=True, quota_cpu=0.0, quota_memory=0)
    assert found.reason is Reason.SCALE

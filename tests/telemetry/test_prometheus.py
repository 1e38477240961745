"""/metrics: what is known of every job, and what the process has done."""

from __future__ import annotations

from dataclasses import replace

from prometheus_client.exposition import generate_latest

from autoscaler.model import Limit, VertexStatus
from autoscaler.telemetry import Counters, fleet_collector
from tests.store.builders import KEY, a_status

VERTEX = VertexStatus(id="e" * 32, name="enrich", parallelism=2, wanted=5, rate=1_000.0, lag=None, utilization=0.8)
STATUS = replace(a_status(), vertices=(VERTEX,), job_id="1" * 32, task_managers=3, tracking_url="http://p/")
JOB = {
    "cluster": KEY.cluster,
    "application": KEY.application,
    "application_id": "application_1_0001",
    "job": KEY.job,
    "job_id": "1" * 32,
}


def test_a_vertex_has_its_numbers_and_names() -> None:
    """Parallelism now and wanted, rate and utilization carry the names a user knows; absent is no series."""
    registry = fleet_collector(Counters(), lambda: [STATUS], dict, lambda: True)
    labels = JOB | {"vertex": "e" * 32, "vertex_name": "enrich"}
    assert registry.get_sample_value("autoscaler_vertex_parallelism", labels) == 2
    assert registry.get_sample_value("autoscaler_vertex_wanted_parallelism", labels) == 5
    assert registry.get_sample_value("autoscaler_vertex_input_rate", labels) == 1_000
    assert registry.get_sample_value("autoscaler_vertex_utilization_ratio", labels) == 0.8
    assert registry.get_sample_value("autoscaler_vertex_lag_records", labels) is None


def test_a_vertex_that_gets_less_than_it_wants_says_by_what() -> None:
    """Granted beside wanted, and a series of 1 for each limit, once; what limits nothing is no series."""
    short = replace(VERTEX, granted=3, limits=(Limit.ALIGNMENT, Limit.CAPACITY, Limit.CAPACITY))
    status = replace(STATUS, vertices=(short, replace(VERTEX, id="f" * 32, name="sink", granted=5)))
    page = generate_latest(fleet_collector(Counters(), lambda: [status], dict, lambda: True)).decode()
    enrich = [line for line in page.splitlines() if 'vertex_name="enrich"' in line]
    assert [line.split()[-1] for line in enrich if line.startswith("autoscaler_vertex_granted_parallelism")] == ["3.0"]
    limits = [line for line in page.splitlines() if line.startswith("autoscaler_vertex_limited{")]
    assert [('limit="alignment"' in line, 'limit="capacity"' in line) for line in limits] == [
        (True, False),
        (False, True),
    ]
    assert all('vertex_name="enrich"' in line and line.endswith(" 1.0") for line in limits)


def test_a_job_has_its_reason_and_link() -> None:
    """Each job is one series that says why it is or is not scaled, and where its page is."""
    registry = fleet_collector(Counters(), lambda: [STATUS], dict, lambda: True)
    labels = JOB | {"reason": "STEADY", "tracking_url": "http://p/"}
    assert registry.get_sample_value("autoscaler_job", labels) == 1
    assert registry.get_sample_value("autoscaler_job_task_managers", JOB) == 3


def test_counters_count() -> None:
    """What the process did since it started, REST traffic included."""
    counters = Counters()
    counters.add("passes", 4)
    counters.add("late_passes")
    registry = fleet_collector(counters, list, lambda: {"calls": 12}, lambda: True)
    assert registry.get_sample_value("autoscaler_passes_total") == 4
    assert registry.get_sample_value("autoscaler_late_passes_total") == 1
    assert registry.get_sample_value("autoscaler_rest_calls_total") == 12


def test_names_of_jobs_may_hold_anything() -> None:
    """Quotes, line ends and other scripts in a name do not break the page."""
    odd = replace(STATUS, key=replace(KEY, job='a "b"\n\\ 作业'))
    page = generate_latest(fleet_collector(Counters(), lambda: [odd], dict, lambda: True)).decode()
    assert '\\"b\\"\\n' in page
    assert "作业" in page


def test_it_tells_which_daemon_acts() -> None:
    """Of several daemons one has 1, so that an alert can say that none has."""
    for leads in (True, False):
        page = generate_latest(fleet_collector(Counters(), list, dict, lambda: leads)).decode()  # noqa: B023
        assert f"autoscaler_leader {float(leads)}" in page

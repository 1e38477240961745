"""The simulator over HTTP, in real and accelerated time."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import pytest

from autoscaler.cluster import HttpClient, Transient
from autoscaler.service import system_clock
from autoscaler.sim.lens import through
from autoscaler.sim.scenario import ScenarioError
from autoscaler.sim.server import SimServer
from tests.service.cluster import Daemon, until
from tests.sim.builders import T0, a_scenario

pytestmark = pytest.mark.slow


class Hand:
    """A clock that is moved by hand."""

    def __init__(self) -> None:
        self.now = T0

    def __call__(self) -> int:
        return self.now


@pytest.fixture
def clock() -> Hand:
    return Hand()


@pytest.fixture
def server(clock: Hand) -> Iterator[SimServer]:
    faults = [{"kind": "rm-down", "at": 60, "minutes": 5}]
    with SimServer(a_scenario(faults=faults), 1, 0, 10.0, clock) as served:
        yield served


def get(url: str) -> object:
    with urlopen(url, timeout=5) as answer:
        assert answer.headers["Content-Type"].startswith("application/json")
        return json.load(answer)


def test_the_clock_carries_the_cluster_along(server: SimServer, clock: Hand) -> None:
    """At speed 10 a second of the clock is ten of the cluster."""
    clock.now += 60_000
    get(server.url + "/ws/v1/cluster/info")
    assert server.cluster.now - T0 == 600_000


def test_speed_is_seen_in_rates_and_instants(server: SimServer, clock: Hand) -> None:
    """A watcher with the clock sees ten times the rate, a tenth of the duration, and instants of its own clock."""
    clock.now += 60_000
    base = server.url + "/proxy/application_1767571200000_0001"
    (job,) = get(base + "/jobs/overview")["jobs"]  # type: ignore[index]
    assert (job["start-time"], job["duration"]) == (T0, 60_000)
    found = get(f"{base}/jobs/{job['jid']}")
    vertex = found["vertices"][1]  # type: ignore[index]
    clock.now += 1_000
    rate = f"{base}/jobs/{job['jid']}/vertices/{vertex['id']}/subtasks/metrics?get=numRecordsInPerSecond"
    assert get(rate)[0]["sum"] == pytest.approx(10_000, rel=0.01)  # type: ignore[index]


def test_a_lens_leaves_shares_alone() -> None:
    """Busy time is a share; counters and parallelism are what they are."""
    seen = through(
        [{"id": "busyTimeMsPerSecond", "avg": 500.0}, {"id": "numRecordsInPerSecond", "sum": 10.0, "avg": "NaN"}],
        4.0,
        lambda at: at,
    )
    assert seen == [
        {"id": "busyTimeMsPerSecond", "avg": 500.0},
        {"id": "numRecordsInPerSecond", "sum": 40.0, "avg": "NaN"},
    ]
    job = {"parallelism": 8, "end-time": -1, "timestamps": {"RUNNING": 100, "FAILED": 0}, "duration": 8_000}
    assert through(job, 4.0, lambda at: at + 1) == {
        "parallelism": 8,
        "end-time": -1,
        "timestamps": {"RUNNING": 101, "FAILED": 0},
        "duration": 2_000,
    }


def test_other_methods_and_pages(server: SimServer) -> None:
    """The web proxy answers for applications it does not know, and only GET and PUT are there."""
    with pytest.raises(HTTPError) as caught:
        urlopen(server.url + "/proxy/application_1_0009/jobs", timeout=5)
    with caught.value as page:
        assert page.code == 404
        assert "text/html" in page.headers["Content-Type"]
    with pytest.raises(HTTPError) as caught:
        urlopen(Request(server.url + "/ws/v1/cluster/info", method="DELETE"), timeout=5)
    with caught.value as page:
        assert page.code == 501


def test_a_resource_manager_that_is_down_says_nothing(server: SimServer, clock: Hand) -> None:
    """The connection ends without an answer, as with a process that is gone."""
    clock.now += 6 * 60_000 + 10_000
    with HttpClient(workers=1) as http, pytest.raises(Transient):
        http.get_json(server.url + "/ws/v1/cluster/info")


def test_a_taken_port_is_named(server: SimServer) -> None:
    """With the number."""
    with pytest.raises(ScenarioError, match=f"--serve {server.port}: "):
        SimServer(a_scenario(), 1, server.port, 1.0, Hand())


def test_the_daemon_process_runs_on_it(tmp_path: Path) -> None:
    """`autoscaler run`, unchanged, over HTTP: it takes the job up and scales it."""
    settings = {
        "job.autoscaler.decision.interval": "1 s",
        "job.autoscaler.metrics.window": "4 s",
        "job.autoscaler.stabilization.interval": "1 s",
        "job.autoscaler.restart.time": "1 s",
        "job.autoscaler.catch-up.duration": "10 s",
        "job.autoscaler.scale-up.grace-period": "0 s",
    }
    scenario = a_scenario(job={"start_parallelism": 1}, settings=settings)
    with SimServer(scenario, 1, 0, 30.0, system_clock) as served:
        file = tmp_path / "autoscaler.yaml"
        file.write_text(
            json.dumps(
                {
                    "resource_managers": [served.url],
                    "flink_conf": None,
                    "discovery_interval": "1 s",
                    "store": {"url": f"sqlite:///{tmp_path / 'history.db'}"},
                    "http": {"port": 0},
                    "log": {"format": "json"},
                }
            )
        )
        with Daemon(file) as daemon:
            daemon.wait_for("requested", timeout_s=25)
            until(lambda: served.cluster.job.parallelism[served.cluster.job.ids[1]] > 1, timeout_s=10)
            assert daemon.end() == 0

"""The lab against what recorded answers and the simulator are held against."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest
import requests
from lab import Lab
from lab import layout as places

from tests.e2e.conftest import PROJECT, QUICK, until

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(260)]


@pytest.mark.versions_differ
def test_a_real_cluster_keeps_the_contract(lab: Lab, applications: list[str]) -> None:
    """Whatever the daemon relies on, and the simulator therefore has to imitate, is so on a real YARN and Flink."""
    lab.set_rate("orders", 300)
    applications.append(lab.submit_orders(name="contract", conf=QUICK))
    (job,) = lab.wait_until_running(applications[0])
    flink = f"{lab.tracking_url(applications[0])}/jobs/{job.id}"
    until(lambda: requests.get(f"{flink}/checkpoints", timeout=10).json()["counts"]["completed"], 60, "a checkpoint")
    # the first question for metrics only starts the JobManager's asking its TaskManagers
    until(lambda: _measured(flink), 60, "the metrics of every vertex, and of the source its offsets")
    suite = ("-m", "pytest", "-p", "no:cacheprovider", "tests/sim/test_contract.py", "-k", "http")
    ran = subprocess.run(
        (sys.executable, *suite),
        env={**os.environ, "CONTRACT_RESOURCE_MANAGER": places.RESOURCE_MANAGER_URL},
        cwd=PROJECT,
        capture_output=True,
        text=True,
        timeout=200,
    )
    assert ran.returncode == 0, ran.stdout
    assert " passed" in ran.stdout


def _measured(flink: str) -> bool:
    """Whether every vertex lists its metrics, the source (the first vertex) those of its partitions too."""
    vertices = [vertex["id"] for vertex in requests.get(flink, timeout=10).json()["vertices"]]
    urls = [f"{flink}/vertices/{vertex}/subtasks/metrics" for vertex in vertices]
    listed = [[metric["id"] for metric in requests.get(url, timeout=10).json()] for url in urls]
    return (
        all("busyTimeMsPerSecond" in names and "numRecordsIn" in names for names in listed)
        and any(name.endswith(".pendingRecords") for name in listed[0])
        and any(name.endswith(".currentOffset") for name in listed[0])
    )

"""The values themselves."""

from __future__ import annotations

from autoscaler.model import JobKey


def test_a_job_reads_as_application_and_job() -> None:
    """A person meets a job as its application and its name; the cluster goes without saying."""
    assert str(JobKey(cluster="default", application="orders", job="daily")) == "orders/daily"

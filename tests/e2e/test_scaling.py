"""The main job on a real YARN: more parallelism when the load grows, back when it falls, and nothing unasked."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import requests
from lab import Lab

from autoscaler.model import JobStatus, Reason, Request, RequestState
from tests.e2e.conftest import QUICK, Orders, Watched, until

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(260)]


def parallelism_of(status: JobStatus, vertex: str) -> int:
    return next(v.parallelism for v in status.vertices if vertex in v.name)


def task_managers(lab: Lab, application: str) -> int:
    return sum(container.kind == "taskmanager" for container in lab.containers(application))


def achieved(daemon: Watched, application: str) -> list[Request]:
    return [r for r in daemon.requests(application) if r.state is RequestState.ACHIEVED]


@pytest.mark.versions_differ
def test_parallelism_follows_the_load(lab: Lab, orders: Orders) -> None:
    """A job with more load than it can take gets parallelism, drains its lag, and gives TaskManagers back later."""
    application, watched = orders("follows", 900)
    few = task_managers(lab, application)
    up = until(lambda: achieved(watched, "follows"), 90, "a scale-up to be reached")[0]
    assert up.outcome is not None
    assert up.outcome.took_ms
    assert up.outcome.downtime_ms is not None
    assert up.outcome.replayed_records is not None
    grown = watched.waits_for(
        "follows/orders", lambda s: parallelism_of(s, "enrich") > 2, 120, "more than one TaskManager's slots"
    )
    most = task_managers(lab, application)
    assert most > few

    lab.set_rate("orders", 30)
    watched.waits_for(
        "follows/orders",
        lambda s: bool(s.vertices) and parallelism_of(s, "enrich") < parallelism_of(grown, "enrich"),
        120,
        "a scale-down to be reached",
    )
    until(lambda: task_managers(lab, application) < most, 60, "a TaskManager to go back to YARN")
    lags = [v.lag for v in watched.statuses()["follows/orders"].vertices if v.lag is not None]
    assert sum(lags) < 700
    assert {r.state for r in watched.requests("follows")} <= {RequestState.ACHIEVED, RequestState.SENT}


def test_advice_is_not_acted_on(lab: Lab, orders: Orders) -> None:
    """In advise mode a job that needs more is told so, and its requirements stay what they were."""
    application, watched = orders("advised", 600, mode="advise")
    status = watched.waits_for("advised/orders", lambda s: s.reason is Reason.ADVISE_ONLY, 120, "advice to scale up")
    assert any(v.wanted > v.parallelism for v in status.vertices)
    assert watched.requests("advised") == ()
    url = f"{lab.tracking_url(application)}/jobs/{status.job_id}/resource-requirements"
    uppers = {v["parallelism"]["upperBound"] for v in requests.get(url, timeout=10).json().values()}
    assert uppers == {1}


def test_whose_job_is_said(lab: Lab, applications: list[str], daemon: Callable[..., Watched]) -> None:
    """Jobs that are not ours, cannot be rescaled, or have no checkpoints are listed with that reason, untouched."""
    lab.set_rate("orders", 600)
    others = {
        "who-default": {"jobmanager.scheduler": "default"},
        "who-off": {"job.autoscaler.enabled": False},
        "who-bare": {"execution.checkpointing.interval": None, **QUICK},
        "who-bad": {"job.autoscaler.metrics.window": "ten minutes"},
    }
    for name, conf in others.items():
        applications.append(lab.submit_orders(name=name, conf=conf))
    for application in applications:
        lab.wait_until_running(application)
    watched = daemon("who-*")
    watched.start()
    expected = {
        "who-default/orders": Reason.NOT_ADAPTIVE,
        "who-off/orders": Reason.NOT_ENABLED,
        "who-bad/orders": Reason.BAD_CONFIGURATION,
        "who-bare/orders": Reason.CHECKPOINTING_OFF,
    }
    for job, reason in expected.items():
        watched.waits_for(job, lambda s, reason=reason: s.reason is reason, 120, f"{job} to be {reason}")
    bad = watched.statuses()["who-bad/orders"].detail
    assert "job.autoscaler.metrics.window" in bad
    assert "ten minutes" in bad
    assert all(watched.requests(name) == () for name in others)


def test_session_jobs_are_measured_one_by_one(
    lab: Lab, applications: list[str], daemon: Callable[..., Watched]
) -> None:
    """Each job of a session cluster is decided on, one from a generator source without lag or input counters too."""
    lab.set_rate("payments", 30)
    session = lab.start_session(name="shared", conf=QUICK)
    applications.append(session)
    for job in ("payments", "numbers"):
        lab.submit_to_session(session, job, conf=QUICK)
    lab.wait_until_running(session, jobs=2)
    watched = daemon("shared", mode="advise")
    watched.start()
    decided = (Reason.STEADY, Reason.ADVISE_ONLY, Reason.FREES_NOTHING)
    for job in ("payments", "numbers"):
        watched.waits_for(f"shared/{job}", lambda s: s.reason in decided, 90, f"a decision on {job}")
    numbers = watched.statuses()["shared/numbers"]
    source = numbers.vertices[0]
    assert source.lag is None
    assert source.target_rate
    assert source.target_rate > 0

"""What the daemon does when it, YARN or Flink dies, on the real ones."""

from __future__ import annotations

import pytest
from lab import Lab

from autoscaler.model import Reason, RequestState
from tests.e2e.conftest import QUICK, Orders, until

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(260)]


def test_a_killed_daemon_continues_its_request(orders: Orders) -> None:
    """Killed between the PUT and its outcome, the daemon finds the outcome after its restart and asks nothing twice."""
    _, watched = orders("killed", 700)
    until(
        lambda: [r for r in watched.requests("killed") if r.state is RequestState.SENT],
        120,
        "a request in flight",
    )
    watched.kill()
    watched.start()
    first = until(
        lambda: [r for r in watched.requests("killed") if r.state is RequestState.ACHIEVED],
        60,
        "the request to be found achieved",
    )[0]
    assert first.outcome is not None
    targets = [r.target for r in watched.requests("killed")]
    assert targets.count(first.target) == 1


@pytest.mark.versions_differ
def test_a_job_is_followed_over_a_lost_application_master(lab: Lab, orders: Orders) -> None:
    """Without high availability the job comes back under another id, and goes on under the same name."""
    application, watched = orders("followed", 100)
    before = watched.waits_for("followed/orders", lambda s: bool(s.vertices), 60, "a first sample")
    lab.kill_jobmanager(application)
    after = watched.waits_for(
        "followed/orders",
        lambda s: s.job_id != before.job_id and s.reason in (Reason.STEADY, Reason.WINDOW_NOT_FULL),
        120,
        "the job under its new id",
    )
    assert after.key == before.key
    assert after.application_id == before.application_id


def test_with_high_availability_the_job_keeps_its_id(lab: Lab, orders: Orders) -> None:
    """With high availability the same job is there again after the ApplicationMaster died, and goes on."""
    application, watched = orders("kept", 100, {**QUICK, **lab.high_availability()})
    before = watched.waits_for("kept/orders", lambda s: bool(s.vertices), 60, "a first sample")
    lab.kill_jobmanager(application)
    watched.waits_for("kept/orders", lambda s: s.at > before.at and s.reason is Reason.UNREACHABLE, 60, "the loss")
    after = watched.waits_for(
        "kept/orders",
        lambda s: s.reason in (Reason.STEADY, Reason.WINDOW_NOT_FULL, Reason.NOT_READY),
        150,
        "the same job again",
    )
    assert after.job_id == before.job_id


def test_jobs_are_held_while_the_resourcemanager_is_away(lab: Lab, orders: Orders) -> None:
    """The ResourceManager's absence is said once, holds every job, and ends by itself."""
    _, watched = orders("held", 100)
    watched.waits_for("held/orders", lambda s: bool(s.vertices), 60, "a first sample")
    lab.stop_resource_manager()
    watched.waits_for("held/orders", lambda s: s.reason is Reason.UNREACHABLE, 60, "the job to be held")
    lab.start_resource_manager()
    watched.waits_for(
        "held/orders",
        lambda s: s.reason in (Reason.STEADY, Reason.WINDOW_NOT_FULL, Reason.NOT_READY),
        90,
        "the job to be measured again",
    )
    assert watched.logged().count("the ResourceManager does not answer; waiting for it") == 1
    assert watched.requests("held") == ()

"""What the daemon does when it, YARN or Flink dies, on the real ones."""

from __future__ import annotations

import pytest
from lab import Lab

from autoscaler.model import Reason, RequestKind, RequestState
from tests.e2e.conftest import QUICK, Orders, until, uppers
from tests.e2e.gate import Gate

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(260)]


def test_a_daemon_killed_around_a_put_loses_and_repeats_nothing(lab: Lab, orders: Orders, gate: Gate) -> None:
    """Killed just before a PUT the daemon finds that nothing was sent; killed just after one, that it was."""
    application, watched = orders("killed", 700, resource_managers=f"['{gate.address}']")
    gate.before_the_next_put(watched.kill)
    until(lambda: watched.ended is not None, 120, "a PUT to arrive")
    assert set(uppers(lab, application).values()) == {1}

    gate.after_the_next_put(watched.kill)
    watched.start()
    until(lambda: gate.passed and watched.ended is not None, 120, "a PUT to be carried out")
    asked = uppers(lab, application)
    assert [r.state for r in watched.requests("killed")] == [RequestState.VOID, RequestState.INTENDED]

    watched.start()
    second = until(
        lambda: [r for r in watched.requests("killed")[1:2] if r.state is RequestState.ACHIEVED],
        60,
        "the second request to be found achieved",
    )[0]
    assert dict(second.target) == asked
    assert gate.passed.count(gate.passed[0]) == 1


@pytest.mark.versions_differ
def test_what_a_lost_application_master_took_with_it_is_asked_again(lab: Lab, orders: Orders) -> None:
    """Without high availability the job comes back under another id and as submitted, and is given what it had."""
    application, watched = orders("followed", 700)
    grown = until(
        lambda: [r for r in watched.requests("followed") if r.state is RequestState.ACHIEVED], 120, "a scale-up"
    )[-1]
    lab.set_rate("orders", 300)
    before = watched.statuses()["followed/orders"]
    lab.kill_jobmanager(application)
    restored = until(
        lambda: [
            r
            for r in watched.requests("followed")
            if r.kind is RequestKind.RESTORE and r.state is RequestState.ACHIEVED
        ],
        150,
        "the requirements to be asked again",
    )[0]
    assert restored.job_id != before.job_id
    assert restored.application_id == before.application_id
    assert restored.decided_at > grown.decided_at
    assert "a new ApplicationMaster had lost it" in restored.reason


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


def test_jobs_are_held_while_the_proxy_is_away(lab: Lab, orders: Orders) -> None:
    """Without the proxy a job is held with that reason; when it is back the job is measured again, unchanged."""
    _, watched = orders("unseen", 100)
    watched.waits_for("unseen/orders", lambda s: bool(s.vertices), 60, "a first sample")
    lab.stop_proxy()
    watched.waits_for("unseen/orders", lambda s: s.reason is Reason.UNREACHABLE, 60, "the job to be held")
    lab.start_proxy()
    watched.waits_for(
        "unseen/orders",
        lambda s: s.reason in (Reason.STEADY, Reason.WINDOW_NOT_FULL, Reason.NOT_READY),
        90,
        "the job to be measured again",
    )
    assert watched.requests("unseen") == ()

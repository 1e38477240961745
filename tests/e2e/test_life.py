"""What becomes of a request when something else happens to the job: undone, or left to whoever did it."""

from __future__ import annotations

from pathlib import Path

import pytest
import requests
from lab import Lab

from autoscaler.model import Phase, Reason, RequestKind, RequestState
from tests.e2e.conftest import QUICK, Orders, requirements_url, until, uppers

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(260)]


def test_a_parallelism_at_which_the_job_fails_is_undone(lab: Lab, orders: Orders, tmp_path: Path) -> None:
    """A job that fails after a scale-up gets back what it had, once, and is not brought there again."""
    failing = tmp_path / "failing"
    conf = {**QUICK, "job.autoscaler.yarn.probation": "2 min", "job.autoscaler.vertex.max-parallelism": 3}
    application, watched = orders("fails", 900, conf, {"fail_while": str(failing)})
    submitted = uppers(lab, application)
    up = until(lambda: [r for r in watched.requests("fails") if r.life.phase is Phase.PROBATION], 120, "a scale-up")[0]
    failing.touch()
    until(
        lambda: [r for r in watched.requests("fails") if r.kind is RequestKind.ROLL_BACK], 90, "the change to be undone"
    )
    failing.unlink()
    until(lambda: watched.requests("fails")[1].state is RequestState.ACHIEVED, 60, "the job to run as before")
    undone = watched.requests("fails")[1]
    assert "it restarted" in undone.reason
    assert uppers(lab, application) == submitted
    watched.waits_for("fails/orders", lambda s: s.reason is Reason.KNOWN_BAD, 60, "the target to be held back")
    assert [r.target for r in watched.requests("fails")].count(up.target) == 1


@pytest.mark.versions_differ
def test_requirements_changed_by_hand_are_left_alone(lab: Lab, orders: Orders) -> None:
    """What somebody asks of Flink by themselves stays for the hold, visibly, whatever the load; then it goes on."""
    conf = {**QUICK, "job.autoscaler.yarn.external-change.hold": "45 s"}
    application, watched = orders("changed", 100, conf)
    watched.waits_for("changed/orders", lambda s: s.reason is Reason.STEADY, 90, "a steady job")
    url = requirements_url(lab, application)
    wanted = requests.get(url, timeout=10).json()
    for bounds in wanted.values():
        bounds["parallelism"]["upperBound"] = 2
    assert requests.put(url, json=wanted, timeout=10).ok
    adopted = until(lambda: watched.requests("changed"), 60, "the change to be noticed")[0]
    assert adopted.state is RequestState.ADOPTED

    lab.set_rate("orders", 1200)
    held = watched.waits_for("changed/orders", lambda s: s.reason is Reason.EXTERNAL_CHANGE, 60, "the job to be held")
    assert any(v.wanted > v.parallelism for v in held.vertices)
    assert set(uppers(lab, application).values()) == {2}
    ours = until(lambda: [r.sent_at for r in watched.requests("changed")[1:] if r.sent_at], 90, "the hold to end")
    assert ours[0] - adopted.decided_at >= 45_000

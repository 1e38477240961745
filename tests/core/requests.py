"""Requests for another parallelism: of a job with a source ``s`` and a worker ``w``, each at 2, asked to be 2 and 4."""

from __future__ import annotations

from typing import Any

from autoscaler.model import Bounds, Fare, JobKey, Life, Millis, Outcome, Phase, Request, RequestState, frozen
from tests.core.builders import NOW, SECOND

KEY = JobKey(cluster="c", application="shop", job="orders")
BEFORE, TARGET = frozen({"s": 2, "w": 2}), frozen({"s": 2, "w": 4})
FORMER = frozen({"s": Bounds(lower=1, upper=2), "w": Bounds(lower=1, upper=2)})
WANTED = frozen({"s": Bounds(lower=1, upper=2), "w": Bounds(lower=1, upper=4)})
OLD_ATTEMPT = NOW - 1_000_000
NEW_ATTEMPT = NOW + 20 * SECOND
GOOD = Fare(throughput=1_000.0, arriving=1_000.0, lag_growth=0.0, slots=2, gc_pressure=0.1)


def a_request(**changes: Any) -> Request:
    """Return a request that was sent at NOW and of which nothing is known yet."""
    defaults: dict[str, Any] = {
        "key": KEY,
        "application_id": "application_1_0001",
        "job_id": "j",
        "decided_at": NOW,
        "reason": "w 2→4",
        "before": BEFORE,
        "target": TARGET,
        "requirements": WANTED,
        "former": FORMER,
        "running_since": OLD_ATTEMPT,
        "state": RequestState.SENT,
        "sent_at": NOW,
        "life": Life(before=GOOD),
        "id": 1,
    }
    return Request(**defaults | changes)


def in_phase(phase: Phase, since: Millis = NOW, **changes: Any) -> Request:
    """Return a request whose life has come so far, the new attempt seen once."""
    life = Life(phase=phase, since=since, looked_at=since, before=GOOD)
    if phase not in (Phase.STEADY, Phase.REQUESTED):
        life = Life(
            phase=phase,
            since=since,
            looked_at=since,
            before=GOOD,
            attempt=NEW_ATTEMPT,
            attempts=1,
            parallelism=TARGET,
            failed_checkpoints=3,
        )
    return a_request(**{"life": life, "transitions": a_request().transitions} | changes)


def closed(at: Millis, state: RequestState = RequestState.ACHIEVED, **changes: Any) -> Request:
    """Return a request that was sent and closed at a time."""
    outcome = Outcome(at=at, parallelism=TARGET)
    return a_request(**{"decided_at": at, "sent_at": at, "state": state, "outcome": outcome} | changes)

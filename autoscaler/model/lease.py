"""The right to act on a cluster, as a store has it."""

from __future__ import annotations

from dataclasses import dataclass

from autoscaler.model.base import Millis


@dataclass(frozen=True, slots=True, kw_only=True)
class Lease:
    """Who alone may act on a cluster and write to a store: ``holder``, until ``expires_at`` of the store's clock.

    ``token`` grows each time another holder takes the lease, so that a former one is told apart when it wakes up.
    """

    holder: str
    token: int
    expires_at: Millis

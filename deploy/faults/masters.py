"""The cluster's two masters: a ResourceManager on each, of which one is active, and whose daemon holds the lease."""

from __future__ import annotations

from typing import Any

from autoscaler.cluster import Gate
from autoscaler.cluster.http import Reply, failure
from autoscaler.model import Millis
from autoscaler.sim.drive import RM
from autoscaler.sim.edge import DirectHttp, Edge

ADDRESSES = (RM, "http://rm2:8088")
GOOD_FOR: Millis = 2_000  # so old may be what a daemon that sends knows of its right to
_YARN = "/ws/v1/cluster/"


class Masters:
    """``active`` is the address of the active ResourceManager, ``None`` during a fail-over; ``chosen`` the one that is
    or becomes it. ``holder`` is the daemon that was last given the lease."""

    def __init__(self) -> None:
        self.active: str | None = ADDRESSES[0]
        self.chosen = ADDRESSES[0]
        self.holder: str | None = None
        self._changed_at: Millis = 0

    def step_down(self, now: Millis) -> None:
        """The active ResourceManager is so no more."""
        self.active, self._changed_at = None, now
        (self.chosen,) = (each for each in ADDRESSES if each != self.chosen)

    def take_over(self, now: Millis) -> None:
        """The other ResourceManager is the active one."""
        self.active, self._changed_at = self.chosen, now

    def objection(self, address: str, name: str, now: Millis) -> str | None:
        """Tell why the daemon beside a ResourceManager has no right to send."""
        if address != self.active and now - self._changed_at > GOOD_FOR:
            return f"{name} beside {address}, which is not active since {(now - self._changed_at) / 1000:.1f} s"
        return None if name == self.holder else f"{name}, while {self.holder} holds the lease"


class MastersHttp(DirectHttp):
    """The way to the cluster by either of two ResourceManagers; one that is not active answers as a standby does."""

    def __init__(self, edge: Edge, masters: Masters) -> None:
        super().__init__(edge)
        self._masters = masters

    def get_json(self, url: str, gate: Gate | None = None, timeout_s: float | None = None) -> Any:
        address, of_yarn, path = url.partition(_YARN)
        if not of_yarn or address == self._masters.active:
            return super().get_json(url, gate, timeout_s)
        if path == "info":
            document = super().get_json(url, gate, timeout_s)
            return {"clusterInfo": {**document["clusterInfo"], "haState": "STANDBY"}}
        location = f"{self._masters.active}{_YARN}{path}"
        raise failure("GET", url, Reply(307, {"Location": location}, b"This is standby RM. Redirecting."))

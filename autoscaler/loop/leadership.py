"""Which of several daemons acts: the one beside the active ResourceManager that also holds the store's lease.

EMR starts a daemon on each of three masters. Everything a daemon knows about its right to act is ``Evidence``, and
``objection`` judges it. The right is asked for with every discovery, and once more on the open connection of each
request, because a process may have been frozen at any moment since.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Protocol

from autoscaler.cluster import ClusterError, Own
from autoscaler.model import Lease, Millis
from autoscaler.store import StoreUnavailable
from autoscaler.telemetry import Journal

Clock = Callable[[], Millis]


class Managers(Protocol):
    """The ResourceManagers; ``active`` is the one that last answered as the active one does."""

    @property
    def active(self) -> str | None: ...
    def ha_state(self, address: str, timeout_s: float | None = None) -> str: ...


class Leases(Protocol):
    """A store's lease; both calls return whose it is then, and may raise ``StoreUnavailable``."""

    def hold_lease(self, cluster: str, holder: str, duration: Millis, now: Millis) -> Lease: ...
    def release_lease(self, cluster: str, holder: str, now: Millis) -> Lease | None: ...


GOOD_FOR: Millis = 2_000  # a standby needs longer than that to become active and be found so by its daemon
SLACK: Millis = 15_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """What one daemon knows of its right to act.

    ``active`` is the ResourceManager that said it is, ``lease`` how the store's lease stands; ``asked_at`` and ``now``
    are times of a clock that goes on while the process or the machine sleeps.
    """

    holder: str
    own: Own
    active: str | None
    lease: Lease | None
    asked_at: Millis
    now: Millis
    trouble: str | None = None


def own_is_unknown(e: Evidence) -> str | None:
    return e.own.problem


def not_asked_successfully(e: Evidence) -> str | None:
    return e.trouble


def another_is_active(e: Evidence) -> str | None:
    if e.own.addresses is None or e.active in e.own.addresses:
        return None
    active = f"{e.active} is the active one" if e.active else "none is active"
    return f"this machine's ResourceManager {' or '.join(e.own.addresses)} is not active; {active}"


def another_holds_the_lease(e: Evidence) -> str | None:
    if e.lease is not None and e.lease.holder == e.holder:
        return None
    return f"{e.lease.holder if e.lease else 'nobody'} holds the store's lease"


def too_long_ago(e: Evidence) -> str | None:
    passed = e.now - e.asked_at
    if passed <= GOOD_FOR:
        return None
    return f"{passed / 1000:.1f} s passed since the right to act was asked for, and it is good for {GOOD_FOR // 1000} s"


RULES: tuple[Callable[[Evidence], str | None], ...] = (  # first to object wins
    own_is_unknown,
    not_asked_successfully,
    another_is_active,
    another_holds_the_lease,
    too_long_ago,
)


def objection(evidence: Evidence) -> str | None:
    """Return why this daemon must not act, ``None`` if it may."""
    return next((found for rule in RULES if (found := rule(evidence)) is not None), None)


def lease_time(discovery_interval: Millis) -> Millis:
    """How long a lease lasts: over one renewal that fails, and short enough for a successor within two intervals."""
    return 2 * discovery_interval + SLACK


class Leadership:
    """This daemon's part among several. ``objection`` is why it does not act, ``None`` while it does.

    ``clock`` is the wall clock, ``uptime`` one that no adjustment moves and no sleep stops.
    """

    def __init__(
        self,
        *,
        holder: str,
        cluster: str,
        own: Callable[[], Own],
        managers: Managers,
        leases: Leases,
        lease_time: Callable[[], Millis],
        clock: Clock,
        uptime: Clock,
        journal: Journal,
    ) -> None:
        self.objection: str | None = "not asked yet which ResourceManager is active"
        self._holder = holder
        self._cluster = cluster
        self._own = own
        self._managers = managers
        self._leases = leases
        self._lease_time = lease_time
        self._clock = clock
        self._uptime = uptime
        self._journal = journal
        self._turn = threading.Lock()  # discovery and passes ask, each with a request of its own

    def review(self) -> bool:
        """Ask anew after a ResourceManager answered; return whether this daemon has begun to act just now.

        Whoever lists applications is active, so no ResourceManager is asked again. While the store does not answer
        who acts goes on, from memory; without the store nothing is sent anyway.
        """
        with self._turn:
            before = self.objection
            evidence = self._evidence(self._managers.active)
            if evidence.trouble is None or before is not None:
                self._conclude(evidence)
            return before is not None and self.objection is None

    def last_objection(self) -> str | None:
        """Ask the ResourceManager and the store once more, when nothing but the sending is left to do.

        Without their answers there is no right to act, and what they answered is not relied on for longer than
        ``GOOD_FOR``, counted from before they were asked.
        """
        with self._turn:
            if self.objection is not None:
                return self.objection
            asked_at, active, trouble = self._uptime(), self._managers.active, None
            try:
                if active is not None and self._managers.ha_state(active, GOOD_FOR / 1000) != "ACTIVE":
                    active = None
            except ClusterError as error:
                trouble = f"the ResourceManager did not say whether it is active: {error}"
            evidence = self._evidence(active, trouble)
            if evidence.trouble is None:
                self._conclude(evidence)
            return objection(replace(evidence, asked_at=asked_at, now=self._uptime()))

    def resign(self) -> None:
        """Give the lease back, so that another daemon need not wait until it expires."""
        with self._turn:
            self.objection = self.objection or "the autoscaler is stopping"
            try:
                self._leases.release_lease(self._cluster, self._holder, self._clock())
            except StoreUnavailable as error:
                self._journal.warn("the store's lease could not be given back; it expires by itself", error=str(error))

    def _evidence(self, active: str | None, trouble: str | None = None) -> Evidence:
        """Look at the lease too: take or renew it where nothing else objects, and leave it to others where it does."""
        found = Evidence(
            holder=self._holder, own=self._own(), active=active, lease=None, asked_at=0, now=0, trouble=trouble
        )
        if trouble is not None:
            return found
        cluster, holder = self._cluster, self._holder
        try:
            if own_is_unknown(found) or another_is_active(found):
                lease = self._leases.release_lease(cluster, holder, self._clock())
            else:
                lease = self._leases.hold_lease(cluster, holder, self._lease_time(), self._clock())
        except StoreUnavailable as error:
            return replace(found, trouble=f"the store's lease cannot be read: {error}")
        return replace(found, lease=lease)

    def _conclude(self, evidence: Evidence) -> None:
        found = objection(evidence)
        if found == self.objection:
            return
        before, self.objection = self.objection, found
        if found is None:
            self._journal.note("this daemon acts", holder=self._holder)
        else:
            self._journal.note("this daemon stands by", holder=self._holder, detail=found, acted=before is None)

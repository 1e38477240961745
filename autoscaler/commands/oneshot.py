"""``once`` and ``plan``: the daemon's own pass, once over all jobs."""

from __future__ import annotations

import sys
import threading
from collections.abc import Mapping

from autoscaler.commands.output import print_json
from autoscaler.commands.show import print_statuses
from autoscaler.loop import Memory
from autoscaler.model import Command, History, JobKey, JobStatus, Lease, Millis, PassRecord, Request, Window
from autoscaler.service import Service, opened_store
from autoscaler.settings import Settings
from autoscaler.store import RecoveringStore, Store, StoreError, StoreUnavailable, open_existing
from autoscaler.telemetry import Journal, configure_logging

PATIENCE_S = 120.0
PLAN_INTERVAL: Millis = 12_000  # a JobManager fetches metrics at most every 10 s


class NothingRemembered:
    """A memory for looking only: reads from a store if there is one, and forgets whatever it is told."""

    epoch = 0

    def __init__(self, store: Store | None) -> None:
        self._store = store

    def window(self, key: JobKey, since: Millis) -> Window | None:
        return self._store.window(key, since) if self._store else None

    def memory(self, key: JobKey) -> History:
        return self._store.memory(key) if self._store else History()

    def record_pass(self, done: PassRecord) -> None: ...
    def record_decision(self, key: JobKey, decision: object, detail: str = "") -> None: ...
    def add_request(self, request: Request) -> int:
        raise StoreUnavailable("a plan sends nothing")

    def update_request(self, request: Request) -> None: ...
    def open_requests(self) -> tuple[Request, ...]:
        return self._store.open_requests() if self._store else ()

    def requests(self, key: JobKey, limit: int) -> tuple[Request, ...]:
        return self._store.requests(key, limit) if self._store else ()

    def save_status(self, status: JobStatus) -> None: ...
    def statuses(self) -> tuple[JobStatus, ...]:
        return ()

    def commands(self, cluster: str, now: Millis) -> tuple[Command, ...]:
        return self._store.commands(cluster, now) if self._store else ()

    def set_command(self, command: Command) -> None: ...
    def mark_absent(self, key: JobKey, at: Millis) -> None: ...
    def present(self, key: JobKey) -> None: ...
    def absent(self) -> Mapping[JobKey, Millis]:
        return {}

    def forget(self, key: JobKey) -> None: ...
    def retain(self, now: Millis) -> None: ...
    def hold_lease(self, cluster: str, holder: str, duration: Millis, now: Millis) -> Lease:
        raise StoreUnavailable("a plan takes no lease")

    def release_lease(self, cluster: str, holder: str, now: Millis) -> None: ...


def run_once(settings: Settings, patience_s: float, *, as_json: bool) -> int:
    """One pass over all jobs, which acts. What comes of a rescale is observed by the next pass or the daemon."""
    configure_logging(settings.log.format, settings.log.level)
    journal = Journal()
    store = opened_store(settings, journal)
    return _one_round(Service(settings, store, spread=False, journal=journal), store, patience_s, as_json=as_json)


def plan_once(settings: Settings, patience_s: float, *, as_json: bool) -> int:
    """One pass that acts on nothing and remembers nothing; a job without a window yet is read a second time."""
    configure_logging(settings.log.format, "warning")
    try:
        memory: Memory = NothingRemembered(open_existing(settings.store.url))
    except StoreError as error:
        note = "metrics windows fill only while `autoscaler run` observes the jobs"
        print(f"autoscaler: planning without a history: {error}; {note}", file=sys.stderr)
        memory = NothingRemembered(None)
    service = Service(settings, memory, act=False, spread=False, interval=PLAN_INTERVAL)
    return _one_round(service, None, patience_s, as_json=as_json)


def _one_round(service: Service, store: RecoveringStore | None, patience_s: float, *, as_json: bool) -> int:
    print("autoscaler: one pass over all jobs ...", file=sys.stderr)
    service.start()
    tick, waited, passes = threading.Event(), 0.0, 1 if store else 2
    while not service.round_is_complete(passes) and waited < patience_s:
        tick.wait(0.1)
        waited += 0.1
    complete = service.round_is_complete(passes) or service.fleet.down_since is not None
    service.stop()
    statuses = sorted(service.statuses(), key=lambda status: str(status.key))
    if as_json:
        print_json(statuses)
    else:
        print_statuses(statuses, service.clock())
    if store is not None:
        store.close()
    if not complete:
        print(f"autoscaler: not every application answered within {patience_s:g} s (--patience)", file=sys.stderr)
        return 1
    if service.fleet.down_since is not None:
        print("autoscaler: the ResourceManager does not answer", file=sys.stderr)
        return 1
    return 0

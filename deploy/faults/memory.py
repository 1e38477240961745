"""The store as the daemon sees it on a bad day: it fails for a while, and the daemon may die on either side of a write.

The store itself is the daemon's own, on a database in memory, which outlives the daemons that use it as a file would.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TypeVar

from autoscaler.model import (
    Command,
    Decision,
    History,
    JobKey,
    JobStatus,
    Lease,
    Millis,
    PassRecord,
    Reason,
    Request,
    RequestKind,
    Window,
)
from autoscaler.sim.drive import STORE_BYTES
from autoscaler.store import Opened, RecoveringStore, Store, StoreUnavailable
from autoscaler.store.engine import ensure_schema, place_of, writable_engine
from faults.weather import Weather

_T = TypeVar("_T")
_NOT_SIZED = (Reason.WINDOW_NOT_FULL, Reason.NOT_READY, Reason.MEMORY_PRESSURE, Reason.ERROR)


class Database:
    """A database in memory, which each process opens for itself."""

    def __init__(self) -> None:
        self._place = place_of("sqlite://")
        self._engine = writable_engine(self._place, STORE_BYTES)
        ensure_schema(self._engine, self._place)

    def store(self) -> Store:
        return Store(self._engine, self._place, STORE_BYTES)

    def opened(self, clock: Callable[[], Millis]) -> RecoveringStore:
        """The store as a daemon has it."""
        return RecoveringStore("sqlite://", STORE_BYTES, clock, lambda _: None, Opened(store=self.store()))


class FaultyMemory:
    """One daemon's way to the store. ``kept`` is told of each sample, and again when it was stored, ``leased`` whose
    the lease is, ``sized`` of each pass that knew enough to size vertices; ``intent`` is the kind of the
    request stored last."""

    def __init__(
        self,
        store: RecoveringStore,
        weather: Weather,
        clock: Callable[[], Millis],
        kept: Callable[[Millis, bool], None],
        leased: Callable[[Lease | None], None],
        sized: Callable[[], None],
    ) -> None:
        self.intent = RequestKind.SCALE
        self._store = store
        self._weather = weather
        self._clock = clock
        self._kept = kept
        self._leased = leased
        self._sized = sized

    @property
    def epoch(self) -> int:
        return self._store.epoch

    def _read(self, call: Callable[[], _T]) -> _T:
        if self._clock() < self._weather.store_fails_until:
            self._weather.happened("store error")
            raise StoreUnavailable("store: disk I/O error (the disk does not read or write)")
        return call()

    def _write(self, what: str, call: Callable[[], _T]) -> _T:
        self._weather.passing(f"before {what}")
        result = self._read(call)
        self._weather.passing(f"after {what}")
        return result

    def record_pass(self, done: PassRecord) -> None:
        def stored() -> None:
            self._store.record_pass(done)
            self._kept(done.sample.at, True)

        self._kept(done.sample.at, False)
        if done.status.reason not in _NOT_SIZED:
            self._sized()
        self._write("record_pass", stored)

    def record_decision(self, key: JobKey, decision: Decision, detail: str) -> None:
        self._write("record_decision", lambda: self._store.record_decision(key, decision, detail))

    def add_request(self, request: Request) -> int:
        self.intent = request.kind
        return self._write(f"add_request {request.kind.value}", lambda: self._store.add_request(request))

    def update_request(self, request: Request) -> None:
        self._write(f"update_request {request.state.value}", lambda: self._store.update_request(request))

    def save_status(self, status: JobStatus) -> None:
        self._write("save_status", lambda: self._store.save_status(status))

    def set_command(self, command: Command) -> None:
        self._write("set_command", lambda: self._store.set_command(command))

    def mark_absent(self, key: JobKey, at: Millis) -> None:
        self._write("mark_absent", lambda: self._store.mark_absent(key, at))

    def present(self, key: JobKey) -> None:
        self._write("present", lambda: self._store.present(key))

    def forget(self, key: JobKey) -> None:
        self._write("forget", lambda: self._store.forget(key))

    def retain(self, now: Millis) -> object:
        return self._write("retain", lambda: self._store.retain(now))

    def hold_lease(self, cluster: str, holder: str, duration: Millis, now: Millis) -> Lease:
        lease = self._read(lambda: self._store.hold_lease(cluster, holder, duration, now))
        self._leased(lease)
        return lease

    def release_lease(self, cluster: str, holder: str, now: Millis) -> Lease | None:
        lease = self._read(lambda: self._store.release_lease(cluster, holder, now))
        self._leased(lease)
        return lease

    def window(self, key: JobKey, since: Millis) -> Window | None:
        return self._read(lambda: self._store.window(key, since))

    def memory(self, key: JobKey) -> History:
        return self._read(lambda: self._store.memory(key))

    def open_requests(self) -> tuple[Request, ...]:
        return self._read(self._store.open_requests)

    def requests(self, key: JobKey, limit: int) -> tuple[Request, ...]:
        return self._read(lambda: self._store.requests(key, limit))

    def statuses(self) -> tuple[JobStatus, ...]:
        return self._read(self._store.statuses)

    def commands(self, cluster: str, now: Millis) -> tuple[Command, ...]:
        return self._read(lambda: self._store.commands(cluster, now))

    def absent(self) -> Mapping[JobKey, Millis]:
        return self._read(self._store.absent)

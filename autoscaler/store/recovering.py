"""A store that begins anew when its file turns out to be damaged or removed while it is in use."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from dataclasses import replace
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
    Request,
    Window,
)
from autoscaler.store.engine import inode, place_of, set_aside, set_log_aside
from autoscaler.store.errors import StoreError, StoreUnavailable
from autoscaler.store.opening import Opened, open_store
from autoscaler.store.retention import Retained
from autoscaler.store.store import Store

_T = TypeVar("_T")
HELD_FOR: Millis = 10_000  # how long nobody waits again for a store that another process holds
_EPOCH_BITS = 32  # below which a request's number is the database's own


class RecoveringStore:
    """The daemon's store: sets a damaged file aside, says so, and goes on with a new one, as it does when somebody
    removed or replaced the file. While another process holds it, calls fail at once but for one now and then.

    What was stored is lost then, what the loops hold in memory is not: they go on deciding on it and store their
    history and open requests again when ``epoch`` changes. A process that starts later has only what was stored
    since, so its windows fill anew before anything is scaled. Requests carry the epoch in their number, so that one
    stored before is never taken for another that got its number since.

    A daemon that stands by keeps nothing: what it would write is the acting one's to write. It shows its statuses only
    while nobody holds the lease, as nobody else does.

    Calls wait for each other, so that none uses the old file while it is moved.
    """

    def __init__(
        self, url: str, max_size_bytes: int, clock: Callable[[], Millis], say: Callable[[str], None], opened: Opened
    ) -> None:
        self._url = url
        self._max_size_bytes = max_size_bytes
        self._clock = clock
        self._say = say
        self._path = place_of(url).path
        self._use(opened.store)
        self._epoch = 0
        self._held_until: Millis = 0
        self._held_why = ""
        self._moved: dict[int, int] = {}
        self._keeps = True
        self._shows = True
        self._lock = threading.RLock()

    @property
    def epoch(self) -> int:
        return self._epoch

    def close(self) -> None:
        self._store.close()

    def record_pass(self, done: PassRecord) -> None:
        with self._lock:
            if self._keeps:
                self._on(lambda store: store.record_pass(done))
            else:
                self.save_status(done.status)

    def window(self, key: JobKey, since: Millis) -> Window | None:
        return self._on(lambda store: store.window(key, since))

    def memory(self, key: JobKey) -> History:
        return self._on(lambda store: store.memory(key))

    def record_decision(self, key: JobKey, decision: Decision, detail: str) -> None:
        self._keep(lambda store: store.record_decision(key, decision, detail))

    def add_request(self, request: Request) -> int:
        with self._lock:
            if not self._keeps:
                raise StoreUnavailable("another daemon acts, and it alone stores requests")
            number = self._on(lambda store: store.add_request(request))
            return number + (self._epoch << _EPOCH_BITS)

    def update_request(self, request: Request) -> None:
        """Replace what is known of a request; one from before the store began anew is added to it."""
        assert request.id is not None
        with self._lock:
            if not self._keeps:
                return
            number = self._moved.get(request.id, request.id)
            if number >> _EPOCH_BITS == self._epoch:
                own = replace(request, id=number & ((1 << _EPOCH_BITS) - 1))
                epoch = self._epoch
                self._on(lambda store: store.update_request(own) if self._epoch == epoch else None)
            if number >> _EPOCH_BITS != self._epoch:
                self._moved[request.id] = self.add_request(request)

    def open_requests(self) -> tuple[Request, ...]:
        return self._numbered(lambda store: store.open_requests())

    def requests(self, key: JobKey, limit: int) -> tuple[Request, ...]:
        return self._numbered(lambda store: store.requests(key, limit))

    def _numbered(self, call: Callable[[Store], tuple[Request, ...]]) -> tuple[Request, ...]:
        with self._lock:
            found = self._on(call)
            return tuple(replace(r, id=(r.id or 0) + (self._epoch << _EPOCH_BITS)) for r in found)

    def save_status(self, status: JobStatus) -> None:
        if self._shows:
            self._on(lambda store: store.save_status(status))

    def statuses(self) -> tuple[JobStatus, ...]:
        return self._on(lambda store: store.statuses())

    def commands(self, cluster: str, now: Millis) -> tuple[Command, ...]:
        return self._on(lambda store: store.commands(cluster, now))

    def set_command(self, command: Command) -> None:
        self._keep(lambda store: store.set_command(command))

    def mark_absent(self, key: JobKey, at: Millis) -> None:
        self._keep(lambda store: store.mark_absent(key, at))

    def present(self, key: JobKey) -> None:
        self._keep(lambda store: store.present(key))

    def absent(self) -> Mapping[JobKey, Millis]:
        return self._on(lambda store: store.absent())

    def forget(self, key: JobKey) -> None:
        self._keep(lambda store: store.forget(key))

    def retain(self, now: Millis) -> Retained:
        return self._on(lambda store: store.retain(now)) if self._keeps else Retained()

    # -------------------------------------------------------------- copies

    def is_empty(self) -> bool:
        return self._on(lambda store: store.is_empty())

    def essentials(self) -> bytes:
        return self._on(lambda store: store.essentials())

    def take_essentials(self, copied: bytes) -> None:
        self._on(lambda store: store.take_essentials(copied))

    # -------------------------------------------------------------- the lease

    def hold_lease(self, cluster: str, holder: str, duration: Millis, now: Millis) -> Lease:
        with self._lock:
            lease = self._on(lambda store: store.hold_lease(cluster, holder, duration, now))
            self._keeps = self._shows = lease.holder == holder
            return lease

    def release_lease(self, cluster: str, holder: str, now: Millis) -> Lease | None:
        with self._lock:
            self._keeps = False
            other = self._on(lambda store: store.release_lease(cluster, holder, now))
            self._shows = other is None
            return other

    # -------------------------------------------------------------- recovering

    def _keep(self, call: Callable[[Store], None]) -> None:
        with self._lock:
            if self._keeps:
                self._on(call)

    def _on(self, call: Callable[[Store], _T]) -> _T:
        """Do it, and once more on a new store if this one is damaged."""
        with self._lock:
            if self._clock() < self._held_until:
                raise StoreUnavailable(self._held_why, busy=True)
            try:
                if self._path is not None and inode(self._path) != self._inode:
                    self._store.close()
                    set_log_aside(self._path, self._clock())
                    self._begin_anew(f"store {self._path}: the file was removed or replaced")
                return call(self._store)
            except StoreUnavailable as error:
                if error.busy:
                    self._held_until, self._held_why = self._clock() + HELD_FOR, str(error)
                if not error.corrupt or self._path is None:
                    raise
                self._store.close()
                aside = set_aside(self._path, self._clock())
                self._begin_anew(f"{error}. It was set aside as {aside}")
            return call(self._store)

    def _begin_anew(self, why: str) -> None:
        """Open a new store where the old one was. Raises ``StoreUnavailable`` where none can be."""
        try:
            self._use(open_store(self._url, self._max_size_bytes, self._clock()).store)
        except StoreUnavailable:
            raise
        except StoreError as error:
            raise StoreUnavailable(str(error)) from error
        self._epoch += 1
        self._say(f"{why}; a new history begins, jobs go on from memory")

    def _use(self, store: Store) -> None:
        self._store = store
        self._inode = None if self._path is None else inode(self._path)

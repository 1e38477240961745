"""What the autoscaler remembers, job by job. Knows no rules and no clock: every time is an argument."""

from __future__ import annotations

import threading
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, replace
from typing import Any

from sqlalchemy import Connection, Engine, Row, Table, bindparam, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.sql import Select

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
    RequestState,
    Sample,
    Topology,
    Window,
    frozen,
)
from autoscaler.store.codec import from_json, load, unpack, unpack_sample, vertex_ids
from autoscaler.store.engine import Place, begun
from autoscaler.store.errors import StoreUnavailable, translated
from autoscaler.store.essentials import essentials, take
from autoscaler.store.leasing import begin, check, hold, release
from autoscaler.store.prepared import Prepared
from autoscaler.store.retention import (
    Retained,
    Size,
    delete_expired,
    delete_first,
    delete_old,
    give_back_pages,
    size_of,
)
from autoscaler.store.schema import commands, decisions, identity_of, jobs, plans, requests, samples, statuses
from autoscaler.store.writer import Known, Writer

_FULL_ENOUGH = 0.9


def _of_job(table: Table) -> Select[Any]:
    return select(table).join(jobs, jobs.c.id == table.c.job_id).where(jobs.c.identity == bindparam("wanted"))


# Built once: building costs more than SQLite takes to run them. What was asked for last tells what a job should have:
# by its number, as a clock that was set back makes it look older.
_LAST_REQUESTS = _of_job(requests).order_by(requests.c.id.desc()).limit(bindparam("limit"))
_LAST_DECISIONS = _of_job(decisions).order_by(decisions.c.at.desc(), decisions.c.id.desc()).limit(bindparam("limit"))
_SAMPLES_SINCE = (
    select(samples.c.at, samples.c.plan_id, samples.c.running_since, samples.c.measured)
    .join(jobs, jobs.c.id == samples.c.job_id)
    .where(jobs.c.identity == bindparam("wanted"), samples.c.at >= bindparam("since"))
    .order_by(samples.c.at, samples.c.id)
)
_PLANS = select(plans.c.id, plans.c.topology).where(plans.c.id.in_(bindparam("numbers", expanding=True)))
_MEMORY = select(jobs.c.memory).where(jobs.c.identity == bindparam("wanted"))
_STATUSES = select(statuses)
_COMMANDS = Prepared(select(commands.c.command).order_by(commands.c.id))
_ABSENT = Prepared(select(jobs.c.name, jobs.c.absent_since).where(jobs.c.absent_since.is_not(None)))
_JOBS = Prepared(select(jobs.c.id))
_OPEN_REQUESTS = (
    select(requests)
    .where(requests.c.state.in_((RequestState.INTENDED.value, RequestState.SENT.value)))
    .order_by(requests.c.id)
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Recorded:
    """A decision as it was recorded, with the sentence that explained it."""

    decision: Decision
    detail: str


class Store:
    """The autoscaler's memory in a database; for any number of threads, and of processes on one machine.

    Any method may raise ``StoreUnavailable``: nothing of that call is stored then, and the next call tries
    afresh.
    """

    epoch = 0  # a store that begins anew is another Store; see ``RecoveringStore``

    def __init__(self, engine: Engine, place: Place, max_size_bytes: int) -> None:
        self._engine = engine
        self._place = place
        self._shown = str(place)  # once, as every transaction names the place and a URL takes longer than a statement
        self._max_size_bytes = max_size_bytes
        # Writers wait for each other here instead of in SQLite, which would poll. It guards ``_known`` too.
        self._lock = threading.RLock()
        self._known: dict[JobKey, Known] = {}
        self._held: tuple[str, Lease] | None = None  # by cluster; every write is refused once it is another's

    def __str__(self) -> str:
        return self._shown

    def close(self) -> None:
        """Let go of the database; the store can be used again all the same."""
        self._engine.dispose()

    # -------------------------------------------------------------- writing

    @contextmanager
    def writing(self, *, durable: bool = False) -> Iterator[Writer]:
        """Give a writer whose writes are one transaction; others wait, so do nothing slow in between."""
        with self._lock:
            try:
                with translated(str(self)), begun(self._engine, writes=True, durable=durable) as connection:
                    self._check_lease(connection)
                    yield Writer(connection, self._known)
            except BaseException:
                # Numbers of rows that were rolled back must not be used again; the rest is looked up anew.
                self._known.clear()
                raise

    def record_pass(self, done: PassRecord) -> None:
        """As ``Writer.record_pass``, by itself."""
        with self.writing() as writer:
            writer.record_pass(done)

    def append_sample(self, key: JobKey, topology: Topology, running_since: Millis, sample: Sample) -> None:
        """As ``Writer.append_sample``, by itself."""
        with self.writing() as writer:
            writer.append_sample(key, topology, running_since, sample)

    def save_memory(self, key: JobKey, history: History) -> None:
        """As ``Writer.save_memory``, by itself."""
        with self.writing() as writer:
            writer.save_memory(key, history)

    def record_decision(self, key: JobKey, decision: Decision, detail: str = "") -> None:
        """As ``Writer.record_decision``, by itself."""
        with self.writing() as writer:
            writer.record_decision(key, decision, detail)

    def save_status(self, status: JobStatus) -> None:
        """As ``Writer.save_status``, by itself."""
        with self.writing() as writer:
            writer.save_status(status)

    def add_request(self, request: Request) -> int:
        """Keep a request and return its number; it is on the disk when this returns."""
        with self.writing(durable=True) as writer:
            return writer.add_request(request)

    def update_request(self, request: Request) -> None:
        """Replace what is known of the request ``request.id``; it is on the disk when this returns."""
        with self.writing(durable=True) as writer:
            writer.update_request(request)

    def set_command(self, command: Command) -> None:
        """As ``Writer.set_command``, by itself; it is on the disk when this returns."""
        with self.writing(durable=True) as writer:
            writer.set_command(command)

    def unset_command(self, command: Command) -> None:
        """As ``Writer.unset_command``, by itself; it is on the disk when this returns."""
        with self.writing(durable=True) as writer:
            writer.unset_command(command)

    def mark_absent(self, key: JobKey, at: Millis) -> None:
        """As ``Writer.mark_absent``, by itself."""
        with self.writing() as writer:
            writer.mark_absent(key, at)

    def present(self, key: JobKey) -> None:
        """As ``Writer.present``, by itself."""
        with self.writing() as writer:
            writer.present(key)

    def forget(self, key: JobKey) -> None:
        """As ``Writer.forget``, by itself."""
        with self.writing() as writer:
            writer.forget(key)

    # -------------------------------------------------------------- the lease

    def hold_lease(self, cluster: str, holder: str, duration: Millis, now: Millis) -> Lease:
        """Take or renew the lease on a cluster, or return that of another who holds it.

        While it is held, writes are refused as soon as another has it. ``now`` counts in SQLite only; a server goes
        by its own clock.
        """
        lease = self._hold(cluster, holder, duration, now)
        if lease is None:
            self._begin_lease(cluster)
            lease = self._hold(cluster, holder, duration, now)
            assert lease is not None
        self._held = (cluster, lease) if lease.holder == holder else None
        return lease

    def release_lease(self, cluster: str, holder: str, now: Millis) -> Lease | None:
        """Give the lease back if it is the holder's, and return that of another who holds it."""
        with self._transaction() as connection:
            other = release(connection, cluster, holder, now)
        self._held = None
        return other

    def _hold(self, cluster: str, holder: str, duration: Millis, now: Millis) -> Lease | None:
        with self._transaction() as connection:
            return hold(connection, cluster, holder, duration, now)

    def _begin_lease(self, cluster: str) -> None:
        try:
            with self._transaction() as connection:
                begin(connection, cluster)
        except StoreUnavailable as error:
            if not isinstance(error.__cause__, IntegrityError):  # that is somebody who made it in the same instant
                raise

    def _check_lease(self, connection: Connection) -> None:
        if self._held is not None:
            check(connection, *self._held)

    # -------------------------------------------------------------- reading

    def window(self, key: JobKey, since: Millis) -> Window | None:
        """Return the job's latest topology and what was measured at or after ``since``, oldest first.

        Samples taken under a topology with other vertices are left out; a changed parallelism is no other
        vertex. ``None`` if nothing is stored of that time.
        """
        with self._reading() as connection:
            rows = connection.execute(_SAMPLES_SINCE, {"wanted": identity_of(key), "since": since}).all()
            if not rows:
                return None
            topologies = _topologies(connection, {row.plan_id for row in rows})
            orders = {number: vertex_ids(topology) for number, topology in topologies.items()}
            last = rows[-1]
            alike = {number for number, order in orders.items() if set(order) == set(orders[last.plan_id])}
            by_time = {
                row.at: unpack_sample(orders[row.plan_id], row.at, row.measured) for row in rows if row.plan_id in alike
            }
            return Window(
                topology=topologies[last.plan_id],
                running_since=last.running_since,
                samples=tuple(by_time.values()),
            )

    def passes(self, key: JobKey) -> tuple[Window, ...]:
        """Return every sample of a job with the topology and the start it was taken under, oldest first."""
        with self._reading() as connection:
            rows = connection.execute(_SAMPLES_SINCE, {"wanted": identity_of(key), "since": 0}).all()
            topologies = _topologies(connection, {row.plan_id for row in rows})
            return tuple(
                Window(
                    topology=topologies[row.plan_id],
                    running_since=row.running_since,
                    samples=(unpack_sample(vertex_ids(topologies[row.plan_id]), row.at, row.measured),),
                )
                for row in rows
            )

    def memory(self, key: JobKey) -> History:
        """Return what was last given to ``save_memory``, an empty history if nothing was."""
        with self._reading() as connection:
            packed = connection.scalar(_MEMORY, {"wanted": identity_of(key)})
            return History() if packed is None else load(History, unpack(packed))

    def decisions(self, key: JobKey, limit: int, before: Millis | None = None) -> tuple[Recorded, ...]:
        """Return the last ``limit`` recorded decisions made before a time, latest first."""
        wanted = _LAST_DECISIONS if before is None else _LAST_DECISIONS.where(decisions.c.at < before)
        with self._reading() as connection:
            found = [
                unpack(row.decided) for row in connection.execute(wanted, {"wanted": identity_of(key), "limit": limit})
            ]
            return tuple(Recorded(decision=load(Decision, one["decision"]), detail=one["detail"]) for one in found)

    def open_requests(self) -> tuple[Request, ...]:
        """Return the requests of all jobs whose outcome is not known, in the order they were added."""
        with self._reading() as connection:
            return tuple(_request(row) for row in connection.execute(_OPEN_REQUESTS))

    def requests(self, key: JobKey, limit: int) -> tuple[Request, ...]:
        """Return the last ``limit`` requests of a job, latest first."""
        with self._reading() as connection:
            found = connection.execute(_LAST_REQUESTS, {"wanted": identity_of(key), "limit": limit})
            return tuple(_request(row) for row in found)

    def statuses(self) -> tuple[JobStatus, ...]:
        """Return the last thing known of each job, ordered by key."""
        with self._reading() as connection:
            found = [load(JobStatus, unpack(row.status)) for row in connection.execute(_STATUSES)]
        return tuple(sorted(found, key=lambda status: status.key))

    def keys(self) -> tuple[JobKey, ...]:
        """Return every job of which anything is stored, ordered."""
        with self._reading() as connection:
            return tuple(sorted(_key(name) for name in connection.scalars(select(jobs.c.name))))

    def commands(self, cluster: str, now: Millis) -> tuple[Command, ...]:
        """Return the operators' commands for jobs of a cluster that are in force, in the order they were given."""
        with self._reading() as connection:
            found = [load(Command, unpack(packed)) for (packed,) in _COMMANDS.rows(connection, {})]
        return tuple(command for command in found if command.cluster == cluster and command.is_in_force(now))

    def absent(self) -> Mapping[JobKey, Millis]:
        """Return the jobs that are noted as gone, with the time since when."""
        with self._reading() as connection:
            return frozen({_key(name): since for name, since in _ABSENT.rows(connection, {})})

    def absent_since(self, key: JobKey) -> Millis | None:
        """Return since when a job is noted as gone, ``None`` if it is not."""
        wanted = select(jobs.c.absent_since).where(jobs.c.identity == identity_of(key))
        with self._reading() as connection:
            since: Millis | None = connection.scalar(wanted)
            return since

    # -------------------------------------------------------------- copies

    def is_empty(self) -> bool:
        """Say whether no job was ever stored, and no command."""
        with self._reading() as connection:
            return all(connection.execute(select(table.c.id).limit(1)).first() is None for table in (jobs, commands))

    def essentials(self) -> bytes:
        """Return a small, compressed store with what matters most; see ``essentials``."""
        return essentials(self._engine, self._place)

    def take_essentials(self, copied: bytes) -> None:
        """Fill this store, which must be empty. Raises ``StoreError`` if the copy cannot be used."""
        with self._lock:
            take(copied, self._engine, self._place)
            self._known.clear()

    # -------------------------------------------------------------- retention

    def retain(self, now: Millis) -> Retained:
        """Delete what is too old, and the oldest samples while more than 90 % of the maximum size is in use.

        Meant to be called hourly. Each job and each batch is a transaction of its own, so that nobody waits
        long.
        """
        with self._reading() as connection:
            numbers = [number for (number,) in _JOBS.rows(connection, {})]
        gone = Retained()
        for job_id in numbers:
            with self._transaction() as connection:
                self._check_lease(connection)
                gone += delete_old(connection, job_id, now)
        with self._transaction() as connection:
            gone += delete_expired(connection, now)
        return gone + self._make_space() if self._place.is_sqlite else gone

    def _make_space(self) -> Retained:
        limit = int(self._max_size_bytes * _FULL_ENOUGH)
        size, deleted = self._size(), 0
        for table in (samples, decisions):
            while size.used > limit:
                with self._transaction() as connection:
                    count = delete_first(connection, table)
                if count == 0:
                    break
                deleted += count
                size = self._size()
        # Free pages are used again before the file grows, so they are given back only where the file as a
        # whole is too large; to shrink it every time would only be to grow it again.
        while size.file > limit and size.file > size.used:
            with self._transaction() as connection:
                give_back_pages(connection)
            before, size = size, self._size()
            if size.file >= before.file:
                break
        return Retained(for_space=deleted)

    def _size(self) -> Size:
        with self._reading() as connection:
            return size_of(connection)

    # -------------------------------------------------------------- transactions

    @contextmanager
    def _transaction(self) -> Iterator[Connection]:
        with self._lock, translated(str(self)), begun(self._engine, writes=True) as connection:
            yield connection

    @contextmanager
    def _reading(self) -> Iterator[Connection]:
        # In memory there is one connection for all, so readers must wait for writers.
        with self._lock if self._place.in_memory else nullcontext():
            try:
                with translated(str(self)), begun(self._engine) as connection:
                    yield connection
            except (zlib.error, ValueError, KeyError, TypeError) as error:
                raise StoreUnavailable(f"store {self}: a row cannot be read: {error!r}", corrupt=True) from error


def _topologies(connection: Connection, numbers: set[int]) -> Mapping[int, Topology]:
    found = connection.execute(_PLANS, {"numbers": sorted(numbers)})
    return {row.id: load(Topology, unpack(row.topology)) for row in found}


def _request(row: Row[Any]) -> Request:
    return replace(load(Request, unpack(row.request)), id=row.id)


def _key(name: str) -> JobKey:
    cluster, application, job = from_json(name)
    return JobKey(cluster=cluster, application=application, job=job)

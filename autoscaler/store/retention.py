"""What is deleted for its age or for want of space; each function is part of one short transaction."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, Connection, Table, bindparam, delete, func, select, text

from autoscaler.model import Millis, RequestState
from autoscaler.store.prepared import Prepared
from autoscaler.store.schema import commands, decisions, plans, requests, samples

_DAY = 86_400_000
KEEP_SAMPLES: Millis = 7 * _DAY
KEEP_DECISIONS: Millis = 90 * _DAY

_BATCH_ROWS = 1_000
_BATCH_PAGES = 2_000
_OPEN = (RequestState.INTENDED.value, RequestState.SENT.value)


def _older(table: Table, *but: ColumnElement[bool]) -> Prepared:
    is_old = (table.c.job_id == bindparam("job"), table.c.at < bindparam("before"))
    return Prepared(delete(table).where(*is_old, *but), "job", "before")


# Built once: building costs more than SQLite takes to run them, and each is run for each job.
_OLD_SAMPLES, _OLD_DECISIONS = _older(samples), _older(decisions)
_OLD_REQUESTS = _older(requests, *(requests.c.state != state for state in _OPEN))
_EXPIRED_COMMANDS = Prepared(delete(commands).where(commands.c.until <= bindparam("now")), "now")
_OLDEST_SAMPLE = Prepared(select(func.min(samples.c.at)).where(samples.c.job_id == bindparam("job")), "job")
_LAST_OF_JOB = select(func.max(plans.c.id)).where(plans.c.job_id == bindparam("job"))
_LAST_PLAN = Prepared(_LAST_OF_JOB, "job")
_LAST_PLAN_UNTIL = Prepared(_LAST_OF_JOB.where(plans.c.at <= bindparam("until")), "job", "until")
_PLANS_BEFORE = Prepared(
    delete(plans).where(plans.c.job_id == bindparam("job"), plans.c.id < bindparam("first")), "job", "first"
)
_SIZE = text(
    "SELECT page_count, freelist_count, page_size FROM pragma_page_count, pragma_freelist_count, pragma_page_size"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Retained:
    """How many rows were deleted: because they were too old, and of any kind for want of space."""

    samples: int = 0
    decisions: int = 0
    requests: int = 0
    commands: int = 0
    for_space: int = 0

    def __add__(self, other: Retained) -> Retained:
        return Retained(
            samples=self.samples + other.samples,
            decisions=self.decisions + other.decisions,
            requests=self.requests + other.requests,
            commands=self.commands + other.commands,
            for_space=self.for_space + other.for_space,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Size:
    """Bytes of an SQLite file, and how many of them hold something; the others take the next rows."""

    used: int
    file: int


def delete_old(connection: Connection, job_id: int, now: Millis) -> Retained:
    """Delete what one job no longer needs. A request whose outcome is open is never too old."""

    def old(statement: Prepared, keep: Millis) -> int:
        return statement.change(connection, {"job": job_id, "before": now - keep})

    gone = Retained(
        samples=old(_OLD_SAMPLES, KEEP_SAMPLES),
        decisions=old(_OLD_DECISIONS, KEEP_DECISIONS),
        requests=old(_OLD_REQUESTS, KEEP_DECISIONS),
    )
    _delete_unused_plans(connection, job_id)
    return gone


def delete_expired(connection: Connection, now: Millis) -> Retained:
    """Delete the operators' commands that hold no longer."""
    return Retained(commands=_EXPIRED_COMMANDS.change(connection, {"now": now}))


def _delete_unused_plans(connection: Connection, job_id: int) -> None:
    """Delete the plans before the one the oldest sample was taken under; the latest always stays."""
    job = {"job": job_id}
    ((oldest,),) = _OLDEST_SAMPLE.rows(connection, job)
    in_use = _LAST_PLAN if oldest is None else _LAST_PLAN_UNTIL
    ((first,),) = in_use.rows(connection, job if oldest is None else {**job, "until": oldest})
    if first is not None:
        _PLANS_BEFORE.change(connection, {**job, "first": first})


def delete_first(connection: Connection, table: Table) -> int:
    """Delete the next batch of the rows that were written first, over all jobs, and return how many."""
    batch = select(table.c.id).order_by(table.c.id).limit(_BATCH_ROWS).subquery()
    last = connection.scalar(select(func.max(batch.c.id)))
    return 0 if last is None else connection.execute(delete(table).where(table.c.id <= last)).rowcount


def size_of(connection: Connection) -> Size:
    """Return the size of an SQLite database, as this transaction sees it."""
    pages, free, size = connection.execute(_SIZE).one()
    return Size(used=(pages - free) * size, file=pages * size)


def give_back_pages(connection: Connection) -> None:
    """Cut a batch of free pages off the end of an SQLite file."""
    raw: Any = connection.connection.driver_connection
    # SQLite frees one page per step of this statement, so its (empty) result has to be read to the end.
    raw.execute(f"PRAGMA incremental_vacuum({_BATCH_PAGES})").fetchall()

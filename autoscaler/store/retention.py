"""What is deleted for its age or for want of space; each function is part of one short transaction."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Table, delete, func, select, text

from autoscaler.model import Millis, RequestState
from autoscaler.store.schema import commands, decisions, plans, requests, samples

_DAY = 86_400_000
KEEP_SAMPLES: Millis = 7 * _DAY
KEEP_DECISIONS: Millis = 90 * _DAY

_BATCH_ROWS = 1_000
_BATCH_PAGES = 2_000
_OPEN = (RequestState.INTENDED.value, RequestState.SENT.value)


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

    def old(table: Table, keep: Millis, *also: Any) -> int:
        wanted = delete(table).where(table.c.job_id == job_id, table.c.at < now - keep, *also)
        return connection.execute(wanted).rowcount

    gone = Retained(
        samples=old(samples, KEEP_SAMPLES),
        decisions=old(decisions, KEEP_DECISIONS),
        requests=old(requests, KEEP_DECISIONS, requests.c.state.not_in(_OPEN)),
    )
    _delete_unused_plans(connection, job_id)
    return gone


def delete_expired(connection: Connection, now: Millis) -> Retained:
    """Delete the operators' commands that hold no longer."""
    return Retained(commands=connection.execute(delete(commands).where(commands.c.until <= now)).rowcount)


def _delete_unused_plans(connection: Connection, job_id: int) -> None:
    """Delete the plans before the one the oldest sample was taken under; the latest always stays."""
    oldest = connection.scalar(select(func.min(samples.c.at)).where(samples.c.job_id == job_id))
    in_use = select(func.max(plans.c.id)).where(plans.c.job_id == job_id)
    if oldest is not None:
        in_use = in_use.where(plans.c.at <= oldest)
    first = connection.scalar(in_use)
    if first is not None:
        connection.execute(delete(plans).where(plans.c.job_id == job_id, plans.c.id < first))


def delete_first(connection: Connection, table: Table) -> int:
    """Delete the next batch of the rows that were written first, over all jobs, and return how many."""
    batch = select(table.c.id).order_by(table.c.id).limit(_BATCH_ROWS).subquery()
    last = connection.scalar(select(func.max(batch.c.id)))
    return 0 if last is None else connection.execute(delete(table).where(table.c.id <= last)).rowcount


def size_of(connection: Connection) -> Size:
    """Return the size of an SQLite database, as this transaction sees it."""
    pages, free, size = (
        int(connection.scalar(text(f"PRAGMA {name}")) or 0) for name in ("page_count", "freelist_count", "page_size")
    )
    return Size(used=(pages - free) * size, file=pages * size)


def give_back_pages(connection: Connection) -> None:
    """Cut a batch of free pages off the end of an SQLite file."""
    raw: Any = connection.connection.driver_connection
    # SQLite frees one page per step of this statement, so its (empty) result has to be read to the end.
    raw.execute(f"PRAGMA incremental_vacuum({_BATCH_PAGES})").fetchall()

"""The two ways a store fails, and which database error is which."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy.exc import DBAPIError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError

_ADVICE = {
    sqlite3.SQLITE_FULL: "the disk is full, or the store has reached its maximum size",
    sqlite3.SQLITE_IOERR: "the disk does not read or write",
    sqlite3.SQLITE_BUSY: "another process holds the store",
    sqlite3.SQLITE_LOCKED: "another process holds the store",
    sqlite3.SQLITE_READONLY: "the store may not be written",
    sqlite3.SQLITE_CANTOPEN: "the store cannot be opened",
    sqlite3.SQLITE_CORRUPT: "the store's file is damaged; the next start sets it aside",
    sqlite3.SQLITE_NOTADB: "the store's file is damaged; the next start sets it aside",
}
_BUSY = (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED)
_CORRUPT = (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)


class StoreError(Exception):
    """The store cannot be used until somebody acts; the message names the place and what to do."""


class StoreUnavailable(StoreError):  # noqa: N818 - a condition that passes, not a mistake
    """The store did not take or give something now. Go on without it; it recovers by itself.

    ``corrupt`` says that it will not, because its content is damaged: ``open_store`` sets the file aside. ``busy``
    says that another process holds it, or that its server does not answer, which may have taken a time-out to find out.
    """

    def __init__(self, message: str, *, corrupt: bool = False, busy: bool = False) -> None:
        super().__init__(message)
        self.corrupt = corrupt
        self.busy = busy


def primary_code(error: BaseException) -> int | None:
    """Return SQLite's error code without its extension, ``None`` for other databases and other errors."""
    original = error.orig if isinstance(error, DBAPIError) else error
    code: int | None = getattr(original, "sqlite_errorcode", None)
    return None if code is None else code & 0xFF


def is_corruption(error: BaseException) -> bool:
    """Say whether SQLite found its file damaged."""
    return primary_code(error) in _CORRUPT


@contextmanager
def translated(place: str) -> Iterator[None]:
    """Turn whatever the database raises into ``StoreUnavailable``."""
    try:
        yield
    except (DBAPIError, PoolTimeoutError, sqlite3.Error) as error:
        original = error.orig if isinstance(error, DBAPIError) else error
        advice = _ADVICE.get(primary_code(error) or 0)
        text = f"store {place}: {original}" + (f" ({advice})" if advice else "")
        raise StoreUnavailable(text, corrupt=is_corruption(error), busy=_is_busy(error)) from error


def _is_busy(error: BaseException) -> bool:
    """Whether it took time to find out: another process holds the file, or a server cannot be reached or hangs."""
    code = primary_code(error)
    return code in _BUSY if code is not None else isinstance(error, OperationalError)

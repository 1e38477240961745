"""Opening a database: where it may be, what SQLite is told, damaged files, and the schema's version.

Durability of SQLite: write-ahead log with ``synchronous=NORMAL``, so no write of a sample waits for the disk.
A process that is killed loses nothing it committed. A power cut may lose the last seconds, but never the
consistency of the file. Requests are written with ``synchronous=FULL``: an intent is on the disk before the
PUT goes out, so that even after a power cut no restart of a job goes unknown.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from sqlalchemy import (
    URL,
    Connection,
    Engine,
    QueuePool,
    StaticPool,
    create_engine,
    event,
    make_url,
)
from sqlalchemy.exc import ArgumentError, NoSuchModuleError
from sqlalchemy.pool import ConnectionPoolEntry

from autoscaler.model import Millis
from autoscaler.store.errors import StoreError, is_corruption, translated
from autoscaler.store.migrating import found_revision, has_tables_of_others, is_begun, newest, refuse_newer, upgrade

# The drivers that are tested and come with the extras; another one is used if the URL names it.
_DRIVERS = {"postgresql": "postgresql+psycopg", "mysql": "mysql+pymysql", "mariadb": "mariadb+pymysql"}
_SECRETS = ("password", "passwd", "passfile", "sslpassword")
# A server that hangs must not hold the threads of the daemon: nothing it is asked takes long.
_SERVER_S = 5
# A process that stands still, or a machine that is gone, within a transaction holds its locks, the lease's among them;
# the server ends the transaction, so that another daemon can take over. MySQL knows only how long a connection rests:
# one that rests between two transactions is ended too, and another made when it is needed.
_IDLE_TRANSACTION_S = 10
_SERVER_ARGUMENTS: dict[str, dict[str, object]] = {
    "psycopg": {
        "connect_timeout": _SERVER_S,
        "tcp_user_timeout": _SERVER_S * 1000,
        "options": f"-c statement_timeout={_SERVER_S * 1000} -c lock_timeout={_SERVER_S * 1000} "
        f"-c idle_in_transaction_session_timeout={_IDLE_TRANSACTION_S * 1000}",
    },
    "pymysql": {
        "connect_timeout": _SERVER_S,
        "read_timeout": _SERVER_S,
        "write_timeout": _SERVER_S,
        "init_command": f"SET SESSION wait_timeout={_IDLE_TRANSACTION_S}",
    },
}

_BUSY_TIMEOUT_S = 2.0
_SMALLEST = 1 << 20
# Space above the maximum size that only requests may use, so that full samples never stop a rescale from
# being noted.
_RESERVE_PAGES = 256
_PAGE = 4096
_CACHE_KIB = 512  # per connection; SQLite's own default, 2 MiB, is too much for one per worker
_WAL_LIMIT = 8 << 20

# What is noted of a connection to SQLite.
_PAGES = "pages"
_DURABLE = "durable"


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where a store is. ``path`` is the SQLite file, ``None`` for one in memory or on a server."""

    url: URL
    path: Path | None

    @property
    def is_sqlite(self) -> bool:
        return self.url.get_backend_name() == "sqlite"

    @property
    def in_memory(self) -> bool:
        return self.is_sqlite and self.path is None

    def __str__(self) -> str:
        # a URL renders without its password, but with its parameters
        return str(self.path or self.url.difference_update_query(_SECRETS))


def place_of(url: str) -> Place:
    """Return where ``url`` points to, or raise ``StoreError``."""
    try:
        parsed = make_url(url)
    except ArgumentError:
        raise StoreError(
            "store.url is not a database URL; write it like sqlite:////var/lib/autoscaler/history.db"
        ) from None
    name = parsed.database
    parsed = parsed.set(drivername=_DRIVERS.get(parsed.drivername, parsed.drivername))
    if parsed.get_backend_name() != "sqlite" or name in (None, "", ":memory:"):
        return Place(url=parsed, path=None)
    if name.startswith("file:"):
        raise StoreError(f"store.url {url}: write SQLite's file as a path, sqlite:////absolute/path")
    return Place(url=parsed, path=Path(name).absolute())


def file_of(url: str) -> Path | None:
    """Return the SQLite file a store is in, ``None`` if it is in memory or on a server. Raises ``StoreError``."""
    return place_of(url).path


def shown_url(url: str) -> str:
    """Return where a store is, without the password its URL may hold."""
    return str(place_of(url))


def is_shared(url: str) -> bool:
    """Say whether other machines can reach a store: one on a server, not a file."""
    return not place_of(url).is_sqlite


# ------------------------------------------------------------------ the file


def is_there(path: Path) -> bool:
    """Say whether there is a file, or raise ``StoreError`` where this user may not look."""
    try:
        return path.exists()
    except PermissionError as error:
        raise _forbidden(path) from error


def check_readable(path: Path) -> None:
    """Raise ``StoreError`` with what to do if this user may not read a file that is there."""
    if not os.access(path, os.R_OK):
        raise _forbidden(path)


def _forbidden(path: Path) -> StoreError:
    return StoreError(
        f"the store {path} may not be read by uid {os.getuid()}; run this with sudo, or as the user the autoscaler "
        "runs as"
    )


def check_usable(path: Path) -> None:
    """Raise ``StoreError`` with what to do if the file could not be written here."""
    folder = path.parent
    if not is_there(folder) or not folder.is_dir():
        raise StoreError(
            f"the store's directory {folder} does not exist; create it for the user the autoscaler runs as, "
            "or set store.url to another place"
        )
    if not os.access(folder, os.W_OK | os.X_OK):
        raise StoreError(
            f"the store's directory {folder} is not writable for uid {os.getuid()}; give it to that user "
            f"(chown), for a service of systemd's also with ReadWritePaths={folder}, or set store.url to another place"
        )
    if path.is_dir():
        raise StoreError(f"the store's file {path} is a directory; set store.url to a file")
    if path.exists() and not os.access(path, os.R_OK | os.W_OK):
        raise StoreError(
            f"the store's file {path} is not readable and writable for uid {os.getuid()}; give it to that "
            "user (chown), or set store.url to another place"
        )


def is_sound(path: Path) -> bool:
    """Say whether SQLite can read the whole file; a file that is not there or empty is sound."""
    with translated(str(path)), closing(sqlite3.connect(path, timeout=_BUSY_TIMEOUT_S)) as connection:
        try:
            return bool(connection.execute("PRAGMA quick_check(1)").fetchone() == ("ok",))
        except sqlite3.DatabaseError as error:
            if is_corruption(error):
                return False
            raise


def inode(path: Path) -> tuple[int, int] | None:
    """Return what tells a file from another of the same name, ``None`` if there is none."""
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_dev, found.st_ino


def set_aside(path: Path, now: Millis) -> Path:
    """Rename a damaged file and its log, keep them for whoever wants to look, and return the new name."""
    aside = path.with_name(f"{path.name}.corrupt-{_stamp(now)}")
    path.rename(aside)
    _rename_log(path, aside)
    return aside


def set_log_aside(path: Path, now: Millis) -> None:
    """Rename what is left beside a file that was removed or replaced; SQLite would play it into the new one."""
    _rename_log(path, path.with_name(f"{path.name}.removed-{_stamp(now)}"))


def _rename_log(path: Path, aside: Path) -> None:
    for suffix in ("-wal", "-shm"):
        companion = path.with_name(path.name + suffix)
        if companion.exists():
            companion.rename(aside.with_name(aside.name + suffix))


def _stamp(now: Millis) -> str:
    return datetime.fromtimestamp(now / 1000, UTC).strftime("%Y%m%dT%H%M%S.%fZ")


# ------------------------------------------------------------------ engines


def writable_engine(place: Place, max_size_bytes: int) -> Engine:
    """Return an engine that reads and writes; nothing is connected yet."""
    if not place.is_sqlite:
        return _server_engine(place)
    engine = _sqlite_engine(place, place.url)
    pages = max(max_size_bytes, _SMALLEST) // _PAGE

    @event.listens_for(engine, "connect")
    def prepare(connection: sqlite3.Connection, record: ConnectionPoolEntry) -> None:
        record.info[_PAGES] = pages
        connection.isolation_level = None  # no BEGIN by itself: ``begun`` sends it, for reads too
        for pragma in (
            "auto_vacuum=INCREMENTAL",  # has to come before the first table
            "journal_mode=WAL",
            f"journal_size_limit={_WAL_LIMIT}",
            "synchronous=NORMAL",
            "foreign_keys=ON",
            f"cache_size=-{_CACHE_KIB}",
            f"max_page_count={pages}",
        ):
            connection.execute(f"PRAGMA {pragma}").fetchall()

    @event.listens_for(engine, "checkin")
    def reset(connection: sqlite3.Connection | None, record: ConnectionPoolEntry) -> None:
        if connection is not None and record.info.pop(_DURABLE, False):
            connection.execute("PRAGMA synchronous=NORMAL")
            connection.execute(f"PRAGMA max_page_count={pages}").fetchall()

    return engine


@contextmanager
def begun(engine: Engine, *, writes: bool = False, durable: bool = False) -> Iterator[Connection]:
    """Give a connection in a transaction, which is committed unless the block fails.

    A method and no listener of SQLAlchemy's for "begin": with one, every statement looks for listeners of its own.
    """
    with engine.connect() as connection, connection.begin():
        if engine.dialect.name == "sqlite":
            _begin_in_sqlite(connection, writes=writes, durable=durable)
        yield connection


def _begin_in_sqlite(connection: Connection, *, writes: bool, durable: bool) -> None:
    raw: Any = connection.connection.driver_connection
    if durable:
        connection.info[_DURABLE] = True
        raw.execute("PRAGMA synchronous=FULL")
        raw.execute(f"PRAGMA max_page_count={connection.info[_PAGES] + _RESERVE_PAGES}").fetchall()
    # IMMEDIATE waits for other writers here, within the busy timeout; a transaction that began by reading would be
    # refused at its first write instead.
    raw.execute("BEGIN IMMEDIATE" if writes else "BEGIN")


def read_only_engine(place: Place) -> Engine:
    """Return an engine that changes nothing, for use beside a daemon that may or may not run."""
    if place.path is None:
        return _server_engine(place)
    # Without write permission and without a daemon there is no log beside the file, and none can be made;
    # then nobody writes, and SQLite may be told so.
    alone = not place.path.with_name(place.path.name + "-wal").exists()
    immutable = alone and not os.access(place.path.parent, os.W_OK)
    query = {"mode": "ro", "uri": "true"} | ({"immutable": "1"} if immutable else {})
    url = URL.create("sqlite", database=place.path.as_uri(), query=query)
    return _sqlite_engine(place, url)


def _sqlite_engine(place: Place, url: URL) -> Engine:
    arguments = {"timeout": _BUSY_TIMEOUT_S, "check_same_thread": False}
    if place.in_memory:
        return create_engine(url, poolclass=StaticPool, connect_args=arguments)
    # Last in, first out: almost all work is done by one connection, whose page cache stays warm.
    return create_engine(
        url, poolclass=QueuePool, pool_size=8, max_overflow=24, pool_use_lifo=True, connect_args=arguments
    )


def _server_engine(place: Place) -> Engine:
    try:
        arguments = _SERVER_ARGUMENTS.get(place.url.get_driver_name(), {})
        return create_engine(
            place.url, pool_size=8, max_overflow=24, pool_use_lifo=True, pool_pre_ping=True, connect_args=arguments
        )
    except (ImportError, NoSuchModuleError) as error:
        raise StoreError(
            f"store.url {place}: {error}; install the database's driver beside the autoscaler: with `install.sh "
            "--postgresql` or `--mysql` of the bundle, or pip install 'flink-yarn-autoscaler[postgresql]' or [mysql]"
        ) from error


# ------------------------------------------------------------------ the schema


def ensure_schema(engine: Engine, place: Place) -> None:
    """Create or bring up to date; refuse a store of another program or of a newer autoscaler."""
    with translated(str(place)):
        if _is_current(engine, place):
            return
        with begun(engine, writes=True, durable=True) as connection:
            upgrade(connection)


def require_schema(engine: Engine, place: Place) -> None:
    """Refuse a store that nothing has been written to, or that the daemon has still to bring up to date."""
    with translated(str(place)):
        if _is_current(engine, place):
            return
        if is_begun(engine):
            raise StoreError(
                f"{place} is of an older autoscaler; `autoscaler run` of this version brings it up to date as it starts"
            )
        raise StoreError(no_store_yet(place))


def no_store_yet(place: Place) -> str:
    return f"there is no history at {place} yet; it begins when `autoscaler run` first sees a job"


def _is_current(engine: Engine, place: Place) -> bool:
    _connect_once(engine, place)
    revision = found_revision(engine)
    if revision is None:
        if place.is_sqlite and has_tables_of_others(engine):
            raise StoreError(f"{place} is a database of another program; set store.url to a file of its own")
        return False
    refuse_newer(revision, str(place))
    return revision == newest()


def _connect_once(engine: Engine, place: Place) -> None:
    """Only now a driver looks at the parameters of a URL."""
    try:
        engine.connect().close()
    except (AttributeError, OSError, RuntimeError, TypeError, ValueError) as error:
        raise StoreError(f"store.url {place}: the driver cannot use it: {error}; look at its parameters") from error

"""The schema's version: Alembic's revision in a table of its own, brought up to date when the daemon opens a store."""

from __future__ import annotations

from functools import cache
from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.script import ScriptDirectory
from sqlalchemy import Column, Connection, Engine, MetaData, String, Table, inspect, select, text

from autoscaler.store.errors import StoreError

VERSION_TABLE = "schema_revision"
_FIRST = "0001"
_NUMBERED = "schema_version"  # what a store of version 0.1.0 has instead, always with the number 1

_revisions = Table(VERSION_TABLE, MetaData(), Column("version_num", String(32)))

# Two daemons that start at once on one server: the second waits until the first is done. SQLite has the lock of its
# file for that.
_LOCKS = {
    "postgresql": "SELECT pg_advisory_xact_lock(7022711)",
    "mysql": "SELECT GET_LOCK('autoscaler_schema', 60)",
    "mariadb": "SELECT GET_LOCK('autoscaler_schema', 60)",
}
_UNLOCKS = {
    "mysql": "SELECT RELEASE_LOCK('autoscaler_schema')",
    "mariadb": "SELECT RELEASE_LOCK('autoscaler_schema')",
}


def found_revision(engine: Engine) -> str | None:
    """Return the revision of a store's schema, ``None`` where there is none yet."""
    with engine.connect() as connection:
        return _revision(connection)


def is_begun(engine: Engine) -> bool:
    """Say whether there is a store, of whatever version."""
    return bool(set(inspect(engine).get_table_names()) & {VERSION_TABLE, _NUMBERED})


def has_tables_of_others(engine: Engine) -> bool:
    """Say whether there are tables, and none of them is ours."""
    return bool(inspect(engine).get_table_names()) and not is_begun(engine)


def newest() -> str:
    """Return the revision this version of the autoscaler works with."""
    head = _scripts().get_current_head()
    assert head is not None
    return head


def is_known(revision: str) -> bool:
    """Say whether a revision is this version's own or an earlier one."""
    return any(step.revision == revision for step in _scripts().walk_revisions())


def upgrade(connection: Connection, target: str = "head") -> None:
    """Run the steps a store has not seen, all of them in the connection's transaction where the database can."""
    name = connection.dialect.name
    if name in _LOCKS:
        connection.execute(text(_LOCKS[name]))
    try:
        config = _config()
        config.attributes["connection"] = connection
        if _revision(connection) is None and inspect(connection).has_table(_NUMBERED):
            command.stamp(config, _FIRST)
        command.upgrade(config, target)
    finally:
        if name in _UNLOCKS:
            connection.execute(text(_UNLOCKS[name]))


def refuse_newer(revision: str, place: str) -> None:
    """Raise ``StoreError`` for a schema of a later version of the autoscaler."""
    if not is_known(revision):
        raise StoreError(
            f"{place} was written by a newer autoscaler (schema {revision}, this one knows {newest()}); "
            "install that version again, or move the store away to begin a new history"
        )


def _revision(connection: Connection) -> str | None:
    tables = inspect(connection)
    if tables.has_table(VERSION_TABLE):
        revision: str | None = connection.scalar(select(_revisions.c.version_num))
        return revision
    return None


def _config() -> Config:
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
    config.set_main_option("path_separator", "os")
    return config


@cache
def _scripts() -> ScriptDirectory:
    return ScriptDirectory.from_config(_config())

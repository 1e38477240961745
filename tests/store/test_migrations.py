"""The schema's steps: from each released version forward, with everything that was stored."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from sqlalchemy import Engine, MetaData, insert, inspect, text

from autoscaler.model import RequestState, frozen
from autoscaler.store import StoreError, open_existing, open_store, open_to_command
from autoscaler.store.engine import begun, place_of, writable_engine
from autoscaler.store.migrating import VERSION_TABLE, newest, upgrade
from autoscaler.store.schema import metadata
from tests.store.builders import (
    DAY,
    KEY,
    MINUTE,
    OTHER,
    ROOMY,
    T0,
    a_command,
    a_decision,
    a_history,
    a_request,
    a_sample,
    a_status,
    a_topology,
)

RELEASED = Path(__file__).parents[1] / "data" / "store"
AS_STORED = replace(a_history(), needs=frozen({}))  # which 0.1.0 did not keep
FIRST = {"0.1.0": "0001"}  # of each released version, the revision its stores have


def engine_of(url: str) -> Engine:
    return writable_engine(place_of(url), ROOMY)


def fill(url: str, version: str) -> None:
    """Make a store as a released version left it."""
    engine = engine_of(url)
    tables: dict[str, list[dict[str, Any]]] = json.loads((RELEASED / f"{version}.json").read_text())
    with begun(engine, writes=True) as connection:
        upgrade(connection, FIRST[version])
        found = MetaData()
        found.reflect(connection)
        for name, rows in tables.items():
            for row in rows:
                plain = {k: bytes.fromhex(v["hex"]) if isinstance(v, dict) else v for k, v in row.items()}
                connection.execute(insert(found.tables[name]).values(plain))
            if connection.dialect.name == "postgresql" and any("id" in row for row in rows):
                connection.execute(text(f"SELECT setval(pg_get_serial_sequence('{name}', 'id'), {len(rows)})"))
        if version == "0.1.0":  # it knew nothing of Alembic
            found.tables[VERSION_TABLE].drop(connection)
    engine.dispose()


def test_the_steps_lead_to_the_tables_of_the_code(url: str) -> None:
    """A store that went through every step has exactly the tables, columns and indexes of ``schema``."""
    open_store(url, ROOMY, T0).store.close()
    engine = engine_of(url)
    with engine.connect() as connection:
        # MySQL chooses the kind of blob by its length, and does not tell the length again
        opts = {"version_table": VERSION_TABLE, "compare_type": connection.dialect.name != "mysql"}
        context = MigrationContext.configure(connection, opts=opts)
        assert compare_metadata(context, metadata) == []
        assert context.get_current_revision() == newest()
    engine.dispose()


@pytest.mark.parametrize("version", FIRST)
def test_a_released_versions_store_is_brought_forward(url: str, version: str) -> None:
    """Samples, history, decisions, requests, statuses, absences and commands are there as they were stored."""
    fill(url, version)
    store = open_store(url, ROOMY, T0).store
    for key in (KEY, OTHER):
        window = store.window(key, 0)
        assert window is not None
        assert window.samples == tuple(a_sample(T0 + n * MINUTE, load=0.5 + n / 10) for n in range(3))
        assert window.topology == a_topology(parallelism=3)
        assert store.memory(key) == AS_STORED
        assert [one.decision for one in store.decisions(key, 9)] == [a_decision()]
    (request,) = store.open_requests()
    assert (request.key, request.state, request.target) == (KEY, RequestState.SENT, a_request().target)
    assert store.statuses() == (a_status(OTHER), a_status(KEY))
    assert store.commands("j-1", T0) == (a_command(),)
    assert dict(store.absent()) == {OTHER: T0 + DAY}
    assert store.add_request(a_request()) > (request.id or 0)
    store.close()
    engine = engine_of(url)
    assert "schema_version" not in inspect(engine).get_table_names()
    engine.dispose()


def test_commands_leave_an_older_store_to_the_daemon(path: Path) -> None:
    """Who only reads or gives commands does not change the schema, and says who does."""
    url = f"sqlite:///{path}"
    fill(url, "0.1.0")
    for attempt in (lambda: open_existing(url), lambda: open_to_command(url, ROOMY)):
        with pytest.raises(StoreError, match=r"older autoscaler; `autoscaler run` of this version brings it up"):
            attempt()


def test_a_step_that_fails_leaves_the_store_as_it_was(path: Path) -> None:
    """All steps are one transaction: a table that is in the way undoes what was done before it."""
    url = f"sqlite:///{path}"
    fill(url, "0.1.0")
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE TABLE leases (x)")
    with pytest.raises(StoreError, match="leases already exists"):
        open_store(url, ROOMY, T0)
    with closing(sqlite3.connect(path)) as connection, connection:
        tables = {name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
        assert "schema_version" in tables
        assert VERSION_TABLE not in tables
        connection.execute("DROP TABLE leases")
    store = open_store(url, ROOMY, T0).store
    assert store.memory(KEY) == AS_STORED
    store.close()

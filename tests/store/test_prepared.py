"""Statements that the driver runs by itself behave as SQLAlchemy's do."""

from __future__ import annotations

import sqlite3

import pytest
from sqlalchemy import Engine, bindparam, insert, select, update
from sqlalchemy.exc import IntegrityError

from autoscaler.store.engine import begun, ensure_schema, place_of, writable_engine
from autoscaler.store.prepared import Prepared
from autoscaler.store.schema import jobs

INSERT = Prepared(insert(jobs).inline(), "identity", "name")
NAMED = Prepared(select(jobs.c.identity).where(jobs.c.name == bindparam("wanted")).order_by(jobs.c.id), "wanted")
MARK = Prepared(update(jobs).where(jobs.c.name == "[]", jobs.c.absent_since.is_(None)), "absent_since")


@pytest.fixture
def engine() -> Engine:
    place = place_of("sqlite://")
    engine = writable_engine(place, 1 << 30)
    ensure_schema(engine, place)
    return engine


def test_values_go_where_their_names_stand(engine: Engine) -> None:
    """Values are given by name, in whatever order the database wants them; those of a statement's own are added."""
    with begun(engine, writes=True) as connection:
        INSERT.change(connection, {"name": "[]", "identity": "a"})
        INSERT.change(connection, {"identity": "b", "name": "[1]"})
        INSERT.change(connection, {"identity": "c", "name": "[]"})
        assert MARK.change(connection, {"absent_since": 7}) == 2
    with begun(engine) as connection:
        assert NAMED.rows(connection, {"wanted": "[]"}) == [("a",), ("c",)]
        assert NAMED.rows(connection, {"wanted": "[2]"}) == []


def test_what_a_driver_raises_is_told_apart_as_usual(engine: Engine) -> None:
    """An error is SQLAlchemy's for its kind, with the driver's as its origin."""
    with begun(engine, writes=True) as connection:
        INSERT.change(connection, {"identity": "a", "name": "[]"})
        with pytest.raises(IntegrityError) as error:
            INSERT.change(connection, {"identity": "a", "name": "[1]"})
    assert isinstance(error.value.orig, sqlite3.IntegrityError)

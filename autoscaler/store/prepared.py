"""Statements of the hot path: said once in a database's words, then run by its driver.

SQLAlchemy takes several times as long over a statement as SQLite does, with every pass of every job. Transactions and
connections stay its own, and what a driver raises is raised as it would.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from typing import Any, TypeVar

from sqlalchemy import Connection, Dialect
from sqlalchemy.engine.interfaces import DBAPICursor
from sqlalchemy.exc import DBAPIError
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.expression import ClauseElement

_T = TypeVar("_T")
_Values = Mapping[str, Any]


class Prepared:
    """One statement; ``names`` are those of the values it is given, which are numbers, texts and bytes."""

    def __init__(self, statement: ClauseElement, *names: str) -> None:
        self.statement = statement
        self.names = names

    def rows(self, connection: Connection, values: _Values) -> Sequence[tuple[Any, ...]]:
        """Run it and return the rows it finds."""
        return self._run(connection, values, lambda cursor: cursor.fetchall())

    def change(self, connection: Connection, values: _Values) -> int:
        """Run it and return how many rows it wrote."""
        return self._run(connection, values, lambda cursor: cursor.rowcount)

    def _run(self, connection: Connection, values: _Values, take: Callable[[DBAPICursor], _T]) -> _T:
        dialect = connection.dialect
        words, places, constants = _said(self, dialect)
        values = {**constants, **values}
        cursor = connection.connection.cursor()
        try:
            cursor.execute(words, values if places is None else [values[name] for name in places])
            return take(cursor)
        except dialect.loaded_dbapi.Error as error:
            raise DBAPIError.instance(words, None, error, dialect.loaded_dbapi.Error, dialect=dialect) from error
        finally:
            cursor.close()


@lru_cache(maxsize=512)
def _said(prepared: Prepared, dialect: Dialect) -> tuple[str, Sequence[str] | None, _Values]:
    """A statement in a dialect, the order of its values where they go by place, and those that are its own."""
    compiled = prepared.statement.compile(dialect=dialect, column_keys=prepared.names)
    assert isinstance(compiled, SQLCompiler)
    constants = {name: value for name, value in compiled.params.items() if name not in prepared.names}
    return str(compiled), compiled.positiontup, constants

"""What of a store matters most, as a small store of its own, compressed to be kept on another machine.

Of each job its history and its requests, with statuses and operators' commands: what a daemon must know so as not to
repeat, contradict or overdraw what was done. Left out is what grows with time: samples, from which a window fills anew
by itself and without which nothing is scaled, and decisions, which tell what was thought. A copy is as large as a few
kilobytes per job.
"""

from __future__ import annotations

import gzip
import tempfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sqlalchemy import Engine, insert, select

from autoscaler.store.engine import Place, begun, ensure_schema, is_sound, place_of, writable_engine
from autoscaler.store.errors import StoreError, translated
from autoscaler.store.migrating import is_begun
from autoscaler.store.schema import commands, jobs, requests, statuses

ESSENTIAL = (jobs, requests, statuses, commands)  # whatever others refer to goes first
_AT_ONCE = 500
_ROOMY = 1 << 40


def essentials(engine: Engine, place: Place) -> bytes:
    """Return the copy of a store. Raises ``StoreUnavailable``."""
    with _scratch() as (file, copy):
        ensure_schema(copy, file)
        with translated(str(place)):
            _move(engine, copy)
        copy.dispose()  # the last connection takes what is in the log into the file
        assert file.path is not None
        return gzip.compress(file.path.read_bytes(), 6, mtime=0)


def take(copied: bytes, engine: Engine, place: Place) -> None:
    """Fill an empty store from a copy, of an earlier version too. Raises ``StoreError`` if it cannot be used."""
    with _scratch() as (file, copy):
        assert file.path is not None
        try:
            file.path.write_bytes(gzip.decompress(copied))
        except (OSError, EOFError, zlib.error) as error:
            raise StoreError(f"the copy is damaged: {error}") from error
        if not is_sound(file.path) or not is_begun(copy):
            raise StoreError("the copy is damaged: it is no store")
        ensure_schema(copy, file)
        with translated(str(place)):
            _move(copy, engine)


def _move(source: Engine, target: Engine) -> None:
    """Copy the rows, as they are at one moment, in one transaction."""
    with begun(source) as reading, begun(target, writes=True, durable=True) as writing:
        for table in ESSENTIAL:
            for some in reading.execute(select(table)).mappings().partitions(_AT_ONCE):
                writing.execute(insert(table), [dict(row) for row in some])


@contextmanager
def _scratch() -> Iterator[tuple[Place, Engine]]:
    with tempfile.TemporaryDirectory(prefix="autoscaler-copy-") as folder:
        place = place_of(f"sqlite:///{Path(folder) / 'copy.db'}")
        engine = writable_engine(place, _ROOMY)
        try:
            yield place, engine
        finally:
            engine.dispose()

"""The daemon's store while its file is removed, replaced or held by somebody else."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from autoscaler.model import History
from autoscaler.store import RecoveringStore, StoreUnavailable, open_store
from autoscaler.store.recovering import HELD_FOR
from tests.store.builders import KEY, T0, a_history, a_pass

ROOMY = 1 << 30


class Time:
    now = T0


@pytest.fixture
def time() -> Time:
    return Time()


@pytest.fixture
def notes() -> list[str]:
    return []


@pytest.fixture
def store(path: Path, time: Time, notes: list[str]) -> Iterator[RecoveringStore]:
    url = f"sqlite:///{path}"
    found = RecoveringStore(url, ROOMY, lambda: time.now, notes.append, open_store(url, ROOMY, T0))
    yield found
    found.close()


def test_a_removed_file_is_noticed(path: Path, store: RecoveringStore, notes: list[str]) -> None:
    """What is written after somebody removed the file is in a new file, and that is said once."""
    store.record_pass(a_pass(history=a_history(1)))
    path.unlink()
    store.record_pass(a_pass(history=a_history(2)))
    assert store.memory(KEY) == a_history(2)
    assert notes == [f"store {path}: the file was removed or replaced; a new history begins, jobs go on from memory"]
    assert path.exists()
    assert store.epoch == 1


def test_a_replaced_file_is_used(path: Path, store: RecoveringStore, notes: list[str]) -> None:
    """A file that was put in the place of the store, as from a backup, is the store from then on."""
    backup = path.with_name("backup.db")
    other = open_store(f"sqlite:///{backup}", ROOMY, T0).store
    other.record_pass(a_pass(history=a_history(7)))
    other.close()
    store.record_pass(a_pass(history=a_history(1)))
    backup.replace(path)
    assert store.memory(KEY) == a_history(7)
    assert len(notes) == 1


def test_without_its_folder_the_store_is_unavailable(path: Path, store: RecoveringStore) -> None:
    """A store whose folder is gone fails with what to do, and is back once the folder is."""
    store.record_pass(a_pass(history=a_history(1)))
    away = path.parent.rename(path.parent.with_name("away"))
    with pytest.raises(StoreUnavailable, match="does not exist; create it"):
        store.memory(KEY)
    away.rename(path.parent)
    path.unlink()
    assert store.memory(KEY) == History()


def test_nobody_waits_again_for_a_store_that_is_held(path: Path, store: RecoveringStore, time: Time) -> None:
    """After one call waited in vain for another process, the next ones fail without trying, for a while."""
    with closing(sqlite3.connect(path)) as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(StoreUnavailable, match="another process holds"):
            store.record_pass(a_pass(history=a_history(1)))
    time.now += HELD_FOR - 1
    with pytest.raises(StoreUnavailable, match="another process holds"):
        store.memory(KEY)
    time.now += 1
    store.record_pass(a_pass(history=a_history(2)))
    assert store.memory(KEY) == a_history(2)

"""A store in memory, and one on a file that is closed and opened again wherever a test asks for it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from autoscaler.store import Store, open_store
from tests.store.builders import ROOMY, T0

Fresh = Callable[[], Store]


@pytest.fixture(params=["memory", "file"])
def fresh(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Fresh]:
    """Give a function that returns the same store each time; the one on a file as after a restart."""
    on_file = request.param == "file"
    url = f"sqlite:///{tmp_path / 'history.db'}" if on_file else "sqlite://"
    opened = [open_store(url, ROOMY, T0).store]

    def again() -> Store:
        if on_file:
            opened[0].close()
            opened[0] = open_store(url, ROOMY, T0).store
        return opened[0]

    yield again
    opened[0].close()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Where a test's SQLite file is."""
    return tmp_path / "history.db"


@pytest.fixture
def opened(path: Path) -> Iterator[Store]:
    """A store on the file ``path``."""
    store = open_store(f"sqlite:///{path}", ROOMY, T0).store
    yield store
    store.close()

"""A store in memory, and on a file or a server one that is closed and opened again wherever a test asks for it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from autoscaler.store import Store, open_store
from tests.store import servers
from tests.store.builders import ROOMY, T0

Fresh = Callable[[], Store]
UrlOf = Callable[[str], str]


# the last test's time includes that of deleting what a server left of all databases
ON_A_SERVER = (pytest.mark.servers, pytest.mark.timeout(180))
SERVERS = [pytest.param(name, marks=ON_A_SERVER) for name in ("postgresql", "mariadb", "mysql")]


@pytest.fixture(scope="session")
def postgresql_server() -> Iterator[servers.Server]:
    with servers.postgresql() as server:
        yield server


@pytest.fixture(scope="session")
def mariadb_server() -> Iterator[servers.Server]:
    with servers.mariadb() as server:
        yield server


@pytest.fixture(scope="session")
def mysql_server() -> Iterator[servers.Server]:
    with servers.mysql() as server:
        yield server


@pytest.fixture(params=SERVERS)
def server(request: pytest.FixtureRequest) -> servers.Server:
    """Each server in turn."""
    found: servers.Server = request.getfixturevalue(f"{request.param}_server")
    return found


@pytest.fixture(params=["memory", "file", *SERVERS])
def fresh(request: pytest.FixtureRequest, url_of: UrlOf) -> Iterator[Fresh]:
    """Give a function that returns the same store each time; but for the one in memory as after a restart."""
    url = "sqlite://" if request.param == "memory" else url_of(request.param)
    opened = [open_store(url, ROOMY, T0).store]

    def again() -> Store:
        if request.param != "memory":
            opened[0].close()
            opened[0] = open_store(url, ROOMY, T0).store
        return opened[0]

    yield again
    opened[0].close()


@pytest.fixture
def url_of(request: pytest.FixtureRequest, path: Path) -> UrlOf:
    """Give a function that returns the URL of an empty database of a kind."""

    def made(kind: str) -> str:
        if kind == "file":
            return f"sqlite:///{path}"
        server: servers.Server = request.getfixturevalue(f"{kind}_server")
        return server.new_database()

    return made


@pytest.fixture(params=["file", *SERVERS])
def url(request: pytest.FixtureRequest, url_of: UrlOf) -> str:
    """The URL of an empty database, on a file and on each server."""
    return url_of(request.param)


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

"""A stub server with a cluster behind it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.adapters.kdc import Realm, running_kdc
from tests.adapters.stub import Stub
from tests.service.cluster import StubCluster


@pytest.fixture
def stub() -> Iterator[Stub]:
    with Stub() as server:
        yield server


@pytest.fixture
def cluster(stub: Stub) -> StubCluster:
    return StubCluster(stub)


@pytest.fixture
def realm(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Realm]:
    yield from running_kdc(tmp_path, monkeypatch)

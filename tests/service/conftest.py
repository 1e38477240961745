"""A stub server with a cluster behind it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.adapters.stub import Stub
from tests.service.cluster import StubCluster


@pytest.fixture
def stub() -> Iterator[Stub]:
    with Stub() as server:
        yield server


@pytest.fixture
def cluster(stub: Stub) -> StubCluster:
    return StubCluster(stub)

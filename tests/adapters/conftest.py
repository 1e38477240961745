"""A server that answers as told, and a client that never sleeps between its tries."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from autoscaler.cluster.http import HttpClient
from tests.adapters.stub import Stub


@pytest.fixture
def stub() -> Iterator[Stub]:
    with Stub() as server:
        yield server


@pytest.fixture
def http() -> Iterator[HttpClient]:
    with HttpClient(workers=4, timeout_s=10, sleep=lambda _: None) as client:
        yield client

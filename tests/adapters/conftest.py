"""A server that answers as told, a client that never sleeps between its tries, and a Kerberos realm."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from autoscaler.cluster.http import HttpClient
from tests.adapters.kdc import Realm, running_kdc
from tests.adapters.stub import Stub


@pytest.fixture
def stub() -> Iterator[Stub]:
    with Stub() as server:
        yield server


@pytest.fixture
def http() -> Iterator[HttpClient]:
    with HttpClient(workers=4, timeout_s=10, sleep=lambda _: None) as client:
        yield client


@pytest.fixture
def realm(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Realm]:
    yield from running_kdc(tmp_path, monkeypatch)

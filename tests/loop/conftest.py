"""What the log says, and a world to say it of."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from structlog.testing import capture_logs

from tests.loop.world import World

Log = list[dict[str, Any]]


@pytest.fixture
def log() -> Iterator[Log]:
    """Every log line of the test, as its fields."""
    with capture_logs() as lines:
        yield lines  # type: ignore[misc]  # structlog's own type of a line is a mapping


@pytest.fixture
def world() -> World:
    return World()

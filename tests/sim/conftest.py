"""Simulations are quiet here, and leave the log as it was."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import structlog

from autoscaler.telemetry import configure_logging


@pytest.fixture(autouse=True)
def _quiet() -> Iterator[None]:
    configure_logging("json", "error")
    yield
    structlog.reset_defaults()

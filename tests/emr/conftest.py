"""A master of an EMR cluster with one master."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.emr.host import Host


@pytest.fixture
def host(tmp_path: Path) -> Host:
    return Host(tmp_path)

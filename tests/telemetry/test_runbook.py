"""The runbook knows everything the daemon may say of a job."""

from __future__ import annotations

from pathlib import Path

import pytest

from autoscaler.doctor import CHECKS
from autoscaler.model import Limit, Reason

RUNBOOK = (Path(__file__).resolve().parents[2] / "deploy" / "RUNBOOK.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("word", [*Reason, *Limit])
def test_every_word_is_explained(word: str) -> None:
    """An operator finds each reason and each limit in the runbook by the word the daemon uses."""
    assert f"`{word}`" in RUNBOOK


@pytest.mark.parametrize("name", [name for name, _ in CHECKS])
def test_every_check_of_the_doctor_is_explained(name: str) -> None:
    """So does whoever reads the name of a check in what `doctor` found."""
    assert f"`{name}`" in RUNBOOK

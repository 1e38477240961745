"""Where a story is played: the lab with its real parts."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Protocol

from lab import Lab
from lab.story import Phase


class Stage(Protocol):
    """A cluster with the story's jobs on it, and their load."""

    @property
    def phases(self) -> Sequence[Phase]: ...
    def set_rates(self, rates: Mapping[str, float]) -> None: ...
    def task_managers(self) -> dict[str, int]:
        """How many TaskManagers each application has now, by its id."""


class LabStage:
    """The lab: TaskManagers are processes."""

    def __init__(self, lab: Lab) -> None:
        self._lab = lab

    @property
    def phases(self) -> Sequence[Phase]:
        return self._lab.story.phases

    def set_rates(self, rates: Mapping[str, float]) -> None:
        self._lab.set_rates(rates)

    def task_managers(self) -> dict[str, int]:
        return dict(Counter(each.application for each in self._lab.containers() if each.kind == "taskmanager"))

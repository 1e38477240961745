"""What can be wrong with a configuration, said so that a person knows what to do."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Severity(StrEnum):
    """How much a problem matters: an error holds the job, a warning is probably a mistake."""

    ERROR = "error"
    WARNING = "warning"
    INFO = "info"


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """One finding: the key as written, its value, where both stand, and a sentence for a person."""

    severity: Severity
    key: str
    value: str
    source: str
    message: str

    def __str__(self) -> str:
        return f"{self.source}: {self.severity}: {self.message}"


class OptionError(ValueError):
    """A value that cannot be used; the message names key, value, source and what to write instead."""

    def __init__(self, key: str, value: str, source: str, message: str) -> None:
        super().__init__(message)
        self.key = key
        self.value = value
        self.source = source
        self.message = message

    def problem(self) -> Problem:
        """Return the same finding as a value."""
        return Problem(
            severity=Severity.ERROR, key=self.key, value=self.value, source=self.source, message=self.message
        )

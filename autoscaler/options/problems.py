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
    """A value that cannot be used; ``message`` names key, value and source, and ``advice`` what to do."""

    def __init__(self, key: str, value: str, source: str, advice: str) -> None:
        self.message = f"{key} is {value!r} in {source}, which cannot be read: {advice}"
        super().__init__(self.message)
        self.key = key
        self.value = value
        self.source = source
        self.advice = advice

    def at(self, source: str) -> OptionError:
        """Return the same error with the place where the value really stands."""
        return OptionError(self.key, self.value, source, self.advice)

    def problem(self) -> Problem:
        """Return the same finding as a value."""
        return Problem(
            severity=Severity.ERROR, key=self.key, value=self.value, source=self.source, message=self.message
        )


def is_unexpanded(value: str) -> bool:
    """Tell whether a value is a template that EMR's configuration management was to fill in and did not."""
    return "%{" in value


def unexpanded(key: str, value: str, source: str, *, severity: Severity) -> Problem:
    """Return what to say of such a value; it is never interpreted."""
    return Problem(
        severity=severity,
        key=key,
        value=value,
        source=source,
        message=f"{key} is {value!r} in {source}: a template nothing has filled in; Flink takes it as it "
        "stands: write the value itself",
    )

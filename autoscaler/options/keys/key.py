"""What an option is: its name, type, defaults, bounds, older names, meaning, and the Policy field it fills."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from autoscaler.model import Alignment, BusyTimeAggregator
from autoscaler.options import grammar

PREFIX = "job.autoscaler."
OPERATOR_PREFIX = "kubernetes.operator."

EMR = "emr"
APACHE = "apache"
PROFILES = (EMR, APACHE)


@dataclass(frozen=True, slots=True, kw_only=True)
class ValueType:
    """How the text of a value is read, what such a value is called, and what its number counts."""

    name: str
    read: Callable[[str], object]
    unit: str = ""


def _allowance(text: str) -> int | None:
    """Read a number, or ``auto``, which is ``None``."""
    if text.strip().lower() == "auto":
        return None
    try:
        return grammar.parse_int(text)
    except grammar.GrammarError:
        raise grammar.GrammarError("auto or a whole number") from None


def _text(text: str) -> str:
    if not text.strip():
        raise grammar.GrammarError("a name that is not empty")
    return text.strip()


_ALIGNMENTS = {mode.value: mode for mode in (Alignment.BALANCED, Alignment.EVENLY_SPREAD, Alignment.OFF)}
_OLD_ALIGNMENTS = {
    "EVENLY_SPREAD": Alignment.LEGACY_EVENLY_SPREAD,
    "MAXIMIZE_UTILISATION": Alignment.LEGACY_MAXIMIZE_UTILISATION,
}
_old_alignment = grammar.enumeration(*_OLD_ALIGNMENTS)
_aggregator = grammar.enumeration(*BusyTimeAggregator)

BOOLEAN = ValueType(name="bool", read=grammar.parse_boolean)
INTEGER = ValueType(name="int", read=grammar.parse_int)
DOUBLE = ValueType(name="double", read=grammar.parse_double)
DURATION = ValueType(name="duration", read=grammar.parse_duration, unit="ms")
MEMORY = ValueType(name="memory size", read=grammar.parse_memory, unit="bytes")
LIST = ValueType(name="list", read=grammar.parse_list)
ID_LIST = ValueType(name="list of vertex ids", read=lambda text: frozenset(grammar.parse_list(text)))
TEXT = ValueType(name="text", read=_text)
ALLOWANCE = ValueType(name="auto or int", read=_allowance)
AGGREGATOR = ValueType(name="MAX, AVG, MIN", read=lambda text: BusyTimeAggregator(_aggregator(text)))
# A name that is not exactly one of the three is a custom mode of the JVM, and counts as BALANCED.
ALIGNMENT = ValueType(name="BALANCED, EVENLY_SPREAD, OFF", read=lambda text: _ALIGNMENTS.get(text, Alignment.BALANCED))
OLD_ALIGNMENT = ValueType(
    name="EVENLY_SPREAD, MAXIMIZE_UTILISATION", read=lambda text: _OLD_ALIGNMENTS[_old_alignment(text)]
)
JAVA_CLASS = ValueType(name="Java class", read=lambda text: text)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Key:
    """One option, of which there is one value only; ``name`` is what follows ``job.autoscaler.``.

    ``emr`` and ``apache`` are the defaults as one would write them, ``None`` if the key has none there;
    ``unset`` says what holds then. ``low`` and ``high`` are bounds, both included. ``fills`` names the Policy
    field it fills, and ``superseded_by`` the keys that, when all are set, make this one moot. A ``family``
    stands for all keys that begin with its name. ``not_applicable`` says why the key has no effect here.
    """

    name: str
    type: ValueType
    help: str
    emr: str | None = None
    apache: str | None = None
    unset: str = ""
    fills: str | None = None
    low: float | None = None
    high: float | None = None
    old_names: Mapping[str, tuple[str, ...]] = field(default_factory=lambda: MappingProxyType({}))
    profiles: tuple[str, ...] = PROFILES
    superseded_by: tuple[str, ...] = ()
    family: bool = False
    not_applicable: str = ""

    @property
    def full_name(self) -> str:
        return PREFIX + self.name

    def default(self, profile: str) -> str | None:
        """Return the default of a profile as one would write it."""
        return self.apache if profile == APACHE else self.emr

    def read(self, text: str) -> object:
        """Read a value and hold it against the bounds; raises GrammarError with what was expected."""
        value = self.type.read(text)
        if isinstance(value, int | float) and not self._within_bounds(value):
            raise grammar.GrammarError(f"a value of {self.bounds}" if self.bounds else "a number")
        return value

    def _within_bounds(self, number: float) -> bool:
        # NaN passes neither comparison nor the test against itself.
        return (
            number == number and (self.low is None or number >= self.low) and (self.high is None or number <= self.high)
        )

    @property
    def bounds(self) -> str:
        """The bounds as a phrase, empty if there are none; no key is bounded from above alone."""
        if self.low is None:
            return ""
        unit = f" {self.type.unit}" if self.type.unit else ""
        if self.high is None:
            return f"at least {self.low:g}{unit}"
        return f"{self.low:g} to {self.high:g}{unit}"

"""Values exactly as Flink reads them: text in, value out, or what was expected instead."""

from __future__ import annotations

import math
import re
from collections.abc import Callable

from autoscaler.options.core_schema import flow_list

INT32_MAX = 2**31 - 1
INT64_MAX = 2**63 - 1

# Java's String.trim: everything up to and including the blank, and nothing above it.
JAVA_BLANKS = "".join(map(chr, range(0x21)))

_NANOS_PER_MS = 1_000_000

# The spellings of each unit, the first one being the label Flink prints. "us" is not Flink's but a frequent
# way to write "µs", and so is the Greek letter for the micro sign; Flink itself never reads these keys, so
# accepting them costs nothing.
_DURATION_LABELS: dict[int, tuple[str, ...]] = {
    1: ("ns", "nano", "nanos", "nanosecond", "nanoseconds"),
    1_000: ("µs", "\u03bcs", "us", "micro", "micros", "microsecond", "microseconds"),
    1_000_000: ("ms", "milli", "millis", "millisecond", "milliseconds"),
    1_000_000_000: ("s", "sec", "secs", "second", "seconds"),
    60_000_000_000: ("min", "m", "minute", "minutes"),
    3_600_000_000_000: ("h", "hour", "hours"),
    86_400_000_000_000: ("d", "day", "days"),
}
_MEMORY_LABELS: dict[int, tuple[str, ...]] = {
    1: ("b", "bytes"),
    2**10: ("k", "kb", "kibibytes"),
    2**20: ("m", "mb", "mebibytes"),
    2**30: ("g", "gb", "gibibytes"),
    2**40: ("t", "tb", "tebibytes"),
}


def _by_label(labels: dict[int, tuple[str, ...]]) -> dict[str, int]:
    return {label: size for size, spellings in labels.items() for label in spellings}


DURATION_UNITS = _by_label(_DURATION_LABELS)
MEMORY_UNITS = _by_label(_MEMORY_LABELS)

_DIGITS = re.compile(r"[0-9]+")
_NUMBER_AND_UNIT = re.compile(r"([0-9]+)(.*)", re.DOTALL)
_INTEGER = re.compile(r"[+-]?[0-9]+")
_DECIMAL = re.compile(r"([+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?)[fFdD]?")
_HEXADECIMAL = re.compile(r"([+-]?0[xX](?:[0-9a-fA-F]+\.?[0-9a-fA-F]*|\.[0-9a-fA-F]+)[pP][+-]?[0-9]+)[fFdD]?")
_NOT_FINITE = re.compile(r"[+-]?(?:NaN|Infinity)")
_ISO_DURATION = re.compile(
    r"(?P<sign>[+-])?P(?:(?P<days>[+-]?[0-9]+)D)?"
    r"(?:T(?=[+-]?[0-9])(?:(?P<hours>[+-]?[0-9]+)H)?(?:(?P<minutes>[+-]?[0-9]+)M)?"
    r"(?:(?P<seconds>[+-]?[0-9]+)(?:[.,](?P<fraction>[0-9]{0,9}))?S)?)?",
    re.IGNORECASE,
)
_ISO_SECONDS = {"days": 86_400, "hours": 3_600, "minutes": 60, "seconds": 1}

_DURATION = "a duration such as 30 s, 5 min or 1 h, without sign, decimals or a second unit"
_MEMORY = "a memory size such as 512 mb or 4 gb, without decimals (units b, kb, mb, gb, tb, all binary)"
_INT = "a whole number from -2147483648 to 2147483647"


class GrammarError(ValueError):
    """A text Flink would not read; ``expected`` says what may stand there, ``detail`` what is wrong."""

    def __init__(self, expected: str, detail: str = "") -> None:
        super().__init__(f"expected {expected}" + (f" ({detail})" if detail else ""))
        self.expected = expected
        self.detail = detail

    @property
    def advice(self) -> str:
        """What to do about it, as the end of a sentence."""
        return f"write {self.expected}" + (f" ({self.detail})" if self.detail else "")


def trimmed(text: str) -> str:
    """Cut blanks and control characters off both ends, as Java does; other Unicode blanks stay."""
    return text.strip(JAVA_BLANKS)


def parse_duration(text: str) -> int:
    """Read a duration in whole milliseconds; without a unit it is milliseconds, below 1 ms it is 0."""
    return _bounded(_nanos(trimmed(text)) // _NANOS_PER_MS, _DURATION)


def has_unit(text: str) -> bool:
    """Tell whether a duration names its unit; ``30`` does not, and means 30 ms."""
    return _DIGITS.fullmatch(trimmed(text)) is None


def _nanos(text: str) -> int:
    match = _NUMBER_AND_UNIT.fullmatch(text)
    if match is None:
        return _iso_nanos(text)
    label = trimmed(match[2]).lower()
    unit = DURATION_UNITS.get(label or "ms")
    if unit is None:
        raise GrammarError(_DURATION, f"{label!r} is not a unit; d, h, min, s, ms, µs and ns are")
    return _whole(match[1], _DURATION) * unit


def _iso_nanos(text: str) -> int:
    match = _ISO_DURATION.fullmatch(text)
    if match is None or not any(match[part] for part in _ISO_SECONDS):
        raise GrammarError(_DURATION)
    seconds = sum(_whole(match[part] or "0", _DURATION) * length for part, length in _ISO_SECONDS.items())
    fraction = int((match["fraction"] or "").ljust(9, "0"))
    nanos = seconds * 10**9 + (-fraction if (match["seconds"] or "").startswith("-") else fraction)
    if match["sign"] == "-":
        nanos = -nanos
    if nanos < 0:
        raise GrammarError(_DURATION, "a duration cannot be negative")
    return nanos


def _whole(digits: str, expected: str) -> int:
    # 60 digits are beyond every unit and short of the length at which Python refuses to convert.
    if len(digits) > 60:
        raise GrammarError(expected, "the number is too large")
    return int(digits)


def _bounded(number: int, expected: str) -> int:
    if number > INT64_MAX:
        raise GrammarError(expected, "the number is too large")
    return number


def format_duration(ms: int) -> str:
    """Print a duration as Flink does: in the largest unit that holds it exactly."""
    nanos = ms * _NANOS_PER_MS
    if nanos == 0:
        return "0 ms"
    size = max(unit for unit in _DURATION_LABELS if nanos % unit == 0)
    return f"{nanos // size} {_DURATION_LABELS[size][0]}"


def parse_memory(text: str) -> int:
    """Read a memory size in bytes; all units are binary, a number without a unit is bytes."""
    match = _NUMBER_AND_UNIT.fullmatch(trimmed(text))
    if match is None:
        raise GrammarError(_MEMORY)
    label = trimmed(match[2]).lower()
    unit = MEMORY_UNITS.get(label or "b")
    if unit is None:
        raise GrammarError(_MEMORY, f"{label!r} is not a unit; b, kb, mb, gb and tb are")
    return _bounded(_whole(match[1], _MEMORY) * unit, _MEMORY)


def parse_boolean(text: str) -> bool:
    """Read ``true`` or ``false`` in any case; nothing else is a boolean, ``yes`` and ``1`` are not."""
    match text.upper():
        case "TRUE":
            return True
        case "FALSE":
            return False
    raise GrammarError("true or false")


def parse_int(text: str) -> int:
    """Read a whole number of 32 bits."""
    if _INTEGER.fullmatch(text) is None:
        raise GrammarError(_INT)
    number = _whole(text, _INT)
    if not -INT32_MAX - 1 <= number <= INT32_MAX:
        raise GrammarError(_INT, "the number is out of range")
    return number


def parse_double(text: str) -> float:
    """Read a floating-point number as Java does: ``0.7``, ``1e-3``, ``100000.``, ``NaN``, ``Infinity``."""
    text = trimmed(text)
    if match := _DECIMAL.fullmatch(text):
        return float(match[1])
    if _NOT_FINITE.fullmatch(text):
        return float(text)
    if match := _HEXADECIMAL.fullmatch(text):
        try:
            return float.fromhex(match[1])
        except OverflowError:  # where a decimal one that is too large is infinite
            return math.copysign(math.inf, -1 if text.startswith("-") else 1)
    raise GrammarError("a number such as 0.7")


def enumeration(*constants: str) -> Callable[[str], str]:
    """Return a reader of one of these constants: any case counts, ``-`` and ``_`` are not the same."""
    known = {constant.lower(): constant for constant in constants}

    def read(text: str) -> str:
        constant = known.get(text.lower())
        if constant is None:
            raise GrammarError("one of " + ", ".join(constants))
        return constant

    return read


def parse_list(text: str) -> tuple[str, ...]:
    """Read a list: a YAML flow list as ``config.yaml`` gives it, or else items separated by ``;``."""
    if text.startswith("["):
        found = flow_list(text)
        if found is not None:
            return found
    return split(text, ";")


def split(text: str, delimiter: str) -> tuple[str, ...]:
    """Split at a delimiter, trimming items; an item in quotes may hold it, and its quote written twice.

    A delimiter at either end adds nothing; two next to each other hold an empty item between them.
    """
    found: list[str] = []
    position = 0
    after_delimiter = quoted = False
    while position < len(text):
        sign = text[position]
        if sign.isspace():
            position += 1
        elif sign == delimiter:
            found += [""] if after_delimiter else []
            after_delimiter, quoted, position = True, False, position + 1
        elif quoted:
            # Flink counts the sign before the one that should not be there.
            raise GrammarError(
                _list_of(delimiter), f"Could not split string. Illegal quoting at position: {position - 1}"
            )
        else:
            quoted = sign in "'\""
            item, position = (_quoted if quoted else _unquoted)(text, position, delimiter)
            found.append(item)
            after_delimiter = False
    return tuple(found)


def _list_of(delimiter: str) -> str:
    return f"a list with {delimiter} between the items"


def _unquoted(text: str, start: int, delimiter: str) -> tuple[str, int]:
    end = text.find(delimiter, start)
    end = len(text) if end < 0 else end
    return trimmed(text[start:end]), end


def _quoted(text: str, start: int, delimiter: str) -> tuple[str, int]:
    quote = text[start]
    end = start + 1
    while (end := text.find(quote, end)) >= 0:
        if not text.startswith(quote, end + 1):
            return text[start + 1 : end].replace(quote * 2, quote), end + 1
        end += 2
    raise GrammarError(_list_of(delimiter), "Could not split string. Quoting was not closed properly.")

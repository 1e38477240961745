"""Values are read exactly as Flink reads them."""

from __future__ import annotations

import math
from collections.abc import Callable
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from autoscaler.options.grammar import (
    DURATION_UNITS,
    MEMORY_UNITS,
    GrammarError,
    enumeration,
    format_duration,
    has_unit,
    parse_boolean,
    parse_double,
    parse_duration,
    parse_int,
    parse_list,
    parse_memory,
    split,
)

DURATION_SPELLINGS = {
    86_400_000_000_000: "d day days",
    3_600_000_000_000: "h hour hours",
    60_000_000_000: "min m minute minutes",
    1_000_000_000: "s sec secs second seconds",
    1_000_000: "ms milli millis millisecond milliseconds",
    1_000: "µs \u03bcs us micro micros microsecond microseconds",
    1: "ns nano nanos nanosecond nanoseconds",
}
MEMORY_SPELLINGS = {
    1: "b bytes",
    2**10: "k kb kibibytes",
    2**20: "m mb mebibytes",
    2**30: "g gb gibibytes",
    2**40: "t tb tebibytes",
}


def spelled(units: dict[int, str]) -> list[tuple[str, int]]:
    return [(label, size) for size, labels in units.items() for label in labels.split()]


@pytest.mark.parametrize(("label", "nanos"), spelled(DURATION_SPELLINGS))
def test_every_spelling_of_a_duration_unit(label: str, nanos: int) -> None:
    """Each unit can be written in all of Flink's ways, with or without a blank, in any case."""
    expected = 3_000_000 * nanos // 1_000_000
    shouted = label.replace("s", "S") if label == "µs" else label.upper()
    for text in (f"3000000{label}", f"3000000 {label}", f" 3000000  {label} ", f"3000000 {shouted}"):
        assert parse_duration(text) == expected


def test_no_other_duration_units() -> None:
    """The units in the table are all there are."""
    assert dict(spelled(DURATION_SPELLINGS)) == DURATION_UNITS
    assert dict(spelled(MEMORY_SPELLINGS)) == MEMORY_UNITS


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param("30", 30, id="no-unit-is-milliseconds"),
        pytest.param("\t30 s\n", 30_000, id="trimmed"),
        pytest.param("0", 0, id="zero"),
        pytest.param("007 s", 7_000, id="leading-zeros"),
        pytest.param("999 us", 0, id="below-a-millisecond-is-zero"),
        pytest.param("10000000000000000000 ns", 10_000_000_000_000, id="more-than-64-bits-of-nanoseconds"),
        pytest.param("9223372036854775807", 2**63 - 1, id="largest"),
        pytest.param("PT1M", 60_000, id="iso-minutes"),
        pytest.param("P1DT2H3M4.5S", 93_784_500, id="iso-all-parts"),
        pytest.param("pt0,25s", 250, id="iso-any-case-comma"),
        pytest.param("PT4.S", 4_000, id="iso-empty-fraction"),
        pytest.param("+PT1M", 60_000, id="iso-plus"),
        pytest.param("-PT-1M", 60_000, id="iso-twice-negative"),
        pytest.param("PT1M-1.5S", 58_500, id="iso-negative-part"),
    ],
)
def test_durations(text: str, expected: int) -> None:
    """A duration is a whole number of one unit, or ISO 8601."""
    assert parse_duration(text) == expected


@pytest.mark.parametrize(
    ("text", "detail"),
    [
        pytest.param("", "", id="empty"),
        pytest.param("  ", "", id="blank"),
        pytest.param("-1 s", "", id="negative"),
        pytest.param("+1 s", "", id="plus"),
        pytest.param("1.5 s", "'.5 s' is not a unit", id="decimals"),
        pytest.param("1h30m", "'h30m' is not a unit", id="compound"),
        pytest.param("5 fortnights", "'fortnights' is not a unit", id="unknown-unit"),
        pytest.param("s", "", id="unit-alone"),
        pytest.param("soon", "", id="word"),
        pytest.param("٣ s", "", id="other-digits"),
        pytest.param("%{hiera('x')}", "", id="template"),
        pytest.param("9223372036854775808", "too large", id="too-large"),
        pytest.param("9" * 5_000, "too large", id="much-too-large"),
        pytest.param("P", "", id="iso-nothing"),
        pytest.param("PT", "", id="iso-no-parts"),
        pytest.param("PTS", "", id="iso-no-number"),
        pytest.param("P1DT", "", id="iso-t-without-time"),
        pytest.param("P1Y", "", id="iso-years"),
        pytest.param("-PT1M", "cannot be negative", id="iso-negative"),
        pytest.param("PT-0.5S", "cannot be negative", id="iso-negative-fraction"),
    ],
)
def test_durations_flink_refuses(text: str, detail: str) -> None:
    """What Flink would not read as a duration is an error that shows how one is written."""
    with pytest.raises(GrammarError) as error:
        parse_duration(text)
    assert "30 s, 5 min or 1 h" in str(error.value)
    assert detail in error.value.detail
    assert "30 s, 5 min or 1 h" in error.value.advice


@given(st.integers(min_value=0, max_value=10**13))
def test_durations_survive_printing(ms: int) -> None:
    """A duration printed as Flink prints it reads as the same duration."""
    assert parse_duration(format_duration(ms)) == ms


@pytest.mark.parametrize(
    ("ms", "text"), [(90_000, "90 s"), (60_000, "1 min"), (86_400_000, "1 d"), (1, "1 ms"), (0, "0 ms")]
)
def test_durations_print_in_the_largest_exact_unit(ms: int, text: str) -> None:
    """A printed duration uses the largest unit that holds it exactly."""
    assert format_duration(ms) == text


@pytest.mark.parametrize(("text", "expected"), [("30", False), (" 30 ", False), ("30s", True), ("PT3S", True)])
def test_a_bare_number_has_no_unit(text: str, expected: bool) -> None:
    """Only a number alone lacks a unit."""
    assert has_unit(text) is expected


@pytest.mark.parametrize(("label", "size"), spelled(MEMORY_SPELLINGS))
def test_every_spelling_of_a_memory_unit(label: str, size: int) -> None:
    """Each unit of memory can be written in all of Flink's ways, and is binary."""
    for text in (f"3{label}", f"3 {label}", f" 3 {label} ", f"3 {label}".upper()):
        assert parse_memory(text) == 3 * size


@pytest.mark.parametrize(
    ("text", "detail"),
    [
        pytest.param("4 gib", "'gib' is not a unit", id="gib"),
        pytest.param("1.5g", "is not a unit", id="decimals"),
        pytest.param("", "", id="empty"),
        pytest.param("-1 g", "", id="negative"),
        pytest.param("9000000 tb", "too large", id="too-large"),
    ],
)
def test_memory_sizes_flink_refuses(text: str, detail: str) -> None:
    """What Flink would not read as a memory size is an error that shows how one is written."""
    with pytest.raises(GrammarError) as error:
        parse_memory(text)
    assert "4 gb" in error.value.expected
    assert detail in error.value.detail


def test_memory_without_unit_is_bytes() -> None:
    """A number alone is a number of bytes."""
    assert parse_memory("1024") == 1024


@pytest.mark.parametrize(("text", "expected"), [("true", True), ("TRUE", True), ("False", False)])
def test_booleans(text: str, expected: bool) -> None:
    """True and false are read in any case."""
    assert parse_boolean(text) is expected


@pytest.mark.parametrize("text", ["yes", "1", "", " true", "on"])
def test_no_other_booleans(text: str) -> None:
    """Nothing but true and false is a boolean."""
    with pytest.raises(GrammarError, match="true or false"):
        parse_boolean(text)


@pytest.mark.parametrize(
    ("text", "expected"),
    [("3", 3), ("+3", 3), ("-3", -3), ("2147483647", 2**31 - 1), ("-2147483648", -(2**31))],
)
def test_integers(text: str, expected: int) -> None:
    """A whole number of 32 bits is read, with a sign if it has one."""
    assert parse_int(text) == expected


@pytest.mark.parametrize("text", ["", "3.0", "1_000", " 3", "2147483648", "0x10", "three", "9" * 5_000])
def test_no_other_integers(text: str) -> None:
    """A text that is not such a number is refused."""
    with pytest.raises(GrammarError, match="whole number"):
        parse_int(text)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("0.7", 0.7),
        (" 1e-3 ", 0.001),
        ("100000.", 100_000.0),
        (".5", 0.5),
        ("-2", -2.0),
        ("1.0E12", 1e12),
        ("0.5d", 0.5),
        ("0.5F", 0.5),
        ("Infinity", math.inf),
        ("-Infinity", -math.inf),
        ("0x1.8p1", 3.0),
        ("1e999", math.inf),
        ("0x1p9999", math.inf),
        ("-0x1p9999", -math.inf),
    ],
)
def test_doubles(text: str, expected: float) -> None:
    """A number is read in every way Java writes one."""
    assert parse_double(text) == expected


def test_nan_is_a_double() -> None:
    """NaN reads as what it says; whether it makes sense is decided by the key."""
    assert math.isnan(parse_double("NaN"))


@pytest.mark.parametrize("text", ["", "0,7", "1_000", "inf", "nan", "70 %", "1e", "0x10", "seven"])
def test_no_other_doubles(text: str) -> None:
    """A text Java would not read as a number is refused."""
    with pytest.raises(GrammarError, match="a number such as"):
        parse_double(text)


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_doubles_survive_printing(number: float) -> None:
    """A printed double reads as the same double."""
    assert parse_double(repr(number)) == number


def test_enumerations_ignore_case_only() -> None:
    """A constant is found in any case, but not with another separator, and the error names all of them."""
    read = enumeration("MAX", "EVENLY_SPREAD")
    assert read("max") == "MAX"
    assert read("Evenly_Spread") == "EVENLY_SPREAD"
    with pytest.raises(GrammarError, match="one of MAX, EVENLY_SPREAD"):
        read("evenly-spread")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param("", (), id="empty"),
        pytest.param("a", ("a",), id="one"),
        pytest.param(" a ; b ", ("a", "b"), id="trimmed"),
        pytest.param("a;;b", ("a", "", "b"), id="empty-item-between"),
        pytest.param("a; ;b", ("a", "", "b"), id="blank-item-between"),
        pytest.param(";a;", ("a",), id="delimiters-at-the-ends"),
        pytest.param(";;a", ("", "a"), id="two-delimiters-at-the-start"),
        pytest.param("'a;b' ; \"c;d\"", ("a;b", "c;d"), id="quoted"),
        pytest.param('\'it\'\'s\';"a ""b"""', ("it's", 'a "b"'), id="doubled-quotes"),
        pytest.param("''", ("",), id="empty-quotes"),
        pytest.param("it's;fine", ("it's", "fine"), id="quote-inside-an-item"),
        pytest.param(
            "0 0 9 * * ?;9:30-10:30 && * * * ? * 2-6",
            ("0 0 9 * * ?", "9:30-10:30 && * * * ? * 2-6"),
            id="periods",
        ),
        pytest.param("[a, 'b;c', \"d, e\"]", ("a", "b;c", "d, e"), id="yaml-list"),
        pytest.param("['0 0 9 * * ?', 9:30-10:30]", ("0 0 9 * * ?", "9:30-10:30"), id="yaml-list-of-periods"),
        pytest.param("[]", (), id="empty-yaml-list"),
        pytest.param("[1, 0x10, true, 1e3]", ("1", "16", "true", "1000.0"), id="yaml-list-of-scalars"),
        pytest.param("[a;b", ("[a", "b"), id="no-yaml-after-all"),
        pytest.param("[a];b", ("[a]", "b"), id="more-than-a-yaml-list"),
        pytest.param("[a, [b]];c", ("[a, [b]]", "c"), id="nested-yaml-list"),
        pytest.param("[a, [b]]", ("[a, [b]]",), id="yaml-list-of-more-than-scalars"),
        pytest.param("[a]: b", ("[a]: b",), id="yaml-map"),
        pytest.param("[a, ~]", ("[a, ~]",), id="yaml-list-with-null"),
    ],
)
def test_lists(text: str, expected: tuple[str, ...]) -> None:
    """A list is read as Flink splits it, or as the YAML list it gives back."""
    assert parse_list(text) == expected


@pytest.mark.parametrize(
    ("text", "message"),
    [
        pytest.param("'ab'c;d", "Illegal quoting at position: 3", id="text-after-quotes"),
        pytest.param("'ab' \"c\"", "Illegal quoting at position: 4", id="quotes-after-quotes"),
        pytest.param("a;'b", "Quoting was not closed properly", id="open-quote"),
        pytest.param("a;'b''", "Quoting was not closed properly", id="open-after-doubled-quote"),
    ],
)
def test_illegal_quoting(text: str, message: str) -> None:
    """Wrong quotes give Flink's own message."""
    with pytest.raises(GrammarError, match=message):
        parse_list(text)


@given(st.lists(st.text(alphabet="ab;,' \"[", min_size=1), max_size=5))
def test_quoted_lists_survive(items: list[str]) -> None:
    """Whatever the items hold, quoting each of them brings them back."""
    quoted = ";".join("'" + item.replace("'", "''") + "'" for item in items)
    assert split(quoted, ";") == tuple(items)


@pytest.mark.parametrize("read", [parse_duration, parse_memory, parse_boolean, parse_int, parse_double, parse_list])
@given(text=st.text(max_size=20))
def test_any_text_is_read_or_refused(read: Callable[[str], object], text: str) -> None:
    """No text makes a reader fail in another way than by saying what it expected."""
    with suppress(GrammarError):
        read(text)

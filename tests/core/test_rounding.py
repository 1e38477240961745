"""Rounding, division and what is not a number."""

from __future__ import annotations

import math

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from autoscaler.core.rounding import (
    known,
    quotient,
    rounded,
    rounded_by_decimal,
    rounded_up_to_hundredths,
    whole,
)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        pytest.param(0.0, 0.0, id="zero"),
        pytest.param(1234.0, 1234.0, id="whole"),
        pytest.param(2.0005, 2.001, id="tie-stored-below"),
        pytest.param(1.0005, 1.001, id="tie-stored-above"),
        pytest.param(-2.0005, -2.001, id="tie-away-from-zero"),
        pytest.param(2.00049999, 2.0, id="below-tie"),
        pytest.param(0.0006, 0.001, id="up-to-smallest"),
        pytest.param(0.0005, 0.001, id="tie-at-smallest"),
        pytest.param(0.0003, 0.0003, id="never-to-zero"),
        pytest.param(-0.0003, -0.0003, id="never-to-zero-from-below"),
        pytest.param(5e-324, 5e-324, id="smallest-double"),
        pytest.param(1e300, 1e300, id="huge"),
        pytest.param(4503599627370497.5, 4503599627370497.5, id="beyond-2^52"),
        pytest.param(math.inf, math.inf, id="infinite"),
        pytest.param(-math.inf, -math.inf, id="infinitely-negative"),
    ],
)
def test_rounded(value: float, expected: float) -> None:
    """A value is kept to 3 decimals, ties away from zero, and never becomes 0."""
    assert rounded(value) == expected
    assert rounded_by_decimal(value) == expected


@given(st.floats(allow_nan=False))
@example(70368744177664.0005)
@example(8796093022208.0625)
def test_fast_rounding_equals_decimal_rounding(value: float) -> None:
    """The fast way gives what decimal arithmetic on the shortest form gives, for every double."""
    assert rounded(value) == rounded_by_decimal(value)


@given(st.integers(-(10**12), 10**12), st.integers(0, 6))
def test_fast_rounding_equals_decimal_rounding_at_ties(thousandths: int, ulps: int) -> None:
    """At and around every tie, where binary and decimal rounding part, both ways agree."""
    value = (thousandths * 10 + 5) / 10_000
    for _ in range(ulps):
        value = math.nextafter(value, math.inf)
    assert rounded(value) == rounded_by_decimal(value)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        pytest.param(0.29, 0.29, id="exact-in-decimal"),
        pytest.param(0.501, 0.51, id="up"),
        pytest.param(0.5000000001, 0.51, id="barely-up"),
        pytest.param(1.0, 1.0, id="one"),
    ],
)
def test_rounded_up_to_hundredths(value: float, expected: float) -> None:
    """A coefficient is rounded up by its shortest decimal form, not by its binary value."""
    assert rounded_up_to_hundredths(value) == expected


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        pytest.param(2.5, 3.0, id="tie-up"),
        pytest.param(-2.5, -2.0, id="negative-tie-up"),
        pytest.param(2.4999, 2.0, id="down"),
        pytest.param(0.49999999999999994, 0.0, id="not-by-adding-one-half"),
        pytest.param(4503599627370497.0, 4503599627370497.0, id="every-double-is-whole"),
        pytest.param(1e22, float(2**63 - 1), id="saturates"),
        pytest.param(math.inf, float(2**63 - 1), id="saturates-at-infinity"),
        pytest.param(-math.inf, -float(2**63 - 1), id="saturates-below"),
    ],
)
def test_whole(value: float, expected: float) -> None:
    """A capacity is the floor of value and a half, exactly, within 64 bits."""
    assert whole(value) == expected


@pytest.mark.parametrize(
    ("dividend", "divisor", "expected"),
    [
        pytest.param(6.0, 3.0, 2.0, id="ordinary"),
        pytest.param(1.0, 0.0, math.inf, id="by-zero"),
        pytest.param(-1.0, 0.0, -math.inf, id="negative-by-zero"),
        pytest.param(1.0, -0.0, -math.inf, id="by-negative-zero"),
        pytest.param(1.0, math.inf, 0.0, id="by-infinity"),
    ],
)
def test_quotient(dividend: float, divisor: float, expected: float) -> None:
    """Division follows IEEE 754 instead of raising."""
    assert quotient(dividend, divisor) == expected


@pytest.mark.parametrize(("dividend", "divisor"), [(0.0, 0.0), (math.nan, 0.0), (math.inf, math.inf)])
def test_what_is_not_a_number_is_absent(dividend: float, divisor: float) -> None:
    """A quotient that is not a number is known as absent."""
    assert known(quotient(dividend, divisor)) is None

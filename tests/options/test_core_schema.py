"""YAML scalars print as Flink prints them."""

from __future__ import annotations

import math

import pytest

from autoscaler.options.core_schema import compose, java_double, printed


@pytest.mark.parametrize(
    ("number", "text"),
    [
        (0.7, "0.7"),
        (1000.0, "1000.0"),
        (100_000.0, "100000.0"),
        (9_999_999.0, "9999999.0"),
        (1e7, "1.0E7"),
        (123_456_789.125, "1.23456789125E8"),
        (0.001, "0.001"),
        (1.5e-7, "1.5E-7"),
        (-2e-5, "-2.0E-5"),
        (0.0, "0.0"),
        (-0.0, "-0.0"),
        (math.inf, "Infinity"),
        (-math.inf, "-Infinity"),
        (math.nan, "NaN"),
    ],
)
def test_doubles_print_as_java_prints_them(number: float, text: str) -> None:
    """A double has Java's digits, and an exponent only when it is large or small."""
    assert java_double(number) == text


@pytest.mark.parametrize(
    ("yaml", "text"),
    [
        pytest.param("010", "10", id="no-octal-by-leading-zero"),
        pytest.param("0o17", "15", id="octal"),
        pytest.param("0x10", "16", id="hexadecimal"),
        pytest.param("+5", "5", id="plus"),
        pytest.param("-0", "0", id="minus-zero"),
        pytest.param("9" * 5_000, "9" * 5_000, id="digits-beyond-any-number"),
        pytest.param("0.70", "0.7", id="trailing-zero"),
        pytest.param("1e3", "1000.0", id="exponent"),
        pytest.param("100000.", "100000.0", id="dot-at-the-end"),
        pytest.param("-.inf", "-Infinity", id="infinity"),
        pytest.param(".NaN", "NaN", id="not-a-number"),
        pytest.param("TRUE", "true", id="boolean"),
        pytest.param("yes", "yes", id="yes-is-a-word"),
        pytest.param("on", "on", id="on-is-a-word"),
        pytest.param("2024-01-02", "2024-01-02", id="date-is-text"),
        pytest.param("9:30", "9:30", id="time-is-text"),
        pytest.param("1_000", "1_000", id="no-underscores"),
        pytest.param("'00123'", "00123", id="quoted-number"),
        pytest.param('"true"', "true", id="quoted-boolean"),
        pytest.param('""', "", id="empty-text"),
        pytest.param("|\n  l1\n  l2\n", "l1\nl2\n", id="lines"),
        pytest.param("[abc, 'd;e', 'f: g']", "[abc, d;e, 'f: g']", id="list"),
        pytest.param("[]", "[]", id="empty-list"),
        pytest.param('["0 0 9 * * ?"]', "['0 0 9 * * ?']", id="list-of-cron"),
        pytest.param("- x\n- 2\n- true", "[x, 2, true]", id="block-list"),
        pytest.param("['10', yes, 010, ~]", "['10', yes, 10, null]", id="quotes-where-needed"),
        pytest.param("[[a], {b: 0x10}]", "[[a], {b: 16}]", id="nested"),
        pytest.param("[&x a, *x]", "[a, a]", id="alias"),
    ],
)
def test_scalars_and_lists_print_as_flink_prints_them(yaml: str, text: str) -> None:
    """Numbers are printed anew, words stay, and lists come back in flow style."""
    node = compose(yaml)
    assert node is not None
    assert printed(node) == text

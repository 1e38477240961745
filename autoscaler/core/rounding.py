"""How numbers are cut: to 3 decimals, or to whole records per second (docs/ALGORITHM.md, 1 and 5).

Ordinary floating point raises on x / 0 and has no opinion on ties. Decisions must be reproducible on paper
and on any machine, so both are settled here, once.
"""

from __future__ import annotations

import math
from decimal import ROUND_CEILING, ROUND_HALF_UP, Decimal

LARGEST_LONG = float(2**63 - 1)
_EVERY_DOUBLE_IS_WHOLE = 2.0**52
_THOUSANDTH = Decimal("0.001")
_HUNDREDTH = Decimal("0.01")


def rounded(value: float) -> float:
    """Return ``value`` to 3 decimals of its shortest decimal form, half away from zero, never to 0.

    ``round`` decides by the exact binary value and differs only where the shortest form ends in a 5 at the
    fourth decimal: 2.0005 is stored a little below and would become 2.0. Only values that close to a tie
    take the slow way. Worked: 2.0005 -> 2.001, -2.0005 -> -2.001, 0.0004 -> 0.0004, 0.0006 -> 0.001.
    """
    thousandths = abs(value) * 1000.0
    if abs(thousandths % 1.0 - 0.5) <= thousandths * 2.0**-50:
        return rounded_by_decimal(value)
    return round(value, 3) or value


def rounded_by_decimal(value: float) -> float:
    """Return what ``rounded`` promises, computed literally on the shortest decimal form."""
    if not math.isfinite(value) or abs(value) >= _EVERY_DOUBLE_IS_WHOLE:
        return value
    return float(Decimal(repr(value)).quantize(_THOUSANDTH, rounding=ROUND_HALF_UP)) or value


def rounded_up_to_hundredths(value: float) -> float:
    """Return ``value`` rounded up to 2 decimals of its shortest form: 0.501 -> 0.51, 0.29 -> 0.29."""
    return float(Decimal(repr(value)).quantize(_HUNDREDTH, rounding=ROUND_CEILING))


def whole(value: float) -> float:
    """Return floor(value + 1/2) without an intermediate rounding, as a signed 64-bit integer holds it."""
    if value >= LARGEST_LONG:
        return LARGEST_LONG
    if abs(value) >= _EVERY_DOUBLE_IS_WHOLE:
        return max(value, -LARGEST_LONG)
    below = math.floor(value)
    return float(below + 1 if value - below >= 0.5 else below)


def known(value: float) -> float | None:
    """Return ``value``, or ``None`` for what is not a number (inf - inf, 0 * inf)."""
    return value if value == value else None


def quotient(dividend: float, divisor: float) -> float:
    """Return the IEEE 754 quotient: x / 0 is infinite, 0 / 0 is not a number."""
    if divisor:
        return dividend / divisor
    if dividend == 0.0 or dividend != dividend:
        return math.nan
    return math.copysign(math.inf, dividend) * math.copysign(1.0, divisor)

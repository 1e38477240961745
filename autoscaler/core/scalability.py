"""How much of an added subtask a vertex turns into throughput (docs/ALGORITHM.md, 7)."""

from __future__ import annotations

import math
from collections.abc import Sequence

from autoscaler.core.errors import UndecidableError
from autoscaler.core.rounding import quotient, rounded_up_to_hundredths
from autoscaler.model import Policy, Scaling


def scalability(scalings: Sequence[Scaling], policy: Policy) -> float:
    """Return alpha, the share of linear scaling seen so far: 1 is linear, 0.5 is half.

    Past scalings give a parallelism P and the true processing rate R it had. With ``beta = R / P`` at the
    smallest P, the best fit of ``R = alpha * beta * P`` is ``alpha = sum(P R) / (beta * sum(P^2))``, cut to
    [minimum, 1] and rounded up to 2 decimals. Too few scalings, or one without a rate, say nothing: 1. With extras
    neither does one of a vertex that had nothing to do, whose rate is infinite.

    Raises UndecidableError where alpha is not a number.
    """
    rates = [scaling.tpr for scaling in scalings if scaling.tpr is not None and _tells(scaling.tpr, policy)]
    if not scalings or len(rates) < len(scalings) or len(scalings) < policy.observed_scalability_min_observations:
        return 1.0
    points = [(scaling.from_parallelism, rate) for scaling, rate in zip(scalings, rates, strict=True)]
    smallest, rate_there = min(reversed(points), key=lambda point: point[0])
    beta = quotient(rate_there, smallest)
    products = squares = 0.0
    for parallelism, rate in points:
        products += parallelism * rate
        squares += parallelism * parallelism
    alpha = quotient(products, beta * squares)
    if math.isnan(alpha):
        raise UndecidableError(
            "the observed scalability is not a number: a past true processing rate is infinite or zero"
        )
    return rounded_up_to_hundredths(max(policy.observed_scalability_coefficient_min, min(1.0, alpha)))


def _tells(rate: float, policy: Policy) -> bool:
    return not policy.extras or (math.isfinite(rate) and rate > 0.0)

"""What is computed while a sample is taken (docs/ALGORITHM.md, 1 and 2)."""

from __future__ import annotations

import math
from collections.abc import Sequence

from msgspec.structs import astuple

from autoscaler.core.estimators import average
from autoscaler.core.rounding import rounded
from autoscaler.model import Policy, VertexSample


def observed_true_processing_rate(
    *,
    rate_in: float,
    lag: float | None,
    back_pressured_ms_per_s: float | None,
    earlier: Sequence[float | None],
    policy: Policy,
) -> float | None:
    """Return what a source really manages, in records per second, seen while it has more than enough to read.

    ``rate_in / (1 - back pressure)`` while ``lag >= threshold * rate_in``: a source that is behind reads as
    fast as it can, but for the share of time its outputs hold it up. Without lag the average of the
    ``earlier`` observations stands in. A source that reads nothing counts as infinitely fast, which allows
    it to shrink.
    """
    if rate_in == 0.0:
        return math.inf
    threshold_s = policy.observed_tpr_lag_threshold // 1000
    catching_up = (lag or 0.0) >= threshold_s * rate_in
    if catching_up and back_pressured_ms_per_s is not None and back_pressured_ms_per_s < 1000.0:
        return rate_in / (1.0 - back_pressured_ms_per_s / 1000.0)
    return average(earlier, policy.observed_tpr_min_observations)


def rounded_sample(sample: VertexSample) -> VertexSample:
    """Return the sample with every value rounded as samples are kept."""
    return VertexSample(*[value if value is None else rounded(value) for value in astuple(sample)])

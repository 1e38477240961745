"""The deciding part: pure functions over the values of ``autoscaler.model``.

Read one vertex's way in this order: ``window`` (which samples count), ``estimators``, ``evaluate`` (what it
does and should do), ``sizing`` (its parallelism), ``gates`` (whether the job is rescaled), ``decide``.
"""

from __future__ import annotations

from autoscaler.core.decide import decide
from autoscaler.core.observed import observed_true_processing_rate, rounded_sample
from autoscaler.core.protection import doubts
from autoscaler.core.rounding import rounded
from autoscaler.core.window import carried

__all__ = ["carried", "decide", "doubts", "observed_true_processing_rate", "rounded", "rounded_sample"]

"""Which samples a decision may look at (docs/ALGORITHM.md, 3)."""

from __future__ import annotations

from dataclasses import dataclass

from autoscaler.model import Millis, Policy, Sample, Window


@dataclass(frozen=True, slots=True, kw_only=True)
class MetricWindow:
    """The samples that count, and when there are enough; ``full_at`` is unknown until one is stable."""

    samples: tuple[Sample, ...]
    full_at: Millis | None
    is_full: bool


def metric_window(window: Window, policy: Policy, now: Millis) -> MetricWindow:
    """Return the samples of the present run of the job, trimmed to the metrics window once that is full.

    It is full when ``now >= first stable sample + metrics window``, where the first stable sample is the
    first one at or after ``running_since + stabilization interval`` and before now. Until then every sample
    is kept, those from before stabilization too. Trimming keeps a sample exactly as old as the window.
    """
    samples = samples_of_this_run(window)
    stable_at = window.running_since + policy.stabilization_interval
    first_stable = next((sample.at for sample in samples if stable_at <= sample.at < now), None)
    if first_stable is None:
        return MetricWindow(samples=samples, full_at=None, is_full=False)
    full_at = first_stable + policy.metrics_window
    if now < full_at:
        return MetricWindow(samples=samples, full_at=full_at, is_full=False)
    oldest = now - policy.metrics_window
    kept = tuple([sample for sample in samples if sample.at >= oldest])
    return MetricWindow(samples=kept, full_at=full_at, is_full=True)


def carried(window: Window, policy: Policy, oldest: Millis) -> tuple[Sample, ...]:
    """Return what the next decision is to be given of the samples of one that counted those from ``oldest`` on.

    With extras that is also the sample of the pass before, of the same run. Passes begin some milliseconds early or
    late, so that now and then the second oldest sample is younger than the window when the oldest is already too old
    for it: the window would not be full, although it has been for long.
    """
    samples = window.samples
    first = next(index for index, sample in enumerate(samples) if sample.at >= oldest)
    earliest = max(window.running_since, samples[first].at - 2 * policy.decision_interval + 1)
    if policy.extras and first > 0 and samples[first - 1].at >= earliest:
        first -= 1
    return samples[first:]


def samples_of_this_run(window: Window) -> tuple[Sample, ...]:
    """Return all samples, or only the newest if the job was restarted after the oldest was taken."""
    if window.samples and window.running_since > window.samples[0].at:
        return window.samples[-1:]
    return window.samples

"""From the samples of a window to what each vertex does, should do and could do (docs/ALGORITHM.md, 5).

Every number of an ``Evaluation`` is rounded the moment it is known, and only the rounded number is used
from there on, downstream too: what is reported is what was computed with. Rates and averages of samples are
not rounded.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from msgspec import Struct
from msgspec.structs import astuple

from autoscaler.core.errors import UndecidableError
from autoscaler.core.estimators import average, rate
from autoscaler.core.graph import inputs_of
from autoscaler.core.rounding import known, quotient, rounded, whole
from autoscaler.core.vertex_rules import policy_of
from autoscaler.model import (
    BusyTimeAggregator,
    Evaluation,
    Millis,
    Policy,
    Sample,
    Vertex,
    VertexId,
    VertexSample,
    Window,
)

_NOTHING = VertexSample()
# A subtask that always has work to do still waits now and then, for a barrier or a buffer.
FULL_LOAD = 0.95


class Measured(Struct, frozen=True, gc=False):
    """One vertex's samples as one number for each thing they tell; rates are in records per second.

    ``busy_ms_per_s`` is how many milliseconds of each second a subtask works, and ``processed`` what it reads
    in that time. ``lag`` is that of the newest sample, in records.
    """

    vertex: Vertex
    inputs: Sequence[VertexId]
    records_in: float | None
    records_out: float | None
    processed: float | None
    busy_ms_per_s: float | None
    observed_tpr: float | None
    lag: float | None
    lag_growth: float | None


class Thresholds(NamedTuple):
    """The utilizations between which a vertex is left alone."""

    upper: float
    lower: float


def evaluate(window: Window, policy: Policy, restart_s: int) -> Mapping[VertexId, Evaluation]:
    """Return every vertex evaluated; ``restart_s`` is how long a rescale is expected to take.

    Raises UndecidableError if a source's rate is not known; with extras, if that of no running source is.
    """
    vertices = window.topology.vertices
    times = [sample.at for sample in window.samples]
    measured = {vertex.id: measure(vertex, times, window.samples, policy) for vertex in vertices}
    rates_must_be_known([own for own in measured.values() if not own.inputs], policy)
    backlog = any(is_behind(each, policy) for each in measured.values())
    job_thresholds = thresholds_for(policy, backlog=backlog)
    outputs = Counter(each for own in measured.values() for each in own.inputs)
    evaluations: dict[VertexId, Evaluation] = {}
    for vertex in vertices:
        own = measured[vertex.id]
        if own.inputs:
            shares = {
                each: edge_ratio(measured[each], own, measured, outputs)
                for each in own.inputs
                if not (policy.extras and hands_on_nothing(measured[each]))
            }
            target_rate, catch_up_rate = demand_of_inputs(shares, evaluations)
        else:
            target_rate, catch_up_rate = source_demand(own, policy)
        own_policy = policy_of(vertex, policy)
        thresholds = job_thresholds if own_policy is policy else thresholds_for(own_policy, backlog=backlog)
        evaluations[vertex.id] = Evaluation(
            tpr=_rounded(true_processing_rate(own, policy)),
            target_rate=target_rate,
            catch_up_rate=catch_up_rate,
            load=_rounded(None if own.busy_ms_per_s is None else own.busy_ms_per_s / 1000.0),
            scale_up_threshold=needed_capacity(target_rate, catch_up_rate, thresholds.upper, policy),
            scale_down_threshold=needed_capacity(target_rate, catch_up_rate, thresholds.lower, policy, restart_s),
            lag=None if own.inputs else own.lag,
        )
    return evaluations


# ------------------------------------------------------------------ what was measured


def measure(vertex: Vertex, times: Sequence[Millis], samples: Sequence[Sample], policy: Policy) -> Measured:
    """Return what one vertex reported over the samples; where it is missing it has no values.

    Busy time and the rate that goes with it come from counters for the aggregator AVG, else preferably from
    gauges. With extras a busy counter that fell counts as idle.
    """
    own = [sample.vertices.get(vertex.id, _NOTHING) for sample in samples]
    load, accumulated_busy_ms, records_in, records_out, records_in_per_s, lag, observed_tpr, _ = zip(
        *map(astuple, own), strict=True
    )
    read = rate(times, records_in)
    if policy.busy_time_aggregator is BusyTimeAggregator.AVG:
        processed, busy_ms_per_s = read, busy_time_by_counter(rate(times, accumulated_busy_ms), vertex, policy)
    else:
        gauge, mean_load = average(records_in_per_s), average(load)
        processed = read if gauge is None or math.isinf(gauge) else gauge
        busy_ms_per_s = None if mean_load is None else mean_load * 1000.0
    return Measured(
        vertex=vertex,
        inputs=inputs_of(vertex),
        records_in=read,
        records_out=rate(times, records_out),
        processed=processed,
        busy_ms_per_s=busy_ms_per_s,
        observed_tpr=average(observed_tpr, policy.observed_tpr_min_observations),
        lag=lag[-1],
        lag_growth=rate(times, lag) if vertex.is_source else None,
    )


def busy_time_by_counter(all_subtasks: float | None, vertex: Vertex, policy: Policy) -> float | None:
    """Return the mean over subtasks of what their busy time grows by each second, in milliseconds."""
    each = None if all_subtasks is None else known(quotient(all_subtasks, vertex.parallelism))
    return max(0.0, each) if policy.extras and each is not None else each


# ------------------------------------------------------------------ what a vertex should do


def is_behind(source: Measured, policy: Policy) -> bool:
    """Is this a source with a backlog: ``lag / records_in per s`` above the threshold in whole seconds?

    No lag at rate 0 and an unknown rate are none. A lag that nobody reads (rate 0) is one however small; with extras
    only above as many records as the threshold has seconds, as an idle topic may show a few for ever.
    """
    if source.inputs or not source.lag or source.records_in is None:
        return False
    reads = 1.0 if policy.extras and source.records_in == 0.0 else source.records_in
    return quotient(source.lag, reads) > policy.backlog_lag_threshold // 1000


def rates_must_be_known(sources: Sequence[Measured], policy: Policy) -> None:
    """Raise UndecidableError where nothing can be said for want of a rate.

    In the reference one source is enough. Beyond it, what it feeds is left alone and the rest of the job is not.
    """
    unknown = [source for source in sources if arriving(source, policy) is None]
    if unknown and not (policy.extras and len(unknown) < sum(not source.vertex.finished for source in sources)):
        raise UndecidableError(f"no rate of records or lag is known for the source {unknown[0].vertex.name}")


def hands_on_nothing(own: Measured) -> bool:
    """Is this a vertex that counts nothing it reads, and that nothing came from all the while? It asks for nothing of
    what it feeds."""
    return own.records_in is None and own.records_out == 0.0


def arriving(source: Measured, policy: Policy) -> float | None:
    """Return what arrives at a source whether it is read or not, in records per second, ``None`` if that is not known.

    ``records_in per s + lag growth per s``. A lag that was never known, because the connector does not report it, does
    not grow (extras).
    """
    lag_growth = 0.0 if source.lag_growth is None and policy.extras else source.lag_growth
    return None if source.records_in is None or lag_growth is None else known(source.records_in + lag_growth)


def source_demand(source: Measured, policy: Policy) -> tuple[float | None, float | None]:
    """Return a source's target rate and catch-up rate, in records per second; absent if its rate is not known.

    Target: what arrives, at least 0. Catch-up: ``lag / catch-up duration in whole seconds``, 0 if that is switched
    off. A lag unknown now counts as 0.
    """
    rate_in = arriving(source, policy)
    if rate_in is None:
        return None, None
    duration_s = policy.catch_up_duration // 1000
    lag = source.lag or 0.0
    return rounded(max(0.0, rate_in)), rounded(lag / duration_s if duration_s else 0.0)


def demand_of_inputs(
    shares: Mapping[VertexId, float], evaluations: Mapping[VertexId, Evaluation]
) -> tuple[float | None, float | None]:
    """Return the target rate and the catch-up rate of what others feed: over its inputs the sum of theirs times the
    ``shares`` of its edges, absent if one of theirs is."""
    target_rate = catch_up_rate = 0.0
    for each, share in shares.items():
        evaluation = evaluations[each]
        target_rate += math.nan if evaluation.target_rate is None else evaluation.target_rate * share
        catch_up_rate += math.nan if evaluation.catch_up_rate is None else evaluation.catch_up_rate * share
    return _rounded(known(target_rate)), _rounded(known(catch_up_rate))


def edge_ratio(
    source: Measured,
    target: Measured,
    measured: Mapping[VertexId, Measured],
    outputs: Mapping[VertexId, int],
) -> float:
    """Return the records on an edge for each record its source reads; 0 if either rate is not > 0."""
    flowing = edge_rate(source, target, measured, outputs)
    if flowing is None or source.records_in is None or not (flowing > 0.0 and source.records_in > 0.0):
        return 0.0
    return flowing / source.records_in


def edge_rate(
    source: Measured,
    target: Measured,
    measured: Mapping[VertexId, Measured],
    outputs: Mapping[VertexId, int],
) -> float | None:
    """Return the records per second on one edge, which Flink does not measure, from what its ends report.

    1. An only input sends all its target reads. 2. Where each other input feeds nothing else, what those
    send is taken off what the target reads. 3. Otherwise the edge carries all its source sends. ``outputs``
    counts the vertices each vertex feeds.
    """
    if len(target.inputs) == 1:
        return target.records_in
    others = [each for each in target.inputs if each != source.vertex.id]
    if all(outputs[each] == 1 for each in others):
        sent_by_others = 0.0
        for each in others:
            sent = measured[each].records_out
            if sent is None:
                return source.records_out
            sent_by_others += sent
        return None if target.records_in is None else target.records_in - sent_by_others
    return source.records_out


# ------------------------------------------------------------------ what a vertex does and could do


def true_processing_rate(own: Measured, policy: Policy) -> float | None:
    """Return what the vertex would process if it were busy all the time, in records per second.

    The rate per busy time, unless a source was observed at its limit: then that observation replaces a rate
    by busy time that is unknown, infinite, or above ``observed * (1 + switch threshold)``.
    """
    by_busy_time, observed = busy_true_processing_rate(own), own.observed_tpr
    if observed is None:
        return by_busy_time
    if by_busy_time is None or math.isinf(by_busy_time):
        return observed
    return observed if by_busy_time > observed * (1.0 + policy.observed_tpr_switch_threshold) else by_busy_time


def busy_true_processing_rate(own: Measured) -> float | None:
    """Return ``records per s / share of time busy``, the true processing rate of DS2 and Apache Flink.

    Nothing processed is infinitely fast, whatever the busy time: the vertex may shrink.
    """
    if own.processed == 0.0:
        return math.inf
    if own.processed is None or own.busy_ms_per_s is None:
        return None
    return known(quotient(own.processed, own.busy_ms_per_s / 1000.0))


# ------------------------------------------------------------------ what it takes


def upper_utilization(policy: Policy) -> float:
    """Return the utilization above which a vertex is too busy, as configured; it may exceed 1."""
    if policy.utilization_max is not None:
        return policy.utilization_max
    return policy.utilization_target + policy.utilization_boundary


def is_at_its_limit(load: float | None, policy: Policy) -> bool:
    """Is a vertex as busy as it may be? One whose upper utilization is 1 is so from ``FULL_LOAD`` on."""
    return load is not None and load >= min(FULL_LOAD, upper_utilization(policy))


def thresholds_for(policy: Policy, *, backlog: bool) -> Thresholds:
    """Return the utilizations that bound peace; while a backlog is worked off none is too high or low."""
    if backlog:
        return Thresholds(1.0, 0.0)
    lower = policy.utilization_min
    if lower is None:
        lower = policy.utilization_target - policy.utilization_boundary
    return Thresholds(upper_utilization(policy), lower)


def needed_capacity(
    target_rate: float | None,
    catch_up_rate: float | None,
    utilization: float,
    policy: Policy,
    restart_s: int | None = None,
) -> float | None:
    """Return the true processing rate it takes to work at ``utilization``, in whole records per second.

    ``catch_up + target * restart_s / catch_up_duration_s + target / utilization``: the backlog of now, the
    backlog a restart leaves behind (without ``restart_s`` none), and what arrives. Utilization is cut to
    [0, 1]; none at all takes infinitely much. Whole, so that nothing is left to round to 3 decimals.
    """
    if target_rate is None or catch_up_rate is None:
        return None
    share = min(1.0, max(0.0, utilization))
    if share == 0.0:
        return math.inf
    duration_s = policy.catch_up_duration // 1000
    restart_rate = target_rate * restart_s / duration_s if restart_s is not None and duration_s else 0.0
    capacity = known(catch_up_rate + restart_rate + target_rate / share)
    return None if capacity is None else whole(capacity)


def _rounded(value: float | None) -> float | None:
    return None if value is None else rounded(value)

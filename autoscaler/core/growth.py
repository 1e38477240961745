"""What keeps a vertex from growing where growth would not help, or rests on doubt (docs/ALGORITHM.md, 11); extras."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from typing import NamedTuple

from autoscaler.core.alignment import align, is_alignable
from autoscaler.core.estimators import rate
from autoscaler.core.evaluate import is_at_its_limit, is_behind, measure
from autoscaler.core.facts import Plan
from autoscaler.core.fare import grows
from autoscaler.core.graph import has_hash_input, inputs_of, outputs_by_vertex
from autoscaler.core.history import was_ineffective
from autoscaler.core.sizing import parallelism_bounds
from autoscaler.core.throttle import subtasks_for, throttled_rates
from autoscaler.core.vertex_rules import policy_of
from autoscaler.model import BusyTimeAggregator, Limit, Scaling, Vertex, VertexId

# A vertex whose busiest subtask is at its limit while they are, in the mean, less busy than this share of it.
SKEWED = 0.5


class Ceiling(NamedTuple):
    """The most subtasks a vertex may be grown to, and why."""

    parallelism: int
    limit: Limit


def growth_ceilings(plan: Plan) -> Mapping[VertexId, Ceiling]:
    """Return the vertices whose growth is limited, each by the first of these that does.

    Doubtful numbers are followed upwards only where lag says so too. A vertex at its limit that did not gain by its
    last growth is a bottleneck that more subtasks do not mend: it is named, and nothing that feeds it is grown for a
    rate it will not take. A source cannot use more subtasks than partitions, nor can what it alone feeds. No vertex is
    grown for a rate that cannot come, as another that holds it up has all the subtasks it can have.
    """
    vertices = plan.facts.window.topology.vertices
    ceilings: dict[VertexId, Ceiling] = {}
    _doubtful(plan, ceilings)
    bottlenecks = {vertex.id: limit for vertex in vertices if (limit := bottleneck(vertex, plan)) is not None}
    feeding = _upstream(vertices, bottlenecks)
    spent = _out_of_partitions(plan)
    for vertex in vertices:
        if vertex.id in bottlenecks:
            ceilings.setdefault(vertex.id, Ceiling(vertex.parallelism, bottlenecks[vertex.id]))
        elif vertex.id in feeding or vertex.id in spent:
            ceilings.setdefault(vertex.id, Ceiling(vertex.parallelism, Limit.BOTTLENECK))
        elif vertex.source_partitions:
            most = max(vertex.parallelism, vertex.source_partitions)
            ceilings.setdefault(vertex.id, Ceiling(most, Limit.PARTITION_LIMITED))
    _throttled(plan, bottlenecks, ceilings)
    return ceilings


def _throttled(plan: Plan, bottlenecks: Collection[VertexId], ceilings: dict[VertexId, Ceiling]) -> None:
    """Limit vertices to the subtasks that what can reach them takes, where their data spreads evenly."""
    rates = throttled_rates(plan, bottlenecks)
    for vertex in plan.facts.window.topology.vertices:
        subtasks = subtasks_for(rates[vertex.id], vertex, plan) if vertex.id in rates else math.inf
        policy = policy_of(vertex, plan.facts.policy)
        lower, upper = parallelism_bounds(vertex, policy)
        if subtasks >= upper:
            continue
        most = max(vertex.parallelism, math.ceil(subtasks))
        if most > vertex.parallelism and is_alignable(vertex):
            most = align(vertex, most, policy.alignment, lower, upper).parallelism
        if vertex.id not in ceilings or most < ceilings[vertex.id].parallelism:
            ceilings[vertex.id] = Ceiling(most, Limit.BOTTLENECK)


def bottleneck(vertex: Vertex, plan: Plan) -> Limit | None:
    """Return what more subtasks of a vertex would not mend: its last growth did not help, and it is at its limit.

    Of a vertex that feeds others two growths in a row must not have helped. It may call something outside of Flink, or
    its records may have become dearer just as it grew, which one growth alone does not tell apart.
    """
    scalings, evaluation = plan.facts.scalings.get(vertex.id, ()), plan.evaluated.vertices[vertex.id]
    if not scalings or evaluation.tpr is None or scalings[-1].tpr is None or scalings[-1].expected_rate is None:
        return None
    threshold = plan.facts.policy.effectiveness_threshold
    if not was_ineffective(scalings[-1], vertex.parallelism, evaluation.tpr, threshold):
        return None
    if not _is_at_its_limit(vertex, plan):
        return None
    if _is_skewed(vertex, plan):
        return Limit.HOT_KEY
    if not outputs_by_vertex(plan.facts.window.topology)[vertex.id]:
        return Limit.SINK_LIMITED
    return Limit.INEFFECTIVE if _grew_in_vain_before(scalings, threshold) else None


def _grew_in_vain_before(scalings: Sequence[Scaling], threshold: float) -> bool:
    """Did the scaling from which the last went on bring nothing either? Others between them may have been undone."""
    last = scalings[-1]
    before = next((each for each in reversed(scalings[:-1]) if each.to_parallelism == last.from_parallelism), None)
    if before is None or before.tpr is None or before.expected_rate is None:
        return False
    return was_ineffective(before, last.from_parallelism, last.tpr, threshold)


def _is_at_its_limit(vertex: Vertex, plan: Plan) -> bool:
    return is_at_its_limit(plan.evaluated.vertices[vertex.id].load, policy_of(vertex, plan.facts.policy))


def _is_skewed(vertex: Vertex, plan: Plan) -> bool:
    """Is one subtask of a keyed vertex busy while the others are not? Known where the busiest one is measured."""
    load = plan.evaluated.vertices[vertex.id].load
    if plan.facts.policy.busy_time_aggregator is not BusyTimeAggregator.MAX or not has_hash_input(vertex) or not load:
        return False
    samples = plan.facts.window.samples
    own = [sample.vertices.get(vertex.id) for sample in samples]
    busy_ms = rate([sample.at for sample in samples], [None if o is None else o.accumulated_busy_ms for o in own])
    if busy_ms is None or vertex.parallelism < 2:
        return False
    return busy_ms / (1000.0 * vertex.parallelism) < SKEWED * load


def _doubtful(plan: Plan, ceilings: dict[VertexId, Ceiling]) -> None:
    """Limit doubtful vertices to what they have, unless the lag of a source before them grows or is large."""
    window, policy = plan.facts.window, plan.facts.policy
    if not plan.doubts:
        return
    times = [sample.at for sample in window.samples]
    lagging: set[VertexId] = set()
    for vertex in window.topology.vertices:
        lags = vertex.is_source and (
            grows(window.samples, vertex) or is_behind(measure(vertex, times, window.samples, policy), policy)
        )
        if lags or any(each in lagging for each in inputs_of(vertex)):
            lagging.add(vertex.id)
        elif vertex.id in plan.doubts:
            ceilings[vertex.id] = Ceiling(vertex.parallelism, Limit.DOUBTFUL)


def _upstream(vertices: tuple[Vertex, ...], of: Mapping[VertexId, Limit]) -> frozenset[VertexId]:
    """Return all that feeds some vertices, directly or not."""
    reached = set(of)
    for vertex in reversed(vertices):
        if vertex.id in reached:
            reached.update(inputs_of(vertex))
    return frozenset(reached - set(of))


def _out_of_partitions(plan: Plan) -> frozenset[VertexId]:
    """Return the vertices that only sources feed which are at their limit with a subtask for each partition."""
    spent: set[VertexId] = set()
    sources: set[VertexId] = set()
    for vertex in plan.facts.window.topology.vertices:
        if vertex.is_source:
            sources.add(vertex.id)
            full = vertex.source_partitions is not None and vertex.parallelism >= vertex.source_partitions
            if full and _is_at_its_limit(vertex, plan):
                spent.add(vertex.id)
        elif all(each in spent for each in inputs_of(vertex)):
            spent.add(vertex.id)
    return frozenset(spent - sources)

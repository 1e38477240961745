"""What can flow where a vertex cannot be given enough subtasks (docs/ALGORITHM.md, 11); part of the extras.

A source with a subtask for each partition, or a vertex at its largest parallelism, lets no more through than it does,
whatever waits before it. Back-pressure holds every source that feeds it to that share of what it would send, and
so all that these sources feed. Nothing is worth growing for a rate that cannot come.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Collection, Mapping

from autoscaler.core.evaluate import edge_ratio, measure, upper_utilization
from autoscaler.core.facts import Plan
from autoscaler.core.graph import inputs_of
from autoscaler.core.rounding import quotient
from autoscaler.core.sizing import parallelism_bounds
from autoscaler.core.vertex_rules import policy_of, why_untouchable
from autoscaler.model import Vertex, VertexId

# Records per second.
Rates = Mapping[VertexId, float]


def throttled_rates(plan: Plan, bottlenecks: Collection[VertexId]) -> Rates:
    """Return what can reach each vertex that is held below what is asked of it; empty where nothing is held.

    ``bottlenecks`` are vertices that more subtasks would not make faster.
    The tightest limit comes first: it sets the share of all sources that feed it. What they send from then on counts
    as it is where the next limit is looked for.
    """
    limits = _limits(plan, bottlenecks)
    if not limits:
        return {}
    flows = _flows(plan)
    if not all(math.isfinite(rate) for flow in flows.values() for rate in flow.values()):
        return {}  # of endless rates no share can be told
    shares: dict[VertexId, float] = {}
    while (tightest := _tightest(limits, flows, shares)) is not None:
        share, held = tightest
        shares |= {source: share for source, flow in flows.items() if source not in shares and flow[held] > 0}
    return {
        vertex.id: sum(flow[vertex.id] * shares.get(source, 1.0) for source, flow in flows.items())
        for vertex in plan.facts.window.topology.vertices
        if any(flows[source][vertex.id] > 0 for source in shares)
    }


def subtasks_for(rate: float, vertex: Vertex, plan: Plan) -> float:
    """Return how many subtasks a rate takes: those there are if they carry it within the upper utilization, else what
    it takes at the target utilization; infinitely many where that is not known."""
    tpr, policy = plan.evaluated.vertices[vertex.id].tpr or 0.0, policy_of(vertex, plan.facts.policy)
    if rate <= tpr * min(1.0, upper_utilization(policy)):
        return vertex.parallelism
    each = quotient(tpr, vertex.parallelism) * policy.utilization_target
    return quotient(rate, each) if each > 0 else math.inf


def _limits(plan: Plan, bottlenecks: Collection[VertexId]) -> Rates:
    """Return what the vertices can do that have all the subtasks they can have or use, and are asked for more."""
    return {
        vertex.id: rate
        for vertex in plan.facts.window.topology.vertices
        if (rate := _most(vertex, plan, bottlenecks)) is not None and rate < _asked(vertex, plan)
    }


def _asked(vertex: Vertex, plan: Plan) -> float:
    """Return what is asked of a vertex: what arrives, and what waits. Nothing where that is not known."""
    evaluation = plan.evaluated.vertices[vertex.id]
    return (evaluation.target_rate or 0.0) + (evaluation.catch_up_rate or 0.0)


def _most(vertex: Vertex, plan: Plan, bottlenecks: Collection[VertexId]) -> float | None:
    """Return what a vertex can do that cannot be grown, as far as its numbers tell: not in doubt, nor while it has
    little to do, and never by what it would do with subtasks it has not got yet."""
    policy, evaluation = policy_of(vertex, plan.facts.policy), plan.evaluated.vertices[vertex.id]
    if vertex.id in plan.doubts or evaluation.load is None or evaluation.load < policy.utilization_target:
        return None
    _, upper = parallelism_bounds(vertex, policy)
    grows = vertex.parallelism < min(upper, vertex.source_partitions or upper)
    grows = grows and vertex.id not in bottlenecks
    return None if grows and why_untouchable(vertex, plan) is None else evaluation.tpr


def _flows(plan: Plan) -> Mapping[VertexId, Rates]:
    """Return for each source what of its records reaches every vertex, were nothing held."""
    window, policy = plan.facts.window, plan.facts.policy
    vertices, times = window.topology.vertices, [sample.at for sample in window.samples]
    measured = {vertex.id: measure(vertex, times, window.samples, policy) for vertex in vertices}
    outputs = Counter(each for own in measured.values() for each in own.inputs)
    ratios = {
        (each, own.vertex.id): edge_ratio(measured[each], own, measured, outputs)
        for own in measured.values()
        for each in own.inputs
    }
    flows: dict[VertexId, dict[VertexId, float]] = {}
    for source in vertices:
        if source.is_source:
            flow = flows[source.id] = {}
            for vertex in vertices:
                sent = sum(flow[each] * ratios[each, vertex.id] for each in inputs_of(vertex))
                flow[vertex.id] = _asked(vertex, plan) if vertex is source else sent
    return flows


def _tightest(limits: Rates, flows: Mapping[VertexId, Rates], shares: Rates) -> tuple[float, VertexId] | None:
    """Return the least share that a limit leaves to sources not held yet, and where."""
    found: list[tuple[float, VertexId]] = []
    for vertex, most in limits.items():
        held = sum(flows[source][vertex] * share for source, share in shares.items())
        free = sum(flow[vertex] for source, flow in flows.items() if source not in shares)
        if free > 0 and held + free > most:
            found.append((max(0.0, most - held) / free, vertex))
    return min(found, default=None)

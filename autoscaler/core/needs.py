"""What a vertex needs: as a factor of what it has (docs/ALGORITHM.md, 6.2), and the most of late (11, extras)."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from autoscaler.core.evaluate import needed_capacity
from autoscaler.core.facts import Plan
from autoscaler.core.rounding import quotient
from autoscaler.core.scalability import scalability
from autoscaler.core.vertex_rules import policy_of, why_untouchable
from autoscaler.model import Need, Policy, Vertex, VertexId

# A vertex is too large only if it has a tenth more than would be ample: rates over a window differ by as much from one
# window to the next, and a rescale must not come of that.
NOISE = 1.1
SPANS = 12  # a period is remembered in so many parts, so that what is stored does not change with each decision


def factor_of(vertex: Vertex, plan: Plan) -> float | None:
    """Return how many times its present throughput a vertex needs, ``None`` without a rate to compare with."""
    policy, evaluation = policy_of(vertex, plan.facts.policy), plan.evaluated.vertices[vertex.id]
    capacity = needed_capacity(
        evaluation.target_rate,
        evaluation.catch_up_rate,
        policy.utilization_target,
        policy,
        plan.facts.restart_s,
    )
    if evaluation.tpr is None or capacity is None:
        return None
    factor = quotient(capacity, evaluation.tpr)
    if policy.observed_scalability:
        factor = quotient(factor, scalability(plan.facts.scalings.get(vertex.id, ()), policy))
    return factor


def needs_of_late(plan: Plan) -> Mapping[VertexId, tuple[Need, ...]]:
    """Return what each vertex needed within ``scale-up.grace-period``, now included.

    Had a vertex run with less when it needed more, it would have been grown, and the grace period would keep it from
    being shrunk now. That it happened to run with enough makes no difference: between two peaks it is kept.
    """
    policy, found = plan.facts.policy, {}
    for vertex in plan.facts.window.topology.vertices:
        needs = plan.facts.history.needs.get(vertex.id, ())
        factor = None if why_untouchable(vertex, plan) else factor_of(vertex, plan)
        if factor is not None:
            needs = with_newest(needs, _need(vertex, factor, plan), policy)
        if needs:
            found[vertex.id] = needs
    return found


def with_newest(needs: Sequence[Need], newest: Need, policy: Policy) -> tuple[Need, ...]:
    """Return the needs within the period, the largest of each of its parts; one as old as the period is forgotten."""
    period = policy.scale_up_grace_period
    kept = tuple([each for each in needs if newest.at - each.at < period])
    if period <= 0 or not kept or newest.at - kept[-1].at >= period // SPANS:
        return (*kept, newest) if period > 0 else ()
    last = largest((kept[-1], newest))
    return (*kept[:-1], last)


def largest(needs: Sequence[Need]) -> Need:
    """Return at least one need as the one that covers them all, since the first."""
    return Need(
        at=needs[0].at,
        parallelism=max(each.parallelism for each in needs),
        ample=max(each.ample for each in needs),
    )


def _need(vertex: Vertex, factor: float, plan: Plan) -> Need:
    evaluation = plan.evaluated.vertices[vertex.id]
    threshold = evaluation.scale_down_threshold
    ample = math.inf if threshold is None or evaluation.tpr is None else quotient(threshold, evaluation.tpr)
    return Need(
        at=plan.facts.now,
        parallelism=math.ceil(_subtasks(vertex, factor)),
        ample=math.floor(_subtasks(vertex, NOISE * ample)),
    )


def _subtasks(vertex: Vertex, factor: float) -> float:
    """Return ``factor`` times a vertex's subtasks, at least one and at most what it can have; 1 for 0/0."""
    subtasks = factor * vertex.parallelism
    return 1.0 if math.isnan(subtasks) else max(1.0, min(subtasks, vertex.max_parallelism))

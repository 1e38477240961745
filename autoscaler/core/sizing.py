"""The parallelism of one vertex (docs/ALGORITHM.md, 6)."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import NamedTuple

from msgspec.structs import replace

from autoscaler.core.alignment import align, is_alignable
from autoscaler.core.delayed import due, remembered
from autoscaler.core.facts import Plan
from autoscaler.core.history import was_ineffective
from autoscaler.core.needs import factor_of, largest
from autoscaler.core.rounding import known, quotient, rounded
from autoscaler.core.vertex_rules import leaders, policy_of, why_untouchable
from autoscaler.model import (
    Alignment,
    DelayedRequest,
    DelayedScaleDown,
    Evaluation,
    Event,
    EventKind,
    Limit,
    Policy,
    Sizing,
    Vertex,
    VertexId,
)

LARGEST_INT = 2**31 - 1

# The least and the most subtasks a vertex may get.
Bounds = tuple[int, int]


class Sized(NamedTuple):
    """A vertex's sizing, its held-back scale-down after it, and what to tell the user."""

    sizing: Sizing
    delayed: DelayedScaleDown | None
    events: tuple[Event, ...] = ()


class Wish(NamedTuple):
    """A parallelism on its way, with what has changed it so far."""

    parallelism: int
    limits: tuple[Limit, ...] = ()

    def moved(self, parallelism: int, limit: Limit) -> Wish:
        """Return it moved elsewhere by ``limit``; the same if that is where it was."""
        return self if parallelism == self.parallelism else Wish(parallelism, (*self.limits, limit))


def size_all(plan: Plan) -> Mapping[VertexId, Sized]:
    """Return every vertex sized: by the model, or after another where rules keep it equal to that."""
    vertices = {vertex.id: vertex for vertex in plan.facts.window.topology.vertices}
    led_by = leaders(vertices, plan.facts.policy)
    sized = {vertex_id: size(vertex, plan) for vertex_id, vertex in vertices.items() if vertex_id not in led_by}
    for follower, leader in led_by.items():
        sized[follower] = follow(vertices[follower], sized[leader].sizing, plan)
    return {vertex_id: sized[vertex_id] for vertex_id in vertices}


def size(vertex: Vertex, plan: Plan) -> Sized:
    """Return the parallelism the model gives a vertex, and how it came to it."""
    policy, current = policy_of(vertex, plan.facts.policy), vertex.parallelism
    evaluation = plan.evaluated.vertices[vertex.id]
    delayed = plan.delayed.get(vertex.id)

    # 0. Some vertices are evaluated, but never changed.
    untouchable = why_untouchable(vertex, plan)
    if untouchable is not None:
        return Sized(Sizing(current=current, parallelism=current, limits=(untouchable,)), delayed)
    # 1. and 2. How many times the present throughput is needed; without a rate there is nothing to compare with.
    factor = factor_of(vertex, plan)
    if factor is None:
        return Sized(Sizing(current=current, parallelism=current, limits=(Limit.NO_RATE,)), delayed)
    # 3. and 4. As many times the subtasks, but no less than was needed of late, within the factors and the bounds.
    wish = not_below_peak(wanted(factor, current, policy), vertex, plan)
    bounds = parallelism_bounds(vertex, policy)
    bounded = within_bounds(wish, bounds)
    # 5. Where partitions or key groups spread evenly.
    aligned, events = aligned_to_data(bounded, vertex, policy.alignment, bounds)
    # 6. and 7. Whether that is a change, what it would bring, and whether it is worth a restart by itself.
    changes = aligned.parallelism != current
    sizing = Sizing(
        current=current,
        parallelism=aligned.parallelism,
        factor=known(factor),
        wanted=wish.parallelism,
        expected_rate=expected_rate(evaluation.tpr, current, aligned.parallelism) if changes else None,
        outside_bounds=changes and is_outside_bounds(evaluation) and not was_within_bounds(vertex, wish, plan),
        limits=aligned.limits,
    )
    if not changes:
        return Sized(sizing, None, events)
    # 8. and 9. Growing must have helped the last time; shrinking must be safe, and wait.
    if aligned.parallelism > current:
        return grown(vertex, plan, sizing, events)
    return shrunk(vertex, plan, sizing, events)


def follow(vertex: Vertex, leader: Sizing, plan: Plan) -> Sized:
    """Return a vertex at the parallelism its leader gets, within its own bounds; a follower waits for nothing.

    Its own rates do not size it, and neither the factors nor alignment apply. To be unlike its leader is not
    worth a restart by itself: the change counts as outside bounds if that of its leader does, or if its own
    rate is. With extras it is not shrunk where another vertex would not be.
    """
    current, delayed = vertex.parallelism, plan.delayed.get(vertex.id)
    untouchable = why_untouchable(vertex, plan)
    if untouchable in (Limit.EXCLUDED, Limit.FINISHED):
        return Sized(Sizing(current=current, parallelism=current, limits=(untouchable,)), delayed)
    wish = Wish(leader.parallelism, (Limit.KEPT_EQUAL,))
    bounded = within_bounds(wish, parallelism_bounds(vertex, policy_of(vertex, plan.facts.policy)))
    evaluation, changes = plan.evaluated.vertices[vertex.id], bounded.parallelism != current
    leader_is_outside = leader.outside_bounds and leader.parallelism != leader.current
    sizing = Sizing(
        current=current,
        parallelism=bounded.parallelism,
        wanted=wish.parallelism,
        expected_rate=expected_rate(evaluation.tpr, current, bounded.parallelism) if changes else None,
        outside_bounds=changes and (leader_is_outside or is_outside_bounds(evaluation)),
        limits=bounded.limits,
    )
    protection = plan.protected.get(vertex.id)
    if protection is not None and bounded.parallelism < current:
        sizing = _kept(sizing, protection)
    return Sized(under_ceiling(vertex, plan, sizing), None)


def under_ceiling(vertex: Vertex, plan: Plan, sizing: Sizing) -> Sizing:
    """Return a sizing that grows its vertex no further than would help; part of the extras."""
    most, limit = plan.ceilings.get(vertex.id, (sizing.parallelism, None))
    if limit is None or sizing.parallelism <= max(most, sizing.current):
        return sizing
    if most <= sizing.current:
        return _kept(sizing, limit)
    rate = expected_rate(plan.evaluated.vertices[vertex.id].tpr, sizing.current, most)
    return replace(sizing, parallelism=most, expected_rate=rate, limits=(*sizing.limits, limit))


def wanted(factor: float, current: int, policy: Policy) -> Wish:
    """Return ``ceil(factor * current)`` with the factor cut to what one decision may change.

    ``1 - scale-down.max-factor <= factor <= 1 + scale-up.max-factor``. A factor that is not a number (no
    rate needed, none processed) asks for nothing.
    """
    if math.isnan(factor):
        return Wish(0)
    clamped = max(1.0 - policy.scale_down_max_factor, min(1.0 + policy.scale_up_max_factor, factor))
    subtasks = max(-LARGEST_INT, min(LARGEST_INT, clamped * current))
    return Wish(math.ceil(subtasks), () if clamped == factor else (Limit.MAX_FACTOR,))


def not_below_peak(wish: Wish, vertex: Vertex, plan: Plan) -> Wish:
    """Return a wish to shrink raised to the most that was needed of late, at most to what there is; extras."""
    needs = plan.needs.get(vertex.id)
    if not needs or wish.parallelism >= vertex.parallelism:
        return wish
    return wish.moved(max(wish.parallelism, min(vertex.parallelism, largest(needs).parallelism)), Limit.NEEDED_OF_LATE)


def was_within_bounds(vertex: Vertex, wish: Wish, plan: Plan) -> bool:
    """Is a vertex that is to shrink too fast only for now, and was not for what was needed of late? Extras."""
    needs = plan.needs.get(vertex.id)
    return needs is not None and wish.parallelism < vertex.parallelism <= largest(needs).ample


def parallelism_bounds(vertex: Vertex, policy: Policy) -> Bounds:
    """Return the least and the most subtasks a vertex may get; one outside already is not forced in.

    Beyond the reference, never less than one, whatever the options say.
    """
    least = max(policy.min_parallelism, 1) if policy.extras else policy.min_parallelism
    return (
        min(vertex.parallelism, least),
        min(vertex.max_parallelism, max(vertex.parallelism, policy.max_parallelism)),
    )


def within_bounds(wish: Wish, bounds: Bounds) -> Wish:
    """Return the wish raised to the lower and then cut to the upper bound."""
    lower, upper = bounds
    raised = wish.moved(max(wish.parallelism, lower), Limit.MIN_PARALLELISM)
    return raised.moved(min(raised.parallelism, upper), Limit.MAX_PARALLELISM)


def aligned_to_data(wish: Wish, vertex: Vertex, mode: Alignment, bounds: Bounds) -> tuple[Wish, tuple[Event, ...]]:
    """Return a wish for a change moved to where the vertex's data spreads evenly, if it spreads at all."""
    if wish.parallelism == vertex.parallelism or not is_alignable(vertex):
        return wish, ()
    aligned = align(vertex, wish.parallelism, mode, *bounds)
    events = (Event(kind=EventKind.SCALING_LIMITED, vertex=vertex.id),) if aligned.limited else ()
    return wish.moved(aligned.parallelism, Limit.ALIGNMENT), events


def expected_rate(tpr: float | None, current: int, parallelism: int) -> float | None:
    """Return the true processing rate after a change, in records per second: ``tpr / current * then``."""
    if tpr is None:
        return None
    rate = known(quotient(tpr, current) * parallelism)
    return None if rate is None else rounded(rate)


def is_outside_bounds(evaluation: Evaluation) -> bool:
    """Is a vertex too slow for its load, or too fast: ``tpr`` below the one threshold or above the other?"""
    tpr, upper, lower = evaluation.tpr, evaluation.scale_up_threshold, evaluation.scale_down_threshold
    if tpr is None:
        return False
    return (upper is not None and tpr < upper) or (lower is not None and tpr > lower)


def grown(vertex: Vertex, plan: Plan, sizing: Sizing, events: tuple[Event, ...]) -> Sized:
    """Return a scale-up, unless the last one did not help and the user wants no more of it.

    A vertex that must grow has nothing to shrink for: its held-back scale-down is forgotten.
    """
    policy = plan.facts.policy
    scalings = plan.facts.scalings.get(vertex.id, ())
    tpr = plan.evaluated.vertices[vertex.id].tpr
    sizing = under_ceiling(vertex, plan, sizing)
    if not scalings or not was_ineffective(scalings[-1], vertex.parallelism, tpr, policy.effectiveness_threshold):
        return Sized(sizing, None, events)
    told = (*events, Event(kind=EventKind.INEFFECTIVE_SCALING, vertex=vertex.id))
    return Sized(_kept(sizing, Limit.INEFFECTIVE) if policy.effectiveness_detection else sizing, None, told)


def shrunk(vertex: Vertex, plan: Plan, sizing: Sizing, events: tuple[Event, ...]) -> Sized:
    """Return a scale-down, held back for the interval, and then only to the most asked for during it."""
    policy, now = plan.facts.policy, plan.facts.now
    delayed = plan.delayed.get(vertex.id)
    protection = plan.protected.get(vertex.id)
    if protection is not None:
        return Sized(_kept(sizing, protection), delayed, events)
    if policy.scale_down_interval <= 0:
        return Sized(sizing, delayed, events)
    request = DelayedRequest(at=now, parallelism=sizing.parallelism, outside_bounds=sizing.outside_bounds)
    delayed, followed = due(remembered(delayed, request, vertex.parallelism, policy), request, policy)
    if followed is None:
        return Sized(_kept(sizing, Limit.DELAYED), delayed, events)
    if followed != request:
        sizing = replace(
            sizing,
            parallelism=followed.parallelism,
            outside_bounds=followed.outside_bounds,
            limits=(*sizing.limits, Limit.DELAYED),
        )
    return Sized(sizing, delayed, events)


def _kept(sizing: Sizing, limit: Limit) -> Sizing:
    return replace(sizing, parallelism=sizing.current, limits=(*sizing.limits, limit))

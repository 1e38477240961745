"""What holds for single vertices: what an operator's rules change (docs/ALGORITHM.md, 12), and which are left alone."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from autoscaler.core.facts import Plan
from autoscaler.model import Limit, Policy, Vertex, VertexId


def policy_of(vertex: Vertex, policy: Policy) -> Policy:
    """Return what holds for one vertex: the job's policy, with what rules say of the vertex in its place.

    With a utilization of its own a vertex is left alone between limits that lie as far from it as the job's
    lie from the job's target. Worked: target 0.7, maximum 0.9, own utilization 0.5: its maximum is 0.7.
    """
    rule = policy.vertex_rules.get(vertex.id)
    if rule is None:
        return policy
    changes: dict[str, Any] = {}
    if rule.min_parallelism is not None:
        changes["min_parallelism"] = rule.min_parallelism
    if rule.max_parallelism is not None:
        changes["max_parallelism"] = rule.max_parallelism
    if rule.utilization is not None:
        moved_by = rule.utilization - policy.utilization_target
        changes["utilization_target"] = rule.utilization
        changes["utilization_max"] = _moved(policy.utilization_max, moved_by)
        changes["utilization_min"] = _moved(policy.utilization_min, moved_by)
    return replace(policy, **changes) if changes else policy


def _moved(limit: float | None, by: float) -> float | None:
    return None if limit is None else limit + by


def is_excluded(vertex: Vertex, policy: Policy) -> bool:
    """Does the user want the vertex left as it is? A rule, either way, wins over the option."""
    rule = policy.vertex_rules.get(vertex.id)
    if rule is None or rule.excluded is None:
        return vertex.id in policy.excluded_vertices
    return rule.excluded


def why_untouchable(vertex: Vertex, plan: Plan) -> Limit | None:
    """Return what takes a vertex out of scaling: the user, its end, or an unknown busy time just now."""
    if is_excluded(vertex, plan.facts.policy):
        return Limit.EXCLUDED
    if vertex.finished:
        return Limit.FINISHED
    newest = plan.facts.window.samples[-1].vertices.get(vertex.id)
    if newest is None or newest.load is None or not math.isfinite(newest.load):
        return Limit.NO_BUSY_TIME
    return None


def leaders(vertices: Mapping[VertexId, Vertex], policy: Policy) -> Mapping[VertexId, VertexId]:
    """Return the vertex each follower is kept equal to, every follower after the one it follows.

    Not among them, and so sized by itself, is a vertex whose leader the job does not have, or that stands in
    a circle or behind one.
    """
    followers: dict[VertexId, list[VertexId]] = {}
    for follower, rule in policy.vertex_rules.items():
        leader = rule.keep_equal_to
        if leader is not None and leader in vertices and follower in vertices:
            followers.setdefault(leader, []).append(follower)
    following = {follower for several in followers.values() for follower in several}
    found: dict[VertexId, VertexId] = {}
    ahead = [leader for leader in followers if leader not in following]
    for leader in ahead:  # grows by those who are followed in their turn
        for follower in followers.get(leader, ()):
            found[follower] = leader
            ahead.append(follower)
    return found

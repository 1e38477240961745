"""How many TaskManagers a change may take (docs/ALGORITHM.md, 9.5 and 11)."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from msgspec.structs import replace

from autoscaler.core.sizing import LARGEST_INT, expected_rate
from autoscaler.model import Cluster, Evaluation, Limit, Policy, Sizing, Vertex, VertexId

Group = str | None


@dataclass(frozen=True, slots=True)
class Need:
    """Slots a slot sharing group needs before and after: as many as its widest vertex has subtasks."""

    before: int
    after: int


def needs_by_group(
    vertices: Iterable[Vertex], sizings: Mapping[VertexId, Sizing], *, changed_only: bool
) -> Mapping[Group, Need]:
    """Return what each slot sharing group needs, counting all of its vertices or only the changed ones."""
    needs: dict[Group, Need] = {}
    for vertex in vertices:
        sizing = sizings[vertex.id]
        if changed_only and sizing.parallelism == sizing.current:
            continue
        need = needs.get(vertex.slot_sharing_group, Need(0, 0))
        needs[vertex.slot_sharing_group] = Need(max(need.before, sizing.current), max(need.after, sizing.parallelism))
    return needs


def exceeds_quota(
    vertices: Iterable[Vertex], sizings: Mapping[VertexId, Sizing], cluster: Cluster, policy: Policy
) -> bool:
    """Would the changed vertices take more TaskManagers than before, and more than a quota allows?

    TaskManagers are slots divided by slots per TaskManager, rounded down. An unknown CPU or memory counts
    as 0. Without any slot sharing group known there is nothing to count.
    """
    grouped = [vertex for vertex in vertices if vertex.slot_sharing_group is not None]
    needs = needs_by_group(grouped, sizings, changed_only=True).values()
    before = sum(need.before for need in needs) // cluster.slots_per_task_manager
    after = sum(need.after for need in needs) // cluster.slots_per_task_manager
    if after <= before:
        return False
    cpu = after * (cluster.task_manager_cpu or 0.0)
    memory = after * (cluster.task_manager_memory or 0)
    return (policy.quota_cpu is not None and cpu > policy.quota_cpu) or (
        policy.quota_memory is not None and memory > policy.quota_memory
    )


def slots_within_quota(cluster: Cluster, policy: Policy) -> int | None:
    """Return the slots of as many whole TaskManagers as every quota allows; ``None`` if none limits them."""
    task_managers: list[int] = []
    if policy.quota_cpu is not None and cluster.task_manager_cpu:
        task_managers.append(math.floor(min(policy.quota_cpu / cluster.task_manager_cpu, LARGEST_INT)))
    if policy.quota_memory is not None and cluster.task_manager_memory:
        task_managers.append(policy.quota_memory // cluster.task_manager_memory)
    return min(task_managers) * cluster.slots_per_task_manager if task_managers else None


def cut_to_quota(
    vertices: Iterable[Vertex],
    sizings: Mapping[VertexId, Sizing],
    evaluations: Mapping[VertexId, Evaluation],
    slots: int,
) -> Mapping[VertexId, Sizing]:
    """Return the sizings with growth cut so that all slot sharing groups fit into ``slots``.

    Groups share what is left in proportion to what they wish to grow by; vertices whose group is unknown
    count as one group, as Flink has it by default. Nothing shrinks for a quota: a job that is over it just
    does not grow.
    """
    vertices = tuple(vertices)
    needs = needs_by_group(vertices, sizings, changed_only=False)
    growth = sum(max(0, need.after - need.before) for need in needs.values())
    room = max(0, slots - sum(min(need.before, need.after) for need in needs.values()))
    if growth <= room:
        return sizings
    caps = {group: need.before + max(0, need.after - need.before) * room // growth for group, need in needs.items()}
    return {
        vertex.id: _cut(sizings[vertex.id], caps[vertex.slot_sharing_group], evaluations[vertex.id].tpr)
        for vertex in vertices
    }


def _cut(sizing: Sizing, cap: int, tpr: float | None) -> Sizing:
    allowed = max(sizing.current, min(sizing.parallelism, cap))
    if sizing.parallelism <= allowed:
        return sizing
    return replace(
        sizing,
        parallelism=allowed,
        expected_rate=None if allowed == sizing.current else expected_rate(tpr, sizing.current, allowed),
        limits=(*sizing.limits, Limit.QUOTA),
    )

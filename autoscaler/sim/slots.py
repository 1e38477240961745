"""How Flink's adaptive scheduler turns requirements into slots, and slots into parallelism. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from autoscaler.model import Bounds, VertexId

Groups = Mapping[str, Sequence[VertexId]]


def slots_needed(groups: Groups, requirements: Mapping[VertexId, Bounds]) -> int:
    """The slots of all slot sharing groups at the upper bounds."""
    return sum(max(requirements[v].upper for v in members) for members in groups.values())


def parallelism_with(
    slots: int, groups: Groups, requirements: Mapping[VertexId, Bounds], *, lowest: bool = False
) -> Mapping[VertexId, int] | None:
    """What each vertex runs at with so many slots; ``None`` if they are fewer than the lower bounds need.

    Spare slots are divided equally among the groups, those with the smallest range first. With ``lowest`` a group
    needs only its smallest lower bound, as in 1.18.
    """
    if slots >= slots_needed(groups, requirements):
        return {v: requirements[v].upper for members in groups.values() for v in members}
    least = min if lowest else max
    low = {g: least(requirements[v].lower for v in members) for g, members in groups.items()}
    high = {g: max(requirements[v].upper for v in members) for g, members in groups.items()}
    if slots < sum(low.values()):
        return None
    given = dict(low)
    spare = slots - sum(low.values())
    waiting = sorted(groups, key=lambda g: (high[g] - low[g], g))
    for place, group in enumerate(waiting):
        more = min(high[group] - low[group], spare // (len(waiting) - place))
        given[group] += more
        spare -= more
    return {v: min(requirements[v].upper, given[g]) for g, members in groups.items() for v in members}


def placement(slots: int, free: Sequence[int], *, packs: bool) -> list[int]:
    """The TaskManager, by index, of each slot that a job starts to use: filled one after the other, or spread over all
    of them. ``free`` are the slots of each that no other job uses."""
    if packs:
        return [index for index, count in enumerate(free) for _ in range(count)][:slots]
    rounds = range(max(free, default=0))
    return [index for turn in rounds for index, count in enumerate(free) if turn < count][:slots]


def used_by(groups: Groups, parallelism: Mapping[VertexId, int]) -> int:
    """The slots a job uses at a parallelism."""
    return sum(max(parallelism[v] for v in members) for members in groups.values())

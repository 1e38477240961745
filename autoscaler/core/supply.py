"""What a cluster can still give one application: how many more TaskManagers, and what limits them.

docs/ALGORITHM.md, 13. Amounts are memory in MB and virtual cores, as YARN counts them.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from autoscaler.model import Resource


@dataclass(frozen=True, slots=True, kw_only=True)
class Headroom:
    """What is left under a limit of YARN's; ``whole`` says that the limit is the cluster itself, and grows with it."""

    name: str
    left: Resource
    whole: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Ceiling:
    """The most TaskManagers an option of Flink's allows an application in all."""

    name: str
    task_managers: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Supply:
    """What one application has, and what is around it.

    ``slots`` are those of registered TaskManagers on nodes that stay, ``foreign`` those that jobs hold which are not
    planned here; ``task_managers`` are all that are registered. ``container`` is what one more TaskManager takes,
    after rounding; ``free`` what each node that takes containers has left, ``None`` if nodes are not known.
    ``in_flight`` holds one container each for what other applications were promised and have not got. ``withheld`` is
    why nothing new may be asked for, if that is so, ``unknown`` names the limits that could not be learned.
    """

    slots: int
    task_managers: int
    slots_per_task_manager: int
    foreign: int = 0
    container: Resource | None = None
    free: tuple[Resource, ...] | None = None
    largest_node: Resource | None = None
    largest_container: Resource | None = None
    counts_vcores: bool = False
    headrooms: tuple[Headroom, ...] = ()
    ceilings: tuple[Ceiling, ...] = ()
    in_flight: tuple[Resource, ...] = ()
    withheld: str = ""
    unknown: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Room:
    """How many more TaskManagers there may be, ``None`` for any number, and by what."""

    task_managers: int | None
    limit: str = ""


UNLIMITED = Room(task_managers=None)
_SHOWN = 5  # nodes named in a text


def room(supply: Supply, beyond: int | None) -> Room:
    """Return the least that any limit leaves; of equal ones the first is named.

    ``beyond`` is how many nodes of the largest node's size may be counted on although they are not there yet, ``None``
    for as many as it takes.
    """
    found = [limited for rule in RULES if (limited := rule(supply, beyond)).task_managers is not None]
    return min(found, key=lambda each: each.task_managers or 0, default=UNLIMITED)


def may_be_asked_for(supply: Supply, _beyond: int | None) -> Room:
    return Room(task_managers=0, limit=supply.withheld) if supply.withheld else UNLIMITED


def within_ceilings(supply: Supply, _beyond: int | None) -> Room:
    lowest = min(supply.ceilings, key=lambda each: each.task_managers, default=None)
    if lowest is None:
        return UNLIMITED
    left = max(0, lowest.task_managers - supply.task_managers)
    text = f"{lowest.name} allows {_task_managers(lowest.task_managers)}, {supply.task_managers} are there"
    return Room(task_managers=left, limit=text)


def within_the_largest_container(supply: Supply, _beyond: int | None) -> Room:
    container, largest = supply.container, supply.largest_container
    if container is None or largest is None or _fits(container, largest, supply.counts_vcores):
        return UNLIMITED
    text = f"a TaskManager takes {_said(container, supply)}, YARN's largest container is {_said(largest, supply)}"
    return Room(task_managers=0, limit=text)


def on_nodes(supply: Supply, beyond: int | None) -> Room:
    """Whole containers on each node by itself, less what is promised to others: what is left of two nodes is not one
    container."""
    container, free, largest = supply.container, supply.free, supply.largest_node
    if container is None or free is None:
        return UNLIMITED
    if largest is not None and not _fits(container, largest, supply.counts_vcores):
        text = f"a TaskManager takes {_said(container, supply)}, the largest node has {_said(largest, supply)}"
        return Room(task_managers=0, limit=text)
    if beyond is None:
        return UNLIMITED
    there = sum(_count(node, container, supply.counts_vcores) for node in free)
    promised = sum(_blocked(each, container, supply.counts_vcores) for each in supply.in_flight)
    added = beyond * _count(largest, container, supply.counts_vcores) if largest is not None else 0
    names = [_said(node, supply) for node in sorted(free, key=lambda node: -node.memory_mb)[:_SHOWN]]
    more = f" and {len(free) - _SHOWN} more nodes" if len(free) > _SHOWN else ""
    text = f"nodes have room for {_task_managers(max(0, there - promised) + added)} of {_said(container, supply)}"
    text += f" (free: {', '.join(names) or 'no node takes containers'}{more}"
    text += f"; {promised} promised to others" if promised else ""
    text += f"; {beyond} more nodes counted on)" if beyond else ")"
    return Room(task_managers=max(0, there - promised) + added, limit=text)


def within_headrooms(supply: Supply, beyond: int | None) -> Room:
    container = supply.container
    if container is None:
        return UNLIMITED
    rooms = []
    for headroom in supply.headrooms:
        if headroom.whole and beyond is None:
            continue
        fitting = _count(headroom.left, container, supply.counts_vcores)
        if headroom.whole and supply.largest_node is not None:
            fitting += (beyond or 0) * _count(supply.largest_node, container, supply.counts_vcores)
        text = f"{headroom.name} has {_said(headroom.left, supply)} left, "
        rooms.append(Room(task_managers=fitting, limit=f"{text}a TaskManager takes {_said(container, supply)}"))
    return min(rooms, key=lambda each: each.task_managers or 0, default=UNLIMITED)


RULES: tuple[Callable[[Supply, int | None], Room], ...] = (  # of equal limits the first is named
    may_be_asked_for,
    within_ceilings,  # Flink asks YARN for no more than these
    within_the_largest_container,  # YARN refuses a larger one for ever
    on_nodes,
    within_headrooms,  # containers over a queue's or user's limit stay pending
)


def _fits(wanted: Resource, within: Resource, vcores: bool) -> bool:
    return wanted.memory_mb <= within.memory_mb and (not vcores or wanted.vcores <= within.vcores)


def _count(within: Resource, each: Resource, vcores: bool) -> int:
    """Return how many times one amount goes into another."""
    by_memory = max(0, within.memory_mb) // max(1, each.memory_mb)
    return min(by_memory, max(0, within.vcores) // each.vcores) if vcores and each.vcores else by_memory


def _blocked(taken: Resource, each: Resource, vcores: bool) -> int:
    """Return how many of one's own containers another one can be in the way of."""
    by_memory = -(-taken.memory_mb // max(1, each.memory_mb))
    return max(by_memory, -(-taken.vcores // each.vcores)) if vcores and each.vcores else by_memory


def _said(amount: Resource, supply: Supply) -> str:
    return f"{amount.memory_mb} MB" + (f" and {amount.vcores} vcores" if supply.counts_vcores else "")


def _task_managers(count: int) -> str:
    return f"{count} TaskManager" + ("" if count == 1 else "s")

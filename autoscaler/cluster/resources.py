"""What the ResourceManager tells of room: nodes, and the limits of queues and users.

Which fields there are depends on the release, the scheduler and what the asker may see, so all are optional. Memory is
in MB throughout, as YARN counts it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from autoscaler.model import NOTHING, Resource, frozen

CAPACITY_SCHEDULER: Final = "capacityScheduler"
_TAKES_CONTAINERS: Final = "RUNNING"
_DRAINS: Final = "DECOMMISSIONING"


@dataclass(frozen=True, slots=True, kw_only=True)
class Node:
    """One NodeManager. ``total`` of a draining one is what is still in use on it."""

    host: str
    state: str
    free: Resource
    total: Resource
    labels: tuple[str, ...] = ()
    health: str = ""

    @property
    def takes_containers(self) -> bool:
        return self.state == _TAKES_CONTAINERS

    @property
    def drains(self) -> bool:
        """Whether it takes no containers and will end those it has when its time is up."""
        return self.state == _DRAINS

    @property
    def is_part(self) -> bool:
        """Whether queues count it: YARN lists nodes that have left, with their memory, for long after."""
        return self.takes_containers or self.drains


@dataclass(frozen=True, slots=True, kw_only=True)
class UserShare:
    """What one user may take of a queue, and has taken."""

    limit: Resource
    used: Resource


@dataclass(frozen=True, slots=True, kw_only=True)
class Queue:
    """One queue of the capacity scheduler.

    ``maximum`` is what it may take, ``max_share`` the same as a share of the cluster where only that is told. ``fixed``
    is the maximum where it is set as an amount: then ``maximum`` is no more than the cluster has, which may grow.
    ``counts_vcores`` is whether the scheduler counts them, ``None`` if that does not show. ``unit`` is the step to
    which a container's memory is rounded up, ``largest`` the largest container.
    """

    path: str
    used: Resource = NOTHING
    maximum: Resource | None = None
    max_share: float | None = None
    fixed: Resource | None = None
    users: Mapping[str, UserShare] = field(default_factory=lambda: frozen({}))
    unit: int | None = None
    largest: Resource | None = None
    counts_vcores: bool | None = None

    @property
    def name(self) -> str:
        return self.path.rpartition(".")[2]


@dataclass(frozen=True, slots=True, kw_only=True)
class YarnScheduler:
    """The scheduler by YARN's word for it; ``queues`` are known of the capacity scheduler alone, parents first."""

    kind: str
    queues: tuple[Queue, ...] = ()

    def way_to(self, queue: str) -> tuple[Queue, ...]:
        """The queue of a name or path, its parents first; empty if it is not known, or several have the name."""
        found = [each for each in self.queues if queue in (each.path, each.name)]
        exact = [each for each in found if each.path == queue] or found
        if len(exact) != 1:
            return ()
        path = exact[0].path
        return tuple(each for each in self.queues if path == each.path or path.startswith(each.path + "."))


def parse_nodes(document: Mapping[str, Any]) -> tuple[Node, ...]:
    """Read ``/ws/v1/cluster/nodes``; none at all is ``{"nodes": null}`` or ``{"nodes": {}}``, by release."""
    return tuple(_node(node) for node in _listed(document.get("nodes"), "node"))


def _node(node: Mapping[str, Any]) -> Node:
    used = Resource(memory_mb=_count(node, "usedMemoryMB"), vcores=_count(node, "usedVirtualCores"))
    free = Resource(memory_mb=_count(node, "availMemoryMB"), vcores=_count(node, "availableVirtualCores"))
    return Node(
        host=str(node.get("nodeHostName") or str(node.get("id", "")).rpartition(":")[0]),
        state=str(node.get("state", "")),
        free=free,
        total=_resource(node.get("totalResource"))
        or Resource(memory_mb=used.memory_mb + free.memory_mb, vcores=used.vcores + free.vcores),
        labels=tuple(label for label in _texts(node.get("nodeLabels")) if label),
        health=str(node.get("healthReport") or "").strip(),
    )


def parse_scheduler(document: Mapping[str, Any]) -> YarnScheduler:
    """Read ``/ws/v1/cluster/scheduler``. Raises KeyError, TypeError or AttributeError for another shape."""
    info = document["scheduler"]["schedulerInfo"]
    kind = str(info.get("type", ""))
    return YarnScheduler(kind=kind, queues=tuple(_queues(info, "")) if kind == CAPACITY_SCHEDULER else ())


def _queues(record: Mapping[str, Any], parent: str) -> Iterator[Queue]:
    name = str(record.get("queueName", ""))
    path = str(record.get("queuePath") or (f"{parent}.{name}" if parent else name))
    yield _queue(record, path)
    for child in _listed(record.get("queues"), "queue"):
        yield from _queues(child, path)


def _queue(record: Mapping[str, Any], path: str) -> Queue:
    share = record.get("absoluteMaxCapacity")
    users = {
        str(user.get("username", "")): UserShare(limit=limit, used=_resource(user.get("resourcesUsed")) or NOTHING)
        for user in _listed(record.get("users"), "user")
        if (limit := _resource(user.get("userResourceLimit"))) is not None
    }
    return Queue(
        path=path,
        used=_resource(record.get("resourcesUsed")) or NOTHING,
        maximum=_resource(record.get("maxEffectiveCapacity")),
        max_share=share / 100 if isinstance(share, int | float) and share > 0 else None,
        fixed=_fixed(record),
        users=frozen(users),
        unit=_unit(record),
        largest=_resource(record.get("maximumAllocation")),
        counts_vcores=_counts_vcores(record, users),
    )


def _counts_vcores(record: Mapping[str, Any], users: Mapping[str, UserShare]) -> bool | None:
    """Tell the resource calculator by what it computes: the default one, of memory alone, gives every limit 1 vcore."""
    computed: list[Resource | None] = [share.limit for share in users.values()]
    computed = computed or [_resource(record.get("AMResourceLimit"))]
    known = [limit for limit in computed if limit is not None and limit.memory_mb > 0]
    return any(limit.vcores > 1 for limit in known) if known else None


def _fixed(record: Mapping[str, Any]) -> Resource | None:
    """The maximum set as an amount for nodes without a label; where it is a share, YARN tells an amount of nothing."""
    for partition in _partitions(record):
        amount = _resource(partition.get("configuredMaxResource"))
        if not partition.get("partitionName") and amount is not None and amount.memory_mb > 0:
            return amount
    return None


def _unit(record: Mapping[str, Any]) -> int | None:
    """The minimum allocation of memory, which newer releases tell with the queue's configured capacities."""
    for partition in _partitions(record):
        told = (partition.get("configuredMinResource") or {}).get("resourceInformations")
        for resource in _listed(told, "resourceInformation"):
            smallest = resource.get("minimumAllocation")
            if resource.get("name") == "memory-mb" and isinstance(smallest, int) and smallest > 0:
                return smallest
    return None


def _partitions(record: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    return _listed(record.get("capacities"), "queueCapacitiesByPartition")


def _resource(record: Any) -> Resource | None:
    """Read an amount, ``None`` if there is none."""
    if not isinstance(record, dict) or not isinstance(record.get("memory"), int):
        return None
    return Resource(memory_mb=record["memory"], vcores=_count(record, "vCores"))


def _listed(holder: Any, name: str) -> list[Mapping[str, Any]]:
    """Read a list that may be missing, ``null``, or a single object where XML was turned into JSON."""
    found = holder.get(name) if isinstance(holder, dict) else None
    several = found if isinstance(found, list) else [found]
    return [each for each in several if isinstance(each, dict)]


def _texts(found: Any) -> list[str]:
    return [each for each in (found if isinstance(found, list) else [found]) if isinstance(each, str)]


def _count(record: Mapping[str, Any], key: str) -> int:
    value = record.get(key)
    return max(0, value) if isinstance(value, int) else 0

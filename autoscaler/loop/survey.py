"""What the ResourceManager tells of room: asked seldom, and put together with what one application has."""

from __future__ import annotations

import math
import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

from autoscaler.cluster import (
    CAPACITY_SCHEDULER,
    Application,
    ClusterError,
    Node,
    Queue,
    TaskManager,
    Transient,
    YarnScheduler,
)
from autoscaler.core.supply import Ceiling, Headroom, Supply
from autoscaler.loop.ports import Environment
from autoscaler.model import NOTHING, Cluster, Millis, Resource
from autoscaler.options import GrammarError, parse_memory

MB = 1 << 20
STOCK_UNIT = 1_024  # yarn.scheduler.minimum-allocation-mb where nobody changed it
SET_BACK: Millis = 60_000  # a survey this far ahead was not made by somebody who began a moment later
PATIENCE: Millis = 600_000  # a job that must grow is not held longer than this for want of an answer
_T = TypeVar("_T")


@dataclass(frozen=True, slots=True, kw_only=True)
class Survey:
    """What nodes and queues there are, ``None`` where YARN refuses to tell or has not told for long.

    ``withheld`` is why nothing can be said just now, ``unknown`` what is not told.
    """

    at: Millis
    nodes: tuple[Node, ...] | None = None
    scheduler: YarnScheduler | None = None
    withheld: str = ""
    unknown: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Promise:
    """Containers another application was promised and has not got."""

    queue: str
    user: str
    container: Resource
    count: int


class Surveyor:
    """Asks for nodes and queues when somebody wants to grow, at most once per discovery, and each discovery for the
    nodes that drain.

    While YARN does not answer nobody is let grow beyond the slots that exist, since a container that never comes costs
    a job time in every restart. A refusal, or ten minutes without an answer, is another matter: then limits are
    unknown, as they were before there was a plan, and jobs grow without one.
    """

    def __init__(self, env: Environment) -> None:
        self._env = env
        self._last: Survey | None = None
        self._failing_since: Millis | None = None
        self._draining: Mapping[str, Millis] = {}
        self._told_before: set[str] = set()
        self._asking = threading.Lock()

    @property
    def draining(self) -> Mapping[str, Millis]:
        """The hosts that drain, and since when that is known."""
        return self._draining

    def survey(self, now: Millis, not_before: Millis) -> Survey:
        """The newest survey, made anew if it is older than ``not_before``, or later than now by a clock set back."""
        with self._asking:  # whoever comes meanwhile waits for the same answer instead of asking again
            if self._last is None or self._last.at < not_before or self._last.at - now >= SET_BACK:
                self._last = self._asked(now)
            return self._last

    def look_for_drains(self, now: Millis) -> None:
        """Ask which nodes drain; one that is known keeps its time. What cannot be learned leaves all as it was."""
        try:
            hosts = {node.host.lower() for node in self._env.yarn.nodes("DECOMMISSIONING") if node.drains}
        except ClusterError as error:
            self._env.journal.once("draining nodes", "YARN does not tell which nodes drain", error=str(error))
            return
        self._env.journal.over("draining nodes", "YARN tells which nodes drain again")
        self._draining = {host: self._draining.get(host, now) for host in sorted(hosts)}

    def _asked(self, now: Millis) -> Survey:
        unknown: list[str] = []
        try:
            nodes = self._told(self._env.yarn.nodes, "nodes", unknown)
            scheduler = self._told(self._env.yarn.scheduler, "queues", unknown)
        except Transient as error:
            self._failing_since = now if self._failing_since is None else min(now, self._failing_since)
            if now - self._failing_since < PATIENCE:
                return Survey(at=now, withheld=f"YARN does not tell what is free ({error})")
            text = f"nodes and queues (YARN has not told for {(now - self._failing_since) // 60_000} min)"
            return Survey(at=now, unknown=(text,))
        self._failing_since = None
        return Survey(at=now, nodes=nodes, scheduler=scheduler, unknown=tuple(unknown))

    def _told(self, ask: Callable[[], _T], what: str, unknown: list[str]) -> _T | None:
        try:
            found = ask()
        except Transient:
            raise
        except ClusterError as error:
            if what in self._told_before:  # whoever has told once and refuses now is in trouble
                raise Transient("refused", str(error)) from error
            unknown.append(f"{what} ({error})")  # it answers, and says no: that will not change by asking again
            return None
        self._told_before.add(what)
        return found


def supply_of(
    survey: Survey,
    application: Application,
    task_managers: Sequence[TaskManager],
    shape: Cluster,
    config: Mapping[str, str],
    *,
    draining: Iterable[str] = (),
    foreign: int = 0,
    promises: Sequence[Promise] = (),
) -> Supply:
    """Put together what an application has and what there is for it; ``config`` is the one it runs with.

    ``draining`` are hosts in lower case, ``foreign`` the slots held by jobs that are not planned.
    """
    leaving = frozenset(draining)
    staying = [each for each in task_managers if each.host.lower() not in leaving]
    way = () if survey.scheduler is None else survey.scheduler.way_to(application.queue)
    leaf = way[-1] if way else Queue(path=application.queue)
    usable = None if survey.nodes is None else _usable(survey.nodes, config)
    container, process_mb = _container(task_managers, shape, leaf)
    each = shape.slots_per_task_manager
    return Supply(
        slots=sum(manager.slots for manager in staying),
        task_managers=len(task_managers),
        slots_per_task_manager=each,
        foreign=foreign,
        container=container,
        free=None if usable is None else tuple(node.free for node in usable),
        largest_node=max((node.total for node in usable or ()), key=lambda total: total.memory_mb, default=None),
        largest_container=leaf.largest,
        counts_vcores=bool(leaf.counts_vcores),
        headrooms=_headrooms(way, application.user, survey.nodes or (), promises),
        ceilings=_ceilings(config, each, process_mb, shape.task_manager_cpu),
        in_flight=tuple(promise.container for promise in promises for _ in range(promise.count)),
        withheld=survey.withheld,
        unknown=(*survey.unknown, *_unknown(survey, way, application, container)),
    )


def _usable(nodes: Sequence[Node], config: Mapping[str, str]) -> list[Node]:
    """The nodes that take a TaskManager; with a label set for them, those that have it."""
    label = config.get("yarn.taskmanager.node-label") or config.get("yarn.application.node-label")
    return [node for node in nodes if node.takes_containers and (not label or label in node.labels)]


def _container(
    task_managers: Sequence[TaskManager], shape: Cluster, queue: Queue
) -> tuple[Resource | None, int | None]:
    """What YARN takes for one more TaskManager, and its process' own memory in MB."""
    measured = next((each.process_memory for each in task_managers if each.process_memory), None)
    memory = measured or shape.task_manager_memory
    if not memory:
        return None, None
    process_mb, unit = -(-memory // MB), queue.unit or STOCK_UNIT
    vcores = -(-(shape.task_manager_cpu or 1) // 1)
    return Resource(memory_mb=-(-process_mb // unit) * unit, vcores=int(vcores)), process_mb


def _headrooms(
    way: Sequence[Queue], user: str, nodes: Sequence[Node], promises: Sequence[Promise]
) -> tuple[Headroom, ...]:
    """What is left under each limit on the way to the queue, less what is promised to others under the same.

    A limit that is an amount stays what it is when the cluster grows, however small the cluster is just now.
    """
    everything = sum(node.total.memory_mb for node in nodes if node.is_part)
    vcores = sum(node.total.vcores for node in nodes if node.is_part)
    found = []
    for queue in way:
        limit = queue.fixed or queue.maximum
        if limit is None and queue.max_share is not None and everything:
            limit = Resource(memory_mb=int(queue.max_share * everything), vcores=int(queue.max_share * vcores))
        if limit is not None:
            promised = _sum(each for each in promises if _is_under(each.queue, queue))
            whole = queue.fixed is None and limit.memory_mb >= everything
            found.append(Headroom(name=f"queue {queue.path}", left=_left(limit, queue.used, promised), whole=whole))
        share = queue.users.get(user)
        if share is not None:
            promised = _sum(each for each in promises if each.user == user and _is_under(each.queue, queue))
            whole = share.limit.memory_mb >= everything
            name = f"user {user} in queue {queue.path}"
            found.append(Headroom(name=name, left=_left(share.limit, share.used, promised), whole=whole))
    return tuple(found)


def _is_under(name: str, queue: Queue) -> bool:
    return name in (queue.path, queue.name) or name.startswith(queue.path + ".")


def _sum(promises: Iterable[Promise]) -> Resource:
    total = NOTHING
    for each in promises:
        memory = total.memory_mb + each.count * each.container.memory_mb
        total = Resource(memory_mb=memory, vcores=total.vcores + each.count * each.container.vcores)
    return total


def _left(limit: Resource, used: Resource, promised: Resource) -> Resource:
    return Resource(
        memory_mb=max(0, limit.memory_mb - used.memory_mb - promised.memory_mb),
        vcores=max(0, limit.vcores - used.vcores - promised.vcores),
    )


def _ceilings(
    config: Mapping[str, str], slots_each: int, process_mb: int | None, cpu_each: float | None
) -> tuple[Ceiling, ...]:
    """Flink's own limits in whole TaskManagers; a value that cannot be read limits nothing, as Flink refuses it."""
    slots = _number(config.get("slotmanager.number-of-slots.max"))
    memory = _memory(config.get("slotmanager.max-total-resource.memory"))
    cpu = _number(config.get("slotmanager.max-total-resource.cpu"))
    limits = (
        ("slotmanager.number-of-slots.max", slots, slots_each),
        ("slotmanager.max-total-resource.memory", memory, process_mb),
        ("slotmanager.max-total-resource.cpu", cpu, cpu_each),
    )
    return tuple(
        Ceiling(name=name, task_managers=int(limit // each))
        for name, limit, each in limits
        if limit is not None and each
    )


def _unknown(
    survey: Survey, way: Sequence[Queue], application: Application, container: Resource | None
) -> Iterable[str]:
    """What limits a container and could not be learned."""
    if container is None:
        yield "the memory of a TaskManager"
    scheduler = survey.scheduler
    if scheduler is not None and scheduler.kind != CAPACITY_SCHEDULER:
        yield f"the limits of queues (of a {scheduler.kind or 'scheduler without a name'} none are read)"
    elif scheduler is not None and not way:
        yield f"the limits of queue {application.queue}, which YARN does not list"
    elif way and way[-1].unit is None:
        yield f"YARN's minimum allocation, {STOCK_UNIT} MB is assumed"


def _number(text: str | None) -> float | None:
    """A limit as a number; one without end is none."""
    try:
        number = float(text) if text is not None else math.inf
    except ValueError:
        return None
    return number if math.isfinite(number) else None


def _memory(text: str | None) -> float | None:
    """A memory size in MB."""
    try:
        return parse_memory(text) / MB if text is not None else None
    except GrammarError:
        return None

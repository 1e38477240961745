"""The simulated YARN: nodes with memory, one queue with a limit, containers that take their time, nodes that come
and go. One container is one TaskManager."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable
from dataclasses import dataclass, field

from autoscaler.model import Millis
from autoscaler.sim.chance import Chance
from autoscaler.sim.scenario import ClusterSpec

MB = 1024
CONTAINER_START_S = (15.0, 30.0)
NODE_SIGMA = 0.35
SCALING_NOTICES_AFTER: Millis = 60_000  # EMR managed scaling looks at containers that wait
NODE_IDLE_BEFORE_REMOVAL: Millis = 600_000

Schedule = Callable[[Millis, Callable[[Millis], None]], None]


@dataclass(slots=True)
class Node:
    """A NodeManager; ``state`` is YARN's word. ``deadline`` is when a draining one is taken away."""

    number: int
    memory_mb: int
    used_mb: int = 0
    state: str = "RUNNING"
    deadline: Millis | None = None
    idle_since: Millis = 0

    @property
    def id(self) -> str:
        return f"ip-10-0-0-{self.number + 10}.ec2.internal:8041"

    @property
    def free_mb(self) -> int:
        return self.memory_mb - self.used_mb if self.state == "RUNNING" else 0


@dataclass(slots=True)
class TaskManager:
    """A container, and once it has registered the TaskManager in it. ``speed`` is 1 on average."""

    number: int
    id: str
    node: Node
    speed: float
    allocated_at: Millis
    registered: bool = False


@dataclass(slots=True)
class Holder:
    """What one application holds: its ApplicationMaster's node and its TaskManagers. ``wanted`` is how many it asks
    for; ``changed`` is told of each that registers or is lost."""

    number: int
    changed: Callable[[Millis, TaskManager, bool], None]
    wanted: int = 0
    attempt: int = 1
    master: Node | None = None
    task_managers: list[TaskManager] = field(default_factory=list)
    slot_ms: int = 0
    counted_at: Millis = 0

    @property
    def pending(self) -> int:
        return max(0, self.wanted - len(self.task_managers))

    @property
    def registered(self) -> list[TaskManager]:
        return [each for each in self.task_managers if each.registered]


class SimYarn:
    """Gives and takes containers. Whoever waits gets them in order as soon as a node has room and the queue allows."""

    def __init__(self, spec: ClusterSpec, chance: Chance, schedule: Schedule, started_at: Millis) -> None:
        self.spec = spec
        self.task_manager_mb = round(spec.task_manager_gb * MB)
        self.master_mb = round(spec.master_gb * MB)
        self.started_at = started_at
        self.holders: list[Holder] = []
        self._chance = chance
        self.schedule = schedule
        self._numbers = itertools.count()
        self._containers = itertools.count(1)
        self._coming = 0
        self.nodes: list[Node] = [self._node(started_at) for _ in range(spec.nodes)]

    @property
    def total_mb(self) -> int:
        return sum(node.memory_mb for node in self.nodes if node.state == "RUNNING")

    @property
    def used_mb(self) -> int:
        return sum(node.used_mb for node in self.nodes)

    @property
    def queue_mb(self) -> int:
        """The most the queue may use."""
        return self.total_mb if self.spec.queue_gb is None else round(self.spec.queue_gb * MB)

    def join(self, holder: Holder, task_managers: int, now: Millis) -> None:
        """An application, or one job more of it, starts with TaskManagers that run already, as many of them as there is
        room for."""
        if holder not in self.holders:
            self.holders.append(holder)
            holder.counted_at = now
            self._place_master(holder)
        holder.wanted = task_managers
        while holder.pending and (node := self._fit(self.task_manager_mb)) is not None:
            self._allocate(holder, node, now).registered = True

    def declare(self, holder: Holder, wanted: int, now: Millis) -> None:
        """An application says how many TaskManagers it needs; requests beyond that are withdrawn."""
        holder.wanted = wanted
        self.settle(now)

    def settle(self, now: Millis) -> None:
        """Allocate what can be, and let the cluster grow for what cannot."""
        for holder in self.holders:
            if holder.master is None:
                self._place_master(holder)
            while holder.pending and (node := self._fit(self.task_manager_mb)) is not None:
                task_manager = self._allocate(holder, node, now)
                delay = self._chance.uniform(*CONTAINER_START_S, "container", holder.number, task_manager.number)
                self.schedule(now + round(delay * 1000), self._registration(holder, task_manager))
        self._grow(now)

    def release(self, holder: Holder, task_manager: TaskManager, now: Millis, *, lost: bool = False) -> None:
        """A container ends, given back or lost."""
        if task_manager not in holder.task_managers:
            return
        self.count(holder, now)
        holder.task_managers.remove(task_manager)
        node = task_manager.node
        node.used_mb -= self.task_manager_mb
        if node.used_mb == 0:
            node.idle_since = now
            self.schedule(now + NODE_IDLE_BEFORE_REMOVAL, lambda at: self._shrink(node, at))
        if lost:
            holder.changed(now, task_manager, False)
        self.settle(now)

    def count(self, holder: Holder, now: Millis) -> None:
        """Bring the slot-seconds held up to date."""
        slots = len(holder.task_managers) * self.spec.slots_per_task_manager
        holder.slot_ms += slots * (now - holder.counted_at)
        holder.counted_at = now

    def drain(self, node: Node, until: Millis) -> None:
        """A node takes no more containers, and ends with those it has at its deadline."""
        node.state, node.deadline = "DECOMMISSIONING", until
        self.schedule(until, lambda at: self.lose(node, at, "DECOMMISSIONED"))

    def lose(self, node: Node, now: Millis, state: str = "LOST") -> None:
        """A node and all on it end."""
        if node.state in ("LOST", "DECOMMISSIONED"):
            return
        node.state = state
        for holder in self.holders:
            for task_manager in [each for each in holder.task_managers if each.node is node]:
                self.release(holder, task_manager, now, lost=True)
            if holder.master is node:
                self.move_master(holder)
        self._grow(now)

    def move_master(self, holder: Holder) -> None:
        """Another attempt of the ApplicationMaster, wherever there is room, or as soon as there is."""
        if holder.master is not None:
            holder.master.used_mb -= self.master_mb
        holder.attempt += 1
        self._place_master(holder)

    def _place_master(self, holder: Holder) -> None:
        holder.master = self._fit(self.master_mb)
        if holder.master is not None:
            holder.master.used_mb += self.master_mb

    def _fit(self, memory_mb: int) -> Node | None:
        if self.used_mb + memory_mb > self.queue_mb:
            return None
        return next((node for node in self.nodes if node.free_mb >= memory_mb), None)

    def _allocate(self, holder: Holder, node: Node, now: Millis) -> TaskManager:
        self.count(holder, now)
        number = next(self._containers) + 1
        speed = 1.0 + self._chance.uniform(-self.spec.speed_spread, self.spec.speed_spread, "speed", number)
        if self.spec.straggler and number == 2:
            speed *= 1.0 - self.spec.straggler
        application = f"{self.started_at}_{holder.number:04d}"
        task_manager = TaskManager(
            number=number,
            id=f"container_{application}_{holder.attempt:02d}_{number:06d}",
            node=node,
            speed=speed,
            allocated_at=now,
        )
        holder.task_managers.append(task_manager)
        node.used_mb += self.task_manager_mb
        return task_manager

    def _registration(self, holder: Holder, task_manager: TaskManager) -> Callable[[Millis], None]:
        def register(now: Millis) -> None:
            if task_manager in holder.task_managers:
                task_manager.registered = True
                holder.changed(now, task_manager, True)

        return register

    # -------------------------------------------------------------- EMR managed scaling

    def _node(self, now: Millis) -> Node:
        return Node(number=next(self._numbers), memory_mb=round(self.spec.node_gb * MB), idle_since=now)

    @property
    def _running(self) -> int:
        return sum(node.state == "RUNNING" for node in self.nodes)

    def _grow(self, now: Millis) -> None:
        """Order nodes for the containers that wait, up to the limit; those ordered already count."""
        if self.spec.max_nodes <= self.spec.nodes and self._running >= self.spec.nodes:
            return
        waiting_mb = sum(holder.pending for holder in self.holders) * self.task_manager_mb
        room = self.spec.max_nodes - self._running - self._coming
        for _ in range(min(room, math.ceil(waiting_mb / (self.spec.node_gb * MB)) - self._coming)):
            self._coming += 1
            number = len(self.nodes) + self._coming
            takes = self._chance.lognormal(self.spec.new_node_median_s, NODE_SIGMA, "node", number)
            self.schedule(now + SCALING_NOTICES_AFTER + round(takes * 1000), self._arrive)

    def _arrive(self, now: Millis) -> None:
        self._coming -= 1
        node = self._node(now)
        self.nodes.append(node)
        self.schedule(now + NODE_IDLE_BEFORE_REMOVAL, lambda at: self._shrink(node, at))
        self.settle(now)

    def _shrink(self, node: Node, now: Millis) -> None:
        idle = node.used_mb == 0 and now - node.idle_since >= NODE_IDLE_BEFORE_REMOVAL
        if idle and node.state == "RUNNING" and self._running > self.spec.nodes:
            node.state = "DECOMMISSIONED"

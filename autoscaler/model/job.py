"""What runs: a job as a graph of vertices, and what it runs on."""

from __future__ import annotations

from dataclasses import dataclass

from msgspec import Struct

from autoscaler.model.base import VertexId


class Input(Struct, frozen=True, kw_only=True):
    """One edge into a vertex; ``ship_strategy`` is Flink's word in upper case (HASH, REBALANCE, FORWARD ...)."""

    id: VertexId
    ship_strategy: str


class Vertex(Struct, frozen=True, kw_only=True):
    """One job vertex, a chain of operators that is scheduled as one task.

    ``source_partitions`` is the number of Kafka or Pulsar partitions a source reads, ``None`` if unknown.
    """

    id: VertexId
    name: str
    parallelism: int
    max_parallelism: int
    inputs: tuple[Input, ...] = ()
    finished: bool = False
    slot_sharing_group: str | None = None
    source_partitions: int | None = None

    @property
    def is_source(self) -> bool:
        return not self.inputs


@dataclass(frozen=True, slots=True, kw_only=True)
class Topology:
    """The vertices of a job, every input before the vertex it feeds."""

    vertices: tuple[Vertex, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Cluster:
    """What the decision knows of the cluster around the job. ``task_manager_cpu`` in cores, memory in bytes."""

    task_manager_cpu: float | None = None
    task_manager_memory: int | None = None
    slots_per_task_manager: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Resource:
    """An amount of what YARN gives out: memory in MB, and virtual cores."""

    memory_mb: int = 0
    vcores: int = 0


NOTHING = Resource()

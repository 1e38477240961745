"""What a job's vertices can do at which parallelism, and what a load asks of them: the truth behind the metrics."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Mapping, Sequence

from autoscaler.model import VertexId
from autoscaler.sim.chance import Chance
from autoscaler.sim.scenario import JobSpec, VertexSpec, vertex_id
from autoscaler.sim.subtasks import (
    Plant,
    key_group_shares,
    linear_capacity,
    partition_shares,
    source_plant,
    vertex_plant,
)


class Capacities:
    """``hot_keys`` and ``send_factor`` are the shares of the hottest keys and factors on what is sent; whoever
    changes them calls ``forget``."""

    def __init__(self, spec: JobSpec, chance: Chance) -> None:
        self.hot_keys = {v.id: v.hot_key for v in spec.vertices}
        self.send_factor = {v.id: 1.0 for v in spec.vertices}
        self._spec, self._chance = spec, chance
        self._best: dict[VertexId, list[float]] = {}

    def forget(self) -> None:
        self._best.clear()

    def plant(self, vertex: VertexSpec, p: int, speeds: Sequence[float]) -> Plant:
        """The subtasks of a vertex at a parallelism; ``speeds`` are those of their TaskManagers."""
        capacity = linear_capacity(self._spec.records_per_slot * vertex.speed, vertex.contention, vertex.coherence, p)
        if vertex.is_source:
            return source_plant(capacity, partition_shares(p, vertex.partitions), speeds)
        if vertex.ship == "HASH":
            hot = self._chance.stream("hot", vertex.name).randrange(vertex.max_parallelism) * p
            shares = key_group_shares(
                p, vertex.max_parallelism, self.hot_keys[vertex.id], hot // vertex.max_parallelism
            )
            return vertex_plant(capacity, shares, speeds)
        return vertex_plant(capacity, [1.0 / p] * p, speeds)

    def demands(self, rates: Mapping[VertexId, float]) -> Mapping[VertexId, float]:
        """Records per second each vertex must process when its sources read at these rates."""
        found: dict[VertexId, float] = {}
        for v in self._spec.vertices:
            found[v.id] = (
                rates[v.id]
                if v.id in rates
                else sum(
                    found[vertex_id(name)] * sent * self.send_factor[vertex_id(name)] for name, sent in v.inputs.items()
                )
            )
        return found

    def smallest(self, vertex: VertexSpec, rate: float) -> int:
        """The least parallelism at which a vertex, on TaskManagers of mean speed, can process a rate."""
        best = self._best.setdefault(vertex.id, [])  # what each parallelism from 1 on, or a smaller one, can do
        most = min(vertex.partitions or vertex.max_parallelism, vertex.max_parallelism)
        while (not best or best[-1] < rate) and len(best) < most:
            p = len(best) + 1
            best.append(max(best[-1] if best else 0.0, self.plant(vertex, p, [1.0] * p).total))
        return min(bisect_left(best, rate) + 1, len(best))

    def inputs(self, vertex: VertexSpec) -> Mapping[VertexId, float]:
        """Records each input sends to a vertex per record it processes."""
        return {vertex_id(name): sent * self.send_factor[vertex_id(name)] for name, sent in vertex.inputs.items()}

    def sends(self, vertex: VertexSpec) -> float:
        """Records a vertex sends per record it processes, over all outputs."""
        return self._spec.sends(vertex) * self.send_factor[vertex.id]

"""Who feeds whom in a job."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from graphlib import CycleError, TopologicalSorter

from autoscaler.model import Topology, Vertex, VertexId


def in_topological_order(vertices: Iterable[Vertex]) -> tuple[Vertex, ...]:
    """Return the vertices with every input before what it feeds, in the given order where that holds already.

    Raises ``ValueError`` for two vertices with one id, an input that is not among the vertices, or a cycle.
    """
    given = tuple(vertices)
    seen: set[VertexId] = set()
    for vertex in given:
        if vertex.id in seen or any(edge.id not in seen for edge in vertex.inputs):
            return _sorted(given)
        seen.add(vertex.id)
    return given


def _sorted(vertices: tuple[Vertex, ...]) -> tuple[Vertex, ...]:
    by_id: dict[VertexId, Vertex] = {}
    for vertex in vertices:
        if by_id.setdefault(vertex.id, vertex) is not vertex:
            raise ValueError(f"two vertices have the id {vertex.id}")
    for vertex in vertices:
        for edge in vertex.inputs:
            if edge.id not in by_id:
                raise ValueError(f"vertex {vertex.id} names an unknown input {edge.id}")
    order = TopologicalSorter({vertex.id: [edge.id for edge in vertex.inputs] for vertex in vertices})
    try:
        return tuple(by_id[vertex_id] for vertex_id in order.static_order())
    except CycleError as error:
        raise ValueError(f"the vertices feed each other in a circle: {', '.join(error.args[1])}") from error


def inputs_of(vertex: Vertex) -> tuple[VertexId, ...]:
    """Return the distinct inputs of a vertex, in the order given; a self join names one twice."""
    if len(vertex.inputs) == 1:
        return (vertex.inputs[0].id,)
    return tuple({edge.id: None for edge in vertex.inputs})


def has_hash_input(vertex: Vertex) -> bool:
    """Is any edge into the vertex partitioned by key? Of two edges from one input the later counts."""
    return "HASH" in {edge.id: edge.ship_strategy for edge in vertex.inputs}.values()


def outputs_by_vertex(topology: Topology) -> Mapping[VertexId, tuple[VertexId, ...]]:
    """Return the distinct vertices each vertex feeds."""
    outputs: dict[VertexId, list[VertexId]] = {vertex.id: [] for vertex in topology.vertices}
    for vertex in topology.vertices:
        for input_id in inputs_of(vertex):
            outputs[input_id].append(vertex.id)
    return {vertex_id: tuple(fed) for vertex_id, fed in outputs.items()}

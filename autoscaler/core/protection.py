"""What keeps a vertex from being shrunk by its own numbers (docs/ALGORITHM.md, 11); part of the extras."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from operator import lt

from autoscaler.core.evaluate import is_at_its_limit
from autoscaler.core.facts import Plan
from autoscaler.core.fare import grows
from autoscaler.core.graph import outputs_by_vertex
from autoscaler.core.history import last_growth
from autoscaler.core.vertex_rules import policy_of
from autoscaler.model import Limit, Sample, Topology, Vertex, VertexId

# From this share of its time on that an input waits for its outputs, they count as holding it up.
HELD_UP = 0.5
# Milliseconds by which a subtask's busy time may fall: an idle or a back-pressured one's wobbles by a few hundred.
BUSY_TOLERANCE = 1_000.0


@dataclass(frozen=True, slots=True)
class Findings:
    """What is found out once for all vertices of a plan."""

    plan: Plan
    holding_up: frozenset[VertexId]
    falling_behind: frozenset[VertexId]


def protected_vertices(plan: Plan) -> Mapping[VertexId, Limit]:
    """Return the vertices that must not shrink now, each with the first objection to it."""
    findings = Findings(plan, vertices_holding_up_inputs(plan), vertices_falling_behind(plan))
    return {
        vertex.id: limit
        for vertex in plan.facts.window.topology.vertices
        if (limit := _first_objection(vertex, findings)) is not None
    }


def _first_objection(vertex: Vertex, findings: Findings) -> Limit | None:
    return next((limit for limit, objects in OBJECTIONS if objects(vertex, findings)), None)


def memory_is_short(_vertex: Vertex, findings: Findings) -> bool:
    """Under memory pressure the job may only grow."""
    return findings.plan.memory_is_short


def is_doubtful(vertex: Vertex, findings: Findings) -> bool:
    """Numbers that may be wrong are good enough to grow on, never to shrink on."""
    return vertex.id in findings.plan.doubts


def is_saturated(vertex: Vertex, findings: Findings) -> bool:
    """Is the vertex as busy as it may be, or busier? Then a model that wants fewer subtasks is wrong."""
    plan = findings.plan
    return is_at_its_limit(plan.evaluated.vertices[vertex.id].load, policy_of(vertex, plan.facts.policy))


def holds_up_its_inputs(vertex: Vertex, findings: Findings) -> bool:
    """Does the vertex slow down what feeds it?"""
    return vertex.id in findings.holding_up


def is_fed_by_growing_lag(vertex: Vertex, findings: Findings) -> bool:
    """Does the lag of a source before the vertex grow, or its own?"""
    return vertex.id in findings.falling_behind


def has_just_grown(vertex: Vertex, findings: Findings) -> bool:
    """Was the vertex scaled up less than the grace period ago? Exactly that long is long enough."""
    facts = findings.plan.facts
    grown_at = last_growth(facts.history.scalings.get(vertex.id, ()))
    return grown_at is not None and facts.now - grown_at < facts.policy.scale_up_grace_period


OBJECTIONS: tuple[tuple[Limit, Callable[[Vertex, Findings], bool]], ...] = (
    (Limit.MEMORY_PRESSURE, memory_is_short),  # fewer TaskManagers would share the same state
    (Limit.DOUBTFUL, is_doubtful),  # absent is absent, not 0
    (Limit.SATURATED, is_saturated),  # what it does is all it can
    (Limit.BACK_PRESSURE, holds_up_its_inputs),  # what it gets is not all there is
    (Limit.LAG_GROWS, is_fed_by_growing_lag),  # whatever limits the job, less will not help
    (Limit.GRACE_PERIOD, has_just_grown),  # it has not settled yet
)


def doubts(topology: Topology, samples: Sequence[Sample]) -> Mapping[VertexId, str]:
    """Return the vertices whose numbers may be wrong, each with what is wrong: all if any sample has doubts.

    A counter that ran backwards casts doubt on its vertex and on all that it feeds, directly or not: their
    target rates are computed from it.
    """
    vertices = topology.vertices
    told = next((doubt for sample in samples for doubt in sample.doubts), None)
    if told is not None:
        return {vertex.id: told for vertex in vertices}
    found: dict[VertexId, str] = {}
    for vertex in vertices:
        fed_by_doubt = next((found[edge.id] for edge in vertex.inputs if edge.id in found), None)
        if fed_by_doubt is not None:
            found[vertex.id] = fed_by_doubt
        elif any_counter_ran_backwards(vertex, samples):
            found[vertex.id] = f"a counter of {vertex.name} ran backwards"
    return found


def any_counter_ran_backwards(vertex: Vertex, samples: Sequence[Sample]) -> bool:
    """Did a counter of the vertex fall? Busy time may, by what Flink's clocks differ: it is not counted up but
    computed, as the time that was neither idle nor back-pressured."""
    return any(ran_backwards(values, tolerance) for values, tolerance in _counters(vertex, samples))


def newest_counter_fell(vertex: Vertex, samples: Sequence[Sample]) -> bool:
    """Is a counter of the vertex lower in the newest sample than where it was last known?"""
    return any(
        values[-1] is not None and ran_backwards([value for value in values if value is not None][-2:], tolerance)
        for values, tolerance in _counters(vertex, samples)
        if values
    )


def _counters(vertex: Vertex, samples: Sequence[Sample]) -> Iterator[tuple[list[float | None], float]]:
    """Yield each counter's values, oldest first, and by how much it may fall."""
    own = [sample.vertices[vertex.id] for sample in samples if vertex.id in sample.vertices]
    yield [each.records_in for each in own], 0.0
    yield [each.records_out for each in own], 0.0
    yield [each.accumulated_busy_ms for each in own], BUSY_TOLERANCE * vertex.parallelism


def ran_backwards(values: Sequence[float | None], tolerance: float = 0.0) -> bool:
    """Did a counter ever fall by more than ``tolerance`` from one sample to the next that has it?"""
    present = [value for value in values if value is not None]
    return any(map(lt, present[1:], [value - tolerance for value in present]))


def vertices_falling_behind(plan: Plan) -> frozenset[VertexId]:
    """Return the sources whose lag grows, and all that they feed, directly or not."""
    window = plan.facts.window
    found: set[VertexId] = set()
    for vertex in window.topology.vertices:
        own = vertex.is_source and not vertex.finished and grows(window.samples, vertex)
        if own or any(each.id in found for each in vertex.inputs):
            found.add(vertex.id)
    return frozenset(found)


def vertices_holding_up_inputs(plan: Plan) -> frozenset[VertexId]:
    """Return, for each vertex that waits for its outputs half of its time, the busiest of these.

    Flink says that a vertex waits, not for whom; among its outputs the busiest is the best guess. It need
    not be busy: it may itself wait for another, and shrinking it would not help either.
    """
    window = plan.facts.window
    newest = window.samples[-1].vertices
    holding_up: set[VertexId] = set()
    for vertex_id, outputs in outputs_by_vertex(window.topology).items():
        waiting = newest[vertex_id].back_pressure if vertex_id in newest else None
        if waiting is None or waiting < HELD_UP:
            continue
        loads = {each: plan.evaluated.vertices[each].load or 0.0 for each in outputs}
        busiest = max(loads.values(), default=0.0)
        holding_up.update(each for each, load in loads.items() if load == busiest)
    return frozenset(holding_up)

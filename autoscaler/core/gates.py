"""The steps from samples to a reason to act or not, as one ordered tuple (docs/ALGORITHM.md, 9)."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from autoscaler.core.estimators import average
from autoscaler.core.evaluate import evaluate
from autoscaler.core.facts import Evaluated, Plan
from autoscaler.core.growth import growth_ceilings
from autoscaler.core.needs import needs_of_late
from autoscaler.core.periods import is_excluded
from autoscaler.core.protection import doubts, protected_vertices
from autoscaler.core.quota import cut_to_quota, exceeds_quota, slots_within_quota
from autoscaler.core.rounding import rounded
from autoscaler.core.sizing import size_all
from autoscaler.model import Event, EventKind, Reason, Sizing, VertexId

Step = Callable[[Plan], Plan]


def samples_must_suffice(plan: Plan) -> Plan:
    """One sample tells no rate: with fewer than two nothing is evaluated."""
    return plan if len(plan.facts.window.samples) >= 2 else _ended(plan, Reason.NOT_READY)


def vertices_are_evaluated(plan: Plan) -> Plan:
    """Say what every vertex does, should do and could do, and how the job's memory fares."""
    facts = plan.facts
    samples = facts.window.samples
    gc_pressure, heap_usage = samples[-1].gc_pressure, average([sample.heap_usage for sample in samples])
    evaluated = Evaluated(
        vertices=evaluate(facts.window, facts.policy, facts.restart_s),
        gc_pressure=None if gc_pressure is None else rounded(gc_pressure),
        heap_usage=None if heap_usage is None else rounded(heap_usage),
    )
    return plan._replace(evaluated=evaluated)


def window_must_be_full(plan: Plan) -> Plan:
    """A few samples are not a trend: until the window is full nothing is sized."""
    return plan if plan.facts.metrics.is_full else _ended(plan, Reason.WINDOW_NOT_FULL)


def memory_must_suffice(plan: Plan) -> Plan:
    """Under memory pressure rates are not what they will be, so nothing is scaled.

    Beyond the reference, it may still grow: more TaskManagers are the cure.
    """
    policy, evaluated = plan.facts.policy, plan.evaluated
    collecting = evaluated.gc_pressure is not None and evaluated.gc_pressure > policy.gc_pressure_threshold
    filled = evaluated.heap_usage is not None and evaluated.heap_usage > policy.heap_usage_threshold
    if not collecting and not filled:
        return plan
    if policy.extras:
        return _told(plan._replace(memory_is_short=True), EventKind.MEMORY_PRESSURE)
    return _ended(plan, Reason.MEMORY_PRESSURE, EventKind.MEMORY_PRESSURE)


def vertices_are_sized(plan: Plan) -> Plan:
    """Give every vertex the parallelism the model or a rule asks for."""
    if plan.facts.policy.extras:
        window = plan.facts.window
        plan = plan._replace(doubts=doubts(window.topology, window.samples))
        plan = plan._replace(
            protected=protected_vertices(plan), ceilings=growth_ceilings(plan), needs=needs_of_late(plan)
        )
    sized = size_all(plan)
    delayed = {vertex_id: each for vertex_id, each in plan.delayed.items() if vertex_id not in sized}
    delayed |= {vertex_id: each.delayed for vertex_id, each in sized.items() if each.delayed is not None}
    return plan._replace(
        sizings={vertex_id: each.sizing for vertex_id, each in sized.items()},
        delayed=delayed,
        events=(*plan.events, *(event for each in sized.values() for event in each.events)),
    )


def a_change_must_be_outside_bounds(plan: Plan) -> Plan:
    """A restart has to be worth it: some vertex that changes must be too slow or too fast for its bounds."""
    if _is_worth_a_restart(plan.sizings):
        return plan
    return _ended(plan, Reason.MEMORY_PRESSURE if plan.memory_is_short else Reason.STEADY)


def scaling_must_be_enabled(plan: Plan) -> Plan:
    """The user may want advice only."""
    if plan.facts.policy.scaling_enabled:
        return plan
    return _ended(plan, Reason.SCALING_DISABLED, EventKind.SCALING_REPORT)


def now_must_not_be_excluded(plan: Plan) -> Plan:
    """The user may want to be left in peace at times."""
    policy = plan.facts.policy
    if not is_excluded(plan.facts.now, policy.excluded_periods, policy.time_zone):
        return plan
    return _ended(plan, Reason.EXCLUDED_PERIOD, EventKind.SCALING_REPORT)


def quota_must_allow(plan: Plan) -> Plan:
    """Over quota nothing is scaled; beyond the reference, growth is cut to the quota instead."""
    facts = plan.facts
    vertices, policy = facts.window.topology.vertices, facts.policy
    if not policy.extras:
        if exceeds_quota(vertices, plan.sizings, facts.cluster, policy):
            return _ended(plan, Reason.QUOTA, EventKind.RESOURCE_QUOTA_REACHED)
        return plan
    slots = slots_within_quota(facts.cluster, policy)
    if slots is None:
        return plan
    sizings = cut_to_quota(vertices, plan.sizings, plan.evaluated.vertices, slots)
    if sizings is plan.sizings:
        return plan
    cut = _told(plan._replace(sizings=sizings, wished=plan.sizings), EventKind.RESOURCE_QUOTA_REACHED)
    return cut if _is_worth_a_restart(sizings) else cut._replace(reason=Reason.QUOTA)


def job_is_rescaled(plan: Plan) -> Plan:
    """Nothing objected. A rescale fulfils or overtakes everything that was held back, of every vertex."""
    events = (*plan.events, Event(kind=EventKind.SCALING_REPORT))
    return plan._replace(delayed={}, events=events, reason=Reason.SCALE)


STEPS: tuple[Step, ...] = (  # the first to give a reason ends the decision; the order is part of the contract
    samples_must_suffice,
    vertices_are_evaluated,  # may fail, and then says more than a window that is not full
    window_must_be_full,
    memory_must_suffice,
    vertices_are_sized,
    a_change_must_be_outside_bounds,
    scaling_must_be_enabled,  # from here on the user is told what would have been done
    now_must_not_be_excluded,
    quota_must_allow,
    job_is_rescaled,
)


def _is_worth_a_restart(sizings: Mapping[VertexId, Sizing]) -> bool:
    return any(each.outside_bounds and each.parallelism != each.current for each in sizings.values())


def _ended(plan: Plan, reason: Reason, kind: EventKind | None = None) -> Plan:
    return plan._replace(reason=reason, events=plan.events if kind is None else (*plan.events, Event(kind=kind)))


def _told(plan: Plan, kind: EventKind) -> Plan:
    return plan._replace(events=(*plan.events, Event(kind=kind)))

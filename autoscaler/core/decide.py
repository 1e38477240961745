"""The one function that decides."""

from __future__ import annotations

from collections.abc import Mapping

from autoscaler.core.errors import UndecidableError
from autoscaler.core.facts import Facts, Plan
from autoscaler.core.gates import STEPS
from autoscaler.core.history import completed_restarts, restart_time_s, trimmed_scalings
from autoscaler.core.window import metric_window
from autoscaler.model import (
    Cluster,
    Decision,
    Event,
    EventKind,
    History,
    Millis,
    Need,
    Policy,
    Reason,
    Sizing,
    VertexId,
    Window,
)

# Where the model's wish is told, whether or not it is granted.
_ADVISED = (Reason.SCALE, Reason.SCALING_DISABLED, Reason.EXCLUDED_PERIOD, Reason.QUOTA)


def decide(window: Window, history: History, policy: Policy, cluster: Cluster, now: Millis) -> Decision:
    """Return what to do with a job, why, and every number it rests on.

    The vertices of ``window.topology`` come in topological order. What numbers make of a decision that
    cannot be made is an answer too: reason ERROR, with nothing changed.
    """
    facts = gathered(window, history, policy, cluster, now)
    plan = Plan(facts=facts, delayed=history.delayed, needs=_noted(facts))
    try:
        for step in STEPS:
            if plan.reason is None:
                plan = step(plan)
    except UndecidableError as error:
        return decision(failed(plan), str(error))
    return decision(plan)


def gathered(window: Window, history: History, policy: Policy, cluster: Cluster, now: Millis) -> Facts:
    """Return what is known before anything is computed, trimmed to what counts."""
    metrics = metric_window(window, policy, now)
    scalings = trimmed_scalings(history, window.topology, policy, now)
    restarts = completed_restarts(history.restarts, scalings, window, policy, now)
    return Facts(
        window=Window(topology=window.topology, running_since=window.running_since, samples=metrics.samples),
        metrics=metrics,
        policy=policy,
        cluster=cluster,
        now=now,
        history=history,
        scalings=scalings,
        restarts=restarts,
        restart_s=restart_time_s(restarts, policy),
    )


def failed(plan: Plan) -> Plan:
    """Return a plan that changes nothing and tells only of its failure; what was evaluated stays."""
    return Plan(
        facts=plan.facts,
        delayed=plan.facts.history.delayed,
        needs=_noted(plan.facts),
        evaluated=plan.evaluated,
        events=(Event(kind=EventKind.AUTOSCALER_ERROR),),
        reason=Reason.ERROR,
    )


def decision(plan: Plan, error: str | None = None) -> Decision:
    """Return a finished plan as the decision it stands for."""
    assert plan.reason is not None  # the last step gives one
    facts = plan.facts
    current = {vertex.id: vertex.parallelism for vertex in facts.window.topology.vertices}
    rescale = plan.reason is Reason.SCALE
    parallelism = current | _parallelisms(plan.sizings) if rescale else current
    advised = current | _parallelisms(plan.wished or plan.sizings) if plan.reason in _ADVISED else current
    samples = facts.metrics.samples
    return Decision(
        at=facts.now,
        reason=plan.reason,
        rescale=rescale,
        parallelism=parallelism,
        advised=advised,
        evaluations=plan.evaluated.vertices,
        sizings=plan.sizings,
        gc_pressure=plan.evaluated.gc_pressure,
        heap_usage=plan.evaluated.heap_usage,
        delayed=plan.delayed,
        needs=plan.needs,
        scalings=facts.scalings,
        restarts=facts.restarts,
        events=plan.events,
        error=error,
        window_start=samples[0].at if samples else None,
        full_at=facts.metrics.full_at,
    )


def _noted(facts: Facts) -> Mapping[VertexId, tuple[Need, ...]]:
    return facts.history.needs if facts.policy.extras else {}


def _parallelisms(sizings: Mapping[VertexId, Sizing]) -> dict[VertexId, int]:
    return {vertex_id: sizing.parallelism for vertex_id, sizing in sizings.items()}

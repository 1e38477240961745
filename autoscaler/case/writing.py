"""From values to the documents they are written as: an answer, and a case."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from msgspec.structs import asdict

from autoscaler.case.reading import Case
from autoscaler.model import (
    Decision,
    DelayedScaleDown,
    Evaluation,
    Event,
    Need,
    Reason,
    Sample,
    Scaling,
    Sizing,
    Vertex,
    VertexId,
    VertexRule,
)

_JOB_VALUES = ("gc_pressure", "heap_usage", "slots_used")


def answer(decision: Decision, name: str | None) -> dict[str, Any]:
    """Return a decision as the JSON document that answers a case."""
    answered: dict[str, Any] = {
        "name": name,
        "reason": decision.reason.value,
        "rescale": decision.rescale,
        "parallelism": dict(decision.parallelism),
        "vertices": {
            vertex_id: _evaluated(evaluation, decision.sizings.get(vertex_id))
            for vertex_id, evaluation in decision.evaluations.items()
        },
        "job": {},
        "delayed_scale_down": _delayed_document(decision.delayed),
        **_needs_document(decision.needs),
        "events": [_event(event) for event in decision.events],
    }
    if decision.evaluations:
        answered["job"] = {
            "gc_pressure": _json_number(decision.gc_pressure),
            "heap_usage": _json_number(decision.heap_usage),
        }
    if decision.reason is Reason.ERROR:
        answered["error"] = decision.error
    return answered


def write_case(case: Case, profile: str, config: Mapping[str, str]) -> dict[str, Any]:
    """Return the document ``read_case`` reads back, with the configuration the policy comes from."""
    window, history = case.window, case.history
    rules = {vertex_id: _rule_document(rule) for vertex_id, rule in case.policy.vertex_rules.items()}
    return {
        "name": case.name,
        "profile": profile,
        "config": dict(config),
        **({"vertex_rules": rules} if rules else {}),
        "now": case.now,
        "running_since": window.running_since,
        "task_manager_cpu": case.cluster.task_manager_cpu,
        "vertices": [_vertex_document(vertex) for vertex in window.topology.vertices],
        "samples": [_sample_document(sample) for sample in window.samples],
        "history": {
            vertex_id: [_scaling_document(scaling) for scaling in scalings]
            for vertex_id, scalings in history.scalings.items()
        },
        "restarts": [{"at": each.at, "duration_s": each.duration_s} for each in history.restarts],
        "delayed_scale_down": _delayed_document(history.delayed),
        **_needs_document(history.needs),
    }


def _rule_document(rule: VertexRule) -> dict[str, Any]:
    return {
        "min": rule.min_parallelism,
        "max": rule.max_parallelism,
        "exclude": rule.excluded,
        "utilization": rule.utilization,
        "keep_equal_to": rule.keep_equal_to,
    }


def _json_number(value: float | None) -> float | str | None:
    if value is None or math.isfinite(value):
        return value
    return "Infinity" if value > 0 else "-Infinity"


def _evaluated(evaluation: Evaluation, sizing: Sizing | None) -> dict[str, Any]:
    return {
        "tpr": _json_number(evaluation.tpr),
        "target_rate": _json_number(evaluation.target_rate),
        "catch_up_rate": _json_number(evaluation.catch_up_rate),
        "load": _json_number(evaluation.load),
        "scale_up_threshold": _json_number(evaluation.scale_up_threshold),
        "scale_down_threshold": _json_number(evaluation.scale_down_threshold),
        "expected_rate": None if sizing is None else _json_number(sizing.expected_rate),
    }


def _event(event: Event) -> dict[str, Any]:
    return {"reason": event.kind.value, "vertex": event.vertex}


def _delayed_document(delayed: Mapping[VertexId, DelayedScaleDown]) -> dict[str, Any]:
    return {
        vertex_id: {
            "first": state.first,
            "requests": [
                {"at": each.at, "parallelism": each.parallelism, "outside_bounds": each.outside_bounds}
                for each in state.requests
            ],
        }
        for vertex_id, state in delayed.items()
    }


def _needs_document(needs: Mapping[VertexId, tuple[Need, ...]]) -> dict[str, Any]:
    """Return what was needed of late by its key; nothing where nothing is remembered, as without the extras."""
    if not needs:
        return {}
    return {
        "needs": {
            vertex_id: [{"at": each.at, "parallelism": each.parallelism, "ample": each.ample} for each in several]
            for vertex_id, several in needs.items()
        }
    }


def _vertex_document(vertex: Vertex) -> dict[str, Any]:
    return {
        "id": vertex.id,
        "name": vertex.name,
        "parallelism": vertex.parallelism,
        "max_parallelism": vertex.max_parallelism,
        "source_partitions": vertex.source_partitions,
        "finished": vertex.finished,
        "slot_sharing_group": vertex.slot_sharing_group,
        "inputs": [{"id": each.id, "ship_strategy": each.ship_strategy} for each in vertex.inputs],
    }


def _sample_document(sample: Sample) -> dict[str, Any]:
    return {
        "at": sample.at,
        "vertices": {vertex_id: _present(asdict(values)) for vertex_id, values in sample.vertices.items()},
        "job": _present({name: getattr(sample, name) for name in _JOB_VALUES}),
        "doubts": list(sample.doubts),
    }


def _present(values: Mapping[str, float | None]) -> dict[str, Any]:
    """Return the values that are known, by name."""
    return {name: _json_number(value) for name, value in values.items() if value is not None}


def _scaling_document(scaling: Scaling) -> dict[str, Any]:
    return {
        "at": scaling.at,
        "from": scaling.from_parallelism,
        "to": scaling.to_parallelism,
        "tpr": _json_number(scaling.tpr),
        "expected_rate": _json_number(scaling.expected_rate),
    }

"""Decision cases: one JSON document that holds everything one decision depends on, and the answer to it.

Absent values may be left out or ``null``; a number may also be written ``"Infinity"`` or ``"-Infinity"``.
All times are epoch milliseconds UTC. docs/ALGORITHM.md shows a whole case.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, NamedTuple

from autoscaler import options
from autoscaler.core import decide
from autoscaler.core.graph import in_topological_order
from autoscaler.core.rounding import known
from autoscaler.model import (
    Cluster,
    Decision,
    DelayedRequest,
    DelayedScaleDown,
    Evaluation,
    Event,
    History,
    Input,
    Millis,
    Policy,
    Reason,
    Restart,
    Sample,
    Scaling,
    Sizing,
    Topology,
    Vertex,
    VertexId,
    VertexRule,
    VertexSample,
    Window,
    frozen,
)

Document = Mapping[str, Any]

_JOB_VALUES = ("gc_pressure", "heap_usage", "slots_used")
_LARGEST = 2**63 - 1


class CaseError(ValueError):
    """A document is not a decision case; the message says why."""


class Case(NamedTuple):
    """What ``decide`` is asked, in its order, and the name the answer carries."""

    window: Window
    history: History
    policy: Policy
    cluster: Cluster
    now: Millis
    name: str | None


def decide_case(document: str | Document, extras: bool | None = None) -> dict[str, Any]:
    """Return the answer to one case; for one that cannot be read its name and what is wrong."""
    name = None
    try:
        case = json.loads(document) if isinstance(document, str) else document
        if not isinstance(case, Mapping):
            raise CaseError("a decision case is a JSON object")
        name = case.get("name")
        window, history, policy, cluster, now, name = read_case(case, extras)
    except ValueError as error:
        return {"name": name, "error": str(error)}
    except RecursionError:
        return {"name": name, "error": "the document is nested too deeply"}
    return answer(decide(window, history, policy, cluster, now), name)


# ------------------------------------------------------------------ document to values


def read_case(document: Document, extras: bool | None = None) -> Case:
    """Return the values of a case; ``extras`` overrides what its profile says. Raises ``ValueError``."""
    try:
        config = {str(key): _text(value) for key, value in (document.get("config") or {}).items()}
        return Case(
            window=Window(
                topology=Topology(vertices=in_topological_order(map(_vertex, document["vertices"]))),
                running_since=_whole(document["running_since"]),
                samples=tuple([_sample(each) for each in document["samples"]]),
            ),
            history=_history(document),
            policy=_policy(document, config, extras),
            cluster=options.cluster(config, _number(document.get("task_manager_cpu"))),
            now=_whole(document["now"]),
            name=document.get("name"),
        )
    except KeyError as error:
        raise CaseError(f"the case has no {error.args[0]!r} where one is needed") from error
    except (TypeError, AttributeError, OverflowError) as error:
        raise CaseError(f"the case has a value of a wrong kind: {error}") from error


def _text(value: object) -> str:
    """Return a configuration value as flink-conf has it, should the document hold a number or a boolean."""
    if isinstance(value, str):
        return value
    return json.dumps(value) if isinstance(value, int | float) else str(value)


def _number(value: Any) -> float | None:
    """Return a JSON number, or one of the strings for infinity, as a double; not a number is absent."""
    if value is None:
        return None
    number = float(value)
    return None if math.isnan(number) else number


def _whole(value: Any) -> int:
    """Return a whole number of 64 bits, such as a time."""
    number = int(value)
    if not -_LARGEST <= number <= _LARGEST:
        raise CaseError(f"{value!r} is beyond a whole number of 64 bits")
    return number


def _policy(document: Document, config: Mapping[str, str], extras: bool | None) -> Policy:
    policy = options.policy(config, document.get("profile") or options.EMR, extras)
    said = document.get("vertex_rules")
    if not said:
        return policy
    return replace(policy, vertex_rules=frozen({vertex_id: _vertex_rule(rule) for vertex_id, rule in said.items()}))


def _vertex_rule(raw: Document) -> VertexRule:
    low, high, excluded = raw.get("min"), raw.get("max"), raw.get("exclude")
    return VertexRule(
        min_parallelism=None if low is None else _whole(low),
        max_parallelism=None if high is None else _whole(high),
        excluded=None if excluded is None else bool(excluded),
        utilization=_number(raw.get("utilization")),
        keep_equal_to=raw.get("keep_equal_to"),
    )


def _vertex(raw: Document) -> Vertex:
    vertex_id, group = raw["id"], raw.get("slot_sharing_group")
    parallelism, max_parallelism = _whole(raw["parallelism"]), _whole(raw["max_parallelism"])
    if not isinstance(vertex_id, str):
        raise CaseError(f"the id of a vertex is a text, not {vertex_id!r}")
    if parallelism < 1 or max_parallelism < 1:
        raise CaseError(f"vertex {vertex_id} has a parallelism below 1")
    return Vertex(
        id=vertex_id,
        name=raw.get("name") or vertex_id,
        parallelism=parallelism,
        max_parallelism=max_parallelism,
        inputs=tuple(
            [
                Input(id=each["id"], ship_strategy=(each.get("ship_strategy") or "").upper())
                for each in raw.get("inputs") or ()
            ]
        ),
        finished=bool(raw.get("finished")),
        slot_sharing_group=None if group is None else str(group),
        source_partitions=max(0, _whole(raw.get("source_partitions") or 0)) or None,
    )


def _sample(raw: Document) -> Sample:
    job = raw.get("job") or {}
    return Sample(
        at=_whole(raw["at"]),
        vertices={vertex_id: _vertex_sample(values) for vertex_id, values in raw["vertices"].items()},
        gc_pressure=_number(job.get("gc_pressure")),
        heap_usage=_number(job.get("heap_usage")),
        slots_used=_number(job.get("slots_used")),
        doubts=tuple(raw.get("doubts") or ()),
    )


def _vertex_sample(raw: Document) -> VertexSample:
    values = map(raw.get, VertexSample._fields)
    return VertexSample._make([None if value is None else known(float(value)) for value in values])


def _history(document: Document) -> History:
    scalings = document.get("history") or {}
    delayed = document.get("delayed_scale_down") or {}
    return History(
        scalings={
            vertex_id: tuple(sorted(map(_scaling, records), key=lambda scaling: scaling.at))
            for vertex_id, records in scalings.items()
        },
        restarts=tuple(sorted(map(_restart, document.get("restarts") or ()), key=lambda restart: restart.at)),
        delayed={vertex_id: _delayed(state) for vertex_id, state in delayed.items()},
    )


def _scaling(raw: Document) -> Scaling:
    return Scaling(
        at=_whole(raw["at"]),
        from_parallelism=_whole(raw["from"]),
        to_parallelism=_whole(raw["to"]),
        tpr=_number(raw.get("tpr")),
        expected_rate=_number(raw.get("expected_rate")),
    )


def _restart(raw: Document) -> Restart:
    duration_s = raw.get("duration_s")
    return Restart(at=_whole(raw["at"]), duration_s=None if duration_s is None else _whole(duration_s))


def _delayed(raw: Document) -> DelayedScaleDown:
    return DelayedScaleDown(
        first=_whole(raw["first"]),
        requests=tuple(
            [
                DelayedRequest(
                    at=_whole(each["at"]),
                    parallelism=_whole(each["parallelism"]),
                    outside_bounds=bool(each.get("outside_bounds")),
                )
                for each in raw.get("requests") or ()
            ]
        ),
    )


# ------------------------------------------------------------------ values to document


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
        "vertices": {vertex_id: _present(values._asdict()) for vertex_id, values in sample.vertices.items()},
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

"""From the document of a case to the values a decision is made on."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from operator import attrgetter
from typing import NamedTuple

from msgspec.structs import asdict, astuple

from autoscaler import options
from autoscaler.case.document import (
    CaseDocument,
    DelayedDocument,
    Document,
    JobValuesDocument,
    RestartDocument,
    RuleDocument,
    SampleDocument,
    ScalingDocument,
    VertexDocument,
    checked,
)
from autoscaler.core.graph import in_topological_order
from autoscaler.core.rounding import known
from autoscaler.model import (
    Cluster,
    DelayedRequest,
    DelayedScaleDown,
    History,
    Input,
    Millis,
    Need,
    Policy,
    Restart,
    Sample,
    Scaling,
    Topology,
    Vertex,
    VertexId,
    VertexRule,
    VertexSample,
    Window,
    frozen,
)

_BY_TIME = attrgetter("at")
_NO_JOB_VALUES = JobValuesDocument()


class Case(NamedTuple):
    """What ``decide`` is asked, in its order, and the name the answer carries."""

    window: Window
    history: History
    policy: Policy
    cluster: Cluster
    now: Millis
    name: str | None


def read_case(document: str | bytes | Document, extras: bool | None = None) -> Case:
    """Return the values of a case; ``extras`` overrides what its profile says. Raises ``ValueError``."""
    case = checked(document)
    config = {key: _text(value) for key, value in (case.config or {}).items() if value is not None}
    return Case(
        window=Window(
            topology=Topology(vertices=in_topological_order(map(_vertex, case.vertices))),
            running_since=case.running_since,
            samples=tuple([_sample(each) for each in sorted(case.samples, key=_BY_TIME)]),
        ),
        history=_history(case),
        policy=_policy(case, config, extras),
        cluster=options.cluster(config, _number(case.task_manager_cpu)),
        now=case.now,
        name=case.name,
    )


def _text(value: object) -> str:
    """Return a configuration value as flink-conf has it, should the document hold a number or a boolean."""
    if isinstance(value, str):
        return value
    return json.dumps(value) if isinstance(value, int | float) else str(value)


def _number(value: float | None) -> float | None:
    """Return a number; what is not a number is absent."""
    return None if value is None else known(value)


def _policy(case: CaseDocument, config: Mapping[str, str], extras: bool | None) -> Policy:
    policy = options.policy(config, case.profile or options.EMR, extras)
    said = case.vertex_rules
    if not said:
        return policy
    return replace(policy, vertex_rules=frozen({vertex_id: _vertex_rule(rule) for vertex_id, rule in said.items()}))


def _vertex_rule(raw: RuleDocument) -> VertexRule:
    return VertexRule(
        min_parallelism=raw.min,
        max_parallelism=raw.max,
        excluded=raw.exclude,
        utilization=_number(raw.utilization),
        keep_equal_to=raw.keep_equal_to,
    )


def _vertex(raw: VertexDocument) -> Vertex:
    group = raw.slot_sharing_group
    return Vertex(
        id=raw.id,
        name=raw.name or raw.id,
        parallelism=raw.parallelism,
        max_parallelism=raw.max_parallelism,
        inputs=tuple(
            [Input(id=each.id, ship_strategy=(each.ship_strategy or "").upper()) for each in raw.inputs or ()]
        ),
        finished=bool(raw.finished),
        slot_sharing_group=None if group is None else str(group),
        source_partitions=max(0, raw.source_partitions or 0) or None,
    )


def _sample(raw: SampleDocument) -> Sample:
    job = raw.job or _NO_JOB_VALUES
    return Sample(
        at=raw.at,
        vertices=_without_nan(raw.vertices),
        gc_pressure=_number(job.gc_pressure),
        heap_usage=_number(job.heap_usage),
        slots_used=_number(job.slots_used),
        doubts=tuple(raw.doubts or ()),
    )


def _without_nan(samples: Mapping[VertexId, VertexSample]) -> Mapping[VertexId, VertexSample]:
    """Return the samples as they are, or all anew should a number be none; what is not a number is absent."""
    for sample in samples.values():
        for value in astuple(sample):
            if value != value:
                return {
                    vertex_id: VertexSample(*[None if value is None else known(value) for value in astuple(each)])
                    for vertex_id, each in samples.items()
                }
    return samples


def _history(case: CaseDocument) -> History:
    scalings = case.history or {}
    delayed = case.delayed_scale_down or {}
    return History(
        scalings={
            vertex_id: tuple(sorted(map(_scaling, records), key=_BY_TIME)) for vertex_id, records in scalings.items()
        },
        restarts=tuple(sorted(map(_restart, case.restarts or ()), key=_BY_TIME)),
        delayed={vertex_id: _delayed(state) for vertex_id, state in delayed.items()},
        needs={
            vertex_id: tuple(sorted([Need(**asdict(each)) for each in needs], key=_BY_TIME))
            for vertex_id, needs in (case.needs or {}).items()
            if needs
        },
    )


def _scaling(raw: ScalingDocument) -> Scaling:
    return Scaling(
        at=raw.at,
        from_parallelism=raw.from_parallelism,
        to_parallelism=raw.to_parallelism,
        tpr=_number(raw.tpr),
        expected_rate=_number(raw.expected_rate),
    )


def _restart(raw: RestartDocument) -> Restart:
    duration_s = raw.duration_s
    return Restart(at=raw.at, duration_s=None if duration_s is None else int(duration_s))


def _delayed(raw: DelayedDocument) -> DelayedScaleDown:
    requests = [
        DelayedRequest(at=each.at, parallelism=each.parallelism, outside_bounds=bool(each.outside_bounds))
        for each in raw.requests or ()
    ]
    return DelayedScaleDown(first=raw.first, requests=tuple(requests))

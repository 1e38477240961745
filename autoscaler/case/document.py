"""The form of a decision case, and what is wrong with a document that has another."""

from __future__ import annotations

from collections.abc import Mapping
from reprlib import Repr
from typing import Annotated, Any, NotRequired

from pydantic import Field, TypeAdapter, ValidationError
from typing_extensions import TypedDict  # pydantic asks for this one before Python 3.12

from autoscaler.model import VertexId

Document = Mapping[str, Any]

LARGEST = 2**63 - 1
Whole = Annotated[int, Field(ge=-LARGEST, le=LARGEST)]
Parallelism = Annotated[int, Field(ge=1, le=LARGEST)]
Number = float | None


class InputDocument(TypedDict):
    id: str
    ship_strategy: NotRequired[str | None]


class VertexDocument(TypedDict):
    id: str
    parallelism: Parallelism
    max_parallelism: Parallelism
    name: NotRequired[str | None]
    inputs: NotRequired[list[InputDocument] | None]
    finished: NotRequired[bool | None]
    slot_sharing_group: NotRequired[Any]
    source_partitions: NotRequired[Whole | None]


class ValuesDocument(TypedDict, total=False):
    load: Number
    accumulated_busy_ms: Number
    records_in: Number
    records_out: Number
    records_in_per_s: Number
    lag: Number
    observed_tpr: Number
    back_pressure: Number


class JobValuesDocument(TypedDict, total=False):
    gc_pressure: Number
    heap_usage: Number
    slots_used: Number


class SampleDocument(TypedDict):
    at: Whole
    vertices: dict[VertexId, ValuesDocument]
    job: NotRequired[JobValuesDocument | None]
    doubts: NotRequired[list[str] | None]


ScalingDocument = TypedDict(
    "ScalingDocument",
    {
        "at": Whole,
        "from": Whole,
        "to": Whole,
        "tpr": NotRequired[Number],
        "expected_rate": NotRequired[Number],
    },
)


class RestartDocument(TypedDict):
    at: Whole
    duration_s: NotRequired[Annotated[float, Field(ge=-LARGEST, le=LARGEST)] | None]


class RequestDocument(TypedDict):
    at: Whole
    parallelism: Whole
    outside_bounds: NotRequired[bool | None]


class DelayedDocument(TypedDict):
    first: Whole
    requests: NotRequired[list[RequestDocument] | None]


class NeedDocument(TypedDict):
    at: Whole
    parallelism: Whole
    ample: Whole


class RuleDocument(TypedDict, total=False):
    min: Whole | None
    max: Whole | None
    exclude: bool | None
    utilization: Number
    keep_equal_to: VertexId | None


class CaseDocument(TypedDict):
    now: Whole
    running_since: Whole
    vertices: list[VertexDocument]
    samples: list[SampleDocument]
    name: NotRequired[Any]
    profile: NotRequired[str | None]
    config: NotRequired[dict[str, Any] | None]
    vertex_rules: NotRequired[dict[VertexId, RuleDocument] | None]
    task_manager_cpu: NotRequired[Number]
    history: NotRequired[dict[VertexId, list[ScalingDocument]] | None]
    restarts: NotRequired[list[RestartDocument] | None]
    delayed_scale_down: NotRequired[dict[VertexId, DelayedDocument] | None]
    needs: NotRequired[dict[VertexId, list[NeedDocument]] | None]


class CaseError(ValueError):
    """A document is not a decision case; the message says where and why."""


_CASE = TypeAdapter(CaseDocument)
_brief = Repr()
_brief.maxstring = _brief.maxother = _brief.maxlong = 60


def checked(document: str | bytes | Document) -> CaseDocument:
    """Return a case with every value of the kind it should have. Raises CaseError."""
    try:
        if isinstance(document, str | bytes):
            return _CASE.validate_json(document)
        return _CASE.validate_python(document)
    except ValidationError as error:
        raise CaseError(_what_is_wrong(error)) from error


def _what_is_wrong(error: ValidationError) -> str:
    """Return the first finding with its place, such as ``samples.0.at``."""
    first = error.errors(include_url=False, include_context=False)[0]
    place = ".".join(map(str, first["loc"]))
    if first["type"] == "missing":
        return f"{place} is missing"
    if not place:
        return first["msg"] if first["type"] == "json_invalid" else "a decision case is a JSON object"
    return f"{place} is {_brief.repr(first['input'])}: {first['msg']}"

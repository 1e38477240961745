"""The form of a decision case, and what is wrong with a document that has another."""

from __future__ import annotations

import copy
import json
import re
from collections.abc import Mapping
from reprlib import Repr
from typing import Annotated, Any

import msgspec
from msgspec import Meta, Struct

from autoscaler.model import VertexId, VertexSample

Document = Mapping[str, Any]

LARGEST = 2**63 - 1
Whole = Annotated[int, Meta(ge=-LARGEST, le=LARGEST)]
LARGEST_INT = 2**31 - 1  # as Flink counts subtasks, key groups and partitions; beyond it alignment would take for ever
Parallelism = Annotated[int, Meta(ge=1, le=LARGEST_INT)]
Partitions = Annotated[int, Meta(ge=-LARGEST_INT, le=LARGEST_INT)]
Number = float | None

# Of the parts of a document none is part of a cycle, so the collector need not look at the many of them: gc=False.


class InputDocument(Struct, frozen=True, gc=False):
    id: str
    ship_strategy: str | None = None


class VertexDocument(Struct, frozen=True, gc=False):
    id: str
    parallelism: Parallelism
    max_parallelism: Parallelism
    name: str | None = None
    inputs: list[InputDocument] | None = None
    finished: bool | None = None
    slot_sharing_group: Any = None
    source_partitions: Partitions | None = None


class JobValuesDocument(Struct, frozen=True, gc=False):
    gc_pressure: Number = None
    heap_usage: Number = None
    slots_used: Number = None


class SampleDocument(Struct, frozen=True, gc=False):
    at: Whole
    vertices: dict[VertexId, VertexSample]
    job: JobValuesDocument | None = None
    doubts: list[str] | None = None


class ScalingDocument(Struct, frozen=True, gc=False, rename={"from_parallelism": "from", "to_parallelism": "to"}):
    at: Whole
    from_parallelism: Whole
    to_parallelism: Whole
    tpr: Number = None
    expected_rate: Number = None


class RestartDocument(Struct, frozen=True, gc=False):
    at: Whole
    duration_s: Annotated[float, Meta(ge=-float(LARGEST), le=float(LARGEST))] | None = None


class RequestDocument(Struct, frozen=True, gc=False):
    at: Whole
    parallelism: Whole
    outside_bounds: bool | None = None


class DelayedDocument(Struct, frozen=True, gc=False):
    first: Whole
    requests: list[RequestDocument] | None = None


class NeedDocument(Struct, frozen=True, gc=False):
    at: Whole
    parallelism: Whole
    ample: Whole


class RuleDocument(Struct, frozen=True, gc=False):
    min: Whole | None = None
    max: Whole | None = None
    exclude: bool | None = None
    utilization: Number = None
    keep_equal_to: VertexId | None = None


class CaseDocument(Struct, frozen=True, gc=False):
    now: Whole
    running_since: Whole
    vertices: list[VertexDocument]
    samples: list[SampleDocument]
    name: Any = None
    profile: str | None = None
    config: dict[str, Any] | None = None
    vertex_rules: dict[VertexId, RuleDocument] | None = None
    task_manager_cpu: Number = None
    history: dict[VertexId, list[ScalingDocument]] | None = None
    restarts: list[RestartDocument] | None = None
    delayed_scale_down: dict[VertexId, DelayedDocument] | None = None
    needs: dict[VertexId, list[NeedDocument]] | None = None


class CaseError(ValueError):
    """A document is not a decision case; the message says where and why."""


_DECODER = msgspec.json.Decoder(CaseDocument, strict=False)
_MISSING = re.compile(r"Object missing required field `(\w+)`")
_STEP = re.compile(r"(\w+)|\[(\d+|\.\.\.)\]")
_brief = Repr()
_brief.maxstring = _brief.maxother = _brief.maxlong = 60


def checked(document: str | bytes | Document) -> CaseDocument:
    """Return a case with every value of the kind it should have. Raises CaseError."""
    if isinstance(document, str | bytes):
        try:
            return _DECODER.decode(document)
        except (ValueError, RecursionError):
            # The decoder knows neither the value at fault nor NaN and Infinity without quotes, as Python writes them.
            document = _parsed(document)
    if isinstance(document, Mapping) and isinstance(document.get("case"), Mapping):
        document = document["case"]  # a line of a recording, which has what is expected of the case beside it
    try:
        return _converted(document)
    except msgspec.ValidationError as error:
        raise CaseError(_what_is_wrong(error, document)) from error


def _parsed(text: str | bytes) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise CaseError(f"the case is not JSON: {error}") from error


def _converted(document: object) -> CaseDocument:
    return msgspec.convert(document, CaseDocument, strict=False)


def _what_is_wrong(error: msgspec.ValidationError, document: object) -> str:
    """Return a finding with its place, such as ``samples.0.at``, and the value that stands there."""
    finding, _, path = str(error).partition(" - at `$")
    try:
        place, value = _at(document, path, str(error))
    except RecursionError:  # something beside it is nested too deeply to be looked through
        return str(error)
    if missing := _MISSING.match(finding):
        return f"{'.'.join([*place, missing[1]])} is missing"
    if not place:
        return "a decision case is a JSON object"
    return f"{'.'.join(place)} is {_brief.repr(value)}: {finding}"


def _at(document: Any, path: str, finding: str) -> tuple[list[str], Any]:
    """Return the keys that lead to a path of the decoder's, and the value there."""
    whole = value = copy.deepcopy(document)
    place: list[str] = []
    for name, index in _STEP.findall(path):
        key = name or (_culprit(whole, value, finding) if index == "..." else int(index))
        place.append(str(key))
        value = value[key]
    return place, value


def _culprit(document: object, values: dict[str, Any], finding: str) -> str:
    """Return the key of the value a finding is about, by trying each alone: the decoder says that it is one of them."""
    return next(key for key, value in list(values.items()) if _found_with(document, values, {key: value}) == finding)


def _found_with(document: object, values: dict[str, Any], only: dict[str, Any]) -> str | None:
    values.clear()
    values.update(only)
    try:
        _converted(document)
    except msgspec.ValidationError as error:
        return str(error)
    return None

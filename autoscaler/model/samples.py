"""What was measured."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from msgspec import Struct

from autoscaler.model.base import Millis, VertexId
from autoscaler.model.job import Topology


class VertexSample(Struct, frozen=True, gc=False):
    """What one vertex reported at one instant (docs/ALGORITHM.md, 1). Values are rounded as that section says.

    ``load`` is a ratio, ``accumulated_busy_ms``, ``records_in`` and ``records_out`` are counters of the present attempt
    summed over subtasks, ``records_in_per_s`` (non-sources) and ``observed_tpr`` (sources, may be ``inf``) are rates,
    ``lag`` is in records (sources). ``back_pressure`` is the mean share of time, 0 to 1, the vertex waited for its
    outputs. A struct, because these are made by the million, and read from JSON as they are.
    """

    load: float | None = None
    accumulated_busy_ms: float | None = None
    records_in: float | None = None
    records_out: float | None = None
    records_in_per_s: float | None = None
    lag: float | None = None
    observed_tpr: float | None = None
    back_pressure: float | None = None


class Sample(Struct, frozen=True, kw_only=True):
    """What a job reported at one instant. ``doubts`` names what makes it unfit for a scale-down; empty if nothing."""

    at: Millis
    vertices: Mapping[VertexId, VertexSample]
    gc_pressure: float | None = None
    heap_usage: float | None = None
    slots_used: float | None = None
    doubts: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Window:
    """Everything measured for one job that one decision may look at: samples oldest first, the last one is of now."""

    topology: Topology
    running_since: Millis
    samples: tuple[Sample, ...]

"""What happened before."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from msgspec import Struct

from autoscaler.model.base import Millis, VertexId, frozen


class Scaling(Struct, frozen=True, kw_only=True):
    """One past scaling of one vertex: true processing rate before it, and the rate expected after it."""

    at: Millis
    from_parallelism: int
    to_parallelism: int
    tpr: float | None = None
    expected_rate: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Restart:
    """One rescale's restart; ``duration_s`` in whole seconds, ``None`` until it is measured."""

    at: Millis
    duration_s: int | None = None


class DelayedRequest(Struct, frozen=True, kw_only=True):
    """A scale-down that was computed but held back."""

    at: Millis
    parallelism: int
    outside_bounds: bool


class DelayedScaleDown(Struct, frozen=True, kw_only=True):
    """Held-back scale-downs of one vertex since ``first``: rising ``at``, falling ``parallelism``."""

    first: Millis
    requests: tuple[DelayedRequest, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Need:
    """The most subtasks a vertex needed in a span that began ``at``; with more than ``ample`` it was too fast then."""

    at: Millis
    parallelism: int
    ample: int


@dataclass(frozen=True, slots=True, kw_only=True)
class History:
    """What the decision remembers of a job: past scalings and restarts oldest first, held-back scale-downs, and what
    each vertex needed of late, oldest first."""

    scalings: Mapping[VertexId, tuple[Scaling, ...]] = field(default_factory=lambda: frozen({}))
    restarts: tuple[Restart, ...] = ()
    delayed: Mapping[VertexId, DelayedScaleDown] = field(default_factory=lambda: frozen({}))
    needs: Mapping[VertexId, tuple[Need, ...]] = field(default_factory=lambda: frozen({}))

"""Valid values of the domain by default; a test names only what it is about.

The default job is one source ``a`` that reads 1,000 records/s at load 0.5 for the whole of a full window of six
samples, one a minute: at the target of 0.5 there is nothing to do.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from autoscaler.core import decide
from autoscaler.model import (
    Cluster,
    Decision,
    DelayedRequest,
    DelayedScaleDown,
    History,
    Input,
    Millis,
    Policy,
    Sample,
    Scaling,
    Topology,
    Vertex,
    VertexSample,
    Window,
)

SECOND = 1000
MINUTE = 60 * SECOND
HOUR = 60 * MINUTE
NOW = 1_760_000_400_000  # 2025-10-09 09:00:00 UTC, a Thursday
RUNNING_SINCE = NOW - 7 * MINUTE
WINDOW = 5 * MINUTE

Values = Mapping[str, float | Sequence[float | None] | None]


def a_policy(**changes: Any) -> Policy:
    """Return a policy without extras and delays, with a window of 5 min and 10 min to catch up."""
    defaults: dict[str, Any] = {
        "extras": False,
        "metrics_window": WINDOW,
        "stabilization_interval": MINUTE,
        "utilization_target": 0.5,
        "utilization_boundary": 0.1,
        "scale_up_grace_period": 0,
        "catch_up_duration": 10 * MINUTE,
        "restart_time": 0,
    }
    return Policy(**defaults | changes)


def a_vertex(id: str = "a", *inputs: str, strategy: str = "REBALANCE", **changes: Any) -> Vertex:  # noqa: A002
    """Return a vertex of parallelism 4 fed by ``inputs``; without inputs it is a source."""
    defaults: dict[str, Any] = {"id": id, "name": id, "parallelism": 4, "max_parallelism": 128}
    edges = tuple(Input(id=each, ship_strategy=strategy) for each in inputs)
    return Vertex(**defaults | {"inputs": edges} | changes)


def a_sample(at: Millis = NOW, **changes: Any) -> Sample:
    """Return a sample without vertices."""
    defaults: dict[str, Any] = {"at": at, "vertices": {}}
    return Sample(**defaults | changes)


def a_window(
    *vertices: Vertex,
    values: Mapping[str, Values] | None = None,
    job: Values | None = None,
    count: int = 6,
    running_since: Millis = RUNNING_SINCE,
    doubts: Sequence[str] = (),
) -> Window:
    """Return ``count`` samples, one a minute, the newest of now.

    ``values`` overrides what a vertex reports: a number holds for every sample, a list has one for each.
    """
    vertices = vertices or (a_vertex(),)
    samples = []
    for index in range(count):
        seen = {each.id: _vertex_sample(each, (values or {}).get(each.id, {}), index) for each in vertices}
        samples.append(
            Sample(
                at=NOW - (count - 1 - index) * MINUTE,
                vertices=seen,
                doubts=tuple(doubts) if index == 0 else (),
                **_at(job or {}, index),
            )
        )
    return Window(topology=Topology(vertices=vertices), running_since=running_since, samples=tuple(samples))


def _vertex_sample(vertex: Vertex, values: Values, index: int) -> VertexSample:
    read = 60_000.0 * index
    steady: dict[str, Any] = {
        "load": 0.5,
        "accumulated_busy_ms": 30_000.0 * vertex.parallelism * index,
        "records_in": read,
        "records_out": read,
        "lag": 0.0 if vertex.is_source else None,
    }
    return VertexSample(**steady | _at(values, index))


def _at(values: Values, index: int) -> dict[str, Any]:
    return {name: value[index] if isinstance(value, Sequence) else value for name, value in values.items()}


def counter(per_s: float, count: int = 6) -> list[float | None]:
    """Return a counter that moves at a rate, one value a minute."""
    return [per_s * 60 * index for index in range(count)]


def a_scaling(at: Millis = NOW - HOUR, **changes: Any) -> Scaling:
    """Return a scaling from 2 to 4 that was expected to double 1,000 records/s."""
    defaults: dict[str, Any] = {
        "at": at,
        "from_parallelism": 2,
        "to_parallelism": 4,
        "tpr": 1000.0,
        "expected_rate": 2000.0,
    }
    return Scaling(**defaults | changes)


def a_delay(*requests: tuple[Millis, int, bool], first: Millis | None = None) -> DelayedScaleDown:
    """Return held-back requests: when, to what parallelism, outside bounds or not."""
    kept = tuple(
        DelayedRequest(at=at, parallelism=parallelism, outside_bounds=outside) for at, parallelism, outside in requests
    )
    return DelayedScaleDown(first=requests[0][0] if first is None else first, requests=kept)


def a_decision(
    window: Window | None = None,
    history: History | None = None,
    cluster: Cluster | None = None,
    now: Millis = NOW,
    **policy: Any,
) -> Decision:
    """Return what is decided on a window, a full and steady one by default."""
    return decide(window or a_window(), history or History(), a_policy(**policy), cluster or Cluster(), now)

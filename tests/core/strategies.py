"""Arbitrary jobs, windows, histories and policies for properties."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import msgspec
from hypothesis import settings
from hypothesis import strategies as st

from autoscaler.model import (
    Alignment,
    BusyTimeAggregator,
    Cluster,
    DelayedRequest,
    DelayedScaleDown,
    History,
    Input,
    Need,
    Policy,
    Restart,
    Sample,
    Scaling,
    Topology,
    Vertex,
    VertexRule,
    VertexSample,
    Window,
)
from tests.core.builders import HOUR, MINUTE, NOW, RUNNING_SINCE, WINDOW

# A whole window takes long to draw.
few = settings(max_examples=min(80, settings().max_examples))

PLAUSIBLE = st.floats(0.0, 1e7)
RATIOS = st.floats(0.0, 1.2)
ANY_NUMBER = st.none() | st.sampled_from([0.0, 1.0, math.inf, -math.inf]) | st.floats(allow_nan=False)
PARALLELISM = st.integers(1, 300)
COUNTERS = ("accumulated_busy_ms", "records_in", "records_out")


@st.composite
def topologies(draw: st.DrawFn) -> Topology:
    """Return up to four vertices in topological order, each fed by any of those before it, or a source."""
    vertices: list[Vertex] = []
    for index in range(draw(st.integers(1, 4))):
        before = [vertex.id for vertex in vertices]
        fed_by = draw(st.lists(st.sampled_from(before), max_size=3)) if before else []
        parallelism = draw(PARALLELISM)
        vertices.append(
            Vertex(
                id=f"v{index}",
                name=f"vertex {index}",
                parallelism=parallelism,
                max_parallelism=draw(st.integers(parallelism, 1000)),
                inputs=tuple(
                    Input(id=each, ship_strategy=draw(st.sampled_from(["HASH", "FORWARD"]))) for each in fed_by
                ),
                finished=draw(st.booleans()) and draw(st.booleans()),
                slot_sharing_group=draw(st.sampled_from([None, "x", "y"])),
                source_partitions=draw(st.none() | st.integers(1, 400)),
            )
        )
    return Topology(vertices=tuple(vertices))


def vertex_samples(numbers: st.SearchStrategy[float | None]) -> st.SearchStrategy[VertexSample]:
    """Return what a vertex reports, every value any of ``numbers``."""
    return st.builds(
        VertexSample,
        **dict.fromkeys((*COUNTERS, "records_in_per_s", "lag", "observed_tpr"), numbers),
        load=RATIOS if numbers is PLAUSIBLE else numbers,
        back_pressure=RATIOS,
    )


@st.composite
def vertex_series(draw: st.DrawFn, numbers: st.SearchStrategy[float | None], length: int) -> list[VertexSample]:
    """Return what a vertex reports in each sample; mostly it keeps up and its counters rise, as counters should."""
    series = [draw(vertex_samples(numbers)) for _ in range(length)]
    if draw(st.booleans()):
        series = [msgspec.structs.replace(each, lag=0.0, observed_tpr=None) for each in series]
    if draw(st.integers(0, 3)) == 0:
        return series
    for counter in COUNTERS:
        values = [getattr(each, counter) for each in series]
        rising = iter(sorted(value for value in values if value is not None))
        series = [
            each if value is None else msgspec.structs.replace(each, **{counter: next(rising)})
            for each, value in zip(series, values, strict=True)
        ]
    return series


@st.composite
def windows(draw: st.DrawFn, numbers: st.SearchStrategy[float | None] = PLAUSIBLE) -> Window:
    """Return a window, mostly full, over arbitrary values."""
    topology = draw(topologies())
    ages = {*draw(st.lists(st.integers(1, 6), unique=True, max_size=2)), 0}
    if draw(st.integers(0, 3)) > 0:
        ages.add(WINDOW // MINUTE)
    series = {vertex.id: draw(vertex_series(numbers, len(ages))) for vertex in topology.vertices}
    samples = tuple(
        Sample(
            at=NOW - age * MINUTE,
            vertices={vertex_id: own[index] for vertex_id, own in series.items()},
            gc_pressure=draw(st.none() | RATIOS),
            heap_usage=draw(st.none() | RATIOS),
            doubts=("a counter is incomplete",) if draw(st.integers(0, 9)) == 0 else (),
        )
        for index, age in enumerate(sorted(ages, reverse=True))
    )
    return Window(topology=topology, running_since=RUNNING_SINCE, samples=samples)


@st.composite
def histories(draw: st.DrawFn, numbers: st.SearchStrategy[float | None] = PLAUSIBLE) -> History:
    """Return a history of any of the vertices a window may have."""
    names = st.sampled_from([f"v{index}" for index in range(5)])
    ages = st.lists(st.integers(1, 30 * HOUR), unique=True, max_size=4).map(lambda found: sorted(found, reverse=True))
    scalings: dict[str, tuple[Scaling, ...]] = {}
    delayed: dict[str, DelayedScaleDown] = {}
    for name in draw(st.lists(names, unique=True)):
        scalings[name] = tuple(
            Scaling(
                at=NOW - age,
                from_parallelism=draw(PARALLELISM),
                to_parallelism=draw(PARALLELISM),
                tpr=draw(numbers),
                expected_rate=draw(numbers),
            )
            for age in draw(ages)
        )
    for name in draw(st.lists(names, unique=True)):
        at = draw(ages) or [HOUR]
        falling = sorted(draw(st.lists(PARALLELISM, min_size=len(at), max_size=len(at), unique=True)), reverse=True)
        requests = tuple(
            DelayedRequest(at=NOW - age, parallelism=each, outside_bounds=draw(st.booleans()))
            for age, each in zip(at, falling, strict=True)
        )
        delayed[name] = DelayedScaleDown(first=requests[0].at, requests=requests)
    restarts = tuple(Restart(at=NOW - age, duration_s=draw(st.none() | st.integers(0, 2000))) for age in draw(ages))
    needs = {
        name: tuple(Need(at=NOW - age, parallelism=draw(PARALLELISM), ample=draw(PARALLELISM)) for age in draw(ages))
        for name in draw(st.lists(names, unique=True))
    }
    noted = {name: several for name, several in needs.items() if several}
    return History(scalings=scalings, restarts=restarts, delayed=delayed, needs=noted)


def vertex_rules() -> st.SearchStrategy[Mapping[str, VertexRule]]:
    """Return what rules may say of any of the vertices a window may have, followers in any constellation included."""
    names = st.sampled_from([f"v{index}" for index in range(5)])
    said = st.builds(
        VertexRule,
        min_parallelism=st.none() | PARALLELISM,
        max_parallelism=st.none() | PARALLELISM,
        excluded=st.none() | st.booleans(),
        utilization=st.none() | st.floats(0.01, 1.0),
        keep_equal_to=st.none() | names,
    )
    return st.just({}) | st.dictionaries(names, said, max_size=4)


def policies(**changes: Any) -> st.SearchStrategy[Policy]:
    """Return any policy a user may write, with a window of 5 minutes; ``changes`` are values or strategies."""
    fields: dict[str, Any] = {
        "extras": st.booleans(),
        "metrics_window": WINDOW,
        "stabilization_interval": st.sampled_from([0, MINUTE]),
        "utilization_target": RATIOS,
        "utilization_boundary": st.floats(0.0, 0.3) | RATIOS,
        "utilization_max": st.none() | st.none() | RATIOS,
        "utilization_min": st.none() | st.none() | RATIOS,
        "scale_down_interval": st.sampled_from([0, HOUR]),
        "scale_up_grace_period": st.sampled_from([0, HOUR]),
        "min_parallelism": st.integers(0, 20),
        "max_parallelism": st.integers(1, 400),
        "scale_down_max_factor": st.sampled_from([0.0, 0.3, 0.6, 1.0, 1.5]),
        "scale_up_max_factor": st.sampled_from([0.0, 0.5, 2.0, 1e5, 1e300]),
        "catch_up_duration": st.sampled_from([0, 400, 90_500, 30 * MINUTE]),
        "restart_time": st.integers(0, HOUR),
        "restart_time_tracking": st.booleans(),
        "effectiveness_detection": st.booleans(),
        "gc_pressure_threshold": st.sampled_from([0.5, 1.0]),
        "history_max_count": st.integers(0, 5),
        "busy_time_aggregator": st.sampled_from(BusyTimeAggregator),
        "excluded_vertices": st.frozensets(st.sampled_from(["v0", "v1"]), max_size=1),
        "quota_cpu": st.none() | st.floats(0.0, 1000.0),
        "quota_memory": st.none() | st.integers(0, 10**12),
        "alignment": st.sampled_from(Alignment),
        "observed_scalability": st.booleans(),
        "observed_scalability_min_observations": st.integers(1, 4),
        "vertex_rules": vertex_rules(),
    }
    return st.builds(
        Policy,
        **{
            name: value if isinstance(value, st.SearchStrategy) else st.just(value)
            for name, value in (fields | changes).items()
        },
    )


CLUSTERS = st.builds(
    Cluster,
    task_manager_cpu=st.none() | st.floats(0.0, 64.0),
    task_manager_memory=st.none() | st.integers(0, 10**12),
    slots_per_task_manager=st.integers(1, 8),
)

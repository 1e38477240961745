"""Whatever the model can hold comes back exactly."""

from __future__ import annotations

import math
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from autoscaler.model import (
    Decision,
    History,
    JobKey,
    JobStatus,
    Life,
    Request,
    RequestKind,
    Sample,
    Topology,
    VertexSample,
    frozen,
)
from autoscaler.store import open_store
from autoscaler.store.codec import dump, load, pack, pack_sample, unpack, unpack_sample
from tests.store.builders import ROOMY, T0, a_topology

NAMES = st.text(max_size=12) | st.sampled_from(["Größe ✓ 日本", "\x00", "\ud800", "a\"'\\", "Infinity"])
NUMBERS = st.none() | st.floats(allow_nan=False) | st.just(math.inf)
IDS = st.lists(NAMES, unique=True, max_size=40)


def of(kind: Any) -> st.SearchStrategy[Any]:
    """Any value of a type of the model."""
    return st.from_type(kind)


st.register_type_strategy(str, NAMES)
st.register_type_strategy(float, st.floats(allow_nan=False))


def exact(value: Any) -> str:
    """A text that differs where two values differ, the sign of a zero included."""
    return repr(dump(value))


@st.composite
def samples(draw: st.DrawFn) -> tuple[tuple[str, ...], Sample]:
    order = tuple(draw(IDS))
    present = [vertex for vertex in order if draw(st.booleans())]
    vertex_samples = st.builds(VertexSample, **dict.fromkeys(VertexSample.__struct_fields__, NUMBERS))
    vertices = frozen({vertex: draw(vertex_samples) for vertex in present})
    doubts = tuple(draw(st.lists(NAMES, max_size=2)))
    return order, Sample(at=draw(st.integers(0, 2**53)), vertices=vertices, gc_pressure=draw(NUMBERS), doubts=doubts)


@given(samples())
def test_samples_round_trip(drawn: tuple[tuple[str, ...], Sample]) -> None:
    """A sample of any vertices comes back bit by bit, infinity, absence and negative zero included."""
    order, sample = drawn
    again = unpack_sample(order, sample.at, pack_sample(order, sample))
    assert again == sample
    assert repr(again) == repr(sample)


@given(st.data(), st.sampled_from([Topology, History, Decision, Request, JobStatus]))
def test_values_round_trip(data: st.DataObject, kind: Any) -> None:
    """A topology, history, decision, request or status comes back as it was."""
    value = data.draw(of(kind))
    again = load(kind, unpack(pack(dump(value))))
    assert again == value
    assert exact(again) == exact(value)


@settings(max_examples=15)
@given(NAMES, NAMES, NAMES, IDS.filter(bool))
def test_any_name_is_a_key(cluster: str, application: str, job: str, ids: list[str]) -> None:
    """Jobs and vertices may have any name that JSON can hold."""
    key = JobKey(cluster=cluster, application=application, job=job)
    store = open_store("sqlite://", ROOMY, T0).store
    sample = Sample(at=T0, vertices=frozen({vertex: VertexSample(lag=math.inf) for vertex in ids}))
    store.append_sample(key, a_topology(ids), T0, sample)
    window = store.window(key, 0)
    store.close()
    assert window is not None
    assert window.samples == (sample,)
    assert window.topology == a_topology(ids)


def test_fields_of_another_version_are_no_obstacle() -> None:
    """A field this version does not know is skipped; one that was not stored has its default."""
    assert load(History, {"invented": 1, "restarts": [{"at": 5, "also": []}]}).restarts[0].at == 5


def test_a_request_of_an_older_version_is_read() -> None:
    """What was stored before requests had a life was of our own choice, and has none."""
    stored = {
        "key": {"cluster": "c", "application": "a", "job": "j"},
        "application_id": "application_1_0001",
        "job_id": "1",
        "decided_at": T0,
        "reason": "sink 1→2",
        "before": [["sink"], [1]],
        "target": [["sink"], [2]],
        "requirements": [["sink"], {"lower": [1], "upper": [2]}],
        "running_since": T0,
        "state": "NOT_ACHIEVED",
    }
    request = load(Request, stored)
    assert (request.kind, request.life, request.transitions) == (RequestKind.SCALE, Life(), ())
    assert dump(request) == stored

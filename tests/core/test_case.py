"""Decision cases: documents in, documents out."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from autoscaler.case import Case, CaseError, answer, decide_case, read_case, write_case
from autoscaler.core import decide
from autoscaler.model import Alignment, History, Input, Policy, VertexRule, Window
from tests.core.builders import NOW, a_decision, a_policy, a_vertex, a_window
from tests.core.strategies import ANY_NUMBER, few, histories, vertex_rules, windows

PREFIX = "job.autoscaler."
CONFIG = {
    "job.autoscaler.metrics.window": "5 min",
    "job.autoscaler.stabilization.interval": "1 min",
    "job.autoscaler.scaling.parallelism-alignment.mode": "OFF",
    "job.autoscaler.quota.cpu": "4",
    "taskmanager.numberOfTaskSlots": "2",
    "taskmanager.memory.process.size": "1 gb",
}


A = {"id": "a", "parallelism": 4, "max_parallelism": 128}


def a_case(**changes: Any) -> dict[str, Any]:
    """Return a small case: a source with the least it may have."""
    case: dict[str, Any] = {
        "name": "small",
        "profile": "apache",
        "config": CONFIG,
        "now": NOW,
        "running_since": NOW - 600_000,
        "vertices": [A],
        "samples": [
            {"at": NOW - 300_000, "vertices": {"a": {"load": 1, "records_in": 0, "lag": 0}}, "job": {}},
            {"at": NOW, "vertices": {"a": {"load": 0.5, "records_in": 3e5, "lag": None}}},
        ],
    }
    return case | changes


def test_read_the_least() -> None:
    """What may be absent is absent, and what has a default gets it."""
    case = read_case(a_case())
    vertex = case.window.topology.vertices[0]
    assert (vertex.name, vertex.inputs, vertex.finished, vertex.source_partitions) == ("a", (), False, None)
    assert case.window.samples[1].vertices["a"].lag is None
    assert case.window.samples[1].gc_pressure is None
    assert (case.history, case.now, case.name) == (History(), NOW, "small")
    assert (case.cluster.task_manager_cpu, case.cluster.slots_per_task_manager) == (None, 2)
    assert case.cluster.task_manager_memory == 2**30
    assert (case.policy.alignment, case.policy.quota_cpu, case.policy.extras) == (Alignment.OFF, 4.0, False)


def test_read_is_tolerant() -> None:
    """Infinity is a string, NaN is absent, unknown keys are ignored, strategies may be in any case."""
    vertices = [
        {"id": "b", "parallelism": 1, "max_parallelism": 8, "inputs": [{"id": "a", "ship_strategy": "hash"}]},
        {"id": "c", "parallelism": 1, "max_parallelism": 8, "inputs": [{"id": "b"}], "source_partitions": 0},
        {"id": "a", "parallelism": 4, "max_parallelism": 128},
    ]
    values = {"observed_tpr": "Infinity", "lag": math.nan, "records_in": "-Infinity", "remark": "?", "load": 1}
    samples = [{"at": NOW, "vertices": {"a": values}, "job": {"heap_usage": "Infinity"}, "doubts": ["x"]}]
    case = read_case(a_case(vertices=vertices, samples=samples, task_manager_cpu=math.nan, why="any"))
    a, b, c = case.window.topology.vertices
    assert (a.id, b.inputs) == ("a", (Input(id="a", ship_strategy="HASH"),))
    assert (c.inputs, c.source_partitions) == ((Input(id="b", ship_strategy=""),), None)
    sample = case.window.samples[0]
    assert (sample.heap_usage, sample.doubts) == (math.inf, ("x",))
    assert sample.vertices["a"].observed_tpr == math.inf
    assert sample.vertices["a"].records_in == -math.inf
    assert sample.vertices["a"].lag is None
    assert case.cluster.task_manager_cpu is None


def test_config_values_need_not_be_text() -> None:
    """A number or boolean in the configuration is read as flink-conf would have it."""
    policy = read_case(a_case(config={"job.autoscaler.scaling.enabled": False, "job.autoscaler.quota.cpu": 3})).policy
    assert (policy.scaling_enabled, policy.quota_cpu) == (False, 3.0)


def test_a_config_value_may_be_null() -> None:
    """An option that is null is one that was left out."""
    said = a_case(config={"job.autoscaler.metrics.window": None, "taskmanager.numberOfTaskSlots": None})
    assert read_case(said).policy == read_case(a_case(config={})).policy


@pytest.mark.parametrize(
    ("profile", "extras", "expected"), [("emr", None, True), ("emr", False, False), (None, None, True)]
)
def test_extras(profile: str | None, extras: bool | None, expected: bool) -> None:
    """Extras are as the profile says unless switched."""
    assert read_case(a_case(profile=profile), extras).policy.extras is expected


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        pytest.param({"vertices": None}, "vertices is None: Expected `array`, got `null`", id="no-vertices"),
        pytest.param({"vertices": [{"id": "a"}]}, "vertices.0.parallelism is missing", id="no-parallelism"),
        pytest.param({"vertices": [A | {"parallelism": 0}]}, "parallelism is 0: Expected `int` >= 1", id="none"),
        pytest.param({"vertices": [A, A]}, "two vertices have the id a", id="twice"),
        pytest.param({"samples": [3]}, "samples.0 is 3", id="sample-is-a-number"),
        pytest.param({"samples": [{"at": 1, "vertices": {"a": {"load": "x"}}}]}, "a.load is 'x'", id="load-is-a-word"),
        pytest.param({"now": "soon"}, "now is 'soon'", id="no-time"),
        pytest.param({"now": math.inf}, "now is inf", id="no-end-of-time"),
        pytest.param({"profile": "other"}, "other", id="unknown-profile"),
        pytest.param({"config": {"job.autoscaler.metrics.window": "x"}}, "metrics.window", id="bad-option"),
        pytest.param({"config": [1]}, "config is [1]", id="config-is-a-list"),
        pytest.param({"now": 10**400}, "now is 1000", id="beyond-all-times"),
        pytest.param({"samples": [{"at": -(10**400), "vertices": {}}]}, "samples.0.at is", id="before-all-times"),
        pytest.param({"vertices": [A | {"id": ["a"]}]}, "vertices.0.id is ['a']", id="id-is-a-list"),
        pytest.param({"vertices": [A | {"source_partitions": "many"}]}, "many", id="partitions-are-a-word"),
        pytest.param({"vertices": [A | {"source_partitions": [1]}]}, "is [1]", id="partitions-are-a-list"),
        pytest.param({"vertices": [A | {"max_parallelism": 10**30}]}, "max_parallelism is", id="too-parallel"),
        pytest.param(
            {"vertices": [A | {"source_partitions": 2**62}]}, "source_partitions is 46116", id="no-end-of-them"
        ),
        pytest.param({"vertices": [A | {"inputs": [{"id": "b"}]}]}, "unknown input b", id="unknown-input"),
        pytest.param({"vertices": [A | {"inputs": [{"id": "a"}]}]}, "in a circle: a, a", id="circle"),
        pytest.param({"restarts": [{"at": 1, "duration_s": 10**400}]}, "duration_s is", id="endless-restart"),
        pytest.param({"vertex_rules": {"a": {"min": "few"}}}, "few", id="bad-rule"),
        pytest.param({"vertex_rules": ["a"]}, "vertex_rules is ['a']", id="rules-are-a-list"),
    ],
)
def test_what_is_no_case(changes: dict[str, Any], says: str) -> None:
    """A document that is no case is answered by its name and what is wrong with it."""
    found = decide_case(a_case(**changes))
    assert found["name"] == "small"
    assert found.keys() == {"name", "error"}
    assert says in found["error"]


@pytest.mark.parametrize("form", [json.dumps, dict], ids=["text", "document"])
def test_the_value_at_fault_is_named(form: Any) -> None:
    """Of many values the first that is wrong is named, with the way to it, and the document stays as it is."""
    values = {"a": {"load": 0.5}, "b": {"load": "Infinity", "lag": "much"}, "c": {"lag": True}}
    case = a_case(samples=[{"at": 1, "vertices": {}}, {"at": 2, "vertices": values}])
    assert decide_case(form(case))["error"].startswith("samples.1.vertices.b.lag is 'much': Expected `float | null`")
    assert list(values) == ["a", "b", "c"]


def test_numbers_as_python_writes_them() -> None:
    """A text with infinity and what is no number as Python writes them, which JSON does not know, is read."""
    samples = [{"at": NOW, "vertices": {"a": {"load": math.inf, "lag": math.nan, "records_in": 1}}}]
    vertex = read_case(json.dumps(a_case(samples=samples))).window.samples[0].vertices["a"]
    assert (vertex.load, vertex.lag, vertex.records_in) == (math.inf, None, 1.0)


@pytest.mark.parametrize(
    "text",
    ["", "{", "[]", "3", "null", "[" * 100_000, '{"now": ' + "[" * 100_000, b'{"name": "\xff"}', '{"name": "\\ud800"}'],
)
def test_what_is_no_document(text: str | bytes) -> None:
    """A line that is not JSON, not UTF-8, or no object, is answered too."""
    assert decide_case(text).keys() == {"name", "error"}
    assert decide_case(text)["name"] is None


@pytest.mark.parametrize(
    "changes", [{"slot_sharing_group": ["x"]}, {"source_partitions": -1}, {"source_partitions": 7.0}, {"name": None}]
)
def test_odd_values_of_a_vertex_are_decided_on(changes: dict[str, Any]) -> None:
    """What can be made sense of is answered, with a quota and a change that looks at it too."""
    found = decide_case(a_case(vertices=[A | changes], config=CONFIG | {PREFIX + "vertex.min-parallelism": "0"}))
    assert "reason" in found


def test_a_case_too_odd_to_decide_on_keeps_its_name() -> None:
    """A line that is JSON is answered under the name it carries, whatever else is wrong with it."""
    assert decide_case('{"name": "x"}') == {"name": "x", "error": "now is missing"}


def test_what_is_not_a_number_is_absent() -> None:
    """A number written as NaN, bare or as a text, is one that is not known."""
    samples = [{"at": NOW, "vertices": {"a": {"load": math.nan, "lag": "NaN"}}, "job": {"heap_usage": math.nan}}]
    case = read_case(a_case(samples=samples))
    assert case == read_case(a_case(samples=[{"at": NOW, "vertices": {"a": {}}}]))
    assert case == read_case(json.dumps(a_case(samples=samples)))


def test_rules_of_vertices_are_part_of_a_case() -> None:
    """A case holds what rules say of its vertices, every part of which may be absent."""
    rules = {"a": {"min": 2, "max": 3, "exclude": False, "utilization": 0.5, "keep_equal_to": "b"}, "b": {}}
    assert read_case(a_case(vertex_rules=rules)).policy.vertex_rules == {
        "a": VertexRule(min_parallelism=2, max_parallelism=3, excluded=False, utilization=0.5, keep_equal_to="b"),
        "b": VertexRule(),
    }


def test_the_order_of_samples_is_that_of_their_times() -> None:
    """Samples count by their times, in whatever order a case lists them, as past scalings and restarts do."""
    samples = a_case()["samples"]
    assert read_case(a_case(samples=samples[::-1])) == read_case(a_case())


def test_a_missing_key_is_named() -> None:
    """What is missing is said."""
    with pytest.raises(CaseError, match="now is missing"):
        read_case({"vertices": [], "samples": [], "running_since": 0})


def test_answer_text_to_text() -> None:
    """A case is answered with every number its decision rests on, as JSON can hold it."""
    found = json.loads(
        json.dumps(decide_case(json.dumps(a_case(config=CONFIG | {"job.autoscaler.restart.time": "0"}))))
    )
    assert found == {
        "name": "small",
        "error": "no rate of records or lag is known for the source a",
        "reason": "ERROR",
        "rescale": False,
        "parallelism": {"a": 4},
        "vertices": {},
        "job": {},
        "delayed_scale_down": {},
        "events": [{"reason": "AutoscalerError", "vertex": None}],
    }


def test_answer_of_a_change() -> None:
    """A change is told with what it is expected to bring; an infinite number is a string."""
    found = answer(
        a_decision(a_window(values={"a": {"load": 0.8}}, job={"gc_pressure": 0.1}), utilization_min=0.0), "x"
    )
    assert found["vertices"] == {
        "a": {
            "tpr": 1250.0,
            "target_rate": 1000.0,
            "catch_up_rate": 0.0,
            "load": 0.8,
            "scale_up_threshold": 1667.0,
            "scale_down_threshold": "Infinity",
            "expected_rate": 2187.5,
        }
    }
    assert found["job"] == {"gc_pressure": 0.1, "heap_usage": None}
    assert (found["reason"], found["parallelism"]) == ("SCALE", {"a": 7})
    assert "error" not in found


def test_answer_with_a_negative_infinity() -> None:
    """A rate that runs backwards infinitely fast is written as such."""
    window = a_window(values={"a": {"load": 0.0, "records_in": [-60.0 * index for index in range(6)]}})
    assert answer(a_decision(window), None)["vertices"]["a"]["tpr"] == "-Infinity"


@few
@given(windows(ANY_NUMBER), histories(ANY_NUMBER), st.none() | st.floats(0.1, 64.0), vertex_rules())
def test_what_is_written_is_read_back(
    window: Window, history: History, cpu: float | None, rules: Mapping[str, VertexRule]
) -> None:
    """An export holds everything a decision depends on."""
    base = read_case(a_case(task_manager_cpu=cpu))
    case = Case(window, history, replace(base.policy, vertex_rules=rules), base.cluster, NOW, "export")
    document = json.loads(json.dumps(write_case(case, "apache", CONFIG)))
    found = read_case(document)
    assert found == case
    assert decide_case(document) == answer(decide(*case[:5]), "export")


def test_a_policy_for_tests_is_a_policy() -> None:
    """The builders' policy names fields that exist."""
    assert isinstance(a_policy(), Policy)
    assert a_vertex("b", "a").inputs == (Input(id="a", ship_strategy="REBALANCE"),)


def test_a_line_of_a_recording_is_answered_as_its_case() -> None:
    """What is expected stands beside the case there, and plays no part."""
    recorded = json.dumps({"case": {"name": "bad", "now": "x"}, "expected": {}})
    assert decide_case(recorded)["error"].startswith("now is 'x'")

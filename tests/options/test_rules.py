"""Rules set options of jobs and limits of vertices by pattern; later rules win."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

import pytest
import yaml

from autoscaler.model import Input, Policy, Topology, Vertex, VertexRule
from autoscaler.options import Severity, policy, resolve
from autoscaler.options.rules import (
    KnownJob,
    Rules,
    fits,
    job_layers,
    parse_rules,
    policy_for,
    unmatched,
    vertex_rules,
)

FILE = "conf/autoscaler.yaml"


def vertex(vertex_id: str, name: str, *inputs: str) -> Vertex:
    edges = tuple(Input(id=other, ship_strategy="HASH") for other in inputs)
    return Vertex(id=vertex_id, name=name, parallelism=1, max_parallelism=128, inputs=edges)


TOPOLOGY = Topology(
    vertices=(
        vertex("a1", "Source: orders"),
        vertex("a2", "Source: prices"),
        vertex("b1", "enrich", "a1", "a2"),
        vertex("c1", "Sink: kafka", "b1"),
    )
)
ORDERS = KnownJob(application="orders-eu", job="daily", topology=TOPOLOGY)


def parsed(text: str) -> Rules:
    rules = parse_rules(yaml.safe_load(text), FILE)
    assert rules.problems == ()
    return rules


def one(match: dict[str, Any], settings: dict[str, Any]) -> Rules:
    return parse_rules([{"match": match, "set": settings}], FILE)


@pytest.mark.parametrize(
    ("pattern", "text", "expected"),
    [
        ("orders-*", "orders-eu", True),
        ("orders-*", "my-orders-eu", False),
        ("Orders-*", "orders-eu", False),
        ("orders-??", "orders-eu", True),
        ("re:orders-(eu|us)", "orders-us", True),
        ("re:orders", "orders-us", False),
        ("re:.*us", "orders-us", True),
    ],
)
def test_patterns(pattern: str, text: str, expected: bool) -> None:
    """A glob or a regular expression must fit the whole text, case included."""
    assert fits(pattern, text) is expected


JOB_RULES = """
- match: {application: "orders-*"}
  set:
    metrics.window: 5 min
    job.autoscaler.utilization.target: 0.6
    scaling.enabled: false
    vertex.max-parallelism: 32
    excluded.periods: ["0 0 9 * * ?", "9:30-10:30;x", "'q'", "", " b"]
- match: {application: "orders-eu", job: "re:daily|hourly"}
  set: {target.utilization: 0.5}
- match: {job: other}
  set: {metrics.window: 1 min}
- set: {restart.time: 1 min}
- match: {vertex: enrich}
  set: {max: 2}
"""


def test_job_rules_are_layers() -> None:
    """Each rule that matches a job is a layer of its own, so that later rules win whatever names they use."""
    layers = job_layers(parsed(JOB_RULES).rules, "orders-eu", "daily")
    assert [layer.name for layer in layers] == [f"{FILE}: rules[{index}]" for index in (0, 1, 3)]
    resolved = resolve(layers)
    wanted = policy(resolved.flat())
    assert wanted.utilization_target == 0.5
    assert wanted.metrics_window == 300_000
    assert wanted.scaling_enabled is False
    assert wanted.max_parallelism == 32
    assert wanted.restart_time == 60_000
    assert wanted.excluded_periods == ("0 0 9 * * ?", "9:30-10:30;x", "'q'", "", " b")
    assert resolved.settings["job.autoscaler.utilization.target"].source == f"{FILE}: rules[1]"
    assert resolved.settings["job.autoscaler.utilization.target"].shadows[0].source == f"{FILE}: rules[0]"


def test_other_jobs_get_other_rules() -> None:
    """A job gets only what its own names match."""
    (layer,) = job_layers(parsed(JOB_RULES).rules, "payments", "daily")
    assert list(layer.entries) == ["job.autoscaler.restart.time"]


VERTEX_RULES = """
- match: {role: source}
  set: {min: 2, max: 12}
- match: {vertex: "Source: prices"}
  set: {keep-equal-to: "Source: o*", max: 6}
- match: {vertex: "*", role: sink, application: "orders-*"}
  set: {exclude: true}
- match: {id: b1, job: daily}
  set: {utilization: 0.5, keep-equal-to: c1}
- match: {id: b1, job: weekly}
  set: {utilization: 0.9}
"""


def test_vertex_rules() -> None:
    """What rules say of a vertex adds up over all that match it, the later value winning."""
    assert vertex_rules(parsed(VERTEX_RULES).rules, "orders-eu", "daily", TOPOLOGY) == {
        "a1": VertexRule(min_parallelism=2, max_parallelism=12),
        "a2": VertexRule(min_parallelism=2, max_parallelism=6, keep_equal_to="a1"),
        "b1": VertexRule(utilization=0.5, keep_equal_to="c1"),
        "c1": VertexRule(excluded=True),
    }


def test_the_policy_of_a_job_with_vertex_rules() -> None:
    """Once the vertices of a job are known, its policy holds what rules say of them."""
    rules = parsed(VERTEX_RULES).rules
    wanted = policy_for(Policy(max_parallelism=40), rules, "orders-eu", "daily")
    found = wanted(TOPOLOGY)
    assert found.max_parallelism == 40
    assert found.vertex_rules == vertex_rules(rules, "orders-eu", "daily", TOPOLOGY)
    assert wanted(Topology(vertices=tuple(TOPOLOGY.vertices))) is found
    assert wanted(Topology(vertices=TOPOLOGY.vertices[:1])).vertex_rules.keys() == {"a1"}


def test_the_policy_of_a_job_without_vertex_rules() -> None:
    """A job whose vertices no rule is about keeps its policy as it is."""
    given = Policy()
    assert policy_for(given, one({"job": "weekly", "id": "*"}, {"min": 2}).rules, "x", "daily")(TOPOLOGY) is given
    assert policy_for(given, one({"job": "*"}, {"metrics.window": "1 min"}).rules, "x", "daily")(TOPOLOGY) is given


def test_a_vertex_alone_is_source_and_sink() -> None:
    """A job of one vertex is matched by both roles."""
    topology = Topology(vertices=(vertex("a1", "all"),))
    for role in ("source", "sink"):
        assert vertex_rules(one({"role": role}, {"min": 2}).rules, "x", "y", topology)


def test_job_rules_say_nothing_of_vertices() -> None:
    """A rule for jobs leaves their vertices alone."""
    assert vertex_rules(one({"job": "*"}, {"metrics.window": "1 min"}).rules, "x", "y", TOPOLOGY) == {}


@pytest.mark.parametrize(
    ("match", "settings", "message"),
    [
        pytest.param({"application": "payments"}, {"metrics.window": "1 min"}, "matches no job", id="no-job"),
        pytest.param({"job": "daily"}, {"metrics.window": "1 min"}, None, id="a-job"),
        pytest.param({"job": "daily", "vertex": "Sink: s3"}, {"min": 2}, "matches no vertex", id="no-vertex"),
        pytest.param({"id": "b1"}, {"min": 2}, None, id="a-vertex"),
        pytest.param({"id": "b1"}, {"keep-equal-to": "Sink: *"}, None, id="another-vertex"),
        pytest.param({"id": "b1"}, {"keep-equal-to": "enrich"}, "'enrich' matches no other vertex", id="itself"),
    ],
)
def test_rules_that_match_nothing(match: dict[str, str], settings: dict[str, Any], message: str | None) -> None:
    """A rule that matches nothing of what runs is a warning that names it."""
    found = unmatched(one(match, settings).rules, [ORDERS])
    if message is None:
        assert found == ()
    else:
        (problem,) = found
        assert (problem.severity, problem.source) == (Severity.WARNING, f"{FILE}: rules[0]")
        assert message in problem.message


@pytest.mark.parametrize(
    ("pairs", "named"),
    [
        pytest.param([("a1", "b1"), ("b1", "a1")], "Source: orders, enrich", id="two"),
        pytest.param([("a1", "b1"), ("b1", "c1"), ("c1", "a1")], "Source: orders, enrich, Sink: kafka", id="three"),
        pytest.param([("c1", "a1"), ("a1", "b1"), ("b1", "a1")], "Source: orders, enrich", id="one-behind-two"),
        pytest.param([("a1", "b1"), ("b1", "c1")], None, id="a-chain"),
    ],
)
def test_a_circle_of_vertices_kept_equal_is_a_warning(pairs: list[tuple[str, str]], named: str | None) -> None:
    """Where each vertex follows another nobody leads: the rules count for none of them, which is said."""
    written = [{"match": {"id": follower}, "set": {"keep-equal-to": leader}} for follower, leader in pairs]
    found = unmatched(parse_rules(written, FILE).rules, [ORDERS])
    if named is None:
        assert found == ()
    else:
        (problem,) = found
        assert problem.severity is Severity.WARNING
        assert problem.message.endswith(f"in a circle in orders-eu/daily, so it counts for none of {named}")


@pytest.mark.parametrize(
    ("rule", "where", "message"),
    [
        pytest.param("all", "", "expected a map, found 'all'", id="no-map"),
        pytest.param({"matches": {}}, ".matches", "did you mean match?", id="unknown-part"),
        pytest.param({"match": [], "set": {"min": 1}}, ".match", "expected a map", id="match-no-map"),
        pytest.param({"match": {"job": "x"}}, ".set", "does nothing", id="no-settings"),
        pytest.param(
            {"match": {"aplication": "x"}, "set": {"min": 1}},
            ".match.aplication",
            "did you mean application?",
            id="typo",
        ),
        pytest.param(
            {"match": {"queue": "x"}, "set": {"min": 1}},
            ".match.queue",
            "known here: application, job, vertex",
            id="unknown",
        ),
        pytest.param(
            {"match": {"job": 7}, "set": {"min": 1}}, ".match.job", "a pattern in quotes, found 7", id="number"
        ),
        pytest.param({"match": {"job": ""}, "set": {"min": 1}}, ".match.job", "a pattern in quotes", id="empty"),
        pytest.param({"match": {"job": "re:("}, "set": {"min": 1}}, ".match.job", "no regular expression", id="regex"),
        pytest.param(
            {"match": {"role": "map"}, "set": {"min": 1}}, ".match.role", "expected source or sink", id="role"
        ),
        pytest.param(
            {"set": {"metrics.windw": "1"}},
            ".set.metrics.windw",
            "did you mean job.autoscaler.metrics.window?",
            id="option",
        ),
        pytest.param({"set": {"max": 3}}, ".set.max", "say which in match, by one of vertex, role, id", id="no-vertex"),
        pytest.param({"set": {"zzz": "1"}}, ".set.zzz", "zzz is not an option", id="no-option"),
        pytest.param({"set": {"metrics.window": "x"}}, ".set.metrics.window", "write a duration", id="value"),
        pytest.param({"set": {"metrics.window": None}}, ".set.metrics.window", "expected a text", id="null"),
        pytest.param(
            {"set": {"excluded.periods": [{}]}}, ".set.excluded.periods", "expected a text", id="list-of-maps"
        ),
        pytest.param({"match": {"id": "a"}, "set": {"minimum": 1}}, ".set.minimum", "did you mean min?", id="limit"),
        pytest.param({"match": {"id": "a"}, "set": {"min": 0}}, ".set.min", "at least 1, found 0", id="min-zero"),
        pytest.param({"match": {"id": "a"}, "set": {"max": True}}, ".set.max", "whole number", id="max-true"),
        pytest.param({"match": {"id": "a"}, "set": {"max": "4"}}, ".set.max", "whole number", id="max-text"),
        pytest.param(
            {"match": {"id": "a"}, "set": {"min": 3, "max": 2}}, ".set.min", "3 is more than max", id="min-max"
        ),
        pytest.param({"match": {"id": "a"}, "set": {"exclude": "yes"}}, ".set.exclude", "true or false", id="exclude"),
        pytest.param({"match": {"id": "a"}, "set": {"utilization": 1.5}}, ".set.utilization", "up to 1", id="load"),
        pytest.param(
            {"match": {"id": "a"}, "set": {"utilization": True}}, ".set.utilization", "up to 1", id="load-true"
        ),
        pytest.param(
            {"match": {"id": "a"}, "set": {"utilization": "0.5"}}, ".set.utilization", "up to 1", id="load-text"
        ),
        pytest.param({"match": {"id": "a"}, "set": {"keep-equal-to": 1}}, ".set.keep-equal-to", "pattern", id="equal"),
    ],
)
def test_bad_rules(rule: object, where: str, message: str) -> None:
    """A rule that cannot be used is left out and named with file and path; the others stand."""
    rules = parse_rules([{"set": {"metrics.window": "1 min"}}, rule], FILE)
    assert len(rules.rules) == 1
    (problem,) = rules.problems
    assert (problem.severity, problem.source) == (Severity.ERROR, f"{FILE}: rules[1]{where}")
    assert message in problem.message
    (problem,) = parse_rules([{"set": {"metrics.window": "1 min"}}, rule], FILE, (7, 9)).problems
    assert problem.source == f"{FILE}:9: rules[1]{where}"


def test_no_rules() -> None:
    """A file without rules has none; something else than a list is an error."""
    assert parse_rules(None, FILE) == Rules(rules=(), problems=())
    wrong: tuple[object, ...] = ("all", {"match": {}})
    for written in wrong:
        (problem,) = parse_rules(written, FILE).problems
        assert str(problem) == f"{FILE}: rules: error: expected a list of rules"


def test_unknown_options_with_the_prefix_are_left_to_the_checks() -> None:
    """A full key nobody knows goes into the layer, where it is treated as in every other one."""
    (layer,) = job_layers(one({}, {"job.autoscaler.nothing": 1.5}).rules, "x", "y")
    assert layer.entries["job.autoscaler.nothing"].value == "1.5"


def test_the_example_in_the_settings_file() -> None:
    """The commented rules in conf/autoscaler.yaml can be used as they are."""
    lines = (Path(__file__).parents[2] / "conf" / "autoscaler.yaml").read_text(encoding="utf-8").splitlines()
    start = next(index for index, line in enumerate(lines) if line.startswith("#   - match:"))
    example = [line.removeprefix("#") for line in itertools.takewhile(lambda line: line[:1] == "#", lines[start:])]
    rules = parse_rules(yaml.safe_load("\n".join(example)), FILE)
    assert rules.problems == ()
    assert len(rules.rules) == 5

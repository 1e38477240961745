"""Sentences for people: numbers, durations, and why a decision is what it is."""

from __future__ import annotations

from dataclasses import replace

import pytest

from autoscaler.model import (
    Decision,
    Evaluation,
    Grant,
    Input,
    Limit,
    Outcome,
    Reason,
    Sizing,
    Topology,
    Vertex,
    frozen,
)
from autoscaler.telemetry import sentences
from autoscaler.telemetry.sentences import changes, explain, number, outcome, seconds, short_name, steps
from tests.store.builders import a_request

PLAN = Topology(
    vertices=(
        Vertex(id="s", name="Source: orders -> parse", parallelism=1, max_parallelism=8),
        Vertex(id="e", name="enrich", parallelism=2, max_parallelism=8, inputs=(Input(id="s", ship_strategy="HASH"),)),
    )
)


def decided(reason: Reason, wanted: int = 5, **changes: object) -> Decision:
    decision = Decision(
        at=0,
        reason=reason,
        rescale=reason is Reason.SCALE,
        parallelism=frozen({"s": 1, "e": wanted if reason is Reason.SCALE else 2}),
        advised=frozen({"s": 1, "e": wanted}),
        evaluations=frozen(
            {
                "s": Evaluation(tpr=9_000.0, target_rate=100.0),
                "e": Evaluation(tpr=400.0, target_rate=1_000.0, catch_up_rate=200.0),
            }
        ),
        sizings=frozen({"e": Sizing(current=2, parallelism=wanted, wanted=wanted, factor=2.5)}),
    )
    return replace(decision, **changes)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "-"),
        (0.0, "0"),
        (0.1234, "0.123"),
        (7.0, "7"),
        (123.4, "123"),
        (9_999.0, "9999"),
        (12_345.0, "12.3k"),
        (1_500_000.0, "1.5M"),
        (float("inf"), "no limit"),
        (float("-inf"), "-∞"),
    ],
)
def test_numbers(value: float | None, text: str) -> None:
    """Three digits are enough for a person; absent is a dash, never 0."""
    assert number(value) == text


@pytest.mark.parametrize(
    ("milliseconds", "text"),
    [(0, "0 s"), (-5, "0 s"), (59_400, "59 s"), (60_000, "1 min"), (250_000, "4 min 10 s"), (7_500_000, "2 h 5 min")],
)
def test_durations(milliseconds: int, text: str) -> None:
    """A duration is in the two units a person would use."""
    assert seconds(milliseconds) == text


def test_short_names() -> None:
    """A chain is known by its first operator, a source without Flink's prefix, and never by more than a line has."""
    assert short_name("Source: orders -> parse") == "orders"
    assert len(short_name("x" * 100)) == 32


def test_changes_are_named_by_vertex() -> None:
    """Only what differs is told."""
    assert changes(PLAN, {"s": 1, "e": 2}, {"s": 1, "e": 5}) == "enrich 2→5"


def test_vertices_of_one_name_are_told_apart() -> None:
    """Where several chains begin with operators of one name each has the beginning of its id beside it."""
    ids = {"a" * 32: "Join -> Map", "b" * 32: "Join -> Sink: x", "c" * 32: "Map"}
    plan = Topology(vertices=tuple(Vertex(id=i, name=n, parallelism=1, max_parallelism=8) for i, n in ids.items()))
    assert changes(plan, dict.fromkeys(ids, 1), dict(zip(ids, (2, 3, 4), strict=True))) == (
        "Join (aaaaaaaa) 1→2, Join (bbbbbbbb) 1→3, Map 1→4"
    )


@pytest.mark.parametrize(
    ("decision", "text"),
    [
        (decided(Reason.SCALE), "enrich 2→5: enrich is asked for 1000/s and 200/s to catch up, can do 400/s"),
        (decided(Reason.SCALING_DISABLED), "not applied: enrich 2→5"),
        (decided(Reason.WINDOW_NOT_FULL, full_at=90_000), "the metrics window is full in 1 min 30 s"),
        (decided(Reason.WINDOW_NOT_FULL), "the metrics window is filling"),
        (decided(Reason.NOT_READY), "fewer than two samples since the job runs stably"),
        (decided(Reason.MEMORY_PRESSURE, gc_pressure=0.5, heap_usage=0.91), "GC 0.5, heap 0.91: above the threshold"),
        (decided(Reason.ERROR, error="no rate is known"), "no rate is known"),
        (decided(Reason.STEADY, evaluations=frozen({}), sizings=frozen({})), "nothing was measured yet"),
    ],
    ids=lambda value: value.reason.value if isinstance(value, Decision) else "",
)
def test_every_decision_says_why(decision: Decision, text: str) -> None:
    """The sentence holds the change and the number that mattered most."""
    assert explain(decision, PLAN) == text


def test_a_vertex_that_holds_a_job_up_and_is_excluded_is_said_to_be() -> None:
    """Who excluded the bottleneck and forgot it reads why the job is left behind."""
    sizings = frozen({"e": Sizing(current=2, parallelism=2, limits=(Limit.EXCLUDED,))})
    said = explain(decided(Reason.STEADY, sizings=sizings), PLAN)
    assert said.endswith("can do 400/s, and is excluded by vertex.exclude.ids or a rule")


@pytest.mark.parametrize("reason", Reason)
def test_every_reason_has_a_sentence(reason: Reason) -> None:
    """No reason leaves a user without a word."""
    assert explain(decided(reason), PLAN)


def test_a_grant_is_said_with_wish_and_limit() -> None:
    """Of a cut wish one reads what is done, what was wanted, the limit, and what is not known."""
    grant = Grant(
        wanted=frozen({"s": 1, "e": 9}),
        granted=frozen({"s": 1, "e": 5}),
        slots=5,
        task_managers=3,
        new=2,
        beyond=1,
        limited_by="the queue is full",
        unknown=("queues",),
    )
    sizings = frozen({"e": Sizing(current=2, parallelism=2, wanted=9, limits=(Limit.CAPACITY,))})
    decision = decided(Reason.SCALE, parallelism=frozen({"s": 1, "e": 5}), sizings=sizings, grant=grant)
    said = explain(decision, PLAN)
    assert said.startswith("enrich 2→5: ")
    assert said.count("wanted") == 1
    assert "; wanted enrich 2→9, but the queue is full; 1 of 2 new TaskManagers beyond what the cluster" in said
    assert said.endswith("; not known: queues")


@pytest.mark.parametrize("limit", Limit)
def test_every_limit_has_words(limit: Limit) -> None:
    """Whatever held a vertex back can be said; a limit without words would fail the pass that meets it."""
    sizing = Sizing(current=2, parallelism=2, wanted=5, limits=(limit,))
    said = explain(decided(Reason.STEADY, sizings=frozen({"e": sizing})), PLAN)
    assert f"enrich 2→5 wanted, {sentences.LIMIT_WORDS[limit]}" in said
    assert sentences.LIMIT_WORDS[limit] in steps(sizing, Evaluation())


def test_an_outcome_says_what_it_cost() -> None:
    """Time, downtime, records processed again, TaskManagers before and after."""
    request = replace(a_request(), task_managers=2)
    result = Outcome(
        at=0, parallelism=frozen({}), took_ms=12_000, downtime_ms=3_000, replayed_records=12_345, task_managers=4
    )
    assert outcome(request, result) == (
        "reached in 12 s, 3 s without processing, about 12.3k records replayed, TaskManagers 2→4"
    )
    assert outcome(request, Outcome(at=0, parallelism=frozen({}), note="the job ended")) == "the job ended"


def test_steps_can_be_checked_on_paper() -> None:
    """The way of one vertex names every number between its rates and its parallelism."""
    sizing = Sizing(current=2, parallelism=4, wanted=5, factor=2.5, limits=(Limit.MAX_PARALLELISM,))
    assert steps(sizing, Evaluation(tpr=400.0, target_rate=1_000.0, catch_up_rate=0.0)) == (
        "target 1000/s + catch-up 0/s, true processing rate 400/s, factor 2.500, "
        "2 → wanted 5 → 4 (held at the maximum parallelism)"
    )


@pytest.mark.parametrize(
    ("limit", "words"),
    [(Limit.BACK_PRESSURE, "kept, it holds up what feeds it"), (Limit.MEMORY_PRESSURE, "kept, memory is short")],
)
def test_a_limit_is_told_as_it_is_meant(limit: Limit, words: str) -> None:
    """A vertex kept for the sake of its inputs is said to hold them up, not the other way round."""
    assert sentences.LIMIT_WORDS[limit] == words

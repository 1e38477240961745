"""Whole runs: the daemon's own loop on the simulated cluster, in virtual time."""

from __future__ import annotations

import math
import shlex
import sys
from dataclasses import replace

import pytest

from autoscaler.model import RequestState
from autoscaler.sim import PolicyError, ScenarioError, load_scenario, policy_named, shipped, simulate
from autoscaler.sim.record import Minute, Record
from autoscaler.sim.scores import estimate, ratios, score, summarized
from tests.sim.builders import SOURCE, T0, WORKER, a_scenario

pytestmark = pytest.mark.slow

OURS, NONE = policy_named("ours"), policy_named("none")
STEP = {"shape": "step", "low": 1_000, "high": 4_000, "up": 60, "down": 1_000}


def test_a_step_is_followed() -> None:
    """Four times the load: the worker grows, the lag drains, and nothing is broken on the way."""
    run = simulate(a_scenario(load=STEP), OURS, 1, hours=3)
    assert {request.state for request in run.requests} == {RequestState.ACHIEVED}
    last = run.record.minutes[-1]
    assert last.time_lag_s == 0
    assert 4_000 / 500 < last.parallelism[1] <= 16
    assert run.scores.broken_invariants == 0
    assert run.scores.v60_min_per_day > 0, "it took a while"


def test_a_load_that_swings_is_not_followed_down() -> None:
    """A wave of an hour whose peaks the job can carry restarts it not once, however idle it is in between."""
    run = simulate(load_scenario("cosine"), OURS, 1, hours=4)
    assert run.scores.rescales_per_day == 0
    assert run.scores.max_time_lag_s == 0


def test_a_job_whose_nodes_come_and_go_is_pinned() -> None:
    """A node is lost every 20 minutes and a new one comes: from the second time on the job waits for it with less, and
    is not restarted when it comes."""
    cluster = {"nodes": 3, "max_nodes": 4, "node_gb": 18}
    lost = [{"kind": "node-lost", "at": minute} for minute in (40, 60, 80)]
    steady = {"shape": "steady", "rate": 6_000}
    scenario = a_scenario(load=steady, job={"start_parallelism": 18}, cluster=cluster, faults=lost)
    ours, none = (simulate(scenario, policy, 3, hours=2) for policy in (OURS, NONE))
    (pin,) = ours.requests
    assert pin.text.startswith("pinned, as its parallelism changed 3 times and more within an hour")
    assert pin.state is RequestState.ACHIEVED
    grown = [[sum(c.after.values()) > sum(c.before.values()) for c in run.record.changes] for run in (ours, none)]
    assert [sum(each) for each in grown] == [4, 6]
    assert ours.scores.broken_invariants == 0


def test_a_trouble_that_had_begun_before_does_not_undo_a_growth() -> None:
    """Grown because a vertex sends four times as much, a job that still lags grows on instead of being rolled back."""
    run = simulate(load_scenario("no-signal"), OURS, 1, hours=7)
    assert not [request for request in run.requests if request.text.startswith("rolled back")]
    assert run.scores.broken_invariants == 0


def test_without_anybody_lag_accrues() -> None:
    """Nobody acts: the parallelism stays, and the lag grows by what is missing."""
    run = simulate(a_scenario(load=STEP), NONE, 1, hours=2)
    assert run.scores.rescales_per_day == 0
    assert run.scores.calls_per_job_hour == 0
    assert run.record.minutes[-1].lag == pytest.approx(60 * 60 * (4_000 - 2_000), rel=1e-3)


def test_static_peak_has_no_lag_and_pays_for_it() -> None:
    """Sized for the largest load, it holds many slots and never falls behind."""
    run = simulate(a_scenario(load=STEP), policy_named("static-peak"), 1, hours=2)
    assert run.scores.max_time_lag_s == 0
    assert run.record.minutes[0].held >= 4_000 / 500 / 0.7


def test_a_run_is_a_function_of_scenario_settings_and_seed() -> None:
    """Twice the same gives the same to the last digit; another seed meets another cluster."""
    scenario = a_scenario(load=STEP | {"noise": 0.05}, job={"noise": 0.05, "downtime_s": 20})
    first, second, other = (simulate(scenario, OURS, seed, hours=2) for seed in (1, 1, 2))
    assert first.scores == second.scores
    assert first.record.minutes == second.record.minutes
    assert first.record.changes == second.record.changes
    assert first.scores != other.scores


def test_policies_meet_the_same_load() -> None:
    """Whatever a policy does, what arrives is the same in every minute."""
    scenario = a_scenario(load=STEP | {"noise": 0.05}, job={"noise": 0.05})
    ours, none = (simulate(scenario, policy, 1, hours=2) for policy in (OURS, NONE))
    assert [m.arriving for m in ours.record.minutes] == [m.arriving for m in none.record.minutes]
    assert ours.record.changes != none.record.changes


def test_the_reference_decides_by_the_apache_profile() -> None:
    """It grows by the rules of Apache Flink's autoscaler."""
    run = simulate(a_scenario(load=STEP), policy_named("reference"), 1, hours=3)
    assert run.scores.rescales_per_day > 0
    assert run.record.minutes[-1].time_lag_s == 0


def test_another_program_decides() -> None:
    """`autoscaler decide -` behind exec: is asked and obeyed, and does what the reference does."""
    program = f"{shlex.quote(sys.executable)} -c {shlex.quote(ANSWERS)}"
    run = simulate(a_scenario(load=STEP), policy_named(f"exec:{program}"), 1, hours=3)
    assert run.scores.rescales_per_day > 0
    assert run.record.minutes[-1].time_lag_s == 0


ANSWERS = """
import sys, json
from autoscaler.case import decide_case
for line in sys.stdin:
    print(json.dumps(decide_case(line)), flush=True)
"""


@pytest.mark.parametrize(
    ("command", "message"),
    [
        ("/no/such/program", "cannot be started"),
        (f"{shlex.quote(sys.executable)} -c 'print(42)'", "answered '42'"),
        (f"{shlex.quote(sys.executable)} -c 'pass'", "ended without an answer"),
        ("true", "ended without an answer"),
        ("yes '{}'", "missing required field `rescale`"),
        ("""yes '{"rescale": true}'""", "a rescale without `parallelism`"),
        (
            f"""yes '{{"rescale": true, "parallelism": {{"{WORKER}": 0}}}}'""",
            "vertex worker at 0, which can have 1 to 64",
        ),
        (f"""yes '{{"rescale": true, "parallelism": {{"{WORKER}": 65}}}}'""", "vertex worker at 65"),
        (f"""yes '{{"rescale": true, "parallelism": {{"{WORKER}": "x"}}}}'""", "Expected `int`"),
        ("""yes '{"rescale": false, "delayed_scale_down": {"a": []}}'""", "Expected `object`"),
    ],
    ids=["missing", "nonsense", "silent", "gone", "empty", "no-target", "none", "too-many", "no-number", "no-state"],
)
def test_a_program_that_does_not_answer_is_named(command: str, message: str) -> None:
    """The run ends, and the message names the command and what it did."""
    with pytest.raises(PolicyError, match=message):
        simulate(a_scenario(), policy_named(f"exec:{command}"), 1, hours=0.2)


def test_another_program_is_not_asked_while_its_rescale_is_under_way() -> None:
    """A program that wants one thing always is remembered to have asked once, however long its containers take."""
    program = f"{shlex.quote(sys.executable)} -c {shlex.quote(INSISTS)}"
    room = {"nodes": 1, "max_nodes": 2, "node_gb": 20, "task_manager_gb": 8, "slots_per_task_manager": 2}
    run = simulate(a_scenario(cluster=room), policy_named(f"exec:{program}"), 1, hours=1)
    assert [dict(change.after)[WORKER] for change in run.record.changes if change.is_rescale][-1] == 8


INSISTS = f"""
import sys, json
for line in sys.stdin:
    case = json.loads(line)
    present = next(v["parallelism"] for v in case["vertices"] if v["id"] == "{WORKER}")
    assert len(case["history"].get("{WORKER}", [])) <= 1, case["history"]
    print(json.dumps({{"rescale": present != 8, "parallelism": {{"{WORKER}": 8}}}}), flush=True)
"""


def test_a_bad_setting_is_named() -> None:
    """A value that is no number ends the simulation before it begins."""
    settings = {"job.autoscaler.vertex.max-parallelism": "many"}
    with pytest.raises(ScenarioError, match="max-parallelism"):
        simulate(a_scenario(settings=settings), OURS, 1, hours=0.1)


@pytest.mark.parametrize("name", shipped())
def test_every_shipped_scenario_runs(name: str) -> None:
    """Half an hour of each: samples are taken, the job runs, no record is lost."""
    run = simulate(load_scenario(name), OURS, 1, hours=0.5)
    assert len(run.record.minutes) == 30
    assert run.record.minutes[-1].running
    assert run.scores.calls_per_job_hour > 100
    assert all(math.isfinite(minute.time_lag_s) for minute in run.record.minutes)


def test_a_dead_resource_manager_holds_the_job() -> None:
    """For its time nothing is asked of Flink, and afterwards all goes on."""
    faults = [{"kind": "rm-down", "at": 30, "minutes": 30}]
    run = simulate(a_scenario(load=STEP, faults=faults), OURS, 1, hours=3)
    assert all(not 30 <= (asked.at - T0) / 60_000 < 60 for asked in run.record.asked)
    assert run.record.minutes[-1].time_lag_s == 0


# ------------------------------------------------------------------ scores


def minute(number: int, **changes: object) -> Minute:
    base = Minute(T0 + 60_000 * number, 1_000.0, 0.0, 0.0, True, (4, 4), 8, 6)
    return replace(base, **changes)  # type: ignore[arg-type]


def test_scores_of_a_day() -> None:
    """A day with 30 minutes of 90 s of lag, 8 slots held where 6 were enough."""
    lags = [90.0 if 12 * 60 <= cell // 12 < 12 * 60 + 30 else 0.0 for cell in range(17_280)]
    record = Record(minutes=[minute(n) for n in range(1_440)], time_lags=lags, slot_ms=8 * 86_400_000, calls=48)
    found = score(record, a_scenario(), T0)
    assert found.slot_hours_per_day == pytest.approx(192)
    assert found.slots_over_least == pytest.approx(8 / 6)
    assert (found.v60_min_per_day, found.v300_min_per_day) == (30.0, 0.0)
    assert (found.max_time_lag_s, found.p99_time_lag_s) == (90.0, 90.0)
    assert found.calls_per_job_hour == 2.0


def test_intervals_are_students() -> None:
    """Of 1, 2, 3: mean 2, half-width 4.303 / sqrt(3)."""
    found = estimate([1.0, 2.0, 3.0])
    assert (found.mean, found.half_width) == pytest.approx((2.0, 4.303 / math.sqrt(3)))
    assert estimate([5.0]).half_width == 0.0


def test_ratios_pair_seeds() -> None:
    """Runs that are twice as dear on every seed are so without doubt, however much seeds differ."""
    base = score(Record(minutes=[minute(1)], time_lags=[0.0] * 12, slot_ms=60_000), a_scenario(), T0)
    ours = [replace(base, slot_hours_per_day=2.0 * n) for n in (1, 5, 9)]
    theirs = [replace(base, slot_hours_per_day=1.0 * n) for n in (1, 5, 9)]
    found = ratios(ours, theirs)["slot_hours_per_day"]
    assert found is not None
    assert (found.mean, found.half_width) == pytest.approx((2.0, 0.0))
    assert ratios(ours, theirs)["rescales_per_day"] is None, "nothing to compare with"
    assert summarized([base])["converge_min"] is None


def test_vertices_are_named_by_their_md5() -> None:
    """Ids look like Flink's and depend on the name alone."""
    assert len(SOURCE) == len(WORKER) == 32
    assert SOURCE != WORKER

"""Scenario files: what is accepted, and what is said of what is not."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from autoscaler.sim.chance import Chance
from autoscaler.sim.load import SHAPES, Arrivals, arrivals
from autoscaler.sim.scenario import ScenarioError, load_scenario, parse_scenario, shipped

GOOD = """
name: mine
about: an example
hours: 1
job:
  records_per_slot: 100
  vertices:
    - {name: "Source: a", partitions: 4, load: {shape: steady, rate: 100}}
    - {name: b, inputs: {"Source: a": 1}}
"""


def test_all_workloads_ship() -> None:
    """Every workload has a file of its name, with a sentence about it: the thirteen of one job, and a session."""
    assert set(shipped()) == {
        *("flat", "step", "cosine", "ramp", "walk", "sine", "diurnal", "commute", "spikes", "outage", "burst"),
        *("1-to-500", "no-signal", "session"),
    }
    for name in shipped():
        assert load_scenario(name).name == name
        assert load_scenario(name).about.endswith(".")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (("hours: 1", "hours: 0"), "hours: Input should be greater than or equal to 0.0166"),
        (("hours: 1", "hour: 1"), "hour: Extra inputs"),
        (("shape: steady", "shape: wild"), "shape 'wild' is none of"),
        (("rate: 100", "speed: 100"), "shape steady needs rate; got speed"),
        (("rate: 100", "rate: fast"), "rate is 'fast', a number is needed"),
        (("rate: 100", "rate: .inf"), "rate is inf, a number is needed"),
        (("rate: 100", "rate: 100, noise: 0.1, noise_tau_s: 0"), "noise_tau_s is 0, more than 0 is needed"),
        (("steady, rate: 100", "cosine, mean: 9, amplitude: 1, period: 0"), "period is 0, more than 0 is needed"),
        (("hours: 1", "hours: .inf"), "hours: Input should be a finite number"),
        (("hours: 1", "hours: 1\nfaults: [{kind: selectivity, at: 1, vertex: b, value: 0}]"), "a factor above 0"),
        (("hours: 1", "hours: 1\nfaults: [{kind: hot-key, at: 1, vertex: b, value: 2}]"), "a share from 0 to 1"),
        (('{"Source: a": 1}', "{c: 1}"), "vertex 'b': no vertex 'c' stands above it"),
        (("partitions: 4, ", ""), "needs a load and partitions"),
        (("name: b,", 'name: "Source: a",'), "two vertices"),
        (("hours: 1", "hours: 1\nflink: new"), "no version of Flink"),
        (("hours: 1", "hours: 1\nfaults: [{kind: fire, at: 1}]"), "faults.0.kind"),
        (("hours: 1", "hours: 1\nfaults: [{kind: hot-key, at: 1, vertex: b}]"), "needs a vertex and a value"),
        (("hours: 1", "hours: 1\nfaults: [{kind: nan-busy, at: 1, vertex: x}]"), "no vertex 'x'"),
        (("hours: 1", "hours: 1\ncluster: {nodes: 3, max_nodes: 1}"), "max_nodes is 1, less than nodes"),
        (("hours: 1", "hours: 1\ncluster: {task_manager_gb: 99}"), "does not fit a node"),
        (("name: mine", "name: [mine"), "no YAML"),
        (("name: mine", "name: 2026-02-30"), "no YAML: day is out of range"),
    ],
)
def test_what_is_wrong_is_said(change: tuple[str, str], message: str) -> None:
    """The message names the file, the key and what is wanted."""
    assert change[0] in GOOD
    with pytest.raises(ScenarioError, match=f"^mine.yaml: .*{re.escape(message)}"):
        parse_scenario(GOOD.replace(*change), "mine.yaml")


def test_a_file_of_ones_own(tmp_path: Path) -> None:
    """A scenario may be any file; settings without quotes are texts."""
    file = tmp_path / "own.yaml"
    file.write_text(GOOD + "settings: {job.autoscaler.scaling.enabled: true, job.autoscaler.utilization.target: 0.6}\n")
    assert load_scenario(str(file)).settings == {
        "job.autoscaler.scaling.enabled": "true",
        "job.autoscaler.utilization.target": "0.6",
    }


def test_an_unknown_name_lists_the_known_ones() -> None:
    """Neither a file nor shipped."""
    with pytest.raises(ScenarioError, match="neither a file nor a scenario; there are 1-to-500, burst"):
        load_scenario("nosuch")


NUMBERS = {
    "steady": {"rate": 100.0},
    "step": {"low": 100.0, "high": 250.0, "up": 120.0, "down": 300.0},
    "ramp": {"peak": 2_500_000.0, "minutes": 140.0},
    "outage": {"rate": 100.0, "at": 120.0, "minutes": 30.0, "factor": 3.0, "tau": 10.0},
    "leap": {"rate": 1_000.0, "at": 120.0, "within": 5.0, "factor": 300.0},
    "cosine": {"mean": 30_000.0, "amplitude": 25_000.0, "period": 60.0},
}


@pytest.mark.parametrize(
    ("shape", "minute", "expected"),
    [
        ("steady", 77, 100.0),
        ("step", 119, 100.0),
        ("step", 121, 250.0),
        ("step", 301, 100.0),
        ("ramp", 70, 1_250_000.0),
        ("ramp", 140, 2_500_000.0),
        ("ramp", 281, 0.0),
        ("outage", 135, 0.0),
        ("outage", 150.05, 300.0),
        ("outage", 160, 100 * (1 + 2 / 2.718281828)),
        ("leap", 119, 1_000.0),
        ("leap", 126, 300_000.0),
        ("cosine", 30, 5_000.0),
        ("cosine", 60, 55_000.0),
    ],
)
def test_shapes_are_their_formulas(shape: str, minute: float, expected: float) -> None:
    """At a minute each shape has the rate its formula says."""
    found = arrivals(shape, NUMBERS[shape], "s", Chance(1), 8 * 3600)
    assert found.rate(minute * 60) == pytest.approx(expected, rel=0.01)


def test_the_walk_is_the_same_for_every_seed() -> None:
    """It is one day, recorded once, so to say."""
    numbers = load_scenario("walk").job.vertices[0].load
    assert numbers is not None
    walks = [list(SHAPES["walk"](numbers.numbers, Chance(seed).stream("x"), 1_000)) for seed in (1, 2)]
    assert walks[0] == walks[1]
    assert all(0 <= rate <= 2_500_000 for rate in walks[0])


def test_the_burst_has_a_heavy_tail() -> None:
    """Its mean and variation are those asked for, as far as the cut at its peak allows."""
    numbers = {"mean": 100.0, "variation": 0.63, "peak": 2.6, "surge": 3.2, "tau_s": 60.0}
    rates = list(SHAPES["burst"](numbers, Chance(3).stream("x"), 100_000))
    mean = sum(rates) / len(rates)
    variation = (sum((r - mean) ** 2 for r in rates) / len(rates)) ** 0.5 / mean
    assert mean == pytest.approx(100, rel=0.1)
    assert variation == pytest.approx(0.6, abs=0.1)
    assert max(rates) == pytest.approx(320)


def test_noise_has_its_deviation() -> None:
    """5 % of the rate, and the mean stays."""
    found = arrivals("steady", {"rate": 100.0, "noise": 0.05}, "s", Chance(1), 86_400 * 3)
    mean = sum(found.rates) / len(found.rates)
    deviation = (sum((r - mean) ** 2 for r in found.rates) / len(found.rates)) ** 0.5
    assert mean == pytest.approx(100, rel=0.01)
    assert deviation == pytest.approx(5, rel=0.1)


def test_arrivals_add_up() -> None:
    """What arrived until a time is the sum of the cells before it and the part of its own."""
    found = Arrivals.of([10.0, 20.0])
    assert (found.until(0), found.until(5), found.until(7.5), found.until(20)) == (0, 50, 100, 350)


def test_chance_does_not_depend_on_what_was_drawn_before() -> None:
    """The third container is as fast, whoever asked for the second."""
    one, two = Chance(7), Chance(7)
    two.uniform(0, 1, "container", 2)
    assert one.uniform(0, 1, "container", 3) == two.uniform(0, 1, "container", 3)
    assert one.normals(8, "v", 5)[:4] == one.normals(4, "v", 5)
    assert Chance(8).uniform(0, 1, "container", 3) != one.uniform(0, 1, "container", 3)

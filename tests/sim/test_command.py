"""`autoscaler simulate`: what it prints, writes and answers to bad input."""

from __future__ import annotations

import json
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest

from autoscaler.cli import main
from autoscaler.sim import load_scenario, policy_named
from autoscaler.sim.compare import run_all
from autoscaler.sim.report import cost_against_lag
from autoscaler.sim.svg import nice, short, thinned
from tests.sim.builders import a_scenario

pytestmark = pytest.mark.slow

STEP = {"shape": "step", "low": 1_000, "high": 4_000, "up": 30, "down": 1_000}


@pytest.fixture
def scenario(tmp_path: Path) -> str:
    file = tmp_path / "mine.yaml"
    document = a_scenario(load=STEP | {"noise": 0.1}, hours=2, name="mine").model_dump(mode="json", exclude_none=True)
    file.write_text(json.dumps(document))
    return str(file)


def test_scores_go_to_stdout_and_progress_to_stderr(scenario: str, capsys: pytest.CaptureFixture[str]) -> None:
    """One line a score; how fast it went is said beside it."""
    assert main(["simulate", scenario]) == 0
    out, err = capsys.readouterr()
    assert out.splitlines()[0] == "mine: a test"
    assert "slot-hours a day" in out
    assert "broken invariants" in out
    assert "job-hours a minute" not in out
    assert "2 job-hours in" in err
    assert "a minute on 1 core" in err


def test_settings_change_what_is_done(scenario: str, capsys: pytest.CaptureFixture[str]) -> None:
    """An option of the command line counts over the scenario's: with scaling off nothing is rescaled."""
    assert main(["simulate", scenario, "--json", "--set", "job.autoscaler.scaling.enabled=false"]) == 0
    (document,) = json.loads(capsys.readouterr().out)
    assert document["policies"]["ours"]["scores"]["rescales_per_day"]["mean"] == 0
    assert main(["simulate", scenario, "--json", "--days", "0.05"]) == 0
    (document,) = json.loads(capsys.readouterr().out)
    assert document["hours"] == pytest.approx(1.2)
    assert document["policies"]["ours"]["scores"]["rescales_per_day"]["mean"] > 0


def test_what_is_probably_not_meant_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A key may lack its prefix; one that is mistyped is told, as otherwise it would just have no effect."""
    report = ["--days", "0.0007", "--report", str(tmp_path)]
    assert main(["simulate", "flat", *report, "--set", "vertex.max-parallelism=1", "--set", "quota.memory=8 gb"]) == 0
    assert "warning" not in capsys.readouterr().err
    assert main(["simulate", "flat", *report, "--set", "job.autoscaler.utilization.targt=0.5"]) == 0
    assert "warning: job.autoscaler.utilization.targt is not an option; did you mean" in capsys.readouterr().err
    assert (tmp_path / "index.html").is_file(), "of a minute too"


def test_policies_are_compared_on_the_same_seeds(scenario: str, capsys: pytest.CaptureFixture[str]) -> None:
    """A column for each, and the ratio of the first to each other with its interval."""
    assert main(["simulate", scenario, "--compare", "ours,none,static-peak", "--seeds", "2"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[1].split() == ["ours", "none", "static-peak", "ours", "/", "none", "ours", "/", "static-peak"]
    assert "±" in "\n".join(lines)


def test_the_report_is_one_page_that_needs_nothing_else(scenario: str, tmp_path: Path) -> None:
    """Curves as inline SVG that parse, each rescale with its reason, nothing from elsewhere."""
    folder = tmp_path / "report"
    assert main(["simulate", scenario, "--report", str(folder)]) == 0
    page = (folder / "index.html").read_text()
    pictures = [part.partition("</svg>")[0] for part in page.split("<svg")[1:]]
    assert len(pictures) == 4
    for picture in pictures:
        ET.fromstring(f"<svg{picture}</svg>")
    assert "can do" in page, "the reason of a rescale"
    assert "http" not in page
    assert "<script" not in page


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["nosuch"], "nosuch: neither a file nor a scenario"),
        (["flat", "--set", "x"], "--set x: write it as KEY=VALUE"),
        (["flat", "--days", "-1"], "--days -1: a minute at least is needed"),
        (["flat", "--days", "nan"], "--days nan: a minute at least is needed"),
        (["flat", "--days", "1e-5"], "--days 1e-05: a minute at least is needed"),
        (
            ["flat", "--set", "excluded.periods=0 0 2 * * *"],
            "must have ? as either its day of month or its day of week",
        ),
        (["flat", "--serve", "0", "--speed", "nan"], "--speed nan: more than 0 is needed"),
        (["flat", "--report", "/dev/null/report"], "--report /dev/null/report: cannot be written"),
        (["flat", "--policy", "magic"], "policy 'magic' is none of ours, reference"),
        (["flat", "--days", "0.01", "--set", "job.autoscaler.metrics.window=soon"], "metrics.window"),
    ],
)
def test_bad_input_is_named(arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Status 2, and what is wrong, on stderr."""
    assert main(["simulate", *arguments]) == 2
    out, err = capsys.readouterr()
    assert message in err
    assert out == ""


def test_the_number_of_workers_changes_nothing() -> None:
    """Spread over processes, runs come out as in one."""
    scenarios = [load_scenario("step").model_copy(update={"hours": 0.5})]
    policies = [policy_named("ours"), policy_named("none")]
    alone, spread = (run_all(scenarios, policies, [1, 2], workers, lambda _: None) for workers in (1, 2))
    assert [run.scores for run in alone[0].runs["ours"]] == [run.scores for run in spread[0].runs["ours"]]


def test_axes_end_at_round_numbers() -> None:
    """At or above the largest value."""
    assert [nice(value) for value in (0, 7, 101, 250_000, 1e6)] == [1.0, 8.0, 120.0, 300_000.0, 1e6]
    assert [short(value) for value in (0.5, 12_000, 2.5e6)] == ["0.5", "12k", "2.5M"]
    assert max(thinned([0.0] * 5_000 + [9.0] + [0.0] * 5_000)) == 9.0


def test_several_scenarios_make_a_picture_of_cost_against_lag() -> None:
    """One point for each policy on each scenario, named."""
    scenarios = [a_scenario(name=name, hours=0.1) for name in ("one", "two")]
    tables = run_all(scenarios, [policy_named("ours"), policy_named("none")], [1], 1, lambda _: None)
    picture = cost_against_lag(tables)
    assert picture.count("<circle") == 4
    assert picture.count('class="join"') == 2
    assert ">one</text>" in picture
    assert not any(table.worse_in_all() for table in tables)

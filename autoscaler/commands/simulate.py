"""``simulate``: settings at work on a simulated cluster, before a real one sees them."""

from __future__ import annotations

import math
import os
import signal
import sys
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter

from autoscaler.commands.output import print_json, print_table, say
from autoscaler.loop import VALIDATORS
from autoscaler.model import Millis
from autoscaler.options import EMR, Severity, check, layer_of, profile_layer, resolve
from autoscaler.options.names import named
from autoscaler.sim import (
    SHORTEST_HOURS,
    Policy,
    PolicyError,
    Scenario,
    ScenarioError,
    load_scenario,
    policy_named,
    shipped,
)
from autoscaler.sim.compare import Table, run_all
from autoscaler.sim.report import report
from autoscaler.sim.scores import TITLES, Estimate, ratios, summarized
from autoscaler.sim.server import SimServer
from autoscaler.telemetry import configure_logging

BAD_INPUT = 2
ALL = "all"


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """What the command line asks for."""

    scenarios: Sequence[str]
    days: float | None
    first_seed: int
    seeds: int
    settings: Sequence[str]
    policies: Sequence[str]
    report: Path | None
    as_json: bool


def simulate_command(wanted: Wanted) -> int:
    """Run and print; 1 if with several policies the first is worse than the second in all that counts, 2 for bad
    input."""
    configure_logging("json", "error")
    try:
        scenarios = [prepared(name, wanted.days, wanted.settings) for name in _named(wanted.scenarios)]
        policies = [policy_named(name) for name in wanted.policies]
        seeds = range(wanted.first_seed, wanted.first_seed + wanted.seeds)
        for warning in dict.fromkeys(found for scenario in scenarios for found in doubtful_settings(scenario)):
            print(f"autoscaler: warning: {warning}", file=sys.stderr)
        if wanted.report is not None:
            _make(wanted.report)
        tables = _timed(scenarios, policies, seeds)
        _show(tables, as_json=wanted.as_json)
        if wanted.report is not None:
            _write(wanted.report, report(tables))
    except (ScenarioError, PolicyError) as error:
        print(f"autoscaler: {error}", file=sys.stderr)
        return BAD_INPUT
    worse = [table.scenario.name for table in tables if len(table.runs) > 1 and table.worse_in_all()]
    for name in worse:
        first, second = wanted.policies[:2]
        print(f"autoscaler: {name}: {first} has more lag, slots and rescales than {second}", file=sys.stderr)
    return 1 if worse else 0


def serve_command(
    scenario: str, port: int, speed: float, seed: int, settings: Sequence[str], clock: Callable[[], Millis]
) -> int:
    """Serve a scenario over HTTP until SIGINT or SIGTERM; 2 for bad input."""
    stop = threading.Event()
    try:
        if not 0 < speed < math.inf:
            raise ScenarioError(f"--speed {speed:g}: more than 0 is needed")
        with SimServer(prepared(scenario, None, settings), seed, port, speed, clock) as server:
            for number in (signal.SIGINT, signal.SIGTERM):
                signal.signal(number, lambda *_: stop.set())
            say(f"{scenario} at {speed:g} times the clock on {server.url}, ResourceManager and web proxy in one")
            sys.stdout.flush()
            stop.wait()
    except ScenarioError as error:
        print(f"autoscaler: {error}", file=sys.stderr)
        return BAD_INPUT
    return 0


def prepared(name: str, days: float | None, settings: Sequence[str]) -> Scenario:
    """A scenario with what the command line changes. Raises ScenarioError."""
    scenario = load_scenario(name)
    changes: dict[str, object] = {"settings": {**scenario.settings, **settings_of(settings)}}
    if days is not None:
        if not SHORTEST_HOURS / 24 <= days < math.inf:
            raise ScenarioError(f"--days {days:g}: a minute at least is needed, which is 0.0007")
        changes["hours"] = days * 24
    return scenario.model_copy(update=changes)


def doubtful_settings(scenario: Scenario) -> Sequence[str]:
    """What of a scenario's settings can be used, but was probably not meant. Raises ScenarioError for the rest."""
    known = {"taskmanager.memory.process.size": f"{scenario.cluster.task_manager_gb:.0f} gb"}
    layers = [profile_layer(EMR), layer_of("cluster", known), layer_of(scenario.name, scenario.settings)]
    found = check(resolve(layers), VALIDATORS)
    wrong = [problem.message for problem in found if problem.severity is Severity.ERROR]
    if wrong:
        raise ScenarioError(f"settings: {'; '.join(wrong)}")
    return [problem.message for problem in found if problem.severity is Severity.WARNING]


def _named(names: Sequence[str]) -> Sequence[str]:
    return shipped() if list(names) == [ALL] else names


def settings_of(pairs: Sequence[str]) -> Mapping[str, str]:
    """The options of a command line, with or without ``job.autoscaler.``. Raises ScenarioError."""
    found = {}
    for pair in pairs:
        key, equals, value = pair.partition("=")
        if not equals or not key.strip():
            raise ScenarioError(f"--set {pair}: write it as KEY=VALUE, such as job.autoscaler.utilization.target=0.6")
        option = named(key.strip())
        found[key.strip() if option is None else option.text] = value.strip()
    return found


def _timed(scenarios: Sequence[Scenario], policies: Sequence[Policy], seeds: Sequence[int]) -> list[Table]:
    """Run all with progress on stderr, and say how fast it went."""
    cores = min(len(os.sched_getaffinity(0)), len(scenarios) * len(policies) * len(seeds))
    hours = sum(scenario.hours for scenario in scenarios) * len(policies) * len(seeds)
    what = scenarios[0].name if len(scenarios) == 1 else f"{len(scenarios)} scenarios"
    began = perf_counter()
    with Progress(f"{what}, {hours:g} job-hours") as progress:
        tables = run_all(scenarios, policies, seeds, cores, progress)
    took = perf_counter() - began
    a_minute = hours / took * 60
    print(
        f"autoscaler: {hours:g} job-hours in {took:.1f} s, {a_minute:.0f} a minute on {_cores(cores)}",
        file=sys.stderr,
    )
    return tables


def _cores(count: int) -> str:
    return "1 core" if count == 1 else f"{count} cores"


class Progress:
    """A bar on a terminal; without one nothing but the first line."""

    WIDTH = 40

    def __init__(self, what: str) -> None:
        self._what = what
        self._bar = sys.stderr.isatty()
        self._shown = -1

    def __enter__(self) -> Callable[[float], None]:
        if not self._bar:
            print(f"autoscaler: simulating {self._what} ...", file=sys.stderr)
        return self._show

    def __exit__(self, *_: object) -> None:
        if self._bar:
            print(file=sys.stderr)

    def _show(self, share: float) -> None:
        filled = round(share * self.WIDTH)
        if self._bar and filled != self._shown:
            self._shown = filled
            bar = "█" * filled + "·" * (self.WIDTH - filled)
            print(f"\rsimulating {self._what}  {bar} {share:4.0%}", end="", file=sys.stderr, flush=True)


def _make(folder: Path) -> None:
    """Make the folder of the report, before the runs that take their time."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ScenarioError(f"--report {folder}: cannot be written: {error}") from error


def _write(folder: Path, page: str) -> None:
    try:
        (folder / "index.html").write_text(page, encoding="utf-8")
    except OSError as error:
        raise ScenarioError(f"--report {folder}: cannot be written: {error}") from error
    print(f"autoscaler: report in {folder / 'index.html'}", file=sys.stderr)


# ------------------------------------------------------------------ printing


def _show(tables: Sequence[Table], *, as_json: bool) -> None:
    if as_json:
        print_json([_document(table) for table in tables])
        return
    for table in tables:
        _print(table)


def _print(table: Table) -> None:
    """The scores, a column for each policy, and the first one's ratio to each other."""
    names = list(table.runs)
    runs = {name: [run.scores for run in found] for name, found in table.runs.items()}
    columns = {name: summarized(scores) for name, scores in runs.items()}
    over = {f"{names[0]} / {name}": ratios(runs[names[0]], runs[name]) for name in names[1:]}
    say(f"{table.scenario.name}: {table.scenario.about}")
    rows = [
        [title, *(_text(columns[name][score]) for name in names), *(_text(each[score]) for each in over.values())]
        for score, title in TITLES.items()
    ]
    print_table(["", *names, *over], rows, indent=2)


def _text(value: Estimate | None) -> str:
    return "-" if value is None else str(value)


def _document(table: Table) -> dict[str, object]:
    return {
        "scenario": table.scenario.name,
        "hours": table.scenario.hours,
        "policies": {
            name: {
                "scores": summarized([run.scores for run in found]),
                "runs": [{"seed": run.seed, "scores": run.scores} for run in found],
            }
            for name, found in table.runs.items()
        },
    }

"""The whole measurement: daemons beside each other at their real pace, bare loops, decisions, the table."""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from autoscaler.model import BusyTimeAggregator
from bench import decisions
from bench.processes import CannotMeasure, ended, start
from bench.report import Bare, Section, decision_rows, document, reference_rows, scenario_rows, table
from bench.scenario import Measured, Run, Scenario

BARE_CALLS = 6_500  # a few seconds of processor time, enough to even out noise
BARE_ROUNDS = 2


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, print the table, write the JSON; 1 only if something could not be measured."""
    options = _parser().parse_args(arguments)
    try:
        sections, found = measured(options)
    except CannotMeasure as error:
        print(f"bench: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    conditions = _conditions(options)
    print(table(sections))
    print("\n" + "\n".join(f"{name}: {value}" for name, value in conditions.items()))
    written = json.dumps(document(sections, conditions, found), indent=1, default=str)
    options.json.write_text(written + "\n", encoding="utf-8")
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="bench", description="What the daemon costs.")
    parser.add_argument("--intervals", type=int, default=5, help="decision intervals to measure (5; 60 is an hour)")
    parser.add_argument("--interval", type=float, default=60.0, metavar="S", help="seconds of one interval (60)")
    parser.add_argument("--jobs", type=int, nargs="+", default=[100, 1_000], help="jobs per daemon (100 1000)")
    parser.add_argument("--quick", action="store_true", help="5 jobs, one interval of 4 s: whether it works at all")
    parser.add_argument("--json", type=Path, default=Path("bench.json"), help="where the figures go (bench.json)")
    return parser


def measured(options: argparse.Namespace) -> tuple[list[Section], list[Measured]]:
    if options.quick:
        options.jobs, options.interval, options.intervals = [5], 4.0, 1
    scenarios = [
        Scenario(applications=count, aggregator=each, interval_s=options.interval, intervals=options.intervals)
        for count in options.jobs
        for each in (BusyTimeAggregator.MAX, BusyTimeAggregator.AVG)
    ]
    with tempfile.TemporaryDirectory(prefix="autoscaler-bench-") as folder, ExitStack() as running:
        runs = [_started(scenario, Path(folder), running) for scenario in scenarios]
        found = _observed(runs)
        for run in runs:
            run.daemon.close()
        tell("bare loops that make one interval's calls at the same times; deciding meanwhile")
        paced = [BareLoop(run, one, running, paced=True) for run, one in zip(runs, found, strict=True)]
        throughput, growth = _decisions(quick=options.quick)
        at_their_times = [loop.ms_per_call() for loop in paced]
        tell("bare loops without pause")
        bare = [
            Bare(ms_per_call=_unpaced(run, one, running), paced_ms_per_call=waited)
            for run, one, waited in zip(runs, found, at_their_times, strict=True)
        ]
    sections: list[Section] = [
        (one.scenario.name, scenario_rows(one, loop)) for one, loop in zip(found, bare, strict=True)
    ]
    sections.append((f"deciding, {throughput.cases:,} cases", decision_rows(throughput, growth)))
    sections.append(
        ("for comparison, given and not measured here: the reference's standalone package", reference_rows())
    )
    return sections, found


def _started(scenario: Scenario, folder: Path, running: ExitStack) -> Run:
    tell(f"{scenario.name}: starting")
    run = Run(scenario, folder / scenario.name.replace(" ", "-").replace(",", ""))
    running.callback(run.close)
    return run


def _observed(runs: Sequence[Run]) -> list[Measured]:
    """Measure all daemons at the same time: together they need less than a core."""
    tell("waiting for the first pass of every job")
    for run in runs:
        run.warm_up()
    one = runs[0].scenario
    tell(f"measuring {one.intervals} intervals of {one.interval_s:g} s")
    for run in runs:
        run.begin()
    time.sleep(one.intervals * one.interval_s)
    return [run.end() for run in runs]


class BareLoop:
    """A process that repeats the daemon's calls; those of one interval if it keeps their times."""

    def __init__(self, run: Run, found: Measured, running: ExitStack, *, paced: bool) -> None:
        until = found.calls[0][0] + found.scenario.interval_s
        calls = [call for call in found.calls if not paced or call[0] < until]
        order = {"base": run.stub.url, "calls": calls if paced else calls[:BARE_CALLS], "paced": paced}
        self._process = start("bench.bare", [], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        running.callback(self._process.kill)
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(order).encode())
        self._process.stdin.close()

    def ms_per_call(self) -> float:
        """Wait for its end. Raises CannotMeasure."""
        assert self._process.stdout is not None
        answer = self._process.stdout.read()
        ended(self._process)
        if not answer:
            raise CannotMeasure("the bare loop failed; its complaint is above")
        said = json.loads(answer)
        return float(1000 * said["cpu_s"] / said["calls"])


def _unpaced(run: Run, found: Measured, running: ExitStack) -> float:
    took = [BareLoop(run, found, running, paced=False).ms_per_call() for _ in range(BARE_ROUNDS)]
    return sum(took) / len(took)


def _decisions(*, quick: bool) -> tuple[decisions.Throughput, Any]:
    tell("deciding")
    lines = decisions.cases()
    rounds = 1 if quick else 3
    sizes = (10, 100) if quick else (10, 100, 1_000)
    return decisions.throughput(lines[:200] if quick else lines, rounds), decisions.growth(sizes, rounds)


def _conditions(options: argparse.Namespace) -> dict[str, Any]:
    return {
        "measured": f"{options.intervals} intervals of {options.interval:g} s, windows full from the start",
        "each job": "10 vertices (1 source) at parallelism 8, steady load",
        "CPU": "user and system time of the daemon's whole process, discovery and log included",
        "machine": f"{os.cpu_count()} cores, {platform.machine()}, Python {platform.python_version()}, "
        f"load average {os.getloadavg()[1]:.1f}",
    }


def tell(what: str) -> None:
    print(f"bench: {what}", file=sys.stderr, flush=True)

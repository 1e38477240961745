"""The whole measurement: one daemon after the other at its real pace, each beside a bare loop, decisions, the table."""

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
from bench.processes import CannotMeasure, start
from bench.report import Section, decision_rows, document, reference_rows, scenario_rows, table
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
    parser.add_argument("--intervals", type=int, default=3, help="decision intervals to measure (3; 60 is an hour)")
    parser.add_argument("--interval", type=float, default=60.0, metavar="S", help="seconds of one interval (60)")
    parser.add_argument("--jobs", type=int, nargs="+", default=[100, 1_000], help="jobs per daemon (100 1000)")
    parser.add_argument("--quick", action="store_true", help="5 jobs, one interval of 4 s: whether it works at all")
    parser.add_argument("--json", type=Path, default=Path("bench.json"), help="where the figures go (bench.json)")
    return parser


def measured(options: argparse.Namespace) -> tuple[list[Section], list[Measured]]:
    """Measure one daemon at a time: beside each other they take each other's processor caches."""
    if options.quick:
        options.jobs, options.interval, options.intervals = [5], 4.0, 1
    scenarios = [
        Scenario(applications=count, aggregator=each, interval_s=options.interval, intervals=options.intervals)
        for count in options.jobs
        for each in (BusyTimeAggregator.MAX, BusyTimeAggregator.AVG)
    ]
    sections: list[Section] = []
    found: list[Measured] = []
    for scenario in scenarios:
        one, bare_ms = _run(scenario)
        found.append(one)
        sections.append((scenario.name, scenario_rows(one, bare_ms)))
    throughput, growth = _decisions(quick=options.quick)
    sections.append((f"deciding, {throughput.cases:,} cases", decision_rows(throughput, growth)))
    sections.append(
        ("for comparison, given and not measured here: the reference's standalone package", reference_rows())
    )
    return sections, found


def _run(scenario: Scenario) -> tuple[Measured, float]:
    """Measure a daemon, and the processor milliseconds a bare loop needs for a call on the same stub."""
    with tempfile.TemporaryDirectory(prefix="autoscaler-bench-") as folder, ExitStack() as running:
        tell(f"{scenario.name}: starting")
        run = Run(scenario, Path(folder))
        running.callback(run.close)
        tell(f"{scenario.name}: waiting for the first pass of every job")
        run.warm_up()
        tell(f"{scenario.name}: measuring {scenario.intervals} intervals of {scenario.interval_s:g} s")
        run.begin()
        time.sleep(scenario.intervals * scenario.interval_s)
        found = run.end()
        run.daemon.close()
        tell(f"{scenario.name}: a bare loop that makes the same calls")
        took = [bare_ms_per_call(run, found) for _ in range(BARE_ROUNDS)]
        return found, sum(took) / len(took)


def bare_ms_per_call(run: Run, found: Measured) -> float:
    """Let a process of its own repeat the daemon's calls. Raises CannotMeasure."""
    order = {"base": run.stub.url, "paths": found.calls[:BARE_CALLS]}
    with start("bench.bare", [], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        answer, _ = process.communicate(json.dumps(order).encode())
    if not answer:
        raise CannotMeasure("the bare loop failed; its complaint is above")
    said = json.loads(answer)
    return float(1000 * said["cpu_s"] / said["calls"])


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

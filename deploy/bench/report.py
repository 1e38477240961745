"""What was measured against what is to be reached, as a table for people and as JSON."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from autoscaler.model import BusyTimeAggregator
from bench.decisions import Throughput
from bench.scenario import WORKERS, Measured

# Given figures of the reference's standalone package at 100 such jobs; not measured here.
REFERENCE: Mapping[str, float] = {
    "calls per job and loop of 10 s": 16,
    "CPU ms per job and loop of 10 s": 40,
    "cores of 1,000 jobs, by these": 4,
    "new connections per call": 1,
    "resident MiB at 100 jobs": 516,
}
MAX_STORED = 2_000_000  # bytes per job and day


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One figure. ``at_most`` or ``at_least`` is the target, neither where there is none."""

    what: str
    measured: float
    unit: str = ""
    at_most: float | None = None
    at_least: float | None = None
    digits: int = 2

    @property
    def verdict(self) -> str:
        if self.at_most is not None:
            return "ok" if self.measured <= self.at_most else f"over by {self._missed(self.at_most)}"
        if self.at_least is not None:
            return "ok" if self.measured >= self.at_least else f"short by {self._missed(self.at_least)}"
        return ""

    @property
    def target(self) -> str:
        if self.at_most is not None:
            return f"<= {_number(self.at_most, self.digits)}"
        return f">= {_number(self.at_least, self.digits)}" if self.at_least is not None else ""

    def _missed(self, target: float) -> str:
        return f"{abs(self.measured - target) / target:.0%}" if target else _number(self.measured, self.digits)


def scenario_rows(found: Measured, bare_ms: float) -> list[Row]:
    """The figures of one scenario; calls of the process as a whole are no job's and stand apart.

    ``bare_ms`` are the processor milliseconds a bare loop needs for a call.
    """
    steady = {BusyTimeAggregator.MAX: 3 + 10, BusyTimeAggregator.AVG: 3 + 1}[found.scenario.aggregator]
    loop_ms = bare_ms * found.calls_per_interval
    return [
        # Passes that straddle the ends of the measured time make the mean a little more or less than it is.
        Row(what="REST calls per job and interval", measured=found.calls_per_interval, at_most=steady * 1.01),
        Row(what="bytes received per job and interval", measured=found.bytes_per_interval, digits=0),
        Row(what="CPU per job and interval", measured=found.cpu_ms_per_interval, unit="ms"),
        Row(what="bare loop, the same calls", measured=loop_ms, unit="ms"),
        Row(what="daemon / bare loop", measured=found.cpu_ms_per_interval / loop_ms, at_most=1.0),
        *_process_rows(found),
    ]


def _process_rows(found: Measured) -> list[Row]:
    count = found.scenario.applications
    memory = {100: 120.0, 1_000: 300.0}.get(count)
    share = {BusyTimeAggregator.MAX: 30.0, BusyTimeAggregator.AVG: 12.0}[found.scenario.aggregator]
    return [
        Row(
            what="share of one core at an interval of 60 s",
            measured=100 * found.share_of_core(count),
            unit="%",
            at_most=share if count == 1_000 else None,
        ),
        Row(what="resident memory at the end", measured=found.resident_mib, unit="MiB", at_most=memory, digits=0),
        Row(what="new connections per interval", measured=found.connections_per_interval, at_most=WORKERS),
        Row(what="late passes", measured=found.late_passes, at_most=0, digits=0),
        Row(what="failed passes", measured=found.failed_passes, at_most=0, digits=0),
        Row(
            what="stored per job and day at an interval of 60 s",
            measured=found.stored_per_day() / 1e6,
            unit="MB",
            at_most=MAX_STORED / 1e6,
        ),
    ]


def decision_rows(found: Throughput, growth: Mapping[int, float]) -> list[Row]:
    """The figures of deciding. 2,200 a second is what 60 % is on the machine the targets were set on."""
    first, last = min(growth), max(growth)
    per_vertex = (growth[last] / last) / (growth[first] / first)
    return [
        Row(what="decisions, text to text", measured=found.decided_per_s, unit="/s", at_least=2_200, digits=0),
        Row(what="the same lines through json alone", measured=found.json_per_s, unit="/s", digits=0),
        Row(what="share of json alone", measured=100 * found.share, unit="%", at_least=60, digits=0),
        *(Row(what=f"one decision, {size:,} vertices", measured=ms, unit="ms") for size, ms in growth.items()),
        Row(what=f"time per vertex, {last:,} against {first:,} vertices", measured=per_vertex, unit="x", at_most=1.5),
    ]


def reference_rows() -> list[Row]:
    return [Row(what=what, measured=value, digits=0) for what, value in REFERENCE.items()]


Section = tuple[str, Sequence[Row]]


def table(sections: Iterable[Section]) -> str:
    """The rows under their headings, in columns."""
    lines = []
    for heading, rows in sections:
        lines += ["", heading, f"  {'':<50}{'measured':>14}  {'target':>12}"]
        for row in rows:
            value = f"{_number(row.measured, row.digits)} {row.unit}".strip()
            lines.append(f"  {row.what:<50}{value:>14}  {row.target:>12}  {row.verdict}".rstrip())
    return "\n".join(lines[1:])


def document(sections: Iterable[Section], conditions: Mapping[str, Any], found: Iterable[Measured]) -> dict[str, Any]:
    """Everything as JSON: the rows as in the table, and the counts they come from."""
    return {
        "conditions": dict(conditions),
        "sections": {
            heading: [asdict(row) | {"target": row.target, "verdict": row.verdict} for row in rows]
            for heading, rows in sections
        },
        "scenarios": [_counts(one) for one in found],
    }


def _counts(found: Measured) -> dict[str, Any]:
    return {name: value for name, value in asdict(found).items() if name != "calls"}


def _number(value: float | None, digits: int) -> str:
    return "" if value is None else f"{value:,.{digits}f}"

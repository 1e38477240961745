"""The report of a simulation: one self-contained HTML page with the curves, each rescale's reason, and the scores."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape

from autoscaler.model import Millis
from autoscaler.sim.compare import Table
from autoscaler.sim.drive import BEGAN, Run
from autoscaler.sim.job import Change
from autoscaler.sim.scenario import Scenario
from autoscaler.sim.scores import TITLES, Estimate, ratios, summarized
from autoscaler.sim.svg import Line, Mark, Point, chart, plane

HOUR: Millis = 3_600_000
UP, DOWN, OTHER = 2, 3, 5

STYLE = """
:root { color-scheme: light dark; --ink: #1d2733; --faint: #e3e8ee; --quiet: #66727f; --paper: #fff;
  --k0: #2563eb; --k1: #d97706; --k2: #15803d; --k3: #b91c1c; --k4: #7c3aed; --k5: #64748b; --k6: #0e7490; }
@media (prefers-color-scheme: dark) { :root { --ink: #e5e9ee; --faint: #2c3640; --quiet: #93a0ad; --paper: #12181f;
  --k0: #60a5fa; --k1: #fbbf24; --k2: #4ade80; --k3: #f87171; --k4: #c084fc; --k5: #94a3b8; --k6: #22d3ee; } }
body { font: 15px/1.5 system-ui, sans-serif; color: var(--ink); background: var(--paper); max-width: 1000px;
  margin: 2em auto; padding: 0 1em; }
h1 { font-size: 1.5em; margin-bottom: 0; } h2 { font-size: 1.15em; margin-top: 2em; } p.about { color: var(--quiet); }
svg { width: 100%; height: auto; display: block; margin: .4em 0; }
svg text { font: 12px system-ui, sans-serif; fill: var(--ink); } svg .axis { fill: var(--quiet); font-size: 11px; }
svg .title { font-weight: 600; } .grid { stroke: var(--faint); } .join { stroke: var(--quiet); stroke-width: 1; }
path { fill: none; stroke-width: 1.6; stroke-linejoin: round; }
.mark line { stroke-width: 1; opacity: .7; } .mark .reach { stroke-width: 9; opacity: 0; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; margin: .6em 0; width: 100%; }
td, th { padding: .2em .7em .2em 0; text-align: left; border-bottom: 1px solid var(--faint); vertical-align: top; }
td.n, th.n { text-align: right; } .up { color: var(--k2); } .down { color: var(--k3); }
""" + "\n".join(
    f".c{i} {{ stroke: var(--k{i}); }} .c{i} line {{ stroke: var(--k{i}); }} .d{i} {{ fill: var(--k{i}); }}"
    for i in range(7)
)


def report(tables: Sequence[Table]) -> str:
    """The page for one or several scenarios, each with one or several policies."""
    body: list[str] = []
    if len(tables) > 1 and len(tables[0].runs) > 1:
        body += ["<h1>Control quality</h1>", cost_against_lag(tables)]
    for table in tables:
        body += _scenario(table)
    return "\n".join(
        [
            "<!doctype html>",
            '<html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width">',
            f"<title>Simulation: {escape(', '.join(table.scenario.name for table in tables))}</title>",
            f"<style>{STYLE}</style>",
            *body,
            "</html>",
            "",
        ]
    )


def _scenario(table: Table) -> list[str]:
    scenario, runs = table.scenario, table.runs
    seeds = [run.seed for run in next(iter(runs.values()))]
    conditions = f"{scenario.hours:g} h on Flink {scenario.flink}, seed {', '.join(map(str, seeds))}"
    found = [
        f"<h1>{escape(scenario.name)}</h1>",
        f'<p class="about">{escape(scenario.about)} {escape(conditions)}.</p>',
        _scores(runs),
    ]
    for runs_of in runs.values():
        found += _curves(runs_of[0], scenario)
    return found


def _scores(runs: Mapping[str, Sequence[Run]]) -> str:
    """The scores of each policy, and each one's ratio to the last."""
    names = list(runs)
    sums = {name: summarized([run.scores for run in found]) for name, found in runs.items()}
    last = [run.scores for run in runs[names[-1]]]
    over = {name: ratios([run.scores for run in runs[name]], last) for name in names[:-1]}
    head = "".join(f'<th class="n">{escape(name)}</th>' for name in names)
    head += "".join(f'<th class="n">{escape(name)} / {escape(names[-1])}</th>' for name in over)
    rows = []
    for score, title in TITLES.items():
        cells = "".join(f'<td class="n">{_cell(sums[name][score])}</td>' for name in names)
        cells += "".join(f'<td class="n">{_cell(over[name][score])}</td>' for name in over)
        rows.append(f"<tr><td>{escape(title)}</td>{cells}</tr>")
    return f"<table><tr><th></th>{head}</tr>{''.join(rows)}</table>"


def _cell(value: Estimate | None) -> str:
    return "" if value is None else str(value)


def _curves(run: Run, scenario: Scenario) -> list[str]:
    minutes, hours = run.record.minutes, len(run.record.minutes) / 60
    marks = [_mark(change, run) for change in run.record.changes]
    vertices = [
        Line(name=name, values=[m.parallelism[i] for m in minutes], colour=i % 7, stepped=True)
        for i, name in enumerate(run.topology)
    ]
    shown = sorted(vertices, key=lambda line: -max(line.values, default=0.0))[:6]
    slots = [
        Line(name="held", values=[m.held for m in minutes], colour=0, stepped=True),
        Line(name="least", values=[m.least for m in minutes], colour=5, stepped=True, dashed=True),
    ]
    faults = [
        Mark(hour=fault.at / 60, text=f"{fault.kind} ({fault.minutes:g} min)", colour=OTHER)
        for fault in scenario.faults
    ]
    return [
        f"<h2>{escape(run.policy)}, seed {run.seed}</h2>",
        chart("Load, records/s", hours, [Line(name="load", values=[m.arriving for m in minutes], colour=0)], faults),
        chart("Time lag", hours, [Line(name="lag", values=[m.time_lag_s for m in minutes], colour=3)], marks, " s"),
        chart("Parallelism", hours, shown, marks),
        chart("Slots", hours, slots, marks),
        _rescales(run),
    ]


def _reason(change: Change, run: Run) -> str:
    """Why the newest request before a change was made."""
    if not change.is_rescale or not run.requests:
        return change.why
    made = [request for request in run.requests if request.at <= change.at]
    return made[0].text if made and change.why == "rescale" else change.why


def _mark(change: Change, run: Run) -> Mark:
    grew = sum(change.after.values()) - sum(change.before.values())
    text = f"{_clock(change.at)}: {_reason(change, run)}"
    return Mark(hour=(change.at - BEGAN) / HOUR, text=text, colour=UP if grew > 0 else DOWN if grew < 0 else OTHER)


def _rescales(run: Run) -> str:
    if not run.record.changes:
        return "<p>No restart.</p>"
    rows = []
    for change in run.record.changes:
        before, after = sum(change.before.values()), sum(change.after.values())
        kind = "up" if after > before else "down" if after < before else ""
        rows.append(
            f'<tr><td>{_clock(change.at)}</td><td class="n {kind}">{before}→{after}</td>'
            f'<td class="n">{(change.up_at - change.at) / 1000:.0f} s</td>'
            f'<td class="n">{change.replayed:,.0f}</td><td>{escape(_reason(change, run))}</td></tr>'
        )
    head = (
        '<tr><th>at</th><th class="n">subtasks</th><th class="n">down</th><th class="n">replayed</th><th>why</th></tr>'
    )
    return f"<table>{head}{''.join(rows)}</table>"


def _clock(at: Millis) -> str:
    minutes = (at - BEGAN) // 60_000
    return f"{minutes // 60}:{minutes % 60:02d} h"


def cost_against_lag(tables: Sequence[Table]) -> str:
    """A picture of what each policy pays and how long it is behind, one line between the policies of a scenario."""
    points: list[Point] = []
    joins: list[tuple[int, int]] = []
    for table in tables:
        first = len(points)
        for colour, (name, runs) in enumerate(table.runs.items()):
            found = summarized([run.scores for run in runs])
            cost, lag = found["slots_over_least"], found["v60_min_per_day"]
            assert cost is not None
            assert lag is not None
            text = f"{table.scenario.name}, {name}: {cost} times the least slots, {lag} min a day with lag > 60 s"
            label = table.scenario.name if colour == 0 else ""
            points.append(Point(x=cost.mean, y=lag.mean, text=text, colour=colour, label=label))
            if len(points) - 1 > first:
                joins.append((len(points) - 2, len(points) - 1))
    names = " · ".join(f'<span style="color:var(--k{i})">●</span> {escape(n)}' for i, n in enumerate(tables[0].runs))
    picture = plane(
        "Cost against lag",
        "slot-hours over the least that carry the load →",
        "↑ minutes a day with a time lag above 60 s",
        points,
        joins,
    )
    return f"<p>{names}</p>{picture}"

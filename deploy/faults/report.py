"""What a campaign found, as a table for people and as JSON."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from faults.episode import Outcome
from faults.observer import INVARIANTS, Violation
from faults.weather import CRASH_POINTS

SHOWN = 20


@dataclass(slots=True)
class Total:
    """The sum of episodes. ``failed`` are seed, hours and what was broken."""

    episodes: int = 0
    hours: float = 0.0
    passes: int = 0
    faulty: int = 0
    puts: int = 0
    daemons: int = 0
    cpu_s: float = 0.0
    first_seed: int | None = None
    last_seed: int | None = None
    effects: Counter[str] = field(default_factory=Counter)
    hit: Counter[str] = field(default_factory=Counter)
    broken: Counter[str] = field(default_factory=Counter)
    failed: list[tuple[int, float, Violation]] = field(default_factory=list)

    def add(self, one: Outcome) -> None:
        self.episodes += 1
        for name in ("hours", "passes", "faulty", "puts", "daemons", "cpu_s"):
            setattr(self, name, getattr(self, name) + getattr(one, name))
        self.first_seed = one.seed if self.first_seed is None else min(self.first_seed, one.seed)
        self.last_seed = one.seed if self.last_seed is None else max(self.last_seed, one.seed)
        self.effects += one.effects
        self.hit += one.hit
        for violation in one.violations:
            self.broken[violation.invariant] += 1
            self.failed.append((one.seed, one.hours, violation))

    @property
    def not_hit(self) -> list[str]:
        return [point for point in CRASH_POINTS if not self.hit[point]]


def replay(seed: int, hours: float) -> str:
    """The command that plays one episode again."""
    return f"make faults SEED={seed} HOURS={hours:g}"


def table(total: Total) -> str:
    """The result in a few lines and one table."""
    rows = [
        ("episodes", f"{total.episodes:,} (seeds {total.first_seed} to {total.last_seed})"),
        ("job-days", f"{total.hours / 24:,.1f}"),
        ("passes", f"{total.passes:,}, of which {total.faulty:,} with a fault since the pass before"),
        ("faults", f"{total.effects.total():,} of {len(total.effects)} kinds"),
        ("daemons started", f"{total.daemons:,}"),
        ("PUTs that took effect", f"{total.puts:,}"),
        (
            "crash points hit",
            f"{len(CRASH_POINTS) - len(total.not_hit)} of {len(CRASH_POINTS)}, {total.hit.total():,} times",
        ),
        ("processor time", f"{total.cpu_s / 60:,.1f} min"),
    ]
    rows += [(f"BROKEN: {name}" if total.broken[name] else name, f"{total.broken[name]:,}") for name in INVARIANTS]
    width = max(len(name) for name, _ in rows)
    lines = [f"{name:<{width}}  {value}" for name, value in rows]
    if total.not_hit:
        lines.append(f"never hit: {', '.join(total.not_hit)}")
    for seed, hours, violation in total.failed[:SHOWN]:
        lines.append(f"\n{violation.invariant}, after {violation.at / 60_000:.1f} min: {violation.detail}")
        lines.append(f"  {replay(seed, hours)}")
    if len(total.failed) > SHOWN:
        lines.append(f"\nand {len(total.failed) - SHOWN} more, in the JSON")
    return "\n".join(lines)


def document(total: Total) -> dict[str, Any]:
    """The result as JSON."""
    return {
        "episodes": total.episodes,
        "seeds": [total.first_seed, total.last_seed],
        "job_days": round(total.hours / 24, 2),
        "passes": total.passes,
        "faulty_passes": total.faulty,
        "puts": total.puts,
        "daemons": total.daemons,
        "cpu_s": round(total.cpu_s, 1),
        "faults": dict(total.effects.most_common()),
        "crash_points": {point: total.hit[point] for point in CRASH_POINTS},
        "invariants": {name: total.broken[name] for name in INVARIANTS},
        "violations": [
            {
                "seed": seed,
                "replay": replay(seed, hours),
                "invariant": violation.invariant,
                "at_ms": violation.at,
                "detail": violation.detail,
            }
            for seed, hours, violation in total.failed
        ],
    }


def written(one: Outcome) -> dict[str, Any]:
    """One episode as a line of a shard's file."""
    return {
        "seed": one.seed,
        "hours": one.hours,
        "passes": one.passes,
        "faulty": one.faulty,
        "puts": one.puts,
        "daemons": one.daemons,
        "cpu_s": one.cpu_s,
        "effects": dict(one.effects),
        "hit": dict(one.hit),
        "violations": [[each.invariant, each.at, each.detail] for each in one.violations],
    }


def read(line: dict[str, Any]) -> Outcome:
    """The episode a line of a shard's file tells of."""
    return Outcome(
        **{
            **line,
            "effects": Counter(line["effects"]),
            "hit": Counter(line["hit"]),
            "violations": tuple(Violation(*each) for each in line["violations"]),
        }
    )


def summed(outcomes: Sequence[Outcome]) -> Total:
    total = Total()
    for one in outcomes:
        total.add(one)
    return total

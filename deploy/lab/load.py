"""Controls the load generator through its rates file, and plays a story's phases."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

from lab.layout import TOPICS, LabError
from lab.story import Phase, Story

LEADING_TOPIC = "orders"
ALL = "all"


def read_rates(file: Path) -> dict[str, float]:
    """Return the records per second of each topic."""
    try:
        lines = file.read_text(encoding="utf-8").splitlines()
    except FileNotFoundError:
        return {}
    return {topic: float(rate) for topic, rate in (line.split() for line in lines if line)}


def write_rates(file: Path, rates: Mapping[str, float]) -> None:
    """Replace the rates in one step: the generator never reads half a file."""
    partial = file.with_suffix(".partial")
    partial.write_text("".join(f"{topic} {rate:g}\n" for topic, rate in rates.items()), encoding="utf-8")
    partial.replace(file)


def changed_rates(now: Mapping[str, float], story: Story, topic: str, rate: float) -> dict[str, float]:
    """Return the rates after `topic` is set to `rate`.

    For all topics, `rate` is that of the orders; the others keep the proportions of the story's first phase.
    """
    if rate < 0:
        raise LabError("a rate cannot be below 0")
    if topic == ALL:
        first = story.phases[0].rates
        return {name: rate * first[name] / first[LEADING_TOPIC] for name in first}
    if topic not in TOPICS:
        raise LabError(f"no topic is called {topic}; there are {', '.join(TOPICS)}")
    return {**now, topic: rate}


def play(
    story: Story,
    set_rates: Callable[[Mapping[str, float]], None],
    sleep: Callable[[float], object],
    say: Callable[[str], None],
) -> None:
    """Set the rates of each phase in turn and wait until it is over."""
    for phase in story.phases:
        set_rates(phase.rates)
        say(f"{phase.name}: {describe(phase)}")
        sleep(phase.seconds)


def describe(phase: Phase) -> str:
    rates = ", ".join(f"{topic} {rate:g}" for topic, rate in phase.rates.items())
    return f"{rates} records/s for {phase.seconds:g} s"

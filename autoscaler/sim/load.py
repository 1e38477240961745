"""The load: how many records arrive at a source in each cell of 5 seconds. Pure functions of shape and seed."""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate

from autoscaler.model import Millis
from autoscaler.sim.chance import Chance

CELL_S = 5
CELL: Millis = CELL_S * 1000
Numbers = Mapping[str, float]
Shape = Callable[[Numbers, random.Random, int], Iterator[float]]
"""From parameters, a generator and a number of cells to the rate in each, records per second."""


@dataclass(frozen=True, slots=True)
class Arrivals:
    """Records per second in each cell, and all that arrived before it."""

    rates: Sequence[float]
    before: Sequence[float]

    @staticmethod
    def of(rates: Sequence[float]) -> Arrivals:
        return Arrivals(rates=rates, before=[0.0, *accumulate(rate * CELL_S for rate in rates)])

    def until(self, seconds: float) -> float:
        """Records that arrived up to a time; after the last cell its rate goes on."""
        cell = min(int(seconds // CELL_S), len(self.rates) - 1)
        return self.before[cell] + self.rates[cell] * (seconds - cell * CELL_S)

    def rate(self, seconds: float) -> float:
        return self.in_cell(int(seconds // CELL_S))

    def in_cell(self, cell: int) -> float:
        """The rate in a cell; after the last one its rate goes on."""
        return self.rates[cell] if cell < len(self.rates) else self.rates[-1]

    @property
    def mean(self) -> float:
        return self.before[-1] / (len(self.rates) * CELL_S)


def arrivals(shape: str, numbers: Numbers, source: str, chance: Chance, seconds: float) -> Arrivals:
    """What arrives at a source during a run. ``noise`` and ``noise_tau_s`` among the numbers add a wobble."""
    cells = math.ceil(seconds / CELL_S) + 1
    rates = [max(0.0, rate) for rate in SHAPES[shape](numbers, chance.stream("load", source), cells)]
    sigma = numbers.get("noise", 0.0)
    if sigma > 0:
        wobble = _ar1(chance.stream("noise", source), sigma, numbers.get("noise_tau_s", 180.0))
        rates = [max(0.0, rate * (1.0 + next(wobble))) for rate in rates]
    return Arrivals.of(rates)


def _ar1(stream: random.Random, sigma: float, tau_s: float) -> Iterator[float]:
    """A first-order autoregressive series with that deviation and correlation time, one value per cell."""
    keep = math.exp(-CELL_S / tau_s)
    value = stream.gauss(0.0, sigma)
    while True:
        yield value
        value = keep * value + math.sqrt(1.0 - keep * keep) * stream.gauss(0.0, sigma)


def _minutes(cells: int) -> Iterator[float]:
    """The middle of each cell, in minutes."""
    return ((cell + 0.5) * CELL_S / 60.0 for cell in range(cells))


def _steady(n: Numbers, _: random.Random, cells: int) -> Iterator[float]:
    return (n["rate"] for _ in range(cells))


def _step(n: Numbers, _: random.Random, cells: int) -> Iterator[float]:
    return (n["high"] if n["up"] <= t < n["down"] else n["low"] for t in _minutes(cells))


def _cosine(n: Numbers, _: random.Random, cells: int) -> Iterator[float]:
    return (n["mean"] + n["amplitude"] * math.cos(2 * math.pi * t / n["period"]) for t in _minutes(cells))


def _sine(n: Numbers, _: random.Random, cells: int) -> Iterator[float]:
    return (n["mean"] + n["amplitude"] * math.sin(2 * math.pi * t / n["period"]) for t in _minutes(cells))


def _ramp(n: Numbers, _: random.Random, cells: int) -> Iterator[float]:
    half = n["minutes"]
    return (n["peak"] * max(0.0, 1.0 - abs(t - half) / half) for t in _minutes(cells))


def _walk(n: Numbers, _: random.Random, cells: int) -> Iterator[float]:
    stream = random.Random(int(n["seed"]))  # one fixed walk, whatever the seed of the run
    rate, minute = n["start"], 0
    for t in _minutes(cells):
        while minute < int(t):
            rate = min(n["high"], max(0.0, rate + stream.uniform(-n["step"], n["step"])))
            minute += 1
        yield rate


def _diurnal(n: Numbers, _: random.Random, cells: int) -> Iterator[float]:
    for t in _minutes(cells):
        hour = t / 60.0
        wave = 0.5 * math.cos(2 * math.pi * (hour - 4) / 24) + 0.1 * math.cos(4 * math.pi * (hour - 9) / 24)
        weekend = n["weekend"] if (int(n["first_weekday"]) + int(hour // 24)) % 7 >= 5 else 1.0
        yield n["rate"] * (1.0 - wave) * weekend


def _commute(n: Numbers, _: random.Random, cells: int) -> Iterator[float]:
    def hill(hour: float, middle: float, width: float) -> float:
        return math.exp(-(((hour - middle) / width) ** 2))

    for t in _minutes(cells):
        hour = (t / 60.0) % 24
        yield n["base"] + n["peak"] * (hill(hour, 8.5, 1.6) + 1.1 * hill(hour, 18.5, 2.2) + 0.55 * hill(hour, 13, 3))


def _spikes(n: Numbers, stream: random.Random, cells: int) -> Iterator[float]:
    spikes: list[tuple[float, float, float, float]] = []
    days = math.ceil(cells * CELL_S / 86_400)
    for day in range(days):
        for _ in range(int(n["a_day"])):
            at = day * 1440 + stream.uniform(0, 1440)
            spikes.append((at, stream.uniform(1, 5), stream.uniform(10, 25), stream.uniform(2, 3)))
    for t in _minutes(cells):
        factor = 1.0
        for at, ramp, hold, height in spikes:
            if at <= t < at + 2 * ramp + hold:
                edge = min((t - at) / ramp, (at + 2 * ramp + hold - t) / ramp, 1.0)
                factor = max(factor, 1.0 + (height - 1.0) * edge)
        yield n["base"] * factor


def _outage(n: Numbers, _: random.Random, cells: int) -> Iterator[float]:
    end = n["at"] + n["minutes"]
    for t in _minutes(cells):
        if n["at"] <= t < end:
            yield 0.0
        elif t >= end:
            yield n["rate"] * (1.0 + (n["factor"] - 1.0) * math.exp(-(t - end) / n["tau"]))
        else:
            yield n["rate"]


def _burst(n: Numbers, stream: random.Random, cells: int) -> Iterator[float]:
    """Log-normal, correlated, cut at ``peak`` times the mean, and one rise by ``surge`` within 5 minutes."""
    sigma = math.sqrt(math.log(1.0 + n["variation"] ** 2))
    wave = _ar1(stream, sigma, n["tau_s"])
    start = stream.uniform(0.3, 0.6) * cells * CELL_S / 60.0
    for t in _minutes(cells):
        level = min(math.exp(next(wave) - sigma * sigma / 2), n["peak"])
        if start <= t < start + 30:
            rise = min(1.0, (t - start) / 5)
            level = max(level, 1.0 + (n["surge"] - 1.0) * rise)
        yield n["mean"] * level


def _leap(n: Numbers, _: random.Random, cells: int) -> Iterator[float]:
    for t in _minutes(cells):
        rise = min(1.0, max(0.0, (t - n["at"]) / n["within"]))
        yield n["rate"] * (1.0 + (n["factor"] - 1.0) * rise)


SHAPES: Mapping[str, Shape] = {
    "steady": _steady,
    "step": _step,
    "cosine": _cosine,
    "sine": _sine,
    "ramp": _ramp,
    "walk": _walk,
    "diurnal": _diurnal,
    "commute": _commute,
    "spikes": _spikes,
    "outage": _outage,
    "burst": _burst,
    "leap": _leap,
}

NEEDS: Mapping[str, tuple[str, ...]] = {
    "steady": ("rate",),
    "step": ("low", "high", "up", "down"),
    "cosine": ("mean", "amplitude", "period"),
    "sine": ("mean", "amplitude", "period"),
    "ramp": ("peak", "minutes"),
    "walk": ("start", "step", "high", "seed"),
    "diurnal": ("rate", "weekend", "first_weekday"),
    "commute": ("base", "peak"),
    "spikes": ("base", "a_day"),
    "outage": ("rate", "at", "minutes", "factor", "tau"),
    "burst": ("mean", "variation", "peak", "surge", "tau_s"),
    "leap": ("rate", "at", "within", "factor"),
}

DURATIONS = ("period", "minutes", "within", "tau", "tau_s", "noise_tau_s")

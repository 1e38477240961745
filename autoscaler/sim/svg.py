"""Charts as inline SVG, without a library: lines over time, and points on a plane. Colours come from the page."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

WIDTH, HEIGHT, LEFT, RIGHT, TOP, BOTTOM = 960, 190, 64, 16, 26, 24
MOST_POINTS = 900


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """A series over the hours of a chart. ``colour`` is a number of the page's palette."""

    name: str
    values: Sequence[float]
    colour: int
    stepped: bool = False
    dashed: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Mark:
    """A vertical line with a text that shows when the pointer is on it."""

    hour: float
    text: str
    colour: int


def chart(title: str, hours: float, lines: Sequence[Line], marks: Sequence[Mark] = (), unit: str = "") -> str:
    """A chart of series whose values are evenly spread over so many hours."""
    top = nice(max((max(line.values, default=0.0) for line in lines), default=0.0))
    parts = [
        f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{escape(title)}">',
        f'<text class="title" x="{LEFT}" y="15">{escape(title)}</text>',
        _legend(lines),
        *_grid(hours, top, unit),
        *(_mark(mark, hours) for mark in marks),
        *(_path(line, top) for line in lines),
        "</svg>",
    ]
    return "\n".join(part for part in parts if part)


def _x(share: float) -> float:
    return LEFT + share * (WIDTH - LEFT - RIGHT)


def _y(share: float) -> float:
    return HEIGHT - BOTTOM - share * (HEIGHT - TOP - BOTTOM)


def _grid(hours: float, top: float, unit: str) -> list[str]:
    found = []
    for part in range(5):
        y, value = _y(part / 4), top * part / 4
        found.append(f'<line class="grid" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y:.1f}" y2="{y:.1f}"/>')
        found.append(f'<text class="axis" x="{LEFT - 6}" y="{y + 4:.1f}" text-anchor="end">{short(value)}{unit}</text>')
    step = next((s for s in (0.25, 0.5, 1, 2, 3, 6, 12, 24) if hours / s <= 12), 48)
    for tick in range(math.floor(hours / step) + 1):
        x = _x(tick * step / hours)
        found.append(f'<text class="axis" x="{x:.1f}" y="{HEIGHT - 6}" text-anchor="middle">{tick * step:g} h</text>')
    return found


def _legend(lines: Sequence[Line]) -> str:
    if len(lines) < 2:
        return ""
    found, x = [], WIDTH - RIGHT
    for line in reversed(lines):
        x -= 7 * len(line.name) + 24
        dash = ' stroke-dasharray="4 3"' if line.dashed else ""
        found.append(f'<line class="c{line.colour}" x1="{x}" x2="{x + 16}" y1="11" y2="11"{dash}/>')
        found.append(f'<text class="axis" x="{x + 20}" y="15">{escape(line.name)}</text>')
    return "\n".join(found)


def _path(line: Line, top: float) -> str:
    values = thinned(line.values)
    if not values:
        return ""
    points = [(_x((i + 0.5) / len(values)), _y(min(1.0, value / top))) for i, value in enumerate(values)]
    data = f"M{points[0][0]:.1f} {points[0][1]:.1f}"
    for x, y in points[1:]:
        data += f"H{x:.1f}V{y:.1f}" if line.stepped else f"L{x:.1f} {y:.1f}"
    dash = ' stroke-dasharray="4 3"' if line.dashed else ""
    return f'<path class="c{line.colour}" d="{data}"{dash}/>'


def _mark(mark: Mark, hours: float) -> str:
    x = _x(mark.hour / hours)
    return (
        f'<g class="mark c{mark.colour}"><line x1="{x:.1f}" x2="{x:.1f}" y1="{TOP}" y2="{HEIGHT - BOTTOM}"/>'
        f'<line class="reach" x1="{x:.1f}" x2="{x:.1f}" y1="{TOP}" y2="{HEIGHT - BOTTOM}"/>'
        f"<title>{escape(mark.text)}</title></g>"
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Point:
    """A point of a plane; ``text`` shows when the pointer is on it, ``label`` always."""

    x: float
    y: float
    text: str
    colour: int
    label: str = ""


def plane(title: str, x_title: str, y_title: str, points: Sequence[Point], joins: Sequence[tuple[int, int]]) -> str:
    """Points on a plane with logarithmic x and square-root y; ``joins`` are pairs of points to join by a line."""
    width, height, bottom = 960, 420, 40
    low = min(point.x for point in points) * 0.9
    high = max(point.x for point in points) * 1.1
    top = nice(max(max(point.y for point in points), 1.0))

    def place(point: Point) -> tuple[float, float]:
        across = math.log(point.x / low) / math.log(high / low)
        return LEFT + across * (width - LEFT - RIGHT), (height - bottom) - math.sqrt(point.y / top) * (
            height - TOP - bottom
        )

    parts = [
        f'<svg viewBox="0 0 {width} {height}" role="img" aria-label="{escape(title)}">',
        f'<text class="title" x="{LEFT}" y="15">{escape(title)}</text>',
        f'<text class="axis" x="{width - RIGHT}" y="{height - 6}" text-anchor="end">{escape(x_title)}</text>',
        f'<text class="axis" x="{LEFT}" y="{height - 6}">{escape(y_title)}</text>',
    ]
    for part in range(5):
        value = top * (part / 4) ** 2
        y = (height - bottom) - part / 4 * (height - TOP - bottom)
        parts.append(f'<line class="grid" x1="{LEFT}" x2="{width - RIGHT}" y1="{y:.1f}" y2="{y:.1f}"/>')
        parts.append(f'<text class="axis" x="{LEFT - 6}" y="{y + 4:.1f}" text-anchor="end">{short(value)}</text>')
    for a, b in joins:
        (x1, y1), (x2, y2) = place(points[a]), place(points[b])
        parts.append(f'<line class="join" x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}"/>')
    for point in points:
        x, y = place(point)
        parts.append(
            f'<circle class="dot d{point.colour}" cx="{x:.1f}" cy="{y:.1f}" r="5"><title>{escape(point.text)}'
            f"</title></circle>"
        )
        parts.append(f'<text class="axis" x="{x + 8:.1f}" y="{y - 6:.1f}">{escape(point.label)}</text>')
    return "\n".join([*parts, "</svg>"])


def thinned(values: Sequence[float]) -> Sequence[float]:
    """At most as many values as a screen has columns; of neighbours the largest stays, so that no peak is lost."""
    if len(values) <= MOST_POINTS:
        return values
    size = math.ceil(len(values) / MOST_POINTS)
    return [max(values[start : start + size]) for start in range(0, len(values), size)]


def nice(value: float) -> float:
    """A round number at or above a value, for the top of an axis."""
    if value <= 0:
        return 1.0
    scale = 10.0 ** math.floor(math.log10(value))
    return next(step * scale for step in (1, 1.2, 1.6, 2, 2.4, 3, 4, 5, 6, 8, 10) if step * scale >= value * (1 - 1e-9))


def short(value: float) -> str:
    """A number in few characters: 12k, 2.5M."""
    for limit, unit in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if value >= limit:
            return f"{value / limit:.3g}{unit}"
    return f"{value:.3g}"

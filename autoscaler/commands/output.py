"""Printing: JSON documents for programs, aligned columns for people. To stdout, but for complaints."""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Mapping, Sequence
from dataclasses import fields, is_dataclass
from datetime import UTC, datetime
from enum import Enum
from typing import Any

from msgspec import Struct
from msgspec.structs import asdict

from autoscaler.model import Millis


def plain(value: Any) -> Any:
    """Turn values of ``model`` into what JSON can hold; infinities become the strings Flink uses."""
    if isinstance(value, Struct):
        return {name: plain(item) for name, item in asdict(value).items()}
    if is_dataclass(value) and not isinstance(value, type):
        return {field.name: plain(getattr(value, field.name)) for field in fields(value)}
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple, set, frozenset)):
        return [plain(item) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"
    return value


def print_json(value: Any) -> None:
    print(json.dumps(plain(value)))


def visible(text: str) -> str:
    """The text without what would move a terminal's cursor or fake a line: names come from whoever submits jobs."""
    return "".join(c if c.isprintable() else "?" for c in text)


def say(text: str) -> None:
    """Print one line."""
    print(visible(text))


def complain(text: str) -> None:
    """Print one line that is no data, to stderr."""
    print(f"autoscaler: {visible(text)}", file=sys.stderr)


def print_table(header: Sequence[str], rows: Sequence[Sequence[str]], *, indent: int = 0) -> None:
    """Columns as wide as their widest cell; the last one is not padded."""
    widths = [max(len(row[i]) for row in [header, *rows]) for i in range(len(header))]
    for row in [header, *rows]:
        cells = [cell.ljust(width) for cell, width in zip(row, widths, strict=True)]
        say(" " * indent + "  ".join(cells).rstrip())


def clock_time(at: Millis) -> str:
    """An instant in UTC, for example ``2026-03-01 12:00:05``."""
    return datetime.fromtimestamp(at / 1000, UTC).strftime("%Y-%m-%d %H:%M:%S")

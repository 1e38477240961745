#!/usr/bin/env python3
"""Compare our decisions with expected ones: ``parity.py CASES``, .jsonl of case and expected.

Prints what differs, grouped by field, with the first case of each; exit status 1 if anything does. The
extras are off: what goes beyond the reference cannot be compared with it.
"""

from __future__ import annotations

import gzip
import json
import math
import sys
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from autoscaler.case import decide_case

TOLERANCE = 1e-9
EXACT = ("reason", "rescale", "parallelism", "delayed_scale_down")


def lines(path: Path) -> Iterator[str]:
    """Yield the lines of a file, gzip or not."""
    with gzip.open(path, "rt", encoding="utf-8") if path.suffix == ".gz" else path.open(encoding="utf-8") as file:
        yield from (line for line in file if line.strip())


def differences(expected: Mapping[str, Any], actual: Mapping[str, Any]) -> Iterator[tuple[str, object, object]]:
    """Yield each field in which an answer is not the expected one, with both values."""
    for field in EXACT:
        if expected.get(field) != actual.get(field):
            yield field, expected.get(field), actual.get(field)
    events = [_events(answer) for answer in (expected, actual)]
    if events[0] != events[1]:
        yield "events", dict(events[0]), dict(events[1])
    yield from _number_differences("job", expected.get("job"), actual.get("job"))
    vertices = expected.get("vertices") or {}, actual.get("vertices") or {}
    if vertices[0].keys() != vertices[1].keys():
        yield "vertices", sorted(vertices[0]), sorted(vertices[1])
    for vertex_id in vertices[0].keys() & vertices[1].keys():
        yield from _number_differences("vertices", vertices[0][vertex_id], vertices[1][vertex_id])


def _events(answer: Mapping[str, Any]) -> Counter[tuple[str, str | None]]:
    return Counter((event["reason"], event.get("vertex")) for event in answer.get("events") or ())


def _number_differences(
    group: str, expected: Mapping[str, Any] | None, actual: Mapping[str, Any] | None
) -> Iterator[tuple[str, object, object]]:
    expected, actual = expected or {}, actual or {}
    for name in sorted(expected.keys() | actual.keys()):
        if not _equal(expected.get(name), actual.get(name)):
            yield f"{group}.{name}", expected.get(name), actual.get(name)


def _equal(expected: object, actual: object) -> bool:
    if isinstance(expected, int | float) and isinstance(actual, int | float):
        return math.isclose(expected, actual, rel_tol=TOLERANCE)
    return expected == actual


def main(arguments: list[str]) -> int:
    """Compare all cases of a file and print what differs."""
    if len(arguments) != 1:
        print(__doc__, file=sys.stderr)
        return 2
    first: dict[str, str] = {}
    counts: Counter[str] = Counter()
    total = differing = 0
    for line in lines(Path(arguments[0])):
        document = json.loads(line)
        total += 1
        found = list(differences(document["expected"], decide_case(document["case"], extras=False)))
        differing += bool(found)
        for field in dict.fromkeys(field for field, _, _ in found):
            counts[field] += 1
        for field, expected, actual in found:
            first.setdefault(field, f"{document['case'].get('name')}: expected {expected}, got {actual}")
    for field, count in counts.most_common():
        print(f"{field}: {count} cases differ, first {first[field]}")
    print(f"{total - differing} of {total} cases agree")
    return 1 if differing else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

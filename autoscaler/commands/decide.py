"""``decide``: answers to decision cases, one JSON line each."""

from __future__ import annotations

import gzip
import json
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

from autoscaler.case import decide_case

_GZIP = b"\x1f\x8b"


def decide_file(name: str, *, extras: bool | None) -> int:
    """Answer every case of a file, ``-`` for stdin: one JSON document or one per line, gzipped or not.

    1 if any of them could not be answered, 2 if the file cannot be read.
    """
    try:
        text = _text(sys.stdin.buffer.read() if name == "-" else Path(name).read_bytes())
    except (OSError, EOFError, UnicodeDecodeError) as error:
        print(f"autoscaler: {name}: cannot be read: {error}", file=sys.stderr)
        return 2
    failed = 0
    for answer in _answers(_cases(text), extras):
        failed += "error" in answer and "reason" not in answer
        print(json.dumps(answer, ensure_ascii=False))
    if failed:
        print(f"autoscaler: {failed} of the cases could not be answered", file=sys.stderr)
    return 1 if failed else 0


def _text(content: bytes) -> str:
    return (gzip.decompress(content) if content.startswith(_GZIP) else content).decode("utf-8")


def _cases(text: str) -> Iterable[str]:
    """One document, over as many lines as it likes, or a document per line."""
    try:
        json.loads(text)
    except ValueError:
        return (line for line in text.splitlines() if line.strip())
    return [text]


def _answers(cases: Iterable[str], extras: bool | None) -> Iterator[dict[str, object]]:
    for case in cases:
        yield decide_case(case, extras)

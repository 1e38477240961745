"""``decide``: answers to decision cases, one JSON line each."""

from __future__ import annotations

import gzip
import sys
import zlib
from collections.abc import Sequence
from pathlib import Path

from pydantic_core import from_json, to_json

from autoscaler.case import decide_case

_GZIP = b"\x1f\x8b"
_BYTE_ORDER_MARK = b"\xef\xbb\xbf"


def decide_file(name: str, *, extras: bool | None) -> int:
    """Answer every case of a file, ``-`` for stdin: one JSON document or one per line, gzipped or not.

    1 if any of them could not be answered, 2 if the file cannot be read.
    """
    try:
        content = _content(sys.stdin.buffer.read() if name == "-" else Path(name).read_bytes())
    except (OSError, EOFError, zlib.error) as error:
        print(f"autoscaler: {name}: cannot be read: {error}", file=sys.stderr)
        return 2
    cases = _cases(content)
    if not cases:
        print(f"autoscaler: {name}: there is no case in it", file=sys.stderr)
    failed = 0
    for case in cases:
        answer = decide_case(case, extras)
        failed += "reason" not in answer
        print(to_json(answer, ensure_ascii=True).decode())
    if failed:
        print(f"autoscaler: {failed} of {len(cases)} cases could not be answered", file=sys.stderr)
    return 1 if failed else 0


def _content(read: bytes) -> bytes:
    return (gzip.decompress(read) if read.startswith(_GZIP) else read).removeprefix(_BYTE_ORDER_MARK)


def _cases(content: bytes) -> Sequence[bytes]:
    """One document, over as many lines as it likes, or a document per line."""
    try:
        from_json(content)
    except ValueError:
        return [line for line in content.splitlines() if line.strip()]
    return [content]

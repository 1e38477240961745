"""``decide``: answers to decision cases, one JSON line each."""

from __future__ import annotations

import gzip
import sys
import zlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from pydantic_core import PydanticSerializationError, from_json, to_json

from autoscaler.case import decide_case

_GZIP = b"\x1f\x8b"
_BYTE_ORDER_MARK = b"\xef\xbb\xbf"


def decide_file(name: str, *, extras: bool | None) -> int:
    """Answer every case of a file, ``-`` for stdin: one JSON document or one per line, gzipped or not.

    1 if any of them could not be answered or there is none, 2 if the file cannot be read.
    """
    try:
        content = _content(sys.stdin.buffer.read() if name == "-" else Path(name).read_bytes())
    except (OSError, EOFError, zlib.error) as error:
        print(f"autoscaler: {name}: cannot be read: {error}", file=sys.stderr)
        return 2
    cases = _cases(content, by_line=name.removesuffix(".gz").endswith(".jsonl"))
    if not cases:
        where = "standard input" if name == "-" else name
        print(f"autoscaler: {where}: there is no case in it", file=sys.stderr)
        return 1
    failed = 0
    for case in cases:
        answer = decide_case(case, extras)
        try:
            line = _written(answer)
        except PydanticSerializationError as error:  # half a surrogate pair in a name, or a name nested without end
            answer = {"name": None, "error": f"a name or an id in the case cannot be written as JSON: {error}"}
            line = _written(answer)
        failed += "reason" not in answer
        print(line)
    if failed:
        print(f"autoscaler: {failed} of {len(cases)} cases could not be answered", file=sys.stderr)
    return 1 if failed else 0


def _written(answer: Mapping[str, Any]) -> str:
    return to_json(answer, ensure_ascii=True, inf_nan_mode="null").decode()


def _content(read: bytes) -> bytes:
    return (gzip.decompress(read) if read.startswith(_GZIP) else read).removeprefix(_BYTE_ORDER_MARK)


def _cases(content: bytes, *, by_line: bool) -> Sequence[bytes]:
    """One document, over as many lines as it likes, or a document per line.

    What is neither is one mistake with one place, unless the name says ``by_line`` or a line of it is a case.
    """
    lines = [line for line in content.splitlines() if line.strip()]
    if not lines or (not _parses(content) and (by_line or any(map(_is_case, lines)))):
        return lines
    return [content]


def _is_case(line: bytes) -> bool:
    """Not a part of a document over several lines, which would be indented or end with a comma."""
    return line.startswith(b"{") and _parses(line)


def _parses(text: bytes) -> bool:
    try:
        from_json(text)
    except ValueError:
        return False
    return True

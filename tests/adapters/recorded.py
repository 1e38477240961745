"""The recorded answers in ``tests/data``: Flink's by release, YARN's and the proxy's with their headers."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from tests.adapters.stub import Answer

DATA = Path(__file__).parent.parent / "data"
FLINK = DATA / "flink-rest"
YARN = DATA / "yarn-rest"

RELEASES = ("1.18.1", "1.19.3", "1.20.3", "2.0.2", "2.1.3", "2.2.1", "2.3.0")


def flink_answer(release: str, name: str) -> Answer:
    """What a Flink release said; the file's first line ends with the status."""
    request, _, body = (FLINK / release / f"{name}.json").read_text().partition("\n")
    return Answer(status=int(request.rpartition("-> ")[2]), body=body.encode())


def flink(release: str, name: str) -> Any:
    """The same, parsed."""
    return json.loads(flink_answer(release, name).body)


def yarn(name: str) -> Any:
    """A ResourceManager's answer, or Flink's on YARN, parsed."""
    return json.loads((YARN / f"{name}.json").read_text())


def http_answer(name: str) -> Answer:
    """A full recorded answer: a line about the request, the status line, headers, an empty line, the body.

    The recorder kept 3,000 bytes of a body at most; such a one is sent as if it were whole.
    """
    lines, _, body = (YARN / f"{name}.http").read_bytes().replace(b"\r\n", b"\n").partition(b"\n\n")
    _, status, *headers = lines.decode().split("\n")
    pairs = [(line.partition(": ")[0], line.partition(": ")[2]) for line in headers]
    length = next((int(value) for key, value in pairs if key == "Content-Length"), None)
    kept = tuple((key, value) for key, value in pairs if key not in ("Content-Length", "Transfer-Encoding"))
    content = body.strip(b"\n") if length is None or length > len(body) else body[:length]
    return Answer(status=int(status.split()[1]), body=content, headers=kept)

"""Decision cases: one JSON document that holds everything one decision depends on, and the answer to it.

Absent values may be left out or ``null``; a number may also be written ``"Infinity"`` or ``"-Infinity"``.
All times are epoch milliseconds UTC. docs/ALGORITHM.md shows a whole case.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic_core import from_json

from autoscaler.case.document import CaseError, Document
from autoscaler.case.reading import Case, read_case
from autoscaler.case.writing import answer, write_case
from autoscaler.core import decide

__all__ = ["Case", "CaseError", "Document", "answer", "decide_case", "read_case", "write_case"]


def decide_case(document: str | bytes | Document, extras: bool | None = None) -> dict[str, Any]:
    """Return the answer to one case; for one that cannot be read its name and what is wrong."""
    try:
        window, history, policy, cluster, now, name = read_case(document, extras)
    except ValueError as error:
        return {"name": _name(document), "error": str(error)}
    return answer(decide(window, history, policy, cluster, now), name)


def _name(document: str | bytes | Document) -> Any:
    """Return the name of a case that cannot be read, if that much of it can."""
    if isinstance(document, str | bytes):
        try:
            document = from_json(document)
        except ValueError:
            return None
    return document.get("name") if isinstance(document, Mapping) else None

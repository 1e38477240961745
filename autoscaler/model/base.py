"""What every other value is written in: instants, ids, read-only mappings, and the identity of a job."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import TypeVar

Millis = int
VertexId = str

_K = TypeVar("_K")
_V = TypeVar("_V")


def frozen(mapping: Mapping[_K, _V]) -> Mapping[_K, _V]:
    """Return a read-only copy of a mapping, for use inside frozen values."""
    return MappingProxyType(dict(mapping))


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class JobKey:
    """Identity of a job that survives restarts and resubmissions.

    ``application`` is ``job.autoscaler.yarn.id`` if set, else the YARN application name; when two running
    applications share it, the application id is appended to keep them apart.
    """

    cluster: str
    application: str
    job: str

    def __str__(self) -> str:
        return f"{self.application}/{self.job}"

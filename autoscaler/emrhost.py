"""What EMR's own files tell of this host; there are none elsewhere."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

INSTANCE, EXTRA = "instance.json", "extraInstanceData.json"


@dataclass(frozen=True, slots=True, kw_only=True)
class EmrHost:
    """An EMR node. ``file`` is the one it was told by; what no file said, or could be read of, is ``None``."""

    file: str
    master: bool | None = None
    several_masters: bool | None = None
    cluster_id: str | None = None


def emr_host(folders: Sequence[Path]) -> EmrHost | None:
    """Read what EMR says of this host, ``None`` if it is not EMR's.

    A folder that may not be looked into is there, and no other distribution has it.
    """
    for folder in folders:
        try:
            found = [file for name in (INSTANCE, EXTRA) if (file := folder / name).exists()]
        except PermissionError:
            return EmrHost(file=str(folder))
        if found:
            return _host(str(found[0]), {key: value for file in found for key, value in _read(file).items()})
    return None


def _host(file: str, said: dict[str, object]) -> EmrHost:
    role = said.get("instanceRole")
    master, several, cluster = said.get("isMaster"), said.get("haEnabled"), said.get("jobFlowId")
    if master is None and isinstance(role, str):
        master = role.lower() == "master"
    return EmrHost(
        file=file,
        master=master if isinstance(master, bool) else None,
        several_masters=several if isinstance(several, bool) else None,
        cluster_id=cluster if isinstance(cluster, str) else None,
    )


def _read(file: Path) -> dict[str, object]:
    """The file's content; one that cannot be read, or is being written, tells only that it is there."""
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return content if isinstance(content, dict) else {}

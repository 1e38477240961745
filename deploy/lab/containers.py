"""Finds the JVMs that this lab's NodeManagers have launched, by the log path on their command lines."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from lab.layout import Layout
from lab.processes import Process, all_pids, command_line


@dataclass(frozen=True, slots=True, kw_only=True)
class Container:
    """A running JobManager or TaskManager."""

    id: str
    application: str
    node: int
    kind: str
    process: Process


def find(layout: Layout) -> list[Container]:
    """List this lab's Flink JVMs, by container id."""
    found = []
    for pid in all_pids():
        command = command_line(pid)
        parsed = parse(layout, command)
        if parsed and (process := Process.of(pid, command)):
            container, application, node, kind = parsed
            found.append(Container(id=container, application=application, node=node, kind=kind, process=process))
    return sorted(found, key=lambda container: container.id)


def parse(layout: Layout, command: Sequence[str]) -> tuple[str, str, int, str] | None:
    """Return container id, application id, node and kind, if this is a Flink JVM of this lab."""
    if not command or Path(command[0]).name != "java":
        return None
    path = rf"-Dlog\.file={re.escape(str(layout.log))}/node(\d)/(application_\w+)/(container_\w+)/(\w+)\.log"
    for word in command:
        if match := re.fullmatch(path, word):
            return match[3], match[2], int(match[1]), match[4]
    return None


def find_leftovers(layout: Layout) -> list[Process]:
    """List what the NodeManagers have launched and still runs: the JVMs, and the shells around them."""
    found = []
    for pid in all_pids():
        command = command_line(pid)
        if is_launched(layout, command) and (process := Process.of(pid, command)):
            found.append(process)
    return found


def is_launched(layout: Layout, command: Sequence[str]) -> bool:
    """True for a JVM of a container and for its launching shell; an editor that shows its log is neither."""
    if parse(layout, command):
        return True
    if not command or Path(command[0]).name not in ("bash", "sh"):
        return False
    script, flag = f"{layout.data}/node", f"-Dlog.file={layout.log}/node"
    return any((word.startswith(script) and word.endswith(".sh")) or flag in word for word in command[1:])

"""Who holds a TCP port on this machine, from /proc."""

from __future__ import annotations

from pathlib import Path

_LISTEN = "0A"


def holder_of(port: int, proc: Path = Path("/proc")) -> str | None:
    """Return for example ``autoscaler run (pid 4711)``, or ``None`` if it cannot be told.

    Another user's process shows its sockets only to root.
    """
    inodes = _listening_inodes(port, proc)
    if not inodes:
        return None
    for directory in proc.glob("[0-9]*"):
        if _sockets(directory) & inodes:
            return f"{_command(directory)} (pid {directory.name})"
    return None


def _listening_inodes(port: int, proc: Path) -> set[str]:
    inodes = set()
    for table in ("tcp", "tcp6"):
        try:
            lines = (proc / "net" / table).read_text().splitlines()[1:]
        except OSError:
            continue
        for fields in map(str.split, lines):
            if fields[3] == _LISTEN and int(fields[1].rpartition(":")[2], 16) == port:
                inodes.add(f"socket:[{fields[9]}]")
    return inodes


def _sockets(directory: Path) -> set[str]:
    try:
        links = list((directory / "fd").iterdir())
    except OSError:
        return set()
    return {target for link in links if (target := _target(link)) is not None}


def _target(link: Path) -> str | None:
    try:
        return str(link.readlink())
    except OSError:  # closed since it was listed
        return None


def _command(directory: Path) -> str:
    try:
        words = (directory / "cmdline").read_bytes().split(b"\0")
    except OSError:
        return "a process"
    return " ".join(word.decode(errors="replace") for word in words[:4] if word) or "a process"

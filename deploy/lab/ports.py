"""Who listens on a port, read from /proc: no tool needs to be installed for it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from lab.processes import all_pids, command_line

LISTEN = "0A"


@dataclass(frozen=True, slots=True, kw_only=True)
class Listener:
    """A listening TCP socket: its address as in the kernel's table, and the socket's inode."""

    address: str
    port: int
    inode: str


def parse_table(text: str) -> list[Listener]:
    """Find the listening sockets in the text of /proc/net/tcp or /proc/net/tcp6."""
    listeners = []
    for line in text.splitlines()[1:]:
        fields = line.split()
        if fields[3] == LISTEN:
            address, port = fields[1].split(":")
            listeners.append(Listener(address=address, port=int(port, 16), inode=fields[9]))
    return listeners


def clashes(listener: Listener, host: str, port: int) -> bool:
    """True if nobody else can listen on host:port because of this listener."""
    little_endian = bytes(int(part) for part in host.split("."))[::-1].hex().upper()
    everywhere = set(listener.address) <= {"0"}
    return listener.port == port and (everywhere or listener.address.endswith(little_endian))


def busy(addresses: Mapping[tuple[str, int], str]) -> list[str]:
    """Say, for each of these addresses (with what it is for) that is taken, by whom."""
    listeners = [
        listener
        for table in (Path("/proc/net/tcp"), Path("/proc/net/tcp6"))
        if table.is_file()
        for listener in parse_table(table.read_text(encoding="ascii"))
    ]
    return [
        f"port {port} on {host} ({purpose}) is taken by {_holder(listener.inode)}"
        for (host, port), purpose in addresses.items()
        for listener in listeners
        if clashes(listener, host, port)
    ]


def _holder(inode: str) -> str:
    for pid in all_pids():
        if f"socket:[{inode}]" in _open_files(pid):
            return f"pid {pid}: {shortened(command_line(pid))}"
    return "a process that this user may not see"


def _open_files(pid: int) -> set[str]:
    found = set()
    with suppress(OSError):
        for link in Path(f"/proc/{pid}/fd").iterdir():
            with suppress(OSError):  # files are closed, and processes end, while we look
                found.add(str(link.readlink()))
    return found


def shortened(command: Iterable[str], limit: int = 100) -> str:
    """Return a command line that fits in a message; of a Java one, what matters is at its end."""
    text = " ".join(command)
    return text if len(text) <= limit else f"{text[: limit // 3]} ... {text[-limit // 2 :]}"

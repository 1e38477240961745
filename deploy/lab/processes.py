"""Starts and ends the lab's processes; only what is beyond doubt the process that was started is ended."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Self

from lab.layout import LabError

POLL_SECONDS = 0.1
PATIENCE_SECONDS = 10.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Process:
    """A process, told from a later one with the same pid by its start time and command line."""

    pid: int
    started: int
    command: tuple[str, ...]

    @classmethod
    def of(cls, pid: int, command: Sequence[str] | None = None) -> Self | None:
        """Describe what runs under this pid now, or None."""
        started = _start_time(pid)
        if started is None:
            return None
        return cls(pid=pid, started=started, command=tuple(command or command_line(pid)))

    @classmethod
    def read(cls, file: Path) -> Self | None:
        """Read back a pid file; anything unreadable in it counts as no process."""
        try:
            fields = json.loads(file.read_text(encoding="utf-8"))
            return cls(pid=int(fields["pid"]), started=int(fields["started"]), command=tuple(fields["command"]))
        except (OSError, ValueError, KeyError, TypeError):
            return None

    def write(self, file: Path) -> None:
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(json.dumps(asdict(self)), encoding="utf-8")

    @property
    def is_alive(self) -> bool:
        """True while this very process runs; a zombie does not."""
        return _start_time(self.pid) == self.started and command_line(self.pid) == self.command

    def signal(self, number: signal.Signals) -> bool:
        """Send a signal, unless the process is gone; say whether it was sent."""
        if not self.is_alive:
            return False
        try:
            os.kill(self.pid, number)
        except ProcessLookupError:
            return False
        return True


def _start_time(pid: int) -> int | None:
    """Kernel ticks from boot to the start of this process; None if there is none, or only a zombie."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return None
    # The program's name stands in parentheses and may hold blanks and parentheses itself.
    fields = stat.rpartition(")")[2].split()
    return None if fields[0] in "ZX" else int(fields[19])


def command_line(pid: int) -> tuple[str, ...]:
    """Return the words of a process's command line; none if it cannot be read."""
    try:
        words = Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return ()
    return tuple(words.decode(errors="replace").split("\0")[:-1])


def all_pids() -> list[int]:
    return sorted(int(folder.name) for folder in Path("/proc").iterdir() if folder.name.isdecimal())


def resident_megabytes(pid: int) -> int:
    """Return the memory a process really holds."""
    try:
        status = Path(f"/proc/{pid}/status").read_text(encoding="utf-8")
    except OSError:
        return 0
    for line in status.splitlines():
        if line.startswith("VmRSS:"):
            return round(int(line.split()[1]) / 1024)
    return 0


def last_lines(file: Path, count: int = 15) -> str:
    """Return the end of a log file without the frames of Java's stack traces, which hide what matters."""
    try:
        lines = file.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError as error:
        return f"({error})"
    telling = [line for line in lines if line.strip() and not line.startswith("\tat ")]
    return "\n".join(telling[-count:]) or "(empty)"


def end(processes: Iterable[Process], patience: float = PATIENCE_SECONDS) -> None:
    """End these processes together: SIGTERM, and SIGKILL for those still there after a while."""
    left = [process for process in processes if process.signal(signal.SIGTERM)]
    left = _wait_until_gone(left, patience)
    for process in left:
        process.signal(signal.SIGKILL)
    if left := _wait_until_gone(left, patience):
        raise LabError("these processes do not end: " + ", ".join(f"pid {process.pid}" for process in left))


def _wait_until_gone(processes: list[Process], patience: float) -> list[Process]:
    deadline = time.monotonic() + patience
    while (left := [process for process in processes if process.is_alive]) and time.monotonic() < deadline:
        time.sleep(POLL_SECONDS)
    return left


class Processes:
    """The processes of one lab, by name: a pid file and a log file for each."""

    def __init__(self, pids: Path, logs: Path) -> None:
        self._pids = pids
        self._logs = logs
        self._children: dict[str, subprocess.Popen[bytes]] = {}

    def log(self, name: str) -> Path:
        return self._logs / f"{name}.log"

    def get(self, name: str) -> Process | None:
        """Return the process of that name if it runs."""
        process = Process.read(self._pids / name)
        return process if process and process.is_alive else None

    def running(self) -> dict[str, Process]:
        names = sorted(file.name for file in self._pids.glob("*"))
        return {name: process for name in names if (process := self.get(name))}

    def start(self, name: str, command: Sequence[str], environment: Mapping[str, str]) -> Process:
        """Start a process that outlives this one; its output is appended to its log."""
        process = self._launch(name, command, environment)
        if process is None:
            log = self.log(name)
            raise LabError(f"{name} ended at once; the end of {log}:\n{last_lines(log)}")
        return process

    def _launch(self, name: str, command: Sequence[str], environment: Mapping[str, str]) -> Process | None:
        """Start a process; ``None`` if it has ended already."""
        self._logs.mkdir(parents=True, exist_ok=True)
        with self.log(name).open("ab") as output:
            child = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                cwd=self._logs,
                env=dict(environment),
                start_new_session=True,  # Ctrl-C in the terminal is for us, not for the lab
            )
        self._children[name] = child
        # For an instant after its start a process shows no command line, and could not be told from another.
        while _start_time(child.pid) is not None and not command_line(child.pid):
            time.sleep(POLL_SECONDS / 100)
        process = Process.of(child.pid, command)
        if process is not None:
            process.write(self._pids / name)
        return process

    def run(self, name: str, command: Sequence[str], environment: Mapping[str, str], patience: float) -> str:
        """Run a command to its end and return what it printed; another process can end it by its pid file."""
        self.log(name).unlink(missing_ok=True)
        process = self._launch(name, command, environment)
        try:
            failed = self._children[name].wait(timeout=patience)
        except subprocess.TimeoutExpired:
            raise LabError(f"{name}: no end after {patience:.0f} s; see {self.log(name)}") from None
        finally:
            end([process] if process is not None else [])
            self._forget(name)
        output = self.log(name).read_text(encoding="utf-8", errors="replace")
        if failed:
            raise LabError(f"{name} failed; the end of {self.log(name)}:\n{last_lines(self.log(name))}")
        return output

    def stop(self, *names: str, at_once: bool = False) -> None:
        """End the processes of these names; those that do not run are no error."""
        processes = [process for name in names if (process := self.get(name))]
        if at_once:
            for process in processes:
                process.signal(signal.SIGKILL)
        end(processes)
        for name in names:
            self._forget(name)
        for child in self._children.values():
            child.poll()  # those that have ended by themselves shall not stay zombies

    def _forget(self, name: str) -> None:
        (self._pids / name).unlink(missing_ok=True)
        if child := self._children.pop(name, None):
            child.wait()

"""The processes of a measurement: started, asked what they used, ended."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import urllib.request
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

REPOSITORY = Path(__file__).parents[2]
COMMAND = Path(sys.executable).with_name("autoscaler")
_TICKS = os.sysconf("SC_CLK_TCK")
_PAGE = os.sysconf("SC_PAGE_SIZE")
_STOP_S = 15.0


class CannotMeasure(Exception):  # noqa: N818 - what is the case
    """Something that has to run does not; the message says what and shows the end of its output."""


def used_cpu_s(pid: int) -> float:
    """Processor seconds a process has used since its start, user and system, of all its threads."""
    return parse_stat(Path(f"/proc/{pid}/stat").read_text(encoding="ascii"))


def parse_stat(text: str) -> float:
    """Processor seconds from ``/proc/PID/stat``; the name in parentheses may hold anything."""
    fields = text.rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / _TICKS


def resident_mib(pid: int) -> float:
    pages = int(Path(f"/proc/{pid}/statm").read_text(encoding="ascii").split()[1])
    return pages * _PAGE / 2**20


class Stub:
    """The cluster; it ends with its standard input, so also when this process dies."""

    def __init__(self, applications: int, config: Mapping[str, str], started: int) -> None:
        pairs = [part for key, value in config.items() for part in ("--set", f"{key}={value}")]
        arguments = ["--applications", str(applications), "--started", str(started), *pairs]
        self._process = start("bench.stub", arguments, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise CannotMeasure("the stub did not start; its complaint is above")
        self.url = f"http://127.0.0.1:{int(line)}"

    def mark(self) -> None:
        """Begin to count anew."""
        get_json(f"{self.url}/bench/mark")

    def seen(self) -> Any:
        """What came since the mark."""
        return get_json(f"{self.url}/bench/seen")

    def cpu_s(self) -> float:
        return used_cpu_s(self._process.pid)

    def close(self) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        ended(self._process)


class Daemon:
    """``autoscaler run`` with its own settings, store and log in a folder."""

    def __init__(self, home: Path, settings: Mapping[str, object], command: Sequence[str] = (str(COMMAND),)) -> None:
        home.mkdir(parents=True, exist_ok=True)
        config = home / "autoscaler.yaml"
        config.write_text(json.dumps(settings), encoding="utf-8")  # JSON is YAML
        self.log = home / "daemon.log"
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                [*command, "run", "--config", str(config)], stdin=subprocess.DEVNULL, stdout=log, stderr=log
            )

    @property
    def pid(self) -> int:
        return self._process.pid

    def check(self) -> None:
        if self._process.poll() is not None:
            tail = self.log.read_text(encoding="utf-8", errors="replace")[-2_000:]
            raise CannotMeasure(f"the daemon ended with {self._process.returncode}: {tail}")

    def cpu_s(self) -> float:
        self.check()
        return used_cpu_s(self.pid)

    def resident_mib(self) -> float:
        self.check()
        return resident_mib(self.pid)

    def close(self) -> None:
        if self._process.poll() is None:
            self._process.terminate()
        ended(self._process)


def start(module: str, arguments: Sequence[str], **streams: Any) -> subprocess.Popen[bytes]:
    path = os.pathsep.join(part for part in (str(REPOSITORY / "deploy"), os.environ.get("PYTHONPATH", "")) if part)
    environment = os.environ | {"PYTHONPATH": path}
    return subprocess.Popen([sys.executable, "-m", module, *arguments], env=environment, **streams)


def ended(process: subprocess.Popen[bytes]) -> None:
    try:
        process.wait(_STOP_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
    if process.stdout is not None:
        process.stdout.close()


def get_text(url: str) -> str:
    with urllib.request.urlopen(url, timeout=60) as answer:
        return str(answer.read().decode())


def get_json(url: str) -> Any:
    return json.loads(get_text(url))


def counter(metrics: str, name: str) -> float:
    """One number of a Prometheus text."""
    for line in metrics.splitlines():
        if line.startswith(name + " "):
            return float(line.rpartition(" ")[2])
    raise CannotMeasure(f"the daemon's /metrics has no {name}")

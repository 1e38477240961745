"""Two masters, as on EMR: a ResourceManager each, of which one is active, and beside each its own daemon."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import requests
from lab import Lab
from lab import layout as places

from autoscaler.model import Millis
from tests.e2e.conftest import AUTOSCALER, Watched, requirements_url, until, uppers
from tests.e2e.gate import Gate
from tests.e2e.relay import Relay

NAME = "watched-by-two"
JOB = f"{NAME}/orders"
DISCOVERY_SECONDS = 2
LEASE_SECONDS = 2 * DISCOVERY_SECONDS + 15
ACTS, STANDS_BY = "this daemon acts", "this daemon stands by"


def discovery(path: str) -> bool:
    return path.startswith("/ws/v1/cluster/apps?")


def right_to_act(path: str) -> bool:
    return path == "/ws/v1/cluster/info"


def a_pass(path: str) -> bool:
    """The first request of a pass once the metrics are there."""
    return re.search(r"/jobs/[0-9a-f]{32}$", path) is not None


def last_reading(path: str) -> bool:
    return path.endswith("/resource-requirements")


class MasterDaemon(Watched):
    """The daemon of one master, which reaches the cluster through a gate of its own, and a server through a relay."""

    def __init__(self, master: int, home: Path, log: Path, settings: Mapping[str, str], relay: Relay | None) -> None:
        self.master = master
        self.gate = Gate(places.RESOURCE_MANAGER_URLS)
        self.relay = relay
        own = {
            "resource_managers": json.dumps(self.gate.addresses),
            "own_resource_manager": self.own(),
            "discovery_interval": f"{DISCOVERY_SECONDS} s",
            "flink_conf": str(home / "no-flink-conf"),
            "applications": f"{{names: [{NAME}]}}",
            "http": "{port: 0}",
        }
        super().__init__(home, AUTOSCALER, log, {**own, **settings})

    def own(self) -> str:
        """The address of its own ResourceManager."""
        return self.gate.addresses[self.master]

    def events(self, *names: str) -> list[tuple[Millis, str]]:
        """What this process has logged of these, with the time."""
        text = self.log.read_text(encoding="utf-8") if self.log.is_file() else ""
        lines = [json.loads(line) for line in text.splitlines() if line.startswith("{") and line.endswith("}")]
        started = max((place for place, line in enumerate(lines) if line["event"] == "autoscaler started"), default=0)
        return [
            (round(datetime.fromisoformat(line["timestamp"]).timestamp() * 1000), line["event"])
            for line in lines[started:]
            if line["event"] in names
        ]

    def know_own_only(self) -> None:
        """Be told of no ResourceManager but its own, as with the default settings on EMR."""
        self.settings = {**self.settings, "resource_managers": json.dumps([self.own()])}

    @property
    def sees_as_standby(self) -> bool:
        """Whether it sees the jobs while its own ResourceManager is a standby."""
        return len(json.loads(self.settings["resource_managers"])) > 1

    @property
    def part(self) -> str | None:
        """Which of ``ACTS`` and ``STANDS_BY`` it said last."""
        said = self.events(ACTS, STANDS_BY)
        return said[-1][1] if said else None

    def freeze(self) -> None:
        """Stop it where it is, and return when it stands still."""
        assert self._process is not None
        os.kill(self._process.pid, signal.SIGSTOP)
        until(lambda: self.frozen, 5, "the daemon to stand still")

    @property
    def frozen(self) -> bool:
        assert self._process is not None
        stat = Path(f"/proc/{self._process.pid}/stat").read_text(encoding="utf-8")
        return stat.rpartition(")")[2].split()[0] == "T"

    def wake(self) -> None:
        if self._process is not None and self._process.poll() is None:
            os.kill(self._process.pid, signal.SIGCONT)

    def passes(self) -> int:
        """How many passes over the job it has begun."""
        return sum(a_pass(path) for path in self.gate.asked)

    def pin(self, parallelism: int) -> None:
        """Give an operator's command on this master, and be sure that the daemon's next discovery takes it up."""
        command = [AUTOSCALER, "pin", JOB, f"enrich={parallelism}", "--config", self.config]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr


@dataclass(frozen=True)
class Masters:
    """Both masters, and the job that their daemons look at. ``shared`` is whether the daemons share a store."""

    lab: Lab
    application: str
    daemons: tuple[MasterDaemon, MasterDaemon]
    shared: bool

    def begin(self) -> tuple[MasterDaemon, MasterDaemon]:
        """Start both daemons; give the one that acts and the one that stands by, when both know the job."""
        for daemon in self.daemons:
            daemon.start()
        until(lambda: self._parts() == {ACTS, STANDS_BY}, 30, "one daemon to act and the other to stand by")
        acting, other = sorted(self.daemons, key=lambda daemon: daemon.part == STANDS_BY)
        see = [acting, other] if other.sees_as_standby else [acting]
        until(lambda: all(daemon.events("job") for daemon in see), 60, "the job to be measured")
        return acting, other

    def _parts(self) -> set[str | None]:
        return {daemon.part for daemon in self.daemons}

    @contextmanager
    def failed_over(self) -> Iterator[None]:
        """Kill the active ResourceManager; when the other one is active, start it again, which then is a standby."""
        active = self.lab.active_master()
        assert active is not None
        self.lab.kill_resource_manager(active)
        until(lambda: self.lab.active_master() == 1 - active, 60, "the other ResourceManager to become active")
        with ThreadPoolExecutor(1) as pool:
            again = pool.submit(self.lab.start_resource_manager, active)
            yield
            again.result()

    def restore(self) -> None:
        """Let both ResourceManagers run again, whatever a test has left."""
        for master in range(len(self.daemons)):
            self.lab.start_resource_manager(master)
        until(lambda: self.lab.active_master() is not None, 60, "a ResourceManager to be active")
        until(lambda: self.lab.jobs(self.application), 60, "the application to be known")

    def enrich(self) -> int:
        """The upper bound that Flink has now for the vertex the tests change."""
        return uppers(self.lab, self.application)[self.vertex()]

    def vertex(self) -> str:
        """The id of that vertex."""
        url = requirements_url(self.lab, self.application).removesuffix("/resource-requirements")
        vertices = requests.get(url, timeout=10).json()["vertices"]
        return next(str(vertex["id"]) for vertex in vertices if vertex["name"] == "enrich")

    def ask(self, parallelism: int) -> None:
        """Ask Flink itself for a parallelism of that vertex, and wait until it is reached."""
        url = requirements_url(self.lab, self.application)
        wanted = requests.get(url, timeout=10).json()
        wanted[self.vertex()]["parallelism"]["upperBound"] = parallelism
        assert requests.put(url, json=wanted, timeout=10).ok

        def reached() -> bool:
            jobs = self.lab.jobs(self.application)
            return bool(jobs) and jobs[0].is_running and jobs[0].parallelism["enrich"] == parallelism

        until(reached, 60, f"the job to run {parallelism}-fold")

    def others(self) -> tuple[int, int]:
        """Two targets, neither of which is what Flink has now."""
        first, second = sorted({1, 2, 3} - {self.enrich()})[:2]
        return first, second

    def sent(self) -> list[tuple[int, int]]:
        """Which master sent which target, in the order in which Flink got them."""
        vertex = self.vertex()
        puts = sorted((put.at, daemon.master, put.body) for daemon in self.daemons for put in daemon.gate.puts)
        return [(master, json.loads(body)[vertex]["parallelism"]["upperBound"]) for _, master, body in puts]


def let_time_pass(seconds: float, enough: Callable[[], bool]) -> None:
    """Watch for so long, or until enough is seen."""
    end = time.monotonic() + seconds
    while time.monotonic() < end and not enough():
        time.sleep(0.2)

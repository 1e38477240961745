"""One daemon against one stub: what it costs per job and interval once it is in its steady state."""

from __future__ import annotations

import json
import sqlite3
import time
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from autoscaler.model import BusyTimeAggregator
from bench import seed, shapes
from bench.processes import CannotMeasure, Daemon, Stub, counter, get_text
from bench.stub import jobs, now_ms

WORKERS = 8
WINDOW_INTERVALS = 10  # metrics.window of the emr profile, 600 s, at one decision a minute
DAY_S = 86_400.0
KINDS = ("overview", "poke", "job", "metrics", "names", "config", "unknown")  # what is asked of applications


@dataclass(frozen=True, slots=True, kw_only=True)
class Scenario:
    """How many jobs, read how, how often, for how long."""

    applications: int
    aggregator: BusyTimeAggregator
    interval_s: float = 60.0
    intervals: int = 5

    @property
    def name(self) -> str:
        return f"{self.applications:,} jobs {self.aggregator.value}"

    @property
    def job_config(self) -> dict[str, str]:
        """What the jobs were submitted with; times that go by intervals are kept at their number of intervals."""
        interval_ms = round(self.interval_s * 1000)
        return {
            "job.autoscaler.enabled": "true",
            "job.autoscaler.decision.interval": f"{interval_ms} ms",
            "job.autoscaler.metrics.window": f"{WINDOW_INTERVALS * interval_ms} ms",
            "job.autoscaler.metrics.busy-time.aggregator": self.aggregator.value,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """What a scenario showed, over its measured intervals."""

    scenario: Scenario
    seconds: float
    passes: int
    requests: dict[str, int]
    received_bytes: int
    connections: int
    cpu_s: float
    stub_cpu_s: float
    resident_mib: float
    late_passes: int
    failed_passes: int
    sample_bytes: float
    calls: list[str]

    @property
    def job_intervals(self) -> float:
        """How many intervals of one job were measured."""
        return self.scenario.applications * self.seconds / self.scenario.interval_s

    @property
    def calls_per_interval(self) -> float:
        return sum(self.requests.get(kind, 0) for kind in KINDS) / self.job_intervals

    @property
    def bytes_per_interval(self) -> float:
        return self.received_bytes / self.job_intervals

    @property
    def cpu_ms_per_interval(self) -> float:
        return 1000 * self.cpu_s / self.job_intervals

    @property
    def connections_per_interval(self) -> float:
        return self.connections * self.scenario.interval_s / self.seconds

    def share_of_core(self, applications: int, interval_s: float = 60.0) -> float:
        """Of one core, for so many jobs at so long an interval."""
        return self.cpu_ms_per_interval * applications / (1000 * interval_s)

    def stored_per_day(self, interval_s: float = 60.0) -> float:
        """Bytes stored per job and day."""
        return self.sample_bytes * DAY_S / interval_s


@dataclass(frozen=True, slots=True, kw_only=True)
class Used:
    """Processor time used until a moment."""

    at_s: float
    cpu_s: float
    stub_cpu_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Totals:
    """What the daemon had counted and stored at a moment."""

    metrics: str
    samples: int
    stored_bytes: int


class Run:
    """A scenario's stub and daemon; ``close`` ends both."""

    def __init__(self, scenario: Scenario, home: Path) -> None:
        self.scenario = scenario
        started = now_ms() - shapes.RUNNING_FOR
        home.mkdir(parents=True, exist_ok=True)
        self._database = home / "autoscaler.db"
        self.stub = Stub(scenario.applications, scenario.job_config, started)
        step = round(scenario.interval_s * 1000)
        times = [now_ms() - count * step for count in range(WINDOW_INTERVALS + 2, 0, -1)]
        url = f"sqlite:///{self._database}"
        seed.seed(url, jobs(scenario.applications, {}), started, times, scenario.aggregator)
        self._port = 0
        self.daemon = Daemon(home, self._settings(url))

    def _settings(self, url: str) -> dict[str, object]:
        return {
            "cluster": seed.CLUSTER,
            "resource_managers": [self.stub.url],
            "flink_conf": None,
            "workers": WORKERS,
            "discovery_interval": f"{round(500 * self.scenario.interval_s)} ms",
            "store": {"url": url},
            "http": {"port": 0},
            "log": {"level": "info"},
        }

    def warm_up(self) -> None:
        """Wait until every job had its first pass, which lists metric names."""
        wanted = self.scenario.applications
        deadline = time.monotonic() + 3 * self.scenario.interval_s + 60
        while (passed := self.stub.seen()["requests"].get("job", 0)) < wanted:
            if time.monotonic() > deadline:
                raise CannotMeasure(f"{self.scenario.name}: only {passed} of {wanted} jobs had a pass; {self._tail()}")
            self.daemon.check()
            time.sleep(min(1.0, self.scenario.interval_s / 10))

    def begin(self) -> None:
        """Start to count. Asking for the daemon's metrics makes it work: that comes first here, and last in ``end``."""
        self._totals_before = self._totals()
        self.stub.mark()
        self._used_before = self._used()

    def end(self) -> Measured:
        """What was used and asked for since ``begin``."""
        first, used, seen = self._used_before, self._used(), self.stub.seen()
        before, now = self._totals_before, self._totals()
        return Measured(
            scenario=self.scenario,
            seconds=used.at_s - first.at_s,
            passes=round(grown(before.metrics, now.metrics, "passes")),
            requests=dict(seen["requests"]),
            received_bytes=seen["sent_bytes"],
            connections=seen["connections"],
            cpu_s=used.cpu_s - first.cpu_s,
            stub_cpu_s=used.stub_cpu_s - first.stub_cpu_s,
            resident_mib=self.daemon.resident_mib(),
            late_passes=round(grown(before.metrics, now.metrics, "late_passes")),
            failed_passes=round(grown(before.metrics, now.metrics, "failed_passes")),
            sample_bytes=(now.stored_bytes - before.stored_bytes) / max(1, now.samples - before.samples),
            calls=seen["log"],
        )

    def _used(self) -> Used:
        return Used(at_s=time.monotonic(), cpu_s=self.daemon.cpu_s(), stub_cpu_s=self.stub.cpu_s())

    def _totals(self) -> Totals:
        samples, stored_bytes = size_of(self._database)
        return Totals(metrics=self._metrics(), samples=samples, stored_bytes=stored_bytes)

    def _metrics(self) -> str:
        if not self._port:
            self._port = port_of(self.daemon.log.read_text(encoding="utf-8"))
        return get_text(f"http://127.0.0.1:{self._port}/metrics")

    def _tail(self) -> str:
        return self.daemon.log.read_text(encoding="utf-8")[-1_000:]

    def close(self) -> None:
        self.daemon.close()
        self.stub.close()


def port_of(log: str) -> int:
    """The monitoring port the daemon chose, from the first line of its log."""
    for line in log.splitlines():
        event: dict[str, Any] = json.loads(line)
        if event.get("event") == "autoscaler started":
            return int(event["port"])
    raise CannotMeasure(f"the daemon did not say that it started: {log[-1000:]}")


def grown(before: str, after: str, name: str) -> float:
    full = f"autoscaler_{name}_total"
    return counter(after, full) - counter(before, full)


def size_of(database: Path) -> tuple[int, int]:
    """Samples in a store, and the bytes in use."""
    with closing(sqlite3.connect(f"file:{database}?mode=ro", uri=True)) as connection:
        asked = (
            "SELECT count(*) FROM samples",
            *(f"PRAGMA {n}" for n in ("page_count", "freelist_count", "page_size")),
        )
        samples, pages, free, size = (int(connection.execute(each).fetchone()[0]) for each in asked)
        return samples, (pages - free) * size

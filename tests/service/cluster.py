"""A ResourceManager, a proxy and a Flink job behind one stub server, from recorded answers; and a daemon's process."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import msgspec

from autoscaler.cluster.flink_json import parse_job
from autoscaler.model import JobKey, Sample, VertexSample
from autoscaler.store import open_store
from tests.adapters.recorded import http_answer, yarn
from tests.adapters.stub import Answer, Call, Stub, json_of

REPOSITORY = Path(__file__).parents[2]
KEY = JobKey(cluster="default", application="lab-app", job="lab-load")
APPLICATION = "application_1795237194495_0002"
JOB = "854d694229fd9ba1bf5673e2552d767d"
SOURCE, WORKER = "2447341a053dd28e6bb74f13aa9a81c1", "3d1687ce71e2f3062129f1afcaff3a81"
OURS = {
    "job.autoscaler.enabled": "true",
    "job.autoscaler.decision.interval": "1 s",
    "job.autoscaler.metrics.window": "10 s",
    "job.autoscaler.stabilization.interval": "1 ms",
    "job.autoscaler.scale-up.grace-period": "0 s",
    "job.autoscaler.restart.time": "1 s",
    "job.autoscaler.catch-up.duration": "1 min",
    "job.autoscaler.yarn.checkpoint-wait.max": "0 s",
    "job.autoscaler.yarn.rescale-gap.up": "0 s",
    "job.autoscaler.yarn.rescale-gap.down": "0 s",
    "job.autoscaler.yarn.rescale-budget": "0",
    "job.autoscaler.yarn.probation": "0 s",
}
BUSY = 1_000.0  # milliseconds a second: such a job falls behind as fast as it reads
NAMES = {
    SOURCE: ("busyTimeMsPerSecond", "Source__kafka-in.pendingRecords", "Source__kafka-in.numRecordsIn"),
    WORKER: ("busyTimeMsPerSecond", "numRecordsInPerSecond"),
}


class StubCluster:
    """Answers every path the daemon asks; ``answers`` overrides one by the end of its path."""

    def __init__(self, stub: Stub) -> None:
        self.stub = stub
        self.answers: dict[str, Answer] = {}
        self.config = dict(OURS)
        self.busy = BUSY
        self.running = True
        self.version: str | None = None
        self.ahead_ms = 0  # how far Flink's clock is ahead
        self._scaled: tuple[dict[str, int], int] | None = None
        self._since = time.monotonic()
        stub.otherwise(self._answer)

    def scaled(self, parallelism: dict[str, int], since: int) -> None:
        """From now on the job runs at this parallelism, in an attempt that began at a time."""
        self._scaled = (parallelism, since)
        overview = yarn("flink_jobs_overview")
        overview["jobs"][0]["tasks"] |= {"running": sum(parallelism.values()), "total": sum(parallelism.values())}
        self.answers["jobs/overview"] = json_of(overview)

    @property
    def puts(self) -> list[dict[str, Any]]:
        return [json.loads(call.body) for call in self.stub.calls if call.method == "PUT"]

    def asked(self, end: str) -> int:
        """How often a path was asked for, by its end."""
        return sum(call.path.partition("?")[0].endswith(end) for call in self.stub.calls)

    def _answer(self, call: Call) -> Answer | None:
        path, _, query = call.path.partition("?")
        for end, answer in self.answers.items():
            if path.endswith(end) and not (end.endswith("resource-requirements") and call.method != "PUT"):
                return answer
        if path == "/ws/v1/cluster/info":
            return json_of(yarn("rm_info"))
        if path == "/ws/v1/cluster/nodes":
            return json_of({"nodes": None} if "DECOMMISSIONING" in query else yarn("rm_nodes"))
        if path == "/ws/v1/cluster/scheduler":
            return json_of(yarn("rm_scheduler"))
        if path == "/ws/v1/cluster/apps":
            return json_of(self._applications() if self.running else {"apps": {}})
        if path.startswith("/ws/v1/cluster/apps/"):
            return json_of({"app": self._applications()["apps"]["app"][0]})
        return self._flink(path.removeprefix(f"/proxy/{APPLICATION}/"), query, call.method)

    def _applications(self) -> Any:
        text = json.dumps(yarn("rm_apps_running")).replace("http://localhost:20888", self.stub.url)
        document = json.loads(text)
        document["apps"]["app"] = [a for a in document["apps"]["app"] if a["id"] == APPLICATION]
        return document

    def _flink(self, path: str, query: str, method: str) -> Answer | None:
        if method == "PUT":
            return json_of({}) if path.startswith(f"jobs/{JOB}/") else http_answer("put_unknown_job")
        fixed = {
            "config": "flink_config",
            "jobs/overview": "flink_jobs_overview",
            "overview": "flink_overview",
            "taskmanagers": "flink_taskmanagers",
            f"jobs/{JOB}/config": "flink_jobs_JID_config",
            f"jobs/{JOB}/checkpoints": "flink_jobs_JID_checkpoints",
            f"jobs/{JOB}/checkpoints/config": "flink_jobs_JID_checkpoints_config",
            f"jobs/{JOB}/resource-requirements": "flink_jobs_JID_resource-requirements",
            "jobmanager/metrics": "flink_jobmanager_metrics",
        }
        if path == "config" and self.version is not None:
            return json_of(yarn("flink_config") | {"flink-version": self.version})
        if path in fixed:
            return json_of(yarn(fixed[path]))
        if path == "jobmanager/config":
            mine = [{"key": key, "value": value} for key, value in self.config.items()]
            return json_of(yarn("flink_jobmanager_config") + mine)
        if path == f"jobs/{JOB}":
            return json_of(self._job())
        found = re.fullmatch(rf"jobs/{JOB}/vertices/(\w+)/subtasks/metrics", path)
        return json_of(self._metrics(found[1], query)) if found else None

    @property
    def _records(self) -> float:
        return 1_000_000 + 10_000 * (time.monotonic() - self._since)

    @property
    def _lag(self) -> float:
        return self._records if self.busy >= BUSY else 0.0

    def _job(self) -> Any:
        document = yarn("flink_jobs_JID")
        document["now"] = round(time.time() * 1000) + self.ahead_ms  # noqa: TID251 - the server's own clock
        for vertex in document["vertices"]:
            vertex["metrics"] |= {name: True for name in vertex["metrics"] if name.endswith("-complete")}
            vertex["metrics"] |= {"read-records": self._records, "write-records": self._records}
            if self._scaled is not None:
                vertex["parallelism"] = self._scaled[0][vertex["id"]]
                document["timestamps"]["RUNNING"] = self._scaled[1]
            vertex["metrics"]["accumulated-busy-time"] = self.busy * (time.monotonic() - self._since)
        return document

    def _metrics(self, vertex: str, query: str) -> Any:
        if not query:
            return [{"id": name} for name in NAMES[vertex]]
        busy = self.busy if vertex == WORKER else 100.0
        values = {
            "busyTimeMsPerSecond": busy,
            "numRecordsInPerSecond": 5_000.0,
            "Source__kafka-in.pendingRecords": self._lag,
        }
        return [
            {"id": name, "min": value, "max": value, "avg": value, "sum": 2 * value}
            for name in NAMES[vertex]
            for value in [values.get(name, self._records / 2)]
        ]


def remember(folder: Path) -> None:
    """Give a daemon's store the samples of the last seconds, so that its first pass decides."""
    now = round(time.time() * 1000)  # noqa: TID251 - the daemon's own clock, which is another process's
    topology = parse_job(yarn("flink_jobs_JID")).topology
    store = open_store(f"sqlite:///{folder / 'history.db'}", 1 << 30, now).store
    for age in (13_000, 10_000, 7_000, 4_000, 1_000):
        records = 1_000_000 - 10.0 * age
        vertex = VertexSample(load=1.0, accumulated_busy_ms=-1.0 * age, records_in=records, records_out=records)
        source = msgspec.structs.replace(vertex, load=0.1, lag=records)
        worker = msgspec.structs.replace(vertex, records_in_per_s=10_000.0)
        sample = Sample(at=now - age, vertices={SOURCE: source, WORKER: worker})
        store.append_sample(KEY, topology, now - 3_600_000, sample)
    store.close()


class Daemon:
    """``autoscaler run`` as its own process; ends with the test."""

    def __init__(self, settings: Path, *, environment: dict[str, str] | None = None, limit: int | None = None) -> None:
        command = [str(Path(sys.executable).parent / "autoscaler"), "run", "--config", str(settings)]
        if limit is not None:
            command = ["/bin/sh", "-c", f'ulimit -f {limit}; exec "$@"', "sh", *command]
        self.process = subprocess.Popen(
            command,
            stderr=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=REPOSITORY,
            env=os.environ | (environment or {}),
        )
        self.lines: list[dict[str, Any]] = []
        self.text: list[str] = []
        self._news = threading.Condition()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def __enter__(self) -> Daemon:
        return self

    def __exit__(self, *_: object) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait(10)
        self._reader.join(10)
        for stream in (self.process.stdout, self.process.stderr):
            assert stream is not None
            stream.close()

    def _read(self) -> None:
        assert self.process.stderr is not None
        for line in self.process.stderr:
            with self._news:
                self.text.append(line)
                if line.startswith("{"):
                    self.lines.append(json.loads(line))
                self._news.notify_all()

    def wait_for(self, event: str, timeout_s: float = 25.0, **fields: object) -> dict[str, Any]:
        """The first log line with this event and these fields."""

        def found() -> dict[str, Any] | None:
            wanted = {"event": event, **fields}
            return next((line for line in self.lines if wanted.items() <= line.items()), None)

        with self._news:
            if not self._news.wait_for(lambda: found() is not None, timeout_s):
                raise AssertionError(f"no line {event} {fields} in:\n{''.join(self.text)}")
            line = found()
        assert line is not None
        return line

    def end(self, number: int = signal.SIGTERM, timeout_s: float = 15.0) -> int:
        """Send a signal and return the exit status."""
        self.process.send_signal(number)
        status = self.process.wait(timeout_s)
        self._reader.join(5)
        return status

    def get(self, path: str) -> str:
        """What its monitoring port answers."""
        port = self.wait_for("autoscaler started")["port"]
        with urlopen(f"http://127.0.0.1:{port}{path}", timeout=5) as answer:
            return str(answer.read().decode())


def settings_file(folder: Path, stub: Stub, **changes: object) -> Path:
    """A settings file for a daemon beside a stub cluster."""
    file = folder / "autoscaler.yaml"
    content: dict[str, object] = {
        "resource_managers": [stub.url],
        "flink_conf": None,
        "emr_info": [],
        "discovery_interval": "1 s",
        "request_timeout": "500 ms",
        "store": {"url": f"sqlite:///{folder / 'history.db'}"},
        "http": {"port": 0},
        "log": {"format": "json"},
    }
    file.write_text(json.dumps(content | changes))
    return file


def until(condition: Callable[[], bool], timeout_s: float = 25.0) -> None:
    """Wait until something is so."""
    end = time.monotonic() + timeout_s
    pause = threading.Event()
    while not condition():
        assert time.monotonic() < end, "it did not become so in time"
        pause.wait(0.02)

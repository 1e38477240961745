"""Clusters the contract is held against: recorded answers, the simulator, and any that is given by its address."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

from autoscaler.cluster import Application, FlinkRest, HttpClient, ResourceManagers
from autoscaler.service import system_clock
from autoscaler.sim.server import SimServer
from tests.adapters.recorded import FLINK, http_answer, yarn
from tests.adapters.stub import Answer, Call, Stub, json_of
from tests.sim.builders import a_scenario

SPEED = 200.0
RECORDED_APPLICATION = "application_1795237194495_0002"


@dataclass(frozen=True, slots=True, kw_only=True)
class World:
    """A cluster with one Flink application whose one job runs, seen through the daemon's adapters."""

    http: HttpClient
    managers: ResourceManagers
    application: Application
    flink: FlinkRest
    job_id: str


def seen(http: HttpClient, address: str) -> World:
    managers = ResourceManagers(http, [address])
    application = managers.applications()[0]
    assert application.tracking_url is not None
    flink = FlinkRest(http, application.id, application.tracking_url)
    job = next(job for job in flink.jobs() if job.effective_state == "RUNNING")
    return World(http=http, managers=managers, application=application, flink=flink, job_id=job.id)


@contextmanager
def simulated(http: HttpClient, version: str) -> Iterator[World]:
    """The simulator over HTTP, some minutes into its run."""
    scenario = a_scenario(flink=version, job={"checkpoint_interval_s": 10})
    with SimServer(scenario, 1, 0, SPEED, system_clock) as server:
        world = seen(http, server.url)
        wait_until_measured(world)
        yield world


def wait_until_measured(world: World) -> None:
    """Poke until every vertex's metrics are there."""
    for _ in range(1_000):
        world.flink.poke()
        details = world.flink.job(world.job_id)
        names = [set(world.flink.metric_names(world.job_id, v.id)) for v in details.topology.vertices]
        sources = [n for n, v in zip(names, details.topology.vertices, strict=True) if v.is_source]
        if all(names) and all(any(x.endswith(".pendingRecords") for x in n) for n in sources) and not details.doubts:
            return
    raise AssertionError("no metrics came")


@contextmanager
def recorded(http: HttpClient, release: str) -> Iterator[World]:
    """Answers recorded from a real Flink of a release, behind a real YARN's."""
    with Stub() as stub:
        stub.otherwise(Recording(stub.url, release).answer)
        yield seen(http, stub.url)


class Recording:
    """Finds the recorded answer to a request."""

    def __init__(self, url: str, release: str) -> None:
        self._url = url
        self._fixed: dict[tuple[str, str, str], Answer] = {}
        self._metrics: dict[str, dict[str, Any]] = {}
        files = sorted((FLINK / release).glob("*.json"), reverse=True)  # of several the plain name wins
        for file in (file for file in files if "cancelled" not in file.name):
            self._read(*file.read_text().partition("\n")[::2])

    def _read(self, request: str, body: str) -> None:
        found = re.match(r"// (GET|PUT) (\S+) ?(.*?) ?-> (\d+)$", request)
        if found is None:
            return
        method, path, sent, status = found.groups()
        path = unquote(path)
        key = "" if method == "GET" else _same(sent)
        self._fixed[method, path, key] = Answer(status=int(status), body=body.encode())
        if "/subtasks/metrics?get=" in path and status == "200":
            entries = self._metrics.setdefault(path.partition("?")[0], {})
            entries |= {
                each["id"]: {"min": 0.0, "max": 0.0, "avg": 0.0, "sum": 0.0} | each for each in json.loads(body)
            }

    def answer(self, call: Call) -> Answer | None:
        path, _, query = call.path.partition("?")
        if path.startswith("/ws/v1/cluster"):
            return self._yarn(path.removeprefix("/ws/v1/cluster"))
        own = f"/proxy/{RECORDED_APPLICATION}"
        if not path.startswith(own):
            return http_answer("proxy_unknown_app")
        path = path.removeprefix(own)
        if call.method == "PUT":
            return self._fixed.get(("PUT", path, _same(call.body.decode())))
        if path.endswith("/subtasks/metrics") and query:
            names = parse_qs(urlsplit(call.path).query)["get"][0].split(",")
            known = self._metrics.get(path, {})
            return json_of([known[name] for name in names] if all(name in known for name in names) else [])
        if path in ("/jobmanager/metrics", "/taskmanagers/metrics"):
            path = next(p for m, p, _ in self._fixed if m == "GET" and p.startswith(path + "?get="))
        nothing = json_of([]) if path.endswith("/subtasks/metrics") else None
        return self._fixed.get(("GET", path, ""), nothing)

    def _yarn(self, path: str) -> Answer | None:
        text = json.dumps(yarn("rm_apps_running")).replace("http://localhost:20888", self._url)
        if path == "/info":
            return json_of(yarn("rm_info"))
        if path == "/apps":
            return Answer(body=text.encode())
        if path == f"/apps/{RECORDED_APPLICATION}":
            return json_of({"app": json.loads(text)["apps"]["app"][0]})
        return http_answer("rm_app_unknown")


def _same(body: str) -> str:
    """A body in one form, whatever the order of its keys."""
    try:
        return json.dumps(json.loads(body), sort_keys=True)
    except ValueError:
        return body

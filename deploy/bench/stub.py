"""A cluster's REST in one process: ResourceManager, web proxy and the JobManagers behind it, at one address.

    python -m bench.stub --applications 100 --set job.autoscaler.enabled=true

Prints its port and serves until its standard input ends. Connections stay open, and are closed after a minute without
a request, as YARN's proxy does. ``/bench/mark`` begins a count, ``/bench/seen`` tells it.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import sys
import time
from collections import Counter
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from functools import lru_cache
from random import Random
from typing import Any
from urllib.parse import unquote

from bench import shapes
from bench.shapes import Job

IDLE_S = 60.0
LOG_LIMIT = 20_000


@dataclass(slots=True)
class Seen:
    """What was asked since the last mark; ``log`` holds the first paths of jobs."""

    requests: Counter[str] = field(default_factory=Counter)
    sent_bytes: int = 0
    connections: int = 0
    log: list[str] = field(default_factory=list)


class Cluster:
    """The answers, by path."""

    def __init__(self, jobs: list[Job], started: int) -> None:
        self.started = started
        self.port = 0
        self.seen = Seen()
        self._jobs = {job.application_id: Answers(job, started) for job in jobs}
        self._all = jobs
        self._rng = Random(1)
        self._applications: dict[bool, str] = {}

    def answer(self, path: str) -> tuple[str, str]:
        """What was asked, and the answer; an empty one for what is not known."""
        if path.startswith("/proxy/"):
            _, _, application, rest = path.split("/", 3)
            known = self._jobs.get(application)
            return known.answer(rest, now_ms(), self._rng) if known else ("unknown", "")
        if path.startswith("/ws/v1/cluster/apps?"):
            return "applications", self._list(lean="deSelects=" in path)
        if path.startswith("/ws/v1/cluster/nodes?"):
            return "nodes", '{"nodes":{}}'
        if path == "/ws/v1/cluster/info":
            return "info", shapes.compact(shapes.recorded("rm_info"))
        if path == "/bench/mark":
            self.seen = Seen()
            return "bench", "{}"
        if path == "/bench/seen":
            return "bench", shapes.compact(self._told())
        return "unknown", ""

    def _list(self, *, lean: bool) -> str:
        if lean not in self._applications:
            self._applications[lean] = shapes.applications(self._all, f"http://127.0.0.1:{self.port}", lean=lean)
        return self._applications[lean]

    def _told(self) -> Mapping[str, Any]:
        seen = self.seen
        return {
            "requests": seen.requests,
            "sent_bytes": seen.sent_bytes,
            "connections": seen.connections,
            "log": seen.log,
        }


class Answers:
    """One application's answers. What does not change is made once."""

    def __init__(self, job: Job, started: int) -> None:
        self._job = job
        self._started = started
        self._overview = shapes.overview(job, started)
        self._details = shapes.details(job, started)
        self._vertices = {vertex: place for place, vertex in enumerate(job.vertex_ids)}

    def answer(self, path: str, now: int, noise: Random) -> tuple[str, str]:
        if path == "jobs/overview":
            return "overview", self._overview(now)
        if path.startswith("jobmanager/metrics?"):
            return "poke", '[{"id":"taskSlotsTotal","value":"80"}]'
        if path == f"jobs/{self._job.job_id}":
            return "job", self._details(now, noise)
        if "/vertices/" in path:
            return self._subtasks(path, now, noise)
        return self._once(path)

    def _subtasks(self, path: str, now: int, noise: Random) -> tuple[str, str]:
        where, _, query = path.partition("?")
        vertex = self._vertices[where.split("/")[3]]
        if not query:
            return "names", shapes.names(is_source=vertex == 0)
        wanted, aggregates = parsed(query)
        return "metrics", shapes.metrics(vertex, wanted, aggregates, now - self._started, noise)

    def _once(self, path: str) -> tuple[str, str]:
        job = f"jobs/{self._job.job_id}"
        answers: Mapping[str, tuple[str, Callable[[], str]]] = {
            "config": ("config", lambda: shapes.compact(shapes.recorded("flink_config"))),
            "jobmanager/config": ("config", lambda: shapes.configuration(self._job)),
            f"{job}/config": ("config", lambda: shapes.job_config(self._job)),
            f"{job}/resource-requirements": ("requirements", lambda: shapes.requirements(self._job)),
        }
        kind, text = answers.get(path, ("unknown", lambda: ""))
        return kind, text()


@lru_cache(maxsize=4096)
def parsed(query: str) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The metrics and aggregates a query asks for; all of them where it names no aggregate."""
    values = dict(part.partition("=")[::2] for part in query.split("&"))
    aggregates = values.get("agg", "min,max,avg,sum,skew").split(",")
    return tuple(unquote(name) for name in values["get"].split(",")), tuple(aggregates)


def now_ms() -> int:
    return time.time_ns() // 1_000_000


HEAD = (
    "HTTP/1.1 200 OK\r\nDate: Sat, 21 Nov 2026 05:04:11 GMT\r\nCache-Control: no-cache\r\n"
    "Expires: Sat, 21 Nov 2026 05:04:11 GMT\r\nDate: Sat, 21 Nov 2026 05:04:11 GMT\r\nPragma: no-cache\r\n"
    "Content-Type: application/json;charset=utf-8\r\nX-Content-Type-Options: nosniff\r\n"
    "X-XSS-Protection: 1; mode=block\r\naccess-control-allow-origin: *\r\nConnection: keep-alive\r\n"
    "Content-Length: %d\r\n\r\n%s"
)
NOT_FOUND = b"HTTP/1.1 404 Not Found\r\nContent-Type: text/html\r\nContent-Length: 0\r\n\r\n"


class Connection(asyncio.Protocol):
    """One connection; requests are GETs without a body."""

    def __init__(self, cluster: Cluster, open_ones: set[Connection]) -> None:
        self.last_used = 0.0
        self.transport: asyncio.Transport | None = None
        self._cluster = cluster
        self._open = open_ones
        self._buffer = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport
        self.last_used = time.monotonic()
        self._cluster.seen.connections += 1
        self._open.add(self)

    def connection_lost(self, exc: Exception | None) -> None:
        self._open.discard(self)

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        self.last_used = time.monotonic()
        while b"\r\n\r\n" in self._buffer:
            head, _, self._buffer = self._buffer.partition(b"\r\n\r\n")
            assert self.transport is not None
            self.transport.write(self._respond(head))

    def _respond(self, head: bytes) -> bytes:
        method, path, _ = head.split(b"\r\n", 1)[0].decode("ascii").split(" ")
        kind, text = self._cluster.answer(path) if method == "GET" else ("unknown", "")
        response = (HEAD % (len(text), text)).encode("ascii") if text else NOT_FOUND
        seen = self._cluster.seen
        if kind != "bench":
            seen.requests[kind] += 1
            seen.sent_bytes += len(response)
            if path.startswith("/proxy/") and len(seen.log) < LOG_LIMIT:
                seen.log.append(path)
        return response


async def close_idle(open_ones: set[Connection]) -> None:
    while True:
        await asyncio.sleep(1)
        for connection in [c for c in open_ones if time.monotonic() - c.last_used > IDLE_S]:
            assert connection.transport is not None
            connection.transport.close()


async def serve(cluster: Cluster) -> None:
    loop = asyncio.get_running_loop()
    open_ones: set[Connection] = set()
    server = await loop.create_server(lambda: Connection(cluster, open_ones), "127.0.0.1", 0, backlog=512)
    cluster.port = server.sockets[0].getsockname()[1]
    print(cluster.port, flush=True)
    ended = asyncio.Event()
    loop.add_reader(sys.stdin.fileno(), lambda: None if os.read(sys.stdin.fileno(), 4096) else ended.set())
    sweep = asyncio.create_task(close_idle(open_ones))
    await ended.wait()
    sweep.cancel()
    server.close()


def jobs(count: int, config: Mapping[str, str]) -> list[Job]:
    return [Job(number=number, config=config) for number in range(count)]


def main() -> None:
    parser = argparse.ArgumentParser(description="Answers as a cluster of many jobs does.")
    parser.add_argument("--applications", type=int, default=100)
    parser.add_argument("--started", type=int, default=None, help="since when the jobs run, epoch ms")
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="configuration of every job")
    options = parser.parse_args()
    config = dict(pair.split("=", 1) for pair in options.set)
    started = options.started if options.started is not None else now_ms() - shapes.RUNNING_FOR
    with suppress(KeyboardInterrupt):
        asyncio.run(serve(Cluster(jobs(options.applications, config), started)))


if __name__ == "__main__":
    main()

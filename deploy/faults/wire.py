"""The network on a bad day, in place of sockets: answers get lost, are torn, old, in another order, or not true.

What comes of bytes is judged by the daemon's own code, as are the documents, which go through its own parsers.
"""

from __future__ import annotations

import copy
import json
import random
from collections import defaultdict, deque
from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any

from autoscaler.cluster import Gate, Objection, PutAnswer, PutResult, Transient
from autoscaler.cluster.http import Reply, failure, put_answer
from autoscaler.model import Millis, VertexId
from autoscaler.sim.edge import DirectHttp
from faults.weather import DOUBTFUL, Answer, Moment, Weather

JSON: Mapping[str, str] = {"Content-Type": "application/json"}
HTML: Mapping[str, str] = {"Content-Type": "text/html; charset=UTF-8"}
PAGE = b"<html><head><title>Error</title></head><body><h1>HTTP ERROR 500 java.net.ConnectException</h1></body></html>"
TIME_OUT: Millis = 10_000
PUT_TIME_OUT: Millis = 8_000
OLDEST: Millis = 20_000  # as old as a stale answer may be; what the caches of Flink and of a proxy may add up to
REMEMBERED = 3  # answers to each question, of which a stale one is chosen


@lru_cache(maxsize=256)
def question(url: str) -> Answer:
    """Tell which question a read asks."""
    path = url.partition("://")[2].partition("/")[2].partition("?")[0]
    if path.startswith("ws/"):
        return _of_yarn(path.removeprefix("ws/v1/cluster/"))
    path = path.split("/", 2)[2]  # without proxy/<application>/
    if path.startswith("jobs/") and path != "jobs/overview":
        rest = path.partition("/")[2].partition("/")[2]
        if rest.startswith("vertices/"):
            return Answer.METRICS
        return {"": Answer.JOB, "config": Answer.PARAMETERS}.get(rest) or Answer(rest)
    if path == "taskmanagers/metrics":
        return Answer.METRICS
    return Answer(path)


def _of_yarn(path: str) -> Answer:
    if path == "apps":
        return Answer.APPLICATIONS
    return Answer.APPLICATION if path.startswith("apps/") else Answer(path)


class FaultyHttp:
    """One daemon's way to YARN and Flink. ``spend`` lets time pass, ``sampled`` is told when the details of a job that
    a sample is made of were doubtful, and of each poke; ``sending`` surrounds a PUT that reaches the cluster."""

    def __init__(
        self,
        inner: DirectHttp,
        weather: Weather,
        now: Callable[[], Millis],
        spend: Callable[[Millis], None],
        watcher: Watcher,
    ) -> None:
        self._inner = inner
        self._weather = weather
        self._draw = weather.draw
        self._now = now
        self._spend = spend
        self._watcher = watcher
        self._former: defaultdict[str, deque[tuple[Millis, Any]]] = defaultdict(lambda: deque(maxlen=REMEMBERED))

    def gate(self, application_id: str) -> Gate:
        return self._inner.gate(application_id)

    def date(self, url: str, timeout_s: float | None = None) -> int | None:
        return self._inner.date(url, timeout_s)

    # -------------------------------------------------------------- reading

    def get_json(self, url: str, gate: Gate | None = None, timeout_s: float | None = None) -> Any:
        which = question(url)
        fault = self._weather.taken(which)
        document = self._inner.get_json(url, gate, timeout_s)
        if which is Answer.POKE:
            self._watcher.poked()
        elif which is Answer.INFO:
            self._watcher.answered(Moment.ACTIVE)
        if fault in DOUBTFUL:
            former = self._former[url]
            document, doubt = doubtful(document, fault, former[-1][1] if former else None, self._draw)
            self._watcher.detailed(doubt)
        elif fault is not None:
            document = self._spoilt(url, document, fault)
        if which is Answer.JOB:
            self._watcher.detailed()
        self._former[url].append((self._now(), document))
        return document

    def _spoilt(self, url: str, document: Any, fault: str) -> Any:
        if fault == "reordered":
            return reordered(document, self._draw)
        if fault == "stale":
            now = self._now()
            old = [each for at, each in self._former[url] if now - at <= OLDEST]
            return old[0] if old else document
        if fault == "time-out":
            self._spend(TIME_OUT)
            raise Transient("timeout", f"GET {url}: no complete answer within 10 s")
        if fault == "refused":
            raise Transient("refused", f"GET {url}: no connection: Connection refused")
        reply = spoilt_reply(document, fault, self._draw)
        if reply.status == 200 and reply.body and reply.is_json:
            try:
                return json.loads(reply.body)
            except ValueError:
                pass  # judged below, as HttpClient does
        raise failure("GET", url, reply)

    # -------------------------------------------------------------- writing

    def put_json(
        self,
        url: str,
        body: object,
        gate: Gate | None = None,
        timeout_s: float | None = None,
        objection: Objection = lambda: None,
    ) -> PutAnswer:
        self._watcher.sending(before=True)
        fault = self._weather.taken(Answer.PUT) or ""
        answer = _not_carried_out(url, fault)
        if answer is None:
            answer = self._inner.put_json(url, body, gate, timeout_s, lambda: self._watcher.asking(objection))
            if answer.result is PutResult.WITHDRAWN:
                return answer
            self._watcher.sending(before=False)
        if fault.startswith("time-out"):
            self._spend(PUT_TIME_OUT)
            return PutAnswer(result=PutResult.UNCERTAIN, status=None, message=f"PUT {url}: no answer within 8 s")
        if fault == "error page, carried out":
            return put_answer(url, _page(500))
        if fault == "truncated, carried out":
            return put_answer(url, Reply(200, JSON, b"{"))
        return answer


def _not_carried_out(url: str, fault: str) -> PutAnswer | None:
    """The answer to a PUT that does not reach the job."""
    if fault == "refused":
        return PutAnswer(result=PutResult.NOT_SENT, status=None, message=f"PUT {url}: no connection")
    replies = {
        "not-found page": _page(404),
        "conflict": _complaint(409, "Another update of the requirements is under way."),
        "rejected": _complaint(400, "The request was rejected."),
        "error": _complaint(500, "Internal server error."),
        "error page, not carried out": _page(500),
        "time-out, not carried out": _page(500),
    }
    return put_answer(url, replies[fault]) if fault in replies else None


class Watcher:
    """What a daemon's traffic tells whoever watches it."""

    def poked(self) -> None:
        """The daemon begins a pass."""

    def detailed(self, doubt: VertexId | None = None) -> None:
        """The details of a job were given, which must not be trusted of one vertex, or with "" of any."""

    def asking(self, objection: Objection) -> str | None:
        """The daemon asks for the last time whether it may send."""
        return objection()

    def answered(self, moment: Moment) -> None:
        """A question on the right to act was answered."""

    def sending(self, *, before: bool) -> None:
        """A PUT is about to leave, or has been carried out; whoever watches may end the daemon here."""


def spoilt_reply(document: Any, fault: str, draw: random.Random) -> Reply:
    """What comes over the wire in place of a document."""
    if fault == "html":
        return _page(draw.choice((404, 500, 502)))
    if fault == "html-ok":
        return _page(200)
    if fault == "unavailable":
        return _complaint(503, "Service temporarily unavailable due to an ongoing leader election.")
    if fault == "error":
        return _complaint(500, "Internal server error.")
    if fault == "gone":
        return _complaint(404, "org.apache.flink.runtime.rest.NotFoundException: Job could not be found")
    if fault == "empty":
        return Reply(200, JSON, b"")
    body = json.dumps(document).encode()
    return Reply(200, JSON, body[: draw.randrange(len(body))])


def _page(status: int) -> Reply:
    return Reply(status, HTML, PAGE)


def _complaint(status: int, text: str) -> Reply:
    return Reply(status, JSON, json.dumps({"errors": [text]}).encode())


def reordered(document: Any, draw: random.Random) -> Any:
    """The same document with the members of objects and lists in another order."""
    if isinstance(document, dict):
        members = [(key, reordered(value, draw)) for key, value in document.items()]
        draw.shuffle(members)
        return dict(members)
    if isinstance(document, list):
        items = [reordered(each, draw) for each in document]
        draw.shuffle(items)
        return items
    return document


def doubtful(document: Any, fault: str, before: Any, draw: random.Random) -> tuple[Any, VertexId | None]:
    """A job's details that cannot be true, and of which vertex that can be told, "" for all: counters that fell only by
    those ``before``."""
    document = copy.deepcopy(document)
    vertices = document.get("vertices") or []
    if not vertices or not (document.get("plan") or {}).get("nodes"):
        return document, None
    number = draw.randrange(len(vertices))
    vertex = vertices[number]
    metrics = vertex.setdefault("metrics", {})
    if fault == "incomplete":
        metrics["read-records-complete"] = metrics["write-records-complete"] = False
    elif fault == "subtasks":
        vertex["tasks"] = {**vertex.get("tasks", {}), "RUNNING": vertex["parallelism"] + draw.choice((-1, 1))}
    elif fault == "no-metrics":
        vertex.pop("metrics")
    else:
        same = [each for each in (before or {}).get("vertices") or () if each.get("id") == vertex["id"]]
        were = same[0].get("metrics", {}) if same and same[0].get("start-time") == vertex.get("start-time") else {}
        fell = any(were.get(name) and metrics.get(name) for name in ("read-records", "write-records"))
        metrics["read-records"] = metrics["write-records"] = 0
        return document, vertex["id"] if fell else None
    return document, ""

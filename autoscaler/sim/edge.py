"""The simulated cluster's network edge: a method and a path come in, a status and a document go out.

The HTTP server serves it to any client; ``DirectHttp`` hands it to the daemon's own adapters without a socket, so that
their code runs unchanged in virtual time too.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from typing import Any, NamedTuple
from urllib.parse import parse_qs, urlsplit

from autoscaler.cluster import Gate, Objection, PutAnswer, PutResult, Transient
from autoscaler.cluster.http import Reply, failure, put_answer
from autoscaler.model import Bounds, Millis, VertexId
from autoscaler.sim import flink_documents as flink
from autoscaler.sim import flink_metrics
from autoscaler.sim import yarn_documents as yarn
from autoscaler.sim.cluster import SimCluster
from autoscaler.sim.job import SimJob
from autoscaler.sim.meters import Fetched
from autoscaler.sim.scenario import VertexSpec

GRAPH_CACHE: Millis = 3_000  # web.refresh-interval: /jobs/:id and /checkpoints may be this old
Query = Mapping[str, Sequence[str]]
ALL_AGGREGATES = ("min", "max", "avg", "sum")


class Answered(NamedTuple):
    """What the other side said: a status and a document, or ``None`` where nobody answers at all."""

    status: int
    document: Any


class NoAnswer(Exception):  # noqa: N818 - it says what happened
    """Nobody answers at that address now."""


class HtmlAnswer(Exception):  # noqa: N818 - as above
    """The web proxy answers in place of the application, for a person to read."""

    def __init__(self, status: int, text: str) -> None:
        super().__init__(text)
        self.status = status


class Edge:
    """Answers what YARN, its proxy and Flink would, now. ``puts`` are told of each change of requirements before it
    is made."""

    def __init__(self, cluster: SimCluster, settings: Mapping[str, str], proxy: str = "http://proxy:20888") -> None:
        self.cluster = cluster
        self.proxy = proxy
        self.calls = 0
        self.puts: list[Callable[[SimJob, Mapping[VertexId, Bounds]], None]] = []
        self.settings = settings
        self._own = f"/proxy/{yarn.application_id(cluster)}/"
        self._cached: dict[str, tuple[Millis, Any]] = {}

    def answer(self, method: str, url: str, body: bytes = b"") -> Answered:
        """Answer one request. Raises NoAnswer and HtmlAnswer."""
        self.calls += 1
        path, query = _read(url)
        if not self.cluster.rm_answers:
            raise NoAnswer("the ResourceManager does not answer, and its proxy needs it")
        if path.startswith("/ws/v1/cluster"):
            return self._yarn(path.removeprefix("/ws/v1/cluster").strip("/"), query)
        if not path.startswith(self._own):
            raise HtmlAnswer(404, "<h1>Application could not be found in RM or history server</h1>")
        if not self.cluster.master_answers or self.cluster.ended:
            raise HtmlAnswer(500, "<h1>HTTP ERROR 500 java.net.ConnectException: Connection refused</h1>")
        flink_path = path.removeprefix(self._own).removeprefix("v1/")
        if method == "PUT":
            return self._put(flink_path, body)
        return self._flink(flink_path, query)

    # -------------------------------------------------------------- YARN

    def _yarn(self, path: str, query: Query) -> Answered:
        states, kinds = query.get("states", ()), query.get("applicationTypes", ())
        if path == "apps":
            return Answered(200, yarn.applications(self.cluster, self.proxy, states, kinds))
        if path.startswith("apps/"):
            if path.split("/")[1] != yarn.application_id(self.cluster):
                why = {"exception": "NotFoundException", "message": f"app with id {path.split('/')[1]} not found"}
                return Answered(404, {"RemoteException": why})
            return Answered(200, yarn.application(self.cluster, self.proxy))
        if path == "nodes":
            return Answered(200, yarn.nodes(self.cluster, states))
        render = OF_YARN.get(path)
        if render is None:
            return Answered(404, {"RemoteException": {"exception": "NotFoundException", "message": "HTTP 404"}})
        return Answered(200, render(self.cluster))

    # -------------------------------------------------------------- Flink

    def _flink(self, path: str, query: Query) -> Answered:
        render = OF_FLINK.get(path)
        if render is not None:
            if path.endswith("/metrics"):
                self.fetched(self.cluster.job)
            return Answered(200, render(self, query))
        if not path.startswith("jobs/"):
            return _error(404, f"Unable to load requested file /{path}.")
        job = self._job_of(path)
        if job is None:
            return _no_job(path)
        return self._job(job, path.partition("/")[2].partition("/")[2].strip("/"), query)

    def _job_of(self, path: str) -> SimJob | None:
        own = path.split("/")[1]
        return next((job for job in self.cluster.jobs if flink.job_id(job) == own), None)

    def fetched(self, job: SimJob) -> Fetched | None:
        """What the JobManager's one metric store holds of a job; asking has it refreshed for all of them."""
        return {each.number: each.metrics.read(self.cluster.now) for each in self.cluster.jobs}[job.number]

    def _job(self, job: SimJob, path: str, query: Query) -> Answered:
        render = OF_JOB.get(path)
        if render is not None:
            return Answered(200, render(self, job, query))
        if path.startswith("vertices/") and path.endswith("/subtasks/metrics"):
            own = path.split("/")[1]
            vertex = next((v for v in job.vertices if v.id == own), None)
            return Answered(200, [] if vertex is None else self._metrics(job, vertex, query))
        return _error(404, f"Unable to load requested file /jobs/{flink.job_id(job)}/{path}.")

    def cached(self, job: SimJob, what: str, render: Callable[[], Any]) -> Any:
        """Flink keeps what it read of a job for 3 seconds."""
        now, key = self.cluster.now, f"{flink.job_id(job)}/{what}"
        at, document = self._cached.get(key, (now - GRAPH_CACHE, None))
        if now - at >= GRAPH_CACHE:
            document = render()
            self._cached[key] = (now, document)
        return document

    def _metrics(self, job: SimJob, vertex: VertexSpec, query: Query) -> list[dict[str, Any]]:
        fetched = self.fetched(job)
        if "get" not in query:
            return list(flink_metrics.metric_names(job, vertex, fetched))
        return flink_metrics.metric_values(job, vertex, fetched, query["get"], query.get("agg") or ALL_AGGREGATES)

    # -------------------------------------------------------------- requirements

    def _put(self, path: str, body: bytes) -> Answered:
        parts = path.split("/")
        if len(parts) != 3 or parts[0] != "jobs" or parts[2] != "resource-requirements":
            return _error(404, f"Unable to load requested file /{path}.")
        bounds = _bounds(body)
        if bounds is None:
            return _error(400, "Request did not match expected format JobResourceRequirementsBody.")
        if not bounds:
            return _error(400, "Request body does not specify resource requirements.")
        job = self._job_of(path)
        if job is None:
            return _no_job(path)
        problems = _problems(job, bounds)
        if problems:
            return _error(400, "\n".join(problems))
        for told in self.puts:
            told(job, bounds)
        job.put(bounds, self.cluster.now)
        self._cached.clear()
        return Answered(200, {})


OF_YARN: Mapping[str, Callable[[SimCluster], Any]] = {
    "info": yarn.info,
    "": yarn.info,
    "metrics": yarn.metrics,
    "scheduler": yarn.scheduler,
}
OF_FLINK: Mapping[str, Callable[[Edge, Query], Any]] = {
    "config": lambda edge, _: flink.config(edge.cluster.job),
    "overview": lambda edge, _: flink.overview(edge.cluster.jobs),
    "jobs": lambda edge, _: flink.job_ids(edge.cluster.jobs),
    "jobs/overview": lambda edge, _: flink.jobs_overview(edge.cluster.jobs, edge.cluster.now),
    "jobmanager/config": lambda edge, _: flink.configuration(edge.cluster.job, edge.settings),
    "jobmanager/metrics": lambda edge, query: flink_metrics.manager_metrics(edge.cluster.jobs, query.get("get", ())),
    "taskmanagers": lambda edge, _: flink.task_managers(edge.cluster.job, edge.cluster.now),
    "taskmanagers/metrics": lambda edge, query: flink_metrics.worker_metrics(
        edge.cluster.job, query.get("get", ()), query.get("agg") or ALL_AGGREGATES
    ),
}
OF_JOB: Mapping[str, Callable[[Edge, SimJob, Query], Any]] = {  # below /jobs/:id
    "": lambda edge, job, _: edge.cached(job, "", lambda: flink.job_details(job, edge.cluster.now, edge.fetched(job))),
    "config": lambda _edge, job, _: _execution_config(job),
    "status": lambda _edge, job, _: {"status": flink.STATE_OF[job.phase][0]},
    "metrics": lambda edge, job, query: flink_metrics.job_metrics(job, edge.cluster.now, query.get("get", ())),
    "checkpoints": lambda edge, job, _: edge.cached(job, "checkpoints", lambda: flink.checkpoints(job)),
    "checkpoints/config": lambda _edge, job, _: flink.checkpoint_config(job),
    "resource-requirements": lambda _edge, job, _: flink.requirements(job),
    "exceptions": lambda _edge, _job, _: {"exceptionHistory": {"entries": [], "truncated": False}},
}


def _bounds(body: bytes) -> Mapping[VertexId, Bounds] | None:
    try:
        return {
            str(vertex): Bounds(
                lower=int(said["parallelism"]["lowerBound"]), upper=int(said["parallelism"]["upperBound"])
            )
            for vertex, said in json.loads(body).items()
        }
    except (ValueError, KeyError, TypeError, AttributeError):
        return None


def _problems(job: SimJob, bounds: Mapping[VertexId, Bounds]) -> list[str]:
    """What Flink's dispatcher objects to, in its words."""
    found = [
        f"The request is incomplete, missing job vertex [{vertex}] resource requirements."
        for vertex in job.ids
        if vertex not in bounds
    ]
    most = {vertex.id: vertex.max_parallelism for vertex in job.vertices}
    for vertex, bound in bounds.items():
        if vertex not in most:
            found.append(f"Job vertex [{vertex}] was not found in the JobGraph.")
        elif bound.lower < 1 or bound.upper < 1:
            found.append(
                f"Both, the requested lower bound [{bound.lower}] and upper bound [{bound.upper}] for job vertex "
                f"[{vertex}] must be greater than zero."
            )
        elif bound.lower > bound.upper:
            found.append(
                f"The requested lower bound [{bound.lower}] for job vertex [{vertex}] is higher than the upper bound "
                f"[{bound.upper}]."
            )
        elif bound.upper > most[vertex]:
            found.append(
                f"The newly requested parallelism {bound.upper} for the job vertex {vertex} exceeds its maximum "
                f"parallelism {most[vertex]}."
            )
    return found


def _execution_config(job: SimJob) -> dict[str, Any]:
    return {
        "jid": flink.job_id(job),
        "name": job.spec.name,
        "execution-config": {"job-parallelism": 1, "object-reuse-mode": False, "user-config": {}},
    }


@lru_cache(maxsize=256)
def _read(url: str) -> tuple[str, Query]:
    """The path of an address, and its query with lists taken apart."""
    split = urlsplit(url)
    query = parse_qs(split.query)
    return split.path, {name: tuple(",".join(texts).split(",")) for name, texts in query.items()}


def _error(status: int, text: str) -> Answered:
    return Answered(status, {"errors": [f"org.apache.flink.runtime.rest.handler.RestHandlerException: {text}\n\tat x"]})


def _no_job(path: str) -> Answered:
    own = path.split("/")[1]
    if path.endswith("/resource-requirements"):
        text = f"<Exception on server side:\norg.apache.flink.runtime.messages.FlinkJobNotFoundException: {own}\n\tat x"
        return Answered(500, {"errors": ["Internal server error.", text]})
    return Answered(404, {"errors": [f"org.apache.flink.runtime.rest.NotFoundException: Job {own} not found\n\tat x"]})


class DirectHttp:
    """What the daemon's adapters use in place of sockets; errors are judged by the daemon's own code."""

    def __init__(self, edge: Edge) -> None:
        self._edge = edge
        self._gates: dict[str, Gate] = {}

    def gate(self, application_id: str) -> Gate:
        return self._gates.setdefault(application_id, Gate(application_id))

    def get_json(self, url: str, gate: Gate | None = None, timeout_s: float | None = None) -> Any:
        try:
            answered = self._edge.answer("GET", url)
        except NoAnswer as error:
            raise Transient("refused", f"GET {url}: no connection: {error}") from error
        except HtmlAnswer as error:
            raise failure("GET", url, _html(error)) from error
        if answered.status == 200:
            return answered.document
        raise failure("GET", url, _reply(answered))

    def date(self, url: str, timeout_s: float | None = None) -> int | None:
        self.get_json(url, timeout_s=timeout_s)
        return self._edge.cluster.now // 1000 * 1000

    def put_json(
        self,
        url: str,
        body: object,
        gate: Gate | None = None,
        timeout_s: float | None = None,
        objection: Objection = lambda: None,
    ) -> PutAnswer:
        said = objection()
        if said is not None:
            return PutAnswer(result=PutResult.WITHDRAWN, status=None, message=said)
        try:
            answered = self._edge.answer("PUT", url, json.dumps(body).encode())
        except NoAnswer as error:
            return PutAnswer(result=PutResult.NOT_SENT, status=None, message=f"PUT {url}: no connection: {error}")
        except HtmlAnswer as error:
            return put_answer(url, _html(error))
        return put_answer(url, _reply(answered))


def _reply(answered: Answered) -> Reply:
    return Reply(answered.status, {"Content-Type": "application/json"}, json.dumps(answered.document).encode())


def _html(error: HtmlAnswer) -> Reply:
    return Reply(error.status, {"Content-Type": "text/html"}, str(error).encode())

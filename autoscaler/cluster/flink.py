"""Flink's REST, 1.18 to 2.3, through the YARN proxy: one method per question, values for answers."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any, Final, TypeVar
from urllib.parse import quote

from autoscaler.cluster import flink_json
from autoscaler.cluster.errors import Rejected, Transient
from autoscaler.cluster.flink_json import (
    Aggregate,
    Checkpoints,
    CheckpointSettings,
    ClusterConfig,
    JobDetails,
    JobOverview,
    Memory,
    TaskManager,
    TaskManagers,
)
from autoscaler.cluster.http import JsonHttp, Objection, PutAnswer
from autoscaler.model import Bounds, VertexId

_ALL: Final = "min,max,avg,sum"
_T = TypeVar("_T")


class FlinkRest:
    """One application's Flink, as far as its REST answers at ``tracking_url``, which the ResourceManager gave.

    At most two requests are on their way to one application at a time, over all objects with its id.
    """

    def __init__(self, http: JsonHttp, application_id: str, tracking_url: str, timeout_s: float | None = None) -> None:
        self.application_id = application_id
        self.tracking_url = tracking_url
        self._http = http
        self._base = tracking_url.rstrip("/") + "/"
        self._gate = http.gate(application_id)
        self._timeout_s = timeout_s
        self._reports_gc = True

    def jobs(self) -> tuple[JobOverview, ...]:
        """List the jobs, ended ones too; one missing once is not gone, it may not have answered Flink."""
        return self._read("jobs/overview", flink_json.parse_jobs, dict)

    def cluster_config(self, timeout_s: float | None = None) -> ClusterConfig:
        return self._read("config", flink_json.parse_cluster_config, dict, timeout_s)

    def flink_version(self) -> str:
        return self.cluster_config().flink_version

    def configuration(self) -> dict[str, str]:
        """The JobManager's explicit settings; hidden values are left out, so they count as not set."""
        return self._read("jobmanager/config", flink_json.parse_configuration, list)

    def job_parameters(self, job_id: str) -> dict[str, str]:
        """The job's global parameters, all that a job of a session cluster can say of itself."""
        return self._read(f"jobs/{job_id}/config", flink_json.parse_job_parameters, dict)

    def poke(self, timeout_s: float | None = None) -> None:
        """Make the JobManager fetch metrics: asking for any starts it, and is answered from the old ones."""
        self._read("jobmanager/metrics?get=taskSlotsTotal", len, list, timeout_s)

    def job(self, job_id: str) -> JobDetails:
        return self._read(f"jobs/{job_id}", flink_json.parse_job, dict)

    def metric_names(self, job_id: str, vertex_id: VertexId) -> tuple[str, ...]:
        """List what the vertex's subtasks report, together; empty before the first fetch."""
        return self._read(_metrics_path(job_id, vertex_id), flink_json.parse_metric_names, list)

    def metrics(
        self, job_id: str, vertex_id: VertexId, names: tuple[str, ...], agg: str = _ALL
    ) -> dict[str, Aggregate] | None:
        """Read metrics over subtasks; ``None`` means a name is not there (any more): list them again."""
        if not names:
            return {}
        return self._read(f"{_metrics_path(job_id, vertex_id)}?{_query(names, agg)}", flink_json.parse_metrics, list)

    def checkpoints(self, job_id: str) -> Checkpoints:
        return self._read(f"jobs/{job_id}/checkpoints", flink_json.parse_checkpoints, dict)

    def checkpoint_interval_ms(self, job_id: str) -> int | None:
        """The time between checkpoints; ``None`` if they are off."""
        try:
            return self._read(f"jobs/{job_id}/checkpoints/config", flink_json.parse_checkpoint_interval, dict)
        except Rejected as error:
            if error.status == 404:  # said of a job that cannot checkpoint at all
                return None
            raise

    def checkpoint_settings(self, job_id: str) -> CheckpointSettings:
        """How the job checkpoints; one that cannot has none."""
        try:
            path = f"jobs/{job_id}/checkpoints/config"
            return self._read(path, flink_json.parse_checkpoint_settings, dict)
        except Rejected as error:
            if error.status == 404:  # said of a job that cannot checkpoint at all
                return CheckpointSettings()
            raise

    def restart_strategy(self, job_id: str) -> str | None:
        """What the job says of its restart strategy, in Flink's words; most say that the cluster's holds."""
        return self._read(f"jobs/{job_id}/config", flink_json.parse_restart_strategy, dict)

    def requirements(self, job_id: str) -> Mapping[VertexId, Bounds]:
        """What the job was last asked to run at, which is not what it runs at."""
        return self._read(f"jobs/{job_id}/resource-requirements", flink_json.parse_requirements, dict)

    def put_requirements(
        self,
        job_id: str,
        bounds: Mapping[VertexId, Bounds],
        timeout_s: float | None = None,
        objection: Objection = lambda: None,
    ) -> PutAnswer:
        """Ask for new bounds of every vertex. ACCEPTED is not yet achieved."""
        body = {
            vertex: {"parallelism": {"lowerBound": bound.lower, "upperBound": bound.upper}}
            for vertex, bound in bounds.items()
        }
        url = f"{self._base}jobs/{job_id}/resource-requirements"
        return self._http.put_json(url, body, self._gate, timeout_s or self._timeout_s, objection)

    def task_managers(self) -> TaskManagers:
        return self._read("overview", flink_json.parse_task_managers, dict)

    def task_manager_list(self) -> tuple[TaskManager, ...]:
        """List the TaskManagers with their hosts and slots; an answer of some 800 bytes for each."""
        return self._read("taskmanagers", flink_json.parse_task_manager_list, dict)

    def memory(self) -> Memory:
        """Read memory pressure. 1.18 has no collection time, and a name it lacks would empty the answer."""
        names = (flink_json.GC_TIME, flink_json.HEAP_USED, flink_json.HEAP_MAX)
        found = self._memory(names if self._reports_gc else names[1:])
        if found is None and self._reports_gc:
            found = self._memory(names[1:])
            self._reports_gc = found is None
        return flink_json.parse_memory(found or {})

    def _memory(self, names: tuple[str, ...]) -> dict[str, Aggregate] | None:
        return self._read(f"taskmanagers/metrics?{_query(names, 'max')}", flink_json.parse_metrics, list)

    def _read(self, path: str, parse: Callable[[Any], _T], shape: type, timeout_s: float | None = None) -> _T:
        document = self._http.get_json(self._base + path, self._gate, timeout_s or self._timeout_s)
        try:
            if not isinstance(document, shape):
                raise TypeError(f"not a {shape.__name__}")
            return parse(document)
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            where = (self._base + path).partition("://")[2].partition("?")[0]
            text = f"GET {where}: expected Flink's form ({error!r}), got {document!r:.200}"
            raise Transient("unexpected", text) from error


def _metrics_path(job_id: str, vertex_id: VertexId) -> str:
    return f"jobs/{job_id}/vertices/{vertex_id}/subtasks/metrics"


@lru_cache(maxsize=4096)  # most vertices of most jobs ask for the same few names, every interval
def _query(names: tuple[str, ...], agg: str) -> str:
    return "get=" + ",".join(quote(name, safe="") for name in names) + "&agg=" + agg

"""Prometheus metrics, rendered from the fleet's present state when they are asked for.

Nothing is updated per pass: with a thousand jobs of ten vertices, one child object per series would cost more memory
than all samples together.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field

from prometheus_client import CollectorRegistry
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from autoscaler.model import JobStatus


@dataclass(slots=True)
class Counters:
    """What the process has done since it started."""

    passes: int = 0
    late_passes: int = 0
    failed_passes: int = 0
    requests_sent: int = 0
    requests_rejected: int = 0
    requests_achieved: int = 0
    requests_not_achieved: int = 0
    requests_rolled_back: int = 0
    requests_overdrawn: int = 0
    external_changes: int = 0
    requirements_lost: int = 0
    flapping_pinned: int = 0
    store_errors: int = 0
    _lock: threading.Lock = field(default_factory=threading.Lock, repr=False)

    def add(self, name: str, amount: int = 1) -> None:
        with self._lock:
            setattr(self, name, getattr(self, name) + amount)


HELP = {
    "passes": "Passes over jobs",
    "late_passes": "Passes started more than 5 s after their due time",
    "failed_passes": "Passes that ended because an application answered badly",
    "requests_sent": "Resource requirements sent to Flink",
    "requests_rejected": "Resource requirements that Flink refused",
    "requests_achieved": "Requests whose parallelism was reached",
    "requests_not_achieved": "Requests closed without reaching their parallelism",
    "requests_rolled_back": "Rescales that made things worse and were rolled back",
    "requests_overdrawn": "Rescales beyond the budget, of jobs that fell behind",
    "external_changes": "Resource requirements that somebody else changed, and that were adopted",
    "requirements_lost": "Resource requirements lost with an ApplicationMaster",
    "flapping_pinned": "Jobs pinned because their parallelism kept changing without a request",
    "store_errors": "Writes to the store that failed",
}


class _Fleet(Collector):
    def __init__(
        self,
        counters: Counters,
        statuses: Callable[[], Iterable[JobStatus]],
        rest: Callable[[], dict[str, int]],
        leads: Callable[[], bool],
    ) -> None:
        self._counters = counters
        self._statuses = statuses
        self._rest = rest
        self._leads = leads

    def describe(self) -> Iterable[Metric]:
        return ()

    def collect(self) -> Iterator[Metric]:
        for name, text in HELP.items():
            yield CounterMetricFamily(f"autoscaler_{name}", text, value=getattr(self._counters, name))
        for name, value in self._rest().items():
            yield CounterMetricFamily(f"autoscaler_rest_{name}", f"REST {name.replace('_', ' ')}", value=value)
        yield GaugeMetricFamily(
            "autoscaler_leader", "1 while this daemon is the one of several that acts", value=self._leads()
        )
        yield from _job_metrics(list(self._statuses()))


JOB = ["cluster", "application", "application_id", "job", "job_id"]
VERTEX = [*JOB, "vertex", "vertex_name"]


def _job_metrics(statuses: list[JobStatus]) -> Iterator[Metric]:
    info = GaugeMetricFamily(
        "autoscaler_job",
        "1 for each job seen; why it is or is not scaled",
        labels=[*JOB, "reason", "tracking_url"],
    )
    seen_at = GaugeMetricFamily("autoscaler_job_seen_timestamp_seconds", "Time of the last pass", labels=JOB)
    managers = GaugeMetricFamily("autoscaler_job_task_managers", "TaskManagers the application holds", labels=JOB)
    families = {
        "parallelism": GaugeMetricFamily("autoscaler_vertex_parallelism", "Parallelism now", labels=VERTEX),
        "wanted": GaugeMetricFamily("autoscaler_vertex_wanted_parallelism", "Parallelism wanted", labels=VERTEX),
        "granted": GaugeMetricFamily(
            "autoscaler_vertex_granted_parallelism",
            "What of the parallelism wanted the cluster has room for",
            labels=VERTEX,
        ),
        "rate": GaugeMetricFamily("autoscaler_vertex_input_rate", "Records per second in", labels=VERTEX),
        "target_rate": GaugeMetricFamily(
            "autoscaler_vertex_target_rate", "Records per second it must be able to process", labels=VERTEX
        ),
        "lag": GaugeMetricFamily("autoscaler_vertex_lag_records", "Records waiting at a source", labels=VERTEX),
        "utilization": GaugeMetricFamily("autoscaler_vertex_utilization_ratio", "Share of time busy", labels=VERTEX),
    }
    limits = GaugeMetricFamily(
        "autoscaler_vertex_limited",
        "1 for each limit between what the model wants and the parallelism a vertex is given",
        labels=[*VERTEX, "limit"],
    )
    for status in statuses:
        key = status.key
        labels = [key.cluster, key.application, status.application_id, key.job, status.job_id or ""]
        info.add_metric([*labels, status.reason.value, status.tracking_url], 1)
        seen_at.add_metric(labels, status.at / 1000)
        if status.task_managers is not None:
            managers.add_metric(labels, status.task_managers)
        for vertex in status.vertices:
            for name, family in families.items():
                value = getattr(vertex, name)
                if value is not None:
                    family.add_metric([*labels, vertex.id, vertex.name], value)
            for limit in dict.fromkeys(vertex.limits):
                limits.add_metric([*labels, vertex.id, vertex.name, limit.value], 1)
    yield from (info, seen_at, managers, *families.values(), limits)


def fleet_collector(
    counters: Counters,
    statuses: Callable[[], Iterable[JobStatus]],
    rest: Callable[[], dict[str, int]],
    leads: Callable[[], bool],
) -> CollectorRegistry:
    """Return a registry of its own, so that tests and several daemons in one process do not meet in a global one."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_Fleet(counters, statuses, rest, leads))
    return registry

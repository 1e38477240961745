"""A past for a daemon to recall: samples of the last minutes, so that windows are full from the first pass.

What is measured is then the steady state, without an hour of waiting for it. The samples are taken by the daemon's
own observer from the same answers the stub gives.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from random import Random
from typing import Any

from msgspec import structs

from autoscaler.cluster import flink_json
from autoscaler.loop.observe import Observer
from autoscaler.model import BusyTimeAggregator, JobKey, Millis, Policy, Sample, Topology, frozen
from autoscaler.store import open_store
from bench.shapes import Job
from bench.stub import Answers

CLUSTER = "default"


class PastFlink:
    """The part of Flink's REST an observer reads, at a time that is set."""

    def __init__(self, job: Job, started: Millis) -> None:
        self.now = started
        self._answers = Answers(job, started)
        self._rng = Random(2)

    def _ask(self, path: str) -> Any:
        return json.loads(self._answers.answer(path, self.now, self._rng)[1])

    def job(self, job_id: str) -> flink_json.JobDetails:
        return flink_json.parse_job(self._ask(f"jobs/{job_id}"))

    def metric_names(self, job_id: str, vertex_id: str) -> tuple[str, ...]:
        return flink_json.parse_metric_names(self._ask(f"jobs/{job_id}/vertices/{vertex_id}/subtasks/metrics"))

    def metrics(
        self, job_id: str, vertex_id: str, names: tuple[str, ...], agg: str
    ) -> Mapping[str, flink_json.Aggregate] | None:
        query = f"get={','.join(names)}&agg={agg}"
        return flink_json.parse_metrics(self._ask(f"jobs/{job_id}/vertices/{vertex_id}/subtasks/metrics?{query}"))


def past(
    job: Job, started: Millis, times: list[Millis], aggregator: BusyTimeAggregator
) -> tuple[Topology, tuple[Sample, ...]]:
    """The topology of a job and its samples at the given times."""
    flink = PastFlink(job, started)
    observer = Observer(flink, job.job_id)  # type: ignore[arg-type]  # it asks for no more than these
    policy = replace(Policy(), busy_time_aggregator=aggregator)
    samples: tuple[Sample, ...] = ()
    for at in times:
        flink.now = at
        observed = observer.observe(flink.job(job.job_id), policy, at, samples)
        samples = (*samples, observed.sample)
    return observed.topology, samples


def seed(url: str, jobs: list[Job], started: Millis, times: list[Millis], aggregator: BusyTimeAggregator) -> None:
    """Store the same past for every job, under its own vertices."""
    topology, samples = past(jobs[0], started, times, aggregator)
    store = open_store(url, max_size_bytes=1 << 31, now=times[-1]).store
    for job in jobs:
        own = dict(zip(jobs[0].vertex_ids, job.vertex_ids, strict=True))
        key = JobKey(cluster=CLUSTER, application=job.application_name, job=job.name)
        shape = renamed(topology, own)
        with store.writing() as writer:
            for sample in samples:
                vertices = frozen({own[vertex]: values for vertex, values in sample.vertices.items()})
                writer.append_sample(key, shape, started, structs.replace(sample, vertices=vertices))
    store.close()


def renamed(topology: Topology, own: Mapping[str, str]) -> Topology:
    return Topology(
        vertices=tuple(
            structs.replace(v, id=own[v.id], inputs=tuple(structs.replace(i, id=own[i.id]) for i in v.inputs))
            for v in topology.vertices
        )
    )

"""A cluster in good order, of which a test changes one thing."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from autoscaler.cluster import Checkpoints, CheckpointSettings, PutAnswer, PutResult
from autoscaler.doctor.findings import Finding
from autoscaler.doctor.snapshot import ApplicationSeen, Job, Manager, Snapshot, StoreSeen
from autoscaler.loop.contract import contract, objections, terms_of
from autoscaler.model import Topology, Vertex
from autoscaler.options import layer_of

NOW = 1_767_225_600_000
GIB = 1024**3
GOOD: Mapping[str, str] = {
    "job.autoscaler.enabled": "true",
    "jobmanager.scheduler": "adaptive",
    "high-availability.type": "zookeeper",
    "taskmanager.numberOfTaskSlots": "2",
}


def a_vertex(name: str, parallelism: int = 2, group: str | None = "g") -> Vertex:
    return Vertex(id=name, name=name, parallelism=parallelism, max_parallelism=128, inputs=(), slot_sharing_group=group)


def a_job(config: Mapping[str, str] | None = None, *, on_emr_host: bool = False, **changes: Any) -> Job:
    """A job with ``config`` over a good one; a value of ``-`` takes a key away."""
    written = {key: value for key, value in {**GOOD, **(config or {})}.items() if value != "-"}
    version = changes.get("flink_version", "1.20.3")
    layers = [layer_of("application_1", written, submitted=True)]
    terms = terms_of(layers, version, "emr", on_emr_host=on_emr_host)
    job = Job(
        id="1" * 32,
        name="orders",
        application="orders-app",
        flink_version=version,
        contract=contract(layers, version, "emr", on_emr_host=on_emr_host),
        objections=objections(terms),
        config=terms.config,
        kind="STREAMING",
        topology=Topology(vertices=(a_vertex("source"), a_vertex("sink"))),
        checkpoints=Checkpoints(completed=5, completed_id=5),
        checkpointing=CheckpointSettings(
            interval_ms=60_000, state_backend="HashMapStateBackend", storage="FileSystemCheckpointStorage"
        ),
        restart_strategy="Cluster level default restart strategy",
        rendered_at=NOW,
        read_at=NOW,
    )
    return replace(job, **changes)


def refused(**changes: Any) -> PutAnswer:
    """What Flink says to a PUT for a job it does not know."""
    answer = PutAnswer(result=PutResult.REJECTED, status=500, message="FlinkJobNotFoundException")
    return replace(answer, **changes)


def an_application(*jobs: Job, **changes: Any) -> ApplicationSeen:
    version = jobs[0].flink_version if jobs else "1.20.3"
    seen = ApplicationSeen(
        id="application_1",
        name="orders-app",
        user="hadoop",
        has_address=True,
        flink_version=version,
        put=refused(),
        jobs=jobs,
    )
    return replace(seen, **changes)


def a_manager(address: str = "http://rm1:8088", **changes: Any) -> Manager:
    return replace(Manager(address=address, state="ACTIVE", ahead_ms=200), **changes)


def a_store(**changes: Any) -> StoreSeen:
    store = StoreSeen(
        place="/var/lib/autoscaler/autoscaler.db",
        size_bytes=GIB,
        max_size_bytes=2 * GIB,
        free_bytes=20 * GIB,
        owner=7,
        user=7,
        newest_status_at=NOW - 30_000,
    )
    return replace(store, **changes)


def a_snapshot(*jobs: Job, **changes: Any) -> Snapshot:
    """A cluster with one application that runs these jobs, or one good job."""
    snapshot = Snapshot(
        now=NOW,
        acts=True,
        managers=(a_manager(),),
        store=a_store(),
        flink_conf="/etc/flink/conf",
        flink_conf_exists=True,
        applications=(an_application(*(jobs or (a_job(),))),),
    )
    return replace(snapshot, **changes)


def told(findings: tuple[Finding, ...], check: str) -> list[tuple[str, str]]:
    """The severity and the words of what one check found."""
    return [(f.severity.value, f"{f.found}; {f.evidence}; {f.mend}") for f in findings if f.check == check]

"""What each job was submitted with, as far as it stands against scaling it or makes a restart dangerous."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final

from autoscaler.doctor.findings import Check, Finding, error, fine, warning
from autoscaler.doctor.snapshot import Job, Snapshot
from autoscaler.doctor.values import switch, text, whole
from autoscaler.model import Millis, Reason
from autoscaler.options import Severity, format_duration

LONG_INTERVAL: Millis = 600_000
FEW_RESTARTS = 3
_OFF: Final = frozenset({"none", "off", "disable", "disabled", "false"})

_SEVERITIES: Mapping[Reason, Severity] = {
    Reason.NOT_ENABLED: Severity.INFO,
    Reason.EMR_SCALES: Severity.INFO,
    Reason.SCALER_UNKNOWN: Severity.WARNING,
}
_MENDS: Mapping[Reason, str] = {
    Reason.NOT_ENABLED: "",
    Reason.EMR_SCALES: "nothing, if EMR's scaler is meant to scale it",
    Reason.SCALER_UNKNOWN: "set job.autoscaler.yarn.enabled: true",
    Reason.TWO_SCALERS: "submit the job with job.autoscaler.enabled: false",
    Reason.UNSUPPORTED_VERSION: "upgrade to Flink 1.18 or later (EMR 7.0 or later)",
    Reason.NOT_ADAPTIVE: "submit the job with jobmanager.scheduler: adaptive",
    Reason.REACTIVE_MODE: "submit the job without scheduler-mode: reactive",
    Reason.BAD_CONFIGURATION: "correct the value: `autoscaler set` and rules reach a running job, flink-conf does not",
}


def against(*reasons: Reason) -> Check:
    """What stands against scaling a job, for some of the reasons there are.

    Of a job that nobody enabled, and of a batch job, nothing else counts.
    """

    def look(snapshot: Snapshot) -> Iterator[Finding]:
        for job in snapshot.jobs:
            for objection in job.objections:
                if objection.reason in reasons and (job.is_wanted or objection.reason is Reason.NOT_ENABLED):
                    severity = Severity.WARNING if objection.advise else Severity.ERROR
                    yield Finding(
                        severity=_SEVERITIES.get(objection.reason, severity),
                        subject=job.label,
                        found=objection.detail,
                        evidence=f"{objection.reason}, Flink {job.flink_version}",
                        mend=_MENDS[objection.reason],
                    )

    return look


def job_is_read(job: Job) -> Iterator[Finding]:
    """Whether everything of the job could be read."""
    if job.fault is not None:
        mend = "look at the job in Flink's web UI; the daemon tries again by itself"
        yield warning(job.label, "the job cannot be read", evidence=job.fault.message, mend=mend)


def configuration_is_meant(job: Job) -> Iterator[Finding]:
    """What its owner probably did not mean, or what holds it."""
    if job.contract.hold is Reason.BAD_CONFIGURATION:
        mend = _MENDS[Reason.BAD_CONFIGURATION]
        yield error(job.label, "a value cannot be used", evidence=job.contract.detail, mend=mend)
    if job.contract.advice is None:
        for said in job.contract.warnings:
            mend = f"see `autoscaler check-config --application {job.application} --job {job.name}`"
            yield warning(job.label, "a value is probably not meant", evidence=said, mend=mend)


def checkpoints_are_on(job: Job) -> Iterator[Finding]:
    """Whether the job checkpoints, so that a restart does not begin from scratch."""
    if job.checkpointing is None:
        return
    interval = job.checkpointing.interval_ms
    if interval is None:
        told = warning if job.contract.policy.allow_without_checkpoint else error
        mend = "set execution.checkpointing.interval; until then it is not rescaled, as that would lose its state"
        yield told(job.label, "checkpointing is off", evidence="GET /jobs/:id/checkpoints/config", mend=mend)
    elif interval > LONG_INTERVAL:
        evidence = f"execution.checkpointing.interval is {format_duration(interval)}"
        mend = "set it to a few minutes: what came in since the last checkpoint is processed again"
        yield warning(job.label, "each restart repeats up to that much work", evidence=evidence, mend=mend)


def checkpoints_complete(job: Job) -> Iterator[Finding]:
    """Whether checkpoints complete, as without one nothing is sent."""
    seen = job.checkpoints
    if seen is None or job.checkpointing is None or job.checkpointing.interval_ms is None:
        return
    evidence = f"{seen.completed} completed, {seen.failed} failed, {seen.in_progress} in progress"
    if seen.completed_id is None and seen.restored_id is None:
        mend = "wait for the first one; if it lasts, look at its cause under Checkpoints in Flink's web UI"
        yield warning(job.label, "no checkpoint has completed yet", evidence=evidence, mend=mend)
    elif seen.failed > seen.completed:
        mend = "look at their cause under Checkpoints in Flink's web UI; each restart repeats the work since the last"
        yield warning(job.label, "most checkpoints fail", evidence=evidence, mend=mend)


def checkpoints_outlive_the_job_manager(job: Job) -> Iterator[Finding]:
    """Where checkpoints are kept."""
    storage = job.checkpointing.storage if job.checkpointing is not None else None
    if storage is not None and "JobManager" in storage:
        mend = "set execution.checkpointing.dir (state.checkpoints.dir before 1.20) to a folder in HDFS or S3"
        found = "checkpoints are kept in the JobManager's memory and are lost with it"
        yield error(job.label, found, evidence=f"checkpoint storage is {storage}", mend=mend)


def survives_its_job_manager(job: Job) -> Iterator[Finding]:
    """High availability: without it another ApplicationMaster knows neither checkpoints nor requirements."""
    kind, said = text(job, "high-availability.type", "high-availability")
    if kind is None or kind.lower() in _OFF:
        mend = "set high-availability.type: zookeeper and high-availability.storageDir; EMR does with three masters"
        found = "without high availability a failed ApplicationMaster loses the job, and what it was scaled to"
        yield warning(job.label, found, evidence=said, mend=mend)
        return
    attempts, said = whole(job, "yarn.application-attempts", default=2)
    if attempts < 2:
        found = "high availability is on, but YARN starts the ApplicationMaster only once"
        yield warning(job.label, found, evidence=said, mend="set yarn.application-attempts to 2 or more")


def restarts_after_failures(job: Job) -> Iterator[Finding]:
    """Restart strategy: a task that fails on a new TaskManager must not end the job."""
    kind, said = text(job, "restart-strategy.type", "restart-strategy")
    own = job.restart_strategy
    if own is not None and "cluster level" not in own.lower():
        kind, said = ("none" if "deactivated" in own.lower() else None), f"the job itself says: {own}"
    kind = (kind or "").lower()
    mend = "use restart-strategy.type: exponential-delay"
    if kind in _OFF:
        yield warning(job.label, "the first failure of a task ends the job", evidence=said, mend=mend)
    elif kind in ("fixed-delay", "fixeddelay"):
        attempts, said = whole(job, "restart-strategy.fixed-delay.attempts", default=1)
        if attempts <= FEW_RESTARTS:
            found = "a few failures in the job's whole life end it"
            yield warning(job.label, found, evidence=said, mend=f"{mend}, or raise the number of attempts")
    elif kind in ("failure-rate", "failurerate"):
        failures, said = whole(job, "restart-strategy.failure-rate.max-failures-per-interval", default=1)
        if failures <= FEW_RESTARTS:
            found = "a few failures in one interval end the job, as when a node goes"
            yield warning(job.label, found, evidence=said, mend=f"{mend}, or raise the number of failures")


def state_backend_restores_fast(job: Job) -> Iterator[Finding]:
    """State backend: how large each checkpoint is, and so how old the one a restart begins from."""
    backend = job.checkpointing.state_backend if job.checkpointing is not None else None
    configured, said = text(job, "state.backend.type", "state.backend")
    kind = (backend or configured or "hashmap").lower()
    if "rocksdb" not in kind:
        return
    incremental, how = switch(job, "execution.checkpointing.incremental", "state.backend.incremental", default=False)
    if not incremental:
        evidence = f"{f'state backend is {backend}' if backend else said}, {how}"
        mend = "set execution.checkpointing.incremental: true (state.backend.incremental before 1.20)"
        found = "RocksDB uploads all its state with each checkpoint, so they take long and restarts repeat more work"
        yield warning(job.label, found, evidence=evidence, mend=mend)


def slots_are_shared(job: Job) -> Iterator[Finding]:
    """Slot sharing: a job needs as many slots as the largest vertex of each group, summed over the groups."""
    vertices = job.topology.vertices if job.topology is not None else ()
    groups: dict[str, int] = {}
    for vertex in vertices:
        if vertex.slot_sharing_group is not None:
            name = vertex.slot_sharing_group
            groups[name] = max(groups.get(name, 0), vertex.parallelism)
    needed = sum(groups.values()) or max((vertex.parallelism for vertex in vertices), default=0)
    evidence = f"{len(vertices)} vertices in {len(groups)} slot sharing groups take {needed} slots"
    if len(groups) > 1 and len(groups) == len(vertices):
        mend = "leave vertices in one slot sharing group unless they must not share TaskManagers"
        yield warning(
            job.label, "no vertex shares slots: every step up takes slots of its own", evidence=evidence, mend=mend
        )
    elif len(groups) > 1:
        yield fine(job.label, "the slots of each sharing group add up", evidence=evidence)
    limit, said = text(job, "slotmanager.number-of-slots.max")
    if limit is not None and limit.strip().isdecimal() and needed > 0 and int(limit) <= needed:
        evidence = f"{said}, the job takes {needed}"
        yield warning(job.label, "the job cannot grow", evidence=evidence, mend="raise slotmanager.number-of-slots.max")

"""Flink's own times around a rescale, by release: what makes it slow, and what restarts a job more than once for it."""

from __future__ import annotations

from collections.abc import Iterator

from autoscaler.doctor.findings import Finding, warning
from autoscaler.doctor.snapshot import Job
from autoscaler.doctor.values import duration, switch, text, whole
from autoscaler.model import Millis
from autoscaler.options import GrammarError, format_duration, parse_duration

_SCHEDULER = "jobmanager.adaptive-scheduler."
COOLDOWN = (f"{_SCHEDULER}executing.cooldown-after-rescaling", f"{_SCHEDULER}scaling-interval.min")
SHORT_COOLDOWN: Millis = 10_000  # YARN hands out containers over several seconds
LONG_STABILIZATION: Millis = 30_000
SHORT_WAIT: Millis = 60_000
LONG_RELEASE: Millis = 600_000
WITH_COOLDOWN, WITH_TRIGGERS, WITH_RESTART_WAIT = (1, 19), (2, 0), (1, 20)


def new_slots_do_not_multiply_restarts(job: Job) -> Iterator[Finding]:
    """A scale-up's slots come in batches, and each batch may restart the job."""
    if job.release is None:
        return
    if job.release < WITH_COOLDOWN:
        slots, _ = whole(job, "taskmanager.numberOfTaskSlots", default=1)
        least, said = whole(job, f"{_SCHEDULER}min-parallelism-increase", default=1)
        if least <= slots:
            found = "each TaskManager that arrives for a scale-up restarts the job once more"
            mend = f"upgrade to Flink 1.19, or raise {_SCHEDULER}min-parallelism-increase above {slots}"
            yield warning(job.label, found, evidence=f"Flink {job.flink_version} has no cool-down; {said}", mend=mend)
        return
    names = COOLDOWN if job.release >= WITH_TRIGGERS else COOLDOWN[1:]
    cooldown, said = duration(job, *names, default=30_000)
    if cooldown < SHORT_COOLDOWN:
        found = "TaskManagers that arrive one after the other restart the job once each"
        yield warning(job.label, found, evidence=said, mend=f"set {names[0]} to 30 s or more")


def rescales_end_in_time(job: Job) -> Iterator[Finding]:
    """How long Flink waits before it carries out a request, against the time after which we call it not reached."""
    if job.release is None or job.release < WITH_COOLDOWN:
        return
    if job.release < WITH_TRIGGERS:
        longest, evidence = duration(job, COOLDOWN[1], default=30_000)
    else:
        longest, evidence = _longest_wait(job)
    limit = job.contract.policy.rescale_timeout
    if longest >= limit:
        found = f"Flink may carry out a rescale only after {format_duration(longest)}"
        evidence += f"; job.autoscaler.yarn.rescale-timeout is {format_duration(limit)}"
        mend = "shorten these times or the checkpoint interval, or raise job.autoscaler.yarn.rescale-timeout"
        yield warning(job.label, found, evidence=evidence, mend=mend)


def _longest_wait(job: Job) -> tuple[Millis, str]:
    """From 2.0 on: cool-down, then stabilization, then the next trigger, a checkpoint or the longest delay."""
    cooldown, first = duration(job, *COOLDOWN, default=30_000)
    stable, second = duration(job, f"{_SCHEDULER}executing.resource-stabilization-timeout", default=60_000)
    failures, _ = whole(job, f"{_SCHEDULER}rescale-trigger.max-checkpoint-failures", default=2)
    interval = (job.checkpointing.interval_ms if job.checkpointing is not None else None) or 0
    key = f"{_SCHEDULER}rescale-trigger.max-delay"
    delay, third = duration(job, key, default=(failures + 1) * interval)
    if key not in job.config:
        third = f"{key} is not set, which means {failures + 1} checkpoint intervals of {format_duration(interval)}"
    return cooldown + stable + delay, f"{first}, {second}, {third}"


def missing_slots_cost_little_downtime(job: Job) -> Iterator[Finding]:
    """Up to 1.20 a restart that lacks slots waits for them with the job down."""
    if job.release is None or job.release > WITH_RESTART_WAIT:
        return
    wait, said = duration(job, f"{_SCHEDULER}resource-stabilization-timeout", default=10_000)
    if wait > LONG_STABILIZATION:
        found = "each restart that lacks slots is down for that long before it goes on with what there is"
        yield warning(job.label, found, evidence=said, mend="set it to Flink's default, 10 s")


def waits_for_slots_long_enough(job: Job) -> Iterator[Finding]:
    """A job that cannot get the least it needs in this time fails for good."""
    names = (f"{_SCHEDULER}submission.resource-wait-timeout", f"{_SCHEDULER}resource-wait-timeout")
    keys = names if job.release is not None and job.release >= WITH_TRIGGERS else names[1:]
    wait, said = duration(job, *keys, default=300_000)
    if wait < SHORT_WAIT:
        found = "the job ends if its least slots do not come in time, as while EMR adds nodes for 5 to 6 minutes"
        yield warning(job.label, found, evidence=said, mend=f"set {keys[0]} to 10 min")


def task_managers_are_given_back(job: Job) -> Iterator[Finding]:
    """After a scale-down slots, then whole TaskManagers must be idle for a time, and be emptied at all."""
    idle, first = duration(job, "slot.idle.timeout", default=50_000)
    release, second = duration(job, "resourcemanager.taskmanager-timeout", default=30_000)
    if idle + release > LONG_RELEASE:
        found = "TaskManagers that a scale-down frees are kept, and paid for, for long"
        mend = "set these to Flink's defaults, 50 s and 30 s"
        yield warning(job.label, found, evidence=f"{first}, {second}", mend=mend)
    spread, said = switch(job, "cluster.evenly-spread-out-slots", default=False)
    balance, how = text(job, "taskmanager.load-balance.mode")
    if spread or (balance or "none").lower() != "none":
        found = "slots are spread over all TaskManagers, so that a scale-down empties none of them"
        yield warning(job.label, found, evidence=said if spread else how, mend="leave it off")
    packed, said = switch(job, f"{_SCHEDULER}prefer-minimal-taskmanagers", default=True)
    if job.release is not None and job.release >= WITH_COOLDOWN and not packed:
        found = "a scale-down does not pack the job onto the fewest TaskManagers"
        yield warning(job.label, found, evidence=said, mend="leave it on")


def metrics_are_fresh(job: Job) -> Iterator[Finding]:
    """Flink fetches metrics no more often than this, and a pass reads what was fetched."""
    key = "metrics.fetcher.update-interval"
    interval, said = duration(job, key, default=10_000)
    decides = job.contract.policy.decision_interval
    if interval >= decides and _is_set(job, key):
        evidence = f"{said}, the job is decided on every {format_duration(decides)}"
        found = "metrics are fetched less often than they could be read: decisions come late"
        yield warning(job.label, found, evidence=evidence, mend="set it to 10 s")


def _is_set(job: Job, key: str) -> bool:
    try:
        return parse_duration(job.config[key]) > 0
    except (KeyError, GrammarError):
        return False

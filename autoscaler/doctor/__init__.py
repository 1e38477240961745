"""What keeps a cluster's jobs from being scaled, or makes it slow or dangerous: pure checks of what was read.

``snapshot`` is what they look at, ``findings`` what they say, ``reading`` fills a snapshot; the order of CHECKS is
that of the report.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from autoscaler.doctor import cluster_checks, host_checks, job_checks, rescale_checks
from autoscaler.doctor.findings import Check, Finding, of_each_job
from autoscaler.doctor.snapshot import Snapshot
from autoscaler.model import Reason
from autoscaler.options import Severity

CHECKS: tuple[tuple[str, Check], ...] = (  # cluster, host, then each job: what rules it out, endangers it, slows it
    ("resource-managers", cluster_checks.managers_answer),
    ("leadership", cluster_checks.one_leads),
    ("applications", cluster_checks.applications_are_listed),
    ("proxy-get", cluster_checks.proxy_gets),
    ("proxy-put", cluster_checks.proxy_puts),
    ("clock", cluster_checks.clocks_agree),
    ("emr", host_checks.emr_is_known),
    ("mode", host_checks.mode_is_act),
    ("flink-conf", host_checks.flink_conf_is_read),
    ("store", host_checks.store_can_be_used),
    ("permissions", host_checks.store_belongs_to_us),
    ("disk", host_checks.disk_has_room),
    ("daemon", host_checks.daemon_is_at_work),
    ("enabled", job_checks.against(Reason.NOT_ENABLED)),
    (
        "built-in-scaler",
        job_checks.against(Reason.EMR_SCALES, Reason.SCALER_UNKNOWN, Reason.TWO_SCALERS),
    ),
    ("flink-version", job_checks.against(Reason.UNSUPPORTED_VERSION)),
    ("scheduler", job_checks.against(Reason.NOT_ADAPTIVE, Reason.REACTIVE_MODE)),
    ("configuration", of_each_job(job_checks.configuration_is_meant)),
    ("job", of_each_job(job_checks.job_is_read)),
    ("checkpointing", of_each_job(job_checks.checkpoints_are_on)),
    ("checkpoints", of_each_job(job_checks.checkpoints_complete)),
    ("checkpoint-storage", of_each_job(job_checks.checkpoints_outlive_the_job_manager)),
    ("high-availability", of_each_job(job_checks.survives_its_job_manager)),
    ("restart-strategy", of_each_job(job_checks.restarts_after_failures)),
    ("state-backend", of_each_job(job_checks.state_backend_restores_fast)),
    ("slot-sharing", of_each_job(job_checks.slots_are_shared)),
    ("rescale-cooldown", of_each_job(rescale_checks.new_slots_do_not_multiply_restarts)),
    ("rescale-delay", of_each_job(rescale_checks.rescales_end_in_time)),
    ("rescale-downtime", of_each_job(rescale_checks.missing_slots_cost_little_downtime)),
    ("resource-wait", of_each_job(rescale_checks.waits_for_slots_long_enough)),
    ("task-manager-release", of_each_job(rescale_checks.task_managers_are_given_back)),
    ("metrics", of_each_job(rescale_checks.metrics_are_fresh)),
)

STATUSES = {Severity.INFO: 0, Severity.WARNING: 1, Severity.ERROR: 2}


def diagnose(snapshot: Snapshot) -> tuple[Finding, ...]:
    """Everything all checks find, in their order."""
    return tuple(replace(finding, check=name) for name, look in CHECKS for finding in look(snapshot))


def exit_status(findings: Iterable[Finding]) -> int:
    """0 if nothing is worse than an information, 1 for a warning, 2 for an error."""
    return max((STATUSES[finding.severity] for finding in findings), default=0)


__all__ = ["CHECKS", "STATUSES", "Finding", "Snapshot", "diagnose", "exit_status"]

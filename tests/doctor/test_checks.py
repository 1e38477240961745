"""Each check by tables: what it finds in a cluster that differs from a good one in one thing."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from autoscaler.cluster import Checkpoints, CheckpointSettings, PutResult
from autoscaler.doctor import CHECKS, Finding, diagnose, exit_status
from autoscaler.doctor.host_checks import emr_release
from autoscaler.doctor.snapshot import Fault, Snapshot
from autoscaler.emrhost import EmrHost
from autoscaler.model import Topology
from autoscaler.options import Problem, Severity
from tests.doctor.builders import (
    GIB,
    NOW,
    a_job,
    a_manager,
    a_snapshot,
    a_store,
    a_vertex,
    an_application,
    refused,
    told,
)

FAULT = Fault(kind="timeout", message="GET rm:8088/ws/v1/cluster/info: no complete answer within 10 s")
EMR = EmrHost(file="/emr/instance.json", master=True, several_masters=True, cluster_id="j-1")
STANDBY = a_manager(state="STANDBY")
SCHEDULER = "jobmanager.adaptive-scheduler."


def test_a_cluster_in_good_order_has_nothing_to_mend() -> None:
    """Where all is well every finding is an information, and the status is 0."""
    findings = diagnose(a_snapshot())
    assert {finding.severity for finding in findings} == {Severity.INFO}
    assert exit_status(findings) == 0


def test_whoever_finds_something_says_how_it_was_seen() -> None:
    """Each finding has evidence, each that is worse than an information a mend, and no two checks share a name."""
    snapshot = a_snapshot(
        a_job({"job.autoscaler.yarn.enabled": "true"}, flink_version="1.18.0-amzn-0"),
        a_job({"jobmanager.scheduler": "default"}, checkpointing=CheckpointSettings()),
        managers=(a_manager(fault=FAULT, state=None, ahead_ms=None),),
        store=a_store(problem="store: locked"),
    )
    for finding in diagnose(snapshot):
        assert finding.evidence
        assert finding.mend or finding.severity is Severity.INFO
    assert len({name for name, _ in CHECKS}) == len(CHECKS)


@pytest.mark.parametrize(
    ("severities", "status"),
    [([], 0), ([Severity.INFO], 0), ([Severity.INFO, Severity.WARNING], 1), ([Severity.ERROR, Severity.WARNING], 2)],
)
def test_the_worst_finding_is_the_status(severities: list[Severity], status: int) -> None:
    """0 without anything to mend, 1 for a warning, 2 for an error."""
    assert exit_status(Finding(severity=s, subject="", found="", evidence="") for s in severities) == status


CLUSTER: list[tuple[str, dict[str, Any], list[tuple[str, str]]]] = [
    ("resource-managers", {}, [("info", "http://rm1:8088 is ACTIVE")]),
    (
        "resource-managers",
        {"managers": (a_manager(), a_manager("http://rm2:8088", fault=FAULT))},
        [("info", "rm1"), ("warning", "http://rm2:8088 does not answer; GET rm:8088/ws")],
    ),
    ("resource-managers", {"managers": (a_manager(fault=FAULT, state=None),)}, [("error", "does not answer")]),
    (
        "resource-managers",
        {"managers": (a_manager(fault=Fault(kind="unauthorized", message="401"), state=None),)},
        [("error", "give the autoscaler's user credentials")],
    ),
    ("leadership", {}, []),
    ("leadership", {"managers": (a_manager(), a_manager("http://rm2"))}, [("error", "more than one")]),
    ("leadership", {"managers": (a_manager(), a_manager("http://rm2", state="STANDBY"))}, []),
    ("leadership", {"managers": (STANDBY,)}, [("warning", "no ResourceManager of the settings is ACTIVE")]),
    ("leadership", {"managers": (STANDBY,), "emr": EMR}, [("info", "this host stands by")]),
    (
        "leadership",
        {"managers": (STANDBY, a_manager("http://rm2", state=None, fault=FAULT)), "emr": EMR},
        [("warning", "http://rm1:8088: STANDBY, http://rm2: timeout")],
    ),
    ("applications", {}, [("info", "1 Flink application with 1 job, 1 enabled")]),
    ("applications", {"applications": ()}, [("info", "no application runs")]),
    ("applications", {"applications": (), "applications_fault": FAULT}, [("error", "cannot be listed")]),
    ("applications", {"applications": (), "applications_fault": FAULT, "managers": (STANDBY,)}, []),
    ("proxy-get", {}, []),
    ("proxy-get", {"applications": (an_application(has_address=False, put=None),)}, [("warning", "no address")]),
    (
        "proxy-get",
        {"applications": (an_application(fault=Fault(kind="warning-page", message="GET x"), put=None),)},
        [("error", "run the autoscaler as the user who submits the jobs")],
    ),
    (
        "proxy-get",
        {"applications": (an_application(fault=Fault(kind="", message="GET x: 404"), put=None),)},
        [("error", "JobManager log")],
    ),
    (
        "proxy-get",
        {"applications": (an_application(fault=Fault(kind="redirect", message="GET x: 302"), put=None),)},
        [("warning", "the ApplicationMaster is starting or ended")],
    ),
    ("proxy-put", {}, [("info", "GET and PUT reach Flink in 1 application; ")]),
    ("proxy-put", {"applications": (an_application(put=None),)}, []),
    (
        "proxy-put",
        {"applications": (an_application(put=refused(result=PutResult.NOT_SENT, status=405, message="PUT: 405")),)},
        [("error", "a PUT does not reach Flink: no rescale can be sent; PUT: 405")],
    ),
    (
        "proxy-put",
        {"applications": (an_application(put=refused(status=403, message="403")),)},
        [("error", "the proxy refuses a PUT; 403")],
    ),
    (
        "proxy-put",
        {"applications": (an_application(put=refused(result=PutResult.ACCEPTED, status=200)),)},
        [("error", "it is not Flink that answers")],
    ),
    (
        "proxy-put",
        {"applications": (an_application(put=refused(result=PutResult.UNCERTAIN, status=None)),)},
        [("warning", "not answered as Flink does")],
    ),
    ("clock", {}, [("info", "2 compared, the farthest is 200 ms off")]),
    ("clock", {"managers": (a_manager(ahead_ms=None),), "applications": ()}, []),
    (
        "clock",
        {"managers": (a_manager(ahead_ms=-30_000),)},
        [("warning", "the clock of http://rm1:8088 is 30 s behind this host's; Date of its answer; let chronyd")],
    ),
    ("clock", {"managers": (a_manager(ahead_ms=90_000),)}, [("error", "1 min 30 s ahead of")]),
]

HOST: list[tuple[str, dict[str, Any], list[tuple[str, str]]]] = [
    ("emr", {}, []),
    ("emr", {"emr": EMR}, [("info", "an EMR host of cluster j-1; Flink: 1.20.3 (not a build of EMR)")]),
    (
        "emr",
        {"emr": EMR, "applications": (an_application(flink_version="1.17.1-amzn-1"),)},
        [("info", "1.17.1-amzn-1 (of an EMR release not known here)")],
    ),
    (
        "emr",
        {"emr": EMR, "applications": (an_application(flink_version="1.20.0-amzn-2"),)},
        [("info", "1.20.0-amzn-2 (emr-7.8); /emr/instance.json")],
    ),
    ("emr", {"emr": replace(EMR, master=False)}, [("info", "EMR"), ("warning", "this is not a master node")]),
    ("mode", {"acts": False}, [("info", "the daemon only advises; mode: advise")]),
    ("flink-conf", {}, []),
    ("flink-conf", {"flink_conf": None, "flink_conf_exists": False}, []),
    ("flink-conf", {"flink_conf_exists": False}, [("warning", "no Flink configuration; /etc/flink/conf")]),
    (
        "flink-conf",
        {
            "flink_conf_problems": tuple(
                Problem(severity=severity, key="", value="", source="f:1", message="no colon") for severity in Severity
            )
        },
        [("error", "no colon; f:1"), ("warning", "no colon; f:1")],
    ),
    ("store", {}, [("info", "the store can be read; /var/lib")]),
    ("store", {"store": a_store(missing=True)}, [("warning", "there is no store yet")]),
    ("store", {"store": a_store(problem="store: damaged")}, [("error", "cannot be used; store: damaged")]),
    ("permissions", {}, []),
    ("permissions", {"store": a_store(owner=None)}, []),
    ("permissions", {"store": a_store(owner=12)}, [("info", "belongs to uid 12, this is uid 7; run this as")]),
    ("disk", {}, [("info", "20.0 GiB free, 1.0 GiB of store.max_size 2.0 GiB used")]),
    ("disk", {"store": a_store(free_bytes=None)}, []),
    ("disk", {"store": a_store(free_bytes=100 * 1024**2)}, [("error", "nearly full; 100 MiB free")]),
    ("disk", {"store": a_store(free_bytes=GIB // 2)}, [("warning", "the disk is full before the store is")]),
    ("disk", {"store": a_store(free_bytes=GIB // 2, size_bytes=2 * GIB)}, [("info", "the disk has room")]),
    ("daemon", {}, [("info", "a daemon is at work; the newest status is 30 s old")]),
    ("daemon", {"store": a_store(newest_status_at=None)}, [("warning", "no status is stored")]),
    ("daemon", {"store": a_store(newest_status_at=NOW - 900_000)}, [("warning", "the newest status is 15 min")]),
    ("daemon", {"store": a_store(newest_status_at=None), "applications": ()}, []),
    ("daemon", {"store": a_store(newest_status_at=None, missing=True)}, []),
]


@pytest.mark.parametrize(("check", "changes", "expected"), CLUSTER + HOST)
def test_cluster_and_host(check: str, changes: dict[str, Any], expected: list[tuple[str, str]]) -> None:
    """What a check of YARN, the proxy, the clocks or this host finds."""
    agrees(a_snapshot(**changes), check, expected)


def agrees(snapshot: Snapshot, check: str, expected: list[tuple[str, str]]) -> None:
    found = told(diagnose(snapshot), check)
    assert [severity for severity, _ in found] == [severity for severity, _ in expected], found
    for (_, words), (_, wanted) in zip(found, expected, strict=True):
        assert wanted in words


@pytest.mark.parametrize(
    ("config", "rendered_at", "severity", "words"),
    [
        ({}, NOW - 7_900, "info", "4900 ms off"),
        ({}, NOW - 9_000, "warning", "6 s behind"),
        ({}, NOW + 6_000, "warning", "6 s ahead"),
        ({"web.refresh-interval": "10 s"}, NOW - 9_000, "info", "200 ms off"),
        ({"web.refresh-interval": "-1"}, NOW - 9_000, "warning", "6 s behind"),
        ({"rest.cache.execution-graph.timeout": "20 s", "web.refresh-interval": "1 s"}, NOW - 15_000, "info", "200"),
        ({}, None, "info", "1 compared"),
    ],
)
def test_flinks_clock(config: dict[str, str], rendered_at: int | None, severity: str, words: str) -> None:
    """What Flink says may be as old as the interval in which it renews it, and no older."""
    ((found, said),) = told(diagnose(a_snapshot(a_job(config, rendered_at=rendered_at))), "clock")
    assert found == severity
    assert words in said


@pytest.mark.parametrize(
    ("version", "release"),
    [
        ("1.18.0-amzn-0", "emr-7.0"),
        ("1.18.1-amzn-2", "emr-7.3"),
        ("1.19.1-amzn-1", "emr-7.5"),
        ("1.20.0-amzn-0", "emr-7.6"),
        ("1.20.0-amzn-7", "emr-7.13"),
        ("1.21.0-amzn-0", None),
        ("1.20.3", None),
        (None, None),
    ],
)
def test_the_release_of_a_build(version: str | None, release: str | None) -> None:
    """EMR's builds of Flink tell which release they are from."""
    assert emr_release(version) == release


@pytest.mark.parametrize(
    ("check", "config", "changes", "severity", "words"),
    [
        ("enabled", {"job.autoscaler.enabled": "false"}, {}, "info", "Neither"),
        ("built-in-scaler", {}, {"flink_version": "1.20.0-amzn-1"}, "info", "EMR_SCALES, Flink 1.20.0-amzn-1"),
        ("built-in-scaler", {}, {"on_emr_host": True}, "warning", "set job.autoscaler.yarn.enabled: true"),
        (
            "built-in-scaler",
            {"job.autoscaler.yarn.enabled": "true"},
            {"flink_version": "1.20.0-amzn-1"},
            "error",
            "submit the job with job.autoscaler.enabled: false",
        ),
        ("flink-version", {}, {"flink_version": "1.17.1"}, "warning", "1.17.1 cannot change"),
        ("flink-version", {}, {"flink_version": "1.16.0"}, "error", "upgrade to Flink 1.18"),
        ("scheduler", {"jobmanager.scheduler": "-"}, {}, "error", "jobmanager.scheduler is default"),
        ("scheduler", {"scheduler-mode": "reactive"}, {}, "error", "submit the job without scheduler-mode"),
        ("configuration", {"job.autoscaler.enabled": "1"}, {}, "error", "job.autoscaler.enabled is '1'"),
        ("configuration", {"job.autoscaler.metrics.window": "x"}, {}, "error", "metrics.window is 'x'"),
        ("configuration", {"job.autoscaler.metric.window": "1 h"}, {}, "warning", "did you mean"),
        ("job", {}, {"fault": FAULT}, "warning", "the job cannot be read"),
        ("checkpointing", {}, {"checkpointing": CheckpointSettings()}, "error", "checkpointing is off"),
        (
            "checkpointing",
            {"job.autoscaler.yarn.allow-without-checkpoint": "true"},
            {"checkpointing": CheckpointSettings()},
            "warning",
            "checkpointing is off",
        ),
        (
            "checkpointing",
            {},
            {"checkpointing": CheckpointSettings(interval_ms=1_800_000)},
            "warning",
            "execution.checkpointing.interval is 30 min",
        ),
        ("checkpoints", {}, {"checkpoints": Checkpoints(in_progress=1)}, "warning", "0 completed, 0 failed, 1 in"),
        ("checkpoints", {}, {"checkpoints": Checkpoints(completed=1, completed_id=1, failed=9)}, "warning", "9 failed"),
        (
            "checkpoint-storage",
            {},
            {"checkpointing": CheckpointSettings(interval_ms=1, storage="JobManagerCheckpointStorage")},
            "error",
            "JobManagerCheckpointStorage",
        ),
        ("high-availability", {"high-availability.type": "-"}, {}, "warning", "high-availability.type is not set"),
        ("high-availability", {"high-availability.type": "NONE"}, {}, "warning", "high-availability.type is NONE"),
        ("high-availability", {"yarn.application-attempts": "1"}, {}, "warning", "yarn.application-attempts is 1"),
        ("restart-strategy", {"restart-strategy": "none"}, {}, "warning", "the first failure of a task ends the job"),
        ("restart-strategy", {"restart-strategy.type": "fixed-delay"}, {}, "warning", "attempts is 1 (Flink's default"),
        ("restart-strategy", {"restart-strategy.type": "failure-rate"}, {}, "warning", "failures-per-interval is 1"),
        ("restart-strategy", {}, {"restart_strategy": "Restart deactivated."}, "warning", "Restart deactivated."),
        (
            "state-backend",
            {},
            {"checkpointing": CheckpointSettings(interval_ms=1, state_backend="EmbeddedRocksDBStateBackend")},
            "warning",
            "execution.checkpointing.incremental is false (Flink's default)",
        ),
        ("state-backend", {"state.backend": "rocksdb"}, {"checkpointing": None}, "warning", "state.backend is rocksdb"),
        (
            "slot-sharing",
            {},
            {"topology": Topology(vertices=(a_vertex("a"), a_vertex("b", 3, "h"), a_vertex("c")))},
            "info",
            "3 vertices in 2 slot sharing groups take 5 slots",
        ),
        (
            "slot-sharing",
            {},
            {"topology": Topology(vertices=(a_vertex("a"), a_vertex("b", 3, "h")))},
            "warning",
            "no vertex shares slots",
        ),
        (
            "slot-sharing",
            {"slotmanager.number-of-slots.max": "2"},
            {"topology": Topology(vertices=(a_vertex("a", group=None), a_vertex("b", group=None)))},
            "warning",
            "slotmanager.number-of-slots.max is 2, the job takes 2",
        ),
        ("rescale-cooldown", {}, {"flink_version": "1.18.1"}, "warning", "min-parallelism-increase above 2"),
        (
            "rescale-cooldown",
            {f"{SCHEDULER}scaling-interval.min": "0"},
            {"flink_version": "1.19.1"},
            "warning",
            "scaling-interval.min is 0",
        ),
        (
            "rescale-cooldown",
            {f"{SCHEDULER}executing.cooldown-after-rescaling": "PT1S", f"{SCHEDULER}scaling-interval.min": "1 h"},
            {"flink_version": "2.1.3"},
            "warning",
            "cooldown-after-rescaling is PT1S",
        ),
        ("rescale-delay", {f"{SCHEDULER}scaling-interval.min": "1 h"}, {}, "warning", "only after 1 h"),
        (
            "rescale-delay",
            {},
            {"flink_version": "2.0.2", "checkpointing": CheckpointSettings(interval_ms=300_000)},
            "warning",
            "is not set, which means 3 checkpoint intervals of 5 min",
        ),
        (
            "rescale-delay",
            {f"{SCHEDULER}rescale-trigger.max-delay": "20 min"},
            {"flink_version": "2.0.2"},
            "warning",
            "rescale-trigger.max-delay is 20 min; job.autoscaler.yarn.rescale-timeout is 15 min",
        ),
        (
            "rescale-downtime",
            {f"{SCHEDULER}resource-stabilization-timeout": "2 min"},
            {},
            "warning",
            "resource-stabilization-timeout is 2 min",
        ),
        ("resource-wait", {f"{SCHEDULER}resource-wait-timeout": "10 s"}, {}, "warning", "resource-wait-timeout is 10"),
        (
            "resource-wait",
            {f"{SCHEDULER}submission.resource-wait-timeout": "10 s"},
            {"flink_version": "2.2.1"},
            "warning",
            "submission.resource-wait-timeout is 10 s",
        ),
        ("task-manager-release", {"slot.idle.timeout": "3600000"}, {}, "warning", "kept, and paid for"),
        ("task-manager-release", {"cluster.evenly-spread-out-slots": "true"}, {}, "warning", "spread over all"),
        ("task-manager-release", {"taskmanager.load-balance.mode": "SLOTS"}, {}, "warning", "mode is SLOTS"),
        (
            "task-manager-release",
            {f"{SCHEDULER}prefer-minimal-taskmanagers": "false"},
            {},
            "warning",
            "does not pack the job",
        ),
        ("metrics", {"metrics.fetcher.update-interval": "120000"}, {}, "warning", "fetched less often"),
    ],
)
def test_a_job(check: str, config: dict[str, str], changes: dict[str, Any], severity: str, words: str) -> None:
    """What a check of a job finds, and that it finds it in a job that differs from a good one in that alone."""
    agrees(a_snapshot(a_job(config, **changes)), check, [(severity, words)])
    assert told(diagnose(a_snapshot()), check) == []


@pytest.mark.parametrize(
    ("check", "config", "changes"),
    [
        ("checkpointing", {}, {"checkpointing": None}),
        ("checkpoints", {}, {"checkpointing": CheckpointSettings(), "checkpoints": Checkpoints()}),
        ("checkpoints", {}, {"checkpoints": Checkpoints(restored_id=4)}),
        ("configuration", {}, {"flink_version": "1.20.0-amzn-1"}),
        ("high-availability", {"high-availability.type": "-", "high-availability": "zookeeper"}, {}),
        ("restart-strategy", {"restart-strategy": "none"}, {"restart_strategy": "Restart with fixed delay (1 s)."}),
        (
            "restart-strategy",
            {"restart-strategy.type": "fixed-delay", "restart-strategy.fixed-delay.attempts": "100"},
            {},
        ),
        (
            "restart-strategy",
            {"restart-strategy": "failure-rate", "restart-strategy.failure-rate.max-failures-per-interval": "9"},
            {},
        ),
        (
            "state-backend",
            {"state.backend.incremental": "true"},
            {"checkpointing": CheckpointSettings(interval_ms=1, state_backend="EmbeddedRocksDBStateBackend")},
        ),
        ("slot-sharing", {"slotmanager.number-of-slots.max": "many"}, {}),
        ("slot-sharing", {"slotmanager.number-of-slots.max": "1"}, {"topology": None}),
        ("rescale-cooldown", {f"{SCHEDULER}min-parallelism-increase": "3"}, {"flink_version": "1.18.1"}),
        ("rescale-cooldown", {}, {"flink_version": "unknown"}),
        ("rescale-delay", {f"{SCHEDULER}scaling-interval.min": "1 h"}, {"flink_version": "1.18.1"}),
        ("rescale-downtime", {f"{SCHEDULER}resource-stabilization-timeout": "2 min"}, {"flink_version": "2.0.0"}),
        ("resource-wait", {f"{SCHEDULER}resource-wait-timeout": "-1"}, {}),
        ("task-manager-release", {"taskmanager.load-balance.mode": "NONE"}, {}),
        (
            "task-manager-release",
            {f"{SCHEDULER}prefer-minimal-taskmanagers": "false"},
            {"flink_version": "1.18.1"},
        ),
        ("metrics", {"metrics.fetcher.update-interval": "soon"}, {}),
        ("metrics", {"job.autoscaler.decision.interval": "5 s"}, {}),
    ],
)
def test_a_job_with_nothing_to_say_of(check: str, config: dict[str, str], changes: dict[str, Any]) -> None:
    """What is unknown, meant, or of no consequence in the job's release is not complained of."""
    agrees(a_snapshot(a_job(config, **changes)), check, [])


@pytest.mark.parametrize("changes", [{"kind": "BATCH"}, {"enabled": "false"}])
def test_jobs_that_are_not_meant_to_be_scaled_are_left_in_peace(changes: dict[str, Any]) -> None:
    """Of batch jobs and of those nobody enabled nothing is demanded."""
    config = {"jobmanager.scheduler": "default", "job.autoscaler.enabled": changes.pop("enabled", "true")}
    job = a_job(config, checkpointing=CheckpointSettings(), **changes)
    assert exit_status(diagnose(a_snapshot(job))) == 0

"""`autoscaler doctor` from the command line, on a cluster behind a stub server."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import structlog

from autoscaler.cli import main
from autoscaler.service import system_clock
from autoscaler.store import open_store
from tests.adapters.recorded import http_answer, yarn
from tests.adapters.stub import Stub, errors, html, json_of
from tests.service.cluster import APPLICATION, JOB, KEY, StubCluster, settings_file
from tests.store.builders import a_status

GOOD = {
    "high-availability.type": "zookeeper",
    "jobmanager.adaptive-scheduler.scaling-interval.min": "30 s",
}


@pytest.fixture(autouse=True)
def own_logging() -> object:
    """Commands set up the log for the process; the next test must not see that."""
    yield
    structlog.reset_defaults()


@pytest.fixture
def settings(tmp_path: Path, stub: Stub, cluster: StubCluster) -> Path:
    """A cluster in good order, with a daemon that has just been at work."""
    cluster.config |= GOOD
    store = open_store(f"sqlite:///{tmp_path / 'history.db'}", 1 << 30, 0).store
    store.save_status(replace(a_status(KEY), at=system_clock()))
    store.close()
    return settings_file(tmp_path, stub)


def examined(settings: Path, capsys: pytest.CaptureFixture[str]) -> tuple[int, dict[str, list[dict[str, Any]]]]:
    """The exit status and the findings by check."""
    status = main(["doctor", "--json", "--config", str(settings)])
    document = json.loads(capsys.readouterr().out)
    assert document["status"] == status
    by_check: dict[str, list[dict[str, Any]]] = {}
    for finding in document["findings"]:
        by_check.setdefault(finding["check"], []).append(finding)
    return status, by_check


def test_a_cluster_in_good_order(settings: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Text by subject with what was seen, a count at the end, and status 0."""
    assert main(["doctor", "--config", str(settings)]) == 0
    out = capsys.readouterr().out
    assert re.search(r"^YARN\n  ok       http://127.0.0.1:\d+ is ACTIVE  \[resource-managers\]\n", out)
    assert "GET and PUT reach Flink in 1 application" in out
    assert "a daemon is at work" in out
    assert out.endswith(" checks: 0 errors, 0 warnings\n")


def test_the_put_is_harmless(settings: Path, stub: Stub, cluster: StubCluster) -> None:
    """One PUT per application, without requirements and for no job there is; everything else is read."""
    assert main(["doctor", "--config", str(settings)]) == 0
    (put,) = [call for call in stub.calls if call.method != "GET"]
    found = re.fullmatch(rf"/proxy/{APPLICATION}/jobs/([0-9a-f]{{32}})/resource-requirements", put.path)
    assert put.method == "PUT"
    assert found is not None
    assert found[1] not in (JOB, "0" * 32)
    assert json.loads(put.body) == {}


def test_warnings_are_status_1(settings: Path, cluster: StubCluster, capsys: pytest.CaptureFixture[str]) -> None:
    """What costs restarts or money is a warning, with the key that is to be changed."""
    cluster.config |= {"high-availability.type": "NONE", "restart-strategy.type": "none"}
    status, found = examined(settings, capsys)
    assert status == 1
    (finding,) = found["high-availability"]
    assert finding["severity"] == "warning"
    assert finding["subject"] == "lab-app/lab-load"
    assert finding["evidence"] == "high-availability.type is NONE"
    assert "high-availability.storageDir" in finding["mend"]
    assert found["restart-strategy"][0]["evidence"] == "restart-strategy.type is none"


def test_checkpointing_that_is_off(settings: Path, cluster: StubCluster, capsys: pytest.CaptureFixture[str]) -> None:
    """The job's own setting counts, which its code may have made; off is an error."""
    recorded = yarn("flink_jobs_JID_checkpoints_config")
    storage = "JobManagerCheckpointStorage"
    cluster.answers["checkpoints/config"] = json_of(recorded | {"interval": 2**63 - 1, "checkpoint_storage": storage})
    status, found = examined(settings, capsys)
    assert status == 2
    assert found["checkpointing"][0]["found"] == "checkpointing is off"
    assert found["checkpoint-storage"][0]["evidence"] == f"checkpoint storage is {storage}"


def test_a_job_that_cannot_checkpoint(settings: Path, cluster: StubCluster, capsys: pytest.CaptureFixture[str]) -> None:
    """Flink's 404 to the question for checkpoints means that there are none."""
    cluster.answers["checkpoints/config"] = errors("Checkpointing is not enabled for this job.", status=404)
    status, found = examined(settings, capsys)
    assert status == 2
    assert found["checkpointing"][0]["severity"] == "error"


@pytest.mark.parametrize(
    ("answer", "words"),
    [("post_through_proxy", "a PUT does not reach Flink"), ("proxy_killed_app_put", "a PUT does not reach Flink")],
)
def test_a_put_the_proxy_does_not_pass(
    settings: Path, cluster: StubCluster, capsys: pytest.CaptureFixture[str], answer: str, words: str
) -> None:
    """What a proxy says in Flink's place, a 405 or a redirect, is told from what Flink says."""
    cluster.answers["resource-requirements"] = http_answer(answer)
    status, found = examined(settings, capsys)
    assert status == 2
    assert found["proxy-put"][0]["found"].startswith(words)


def test_an_application_behind_a_warning_page(
    settings: Path, cluster: StubCluster, capsys: pytest.CaptureFixture[str]
) -> None:
    """One that cannot be read is an error of its own, and nothing is sent to it."""
    cluster.answers["/config"] = html("WARNING: The following page may not be safe!")
    status, found = examined(settings, capsys)
    assert status == 2
    assert found["proxy-get"][0]["subject"] == f"lab-app ({APPLICATION})"
    assert "as the user" in found["proxy-get"][0]["mend"]
    assert "proxy-put" not in found


def test_one_job_that_cannot_be_read(settings: Path, cluster: StubCluster, capsys: pytest.CaptureFixture[str]) -> None:
    """What could be read is checked all the same."""
    cluster.answers[f"{JOB}/checkpoints"] = errors("Internal server error.", status=500)
    cluster.config["high-availability.type"] = "NONE"
    status, found = examined(settings, capsys)
    assert status == 1
    assert found["job"][0]["found"] == "the job cannot be read"
    assert "high-availability" in found
    cluster.answers[f"{JOB}/config"] = errors("Internal server error.", status=500)
    assert "job" in examined(settings, capsys)[1]


def test_a_batch_job_is_left_in_peace(settings: Path, cluster: StubCluster, capsys: pytest.CaptureFixture[str]) -> None:
    """Nothing is demanded of a job that is not scaled anyway."""
    batch = yarn("flink_jobs_JID")
    batch["plan"]["type"] = "BATCH"
    cluster.answers[f"jobs/{JOB}"] = json_of(batch)
    cluster.config["high-availability.type"] = "NONE"
    assert examined(settings, capsys)[0] == 0


def test_clocks_that_differ(settings: Path, cluster: StubCluster, capsys: pytest.CaptureFixture[str]) -> None:
    """The ResourceManager's clock is taken from its answer's date, Flink's from what it says of the job."""
    cluster.ahead_ms = 90_000
    cluster.answers["/cluster/info"] = json_of(yarn("rm_info")).with_headers(Date="Sat, 21 Nov 2020 05:04:11 GMT")
    status, found = examined(settings, capsys)
    assert status == 2
    rm, flink = found["clock"]
    assert "behind this host's" in rm["found"]
    assert flink["found"] == "the clock of lab-app/lab-load is 1 min 30 s ahead of this host's"
    cluster.answers["/cluster/info"] = json_of(yarn("rm_info")).with_headers(Date="yesterday")
    assert len(examined(settings, capsys)[1]["clock"]) == 1


def test_a_standby(settings: Path, cluster: StubCluster, capsys: pytest.CaptureFixture[str]) -> None:
    """Beside a ResourceManager that stands by there is nothing to see of the jobs, which is said."""
    info = yarn("rm_info")
    info["clusterInfo"]["haState"] = "STANDBY"
    cluster.answers["/cluster/info"] = json_of(info)
    status, found = examined(settings, capsys)
    assert status == 1
    assert "no ResourceManager of the settings is ACTIVE" in found["leadership"][0]["found"]
    assert "applications" not in found


def test_no_resource_manager(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Without one there is an error, and the host is checked all the same; the store is not created."""
    file = tmp_path / "autoscaler.yaml"
    content = {"resource_managers": ["http://127.0.0.1:9"], "store": {"url": f"sqlite:///{tmp_path / 'history.db'}"}}
    file.write_text(json.dumps(content))
    status, found = examined(file, capsys)
    assert status == 2
    assert "does not answer" in found["resource-managers"][0]["found"]
    assert found["store"][0]["found"] == "there is no store yet"
    assert "disk" in found
    assert not (tmp_path / "history.db").exists()


def test_a_cluster_that_wants_a_ticket(
    settings: Path, cluster: StubCluster, capsys: pytest.CaptureFixture[str]
) -> None:
    """A ResourceManager behind Kerberos is told from one that is down."""
    cluster.answers["/cluster/info"] = html("Authentication required", 401).with_headers(WWW_Authenticate="Negotiate")
    status, found = examined(settings, capsys)
    assert status == 2
    assert "Negotiate" in found["resource-managers"][0]["evidence"]
    assert "credentials" in found["resource-managers"][0]["mend"]


def test_an_application_that_starts(settings: Path, cluster: StubCluster, capsys: pytest.CaptureFixture[str]) -> None:
    """One that has no address yet is a warning, and is not asked for anything."""
    starting = yarn("rm_apps_running")["apps"]["app"][0] | {"trackingUI": "UNASSIGNED", "trackingUrl": None}
    cluster.answers["/cluster/apps"] = json_of({"apps": {"app": [starting]}})
    status, found = examined(settings, capsys)
    assert status == 1
    assert "no address" in found["proxy-get"][0]["found"]


@pytest.mark.parametrize("url", ["sqlite:////none/of/these/history.db", "no url", "sqlite://"])
def test_a_store_that_cannot_be_used(
    tmp_path: Path, stub: Stub, cluster: StubCluster, capsys: pytest.CaptureFixture[str], url: str
) -> None:
    """A store nobody can open is an error with the store's own words."""
    cluster.config |= GOOD
    status, found = examined(settings_file(tmp_path, stub, store={"url": url}), capsys)
    assert status == 2
    assert found["store"][0]["severity"] == "error"


def test_operators_commands_and_rules_count(
    tmp_path: Path, stub: Stub, cluster: StubCluster, capsys: pytest.CaptureFixture[str], settings: Path
) -> None:
    """A job is judged by what is in force for it now, as the daemon does."""
    main(["set", "lab-load", "yarn.enabled", "false", "--config", str(settings)])
    capsys.readouterr()
    assert examined(settings, capsys)[1]["enabled"][0]["found"] == "job.autoscaler.yarn.enabled is false."
    main(["unset", "lab-load", "--config", str(settings)])
    capsys.readouterr()
    rule = {"match": {"application": "lab-*"}, "set": {"yarn.enabled": "false"}}
    assert "enabled" in examined(settings_file(tmp_path, stub, rules=[rule]), capsys)[1]


def test_emrs_scaler(tmp_path: Path, stub: Stub, cluster: StubCluster, capsys: pytest.CaptureFixture[str]) -> None:
    """On an EMR host release and scaler are named; two scalers on one job are an error."""
    folder = tmp_path / "emr"
    folder.mkdir()
    (folder / "extraInstanceData.json").write_text('{"jobFlowId": "j-7", "instanceRole": "master"}')
    cluster.version = "1.20.0-amzn-2"
    cluster.config |= GOOD | {"job.autoscaler.yarn.enabled": "true"}
    status, found = examined(settings_file(tmp_path, stub, emr_info=[str(folder)]), capsys)
    assert status == 2
    assert "cluster j-7; Flink: 1.20.0-amzn-2 (emr-7.8)" in found["emr"][0]["found"]
    assert found["built-in-scaler"][0]["evidence"] == "TWO_SCALERS, Flink 1.20.0-amzn-2"


def test_settings_that_cannot_be_read(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """They are bad input, as for every command, and nothing is printed to stdout."""
    file = tmp_path / "autoscaler.yaml"
    file.write_text("modus: act\n")
    assert main(["doctor", "--config", str(file)]) == 2
    out = capsys.readouterr()
    assert out.out == ""
    assert "unknown setting `modus`" in out.err

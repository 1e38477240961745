"""The command line as a user types it: what is printed where, and the exit status."""

from __future__ import annotations

import gzip
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import structlog
import yaml

import autoscaler
from autoscaler.cli import main
from autoscaler.commands.output import say
from autoscaler.model import JobKey
from autoscaler.service import system_clock
from autoscaler.store import open_store
from tests.adapters.recorded import yarn
from tests.adapters.stub import Stub, json_of
from tests.service.cluster import APPLICATION, KEY, StubCluster, remember, settings_file
from tests.store.builders import a_decision, a_request, a_status


@pytest.fixture(autouse=True)
def own_logging() -> object:
    """Commands set up the log for the process; the next test must not see that."""
    yield
    structlog.reset_defaults()


@pytest.fixture
def settings(tmp_path: Path, stub: Stub, cluster: StubCluster) -> Path:
    return settings_file(tmp_path, stub)


def filled(folder: Path) -> None:
    """A store with one job's status, decisions and requests."""
    store = open_store(f"sqlite:///{folder / 'history.db'}", 1 << 30, 0).store
    store.save_status(a_status(KEY))
    store.record_decision(KEY, a_decision(), "enrich 2→5: it is asked for 10k/s, can do 4k/s")
    store.add_request(a_request(KEY))
    store.close()


# ------------------------------------------------------------------ looking at the store


def test_status_is_a_table_for_people(tmp_path: Path, settings: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """`status` shows each job with its reason and its vertices."""
    filled(tmp_path)
    assert main(["status", "--config", str(settings)]) == 0
    out = capsys.readouterr().out
    assert "lab-app/lab-load" in out
    assert "wanted" in out


def test_status_as_json(tmp_path: Path, settings: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """`status --json` is one document with every field."""
    filled(tmp_path)
    assert main(["status", "--json", "--config", str(settings)]) == 0
    (status,) = json.loads(capsys.readouterr().out)
    assert status["key"] == {"cluster": "default", "application": "lab-app", "job": "lab-load"}


@pytest.mark.parametrize("name", ["lab-app/lab-load", "lab-load", "lab-app"])
def test_history_by_any_of_its_names(
    tmp_path: Path, settings: Path, capsys: pytest.CaptureFixture[str], name: str
) -> None:
    """A job is named by itself, by its application, or by both."""
    filled(tmp_path)
    assert main(["history", name, "--config", str(settings)]) == 0
    out = capsys.readouterr().out
    assert "rescales, newest first (UTC)" in out
    assert "enrich 2→5" in out


def test_history_as_json(tmp_path: Path, settings: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """`history --json` holds decisions and requests with all their numbers."""
    filled(tmp_path)
    assert main(["history", "lab-load", "--json", "--config", str(settings)]) == 0
    document = json.loads(capsys.readouterr().out)
    assert document["decisions"][0]["detail"].startswith("enrich 2→5")
    assert document["requests"][0]["job_id"]


def test_history_of_an_unknown_job_names_the_known(
    tmp_path: Path, settings: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A name that fits none is answered with those there are, and status 1."""
    filled(tmp_path)
    assert main(["history", "nobody", "--config", str(settings)]) == 1
    assert "no job is called 'nobody'; name one of: lab-app/lab-load" in capsys.readouterr().err


def test_history_of_an_ambiguous_name(tmp_path: Path, settings: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A name that fits several is not guessed at."""
    filled(tmp_path)
    store = open_store(f"sqlite:///{tmp_path / 'history.db'}", 1 << 30, 0).store
    store.save_status(a_status(JobKey(cluster="default", application="other", job="lab-load")))
    store.close()
    assert main(["history", "lab-load", "--config", str(settings)]) == 1
    assert "several jobs are called" in capsys.readouterr().err


@pytest.mark.parametrize("command", [["status"], ["history", "x"]])
def test_without_a_store_there_is_nothing_to_show(
    settings: Path, capsys: pytest.CaptureFixture[str], command: list[str]
) -> None:
    """Before the daemon ever ran, the message says where a history would be."""
    assert main([*command, "--config", str(settings)]) == 1
    assert "there is no history at" in capsys.readouterr().err


# ------------------------------------------------------------------ one pass


@pytest.mark.slow
def test_plan_shows_the_decision_and_acts_on_nothing(
    tmp_path: Path, settings: Path, cluster: StubCluster, capsys: pytest.CaptureFixture[str]
) -> None:
    """`plan` prints what would be done, with its numbers, and sends and stores nothing."""
    remember(tmp_path)
    assert main(["plan", "--config", str(settings)]) == 0
    out = capsys.readouterr().out
    assert "ADVISE_ONLY" in out
    assert "would scale" in out
    assert cluster.puts == []
    assert main(["status", "--json", "--config", str(settings)]) == 0
    assert json.loads(capsys.readouterr().out) == []


@pytest.mark.parametrize(
    ("nodes", "said"),
    [
        ("rm_nodes_two_running", ("would scale worker 2→6: ", "room for 2 TaskManagers of 768 MB (free: 1088 MB, 10")),
        ("rm_nodes_decommissioning_pending", ("NO_CAPACITY", "room for 0 TaskManagers of 768 MB (free: 320 MB)")),
    ],
)
@pytest.mark.slow
def test_plan_says_what_the_cluster_can_give(
    tmp_path: Path,
    settings: Path,
    cluster: StubCluster,
    capsys: pytest.CaptureFixture[str],
    nodes: str,
    said: tuple[str, str],
) -> None:
    """`plan` tells what is wanted, what of it is granted, and by what it is limited, from YARN's own answers."""
    cluster.config["job.autoscaler.yarn.capacity.allowance"] = "0"
    cluster.answers["/ws/v1/cluster/nodes"] = json_of(yarn(nodes))
    remember(tmp_path)
    assert main(["plan", "--config", str(settings)]) == 0
    out = capsys.readouterr().out
    assert re.search(r"wanted kafka-in 2→[45], worker 2→", out), "4 or 5 by how long the pass took"
    assert all(each in out for each in said)


@pytest.mark.slow
def test_once_acts(tmp_path: Path, settings: Path, cluster: StubCluster, capsys: pytest.CaptureFixture[str]) -> None:
    """`once` is one pass that sends what it decides, and prints JSON for programs."""
    remember(tmp_path)
    assert main(["once", "--json", "--config", str(settings)]) == 0
    (status,) = json.loads(capsys.readouterr().out)
    assert status["key"]["job"] == "lab-load"
    assert len(cluster.puts) == 1


@pytest.mark.slow
def test_a_pass_without_a_resource_manager(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """If YARN does not answer within the command's patience, that is said with status 1."""
    with Stub() as stub:
        settings = settings_file(tmp_path, stub)
    assert main(["once", "--patience", "1", "--config", str(settings)]) == 1
    assert "the ResourceManager does not answer" in capsys.readouterr().err


# ------------------------------------------------------------------ configuration


def test_check_config_needs_neither_store_nor_cluster(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """It reads files only, unless asked about an application."""
    conf = tmp_path / "flink-conf.yaml"
    conf.write_text("job.autoscaler.metrics.window: 5 min\n")
    file = tmp_path / "autoscaler.yaml"
    file.write_text(f"store: {{url: 'sqlite:////nowhere/at/all.db'}}\nflink_conf: {conf}\n")
    assert main(["check-config", "--config", str(file)]) == 0
    out = capsys.readouterr().out
    assert f"5 min    {conf}:1" in " ".join(out.split(" ")) or f"{conf}:1" in out
    assert "no problems found" in out


def test_check_config_warns_of_the_daemons_own_settings(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A setting of the daemon that was hardly meant is a warning like those of options."""
    file = tmp_path / "autoscaler.yaml"
    file.write_text(f"flink_conf: {tmp_path}/none\ndiscovery_interval: 30\n")
    assert main(["check-config", "--config", str(file)]) == 0
    assert f"{file}:2: warning: discovery_interval is '30', which means 30 ms" in capsys.readouterr().out


def test_check_config_finds_errors_with_their_place(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A value that cannot be read is status 1, with file and line; so a script can stop a deployment."""
    conf = tmp_path / "flink-conf.yaml"
    conf.write_text("\njob.autoscaler.metrics.window: ten\njob.autoscaler.excluded.periods: whenever\n")
    file = tmp_path / "autoscaler.yaml"
    file.write_text(f"flink_conf: {conf}\n")
    assert main(["check-config", "--json", "--config", str(file)]) == 1
    problems = json.loads(capsys.readouterr().out)["problems"]
    assert {problem["source"] for problem in problems} == {f"{conf}:2", f"{conf}:3"}


def test_check_config_of_a_running_application(settings: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """What an application really runs with is read over REST, and each value names its source."""
    assert main(["check-config", "--application", "lab-app", "--job", "lab-load", "--config", str(settings)]) == 0
    assert f"application {APPLICATION}" in capsys.readouterr().out


def emr_folder(folder: Path) -> Path:
    (folder / "emr").mkdir(exist_ok=True)
    (folder / "emr" / "instance.json").write_text('{"isMaster": true}')
    return folder / "emr"


@pytest.mark.parametrize(
    ("version", "config", "status", "said"),
    [
        ("1.20.0-amzn-1", {}, 0, "warning: EMR_SCALES: EMR's own scaler works on this job"),
        ("1.20.3", {}, 0, "warning: SCALER_UNKNOWN: This is an EMR host"),
        ("1.17.1", {"job.autoscaler.yarn.enabled": "true"}, 0, "warning: UNSUPPORTED_VERSION: Flink 1.17.1 cannot"),
        ("1.20.0-amzn-1", {"job.autoscaler.yarn.enabled": "true"}, 1, "error: TWO_SCALERS: "),
        ("1.20.3", {"job.autoscaler.yarn.enabled": "true"}, 0, "warning: WARNING: Flink's version (1.20.3)"),
        ("1.20.3", {"job.autoscaler.enabled": "false"}, 0, "info: NOT_ENABLED: Neither"),
    ],
)
def test_check_config_says_who_scales(
    tmp_path: Path,
    stub: Stub,
    cluster: StubCluster,
    capsys: pytest.CaptureFixture[str],
    version: str,
    config: dict[str, str],
    status: int,
    said: str,
) -> None:
    """On an EMR host `check-config` of an application names whoever scales it, or may; two scalers are an error."""
    cluster.version = version
    cluster.config |= config
    settings = settings_file(tmp_path, stub, emr_info=[str(emr_folder(tmp_path))])
    assert main(["check-config", "--application", "lab-app", "--config", str(settings)]) == status
    assert f"application {APPLICATION}: {said}" in capsys.readouterr().out


def test_check_config_warns_of_jobs_to_come_on_an_emr_host(
    tmp_path: Path, stub: Stub, capsys: pytest.CaptureFixture[str]
) -> None:
    """There the common key in the cluster's own configuration starts EMR's scaler in each new job."""
    conf = tmp_path / "flink-conf.yaml"
    conf.write_text("job.autoscaler.enabled: true\n")
    said = f"{conf}: warning: SCALER_UNKNOWN: jobs submitted with this are only advised on"
    for folder, expected in ((emr_folder(tmp_path), True), (tmp_path / "none", False)):
        settings = settings_file(tmp_path, stub, flink_conf=str(conf), emr_info=[str(folder)])
        assert main(["check-config", "--config", str(settings)]) == 0
        assert (said in capsys.readouterr().out) is expected


@pytest.mark.parametrize("command", ["plan", "once"])
@pytest.mark.slow
def test_a_pass_advises_on_a_job_that_emr_scales(
    tmp_path: Path, settings: Path, cluster: StubCluster, capsys: pytest.CaptureFixture[str], command: str
) -> None:
    """It shows what such a job needs, says who scales it, and sends nothing, also where it may act."""
    cluster.version = "1.20.0-amzn-1"
    remember(tmp_path)
    assert main([command, "--config", str(settings)]) == 0
    out = capsys.readouterr().out
    assert "EMR_SCALES" in out
    assert "would scale" in out
    assert "advice only: EMR's own scaler works on this job" in out
    assert cluster.puts == []


@pytest.mark.slow
def test_a_pass_on_an_emr_host_advises_where_the_version_says_nothing(
    tmp_path: Path, stub: Stub, cluster: StubCluster, capsys: pytest.CaptureFixture[str]
) -> None:
    """EMR's files beside the daemon are enough to leave such a job alone until it is handed over."""
    remember(tmp_path)
    settings = settings_file(tmp_path, stub, emr_info=[str(emr_folder(tmp_path))])
    assert main(["once", "--config", str(settings)]) == 0
    assert "SCALER_UNKNOWN" in capsys.readouterr().out
    assert cluster.puts == []


def test_check_config_shows_the_commands_of_operators(
    tmp_path: Path, settings: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The topmost layer is shown with its author: that of a job, and of an application what is for all its jobs."""
    filled(tmp_path)
    assert main(["set", "--config", str(settings), "lab-load", "utilization.target", "0.6"]) == 0
    assert main(["set", "--config", str(settings), "lab-app/*", "metrics.window", "7 min"]) == 0
    looked = {"lab-load": ["--job", "lab-load"], "lab-app": []}
    shown = {}
    for name, arguments in looked.items():
        capsys.readouterr()
        assert main(["check-config", "--json", "--application", "lab-app", *arguments, "--config", str(settings)]) == 0
        values = json.loads(capsys.readouterr().out)["values"]
        shown[name] = {v["key"].removeprefix("job.autoscaler."): v for v in values if "operator" in v["source"]}
    assert shown["lab-load"].keys() == {"utilization.target", "metrics.window"}
    assert shown["lab-app"].keys() == {"metrics.window"}
    window = shown["lab-app"]["metrics.window"]
    assert window["value"] == "7 min"
    assert window["shadows"][0] == f"10 s (application {APPLICATION})"


def test_check_config_of_an_unknown_application(settings: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A name that does not run is answered with those that do."""
    assert main(["check-config", "--application", "nobody", "--config", str(settings)]) == 1
    assert f"running are: {APPLICATION} (lab-app)" in capsys.readouterr().err


@pytest.mark.parametrize("name", ["flink-conf.yaml", "config.yaml"])
@pytest.mark.parametrize("form", [[], ["--json"]])
def test_check_config_repeats_no_password(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], name: str, form: list[str]
) -> None:
    """A password in the old configuration is in no line of the output, whatever else is wrong with its line."""
    lines = ["url: jdbc:mysql://u:hush@h/d", "url: jdbc:mysql://u:hush@%{hiera('db')}/d", "password: hush#hush"]
    (tmp_path / name).write_text("".join(f"autoscaler.standalone.jdbc.{line}\n" for line in lines))
    main(["check-config", "--from-standalone", str(tmp_path / name), *form])
    streams = capsys.readouterr()
    assert "jdbc.url" in streams.out
    assert "%{hiera('db')}" in streams.out
    assert "hush" not in streams.out + streams.err


def test_check_config_from_standalone(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Each key of the standalone autoscaler's configuration is said to mean something here, or nothing."""
    file = tmp_path / "config.yaml"
    file.write_text("autoscaler.standalone.control-loop.interval: 10s\njob.autoscaler.metrics.window: 5min\n")
    assert main(["check-config", "--from-standalone", str(file)]) == 0
    out = capsys.readouterr().out
    assert "job.autoscaler.decision.interval" in out
    assert "means the same here" in out
    assert "Set `profile: apache`" in out
    assert main(["check-config", "--from-standalone", str(tmp_path / "none.yaml")]) == 2


def test_unreadable_settings_name_the_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A settings file that is not there ends any command with status 2 and its name."""
    assert main(["run", "--config", str(tmp_path / "none.yaml")]) == 2
    assert f"{tmp_path / 'none.yaml'}: cannot be read" in capsys.readouterr().err


@pytest.mark.slow
@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody else")
@pytest.mark.parametrize(
    ("command", "status"),
    [
        (["status", "--config", "{}/autoscaler.yaml"], 2),
        (["status"], 1),
        (["history", "orders"], 1),
        (["pause", "orders"], 1),
        (["plan", "--patience", "0"], 1),
        (["doctor"], 2),
        (["run"], 1),
    ],
)
def test_who_may_not_read_something_is_told_what_to_do(tmp_path: Path, command: list[str], status: int) -> None:
    """Settings and store belong to the service's user: whoever asks as another one is told so, without a traceback."""
    filled(tmp_path)
    (tmp_path / "autoscaler.yaml").write_text("mode: advise\n")
    tmp_path.chmod(0o700)
    program = "import os, sys; from autoscaler.cli import main; os.setuid(65534); sys.exit(main(sys.argv[1:]))"
    environment = os.environ | {
        "AUTOSCALER_STORE__URL": f"sqlite:///{tmp_path / 'history.db'}",
        "AUTOSCALER_RESOURCE_MANAGERS": "http://127.0.0.1:1",
        "AUTOSCALER_HTTP__PORT": "0",
    }
    arguments = [each.format(tmp_path) for each in command]
    ended = subprocess.run(
        [sys.executable, "-c", program, *arguments], env=environment, capture_output=True, text=True, check=False
    )
    assert ended.returncode == status, ended.stderr
    assert "uid 65534" in ended.stdout + ended.stderr
    assert "sudo" in ended.stdout + ended.stderr
    assert "Traceback" not in ended.stderr


def test_bad_settings_name_file_and_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """What is wrong in a settings file is named with its line, all at once, with status 2."""
    file = tmp_path / "autoscaler.yaml"
    file.write_text("mode: acting\nstore:\n  url: x\n  maxsize: 1 gb\n")
    assert main(["run", "--config", str(file)]) == 2
    err = capsys.readouterr().err
    assert f"{file}:1: `mode` is 'acting'" in err
    assert f"{file}:4: unknown setting `store.maxsize`, did you mean `max_size`?" in err


def test_a_bad_store_is_told_apart_from_bad_input(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A store that cannot be opened ends the daemon with status 1 and what to do."""
    file = tmp_path / "autoscaler.yaml"
    file.write_text("store: {url: 'sqlite:////nowhere/at/all.db'}\nhttp: {port: 0}\n")
    assert main(["run", "--config", str(file)]) == 1
    assert "the store's directory /nowhere/at does not exist; create it" in capsys.readouterr().err


# ------------------------------------------------------------------ pure commands


CASE = {
    "name": "two samples",
    "config": {"job.autoscaler.metrics.window": "1 min"},
    "now": 60_000,
    "running_since": 0,
    "vertices": [{"id": "s", "parallelism": 1, "max_parallelism": 8}],
    "samples": [{"at": 0, "vertices": {"s": {"records_in": 0}}}],
}


def test_decide_answers_line_by_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Every case has its answer in its place; those that are none are told, and the status says so."""
    file = tmp_path / "cases.jsonl.gz"
    other = json.dumps(CASE | {"name": "one\u2028line"}, ensure_ascii=False).encode()
    deep = b"[" * 100_000
    file.write_bytes(gzip.compress(b"\n".join((deep, json.dumps(CASE).encode(), b"no case", b"", b"\xff", other))))
    assert main(["decide", str(file)]) == 1
    streams = capsys.readouterr()
    nested, first, second, third, last = map(json.loads, streams.out.splitlines())
    assert (first["name"], first["reason"]) == ("two samples", "NOT_READY")
    assert all(each.keys() == {"name", "error"} for each in (nested, second, third))
    assert last["name"] == "one\u2028line"
    assert "3 of 5 cases could not be answered" in streams.err


def test_decide_survives_any_name(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """What cannot be written, or looked through, is told on its line; the other cases are answered all the same."""
    file, deep = tmp_path / "cases.jsonl", "[" * 600 + "]" * 600
    whole = json.dumps(CASE)
    half = json.dumps(CASE | {"name": "\ud800"})
    nested = whole.replace('"two samples"', deep)
    wrong = whole.replace('"now": 60000', f'"why": {deep}, "now": "soon"')
    no_number = whole.replace('"two samples"', "NaN")
    file.write_text("\n".join((half, nested, wrong, no_number, whole)))
    assert main(["decide", str(file)]) == 1
    *told, nameless, last = map(json.loads, capsys.readouterr().out.splitlines())
    assert [each.keys() for each in told] == [{"name", "error"}] * 3
    assert "cannot be written as JSON" in told[0]["error"]
    assert "Expected `int`" in told[2]["error"]
    assert (nameless["name"], nameless["reason"]) == (None, "NOT_READY")
    assert last["reason"] == "NOT_READY"


@pytest.mark.parametrize("extras", ["on", "off"])
def test_decide_a_single_document(tmp_path: Path, capsys: pytest.CaptureFixture[str], extras: str) -> None:
    """A case may be spread over lines for people."""
    file = tmp_path / "case.json"
    file.write_text(json.dumps(CASE, indent=2))
    assert main(["decide", "--extras", extras, str(file)]) == 0
    assert json.loads(capsys.readouterr().out)["reason"] == "NOT_READY"


@pytest.mark.parametrize("content", [None, b"\x1f\x8b\x08\x00", gzip.compress(b"x" * 100)[:-20] + b"y" * 20])
def test_decide_without_a_file(tmp_path: Path, capsys: pytest.CaptureFixture[str], content: bytes | None) -> None:
    """A file that is not there, or whose compression is broken, is bad input."""
    file = tmp_path / "cases.gz"
    if content is not None:
        file.write_bytes(content)
    assert main(["decide", str(file)]) == 2
    assert "cannot be read" in capsys.readouterr().err


def test_decide_an_empty_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Nothing was decided, which a script must not take for success; the message names the file."""
    for name in ("cases.jsonl", "case.json"):
        (tmp_path / name).write_text("\n\n")
        assert main(["decide", str(tmp_path / name)]) == 1
        streams = capsys.readouterr()
        assert (streams.out, streams.err) == ("", f"autoscaler: {tmp_path / name}: there is no case in it\n")


def test_decide_an_empty_stream() -> None:
    """So it is in a pipe that brings nothing."""
    command = [str(Path(sys.executable).parent / "autoscaler"), "decide", "-"]
    ended = subprocess.run(command, input=b"", capture_output=True)
    said = b"autoscaler: standard input: there is no case in it\n"
    assert (ended.returncode, ended.stdout, ended.stderr) == (1, b"", said)


def test_decide_a_broken_document(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A document over several lines that is broken is one mistake with one place, not a mistake per line."""
    file = tmp_path / "case.json"
    file.write_text(json.dumps(CASE, indent=2).replace('"running_since": 0,', '"running_since": 0', 1))
    assert main(["decide", str(file)]) == 1
    streams = capsys.readouterr()
    (answer,) = map(json.loads, streams.out.splitlines())
    assert answer["name"] is None
    assert "line 8 column 3" in answer["error"]
    assert "1 of 1 cases could not be answered" in streams.err


@pytest.mark.parametrize(
    ("name", "lines", "answers"),
    [
        ("cases.json", ["{", json.dumps(CASE)], 2),
        ("cases.jsonl", ["{", "}}"], 2),
        ("cases.jsonl.gz", ["{", "}}"], 2),
        ("cases.json", ["{", "}}"], 1),
    ],
)
def test_decide_tells_lines_from_a_document(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], name: str, lines: list[str], answers: int
) -> None:
    """Each line gets its answer where the name says so, or one of them is a case."""
    (tmp_path / name).write_text("\n".join(lines))
    assert main(["decide", str(tmp_path / name)]) == 1
    assert len(capsys.readouterr().out.splitlines()) == answers


@pytest.mark.slow
def test_output_that_cannot_be_written(tmp_path: Path) -> None:
    """A full disk is said in one line; a character the terminal has not is shown by its number."""
    command = [str(Path(sys.executable).parent / "autoscaler")]
    with Path("/dev/full").open("wb") as full:
        ended = subprocess.run([*command, "options"], stdout=full, stderr=subprocess.PIPE, text=True, check=False)
    assert (ended.returncode, ended.stderr.count("\n")) == (1, 1)
    assert "could not be written: No space left on device" in ended.stderr
    (tmp_path / "flink-conf.yaml").write_text("job.autoscaler.yarn.id: \u65e5\n", encoding="utf-8")
    environment = os.environ | {"PYTHONIOENCODING": "latin-1", "AUTOSCALER_FLINK_CONF": str(tmp_path)}
    ended = subprocess.run([*command, "check-config"], env=environment, capture_output=True, text=True, check=False)
    assert ended.returncode == 0
    assert "\\u65e5" in ended.stdout


def test_check_config_of_a_job_needs_its_application(capsys: pytest.CaptureFixture[str]) -> None:
    """A job is looked for in an application; a name that would be ignored is refused."""
    assert main(["check-config", "--job", "orders"]) == 2
    assert "give --application too" in capsys.readouterr().err


def test_options_lists_and_describes(capsys: pytest.CaptureFixture[str]) -> None:
    """All keys with their defaults, or one with everything there is to say; as JSON too."""
    assert main(["options"]) == 0
    assert "metrics.window" in capsys.readouterr().out
    assert main(["options", "metrics.window"]) == 0
    assert "job.autoscaler.metrics.window\n  type:    duration" in capsys.readouterr().out
    assert main(["options", "--json", "--profile", "apache", "job.autoscaler.metrics.window"]) == 0
    assert json.loads(capsys.readouterr().out)[0]["key"] == "job.autoscaler.metrics.window"
    assert main(["options", "metrics.windov"]) == 2
    assert "did you mean job.autoscaler.metrics.window?" in capsys.readouterr().err


def test_the_version(capsys: pytest.CaptureFixture[str]) -> None:
    """`--version` names the program and its version."""
    with pytest.raises(SystemExit) as ended:
        main(["--version"])
    assert ended.value.code == 0
    assert capsys.readouterr().out == f"autoscaler {autoscaler.__version__}\n"


def test_an_unknown_command_is_bad_input(capsys: pytest.CaptureFixture[str]) -> None:
    """A command that there is not is status 2, with those there are."""
    with pytest.raises(SystemExit) as ended:
        main(["scale"])
    assert ended.value.code == 2
    assert "check-config" in capsys.readouterr().err


def test_check_config_warns_of_rules_that_match_nothing(settings: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A rule about no running job is named with its number; one that matches is not mentioned."""
    content = yaml.safe_load(settings.read_text())
    content["rules"] = [
        {"match": {"application": "no-such-*"}, "set": {"utilization.target": 0.5}},
        {"match": {"application": "*"}, "set": {"utilization.target": 0.5}},
    ]
    settings.write_text(yaml.safe_dump(content))
    assert main(["check-config", "--config", str(settings)]) == 0
    said = capsys.readouterr().out
    assert "rules[0]: warning: this rule matches no job" in said
    assert "rules[1]" not in said


@pytest.mark.slow
def test_once_looks_at_what_an_earlier_pass_sent(
    tmp_path: Path, settings: Path, cluster: StubCluster, capsys: pytest.CaptureFixture[str]
) -> None:
    """The outcome of a rescale that one pass sent is found by the next."""
    remember(tmp_path)
    assert main(["once", "--config", str(settings)]) == 0
    (sent,) = cluster.puts
    cluster.scaled({vertex: bounds["parallelism"]["upperBound"] for vertex, bounds in sent.items()}, system_clock())
    assert main(["once", "--config", str(settings)]) == 0
    capsys.readouterr()
    assert main(["history", "--json", "lab-load", "--config", str(settings)]) == 0
    (request,) = json.loads(capsys.readouterr().out)["requests"]
    assert request["state"] == "ACHIEVED"


def test_a_name_cannot_move_the_terminals_cursor(capsys: pytest.CaptureFixture[str]) -> None:
    """Names are whatever their owners chose; what would fake a line or a colour is shown as a question mark."""
    say("orders\n\x1b[31mRUNNING\ud800")
    assert capsys.readouterr().out == "orders??[31mRUNNING?\n"

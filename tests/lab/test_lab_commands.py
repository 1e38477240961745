"""Versions, command lines, and what the lab prints."""

from __future__ import annotations

from pathlib import Path
from xml.etree import ElementTree as ET

import pytest
from lab import artifacts, parts
from lab.artifacts import FLINK_VERSIONS, FlinkVersion
from lab.cli import main
from lab.jobs import job_arguments, merged
from lab.layout import LabError, Layout
from lab.parts import Options, Tools
from lab.rest import Application, Job, Rest, Yarn
from lab.status import Memory, Status, render

HOME = Layout(home=Path("/lab/run"), cache=Path("/lab/cache"))
TOOLS = Tools(
    java_home=Path("/jdk"),
    hadoop=Path("/cache/hadoop"),
    kafka=Path("/cache/kafka"),
    flink=Path("/cache/flink"),
    load_jar=Path("/cache/load.jar"),
    jobs_jar=Path("/cache/jobs.jar"),
)
TWO_MASTERS = Options(node_memory_mb=(4096, 2048), zookeeper=True, masters=2)


@pytest.mark.parametrize(
    ("name", "number"),
    [
        ("1.18", "1.18.1"),
        ("1.19", "1.19.1"),
        ("1.20", "1.20.1"),
        ("1.20.1", "1.20.1"),
        ("2.x", "2.2.0"),
        ("2", "2.2.0"),
    ],
)
def test_a_flink_version_is_found_by_its_short_name(name: str, number: str) -> None:
    """FLINK=1.20 or FLINK=2.x is enough to name a release."""
    assert FlinkVersion.named(name).number == number


def test_an_unknown_flink_version_is_refused_with_the_known_ones() -> None:
    """Whoever asks for a version that the lab does not have reads which it has."""
    with pytest.raises(LabError, match=r"FLINK=1\.2:.*1\.20\.1"):
        FlinkVersion.named("1.2")


@pytest.mark.parametrize("version", FLINK_VERSIONS, ids=lambda version: version.number)
def test_flink_brings_no_hadoop_of_its_own(version: FlinkVersion) -> None:
    """Maven is told to leave out the old Hadoop of every Flink artifact."""
    pom = ET.fromstring(artifacts.flink_jars(version).pom)
    space = "{http://maven.apache.org/POM/4.0.0}"
    dependencies = list(pom.iter(f"{space}dependency"))
    assert dependencies
    for dependency in dependencies:
        excluded = [group.text for group in dependency.iter(f"{space}groupId")][1:]
        assert "org.apache.hadoop" in excluded


def test_progress_is_read_from_mavens_log() -> None:
    """Only finished downloads count, whatever their unit."""
    log = [
        "[INFO] Downloading from central: https://repo/a.jar",
        "[INFO] Downloaded from central: https://repo/a.jar (1.5 MB at 3.0 MB/s)",
        "[INFO] Downloaded from central: https://repo/b.pom (500 kB at 1.0 MB/s)",
        "[INFO] Downloaded from central: https://repo/c.sha1 (40 B at 1.0 kB/s)",
    ]
    assert artifacts.downloaded_megabytes(log) == pytest.approx(2.00004)


def test_every_daemon_is_started_with_our_jdk_and_its_own_configuration() -> None:
    """Command lines name the JDK that was found, and paths in this lab's folders only."""
    rest = Rest()
    daemons = parts.all_parts(HOME, TOOLS, Yarn(rest), TWO_MASTERS)
    rest.close()
    assert [part.name for part in daemons] == [
        *("zookeeper", "resourcemanager0", "resourcemanager1", "node0", "node1", "proxy", "kafka", "load"),
    ]
    for part in daemons:
        assert part.command[0] == "/jdk/bin/java"
        assert part.command[part.command.index("-cp") + 1].startswith("/lab/run/conf/")
        assert all(host.startswith("127.") for host, _ in part.addresses)


def test_no_two_daemons_want_the_same_address() -> None:
    """The lab does not get in its own way."""
    rest = Rest()
    daemons = parts.all_parts(HOME, TOOLS, Yarn(rest), TWO_MASTERS)
    rest.close()
    addresses = [address for part in daemons for address in part.addresses]
    assert len(addresses) == len(set(addresses))
    assert {port for _, port in addresses} >= {8088, 8030, 8031, 8032, 8033, 20888, 9092, 9093, 2181}


def test_job_arguments_become_options() -> None:
    """Python's names turn into the options of the Java jobs."""
    words = job_arguments("orders", {"enrich_us": 3000, "group": "mine"})
    assert words == ["--group", "mine", "--enrich-us", "3000"]


def test_every_submission_reads_from_now_on() -> None:
    """Two submissions of one job have consumer groups of their own, so neither finds the other's backlog."""
    assert job_arguments("orders", {}) != job_arguments("orders", {})


def test_a_key_can_be_taken_out_of_flink_conf() -> None:
    """An override of None removes a key, for instance to have no checkpoints."""
    assert merged({"a": 1, "b": 2}, {"a": None, "c": 3}) == {"b": 2, "c": 3}


@pytest.mark.parametrize("home", ["/with blank/lab", "/with$dollar", "/with,comma"])
def test_a_folder_that_yarn_cannot_use_is_refused(home: str) -> None:
    """Signs that shells and class paths would take apart are named before anything starts."""
    with pytest.raises(LabError, match="YARN cannot work in"):
        Layout.from_environment(Path(home))


@pytest.mark.parametrize("was_there", [False, True])
def test_a_load_without_a_lab_is_a_message(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], was_there: bool
) -> None:
    """`load` says that no lab runs, never or not any more, and fails."""
    monkeypatch.setenv("LAB_HOME", str(tmp_path))
    if was_there:
        Layout.from_environment(tmp_path).options.write_text("{}", encoding="utf-8")
    assert main(["load", "100"]) == 1
    assert "there is no lab to put load on" in capsys.readouterr().err


def test_down_without_a_lab_is_no_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`down` may be called at any time; with nothing to end it does nothing."""
    monkeypatch.setenv("LAB_HOME", str(tmp_path))
    assert main(["down"]) == 0


def test_status_shows_addresses_jobs_and_memory() -> None:
    """A reader finds where to look, what runs at which parallelism, and what it costs."""
    app = Application(
        id="application_1_1",
        name="orders",
        state="RUNNING",
        final_status="UNDEFINED",
        tracking_url="http://localhost:20888/proxy/application_1_1/",
        megabytes=1472,
        containers=2,
    )
    job = Job(id="ab", name="orders", state="RUNNING", tasks=4, running_tasks=4, parallelism={"enrich": 4})
    text = render(
        Status(
            addresses={"ResourceManager": "http://127.0.0.1:8088"},
            rates={"orders": 200},
            applications=(app,),
            jobs=(("application_1_1", job),),
            processes=(Memory(name="kafka", pid=7, megabytes=210),),
        )
    )
    for expected in ("http://127.0.0.1:8088", "orders 200", app.tracking_url, "enrich x4", "210 MB  pid 7"):
        assert str(expected) in text


@pytest.mark.parametrize(
    ("state", "tasks", "running", "is_running"),
    [("RUNNING", 4, 4, True), ("RUNNING", 4, 3, False), ("RUNNING", 0, 0, False), ("CREATED", 4, 4, False)],
)
def test_a_job_runs_only_when_all_its_tasks_do(state: str, tasks: int, running: int, is_running: bool) -> None:
    """Flink calls a job RUNNING before its tasks are; the lab waits for the tasks."""
    job = Job(id="ab", name="orders", state=state, tasks=tasks, running_tasks=running, parallelism={})
    assert job.is_running is is_running

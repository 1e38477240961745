"""Commands to running jobs as an operator types them: what they store, print and refuse."""

from __future__ import annotations

import json
import os
import pwd
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from autoscaler.cli import main
from autoscaler.model import Command, JobKey
from autoscaler.store import open_existing, open_store
from tests.adapters.stub import Stub
from tests.service.cluster import Daemon, StubCluster, settings_file
from tests.store.builders import a_sample, a_status, a_topology

KEY = JobKey(cluster="default", application="shop", job="orders")
SCALING = "job.autoscaler.scaling.enabled"
WINDOW = "job.autoscaler.metrics.window"

Run = Callable[..., int]


@pytest.fixture
def run(tmp_path: Path) -> Run:
    """Run a command beside a store that knows one job."""
    url = f"sqlite:///{tmp_path / 'history.db'}"
    store = open_store(url, 1 << 30, 0).store
    store.save_status(a_status(KEY))
    store.close()
    settings = tmp_path / "autoscaler.yaml"
    settings.write_text(json.dumps({"store": {"url": url}}))
    return lambda *arguments: main([arguments[0], "--config", str(settings), *arguments[1:]])


@pytest.fixture
def stored(tmp_path: Path) -> Callable[[], tuple[Command, ...]]:
    """What is in force now, as the daemon would read it."""

    def commands() -> tuple[Command, ...]:
        store = open_existing(f"sqlite:///{tmp_path / 'history.db'}")
        found = store.commands("default", 0)
        store.close()
        return found

    return commands


Stored = Callable[[], tuple[Command, ...]]
Captured = pytest.CaptureFixture[str]


@pytest.mark.parametrize("job", ["orders", "shop", "shop/orders"])
@pytest.mark.parametrize("name", ["metrics.window", WINDOW])
def test_an_option_is_set(run: Run, stored: Stored, capsys: Captured, job: str, name: str) -> None:
    """The job may be named as in `history`, the option with or without its prefix; its author is noted."""
    assert run("set", job, name, "5 min") == 0
    assert f"shop/orders: {WINDOW} is 5 min until it is unset" in capsys.readouterr().out
    (command,) = stored()
    assert (command.cluster, command.target, command.option, command.value) == (
        "default",
        "shop/orders",
        WINDOW,
        "5 min",
    )
    assert command.by == os.environ.get("SUDO_USER", pwd.getpwuid(os.getuid()).pw_name)
    assert command.until is None


def test_an_option_is_set_for_a_while(run: Run, stored: Stored, capsys: Captured) -> None:
    """A duration is written as in flink-conf, and its end is printed."""
    assert run("set", "orders", "metrics.window", "5 min", "--for", "2 h") == 0
    (command,) = stored()
    assert command.until == command.at + 7_200_000
    assert " until 20" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("orders", "metrics.windov", "1 min"), f"did you mean {WINDOW}?"),
        (("orders", "metrics.window", "long"), f"{WINDOW} is 'long' in the command line, which cannot be read: write"),
        (("orders", "excluded.periods", "whenever"), "which cannot be used: "),
        (("orders", "memory.tuning.enabled", "true"), "memory.tuning.enabled has no effect here: "),
        (("orders", "yarn.id", "x"), "cannot be set by a command"),
        (("orders", "metrics.window", "1 min", "--for", "soon"), "--for is 'soon', which cannot be read: write"),
        (("orders", "metrics.window", "1 min", "--for", "30"), "--for is '30', which is 30 ms: write a unit"),
        (("nobody", "metrics.window", "1 min"), "no job is called 'nobody'; name one of: shop/orders"),
    ],
)
def test_what_is_refused(run: Run, stored: Stored, capsys: Captured, arguments: tuple[str, ...], words: str) -> None:
    """A command that could not be meant is refused with status 2 and what to write, and stores nothing."""
    assert run("set", *arguments) == 2
    assert words in capsys.readouterr().err
    assert stored() == ()


def test_a_doubtful_value_is_set_with_a_warning(run: Run, stored: Stored, capsys: Captured) -> None:
    """Who writes 30 probably means seconds."""
    assert run("set", "orders", "metrics.window", "30") == 0
    assert "a duration without a unit is in milliseconds" in capsys.readouterr().err
    assert len(stored()) == 1


def test_an_ambiguous_name_is_not_guessed_at(run: Run, tmp_path: Path, capsys: Captured) -> None:
    """Of several jobs of one name, all are told; jobs of another cluster are none of them."""
    store = open_store(f"sqlite:///{tmp_path / 'history.db'}", 1 << 30, 0).store
    store.save_status(a_status(JobKey(cluster="default", application="mail", job="orders")))
    store.save_status(a_status(JobKey(cluster="other", application="far", job="orders")))
    store.close()
    assert run("pause", "orders") == 2
    assert "several jobs are called 'orders'; name one of: mail/orders, shop/orders," in capsys.readouterr().err
    assert run("pause", "mail") == 0


def test_a_pattern_is_taken_as_it_is(run: Run, stored: Stored) -> None:
    """All jobs of applications by pattern need not be known yet."""
    assert run("pause", "batch-*/*", "--for", "1 d") == 0
    assert [command.target for command in stored()] == ["batch-*/*"]


def test_pause_and_resume(run: Run, stored: Stored, capsys: Captured) -> None:
    """They set and unset one option; to resume what is not paused is told with status 1."""
    assert run("pause", "orders") == 0
    assert [(command.option, command.value) for command in stored()] == [(SCALING, "false")]
    assert run("resume", "orders") == 0
    assert f"shop/orders: {SCALING} is no longer false" in capsys.readouterr().out
    assert stored() == ()
    assert run("resume", "orders") == 1
    assert f"no command sets {SCALING} of shop/orders" in capsys.readouterr().err


def test_a_command_says_why(run: Run, stored: Stored, capsys: Captured) -> None:
    """Who finds a job paused learns the reason with its author."""
    assert run("pause", "orders", "--for", "2 h", "--why", "broker upgrade") == 0
    assert stored()[0].why == "broker upgrade"
    capsys.readouterr()
    assert run("commands") == 0
    assert capsys.readouterr().out.splitlines()[1].endswith("broker upgrade")


def test_all_jobs_are_paused_and_resumed(run: Run, stored: Stored, capsys: Captured) -> None:
    """With --all the command is about every job of the cluster; it is that or one job."""
    assert run("pause", "--all", "--why", "night of the upgrade") == 0
    assert [(c.target, c.value) for c in stored()] == [("*/*", "false")]
    assert run("resume", "orders", "--for", "1 h") == 0
    assert [(c.target, c.value) for c in stored()] == [("*/*", "false"), ("shop/orders", "true")]
    assert run("resume", "--all") == 0
    assert [c.target for c in stored()] == ["shop/orders"]
    for arguments in (["pause"], ["pause", "orders", "--all"], ["resume"]):
        assert run(*arguments) == 2
    assert "name one JOB, or give --all" in capsys.readouterr().err


def test_pin_and_unpin(run: Run, stored: Stored, capsys: Captured) -> None:
    """A vertex is pinned by the name it is shown under, for a while, and unpinned with its job."""
    assert run("pin", "orders", "Sink=4", "--for", "1 d", "--why", "campaign") == 0
    (command,) = stored()
    assert (command.target, command.option, command.value) == ("shop/orders", "pin Sink", "4")
    assert command.until == command.at + 86_400_000
    assert run("pin", "orders", "sink=6") == 0, "or by its id; it takes the place of the former"
    assert [c.value for c in stored()] == ["6"]
    assert run("unpin", "orders") == 0
    assert "Sink is no longer pinned at 6" in capsys.readouterr().out
    assert stored() == ()
    assert run("unpin", "orders") == 1
    assert run("unpin", "nobody") == 2


def test_of_vertices_of_one_name_one_is_pinned_by_its_id(
    run: Run, stored: Stored, tmp_path: Path, capsys: Captured
) -> None:
    """Where a name means several vertices an id means one, and the others are left as they are."""
    status = a_status(KEY)
    (sink,) = status.vertices
    store = open_store(f"sqlite:///{tmp_path / 'history.db'}", 1 << 30, 0).store
    store.save_status(replace(status, vertices=(sink, replace(sink, id="other"))))
    store.close()
    assert run("pin", "orders", "Sink=4") == 2
    assert f"several vertices are called 'Sink' in shop/orders; name one by its id: {sink.id}, other" in (
        capsys.readouterr().err
    )
    assert run("pin", "orders", "other=4") == 0
    assert [(command.option, command.value) for command in stored()] == [("pin other", "4")]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("orders", "Sink"), "'Sink' is not VERTEX=N"),
        (("orders", "Sink=0"), "'Sink=0' is not VERTEX=N with a parallelism of at least 1"),
        (("orders", "Sink=many"), "is not VERTEX=N"),
        (("orders", "Sink=32769"), "at least 1 and at most 32768"),
        (("orders", "Sink=" + "9" * 5_000), "is not VERTEX=N"),
        (("orders", "Source=3"), "no vertex is called 'Source' in shop/orders; it has: Sink"),
        (("shop/*", "Sink=3"), "means many jobs"),
        (("nobody", "Sink=3"), "no job is called 'nobody'"),
        (("orders", "Sink=3", "--for", "30"), "write a unit"),
    ],
)
def test_what_cannot_be_pinned(
    run: Run, stored: Stored, capsys: Captured, arguments: tuple[str, ...], words: str
) -> None:
    """A pin that could not be meant is refused with status 2 and what to write, and stores nothing."""
    assert run("pin", *arguments) == 2
    assert words in capsys.readouterr().err
    assert stored() == ()


def test_more_than_the_maximum_parallelism_cannot_be_pinned(
    run: Run, stored: Stored, tmp_path: Path, capsys: Captured
) -> None:
    """What Flink would refuse is refused at once, as far as the vertex was measured lately."""
    store = open_store(f"sqlite:///{tmp_path / 'history.db'}", 1 << 30, 0).store
    store.append_sample(KEY, a_topology(), 0, a_sample(a_status(KEY).at))
    store.close()
    assert run("pin", "orders", "Sink=129") == 2
    assert "Sink of shop/orders has a maximum parallelism of 128; Flink would refuse 129" in capsys.readouterr().err
    assert stored() == ()
    assert run("pin", "orders", "Sink=128") == 0


def test_unset_takes_back_one_or_all(run: Run, stored: Stored) -> None:
    """With a key that one, without a key everything that commands set of the job, and of no other target."""
    for name, value in (("metrics.window", "5 min"), ("utilization.target", "0.6"), ("scaling.enabled", "false")):
        assert run("set", "orders", name, value) == 0
    assert run("pause", "shop/*") == 0
    assert run("unset", "orders", "metrics.window") == 0
    assert len(stored()) == 3
    assert run("unset", "orders") == 0
    assert [command.target for command in stored()] == ["shop/*"]
    assert run("unset", "orders", "metrics.windov") == 2
    assert run("unset", "orders") == 1


def test_what_a_pattern_still_sets_is_told(run: Run, capsys: Captured) -> None:
    """Who resumes a job that is also paused by a pattern learns why it does not go on."""
    assert run("pause", "shop/*") == 0
    assert run("pause", "orders") == 0
    assert run("resume", "orders") == 0
    assert f"shop/* still sets {SCALING} to false" in capsys.readouterr().err


def test_a_command_for_a_forgotten_job_can_be_taken_back(run: Run, stored: Stored, tmp_path: Path) -> None:
    """A command outlives what is known of its job, and is then meant by its full name."""
    assert run("pause", "orders") == 0
    store = open_store(f"sqlite:///{tmp_path / 'history.db'}", 1 << 30, 0).store
    store.forget(KEY)
    store.close()
    assert run("resume", "shop/orders") == 0
    assert stored() == ()


def test_commands_lists_what_is_in_force(run: Run, capsys: Captured) -> None:
    """A table with author and times, or JSON with every field; without any the table is empty."""
    assert run("commands") == 0
    assert capsys.readouterr().err == "autoscaler: no command is in force\n"
    assert run("pause", "orders", "--for", "30 min") == 0
    assert run("set", "shop/*", "metrics.window", "5 min") == 0
    capsys.readouterr()
    assert run("commands") == 0
    header, first, second = capsys.readouterr().out.splitlines()
    assert header.split() == ["job", "option", "value", "by", "since", "until", "why"]
    assert first.startswith(f"shop/*       {WINDOW}")
    assert first.endswith("-")
    assert SCALING in second
    assert run("commands", "--json") == 0
    document = json.loads(capsys.readouterr().out)
    assert [one["target"] for one in document] == ["shop/*", "shop/orders"]
    assert document[1]["until"] == document[1]["at"] + 1_800_000


@pytest.mark.parametrize("command", [["pause", "x/*"], ["unset", "x"], ["commands"]])
def test_without_a_store_nothing_can_be_commanded(tmp_path: Path, capsys: Captured, command: list[str]) -> None:
    """Before the daemon ever ran there is nobody to command, and no file is left behind."""
    settings = tmp_path / "autoscaler.yaml"
    settings.write_text(json.dumps({"store": {"url": f"sqlite:///{tmp_path / 'history.db'}"}}))
    assert main([*command, "--config", str(settings)]) == 1
    assert "there is no history at" in capsys.readouterr().err
    assert not (tmp_path / "history.db").exists()


@pytest.mark.slow
def test_a_running_daemon_obeys(tmp_path: Path, stub: Stub, cluster: StubCluster, capsys: Captured) -> None:
    """Another process's pause reaches a daemon at its next discovery, its end as well, and Flink is asked nothing."""
    cluster.config[WINDOW] = "10 min"  # nothing is decided meanwhile
    settings = settings_file(tmp_path, stub)
    with Daemon(settings) as daemon:
        daemon.wait_for("job", reason="WINDOW_NOT_FULL")
        assert main(["pause", "lab-load", "--for", "2 s", "--config", str(settings)]) == 0
        changed = daemon.wait_for("operator commands changed", in_force=[f"{SCALING}: false"])
        assert changed["job"] == "lab-app/lab-load"
        daemon.wait_for("operator commands changed", in_force=[])
        assert cluster.puts == []
        assert daemon.end() == 0


def knows(folder: Path, *keys: JobKey) -> None:
    """Let the store know more jobs."""
    store = open_store(f"sqlite:///{folder / 'history.db'}", 1 << 30, 0).store
    for key in keys:
        store.save_status(a_status(key))
    store.close()


def test_a_pattern_that_means_no_known_job_is_told(run: Run, stored: Stored, capsys: Captured) -> None:
    """It may be meant for jobs to come; but whoever misspelt it would believe that his jobs are paused."""
    assert run("pause", "shpo/*") == 0
    assert "warning: of the jobs known now shpo/* means none" in capsys.readouterr().err
    assert run("pause", "sh*/*") == run("pause", "--all") == 0
    assert "warning" not in capsys.readouterr().err
    assert len(stored()) == 3


def test_who_resumes_every_job_is_told_what_still_pauses_some(run: Run, capsys: Captured) -> None:
    """What was paused by another name stays paused, and is named once."""
    for job in ("shop/orders", "shop/*", "--all"):
        assert run("pause", job) == 0
    capsys.readouterr()
    assert run("resume", "--all") == 0
    told = capsys.readouterr().err.splitlines()
    assert sorted(told) == [f"autoscaler: {job} still sets {SCALING} to false" for job in ("shop/*", "shop/orders")]


def test_a_full_name_means_its_job_whatever_others_are_called(run: Run, stored: Stored, tmp_path: Path) -> None:
    """A job whose own name looks like that of another with its application does not keep it from being named."""
    knows(tmp_path, JobKey(cluster="default", application="mail", job="shop/orders"))
    assert run("pause", "shop/orders") == 0
    assert [command.target for command in stored()] == ["shop/orders"]


@pytest.mark.parametrize("command", ["pause", "history"])
def test_of_many_jobs_the_most_similar_are_named(run: Run, tmp_path: Path, capsys: Captured, command: str) -> None:
    """Somebody who misspelt a job among hundreds is not given a page of names."""
    knows(tmp_path, *(JobKey(cluster="default", application=f"app-{n:03d}", job=f"job {n}") for n in range(300)))
    assert run(command, "ordesr") > 0
    told = capsys.readouterr().err
    assert "name one of 301, which `autoscaler status` lists, such as: shop/orders, " in told
    assert len(told) < 500


@pytest.mark.parametrize("command", ["pause", "history"])
def test_names_of_jobs_cannot_steer_a_terminal(run: Run, tmp_path: Path, capsys: Captured, command: str) -> None:
    """Names come from whoever submits jobs; in complaints too they neither move the cursor nor fake a line."""
    knows(tmp_path, JobKey(cluster="default", application="bad\n\x1b[31m", job="name"))
    assert run(command, "nobody") > 0
    told = capsys.readouterr().err
    assert "bad??[31m/name" in told
    assert len(told.splitlines()) == 1


def test_an_application_whose_jobs_are_not_known_is_no_job(
    run: Run, stored: Stored, tmp_path: Path, capsys: Captured
) -> None:
    """While it does not answer it is listed in its jobs' place: paused as one, its job would go on to be scaled."""
    store = open_store(f"sqlite:///{tmp_path / 'history.db'}", 1 << 30, 0).store
    for name in ("mail", "shop"):
        key = JobKey(cluster="default", application=name, job="application_1_0001")
        store.save_status(replace(a_status(key), application_id=key.job))
    store.close()
    assert run("pause", "mail") == 2
    assert "or all jobs of an application as APPLICATION/*" in capsys.readouterr().err
    assert run("pause", "shop") == 0
    assert [command.target for command in stored()] == ["shop/orders"]

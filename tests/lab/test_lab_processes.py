"""Nothing is ended that the lab has not started."""

from __future__ import annotations

import os
import signal
import socket
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from lab import containers, ports
from lab.layout import LabError, Layout
from lab.ports import Listener
from lab.processes import Process, Processes, end

SLEEPER = (sys.executable, "-c", "import time; time.sleep(60)")
LOG = "/lab/run/log/node1/application_17_0003/container_e01_17_0003_01_000002"


@pytest.fixture
def processes(tmp_path: Path) -> Iterator[Processes]:
    """Return a registry whose processes are ended with the test."""
    registry = Processes(tmp_path / "pid", tmp_path / "log")
    yield registry
    registry.stop(*registry.running(), at_once=True)


def test_a_started_process_is_found_again_by_its_pid_file(processes: Processes, tmp_path: Path) -> None:
    """Another command, later, finds the process that this one has started."""
    started = processes.start("sleeper", SLEEPER, {})
    assert Processes(tmp_path / "pid", tmp_path / "log").running() == {"sleeper": started}


def test_stop_ends_the_process_and_forgets_it(processes: Processes, tmp_path: Path) -> None:
    """After a stop neither the process nor its pid file is there."""
    started = processes.start("sleeper", SLEEPER, {})
    processes.stop("sleeper")
    assert not started.is_alive
    assert list((tmp_path / "pid").iterdir()) == []


@pytest.mark.parametrize("change", [{"started": 1}, {"command": ("something", "else")}], ids=["start", "command"])
def test_a_recycled_pid_is_never_signalled(processes: Processes, change: dict[str, object]) -> None:
    """A process with the recorded pid but another start time or command line is somebody else's."""
    ours = processes.start("sleeper", SLEEPER, {})
    recorded = replace(ours, **change)  # type: ignore[arg-type]
    assert not recorded.is_alive
    assert not recorded.signal(signal.SIGKILL)
    end([recorded])
    assert ours.is_alive


@pytest.mark.parametrize("text", ["", "17", "{}", '{"pid": "x", "started": 1, "command": []}'])
def test_a_damaged_pid_file_means_no_process(processes: Processes, tmp_path: Path, text: str) -> None:
    """What cannot be read cannot be proved ours, so it is left alone."""
    (tmp_path / "pid").mkdir(exist_ok=True)
    (tmp_path / "pid" / "odd").write_text(text, encoding="utf-8")
    assert processes.running() == {}


def test_a_process_that_ignores_sigterm_is_killed(processes: Processes) -> None:
    """`down` ends also what does not want to end."""
    deaf = "import signal, sys, time; signal.signal(15, signal.SIG_IGN); print('deaf', flush=True); time.sleep(60)"
    started = processes.start("deaf", (sys.executable, "-c", deaf), {})
    while "deaf" not in processes.log("deaf").read_text(encoding="utf-8"):
        os.sched_yield()
    end([started], patience=0.2)
    assert not started.is_alive


def test_a_failed_command_tells_its_last_words(processes: Processes) -> None:
    """When a command fails, the message names it and quotes the end of its log."""
    with pytest.raises(LabError, match=r"(?s)submit failed.*no such queue"):
        processes.run("submit", (sys.executable, "-c", "raise SystemExit('no such queue')"), {}, patience=20)


def test_a_command_gives_back_what_it_printed(processes: Processes) -> None:
    """The output of one run is returned, without that of the run before."""
    for word in ("one", "two"):
        output = processes.run("say", (sys.executable, "-c", f"print('{word}')"), {}, patience=20)
        assert output == f"{word}\n"


def test_a_command_that_hangs_is_ended(processes: Processes) -> None:
    """A client that does not come back is ended and reported."""
    with pytest.raises(LabError, match="no end after"):
        processes.run("hangs", SLEEPER, {}, patience=0.2)
    assert processes.running() == {}


def test_what_is_no_process_has_no_description() -> None:
    """A pid without a process gives nothing to signal."""
    assert Process.of(2**22 + 1) is None


def test_a_container_is_known_by_its_log_path() -> None:
    """A Flink JVM of this lab shows its container, application, node and kind; one of another lab is not ours."""
    command = ("/jdk/bin/java", "-Xmx1m", f"-Dlog.file={LOG}/taskmanager.log", "Main")
    ours = Layout(home=Path("/lab/run"), cache=Path("/lab/cache"))
    other = replace(ours, home=Path("/other/run"))
    container = "container_e01_17_0003_01_000002"
    assert containers.parse(ours, command) == (container, "application_17_0003", 1, "taskmanager")
    assert containers.parse(other, command) is None


@pytest.mark.parametrize(
    ("command", "launched"),
    [
        (("/jdk/bin/java", f"-Dlog.file={LOG}/jobmanager.log", "Main"), True),
        (("/bin/bash", "-c", f"/jdk/bin/java -Dlog.file={LOG}/jobmanager.log Main 1> out"), True),
        (("bash", "/lab/run/data/node0/usercache/me/appcache/a/c/default_container_executor.sh"), True),
        (("tail", "-f", f"{LOG}/jobmanager.log"), False),
        (("bash", "-c", f"less {LOG}/jobmanager.log"), False),
        (("/jdk/bin/java", "-Dlog.file=/elsewhere/jobmanager.log"), False),
        ((), False),
    ],
)
def test_only_what_yarn_launched_is_swept_up(command: tuple[str, ...], launched: bool) -> None:
    """`down` ends JVMs of containers and their shells, and no editor that shows one of their logs."""
    layout = Layout(home=Path("/lab/run"), cache=Path("/lab/cache"))
    assert containers.is_launched(layout, command) is launched


@pytest.mark.parametrize(
    ("address", "host", "clash"),
    [
        ("0100007F", "127.0.0.1", True),
        ("0100007F", "127.0.0.2", False),
        ("00000000", "127.0.0.2", True),
        ("0" * 32, "127.0.0.1", True),
        ("0000000000000000FFFF00000200007F", "127.0.0.2", True),
    ],
    ids=["same", "other-loopback", "all-v4", "all-v6", "mapped"],
)
def test_a_port_is_taken_on_its_address_or_on_all(address: str, host: str, clash: bool) -> None:
    """A listener on another loopback address is no obstacle; one on all addresses is."""
    assert ports.clashes(Listener(address=address, port=8088, inode="1"), host, 8088) is clash
    assert not ports.clashes(Listener(address=address, port=8089, inode="1"), host, 8088)


def test_a_busy_port_is_named_with_its_holder() -> None:
    """The message gives the port, what it is for, and the pid and command of who has it."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        (message,) = ports.busy({("127.0.0.1", port): "Kafka broker"})
    assert message.startswith(f"port {port} on 127.0.0.1 (Kafka broker) is taken by pid {os.getpid()}: ")
    assert ports.busy({("127.0.0.1", port): "Kafka broker"}) == []

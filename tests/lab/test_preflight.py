"""deploy/preflight.sh: what a machine lacks is said before anything starts."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest
from lab.layout import (
    KAFKA_PORTS,
    NODE_MANAGER_PORTS,
    PROJECT,
    PROXY_PORT,
    RESOURCE_MANAGER_PORTS,
    ZOOKEEPER_PORT,
)

SCRIPT = PROJECT / "deploy" / "preflight.sh"
TOOLS = ("sh", "dirname", "id", "sed", "grep", "awk", "cat", "tr", "cut", "readlink", "touch", "chmod", "printf", "ls")


@pytest.fixture
def bare(tmp_path: Path) -> Path:
    """Return a folder with the usual tools, to be the whole PATH: no Python, no Maven."""
    folder = tmp_path / "bin"
    folder.mkdir()
    for tool in TOOLS:
        if found := shutil.which(tool):
            (folder / tool).symlink_to(found)
    return folder


@pytest.fixture
def running_lab(tmp_path: Path) -> Iterator[Path]:
    """Return the home of what looks like a running lab, so that what else runs on this machine does not matter."""
    home = tmp_path / "lab"
    (home / "pid").mkdir(parents=True)
    wait = [sys.executable, "-c", "import sys; sys.stdin.read()", f"{home}/part"]
    with subprocess.Popen(wait, stdin=subprocess.PIPE) as part:
        (home / "pid" / "part").write_text(f'{{"pid": {part.pid}}}', encoding="utf-8")
        yield home


def add_program(folder: Path, name: str, text: str) -> None:
    file = folder / name
    file.write_text(f"#!/bin/sh\n{text}\n", encoding="utf-8")
    file.chmod(0o755)


def run(what: str, environment: Mapping[str, str]) -> subprocess.CompletedProcess[str]:
    """Run the script; with this Python, unless the environment says otherwise."""
    command = ["/bin/sh", str(SCRIPT), what]
    return subprocess.run(
        command, env={"PYTHON": sys.executable, **environment}, capture_output=True, text=True, check=False
    )


def a_jdk(folder: Path) -> Path:
    """Make something that looks like a JDK 17."""
    (folder / "bin").mkdir(parents=True)
    for program in ("java", "javac"):
        add_program(folder / "bin", program, "true")
    (folder / "release").write_text('JAVA_VERSION="17.0.1"\n', encoding="utf-8")
    return folder


def test_the_python_that_was_asked_for_is_taken(bare: Path) -> None:
    """PYTHON comes before whatever is on the PATH, and the printed path can be used as it is."""
    done = run("python", {"PATH": str(bare), "PYTHON": sys.executable})
    assert done.returncode == 0
    assert Path(done.stdout.strip()).samefile(sys.executable)


def test_no_python_gives_the_commands_to_get_one(bare: Path) -> None:
    """Without a new enough Python the message has the command for Debian and for Amazon Linux."""
    add_program(bare, "python3", "exit 1")
    done = run("python", {"PATH": str(bare), "PYTHON": ""})
    assert done.returncode == 1
    assert "apt-get install" in done.stderr
    assert "dnf install" in done.stderr


def test_a_missing_maven_may_be_refused(bare: Path, tmp_path: Path) -> None:
    """With NO_INSTALL=1 nothing is installed, the exact commands are given, and the exit code is 3."""
    done = run("lab", {"PATH": str(bare), "NO_INSTALL": "1", "JAVA_HOME": str(a_jdk(tmp_path / "jdk"))})
    assert done.returncode == 3
    assert "apt-get update && apt-get install -y openjdk-17-jdk-headless maven" in done.stderr
    assert "dnf install -y java-17-amazon-corretto-devel maven" in done.stderr


@pytest.mark.skipif(os.getuid() != 0, reason="only root installs")
@pytest.mark.parametrize("installer", ["apt-get", "dnf"])
def test_root_installs_what_is_missing_and_says_how(
    bare: Path, tmp_path: Path, running_lab: Path, installer: str
) -> None:
    """The command is printed first, and then Maven is there."""
    add_program(bare, installer, f'echo "{installer} $*"; touch {bare}/mvn; chmod +x {bare}/mvn')
    done = run("lab", {"PATH": str(bare), "JAVA_HOME": str(a_jdk(tmp_path / "jdk")), "LAB_HOME": str(running_lab)})
    assert done.returncode == 0
    assert f"installing them: {installer}" in done.stdout
    assert f"Maven: {bare}/mvn" in done.stdout


@pytest.mark.skipif(os.getuid() != 0, reason="only root installs")
def test_an_installation_that_fails_leaves_the_lab_out(bare: Path, tmp_path: Path, running_lab: Path) -> None:
    """When the installer fails, the commands are given, and the caller can go on without the lab."""
    add_program(bare, "apt-get", "exit 100")
    done = run("lab", {"PATH": str(bare), "JAVA_HOME": str(a_jdk(tmp_path / "jdk")), "LAB_HOME": str(running_lab)})
    assert done.returncode == 3


@pytest.mark.skipif(os.getuid() != 0, reason="only root installs")
def test_nothing_is_installed_while_something_else_is_missing(bare: Path, running_lab: Path) -> None:
    """Without a usable Python no JDK is fetched: both are said at once, and the exit code is 1."""
    add_program(bare, "python3", "exit 1")
    add_program(bare, "apt-get", f"touch {bare}/installed")
    done = run("lab", {"PATH": str(bare), "PYTHON": "", "LAB_HOME": str(running_lab)})
    assert done.returncode == 1
    assert "no Python 3.11 or newer" in done.stderr
    assert "no JDK 17 or no Maven" in done.stderr
    assert not (bare / "installed").exists()


def test_a_missing_python_is_said_with_a_missing_maven(bare: Path, running_lab: Path) -> None:
    """Where nothing is installed, leaving the lab out is not offered to who has no Python either."""
    done = run("lab", {"PATH": str(bare), "PYTHON": "", "LAB_HOME": str(running_lab), "NO_INSTALL": "1"})
    assert done.returncode == 1
    assert "no Python 3.11 or newer" in done.stderr
    assert "the lab needs a JDK 17" in done.stderr


def test_the_port_list_is_the_labs() -> None:
    """The script, which runs before any Python, checks the same ports that the lab uses."""
    text = SCRIPT.read_text(encoding="utf-8")
    words = next(line for line in text.splitlines() if line.startswith("PORTS=")).removeprefix("PORTS=").strip('"')
    expected = {*RESOURCE_MANAGER_PORTS.values(), *NODE_MANAGER_PORTS.values(), *KAFKA_PORTS.values(), PROXY_PORT}
    assert {int(word) for word in words.split()} == expected
    assert str(ZOOKEEPER_PORT) in text


def test_a_busy_port_is_named_with_its_holder(bare: Path, tmp_path: Path) -> None:
    """Port, pid and command of the holder are in the message, and the exit code is 1."""
    add_program(bare, "mvn", "true")
    try:
        server = socket.create_server(("127.0.0.1", KAFKA_PORTS["clients"]))
    except OSError:
        pytest.skip("a lab runs on this machine")
    with server:
        variables = {"PATH": str(bare), "JAVA_HOME": str(a_jdk(tmp_path / "jdk")), "LAB_HOME": str(tmp_path)}
        done = run("lab", variables)
    assert done.returncode == 1
    assert f"port 9092 is taken by pid {os.getpid()}: " in done.stderr


def test_a_wrong_word_shows_the_usage() -> None:
    """Anything but `python` or `lab` is an error of its own."""
    done = run("everything", {"PATH": os.defpath})
    assert done.returncode == 2
    assert "usage: preflight.sh python|lab" in done.stderr

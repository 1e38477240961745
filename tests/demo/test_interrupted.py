"""Whatever ends a demonstration early, nothing of it stays behind."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest
from lab.layout import PROJECT
from lab.processes import all_pids

FETCH = "import sys, pathlib; from lab import artifacts as a; a.fetch(a.HADOOP_JARS, pathlib.Path(sys.argv[1]), print)"


def started_under(mark: Path) -> list[int]:
    """The processes that have a path in their environment, as all have that were started under it."""
    return [pid for pid in all_pids() if str(mark).encode() in _environment(pid)]


def _environment(pid: int) -> bytes:
    try:
        return Path(f"/proc/{pid}/environ").read_bytes()
    except OSError:  # it ended since it was listed
        return b""


def variables(**more: str) -> Mapping[str, str]:
    return os.environ | {"PYTHONPATH": str(PROJECT / "deploy")} | more


def until(condition: Callable[[], bool], timeout_s: float = 60.0) -> None:
    end, pause = time.monotonic() + timeout_s, threading.Event()
    while not condition():
        assert time.monotonic() < end, "it did not become so in time"
        pause.wait(0.02)


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_what_is_asked_to_end_ends_all_it_started(tmp_path: Path, number: signal.Signals) -> None:
    """Ctrl-C, SIGTERM or a closed terminal, and once more while it cleans up: no daemon and no cluster stay."""
    command, told = [sys.executable, "-m", "demo.simulated"], variables(TMPDIR=str(tmp_path))
    with subprocess.Popen(command, env=told, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as demo:
        assert demo.stdout is not None
        assert demo.stderr is not None
        demo.stdout.readline()  # the story's first line: all of it runs
        assert len(started_under(tmp_path)) == 3
        demo.send_signal(number)
        assert demo.stderr.readline() == "interrupted; cleaning up ...\n"
        demo.send_signal(number)
        assert demo.wait(30) == 130
    assert started_under(tmp_path) == []
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
def test_what_is_asked_to_end_before_its_cluster_is_up_ends_it(tmp_path: Path) -> None:
    """While the simulated cluster still starts there is something to clean up too."""
    command, told = [sys.executable, "-m", "demo.simulated"], variables(TMPDIR=str(tmp_path))
    with subprocess.Popen(command, env=told, stderr=subprocess.PIPE, text=True) as demo:
        until(lambda: len(started_under(tmp_path)) == 2)
        demo.send_signal(signal.SIGINT)
        _, said = demo.communicate(timeout=30)
    assert (demo.returncode, said) == (130, "interrupted; cleaning up ...\n")
    assert started_under(tmp_path) == []


def test_an_interrupted_download_ends_maven(tmp_path: Path) -> None:
    """Who gives up waiting for jars leaves no Maven behind that goes on fetching them."""
    for program, text in {"mvn": "exec sleep 600", "javac": "true"}.items():
        file = tmp_path / "bin" / program
        file.parent.mkdir(exist_ok=True)
        file.write_text(f"#!/bin/sh\n{text}\n", encoding="utf-8")
        file.chmod(0o755)
    (tmp_path / "release").write_text('JAVA_VERSION="17.0.1"\n', encoding="utf-8")
    path = f"{tmp_path / 'bin'}:{os.environ['PATH']}"
    command, told = [sys.executable, "-c", FETCH, str(tmp_path)], variables(PATH=path, JAVA_HOME=str(tmp_path))
    with subprocess.Popen(command, env=told, stderr=subprocess.DEVNULL) as fetching:
        until(lambda: len(started_under(tmp_path)) == 2)
        fetching.send_signal(signal.SIGINT)
        fetching.wait(30)
    until(lambda: started_under(tmp_path) == [], 10)

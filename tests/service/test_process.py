"""The daemon as its own process: how it starts, is watched, told things, and ends."""

from __future__ import annotations

import signal
import socket
import sqlite3
import time
from contextlib import closing
from pathlib import Path

import pytest

from autoscaler.model import RequestState
from autoscaler.store import open_existing
from tests.adapters.stub import HANG, Stub
from tests.service.cluster import KEY, SOURCE, WORKER, Daemon, StubCluster, remember, settings_file, until

pytestmark = pytest.mark.slow


def test_it_starts_scales_answers_and_ends(tmp_path: Path, stub: Stub, cluster: StubCluster) -> None:
    """From a start to a rescale over real HTTP: the monitoring port answers, SIGTERM ends it with status 0."""
    remember(tmp_path)
    with Daemon(settings_file(tmp_path, stub)) as daemon:
        until(lambda: bool(cluster.puts), 40)
        assert cluster.puts[0][WORKER]["parallelism"]["upperBound"] > 2
        assert set(cluster.puts[0]) == {SOURCE, WORKER}
        daemon.wait_for("requested", state="SENT")
        assert '"ok": true' in daemon.get("/healthz")
        assert '"resource_manager": "answers"' in daemon.get("/readyz")
        until(lambda: 'autoscaler_vertex_parallelism{application="lab-app"' in daemon.get("/metrics"))
        began = time.monotonic()
        assert daemon.end() == 0
        assert time.monotonic() - began < 10
        assert daemon.wait_for("autoscaler stopped")["put_finished"] is True
    (request,) = open_existing(f"sqlite:///{tmp_path / 'history.db'}").requests(KEY, 9)
    assert request.state is RequestState.SENT


def test_a_put_on_the_wire_is_finished_while_a_read_hangs(tmp_path: Path, stub: Stub, cluster: StubCluster) -> None:
    """SIGTERM waits for the PUT that is being sent, up to its 8 s, not for a read, and stores what came of it."""
    remember(tmp_path)
    cluster.answers["resource-requirements"] = HANG
    settings = settings_file(tmp_path, stub, request_timeout="60 s")
    with Daemon(settings) as daemon:
        until(lambda: bool(cluster.puts), 40)
        cluster.answers["/ws/v1/cluster/apps"] = HANG  # a read that hangs for a minute
        asked = cluster.asked("/apps")
        until(lambda: cluster.asked("/apps") > asked)
        began = time.monotonic()
        daemon.process.send_signal(signal.SIGTERM)
        daemon.process.send_signal(signal.SIGHUP)
        with pytest.raises(Exception, match="timed out"):
            daemon.process.wait(0.5)
        stub.release()  # the PUT's connection closes without an answer
        assert daemon.process.wait(10) == 0
        assert time.monotonic() - began < 9
    (request,) = open_existing(f"sqlite:///{tmp_path / 'history.db'}").requests(KEY, 9)
    assert request.state is RequestState.SENT
    assert request.answer is not None
    assert request.answer.startswith("uncertain")


def test_kill_9_and_restart_continue(tmp_path: Path, stub: Stub, cluster: StubCluster) -> None:
    """A process that is killed while a PUT is on the wire is followed by one that settles it by looking."""
    remember(tmp_path)
    cluster.answers["resource-requirements"] = HANG
    settings = settings_file(tmp_path, stub)
    with Daemon(settings) as daemon:
        until(lambda: bool(cluster.puts), 40)
        daemon.end(signal.SIGKILL)
    (request,) = open_existing(f"sqlite:///{tmp_path / 'history.db'}").requests(KEY, 9)
    assert request.state is RequestState.INTENDED
    cluster.answers.clear()
    with Daemon(settings) as daemon:  # the stub's requirements are the old ones, so it was not carried out
        line = daemon.wait_for("requested", state="VOID")
        assert "not those of the intent" in line["answer"]
        assert len(cluster.puts) == 1


def test_sighup_takes_new_settings_and_keeps_the_old_if_they_are_bad(
    tmp_path: Path, stub: Stub, cluster: StubCluster
) -> None:
    """A reload says what it took up and what waits for a restart; a bad file is named with its line, and ignored."""
    settings = settings_file(tmp_path, stub)
    with Daemon(settings) as daemon:
        daemon.wait_for("autoscaler started")
        settings.write_text("mode: advise\nworkres: 3\n")
        daemon.process.send_signal(signal.SIGHUP)
        line = daemon.wait_for("the new settings cannot be used; the old ones stay")
        assert f"{settings}:2: unknown setting `workres`, did you mean `workers`?" in line["detail"]
        settings_file(tmp_path, stub, mode="advise", workers=3)
        daemon.process.send_signal(signal.SIGHUP)
        line = daemon.wait_for("settings read again", mode="advise")
        assert line["after_a_restart"] == ["workers"]
        settings_file(tmp_path, stub, rules=[{"match": {"job": "*"}, "set": {"no.such.option": 1}}])
        daemon.process.send_signal(signal.SIGHUP)
        until(lambda: sum("cannot be used" in line["event"] for line in daemon.lines) == 2)
        assert daemon.end() == 0


def test_a_rewritten_flink_conf_is_told(tmp_path: Path, stub: Stub, cluster: StubCluster) -> None:
    """EMR replaces the file when the cluster is reconfigured: the log names the keys that changed, came and went."""
    conf = tmp_path / "conf"
    conf.mkdir()
    (conf / "flink-conf.yaml").write_text("kept: 1\nother: 1\ngone: 1\n")
    with Daemon(settings_file(tmp_path, stub, flink_conf=str(conf), discovery_interval="200 ms")) as daemon:
        daemon.wait_for("autoscaler started")
        (tmp_path / "new").write_text("new: 1\nother: 2\nkept: 1\n")
        (tmp_path / "new").rename(conf / "flink-conf.yaml")
        line = daemon.wait_for("the cluster's Flink configuration changed")
        assert line["keys"] == ["gone", "new", "other"]
        assert "a running job keeps" in line["detail"]
        assert "options from this file that it was submitted without" in line["detail"]
        (conf / "flink-conf.yaml").unlink()
        daemon.wait_for("the cluster's Flink configuration changed", keys=["kept", "new", "other"])
        assert daemon.end() == 0


def test_rm_away_at_the_start_is_waited_for(tmp_path: Path) -> None:
    """Without a ResourceManager the daemon runs, is alive, is not ready, and says what it waits for."""
    with Stub() as stub:
        settings = settings_file(tmp_path, stub)
    with Daemon(settings) as daemon:
        line = daemon.wait_for("the ResourceManager does not answer; waiting for it")
        assert "no connection" in line["error"]
        assert '"ok": true' in daemon.get("/healthz")
        with pytest.raises(Exception, match="503"):
            daemon.get("/readyz")
        assert daemon.end() == 0


def test_a_busy_port_names_its_holder(tmp_path: Path, stub: Stub) -> None:
    """A port in use ends the start with status 2 and the process that holds it."""
    with socket.create_server(("127.0.0.1", 0)) as holder:
        port = holder.getsockname()[1]
        with Daemon(settings_file(tmp_path, stub, http={"port": port})) as daemon:
            assert daemon.process.wait(10) == 2
            until(lambda: bool(daemon.text))
    assert f"port {port} on 127.0.0.1 is in use by" in "".join(daemon.text)
    assert "(pid " in "".join(daemon.text)


def test_a_damaged_store_is_set_aside_at_the_start(tmp_path: Path, stub: Stub, cluster: StubCluster) -> None:
    """A store that cannot be read is renamed, named in the log, and a new one begun."""
    database = tmp_path / "history.db"
    database.write_bytes(b"no database at all " * 500)
    with Daemon(settings_file(tmp_path, stub)) as daemon:
        line = daemon.wait_for("store")
        (aside,) = tmp_path.glob("history.db.corrupt-*")
        assert str(aside) in line["detail"]
        daemon.wait_for("autoscaler started")
        assert daemon.end() == 0


def test_a_full_disk_at_the_start_is_said(tmp_path: Path, stub: Stub) -> None:
    """Where not even an empty store fits the start ends with status 1 and a message."""
    with Daemon(settings_file(tmp_path, stub), limit=8) as daemon:
        assert daemon.process.wait(10) == 1
        until(lambda: bool(daemon.text))
    assert "autoscaler: store " in "".join(daemon.text)
    assert "Traceback" not in "".join(daemon.text)


def test_a_store_that_is_damaged_in_use_is_set_aside(tmp_path: Path, stub: Stub, cluster: StubCluster) -> None:
    """Damage that shows while the daemon runs is named in the log with the file's new name, and passes go on."""
    database = tmp_path / "history.db"
    with Daemon(settings_file(tmp_path, stub)) as daemon:
        daemon.wait_for("autoscaler started")
        with closing(sqlite3.connect(database)) as connection:
            connection.execute("PRAGMA writable_schema = ON")
            connection.execute("UPDATE sqlite_schema SET rootpage = 99999 WHERE name = 'samples'")
            connection.execute("PRAGMA schema_version = 4711")  # so that other connections read the schema again
            connection.commit()
        line = daemon.wait_for("store")
        (aside, *_) = sorted(tmp_path.glob("history.db.corrupt-*"))
        assert str(aside) in line["detail"]
        daemon.wait_for("job", reason="NOT_READY")
        assert database.exists()
        assert daemon.end() == 0

"""PostgreSQL and MariaDB as they come from Debian's packages, and MySQL where there is one, each started once, on a
socket in a folder of its own."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path

import pytest
from sqlalchemy import create_engine, text
from sqlalchemy.exc import OperationalError

ACCOUNT = "nobody"  # PostgreSQL refuses to run as root
START_S = 60.0


@dataclass(frozen=True)
class Server:
    """A running server; ``pattern`` is the URL of one of its databases."""

    pattern: str
    maintenance: str
    socket: Path
    ending: signal.Signals
    numbers: Iterator[int] = field(default_factory=count)

    def new_database(self) -> str:
        """Make an empty database and return its URL."""
        name = f"store{next(self.numbers)}"
        self.execute(f"CREATE DATABASE {name}")
        return self.pattern.format(name)

    def execute(self, statement: str) -> None:
        engine = create_engine(self.maintenance, isolation_level="AUTOCOMMIT")
        try:
            with engine.connect() as connection:
                connection.execute(text(statement))
        finally:
            engine.dispose()


@contextmanager
def postgresql() -> Iterator[Server]:
    programs = sorted(Path("/usr/lib/postgresql").glob("*/bin"))
    if not programs:
        pytest.skip("PostgreSQL is not installed: apt-get install postgresql")
    bin_ = programs[-1]
    with _folder() as folder:
        data = folder / "data"
        _run([bin_ / "initdb", "-D", data, "-U", "autoscaler", "-A", "trust", "-E", "UTF8", "--no-sync"])
        options = ["-k", folder, "-c", "listen_addresses=", "-c", "fsync=off"]
        pattern = f"postgresql://autoscaler@/{{}}?host={folder}"
        maintenance = f"postgresql+psycopg://autoscaler@/postgres?host={folder}"
        running = Server(
            pattern, maintenance, folder / ".s.PGSQL.5432", signal.SIGINT
        )  # SIGTERM would wait for connections to be closed
        with _running([bin_ / "postgres", "-D", data, *options], folder, running) as server:
            yield server


@contextmanager
def mariadb() -> Iterator[Server]:
    program, install = shutil.which("mariadbd", path=_path()), shutil.which("mariadb-install-db", path=_path())
    if program is None or install is None:
        pytest.skip("MariaDB is not installed: apt-get install mariadb-server")
    with _folder() as folder:
        data, listening = folder / "data", folder / "socket"
        authentication = "--auth-root-authentication-method=normal"
        _run([install, "--no-defaults", f"--datadir={data}", authentication, "--skip-test-db"])
        options = ["--no-defaults", f"--datadir={data}", f"--socket={listening}", "--skip-networking"]
        options += [f"--pid-file={folder}/pid", "--innodb-flush-log-at-trx-commit=0"]
        pattern = f"mysql://root@localhost/{{}}?unix_socket={listening}"
        maintenance = f"mysql+pymysql://root@localhost/mysql?unix_socket={listening}"
        running = Server(pattern, maintenance, listening, signal.SIGTERM)
        with _running([program, *options], folder, running) as server:
            yield server


@contextmanager
def mysql() -> Iterator[Server]:
    program = os.environ.get("MYSQLD") or shutil.which("mysqld", path=_path())
    if program is None or "MySQL" not in subprocess.check_output([program, "--version"], text=True):
        pytest.skip("MySQL is not installed: set MYSQLD to its mysqld")
    with _folder() as folder:
        data, listening = folder / "data", folder / "socket"
        base = [program, "--no-defaults", f"--datadir={data}", f"--basedir={Path(program).parents[1]}"]
        _run([*base, "--initialize-insecure"])
        options = [f"--socket={listening}", "--skip-networking", "--mysqlx=OFF", f"--pid-file={folder}/pid"]
        pattern = f"mysql://root@localhost/{{}}?unix_socket={listening}"
        maintenance = f"mysql+pymysql://root@localhost/mysql?unix_socket={listening}"
        running = Server(pattern, maintenance, listening, signal.SIGTERM)
        with _running([*base, *options, "--innodb-flush-log-at-trx-commit=0"], folder, running) as server:
            yield server


def _path() -> str:
    return f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/local/sbin"


@contextmanager
def _folder() -> Iterator[Path]:
    """A folder of the account the servers run as; those of pytest belong to whoever runs the tests alone."""
    folder = Path(tempfile.mkdtemp(prefix="autoscaler-server-"))
    try:
        if os.geteuid() == 0:
            shutil.chown(folder, ACCOUNT)
        yield folder
    finally:
        shutil.rmtree(folder)


def _account() -> dict[str, str]:
    return {"user": ACCOUNT} if os.geteuid() == 0 else {}


def _run(command: list[str | Path]) -> None:
    done = subprocess.run(command, capture_output=True, text=True, cwd="/", check=False, **_account())  # type: ignore[call-overload]
    assert done.returncode == 0, done.stderr


@contextmanager
def _running(command: list[str | Path], folder: Path, server: Server) -> Iterator[Server]:
    log = folder / "log"
    with log.open("w") as output:
        process = subprocess.Popen(command, stdout=output, stderr=output, cwd="/", **_account())  # type: ignore[call-overload]
    try:
        end = time.monotonic() + START_S
        while not _answers(server):
            assert process.poll() is None, log.read_text()
            assert time.monotonic() < end, log.read_text()
            time.sleep(0.1)
        yield server
    finally:
        process.send_signal(server.ending)
        process.wait(20)


def _answers(server: Server) -> bool:
    # PyMySQL leaves its socket open where nobody listens yet, so that is found out first.
    with socket.socket(socket.AF_UNIX) as probe:
        try:
            probe.connect(str(server.socket))
            server.execute("SELECT 1")
        except (OSError, OperationalError):
            return False
    return True

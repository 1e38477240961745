"""What happens to the file: damage, full disks, other processes, sudden death, size."""

from __future__ import annotations

import itertools
import os
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest
from sqlalchemy import make_url
from sqlalchemy.schema import CreateTable

from autoscaler.store import Store, StoreError, StoreUnavailable, open_existing, open_store, open_to_command, shown_url
from autoscaler.store.schema import metadata
from tests.store.builders import (
    KEY,
    MINUTE,
    OTHER,
    ROOMY,
    T0,
    RealisticJob,
    a_command,
    a_history,
    a_request,
    a_sample,
    a_status,
    a_topology,
)

REPOSITORY = Path(__file__).parents[2]
PRELUDE = """
import os, resource, signal, sys
from autoscaler.store import StoreUnavailable, open_existing, open_store, open_to_command
from tests.store.builders import *
url = sys.argv[1]
"""


def url_of(path: Path) -> str:
    return f"sqlite:///{path}"


def in_another_process(program: str, path: Path) -> subprocess.CompletedProcess[str]:
    """Run a few lines of Python against the store at ``path`` and return when they are done."""
    return subprocess.run(
        [sys.executable, "-c", PRELUDE + program, url_of(path)],
        capture_output=True,
        text=True,
        cwd=REPOSITORY,
        env={**os.environ, "PYTHONPATH": str(REPOSITORY)},
        check=False,
    )


def append(store: Store, count: int, first: int = T0) -> None:
    job = RealisticJob()
    with store.writing() as writer:
        for number in range(count):
            at = first + number * MINUTE
            writer.append_sample(KEY, job.topology, T0, job.sample(at))


def append_for_ever(store: Store) -> None:
    for number in itertools.count():
        append(store, 100, T0 + number * 100 * MINUTE)


def held(store: Store) -> int:
    window = store.window(KEY, 0)
    return 0 if window is None else len(window.samples)


# ------------------------------------------------------------------ where it cannot be opened


def test_a_missing_directory_is_named(tmp_path: Path) -> None:
    """Without its directory the store is refused, with the path and what to do."""
    with pytest.raises(StoreError, match=r"nowhere does not exist; create it"):
        open_store(url_of(tmp_path / "nowhere" / "history.db"), ROOMY, T0)


def test_a_directory_in_the_place_of_the_file_is_named(tmp_path: Path) -> None:
    """A directory where the file should be is refused with its path."""
    with pytest.raises(StoreError, match=f"{tmp_path} is a directory"):
        open_store(url_of(tmp_path), ROOMY, T0)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_directory_without_permission_is_named(tmp_path: Path) -> None:
    """A directory that may not be written is refused with its path and the user's number."""
    tmp_path.chmod(0o500)
    with pytest.raises(StoreError, match=rf"{tmp_path} is not writable for uid {os.getuid()}"):
        open_store(url_of(tmp_path / "history.db"), ROOMY, T0)


@pytest.mark.parametrize("url", ["history.db", "nosuch://host/db", "sqlite:///file:x?mode=ro"])
def test_a_bad_url_is_refused(url: str) -> None:
    """A URL nothing can be opened with is refused by naming the setting."""
    with pytest.raises(StoreError, match=r"store\.url"):
        open_store(url, ROOMY, T0)


def test_a_password_is_not_shown() -> None:
    """The message about a missing driver hides the password of the URL."""
    with pytest.raises(StoreError) as error:
        open_store("postgresql+nosuchdriver://me:secret@host/db", ROOMY, T0)
    assert "secret" not in str(error.value)
    assert shown_url("postgresql://h/d?user=me&password=secret") == "postgresql+psycopg://h/d?user=me"


@pytest.mark.parametrize("parameter", ["ssl=true", "ssl_ca=nowhere"])
def test_parameters_a_driver_cannot_use_are_said(parameter: str) -> None:
    """What a driver says of the URL's parameters is an error of the settings, not one of the program's."""
    place = r"mysql\+pymysql://me:\*\*\*@127\.0\.0\.1:1/d"
    with pytest.raises(StoreError, match=rf"store\.url {place}\?{parameter}: the driver cannot use it: "):
        open_store(f"mysql://me:secret@127.0.0.1:1/d?{parameter}", ROOMY, T0)


def test_a_file_of_another_program_is_left_alone(path: Path) -> None:
    """An SQLite file with other tables is refused and not touched."""
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE TABLE theirs (x)")
    with pytest.raises(StoreError, match="another program"):
        open_store(url_of(path), ROOMY, T0)
    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute("SELECT name FROM sqlite_master").fetchall() == [("theirs",)]


def test_a_newer_schema_is_refused(path: Path, opened: Store) -> None:
    """A store of a newer version is opened neither to write nor to read, and stays as it is."""
    opened.save_memory(KEY, a_history())
    opened.close()
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("UPDATE schema_revision SET version_num = '9999'")
    for attempt in (lambda: open_store(url_of(path), ROOMY, T0), lambda: open_existing(url_of(path))):
        with pytest.raises(StoreError, match=r"newer autoscaler.*schema 9999"):
            attempt()
    assert opened.memory(KEY) == a_history()


# ------------------------------------------------------------------ damage


def spoil_header(path: Path) -> None:
    path.write_bytes(b"this is not a database " * 1000)


def spoil_middle(path: Path) -> None:
    content = path.read_bytes()
    path.write_bytes(content[:8192] + b"\xff" * 4096 * 24 + content[8192 + 4096 * 24 :])


def truncate(path: Path) -> None:
    os.truncate(path, path.stat().st_size // 2 // 4096 * 4096)


@pytest.mark.parametrize("damage", [spoil_header, spoil_middle, truncate])
def test_a_damaged_file_is_set_aside(path: Path, damage: object) -> None:
    """A damaged file keeps its content under a new name, which the note tells, and a new history begins."""
    before = open_store(url_of(path), ROOMY, T0).store
    append(before, 200)
    before.close()
    assert callable(damage)
    damage(path)
    content = path.read_bytes()
    opened = open_store(url_of(path), ROOMY, T0)
    aside = path.with_name("history.db.corrupt-20251009T085320.000000Z")
    assert opened.history_lost
    assert str(aside) in opened.notes[0]
    assert aside.read_bytes() == content
    assert opened.store.keys() == ()
    append(opened.store, 1)
    opened.store.close()
    again = open_store(url_of(path), ROOMY, T0)
    assert (again.notes, again.history_lost, held(again.store)) == ((), False, 1)
    again.store.close()


def test_damage_while_running_is_reported(path: Path, opened: Store) -> None:
    """A file that is damaged under a running daemon is reported as such, and the next start sets it aside."""
    append(opened, 200)
    opened.close()
    spoil_middle(path)
    with pytest.raises(StoreUnavailable) as error:
        opened.window(KEY, 0)
    assert error.value.corrupt
    opened.close()
    opened_again = open_store(url_of(path), ROOMY, T0)
    assert opened_again.history_lost
    opened_again.store.close()


def test_a_spoiled_row_is_reported(path: Path, opened: Store) -> None:
    """A row whose content cannot be read is reported as damage, not as a failure of the program."""
    append(opened, 1)
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("UPDATE samples SET measured = x'00'")
    with pytest.raises(StoreUnavailable, match="cannot be read") as error:
        opened.window(KEY, 0)
    assert error.value.corrupt


def test_an_empty_file_is_a_new_store(path: Path) -> None:
    """An empty file, as installers leave one, is no damage."""
    path.touch()
    opened = open_store(url_of(path), ROOMY, T0)
    assert (opened.notes, opened.history_lost) == ((), False)
    opened.store.close()


# ------------------------------------------------------------------ no space


def fill(store: Store) -> None:
    """Append until the store refuses."""
    with pytest.raises(StoreUnavailable, match="full"):
        append_for_ever(store)


def test_the_maximum_size_is_a_limit(path: Path) -> None:
    """A store never grows beyond its maximum size: samples are refused, what is stored can be read."""
    store = open_store(url_of(path), 1 << 20, T0).store
    fill(store)
    kept = held(store)
    assert kept > 0
    store.close()
    assert path.stat().st_size <= 1 << 20


def test_a_full_store_still_takes_intents_and_recovers(path: Path) -> None:
    """When samples fill the store a request can still be noted; after ``retain`` all goes on."""
    store = open_store(url_of(path), 1 << 20, T0).store
    fill(store)
    kept = held(store)
    assert store.add_request(a_request()) == 1
    assert store.retain(T0).for_space > 0
    append(store, 1, T0 - MINUTE)
    assert 0 < held(store) < kept
    assert len(store.open_requests()) == 1
    store.close()


def test_a_disk_that_refuses_to_write_is_survived(path: Path) -> None:
    """While the system refuses to write, calls fail as unavailable and reads work; afterwards all goes on."""
    program = """
store = open_store(url, ROOMY, T0).store
store.append_sample(KEY, a_topology(), T0, a_sample(T0))
_, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
resource.setrlimit(resource.RLIMIT_FSIZE, (4096, hard))
for write in (
    lambda: store.append_sample(KEY, a_topology(), T0, a_sample(T0 + 1)),
    lambda: store.append_sample(OTHER, a_topology(), T0, a_sample(T0 + 1)),
    lambda: store.add_request(a_request()),
    lambda: store.save_status(a_status()),
    lambda: store.forget(KEY),
):
    try:
        write()
        print("written")
    except StoreUnavailable as error:
        print("unavailable", error.corrupt)
print(len(store.window(KEY, 0).samples))
resource.setrlimit(resource.RLIMIT_FSIZE, (hard, hard))
store.append_sample(KEY, a_topology(), T0, a_sample(T0 + 2))
store.append_sample(OTHER, a_topology(), T0, a_sample(T0 + 2))
print([sample.at - T0 for sample in store.window(KEY, 0).samples])
print(len(store.open_requests()), len(store.keys()))
"""
    done = in_another_process(program, path)
    assert done.stdout.splitlines() == ["unavailable False"] * 5 + ["1", "[0, 2]", "0 2"], done.stderr


# ------------------------------------------------------------------ other processes


@pytest.mark.slow
def test_a_reader_sees_what_is_committed_while_a_writer_writes(path: Path, opened: Store) -> None:
    """Another process reads the last complete state while a transaction is open, and the new one after it."""
    read = "print(len(open_existing(url).window(KEY, 0).samples))"
    opened.append_sample(KEY, a_topology(), T0, a_sample(T0))
    with opened.writing() as writer:
        writer.append_sample(KEY, a_topology(), T0, a_sample(T0 + 1))
        assert in_another_process(read, path).stdout == "1\n"
    assert in_another_process(read, path).stdout == "2\n"
    opened.close()
    assert in_another_process(read, path).stdout == "2\n"


@pytest.mark.slow
def test_commands_are_given_beside_a_daemon(path: Path, opened: Store) -> None:
    """Another process writes a command while the store is in use; it waits for a transaction under way."""
    write = "open_to_command(url, ROOMY).set_command(a_command())"
    done = in_another_process(write, path)
    assert done.returncode == 0, done.stderr
    assert opened.commands("j-1", T0) == (a_command(),)
    opened.unset_command(a_command())
    with opened.writing() as writer:
        writer.save_status(a_status())
        process = subprocess.Popen(
            [sys.executable, "-c", PRELUDE + write, url_of(path)],
            cwd=REPOSITORY,
            env={**os.environ, "PYTHONPATH": str(REPOSITORY)},
        )
        with pytest.raises(subprocess.TimeoutExpired):
            process.wait(1.5)
    assert process.wait(10) == 0
    assert opened.commands("j-1", T0) == (a_command(),)


def test_commands_are_given_to_a_full_store(path: Path) -> None:
    """Samples that fill the store keep no operator from pausing a job."""
    store = open_store(url_of(path), 1 << 20, T0).store
    with pytest.raises(StoreUnavailable):
        append_for_ever(store)
    store.close()
    commanding = open_to_command(url_of(path), 1 << 20)
    commanding.set_command(a_command())
    assert commanding.commands("j-1", T0) == (a_command(),)
    commanding.close()


def test_a_store_is_not_created_to_be_commanded(path: Path) -> None:
    """It would belong to the operator, and the daemon could not write it."""
    with pytest.raises(StoreError, match="there is no history at"):
        open_to_command(url_of(path), ROOMY)
    assert not path.exists()
    with pytest.raises(StoreError, match="in memory"):
        open_to_command("sqlite://", ROOMY)


@pytest.mark.slow
def test_two_processes_may_write(path: Path, opened: Store) -> None:
    """A second writer's rows are seen by the first, even where it forgot the job the first goes on with."""
    opened.append_sample(KEY, a_topology(), T0, a_sample(T0))
    write = "open_store(url, ROOMY, T0).store.append_sample(KEY, a_topology(parallelism=3), T0, a_sample(T0 + 1))"
    assert in_another_process(write, path).returncode == 0
    opened.append_sample(KEY, a_topology(), T0, a_sample(T0 + 2))
    assert held(opened) == 3
    assert in_another_process("open_store(url, ROOMY, T0).store.forget(KEY)", path).returncode == 0
    with pytest.raises(StoreUnavailable):
        opened.append_sample(KEY, a_topology(), T0, a_sample(T0 + 3))
    opened.append_sample(KEY, a_topology(), T0, a_sample(T0 + 4))
    assert held(opened) == 1


def test_an_intent_survives_a_kill(path: Path) -> None:
    """What was stored before a kill -9 is there at the next start: the intent, and the samples."""
    program = """
store = open_store(url, ROOMY, T0).store
store.append_sample(KEY, a_topology(), T0, a_sample(T0))
store.add_request(a_request())
os.kill(os.getpid(), signal.SIGKILL)
"""
    assert in_another_process(program, path).returncode == -9
    opened = open_store(url_of(path), ROOMY, T0)
    assert not opened.history_lost
    assert [one.key for one in opened.store.open_requests()] == [KEY]
    assert held(opened.store) == 1
    opened.store.close()


def test_intents_wait_for_the_disk_and_samples_do_not(opened: Store) -> None:
    """Only a transaction that holds a request is written with full synchronisation."""
    levels = []
    for durable in (False, True, False):
        with opened.writing(durable=durable) as writer:
            raw = writer._connection.connection.driver_connection
            assert raw is not None
            levels.append(raw.execute("PRAGMA synchronous").fetchone()[0])
    assert levels == [1, 2, 1]


def test_there_may_be_no_history_yet(path: Path) -> None:
    """Reading before the daemon ever ran says so in plain words and creates nothing."""
    with pytest.raises(StoreError, match=f"no history at {path} yet"):
        open_existing(url_of(path))
    assert not path.exists()
    path.touch()
    with pytest.raises(StoreError, match="yet"):
        open_existing(url_of(path))
    with pytest.raises(StoreError, match="memory"):
        open_existing("sqlite://")


def test_a_reader_cannot_write(path: Path, opened: Store) -> None:
    """A store opened to read refuses to be written and changes nothing."""
    opened.save_status(a_status())
    reader = open_existing(url_of(path))
    assert reader.statuses() == (a_status(),)
    with pytest.raises(StoreUnavailable, match="may not be written"):
        reader.save_status(a_status(OTHER))
    reader.close()
    assert opened.statuses() == (a_status(),)


# ------------------------------------------------------------------ size


@pytest.mark.slow
def test_a_job_takes_little_space(path: Path, opened: Store) -> None:
    """A day of one job with ten vertices, a sample a minute and 200 decisions, takes less than 2 MB."""
    job = RealisticJob()
    for number in range(1440):
        at = T0 + number * MINUTE
        with opened.writing() as writer:
            writer.append_sample(KEY, job.topology, T0, job.sample(at))
            if number % 36 < 5:
                writer.record_decision(KEY, job.decision(at), "scaled up: the load is above 0.9")
    opened.close()
    assert len(opened.decisions(KEY, limit=999)) == 200
    assert path.stat().st_size <= 2_000_000


def used(path: Path) -> int:
    """The bytes of a file that hold something; pages free for new rows do not."""
    with closing(sqlite3.connect(path)) as connection:
        size, pages, free = (
            connection.execute(f"PRAGMA {name}").fetchone()[0] for name in ("page_size", "page_count", "freelist_count")
        )
    return int(size * (pages - free))


@pytest.mark.slow
def test_the_oldest_samples_make_room(path: Path) -> None:
    """Above 90 % of the maximum size the oldest samples go, and no more than needed."""
    limit = 4 << 20
    store = open_store(url_of(path), limit, T0).store
    before = 0
    while used(path) <= limit * 0.95:
        append(store, 250, T0 + before * MINUTE)
        before += 250
    gone = store.retain(T0).for_space
    window = store.window(KEY, 0)
    assert window is not None
    assert 0 < gone < before / 2
    assert window.samples[0].at == T0 + gone * MINUTE
    assert len(window.samples) == before - gone
    assert limit * 0.7 < used(path) <= limit * 0.9
    assert store.retain(T0).for_space == 0
    store.close()


@pytest.mark.slow
def test_decisions_make_room_when_no_sample_is_left(path: Path) -> None:
    """A store that is full of decisions gives up the oldest of them, never requests."""
    limit = 1 << 20
    job = RealisticJob()
    store = open_store(url_of(path), limit, T0).store
    store.add_request(a_request())
    number = 0
    while used(path) <= limit * 0.95:
        store.record_decision(KEY, job.decision(T0 + number))
        number += 1
    store.retain(T0)
    assert used(path) <= limit * 0.9
    assert len(store.open_requests()) == 1
    store.close()


@pytest.mark.slow
def test_the_file_shrinks_to_a_smaller_maximum(path: Path, opened: Store) -> None:
    """After the maximum size was lowered, ``retain`` makes the file itself as small."""
    append(opened, 8000)
    opened.close()
    large = path.stat().st_size
    store = open_store(url_of(path), large // 2, T0).store
    store.retain(T0)
    left = held(store)
    store.close()
    assert path.stat().st_size <= large // 2
    assert 0 < left < 8000


# ------------------------------------------------------------------ other databases


@pytest.mark.parametrize("database", ["postgresql", "mysql", "mariadb"])
def test_a_server_that_is_away_is_unavailable(database: str) -> None:
    """A server nobody reaches is a failure that passes, which is not tried again at once; the password is not told."""
    with pytest.raises(StoreUnavailable) as error:
        open_store(f"{database}://me:secret@127.0.0.1:1/history", ROOMY, T0)
    assert error.value.busy
    assert "secret" not in str(error.value)


@pytest.mark.parametrize("database", ["postgresql", "mysql"])
def test_tables_can_be_made_elsewhere(database: str) -> None:
    """Every table can be written in the language of the other databases, numbered by themselves."""
    dialect = make_url(f"{database}://").get_dialect()()
    made = {table.name: str(CreateTable(table).compile(dialect=dialect)) for table in metadata.sorted_tables}
    numbered = {name for name, one in made.items() if "BIGSERIAL" in one or "AUTO_INCREMENT" in one}
    assert numbered == set(made) - {"leases", "statuses"}

"""The copy of what matters most: what is in it, and what it takes to begin from it."""

from __future__ import annotations

import gzip
from contextlib import closing
from pathlib import Path

import pytest

from autoscaler.model import RequestState
from autoscaler.store import Store, StoreError, open_store
from tests.store.builders import (
    KEY,
    MINUTE,
    OTHER,
    ROOMY,
    T0,
    a_command,
    a_decision,
    a_history,
    a_request,
    a_sample,
    a_status,
    a_topology,
)
from tests.store.conftest import Fresh
from tests.store.test_migrations import fill


def another(folder: Path) -> Store:
    return open_store(f"sqlite:///{folder / 'another.db'}", ROOMY, T0).store


def test_what_a_daemon_must_know_is_in_the_copy(fresh: Fresh, tmp_path: Path) -> None:
    """History, requests, statuses, absences and commands come back under the same numbers, samples and decisions do
    not, so that a window fills anew; and new numbers are none that was given before."""
    store = fresh()
    store.save_memory(KEY, a_history())
    numbers = [store.add_request(a_request()) for _ in range(3)]
    store.save_status(a_status())
    store.set_command(a_command())
    store.record_decision(KEY, a_decision())
    store.mark_absent(OTHER, T0)
    assert not store.is_empty()
    with closing(another(tmp_path)) as begun:
        assert begun.is_empty()
        begun.take_essentials(store.essentials())
        assert begun.memory(KEY) == a_history()
        assert [request.id for request in begun.open_requests()] == numbers
        assert begun.statuses() == (a_status(),)
        assert begun.commands("j-1", T0) == (a_command(),)
        assert begun.absent() == store.absent()
        assert (begun.window(KEY, 0), begun.decisions(KEY, 9)) == (None, ())
        assert begun.add_request(a_request()) > max(numbers)


def test_a_copy_of_an_earlier_version_is_brought_forward(tmp_path: Path) -> None:
    """A daemon that was upgraded begins from what its predecessor copied."""
    fill(f"sqlite:///{tmp_path / 'old.db'}", "0.1.0")
    with closing(another(tmp_path)) as begun:
        begun.take_essentials(gzip.compress((tmp_path / "old.db").read_bytes()))
        (request,) = begun.open_requests()
        assert (request.state, begun.memory(KEY)) == (RequestState.SENT, a_history())


@pytest.mark.parametrize("copied", [b"", b"junk", gzip.compress(b"junk " * 999)], ids=["empty", "junk", "no database"])
def test_a_damaged_copy_is_refused(tmp_path: Path, copied: bytes) -> None:
    """What cannot be read changes nothing, and is said to be damaged."""
    with closing(another(tmp_path)) as begun:
        with pytest.raises(StoreError, match="the copy is damaged"):
            begun.take_essentials(copied)
        assert begun.is_empty()


def test_a_copy_of_a_newer_version_is_refused(tmp_path: Path) -> None:
    """A daemon that went back to an earlier version takes nothing it may misread."""
    with closing(another(tmp_path)) as newer, newer._engine.begin() as connection:
        connection.exec_driver_sql("UPDATE schema_revision SET version_num = '9999'")
    with closing(open_store(f"sqlite:///{tmp_path / 'begun.db'}", ROOMY, T0).store) as begun:
        with pytest.raises(StoreError, match="written by a newer autoscaler"):
            begun.take_essentials(gzip.compress((tmp_path / "another.db").read_bytes()))
        assert begun.is_empty()


def test_samples_do_not_make_it_larger(fresh: Fresh) -> None:
    """However much was measured, the copy holds a few kilobytes per job."""
    store = fresh()
    store.save_memory(KEY, a_history())
    before = len(store.essentials())
    for turn in range(200):
        store.append_sample(KEY, a_topology(parallelism=3), T0, a_sample(T0 + turn * MINUTE, load=0.5))
    assert len(store.essentials()) <= before + 200

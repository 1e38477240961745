"""The log: text for terminals, JSON lines otherwise, and a thing is said once."""

from __future__ import annotations

import errno
import io
import json
from collections.abc import Iterator
from dataclasses import replace

import pytest
import structlog
from structlog.testing import capture_logs

from autoscaler.model import Evaluation, Topology, Vertex, VertexStatus
from autoscaler.telemetry import Journal, configure_logging
from tests.store.builders import KEY, a_decision, a_status


@pytest.fixture(autouse=True)
def own_logging() -> Iterator[None]:
    """Leave the process's log as it was."""
    yield
    structlog.reset_defaults()


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_json_lines_when_nobody_looks() -> None:
    """Without a terminal each line is a JSON object with time and level."""
    out = io.StringIO()
    configure_logging("auto", "info", out)
    Journal().warn("something", detail="größer → 5")
    line = json.loads(out.getvalue())
    assert (line["event"], line["level"], line["detail"]) == ("something", "warning", "größer → 5")
    assert line["timestamp"].endswith("Z")
    assert "größer → 5" in out.getvalue(), "readable as it stands"


def test_text_on_a_terminal() -> None:
    """On a terminal a line is text."""
    out = Terminal()
    configure_logging("auto", "info", out)
    Journal().note("something", job="orders")
    assert "something" in out.getvalue()
    assert not out.getvalue().startswith("{")


def test_the_form_can_be_chosen() -> None:
    """`text` and `json` count, whatever the stream is."""
    out = io.StringIO()
    configure_logging("text", "info", out)
    Journal().note("something")
    assert not out.getvalue().startswith("{")


def test_levels_filter() -> None:
    """Below the level nothing is written."""
    out = io.StringIO()
    configure_logging("json", "warning", out)
    Journal().note("a detail")
    Journal().warn("a warning")
    assert len(out.getvalue().splitlines()) == 1


def test_an_error_has_its_trace_in_one_json_line() -> None:
    """A trace does not tear a JSON line."""
    out = io.StringIO()
    configure_logging("json", "info", out)
    try:
        raise ZeroDivisionError("surprise")
    except ZeroDivisionError as error:
        Journal().error("pass failed", error)
    (line,) = out.getvalue().splitlines()
    assert "ZeroDivisionError: surprise" in json.loads(line)["exception"]


def test_a_trace_on_a_terminal_tells_no_variables() -> None:
    """They hold secrets, and a trace with all that a large job is made of takes longer than the job's interval."""
    out = Terminal()
    configure_logging("auto", "info", out)
    try:
        secret = "of-the-store"
        raise ZeroDivisionError("surprise" + secret[:0])
    except ZeroDivisionError as error:
        Journal().error("pass failed", error)
    assert "ZeroDivisionError: surprise" in out.getvalue()
    assert "of-the-store" not in out.getvalue().replace('secret = "of-the-store"', "")


def test_an_unexpected_error_is_told_once_as_long_as_it_is_the_same() -> None:
    """What fails with every pass does not fill the disk with its trace; another error, or one that is back, is told."""
    journal = Journal()
    with capture_logs() as lines:
        for error in (KeyError("a"), KeyError("a"), ValueError("a"), KeyError("a")):
            journal.crashed("pass 1", "pass failed", error, job="orders")
        journal.over("pass 1", "passes succeed again")
        journal.crashed("pass 1", "pass failed", KeyError("a"), job="orders")
    assert [repr(line.get("exc_info")) for line in lines] == [
        "KeyError('a')",
        "ValueError('a')",
        "None",
        "KeyError('a')",
    ]


def test_of_subjects_without_end_the_newest_are_known() -> None:
    """Memory stays bounded; what was said of an old subject is said once more at worst."""
    journal = Journal(subjects=2)
    with capture_logs() as lines:
        for subject in ("a", "b", "b", "c", "c", "b", "a"):
            journal.once(subject, "trouble", about=subject)
    assert [line["about"] for line in lines] == ["a", "b", "c", "a"]


def test_a_thing_is_said_once_for_each_of_its_causes() -> None:
    """What lasts for another reason than at first is told anew, and reasons that alternate are not told for ever."""
    journal = Journal()
    with capture_logs() as lines:
        for cause in ("refused", "refused", "401", "refused", "401", "401"):
            journal.once("rm", "it does not answer", cause, error=cause)
        journal.over("rm", "it answers again")
        journal.once("rm", "it does not answer", "401", error="401")
    assert [line.get("error") for line in lines] == ["refused", "401", None, "401"]


def test_a_thing_is_said_once_until_it_is_over() -> None:
    """A condition that lasts has one line when it begins and one when it ends."""
    journal = Journal()
    with capture_logs() as lines:
        journal.over("rm", "it answers again")
        for _ in range(3):
            journal.once("rm", "it does not answer")
        journal.once("store", "it does not answer")
        journal.over("rm", "it answers again")
        journal.over("rm", "it answers again")
        journal.once("rm", "it does not answer")
        journal.forget("rm")
        journal.over("rm", "it answers again")
    assert [line["event"] for line in lines] == [
        "it does not answer",
        "it does not answer",
        "it answers again",
        "it does not answer",
    ]


def test_every_vertex_of_a_job_is_logged() -> None:
    """Vertices of one name are as many in the log as in the job, in what is wanted and in the numbers."""
    ids = ("a" * 32, "b" * 32)
    vertices = tuple(VertexStatus(id=each, name="Join", parallelism=1, wanted=1) for each in ids)
    plan = Topology(vertices=tuple(Vertex(id=each, name="Join", parallelism=1, max_parallelism=8) for each in ids))
    numbers = dict.fromkeys(ids, Evaluation(tpr=5.0))
    with capture_logs() as lines:
        Journal().changed_mind(replace(a_status(), vertices=vertices), {ids[0]: 2, ids[1]: 3})
        Journal().evaluation(KEY, replace(a_decision(), evaluations=numbers), plan)
    assert lines[0]["wanted"] == {"Join (aaaaaaaa)": 2, "Join (bbbbbbbb)": 3}
    assert list(lines[1]["vertices"]) == ["Join (aaaaaaaa)", "Join (bbbbbbbb)"]


class FullDisk(io.StringIO):
    """A stream that takes nothing."""

    def write(self, text: str) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")


def test_a_line_that_cannot_be_written_stops_nothing() -> None:
    """A log on a full disk, or one nobody reads any more, costs its lines and not the work they tell of."""
    for stream in (FullDisk(), io.StringIO()):
        configure_logging("json", "info", stream)
        if not isinstance(stream, FullDisk):
            stream.close()
        Journal().note("nobody hears this")

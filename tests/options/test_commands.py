"""Commands of an operator, as values: whom they mean, for how long, and as which layer they count."""

from __future__ import annotations

from dataclasses import replace

import pytest

from autoscaler.model import Command, JobKey, Millis
from autoscaler.options import APACHE, EMR, check_value, resolve
from autoscaler.options.commands import (
    CommandError,
    command_layers,
    commandable,
    in_force,
    is_about,
    pinned_vertex,
    pins,
    source,
)

TEN: Millis = 1_795_255_200_000  # 2026-11-21T10:00:00Z
HOUR: Millis = 3_600_000
KEY = JobKey(cluster="c", application="orders-eu", job="daily")
COMMAND = Command(
    cluster="c", target="orders-eu/daily", option="job.autoscaler.metrics.window", value="5 min", by="alice", at=TEN
)


@pytest.mark.parametrize(
    ("target", "meant"),
    [
        ("orders-eu/daily", True),
        ("orders-eu/Daily", False),
        ("orders-eu/dail*", False),
        ("orders-eu/*", True),
        ("orders-*/*", True),
        ("*/*", True),
        ("orders/*", False),
        ("ORDERS-EU/*", False),
    ],
)
def test_whom_a_target_means(target: str, meant: bool) -> None:
    """One job by its full name, or all of the applications a pattern fits; case counts."""
    assert is_about(target, KEY) is meant


def test_a_name_is_no_pattern() -> None:
    """A job's name may hold the signs of patterns and means itself."""
    odd = replace(KEY, application="[a]", job="x*")
    assert is_about("[a]/x*", odd)
    assert not is_about("[a]/x*", replace(odd, application="a"))


@pytest.mark.parametrize(("until", "now", "holds"), [(None, 10**15, True), (5, 4, True), (5, 5, False)])
def test_how_long_a_command_holds(until: Millis | None, now: Millis, holds: bool) -> None:
    """Until its time, which is not part of it; without one for good."""
    assert bool(in_force([replace(COMMAND, until=until)], KEY, now)) is holds


def test_the_commands_of_a_job_come_in_the_order_they_were_given() -> None:
    """Those of other jobs and of other clusters are left out."""
    later = replace(COMMAND, target="orders-eu/*", value="7 min", at=TEN + 1)
    others = [replace(COMMAND, cluster="d"), replace(COMMAND, target="orders-eu/hourly")]
    assert in_force([later, *others, COMMAND], KEY, TEN + 2) == (COMMAND, later)


def test_of_two_commands_the_later_counts() -> None:
    """A value knows which command set it, and which one it shadows."""
    layers = command_layers([COMMAND, replace(COMMAND, by="bob", value="7 min")])
    setting = resolve(layers).settings[COMMAND.option]
    assert (setting.value, setting.source) == ("7 min", "operator command by bob at 2026-11-21 10:00 UTC")
    assert [below.source for below in setting.shadows] == ["operator command by alice at 2026-11-21 10:00 UTC"]


@pytest.mark.parametrize(
    ("until", "said"),
    [
        (None, "operator command by alice at 2026-11-21 10:00 UTC"),
        (TEN + 2 * HOUR, "operator command by alice at 2026-11-21 10:00 UTC, until 12:00 UTC"),
        (TEN + 20 * HOUR, "operator command by alice at 2026-11-21 10:00 UTC, until 2026-11-22 06:00 UTC"),
    ],
)
def test_a_command_names_its_author_and_its_times(until: Millis | None, said: str) -> None:
    """The day of its end is said only if it is another one."""
    assert source(replace(COMMAND, until=until)) == said


@pytest.mark.parametrize("name", ["metrics.window", "job.autoscaler.metrics.window"])
def test_the_prefix_may_be_left_out(name: str) -> None:
    """A person need not write what all keys begin with."""
    assert commandable(name).full_name == "job.autoscaler.metrics.window"


def test_an_old_name_is_the_option_itself() -> None:
    """What is set under an old name is taken back under the new one."""
    assert commandable("target.utilization", APACHE).full_name == "job.autoscaler.utilization.target"


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("metrics.windov", "metrics.windov is not an option; did you mean job.autoscaler.metrics.window?"),
        ("qqqqqqqq", "qqqqqqqq is not an option"),
        ("memory.tuning.enabled", "memory.tuning.enabled has no effect here: "),
        ("scaling.custom-executor.x", "has no effect here"),
        ("yarn.id", "the name commands find a job by"),
    ],
)
def test_what_cannot_be_commanded(name: str, words: str) -> None:
    """It is said why, with the nearest known key for a typo."""
    with pytest.raises(CommandError) as caught:
        commandable(name)
    assert words in str(caught.value)


def test_a_value_is_checked_by_itself() -> None:
    """Bad values and doubtful ones are told; what only stands beside other values wrongly is not."""
    window = "job.autoscaler.metrics.window"
    (bad,) = check_value(window, "long", "here", EMR)
    assert bad.message.startswith(f"{window} is 'long' in here, which cannot be read: write a duration")
    (doubtful,) = check_value(window, "30", "here", EMR)
    assert "a duration without a unit is in milliseconds" in doubtful.message
    assert check_value("job.autoscaler.vertex.min-parallelism", "100000", "here", EMR) == ()
    (checked,) = check_value(window, "5 min", "here", EMR, {"metrics.window": lambda _: "not today"})
    assert "which cannot be used: not today" in checked.message


def test_a_pin_is_no_option() -> None:
    """It stands beside the configuration; of two for one vertex the later counts."""
    pin = replace(COMMAND, option="pin enrich", value="4")
    later = replace(pin, value="6", at=TEN + 1)
    assert command_layers([pin, COMMAND]) == command_layers([COMMAND])
    assert pins([COMMAND, pin, later]) == (later,)
    assert pinned_vertex(pin) == "enrich"


def test_the_reason_of_a_command_is_part_of_its_source() -> None:
    """Who reads where a value comes from reads why, too."""
    assert source(replace(COMMAND, why="broker upgrade")).startswith("operator command by alice (broker upgrade) at ")

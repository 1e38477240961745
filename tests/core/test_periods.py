"""Times at which a job is left alone."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from autoscaler.core.errors import UndecidableError
from autoscaler.core.periods import PeriodError, is_excluded, parse
from tests.core.builders import NOW


def millis(text: str) -> int:
    """Return an ISO instant as epoch milliseconds."""
    return round(datetime.fromisoformat(text).timestamp() * 1000)


def test_the_tests_know_what_day_it_is() -> None:
    """The default instant is a Thursday morning."""
    assert datetime.fromtimestamp(NOW / 1000, UTC).strftime("%a %F %T") == "Thu 2025-10-09 09:00:00"


@pytest.mark.parametrize(
    ("period", "at", "holds"),
    [
        pytest.param("09:00-10:00", "2025-10-09T09:00:00Z", True, id="daily-first-instant"),
        pytest.param("09:00-10:00", "2025-10-09T10:00:00Z", True, id="daily-last-instant"),
        pytest.param("09:00-10:00", "2025-10-09T10:00:00.001Z", False, id="daily-just-after"),
        pytest.param("09:00-10:00", "2025-10-09T08:59:59.999Z", False, id="daily-just-before"),
        pytest.param("9:00:30-9:00:31:250", "2025-10-09T09:00:31.250Z", True, id="daily-to-the-millisecond"),
        pytest.param(" 9:00 - 10:00 ", "2025-10-09T09:30:00Z", True, id="daily-with-blanks"),
        pytest.param("* * 9 * * ?", "2025-10-09T09:59:59.999Z", True, id="cron-hour"),
        pytest.param("* * 9 * * ?", "2025-10-09T10:00:00Z", False, id="cron-other-hour"),
        pytest.param("30 0 9 * * ?", "2025-10-09T09:00:30.999Z", True, id="cron-to-the-second"),
        pytest.param("30 0 9 * * ?", "2025-10-09T09:00:31Z", False, id="cron-next-second"),
        pytest.param("0/15 * * * * ?", "2025-10-09T09:00:45Z", True, id="cron-step-from"),
        pytest.param("5/15 * * * * ?", "2025-10-09T09:00:15Z", False, id="cron-not-on-step"),
        pytest.param("*/20 * * * * ?", "2025-10-09T09:00:40Z", True, id="cron-step-of-all"),
        pytest.param("/20 * * * * ?", "2025-10-09T09:00:40Z", True, id="cron-step-without-start"),
        pytest.param("0-30/10 * * * * ?", "2025-10-09T09:00:40Z", False, id="cron-step-in-range"),
        pytest.param("* 0,30 * * * ?", "2025-10-09T09:30:00Z", True, id="cron-list"),
        pytest.param("* * 22-2 * * ?", "2025-10-09T01:00:00Z", True, id="cron-range-past-midnight"),
        pytest.param("* * 22-2 * * ?", "2025-10-09T03:00:00Z", False, id="cron-outside-such-a-range"),
        pytest.param("* * * * NOV-FEB ?", "2026-01-09T03:00:00Z", True, id="cron-months-past-new-year"),
        pytest.param("* * * * oct ?", "2025-10-09T03:00:00Z", True, id="cron-lower-case-name"),
        pytest.param("* * * 9 10 ? 2025", "2025-10-09T03:00:00Z", True, id="cron-year"),
        pytest.param("* * * 9 10 ? 2026-2030", "2025-10-09T03:00:00Z", False, id="cron-other-year"),
        pytest.param("* * * L * ?", "2024-02-29T03:00:00Z", True, id="cron-last-day"),
        pytest.param("* * * L * ?", "2024-02-28T03:00:00Z", False, id="cron-not-last-day"),
        pytest.param("* * * L-3 * ?", "2025-10-28T03:00:00Z", True, id="cron-before-last-day"),
        pytest.param("* * * 15W * ?", "2025-11-14T03:00:00Z", True, id="cron-saturday-to-friday"),
        pytest.param("* * * 16W * ?", "2025-11-17T03:00:00Z", True, id="cron-sunday-to-monday"),
        pytest.param("* * * 9W * ?", "2025-10-09T03:00:00Z", True, id="cron-weekday-itself"),
        pytest.param("* * * 1W * ?", "2025-11-03T03:00:00Z", True, id="cron-nearest-stays-in-month-at-begin"),
        pytest.param("* * * LW * ?", "2025-08-29T03:00:00Z", True, id="cron-nearest-stays-in-month-at-end"),
        pytest.param("* * * 31W * ?", "2025-09-30T03:00:00Z", False, id="cron-no-such-day"),
        pytest.param("* * * 1,LW * ?", "2025-10-31T03:00:00Z", True, id="cron-list-of-day-rules"),
        pytest.param("* * * ? * 5", "2025-10-09T03:00:00Z", True, id="cron-thursday-is-5"),
        pytest.param("* * * ? * 1", "2025-10-12T03:00:00Z", True, id="cron-sunday-is-1"),
        pytest.param("* * * ? * L", "2025-10-11T03:00:00Z", True, id="cron-l-is-saturday"),
        pytest.param("* * * ? * MON-FRI", "2025-10-11T03:00:00Z", False, id="cron-weekdays"),
        pytest.param("* * * ? * FRI-MON", "2025-10-12T03:00:00Z", True, id="cron-weekend-and-around"),
        pytest.param("* * * ? * 5L", "2025-10-30T03:00:00Z", True, id="cron-last-thursday"),
        pytest.param("* * * ? * THUL", "2025-10-23T03:00:00Z", False, id="cron-not-last-thursday"),
        pytest.param("* * * ? * 5#2", "2025-10-09T03:00:00Z", True, id="cron-second-thursday"),
        pytest.param("* * * ? * THU#5", "2025-10-30T03:00:00Z", True, id="cron-fifth-thursday"),
        pytest.param("* * * ? * MON,THU", "2025-10-09T03:00:00Z", True, id="cron-list-of-weekdays"),
        pytest.param("8:00-10:00 && * * * ? * THU", "2025-10-09T09:00:00Z", True, id="both"),
        pytest.param("* * * ? * FRI&&8:00-10:00", "2025-10-09T09:00:00Z", False, id="one-of-both"),
    ],
)
def test_periods_in_utc(period: str, at: str, holds: bool) -> None:
    """A period holds exactly at the instants it names."""
    assert is_excluded(millis(at), [period], "UTC") is holds


@pytest.mark.parametrize(
    ("period", "at", "holds"),
    [
        pytest.param("02:00-02:59", "2025-03-30T00:59:59Z", False, id="before-the-hour-that-is-skipped"),
        pytest.param("02:00-02:59", "2025-03-30T01:00:00Z", False, id="the-hour-is-skipped"),
        pytest.param("03:00-03:59", "2025-03-30T01:00:00Z", True, id="after-the-hour-that-is-skipped"),
        pytest.param("02:00-02:59", "2025-10-26T00:30:00Z", True, id="the-hour-comes"),
        pytest.param("02:00-02:59", "2025-10-26T01:30:00Z", True, id="the-hour-comes-twice"),
        pytest.param("* * 2 * * ?", "2025-10-26T01:30:00Z", True, id="cron-comes-twice"),
        pytest.param("* * 2 * * ?", "2025-10-26T02:00:00Z", False, id="third-hour"),
        pytest.param("08:00-08:59", "2025-07-01T06:30:00Z", True, id="summer"),
        pytest.param("08:00-08:59", "2025-12-01T07:30:00Z", True, id="winter"),
        pytest.param("* * * ? * FRI", "2025-10-09T22:00:00Z", True, id="a-day-begins-earlier"),
    ],
)
def test_periods_by_local_clocks(period: str, at: str, holds: bool) -> None:
    """A period is read on the clocks of its zone, set forward and back as they are."""
    assert is_excluded(millis(at), [period], "Europe/Berlin") is holds


def test_one_of_a_list_is_enough() -> None:
    """A job is left alone when any period holds; without periods never."""
    assert is_excluded(NOW, ["10:00-11:00", "* * 9 * * ?"], "UTC")
    assert not is_excluded(NOW, ["10:00-11:00"], "UTC")
    assert not is_excluded(NOW, [], "nowhere")


@pytest.mark.parametrize(
    "period",
    [
        "",
        "9-17",
        "10:00-09:00",
        "10:00-10:00",
        "24:00-25:00",
        "10:60-11:00",
        "10:00:60-11:00",
        "9:00-10:00 && 11:00-12:00",
        "* * 9 * * ? && * * 10 * * ?",
        "9:00-10:00 && * * 9 * * ? && * * 10 * * ?",
        "* * * * *",
        "* * * * * ? 2025 1",
        "* * * * * *",
        "* * * ? * ?",
        "60 * * * * ?",
        "* * 24 * * ?",
        "* * * 0 * ?",
        "* * * 32W * ?",
        "* * * L-31 * ?",
        "* * * * 13 ?",
        "* * * * FEB/13 ?",
        "* * * ? * 8",
        "* * * ? * 0",
        "* * * ? * 5#6",
        "* * * ? * NOD#1",
        "* * * ? * XL",
        "* */0 * * * ?",
        "* */x * * * ?",
        "x * * * * ?",
        "* * * * * ? 1969",
        "* * * * * ? 2030-2020",
        "* * * ? ? MON",
    ],
)
def test_what_is_no_period(period: str) -> None:
    """A text that cannot be read is refused, and no decision is made on it."""
    with pytest.raises(PeriodError):
        parse(period)
    with pytest.raises(UndecidableError):
        is_excluded(NOW, [period], "UTC")


@pytest.mark.parametrize("zone", ["Mars/Olympus", "", "../etc"])
def test_an_unknown_time_zone_is_refused(zone: str) -> None:
    """A time zone that does not exist makes no decision."""
    with pytest.raises(UndecidableError):
        is_excluded(NOW, ["09:00-10:00"], zone)


def test_a_time_beyond_the_calendar_is_refused() -> None:
    """An instant no calendar holds makes no decision."""
    with pytest.raises(UndecidableError):
        is_excluded(10**18, ["09:00-10:00"], "UTC")

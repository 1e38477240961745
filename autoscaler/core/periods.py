"""Times at which a job is left alone (docs/ALGORITHM.md, 9).

A period is ``HH:mm[:ss[:SSS]]-HH:mm[:ss[:SSS]]``, a Quartz cron expression, or one of each joined by
``&&``. The cron libraries for Python know Unix cron, some with seconds and years added; none reads Quartz's
day fields (1 is Sunday, ``?``, ``L``, ``LW``, ``15W``, ``6#3``), and one that almost does would move a
maintenance window by a day. A period is only asked whether it holds now, which takes no search for a next
time: hence our own reader.
"""

from __future__ import annotations

import calendar
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo

from autoscaler.core.errors import UndecidableError
from autoscaler.model import Millis

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_TIME = r"(\d{1,2}):(\d{1,2})(?::(\d{1,2})(?::(\d{1,3}))?)?"
_DAILY = re.compile(rf"\s*{_TIME}\s*-\s*{_TIME}\s*")
_MONTHS = ("JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC")
_WEEKDAYS = ("SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT")


class PeriodError(ValueError):
    """A text is not a period; the message says what is wrong with it."""


Holds = Callable[[datetime], bool]
DayRule = Callable[[date], bool]


def is_excluded(now: Millis, periods: Sequence[str], time_zone: str) -> bool:
    """Is now within any of the periods, by the clocks of the time zone?

    Where clocks are set back, the hour that comes twice is excluded twice; an hour that clocks skip never is.
    """
    if not periods:
        return False
    try:
        local = (_EPOCH + timedelta(milliseconds=now)).astimezone(ZoneInfo(time_zone))
        return any(parse(period)(local) for period in periods)
    except (PeriodError, KeyError, OverflowError) as error:
        raise UndecidableError(f"the excluded periods cannot be judged: {error}") from error
    except ValueError as error:
        raise UndecidableError(f"{time_zone!r} is not a time zone: {error}") from error


@lru_cache(maxsize=1024)
def parse(period: str) -> Holds:
    """Return a predicate on local time for one period; raises ``PeriodError``."""
    parts = [part.strip() for part in period.split("&&")]
    if len(parts) == 1:
        return _daily(parts[0]) or _cron(parts[0])
    daily = [found for part in parts if (found := _daily(part)) is not None]
    crons = [_cron(part) for part in parts if _daily(part) is None]
    if len(daily) != 1 or len(crons) != 1:
        raise PeriodError(f"{period!r} must join one daily period and one cron expression")
    return lambda local: daily[0](local) and crons[0](local)


# ------------------------------------------------------------------ every day


def _daily(text: str) -> Holds | None:
    """Return a daily period, both ends included; ``None`` if the text has not its shape."""
    match = _DAILY.fullmatch(text)
    if match is None:
        return None
    numbers = [int(group or 0) for group in match.groups()]
    begin, end = _time_of_day(text, *numbers[:4]), _time_of_day(text, *numbers[4:])
    if begin >= end:
        raise PeriodError(f"{text!r} must begin before it ends; write two periods to cross midnight")
    return lambda local: begin <= _milliseconds(local) <= end


def _time_of_day(text: str, hour: int, minute: int, second: int, millisecond: int) -> Millis:
    if hour > 23 or minute > 59 or second > 59:
        raise PeriodError(f"{text!r} has a time that no clock shows")
    return ((hour * 60 + minute) * 60 + second) * 1000 + millisecond


def _milliseconds(local: datetime) -> Millis:
    seconds = (local.hour * 60 + local.minute) * 60 + local.second
    return seconds * 1000 + local.microsecond // 1000


# ------------------------------------------------------------------ cron, as Quartz reads it


@dataclass(frozen=True, slots=True)
class Field:
    """One field of a cron expression: its bounds, its values' names, and whether ranges may wrap."""

    name: str
    low: int
    high: int
    names: tuple[str, ...] = ()
    wraps: bool = True

    def number(self, text: str) -> int:
        """Return the value of a number or a name."""
        value = self.names.index(text) + self.low if text in self.names else int(text) if text.isdecimal() else -1
        if not self.low <= value <= self.high:
            raise PeriodError(f"{text!r} is no {self.name}")
        return value


_SECOND, _MINUTE, _HOUR = Field("second", 0, 59), Field("minute", 0, 59), Field("hour", 0, 23)
_DAY_OF_MONTH, _MONTH = Field("day of month", 1, 31), Field("month", 1, 12, _MONTHS)
_DAY_OF_WEEK = Field("day of week", 1, 7, _WEEKDAYS)
_YEAR = Field("year", 1970, 2199, wraps=False)


def _cron(text: str) -> Holds:
    """Return a cron expression as a predicate that looks at whole seconds."""
    fields = text.upper().split()
    if len(fields) not in (6, 7):
        raise PeriodError(f"{text!r} is neither HH:mm-HH:mm nor a cron expression of 6 or 7 fields")
    if (fields[3] == "?") == (fields[5] == "?"):
        raise PeriodError(f"{text!r} must have ? as either its day of month or its day of week")
    seconds, minutes, hours = (
        _values(part, field) for part, field in zip(fields[:3], (_SECOND, _MINUTE, _HOUR), strict=True)
    )
    months = _values(fields[4], _MONTH)
    years = _values(fields[6] if len(fields) == 7 else "*", _YEAR)
    days = _month_days(fields[3]) if fields[5] == "?" else _week_days(fields[5])

    def holds(local: datetime) -> bool:
        return (
            local.second in seconds
            and local.minute in minutes
            and local.hour in hours
            and local.month in months
            and local.year in years
            and any(rule(local.date()) for rule in days)
        )

    return holds


def _values(text: str, field: Field) -> frozenset[int]:
    """Return the values a comma-separated field names."""
    return frozenset(value for part in text.split(",") for value in _part(part, field))


def _part(text: str, field: Field) -> Iterable[int]:
    """Return the values of ``*``, ``a``, ``a-b``, and with a step ``*/s``, ``a/s`` (to the end), ``a-b/s``."""
    span, slash, step_text = text.partition("/")
    step = int(step_text) if step_text.isdecimal() else 0
    if slash and not 0 < step <= field.high:
        raise PeriodError(f"{text!r} has no step that fits a {field.name}")
    first, dash, last = span.partition("-")
    if span == "*" or (slash and not span):
        begin, end = field.low, field.high
    elif dash:
        begin, end = field.number(first), field.number(last)
    else:
        begin = field.number(first)
        end = field.high if slash else begin
    if begin <= end:
        return range(begin, end + 1, step or 1)
    return _wrapped(begin, end, step or 1, field)


def _wrapped(begin: int, end: int, step: int, field: Field) -> Iterable[int]:
    """Return a range that goes past the last value and on from the first: ``FRI-MON``, ``22-2``."""
    if not field.wraps:
        raise PeriodError(f"the {field.name} {begin} comes after {end}")
    count = field.high - field.low + 1
    return [(value - field.low) % count + field.low for value in range(begin, end + count + 1, step)]


def _month_days(text: str) -> list[DayRule]:
    return [_month_day(part) for part in text.split(",")]


def _month_day(text: str) -> DayRule:
    """Return a rule for ``L`` (last day), ``L-3``, ``15W`` and ``LW`` (nearest weekday), or numbers."""
    match = re.fullmatch(r"L(?:-(\d{1,2}))?(W?)", text)
    if match is not None:
        before = int(match[1] or 0)
        if before > 30:
            raise PeriodError(f"{text!r} is more than a month before its end")
        if match[2]:
            return lambda day: day.day == _nearest_weekday(day, _last_day(day) - before)
        return lambda day: day.day == _last_day(day) - before
    match = re.fullmatch(r"(\d{1,2})W", text)
    if match is not None:
        wanted = _DAY_OF_MONTH.number(match[1])
        return lambda day: day.day == _nearest_weekday(day, wanted)
    numbers = frozenset(_part(text, _DAY_OF_MONTH))
    return lambda day: day.day in numbers


def _last_day(day: date) -> int:
    return calendar.monthrange(day.year, day.month)[1]


def _nearest_weekday(day: date, wanted: int) -> int:
    """Return the Monday to Friday of this month nearest to ``wanted``, 0 if the month has no such day."""
    last = _last_day(day)
    if not 1 <= wanted <= last:
        return 0
    weekday = day.replace(day=wanted).isoweekday()
    if weekday == 6:
        return wanted - 1 if wanted > 1 else wanted + 2
    if weekday == 7:
        return wanted + 1 if wanted < last else wanted - 2
    return wanted


def _week_days(text: str) -> list[DayRule]:
    return [_week_day(part) for part in text.split(",")]


def _week_day(text: str) -> DayRule:
    """Return a rule for ``6L`` (last Friday), ``6#3`` (third), ``L`` (Saturday), or numbers; 1 is Sunday."""
    if text == "L":
        return lambda day: _weekday(day) == 7
    if text.endswith("L"):
        weekday = _DAY_OF_WEEK.number(text[:-1])
        return lambda day: _weekday(day) == weekday and day.day > _last_day(day) - 7
    name, hash_sign, nth = text.partition("#")
    if hash_sign:
        weekday = _DAY_OF_WEEK.number(name)
        if nth not in ("1", "2", "3", "4", "5"):
            raise PeriodError(f"{text!r} must name the first to fifth of a weekday")
        return lambda day: _weekday(day) == weekday and (day.day + 6) // 7 == int(nth)
    numbers = frozenset(_part(text, _DAY_OF_WEEK))
    return lambda day: _weekday(day) in numbers


def _weekday(day: date) -> int:
    """Return Quartz's number of a weekday: 1 is Sunday, 7 is Saturday."""
    return day.isoweekday() % 7 + 1

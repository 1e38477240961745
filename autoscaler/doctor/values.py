"""Flink's own settings of a job, with what holds where they are not set."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from autoscaler.doctor.snapshot import Job
from autoscaler.model import Millis
from autoscaler.options import GrammarError, format_duration, parse_duration
from autoscaler.options.grammar import parse_boolean, parse_int

_T = TypeVar("_T")


def text(job: Job, *keys: str) -> tuple[str | None, str]:
    """The value of the first of several names that is set, and the sentence that says so."""
    key = next((key for key in keys if key in job.config), None)
    return (None, f"{keys[0]} is not set") if key is None else (job.config[key], f"{key} is {job.config[key]}")


def duration(job: Job, *keys: str, default: Millis) -> tuple[Millis, str]:
    return _read(job, keys, default, parse_duration, format_duration)


def whole(job: Job, *keys: str, default: int) -> tuple[int, str]:
    return _read(job, keys, default, parse_int, str)


def switch(job: Job, *keys: str, default: bool) -> tuple[bool, str]:
    return _read(job, keys, default, parse_boolean, lambda value: str(value).lower())


def _read(
    job: Job, keys: tuple[str, ...], default: _T, parse: Callable[[str], _T], show: Callable[[_T], str]
) -> tuple[_T, str]:
    """A value that cannot be read counts as not set: Flink would not have started with one that matters."""
    written, said = text(job, *keys)
    if written is not None:
        try:
            return parse(written.strip()), said
        except GrammarError:
            pass
    return default, f"{keys[0]} is {show(default)} (Flink's default)"

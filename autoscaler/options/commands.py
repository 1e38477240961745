"""Commands of an operator: the topmost layer of a job's configuration, for as long as each of them holds."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime
from fnmatch import fnmatchcase

from autoscaler.model import Command, JobKey, Millis
from autoscaler.options.keys import EMR, Key
from autoscaler.options.layers import Entry, Layer
from autoscaler.options.names import named, nearest

ALL_JOBS = "/*"
EVERY_JOB = "*/*"
PIN = "pin "  # before a vertex's name, in place of an option's
_IDENTITY = "yarn.id"


class CommandError(ValueError):
    """A command that cannot be given; the message says why."""


def commandable(name: str, profile: str = EMR) -> Key:
    """Return the option a person means, with or without ``job.autoscaler.``. Raises CommandError."""
    spelling = named(name, profile)
    if spelling is None:
        similar = nearest(name, profile)
        raise CommandError(f"{name} is not an option" + (f"; did you mean {similar}?" if similar else ""))
    key = spelling.key
    if key.not_applicable:
        raise CommandError(f"{name} has no effect here: {key.not_applicable}")
    if key.name == _IDENTITY:
        raise CommandError(f"{key.full_name} cannot be set by a command: it is the name commands find a job by")
    return key


def is_pattern(target: str) -> bool:
    """Tell whether a target stands for all jobs of some applications, those to come included."""
    return target.endswith(ALL_JOBS)


def is_about(target: str, key: JobKey) -> bool:
    """Tell whether a target means a job."""
    if is_pattern(target):
        return fnmatchcase(key.application, target.removesuffix(ALL_JOBS))
    return target == str(key)


def in_force(commands: Iterable[Command], key: JobKey, now: Millis) -> tuple[Command, ...]:
    """Return the commands that hold for a job at a time, in the order they were given."""
    found = [
        command
        for command in commands
        if command.cluster == key.cluster and command.is_in_force(now) and is_about(command.target, key)
    ]
    return tuple(sorted(found, key=lambda command: (command.at, command.target, command.option)))


def command_layers(commands: Iterable[Command]) -> tuple[Layer, ...]:
    """Return one layer for each command, so that of two for one option the one given later counts."""
    sources = ((command, source(command)) for command in commands if not is_pin(command))
    return tuple(
        Layer(name=place, entries={command.option: Entry(value=command.value, source=place)})
        for command, place in sources
    )


def is_pin(command: Command) -> bool:
    """Tell whether a command keeps a vertex at a parallelism instead of setting an option."""
    return command.option.startswith(PIN)


def pins(commands: Iterable[Command]) -> tuple[Command, ...]:
    """Return the commands that keep vertices at a parallelism, of two for one vertex the one given later."""
    return tuple({command.option: command for command in commands if is_pin(command)}.values())


def pinned_vertex(command: Command) -> str:
    """Return the name of the vertex a pin is about."""
    return command.option.removeprefix(PIN)


def source(command: Command) -> str:
    """Return where a value comes from, with its author, reason, and times to the minute."""
    given = _minute(command.at)
    why = f" ({command.why})" if command.why else ""
    said = f"operator command by {command.by}{why} at {given} UTC"
    if command.until is None:
        return said
    end = _minute(command.until)
    day, time = end.split()
    return f"{said}, until {time if given.startswith(day) else end} UTC"


def _minute(at: Millis) -> str:
    return datetime.fromtimestamp(at / 1000, UTC).strftime("%Y-%m-%d %H:%M")

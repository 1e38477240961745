"""What an operator wants of running jobs, for a while: ``set``, ``pause``, ``pin``, what takes them back, and a list.

They only write rows into the store, and so work whether or not a daemon runs. Who may write the store's file may
give commands.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from autoscaler.commands.naming import job_called
from autoscaler.commands.output import clock_time, complain, print_json, print_table, say
from autoscaler.loop import VALIDATORS
from autoscaler.model import Command, JobKey, JobStatus, Millis, VertexId, VertexStatus
from autoscaler.options import GrammarError, Severity, check_value, parse_duration
from autoscaler.options.commands import (
    PIN,
    CommandError,
    commandable,
    in_force,
    is_about,
    is_pattern,
    is_pin,
    pinned_vertex,
)
from autoscaler.store import Store
from autoscaler.telemetry.sentences import short_name, short_names

SCALING = "scaling.enabled"
SHORTEST: Millis = 1_000
LARGEST = 32_768  # Flink's own limit
LATELY: Millis = 3_600_000
_TYPED = "the command line"
_COLUMNS = ("job", "option", "value", "by", "since", "until", "why")


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """For how long a command holds, as typed, and why it is given."""

    duration: str | None = None
    why: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Operator:
    """Who commands, of which cluster, and when."""

    cluster: str
    profile: str
    user: str
    now: Millis


def set_option(store: Store, operator: Operator, job: str, setting: tuple[str, str], terms: Terms) -> int:
    """Set an option of running jobs, in place of what a command set before. 2 if it cannot be set."""
    name, value = setting
    try:
        option = commandable(name, operator.profile).full_name
        checked(option, value, operator.profile)
        known = known_jobs(store, operator)
        target = target_of(job, known)
        _give(store, _command(operator, target, (option, value), terms))
        if is_pattern(target) and not any(is_about(target, key) for key in known):
            complain(f"warning: of the jobs known now {target} means none")
    except CommandError as error:
        return _refused(error)
    return 0


def pin(store: Store, operator: Operator, job: str, wanted: Sequence[str], terms: Terms) -> int:
    """Keep vertices of a running job at a parallelism, and the rest of the job as it is. 2 if that cannot be."""
    try:
        if is_pattern(job):
            raise CommandError(f"{job} means many jobs, whose vertices are not the same; name one job")
        target = target_of(job, known_jobs(store, operator))
        about = [status for status in store.statuses() if str(status.key) == target]
        vertices = [vertex for status in about for vertex in status.vertices]
        most = {name: number for status in about for name, number in _most(store, status).items()}
        given = [_pinned(text, vertices, most, target) for text in wanted]
        for name, parallelism in given:
            _give(store, _command(operator, target, (PIN + name, str(parallelism)), terms))
    except CommandError as error:
        return _refused(error)
    return 0


def unpin(store: Store, operator: Operator, job: str) -> int:
    """Take back what ``pin`` did. 1 if the job is not pinned, 2 if it is not known."""
    given = store.commands(operator.cluster, operator.now)
    try:
        target = job if any(c.target == job for c in given) else target_of(job, known_jobs(store, operator))
    except CommandError as error:
        return _refused(error)
    gone = [command for command in given if command.target == target and is_pin(command)]
    for command in gone:
        store.unset_command(command)
        say(f"{target}: {pinned_vertex(command)} is no longer pinned at {command.value}")
    if not gone:
        complain(f"{target} is not pinned")
    return 0 if gone else 1


def _most(store: Store, status: JobStatus) -> Mapping[VertexId, int]:
    """Return the maximum parallelism of a job's vertices; nothing of one that was not measured lately."""
    window = store.window(status.key, status.at - LATELY)
    return {} if window is None else {vertex.id: vertex.max_parallelism for vertex in window.topology.vertices}


def _pinned(text: str, vertices: Sequence[VertexStatus], most: Mapping[VertexId, int], job: str) -> tuple[str, int]:
    """Return the vertex and the parallelism that ``VERTEX=N`` means; the vertex by its name, or by its id where others
    have the same name. ``most`` is what Flink takes at the most. Raises CommandError."""
    name, equals, number = text.rpartition("=")
    if not equals or not re.fullmatch("[0-9]{1,5}", number) or not 1 <= int(number) <= LARGEST:
        raise CommandError(f"{text!r} is not VERTEX=N with a parallelism of at least 1 and at most {LARGEST}")
    shown = short_names(vertices)
    found = [v for v in vertices if name in (v.id, v.name, short_name(v.name), shown[v.id])]
    if len(found) != 1:
        if found:
            ids = ", ".join(v.id for v in found)
            raise CommandError(f"several vertices are called {name!r} in {job}; name one by its id: {ids}")
        names = ", ".join(shown.values()) or "none, it was not measured yet"
        raise CommandError(f"no vertex is called {name!r} in {job}; it has: {names}")
    (vertex,) = found
    if int(number) > most.get(vertex.id, LARGEST):
        raise CommandError(
            f"{name} of {job} has a maximum parallelism of {most[vertex.id]}; Flink would refuse {number}"
        )
    alike = [v for v in vertices if v.name == vertex.name]
    return vertex.id if len(alike) > 1 else vertex.name, int(number)


def _command(operator: Operator, target: str, setting: tuple[str, str], terms: Terms) -> Command:
    """Raises CommandError for a duration that cannot be meant."""
    return Command(
        cluster=operator.cluster,
        target=target,
        option=setting[0],
        value=setting[1],
        by=operator.user,
        at=operator.now,
        until=None if terms.duration is None else operator.now + lasting(terms.duration),
        why=terms.why,
    )


def _give(store: Store, command: Command) -> None:
    store.set_command(command)
    say(
        f"{command.target}: {command.option} is {command.value}{_ending(command)}; no rescale is sent before a running "
        "daemon takes it up, within its discovery interval"
    )


def unset_option(store: Store, operator: Operator, job: str, name: str | None) -> int:
    """Take back what a command set of an option, or all that commands set. 1 if nothing is set, 2 if it cannot be."""
    given = store.commands(operator.cluster, operator.now)
    known = known_jobs(store, operator)
    try:
        option = None if name is None else commandable(name, operator.profile).full_name
        # A job may be forgotten while a command for it still stands.
        target = job if any(command.target == job for command in given) else target_of(job, known)
    except CommandError as error:
        return _refused(error)

    def meant(command: Command) -> bool:
        return option in (None, command.option)

    gone = [command for command in given if command.target == target and meant(command)]
    for command in gone:
        store.unset_command(command)
        say(f"{target}: {command.option} is no longer {command.value}")
    keys = [key for key in known if is_about(target, key)]
    others = [command for key in keys for command in in_force(given, key, operator.now) if command.target != target]
    for command in dict.fromkeys(filter(meant, others)):
        complain(f"{command.target} still sets {command.option} to {command.value}")
    if not gone:
        complain(f"no command sets {option or 'anything'} of {target}")
        return 1
    return 0


def show_commands(store: Store, operator: Operator, *, as_json: bool) -> int:
    """Print the commands in force."""
    found = sorted(store.commands(operator.cluster, operator.now), key=lambda command: (command.target, command.option))
    if as_json:
        print_json(found)
    elif found:
        print_table(_COLUMNS, [_row(command) for command in found])
    else:
        complain("no command is in force")
    return 0


def known_jobs(store: Store, operator: Operator) -> list[JobKey]:
    """Return the jobs of the cluster, without the applications that are listed because nothing is known of their jobs:
    a command for one of those would reach no job."""
    unknown = {status.key for status in store.statuses() if status.key.job == status.application_id}
    everywhere = store.keys()
    return [key for key in everywhere if key.cluster == operator.cluster and key not in unknown]


def target_of(job: str, known: Sequence[JobKey]) -> str:
    """Return the one known job that goes by a name, in full; a pattern as it is. Raises CommandError."""
    if is_pattern(job):
        return job
    return str(job_called(job, known, ", or all jobs of an application as APPLICATION/*"))


def checked(option: str, value: str, profile: str) -> None:
    """Print what is doubtful about a value. Raises CommandError if it cannot be used."""
    problems = check_value(option, value, _TYPED, profile, VALIDATORS)
    wrong = [problem.message for problem in problems if problem.severity is Severity.ERROR]
    if wrong:
        raise CommandError("; ".join(wrong))
    for problem in problems:
        if problem.severity is Severity.WARNING:
            complain(f"warning: {problem.message}")


def lasting(duration: str) -> Millis:
    """Return how long a command is to hold. Raises CommandError."""
    try:
        wanted = parse_duration(duration)
    except GrammarError as error:
        raise CommandError(f"--for is {duration!r}, which cannot be read: {error.advice}") from None
    if wanted < SHORTEST:
        raise CommandError(f"--for is {duration!r}, which is {wanted} ms: write a unit, such as 30 min or 2 h")
    return wanted


def _ending(command: Command) -> str:
    return " until it is unset" if command.until is None else f" until {clock_time(command.until)} UTC"


def _row(command: Command) -> tuple[str, ...]:
    until = "-" if command.until is None else clock_time(command.until)
    return command.target, command.option, command.value, command.by, clock_time(command.at), until, command.why or "-"


def _refused(error: CommandError) -> int:
    complain(str(error))
    return 2

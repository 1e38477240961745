"""Moving here from Apache Flink's standalone autoscaler: what each key of its configuration means now."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping

from autoscaler.options.checks import Validator, check_value
from autoscaler.options.grammar import GrammarError, format_duration, parse_duration
from autoscaler.options.keys import APACHE
from autoscaler.options.layers import Entry
from autoscaler.options.names import find, is_ours, nearest
from autoscaler.options.problems import Problem, Severity

PREFIX = "autoscaler.standalone."

_JDBC = re.compile(r"jdbc:(?P<kind>\w+)://(?:[^@/?;#()]*@)?(?P<place>[\w.,:\[\]-]+/[\w.-]+)(?:[?;][^@]*)?")
_VARIABLE = re.compile(r"[A-Z_][A-Z0-9_]*")

_Advice = tuple[Severity, str]


def migrate(entries: Mapping[str, Entry], validators: Mapping[str, Validator] | None = None) -> tuple[Problem, ...]:
    """Say of each key of such a configuration what it means here, in the order given, and what is wrong with it.

    The defaults of the reference are those of ``profile: apache``, which is what makes an option that is not
    set mean the same here.
    """
    return tuple(problem for key, entry in entries.items() for problem in _said_of(key, entry, validators or {}))


def _said_of(key: str, entry: Entry, validators: Mapping[str, Validator]) -> Iterator[Problem]:
    spelling = find(key, APACHE)
    if spelling is not None and not spelling.key.not_applicable:
        found = check_value(key, entry.value, entry.source, APACHE, validators)
        yield from (problem for problem in found if problem.severity is not Severity.INFO)
        if any(problem.severity is Severity.ERROR for problem in found):
            return
    severity, message = _advice(key, entry)
    # Keys of Flink's own may be secrets, and so may what stands where a database is described.
    shown = is_ours(key) or (key.removeprefix(PREFIX) in _MEANINGS and not key.startswith(f"{PREFIX}jdbc."))
    value = entry.value if shown else ""
    yield Problem(severity=severity, key=key, value=value, source=entry.source, message=message)


def _advice(key: str, entry: Entry) -> _Advice:
    if key.startswith(PREFIX):
        meaning = _MEANINGS.get(key.removeprefix(PREFIX))
        if meaning is None:
            return Severity.WARNING, f"{key} is not known; it has no effect here"
        return meaning(entry.value)
    if is_ours(key):
        return _of_option(key)
    return Severity.INFO, f"{key} is Flink's own: it is read from each application, not from here"


def _of_option(key: str) -> _Advice:
    spelling = find(key, APACHE)
    if spelling is None:
        similar = nearest(key, APACHE)
        return Severity.WARNING, f"{key} is not an option" + (f"; did you mean {similar}?" if similar else "")
    if spelling.key.not_applicable:
        return Severity.WARNING, f"{key} has no effect here: {spelling.key.not_applicable}"
    name = spelling.key.full_name
    meaning = "means the same here" if name == key else f"is an older name of {name} and means the same here"
    return Severity.INFO, f"{key} {meaning}: put it into flink-conf, or into `set` of a rule for all jobs"


def _interval(value: str) -> _Advice:
    try:
        written = format_duration(parse_duration(value))
    except GrammarError as error:
        return Severity.ERROR, f"{value!r} cannot be read: {error.advice}"
    return Severity.INFO, (
        "every job has its own interval here: put "
        f"job.autoscaler.decision.interval: {written} into flink-conf or a rule for all jobs"
    )


def _workers(value: str) -> _Advice:
    return Severity.INFO, (
        f"{value} jobs at once become `workers`, which is at most 64; a few will do, as no pass waits for another"
    )


def _state_store(value: str) -> _Advice:
    if value.upper() == "MEMORY":
        return Severity.INFO, (
            "nothing to do: history is kept in a SQLite file and outlives a restart, unless `store.url` says otherwise"
        )
    return (
        Severity.INFO,
        "put the address of the database into `store.url`; the old tables are not taken over",
    )


def _database(value: str) -> _Advice:
    """The address without user, password and parameters, or none where it cannot be told from these."""
    read = _JDBC.fullmatch(value)
    kind, place = (read["kind"], read["place"]) if read is not None else ("mysql", "host/database")
    written = "write it as" if read is not None else "only the form jdbc:mysql://host/database is read; write"
    return Severity.INFO, (
        f"{written} an SQLAlchemy URL with user and password: `store.url: {kind}://user:password@{place}`; parameters "
        "and the old tables are not taken over"
    )


def _password(value: str) -> _Advice:
    named = value if _VARIABLE.fullmatch(value) else "the variable named here"
    return Severity.INFO, (
        "the password is part of the store's URL: set AUTOSCALER_STORE__URL to the whole URL, as you set "
        f"{named} to the password"
    )


def _always(message: str) -> Callable[[str], _Advice]:
    return lambda _: (Severity.INFO, message)


_FOUND = "not needed: jobs are found through YARN; name its ResourceManager in `resource_managers`"
_EVENTS = "not needed: events are logged and stored, whatever the store"

_MEANINGS: Mapping[str, Callable[[str], _Advice]] = {
    "control-loop.interval": _interval,
    "control-loop.parallelism": _workers,
    "fetcher.flink-cluster.host": _always(_FOUND),
    "fetcher.flink-cluster.port": _always(_FOUND),
    "state-store.type": _state_store,
    "event-handler.type": _always(_EVENTS),
    "jdbc.url": _database,
    "jdbc.username": _always("the user is part of the store's URL, `store.url`"),
    "jdbc.password-env-variable": _password,
    "jdbc.event-handler.ttl": _always("not needed: decisions and what came of them are kept for 90 days"),
}

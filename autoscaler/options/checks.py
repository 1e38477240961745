"""What is wrong, or probably not meant, in a resolved configuration."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from difflib import SequenceMatcher
from functools import lru_cache

from autoscaler.model import Policy
from autoscaler.options.grammar import format_duration, has_unit, parse_duration, parse_list
from autoscaler.options.keys import ALIGNMENT, DURATION, ID_LIST, PREFIX, PROFILES, Key
from autoscaler.options.layers import Entry, Layer, Resolved, Setting, resolve
from autoscaler.options.names import find, is_ours, nearest, read
from autoscaler.options.policy import policy
from autoscaler.options.problems import OptionError, Problem, Severity, is_unexpanded, unexpanded

# Says what is wrong with a value that can be read, None if nothing is.
Validator = Callable[[str], str | None]

_STANDALONE_PREFIX = "autoscaler.standalone."
_VERTEX_ID = re.compile(r"[0-9a-f]{32}")

# A duration without a unit and below this share of the key's default was probably meant in seconds or
# minutes: "600" or "3600" for a window of 10 minutes, but not "60000".
_SUSPICIOUS_SHARE = 100
_ALWAYS_SUSPICIOUS_MS = 1_000


def check(resolved: Resolved, validators: Mapping[str, Validator] | None = None) -> tuple[Problem, ...]:
    """Return every problem of a configuration, errors first.

    ``validators`` look closer at the values of a key, by its name without prefix: what a cron expression or a
    time zone is, is not known here.
    """
    found: list[Problem] = []
    for setting in resolved.settings.values():
        if setting.key is not None and resolved.chosen(setting.key.name) is None:
            continue
        if setting.key is not None:
            found += _about_option(setting, setting.key, resolved, validators or {})
        else:
            found += _about_other(setting, resolved.profile)
    found += _about_quota(resolved)
    if not any(problem.severity is Severity.ERROR for problem in found):
        found += _about_relations(resolved)
    order = list(Severity)
    return tuple(sorted(found, key=lambda problem: order.index(problem.severity)))


def check_value(
    name: str, value: str, source: str, profile: str, validators: Mapping[str, Validator] | None = None
) -> tuple[Problem, ...]:
    """Return what is wrong with the value of an option, whatever it will stand beside."""
    written = Layer(name=source, entries={name: Entry(value=value, source=source)})
    resolved = resolve([written], profile)
    return tuple(
        problem
        for setting in resolved.settings.values()
        if setting.key is not None
        for problem in _about_option(setting, setting.key, resolved, validators or {})
    )


def concerns_us(text: str) -> bool:
    """Tell whether a key as written is an option, or was probably meant for one; all others are Flink's own."""
    return is_ours(text) or text.startswith(_STANDALONE_PREFIX) or _resembles_prefix(text)


def _about_option(
    setting: Setting, key: Key, resolved: Resolved, validators: Mapping[str, Validator]
) -> Iterator[Problem]:
    spelling = find(setting.spelling, resolved.profile)
    assert spelling is not None
    if spelling.old:
        yield _problem(Severity.INFO, setting, f"{setting.spelling} is an older name of {setting.name}")
    if key.not_applicable:
        yield _not_applicable(setting, key, resolved.profile)
    elif (winner := _superseding(key, resolved)) is not None:
        yield _problem(Severity.INFO, setting, f"{setting.spelling} has no effect, as {winner} is set")
    elif is_unexpanded(setting.value):
        yield unexpanded(setting.spelling, setting.value, setting.source, severity=Severity.ERROR)
    else:
        try:
            read(spelling, setting.value, setting.source)
        except OptionError as error:
            yield error.problem()
        else:
            yield from _about_value(setting, key, validators)


def _superseding(key: Key, resolved: Resolved) -> str | None:
    winners = [name for name in key.superseded_by if resolved.chosen(name) is not None]
    if not winners or len(winners) < len(key.superseded_by):
        return None
    return " and ".join(PREFIX + name for name in winners)


def _about_value(setting: Setting, key: Key, validators: Mapping[str, Validator]) -> Iterator[Problem]:
    """Look closer at a value that can be read."""
    if key.type is DURATION and not has_unit(setting.value) and _is_suspicious(setting.value, key):
        meant = format_duration(parse_duration(setting.value))
        message = f"{setting.spelling} is {setting.value!r}, which means {meant}: a duration without a unit is in "
        yield _problem(Severity.WARNING, setting, f"{message}milliseconds; add s, min or h")
    if key.type is ALIGNMENT and setting.value not in key.type.name.split(", "):
        message = f"{setting.spelling} is {setting.value!r}, which counts as BALANCED: write one of {key.type.name}"
        yield _problem(Severity.WARNING, setting, message)
    if key.type is ID_LIST:
        for item in parse_list(setting.value):
            if _VERTEX_ID.fullmatch(item) is None:
                message = f"{item!r} in {setting.spelling} matches no vertex: an id has 32 lower-case hex digits"
                yield _problem(Severity.WARNING, setting, message)
    validator = validators.get(key.name)
    if validator is not None and (wrong := validator(setting.value)) is not None:
        message = f"{setting.spelling} is {setting.value!r}, which cannot be used: {wrong}"
        yield _problem(Severity.ERROR, setting, message)


def _is_suspicious(text: str, key: Key) -> bool:
    usual = max(parse_duration(key.default(profile) or "0") for profile in PROFILES)
    return 0 < parse_duration(text) < max(_ALWAYS_SUSPICIOUS_MS, usual // _SUSPICIOUS_SHARE)


def _not_applicable(setting: Setting, key: Key, profile: str) -> Problem:
    # Spelling a default out changes nothing, wherever it is read.
    severity = Severity.INFO if setting.value == key.default(profile) else Severity.WARNING
    return _problem(severity, setting, f"{setting.spelling} has no effect here: {key.not_applicable}")


def _about_other(setting: Setting, profile: str) -> Iterator[Problem]:
    """Look at a key that is no option: one of a family, or one that was meant to be an option."""
    family = find(setting.spelling, profile)
    if family is not None:
        yield _not_applicable(setting, family.key, profile)
    elif is_ours(setting.spelling):
        similar = nearest(setting.spelling, profile)
        hint = f"; did you mean {similar}?" if similar else ""
        yield _problem(Severity.WARNING, setting, f"{setting.spelling} is not an option{hint}")
    elif setting.spelling.startswith(_STANDALONE_PREFIX):
        message = f"{setting.spelling} belongs to Apache Flink's standalone autoscaler; it has no effect"
        yield _problem(Severity.INFO, setting, message)
    elif _resembles_prefix(setting.spelling):
        message = f"{setting.spelling} is not read: the keys of options begin with {PREFIX}"
        yield _problem(Severity.WARNING, setting, message)


@lru_cache(maxsize=4096)
def _resembles_prefix(text: str) -> bool:
    head = ".".join(text.split(".")[:2]) + "."
    return "autoscaler" in text.lower() or SequenceMatcher(None, head, PREFIX).ratio() > 0.85


def _about_quota(resolved: Resolved) -> Iterator[Problem]:
    """A limit that nothing can be held against limits nothing, which its owner should know."""
    quota, size = resolved.chosen("quota.memory"), "taskmanager.memory.process.size"
    if quota is not None and size not in resolved.settings:
        message = f"{quota.spelling} limits nothing: what a TaskManager takes is not known, as {size} is not set"
        yield _problem(Severity.WARNING, quota, message)


def _about_relations(resolved: Resolved) -> Iterator[Problem]:
    """Hold values against each other; every single one can be read."""
    wanted = policy(resolved.flat(), resolved.profile)
    for involved, relation in _RELATIONS:
        wrong = relation(wanted)
        if wrong is None:
            continue
        setting = next((found for name in involved if (found := resolved.chosen(name)) is not None), None)
        yield Problem(
            severity=Severity.ERROR,
            key=PREFIX + involved[0] if setting is None else setting.spelling,
            value="" if setting is None else setting.value,
            source=f"profile {resolved.profile}" if setting is None else setting.source,
            message=wrong,
        )


def _parallelism_has_room(wanted: Policy) -> str | None:
    if wanted.min_parallelism <= wanted.max_parallelism:
        return None
    return (
        f"vertex.min-parallelism is {wanted.min_parallelism}, above vertex.max-parallelism, "
        f"which is {wanted.max_parallelism}"
    )


def _target_is_within_limits(wanted: Policy) -> str | None:
    target = wanted.utilization_target
    low = target - wanted.utilization_boundary if wanted.utilization_min is None else wanted.utilization_min
    high = target + wanted.utilization_boundary if wanted.utilization_max is None else wanted.utilization_max
    if low <= target <= high:
        return None
    return (
        f"utilization.target is {target:g}, outside utilization.min to utilization.max, "
        f"which is {low:g} to {high:g}: every rescale would ask for the next one"
    )


def _window_holds_two_samples(wanted: Policy) -> str | None:
    if wanted.decision_interval <= wanted.metrics_window:
        return None
    return (
        f"decision.interval is {format_duration(wanted.decision_interval)}, longer than metrics.window, "
        f"which is {format_duration(wanted.metrics_window)}: there is never more than one sample to decide on"
    )


# The names a relation is about, the likeliest culprit first, and the relation itself.
_RELATIONS: tuple[tuple[tuple[str, ...], Callable[[Policy], str | None]], ...] = (
    (("vertex.min-parallelism", "vertex.max-parallelism"), _parallelism_has_room),
    (("utilization.min", "utilization.max", "utilization.target"), _target_is_within_limits),
    (("metrics.window", "decision.interval"), _window_holds_two_samples),
)


def _problem(severity: Severity, setting: Setting, message: str) -> Problem:
    return Problem(severity=severity, key=setting.spelling, value=setting.value, source=setting.source, message=message)

"""Flink's two configuration files, read as Flink reads them, each value with its line."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

import yaml

from autoscaler.options.core_schema import NULL, compose, printed
from autoscaler.options.grammar import trimmed
from autoscaler.options.layers import Entry
from autoscaler.options.names import is_ours
from autoscaler.options.problems import Problem, Severity, is_unexpanded, unexpanded

_LINE_END = re.compile(r"\r\n|\r|\n")
_TEMPLATE = re.compile(r"%\{[^}]*\}?")
_NOT_IN_A_KEY = re.compile(r"[:=\s]")

# A pair of the flattened file: key, value as Flink prints it, line.
_Pair = tuple[str, str, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class ConfigFile:
    """What a file sets, and what is wrong with it."""

    entries: dict[str, Entry]
    problems: tuple[Problem, ...]


def parse_flink_conf(text: str, source: str) -> ConfigFile:
    """Read a legacy ``flink-conf.yaml``: ``key: value`` lines, cut at the first ``#``, quotes kept.

    A line Flink would skip, and a value it would cut short, is a problem.
    """
    pairs: list[_Pair] = []
    problems: list[Problem] = []
    for number, line in enumerate(_LINE_END.split(text), start=1):
        before, hash_sign, _ = line.partition("#")
        content = trimmed(before)
        if not content:
            continue
        raw_key, separator, raw_value = content.partition(": ")
        key, value = trimmed(raw_key), trimmed(raw_value)
        where = f"{source}:{number}"
        if not key or not value:
            # Only an option is named: of other lines any part may be a password.
            name = _NOT_IN_A_KEY.split(key)[0] if is_ours(key) else ""
            why = "a key or a value is missing" if separator else "there is no ': ' between key and value"
            message = f"Flink skips this line{f', and {name} is not set' if name else ''}: {why}"
            problems.append(_problem(Severity.WARNING, name, where, message))
            continue
        if hash_sign and not before[-1].isspace():
            message = f"the value of {key} ends at the '#': Flink takes the rest of the line as a comment"
            problems.append(_problem(Severity.WARNING, key, where, message))
        pairs.append((key, value, number))
    return _config_file(pairs, problems, source)


def parse_config_yaml(text: str, source: str) -> ConfigFile:
    """Read a standard ``config.yaml``: YAML 1.2, nested or flat, values as the text Flink holds for them."""
    try:
        root = compose(text)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        where = f"{source}:{mark.line + 1}" if mark else source
        return _unreadable(where, f"this is not YAML: {error.problem or error.context}")
    except yaml.YAMLError as error:
        return _unreadable(source, f"this is not YAML: {error}")
    if root is None:
        return ConfigFile(entries={}, problems=())
    if not isinstance(root, yaml.MappingNode):
        return _unreadable(f"{source}:1", "this is not a map of keys and values")
    problems: list[Problem] = []
    pairs = list(_flattened(root, "", source, problems))
    return _config_file(pairs, problems, source)


def _flattened(node: yaml.MappingNode, prefix: str, source: str, problems: list[Problem]) -> Iterator[_Pair]:
    seen: set[str] = set()
    for key_node, value in node.value:
        line = key_node.start_mark.line + 1
        where = f"{source}:{line}"
        key = prefix + (key_node.value if isinstance(key_node, yaml.ScalarNode) else printed(key_node))
        if key in seen:
            problems.append(_problem(Severity.ERROR, key, where, f"{key} is set twice: Flink does not start"))
        seen.add(key)
        if value.tag == NULL:
            problems.append(_problem(Severity.ERROR, key, where, f"{key} has no value: Flink does not start"))
        elif isinstance(value, yaml.MappingNode):
            yield from _flattened(value, f"{key}.", source, problems)
        else:
            yield key, printed(value), line


def _config_file(pairs: list[_Pair], problems: list[Problem], source: str) -> ConfigFile:
    entries: dict[str, Entry] = {}
    for key, value, line in pairs:
        where = f"{source}:{line}"
        if key in entries:
            message = f"{key} is set again: this value replaces the one at {entries[key].source}"
            problems.append(_problem(Severity.WARNING, key, where, message))
        if is_unexpanded(value):
            ours = is_ours(key)
            severity = Severity.ERROR if ours else Severity.WARNING
            # what stands around the template may be a password where the key is not one of ours
            shown = value if ours else " ".join(_TEMPLATE.findall(value))
            problems.append(unexpanded(key, shown, where, severity=severity))
        entries[key] = Entry(value=value, source=where)
    return ConfigFile(entries=entries, problems=tuple(problems))


def _unreadable(where: str, message: str) -> ConfigFile:
    return ConfigFile(entries={}, problems=(_problem(Severity.ERROR, "", where, message),))


def _problem(severity: Severity, key: str, where: str, message: str) -> Problem:
    return Problem(severity=severity, key=key, value="", source=where, message=message)

"""Rules of an operator in conf/autoscaler.yaml: options of jobs, and limits of single vertices, by pattern.

A rule has a ``match`` and a ``set``. If it matches by ``application`` and ``job`` alone, it sets options of
those jobs. With ``vertex``, ``role`` or ``id`` it sets what holds for the vertices it matches in them. Later
rules win.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from difflib import get_close_matches
from fnmatch import fnmatchcase
from functools import lru_cache

from autoscaler.model import Policy, Topology, Vertex, VertexId, VertexRule, frozen
from autoscaler.options.core_schema import java_double
from autoscaler.options.layers import Entry, Layer
from autoscaler.options.names import is_ours, named, nearest, read
from autoscaler.options.problems import OptionError, Problem, Severity

_REGEX = "re:"
_OF_VERTICES = ("vertex", "role", "id")
_CRITERIA = ("application", "job", *_OF_VERTICES)
_ROLES = ("source", "sink")
_NO_LIMITS = VertexRule()
_VERTEX_SETTINGS = ("min", "max", "exclude", "utilization", "keep-equal-to")


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """One rule; ``match`` holds its patterns by what they are held against, all of which must fit.

    ``options`` are full keys with their values as text. ``limits`` and ``keep_equal_to``, the pattern of
    another vertex, are for the vertices it matches.
    """

    source: str
    match: Mapping[str, str]
    options: Mapping[str, str]
    limits: VertexRule = _NO_LIMITS
    keep_equal_to: str | None = None

    @property
    def is_of_vertices(self) -> bool:
        return any(criterion in self.match for criterion in _OF_VERTICES)

    def matches_job(self, application: str, job: str) -> bool:
        """Tell whether the rule is about this job, or about vertices in it."""
        return self._fits("application", application) and self._fits("job", job)

    def matched_vertices(self, topology: Topology) -> tuple[Vertex, ...]:
        """Return the vertices the rule is about, in a job it matches."""
        consumed = {edge.id for vertex in topology.vertices for edge in vertex.inputs}
        return tuple(
            vertex
            for vertex in topology.vertices
            if self._fits("vertex", vertex.name)
            and self._fits("id", vertex.id)
            and ("role" not in self.match or self.match["role"] in _roles(vertex, consumed))
        )

    def _fits(self, criterion: str, text: str) -> bool:
        return criterion not in self.match or fits(self.match[criterion], text)


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """The rules that can be used, in the order they were written, and what is wrong with the others."""

    rules: tuple[Rule, ...]
    problems: tuple[Problem, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class KnownJob:
    """A job a rule could be about."""

    application: str
    job: str
    topology: Topology


def fits(pattern: str, text: str) -> bool:
    """Tell whether a whole text fits a shell glob or, after ``re:``, a regular expression. Case counts."""
    if pattern.startswith(_REGEX):
        return re.fullmatch(pattern.removeprefix(_REGEX), text) is not None
    return fnmatchcase(text, pattern)


def _roles(vertex: Vertex, consumed: set[VertexId]) -> set[str]:
    return ({"source"} if vertex.is_source else set()) | ({"sink"} if vertex.id not in consumed else set())


# ------------------------------------------------------------------ what rules say


def job_layers(rules: Iterable[Rule], application: str, job: str) -> tuple[Layer, ...]:
    """Return the options rules set for a job, one layer for each rule that matches it."""
    return tuple(
        Layer(
            name=rule.source,
            entries={key: Entry(value=text, source=rule.source) for key, text in rule.options.items()},
        )
        for rule in rules
        if rule.options and rule.matches_job(application, job)
    )


def policy_for(policy: Policy, rules: Iterable[Rule], application: str, job: str) -> Callable[[Topology], Policy]:
    """Return what gives the policy of a job once its vertices are known, with what rules say of them.

    Patterns are matched anew only when the topology changes; without rules it is ``policy`` itself.
    """
    about = tuple(rule for rule in rules if rule.is_of_vertices and rule.matches_job(application, job))
    if not about:
        return lambda _: policy

    @lru_cache(maxsize=1)
    def with_vertex_rules(topology: Topology) -> Policy:
        return replace(policy, vertex_rules=frozen(vertex_rules(about, application, job, topology)))

    return with_vertex_rules


def vertex_rules(rules: Iterable[Rule], application: str, job: str, topology: Topology) -> dict[VertexId, VertexRule]:
    """Return what rules say of the vertices of a job; vertices no rule is about are not in it."""
    said: dict[VertexId, VertexRule] = {}
    for rule in rules:
        if rule.is_of_vertices and rule.matches_job(application, job):
            for vertex in rule.matched_vertices(topology):
                said[vertex.id] = _over(rule, vertex, topology, said.get(vertex.id, VertexRule()))
    return said


def _over(rule: Rule, vertex: Vertex, topology: Topology, below: VertexRule) -> VertexRule:
    limits = replace(rule.limits, keep_equal_to=_model_of(rule, vertex, topology))
    values = ((field.name, getattr(limits, field.name)) for field in fields(VertexRule))
    return replace(below, **{name: value for name, value in values if value is not None})


def _model_of(rule: Rule, vertex: Vertex, topology: Topology) -> VertexId | None:
    """Return the other vertex this one is to be kept equal to."""
    if rule.keep_equal_to is None:
        return None
    for other in topology.vertices:
        if other.id != vertex.id and (other.id == rule.keep_equal_to or fits(rule.keep_equal_to, other.name)):
            return other.id
    return None


def unmatched(rules: Sequence[Rule], jobs: Sequence[KnownJob]) -> tuple[Problem, ...]:
    """Return a warning for each rule that does nothing in any of these jobs, and for those that contradict."""
    found: list[Problem] = []
    for rule in rules:
        matched = [known for known in jobs if rule.matches_job(known.application, known.job)]
        if not matched:
            found.append(_problem(Severity.WARNING, rule.source, "this rule matches no job"))
        elif rule.is_of_vertices:
            found += _unmatched_in(rule, matched)
    return (*found, *_circles(rules, jobs))


def _unmatched_in(rule: Rule, jobs: Sequence[KnownJob]) -> list[Problem]:
    vertices = [(vertex, known.topology) for known in jobs for vertex in rule.matched_vertices(known.topology)]
    if not vertices:
        return [_problem(Severity.WARNING, rule.source, "this rule matches no vertex of the jobs it matches")]
    if rule.keep_equal_to is not None and all(
        _model_of(rule, vertex, topology) is None for vertex, topology in vertices
    ):
        message = f"keep-equal-to: {rule.keep_equal_to!r} matches no other vertex"
        return [_problem(Severity.WARNING, rule.source, message)]
    return []


def _circles(rules: Sequence[Rule], jobs: Sequence[KnownJob]) -> Iterator[Problem]:
    """Warn of vertices that are to be kept equal to each other in a circle, where nobody leads."""
    about = [rule for rule in rules if rule.keep_equal_to is not None]
    for known in jobs:
        said = vertex_rules(about, known.application, known.job, known.topology)
        circle = [vertex.name for vertex in known.topology.vertices if _leads_itself(vertex.id, said)]
        if circle:
            message = (
                f"keep-equal-to leads in a circle in {known.application}/{known.job}, so it counts for none of "
                f"{', '.join(circle)}"
            )
            sources = (rule.source for rule in about if rule.matches_job(known.application, known.job))
            yield _problem(Severity.WARNING, next(sources), message)


def _leads_itself(start: VertexId, said: Mapping[VertexId, VertexRule]) -> bool:
    leader = said[start].keep_equal_to if start in said else None
    for _ in said:  # a chain that is longer than this has met one vertex twice
        if leader is None or leader == start:
            break
        leader = said[leader].keep_equal_to if leader in said else None
    return leader == start


# ------------------------------------------------------------------ how rules are written


class _RuleError(ValueError):
    """What is wrong with one rule, and where in it."""

    def __init__(self, path: str, message: str) -> None:
        super().__init__(message)
        self.path = path


def parse_rules(written: object, source: str, lines: Sequence[int] = ()) -> Rules:
    """Read rules from the plain values of a YAML file; ``source`` names the file in every message.

    ``lines`` says where in the file each rule begins, if it stands in one. A rule that cannot be used is left out
    and reported; the others stand.
    """
    if written is None:
        return Rules(rules=(), problems=())
    if not isinstance(written, Sequence) or isinstance(written, str):
        return Rules(rules=(), problems=(_problem(Severity.ERROR, f"{source}: rules", "expected a list of rules"),))
    rules: list[Rule] = []
    problems: list[Problem] = []
    for index, one in enumerate(written):
        where = f"{source}:{lines[index]}: rules[{index}]" if lines else f"{source}: rules[{index}]"
        try:
            rules.append(_rule(one, where))
        except _RuleError as wrong:
            problems.append(_problem(Severity.ERROR, where + wrong.path, str(wrong)))
    return Rules(rules=tuple(rules), problems=tuple(problems))


def _rule(written: object, source: str) -> Rule:
    parts = _map(written, "")
    _only_known(parts, ("match", "set"), "")
    match = _patterns(_map(parts.get("match", {}), ".match"))
    settings = _map(parts.get("set", {}), ".set")
    if not settings:
        raise _RuleError(".set", "a rule without settings does nothing")
    if any(criterion in match for criterion in _OF_VERTICES):
        limits, keep_equal_to = _limits(settings)
        return Rule(source=source, match=match, options={}, limits=limits, keep_equal_to=keep_equal_to)
    return Rule(source=source, match=match, options=dict(_option(*pair, source) for pair in settings.items()))


def _map(written: object, path: str) -> Mapping[str, object]:
    if not isinstance(written, Mapping):
        raise _RuleError(path, f"expected a map, found {written!r}")
    return {str(key): value for key, value in written.items()}


def _only_known(written: Mapping[str, object], known: Sequence[str], path: str) -> None:
    for key in written:
        if key not in known:
            close = get_close_matches(key, known, n=1)
            hint = f"did you mean {close[0]}?" if close else f"known here: {', '.join(known)}"
            raise _RuleError(f"{path}.{key}", f"unknown; {hint}")


def _patterns(written: Mapping[str, object]) -> dict[str, str]:
    _only_known(written, _CRITERIA, ".match")
    for criterion, pattern in written.items():
        _check_pattern(pattern, f".match.{criterion}")
        if criterion == "role" and pattern not in _ROLES:
            raise _RuleError(".match.role", f"expected source or sink, found {pattern!r}")
    return {criterion: str(pattern) for criterion, pattern in written.items()}


def _check_pattern(written: object, path: str) -> None:
    if not isinstance(written, str) or not written:
        raise _RuleError(path, f"expected a pattern in quotes, found {written!r}")
    if written.startswith(_REGEX):
        try:
            re.compile(written.removeprefix(_REGEX))
        except re.error as error:
            raise _RuleError(path, f"{written!r} is no regular expression: {error}") from None


def _option(key: str, value: object, source: str) -> tuple[str, str]:
    path = f".set.{key}"
    spelling = named(key)
    text = _text(value, path)
    if spelling is None:
        # An unknown key with the prefix is a matter of the checks, as it is in every other layer.
        if is_ours(key):
            return key, text
        if key in _VERTEX_SETTINGS:
            needed = ", ".join(_OF_VERTICES)
            raise _RuleError(path, f"{key} is of vertices: say which in match, by one of {needed}")
        similar = nearest(key)
        raise _RuleError(path, f"{key} is not an option" + (f"; did you mean {similar}?" if similar else ""))
    try:
        read(spelling, text, source)
    except OptionError as error:
        raise _RuleError(path, f"{text!r} cannot be read: {error.advice}") from None
    return spelling.text, text


def _text(value: object, path: str) -> str:
    """Return a value of a YAML file as one would write it in a Flink configuration."""
    match value:
        case bool():
            return str(value).lower()
        case int() | str():
            return str(value)
        case float():
            return java_double(value)
        case list():
            return ";".join(_quoted(_text(item, path)) for item in value)
    raise _RuleError(path, f"expected a text, a number, true, false or a list, found {value!r}")


def _quoted(item: str) -> str:
    if ";" not in item and item == item.strip() and item[:1] not in ("", "'", '"'):
        return item
    return "'" + item.replace("'", "''") + "'"


def _limits(settings: Mapping[str, object]) -> tuple[VertexRule, str | None]:
    _only_known(settings, _VERTEX_SETTINGS, ".set")
    low, high = _parallelism(settings, "min"), _parallelism(settings, "max")
    if low is not None and high is not None and low > high:
        raise _RuleError(".set.min", f"{low} is more than max, which is {high}")
    excluded = settings.get("exclude")
    if not isinstance(excluded, bool | None):
        raise _RuleError(".set.exclude", f"expected true or false, found {excluded!r}")
    keep_equal_to = settings.get("keep-equal-to")
    if keep_equal_to is not None:
        _check_pattern(keep_equal_to, ".set.keep-equal-to")
    limits = VertexRule(
        min_parallelism=low, max_parallelism=high, excluded=excluded, utilization=_utilization(settings)
    )
    return limits, None if keep_equal_to is None else str(keep_equal_to)


def _parallelism(settings: Mapping[str, object], name: str) -> int | None:
    value = settings.get(name)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise _RuleError(f".set.{name}", f"expected a whole number of at least 1, found {value!r}")
    return value


def _utilization(settings: Mapping[str, object]) -> float | None:
    value = settings.get("utilization")
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value <= 1:
        raise _RuleError(".set.utilization", f"expected a number above 0 and up to 1, found {value!r}")
    return float(value)


def _problem(severity: Severity, source: str, message: str) -> Problem:
    return Problem(severity=severity, key="", value="", source=source, message=message)

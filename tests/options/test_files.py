"""Configuration files are read as Flink reads them, each value with its line."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from autoscaler.options.files import ConfigFile, parse_config_yaml, parse_flink_conf
from autoscaler.options.layers import Entry
from autoscaler.options.problems import Problem, Severity


def values(file: ConfigFile) -> dict[str, str]:
    return {key: entry.value for key, entry in file.entries.items()}


def only(file: ConfigFile) -> Problem:
    (problem,) = file.problems
    return problem


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        pytest.param("a.b: c", {"a.b": "c"}, id="plain"),
        pytest.param("  a.b:   c d  ", {"a.b": "c d"}, id="trimmed"),
        pytest.param("a: b: c", {"a": "b: c"}, id="colon-in-the-value"),
        pytest.param("a: hdfs://n:8020/x", {"a": "hdfs://n:8020/x"}, id="address"),
        pytest.param("a:b: c", {"a:b": "c"}, id="colon-in-the-key"),
        pytest.param("a : b", {"a": "b"}, id="blank-before-the-colon"),
        pytest.param("a: b # c", {"a": "b"}, id="comment-after-the-value"),
        pytest.param("# a: b", {}, id="comment"),
        pytest.param("", {}, id="empty"),
        pytest.param("a: 'b'", {"a": "'b'"}, id="quotes-stay"),
        pytest.param('a: "true"', {"a": '"true"'}, id="double-quotes-stay"),
        pytest.param("a: [x, y]", {"a": "[x, y]"}, id="yaml-means-nothing"),
    ],
)
def test_legacy_lines(line: str, expected: dict[str, str]) -> None:
    """A line is cut at the first # and split at the first colon with a blank; nothing else has a meaning."""
    file = parse_flink_conf(line, "flink-conf.yaml")
    assert values(file) == expected
    assert file.problems == ()


@pytest.mark.parametrize(
    ("line", "why"),
    [
        pytest.param("a:b", "there is no ': '", id="no-blank"),
        pytest.param("a:\tb", "there is no ': '", id="tab"),
        pytest.param("a", "there is no ': '", id="no-colon"),
        pytest.param("a: ", "there is no ': '", id="no-value"),
        pytest.param("a: # b", "there is no ': '", id="value-in-a-comment"),
        pytest.param(": b", "is missing", id="no-key"),
    ],
)
def test_legacy_lines_flink_skips(line: str, why: str) -> None:
    """A line Flink skips is reported with its number, without showing what may be a secret."""
    file = parse_flink_conf(f"x: y\n{line}\n", "flink-conf.yaml")
    assert values(file) == {"x": "y"}
    problem = only(file)
    assert problem.source == "flink-conf.yaml:2"
    assert problem.severity is Severity.WARNING
    assert why in problem.message


@pytest.mark.parametrize(
    ("line", "named"),
    [
        pytest.param("job.autoscaler.quota.cpu:5", "job.autoscaler.quota.cpu", id="no-blank"),
        pytest.param("job.autoscaler.quota.cpu = 5", "job.autoscaler.quota.cpu", id="equals-sign"),
        pytest.param("s3.secret-key=hush", "", id="perhaps-a-secret"),
    ],
)
def test_an_option_on_a_skipped_line_is_named(line: str, named: str) -> None:
    """An option that is not set because of its line is named; nothing of any other line is shown anywhere."""
    problem = only(parse_flink_conf(line, "conf"))
    assert problem.key == named
    assert (f"and {named} is not set" in problem.message) == bool(named)
    assert "hush" not in repr(problem)


def test_a_value_cut_at_a_hash_is_reported() -> None:
    """A # that touches the value ends it all the same, which is said."""
    file = parse_flink_conf("s3.key: ab#cd", "f")
    assert values(file) == {"s3.key": "ab"}
    assert str(only(file)) == (
        "f:1: warning: the value of s3.key ends at the '#': Flink takes the rest of the line as a comment"
    )


def test_legacy_entries_know_their_line() -> None:
    """Every value knows its file and line, whatever ends the lines."""
    file = parse_flink_conf("a: 1\r\n\rb: 2\nc: 3\x0bd: 4\n", "conf")
    assert file.entries == {
        "a": Entry(value="1", source="conf:1"),
        "b": Entry(value="2", source="conf:3"),
        "c": Entry(value="3\x0bd: 4", source="conf:4"),
    }


def test_a_later_line_wins_and_says_so() -> None:
    """Of two lines for one key the later one counts, and the earlier one is named."""
    file = parse_flink_conf("a: 1\na: 2", "conf")
    assert file.entries["a"] == Entry(value="2", source="conf:2")
    assert only(file).message == "a is set again: this value replaces the one at conf:1"


@pytest.mark.parametrize(
    ("key", "severity"),
    [
        ("high-availability.zookeeper.quorum", Severity.WARNING),
        ("job.autoscaler.metrics.window", Severity.ERROR),
        ("kubernetes.operator.job.autoscaler.metrics.window", Severity.ERROR),
    ],
)
def test_templates_are_reported_not_filled_in(key: str, severity: Severity) -> None:
    """A template that nothing has filled in stays as it is and is a problem, an error if it is an option's."""
    file = parse_flink_conf(f"{key}: %{{hiera('hadoop::zk')}}", "conf")
    assert values(file) == {key: "%{hiera('hadoop::zk')}"}
    assert only(file).severity is severity
    assert "a template nothing has filled in" in only(file).message


@given(st.text())
def test_any_legacy_file_is_read(text: str) -> None:
    """No text keeps the reader of legacy files from answering."""
    for entry in parse_flink_conf(text, "conf").entries.values():
        assert entry.value


YAML = """\
jobmanager:
  scheduler: adaptive
job.autoscaler:
  enabled: true
  metrics:
    window: 90000
  target.utilization: 0.70
  excluded.periods: ["0 0 9 * * ?", 9:30-10:30]
job.autoscaler.decision.interval: 10 s
none: {}
"""


def test_nested_and_flat_yaml() -> None:
    """Nested and dotted keys mean the same, and values are the text Flink holds for them."""
    file = parse_config_yaml(YAML, "config.yaml")
    assert file.problems == ()
    assert values(file) == {
        "jobmanager.scheduler": "adaptive",
        "job.autoscaler.enabled": "true",
        "job.autoscaler.metrics.window": "90000",
        "job.autoscaler.target.utilization": "0.7",
        "job.autoscaler.excluded.periods": "['0 0 9 * * ?', '9:30-10:30']",
        "job.autoscaler.decision.interval": "10 s",
    }
    assert file.entries["job.autoscaler.target.utilization"].source == "config.yaml:7"


@pytest.mark.parametrize(
    ("written", "shown"),
    [
        ("0x10", "16"),
        ("010", "10"),
        ("1e3", "1000.0"),
        ("0.70", "0.7"),
        ("yes", "yes"),
        ("2024-01-02", "2024-01-02"),
        ('"00123"', "00123"),
        ('""', ""),
        ("1 m", "1 m"),
        ("[]", "[]"),
        ("[x, 2, true]", "[x, 2, true]"),
        ("""[abc, "d;e", 'f: g']""", "[abc, d;e, 'f: g']"),
        ('["0 0 9 * * ?", "9:30-10:30 && * * * ? * 2-6"]', "['0 0 9 * * ?', '9:30-10:30 && * * * ? * 2-6']"),
        ("\"a;b;'c;d'\"", "a;b;'c;d'"),
        ("|\n  l1\n  l2\n", "l1\nl2\n"),
    ],
)
def test_values_as_flink_shows_them(written: str, shown: str) -> None:
    """A value of config.yaml is the text a JobManager of Flink 1.20 was seen to show for it."""
    assert values(parse_config_yaml(f"key: {written}", "c")) == {"key": shown}


@pytest.mark.parametrize("text", ["", "# nothing\n", "---\n"])
def test_an_empty_yaml_file_sets_nothing(text: str) -> None:
    """A file without content is no problem."""
    file = parse_config_yaml(text, "config.yaml")
    assert values(file) == {}


@pytest.mark.parametrize(
    ("text", "where", "message"),
    [
        pytest.param("a:\n  b:\n", "c:2", "a.b has no value: Flink does not start", id="null"),
        pytest.param("a: ~\n", "c:1", "a has no value: Flink does not start", id="tilde"),
        pytest.param("a: 1\na: 2\n", "c:2", "a is set twice: Flink does not start", id="twice"),
        pytest.param("b:\n  a: &x\n    b: *x\n", "c:2", "this is not YAML: a value contains itself", id="endless-map"),
        pytest.param("a: &x [*x]\n", "c:1", "this is not YAML: a value contains itself", id="endless-list"),
        pytest.param("a: " + "[" * 3_000, "c", "this is not YAML: it is nested too deeply", id="deep"),
        pytest.param("a: 1\nb: [\n", "c:3", "this is not YAML", id="syntax"),
        pytest.param("a: %{hiera('x')}\n", "c:1", "this is not YAML", id="template-without-quotes"),
        pytest.param("a: \x00", "c", "this is not YAML", id="control-sign"),
        pytest.param("- a\n", "c:1", "this is not a map of keys and values", id="list"),
        pytest.param("word", "c:1", "this is not a map of keys and values", id="word"),
        pytest.param("a: 1\n---\nb: 2\n", "c:2", "this is not YAML", id="two-documents"),
        pytest.param("a: *x\n", "c:1", "this is not YAML", id="unknown-alias"),
    ],
)
def test_yaml_flink_does_not_start_with(text: str, where: str, message: str) -> None:
    """What keeps Flink from starting is an error with its line."""
    problem = next(p for p in parse_config_yaml(text, "c").problems if p.severity is Severity.ERROR)
    assert problem.source == where
    assert problem.message.startswith(message)


def test_odd_yaml_keys() -> None:
    """A key that is no word is taken as its text."""
    assert values(parse_config_yaml("010: a\n[x, y]: b\n", "c")) == {"010": "a", "[x, y]": "b"}


def test_a_nested_key_set_again_flat() -> None:
    """A nested and a flat spelling of one key are told apart by their lines; the later one counts."""
    file = parse_config_yaml("a:\n  b: 1\na.b: 2\n", "c")
    assert file.entries["a.b"] == Entry(value="2", source="c:3")
    assert only(file).message == "a.b is set again: this value replaces the one at c:2"


@given(
    st.dictionaries(
        st.from_regex(r"[a-z]{1,5}(\.[a-z]{1,5}){0,2}", fullmatch=True),
        st.from_regex(r"[a-z][a-z0-9 ]{0,8}[a-z0-9]", fullmatch=True),
    )
)
def test_both_formats_agree_on_plain_words(config: dict[str, str]) -> None:
    """A file of plain words sets the same values, whichever of the two formats it is taken for."""
    words = {key: value for key, value in config.items() if value not in ("null", "true", "false")}
    text = "".join(f"{key}: {value}\n" for key, value in words.items())
    assert values(parse_flink_conf(text, "c")) == words
    assert values(parse_config_yaml(text, "c")) == words

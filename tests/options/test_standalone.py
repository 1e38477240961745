"""Each key of the reference's standalone package is told what it means here."""

from __future__ import annotations

import pytest

from autoscaler.options import Entry, Severity
from autoscaler.options.standalone import migrate


@pytest.mark.parametrize(
    ("key", "value", "severity", "message"),
    [
        ("autoscaler.standalone.control-loop.interval", "30s", Severity.INFO, "job.autoscaler.decision.interval: 30 s"),
        ("autoscaler.standalone.control-loop.interval", "often", Severity.ERROR, "'often' cannot be read"),
        ("autoscaler.standalone.control-loop.parallelism", "100", Severity.INFO, "100 jobs at once become `workers`"),
        ("autoscaler.standalone.fetcher.flink-cluster.host", "h", Severity.INFO, "`resource_managers`"),
        ("autoscaler.standalone.fetcher.flink-cluster.port", "8081", Severity.INFO, "`resource_managers`"),
        ("autoscaler.standalone.state-store.type", "memory", Severity.INFO, "SQLite"),
        ("autoscaler.standalone.state-store.type", "JDBC", Severity.INFO, "the address of the database"),
        ("autoscaler.standalone.event-handler.type", "JDBC", Severity.INFO, "events are logged and stored"),
        ("autoscaler.standalone.jdbc.url", "jdbc:mysql://h/d", Severity.INFO, "`store.url: mysql://user:password@h/d`"),
        ("autoscaler.standalone.jdbc.username", "u", Severity.INFO, "`store.url`"),
        ("autoscaler.standalone.jdbc.password-env-variable", "JDBC_PWD", Severity.INFO, "AUTOSCALER_STORE__URL"),
        ("autoscaler.standalone.jdbc.event-handler.ttl", "90 d", Severity.INFO, "kept for 90 days"),
        ("autoscaler.standalone.nothing", "1", Severity.WARNING, "is not known"),
        ("job.autoscaler.metrics.window", "5 min", Severity.INFO, "means the same here: put it into flink-conf"),
        (
            "job.autoscaler.scale-up.grace-period",
            "1 h",
            Severity.INFO,
            "older name of job.autoscaler.scale-down.interval",
        ),
        ("job.autoscaler.metrics.window", "x", Severity.ERROR, "job.autoscaler.metrics.window is 'x' in old.yaml:1"),
        ("job.autoscaler.memory.tuning.enabled", "true", Severity.WARNING, "has no effect here"),
        ("job.autoscaler.metrics.windw", "1", Severity.WARNING, "did you mean job.autoscaler.metrics.window?"),
        ("job.autoscaler.zzz", "1", Severity.WARNING, "job.autoscaler.zzz is not an option"),
        ("taskmanager.numberOfTaskSlots", "2", Severity.INFO, "is Flink's own"),
    ],
)
def test_what_a_key_means_here(key: str, value: str, severity: Severity, message: str) -> None:
    """Every key gets one sentence that says what to do with it here."""
    (said,) = migrate({key: Entry(value=value, source="old.yaml:1")})
    assert (said.severity, said.key, said.source) == (severity, key, "old.yaml:1")
    assert message in said.message


@pytest.mark.parametrize(
    ("key", "value", "severities", "message"),
    [
        ("metrics.window", "600", [Severity.WARNING, Severity.INFO], "which means 600 ms"),
        ("vertex.exclude.ids", "ABC", [Severity.WARNING, Severity.INFO], "matches no vertex"),
        ("excluded.periods", "whenever", [Severity.ERROR], "cannot be used: no period"),
        ("quota.cpu", "%{hiera('x')}", [Severity.ERROR], "a template nothing has filled in"),
        ("restart.time", "x", [Severity.ERROR], "write a duration"),
    ],
)
def test_what_is_wrong_with_a_value_is_said_first(
    key: str, value: str, severities: list[Severity], message: str
) -> None:
    """What is wrong, or was hardly meant, is not moved here in silence."""
    entries = {f"job.autoscaler.{key}": Entry(value=value, source="old.yaml:1")}
    said = migrate(entries, {"excluded.periods": lambda _: "no period"})
    assert [each.severity for each in said] == severities
    assert message in said[0].message


def test_every_key_is_answered_in_order() -> None:
    """No key is passed over, and the answers keep the order of the file."""
    entries = {key: Entry(value="1", source="f") for key in ("b", "a", "autoscaler.standalone.x")}
    assert [said.key for said in migrate(entries)] == list(entries)


def test_no_secret_is_shown() -> None:
    """The value of a key that is Flink's own is not repeated: it may be a secret."""
    entries = {key: Entry(value="hush", source="f") for key in ("s3.secret-key", "job.autoscaler.quota.cpu")}
    assert ["hush" in repr(said) for said in migrate(entries)] == [False, True]


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("url", "jdbc:mysql://u:hush@db-1.x:3306/d?useSSL=false", "`store.url: mysql://user:password@db-1.x:3306/d`"),
        ("url", "jdbc:postgresql://a,b:1/d?user=u&password=hush", "`store.url: postgresql://user:password@a,b:1/d`"),
        ("url", "jdbc:mysql://h/d;password=hush", "`store.url: mysql://user:password@h/d`"),
        ("url", "jdbc:mysql://u:p/hush@h/d", "only the form"),
        ("url", "jdbc:mysql://u:1/hush?x@h/d", "only the form"),
        ("url", "jdbc:mysql://h/d?password=x@hush/d", "only the form"),
        ("url", "jdbc:mysql://u:@hush@h/d", "only the form"),
        ("url", "jdbc:mysql://address=(host=h)(password=hush)/d", "only the form"),
        ("url", "hush", "only the form"),
        ("password", "hush", "is not known"),
        ("password-env-variable", "hush", "as you set the variable named here to the password"),
        ("username", "hush", "the user is part of"),
    ],
)
def test_no_password_of_a_database_is_shown(key: str, value: str, message: str) -> None:
    """Wherever it was put, it is not repeated; what is left of the address is, where it can be told from it."""
    (said,) = migrate({f"autoscaler.standalone.jdbc.{key}": Entry(value=value, source="old.yaml:1")})
    assert message in said.message
    assert "hush" not in repr(said)

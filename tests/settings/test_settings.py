"""The daemon's own settings: from a file and the environment, with messages that name the place."""

from __future__ import annotations

import re
from itertools import pairwise
from pathlib import Path

import pytest
import yaml
from pydantic import BaseModel

from autoscaler.flinkconf import FlinkConf, parse_conf
from autoscaler.service import parsed_rules
from autoscaler.settings import Settings, SettingsError, load_settings, with_mode, written_mode

SHIPPED = Path(__file__).parents[2] / "conf" / "autoscaler.yaml"


@pytest.fixture(autouse=True)
def clean_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Variables of whoever runs the tests do not count."""
    import os

    for name in [name for name in os.environ if name.startswith("AUTOSCALER_")]:
        monkeypatch.delenv(name)


def write(folder: Path, text: str) -> Path:
    file = folder / "autoscaler.yaml"
    file.write_text(text)
    return file


def fields(model: type[BaseModel]) -> dict[str, object]:
    """The names of a model's settings, sections as mappings."""
    return {
        name: fields(field.annotation)
        if isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel)
        else None
        for name, field in model.model_fields.items()
    }


def names(content: dict[str, object]) -> dict[str, object]:
    return {name: names(value) if isinstance(value, dict) else None for name, value in content.items()}


def test_the_shipped_file_holds_every_setting_with_its_default() -> None:
    """conf/autoscaler.yaml is the reference: each setting stands there, commented, with the default."""
    text = SHIPPED.read_text()
    assert names(yaml.safe_load(text)) == fields(Settings)
    assert load_settings(SHIPPED).model_dump() == Settings().model_dump()
    lines = text.splitlines()
    for above, line in pairwise(lines):
        if re.match(r" *\w+:", line) and line != "log:":
            assert above.lstrip().startswith("#"), f"nothing is said of {line}"


def test_without_a_file_the_defaults_hold() -> None:
    """No file is needed."""
    assert load_settings().mode == "act"
    assert load_settings().discovery_interval == 30_000


def test_values_have_units(tmp_path: Path) -> None:
    """Durations and sizes are read as Flink reads them."""
    settings = load_settings(write(tmp_path, "discovery_interval: 2 min\nstore: {max_size: 512 mb}\n"))
    assert (settings.discovery_interval, settings.store.max_size) == (120_000, 512 * 1024**2)


@pytest.mark.parametrize(
    ("text", "variable", "found"),
    [
        ("discovery_interval: 30", None, ["{file}:1: warning: discovery_interval is '30', which means 30 ms"]),
        ("mode: act\nrequest_timeout: 10", None, ["{file}:2: warning: request_timeout is '10', which means 10 ms"]),
        ("mode: act", "5", ["environment variable {variable}: warning: discovery_interval is '5', which means 5 ms"]),
        ("discovery_interval: 30", "30 s", []),
        ("discovery_interval: 30000\nrequest_timeout: 500 ms", None, []),
    ],
)
def test_a_number_alone_that_was_hardly_meant_is_warned_of(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str, variable: str | None, found: list[str]
) -> None:
    """A duration without a unit is in milliseconds; where that is next to nothing it is said, with its place."""
    if variable is not None:
        monkeypatch.setenv("AUTOSCALER_DISCOVERY_INTERVAL", variable)
    file = write(tmp_path, text)
    said = [str(warning).partition(": a duration")[0] for warning in load_settings(file).warnings]
    assert said == [each.format(file=file, variable="AUTOSCALER_DISCOVERY_INTERVAL") for each in found]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("mode: act\nmode_: x", r":2: unknown setting `mode_`, did you mean `mode`\?"),
        ("\nhttp:\n  prot: 1", r":3: unknown setting `http\.prot`, did you mean `port`\?"),
        ("rules: none", r":1: `rules` is 'none': expected a list"),
        ("discovery_interval: soon", r":1: `discovery_interval` is 'soon'"),
        ("workers: 0", r":1: `workers` is 0"),
        ("http:\n  port: 99999", r":2: `http\.port` is 99999"),
        ("resource_managers: []", r":1: `resource_managers` is \[\]: expected at least one address"),
        ("resource_managers: 'http://[::1'", r":1: `resource_managers\.0` is 'http://\[::1': expected an address"),
        ("resource_managers: ['http://']", r":1: `resource_managers\.0` is 'http://': expected an address"),
        ("resource_managers: ['http://a:99999']", r":1: `resource_managers\.0` is 'http://a:99999': expected"),
        ("resource_managers: ['http://a b:1']", r":1: `resource_managers\.0` is 'http://a b:1': expected"),
        ("resource_managers:\n  - rm:8088", r":2: `resource_managers\.0` is 'rm:8088': expected an address such as"),
        ("a: [", r":\d: not valid YAML"),
        ("- a", r":1: expected `key: value` lines, found list"),
    ],
)
def test_what_is_wrong_is_named_with_its_line(tmp_path: Path, text: str, message: str) -> None:
    """Every message begins with file and line, and names key and value."""
    file = write(tmp_path, text)
    with pytest.raises(SettingsError, match=re.escape(str(file)) + message):
        load_settings(file)


def test_an_address_in_the_environment_that_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    """One mistake is one message, which says how several addresses are written."""
    monkeypatch.setenv("AUTOSCALER_RESOURCE_MANAGERS", "rm")
    with pytest.raises(SettingsError, match=r"AUTOSCALER_RESOURCE_MANAGERS: .*'rm': .*separated by commas") as error:
        load_settings()
    assert str(error.value).count("\n") == 0


def test_all_that_is_wrong_is_told_at_once(tmp_path: Path) -> None:
    """Nobody has to fix one mistake to hear of the next."""
    with pytest.raises(SettingsError) as error:
        load_settings(write(tmp_path, "mode: x\nprofile: y\nworkers: z\n"))
    assert [line.split(" ")[0].rpartition("yaml")[2] for line in str(error.value).splitlines()] == [":1:", ":2:", ":3:"]


def test_rules_know_their_lines(tmp_path: Path) -> None:
    """What is wrong with a rule can be said with the line it begins on."""
    text = "rules:\n  - match: {job: a}\n    set: {enabled: true}\n\n  - set: {enabled: true}\n"
    assert load_settings(write(tmp_path, text)).rule_lines == (2, 5)


@pytest.mark.parametrize(
    ("store", "said"),
    [
        ("{copy_to: ftp://host/file}", "'ftp://host/file': expected s3://bucket/key or webhdfs://"),
        ("{copy_to: s3://bucket/}", "'s3://bucket/': expected s3://bucket/key"),
        ("{url: postgresql://host/name, copy_to: s3://b/k}", "'s3://b/k': only a store in a file can be copied"),
    ],
)
def test_where_the_store_is_copied_to_must_make_sense(tmp_path: Path, store: str, said: str) -> None:
    """An address that cannot be used, or a copy of what is on a server already, is refused before anything starts."""
    with pytest.raises(SettingsError, match=re.escape(f":1: `store.copy_to` is {said}")):
        load_settings(write(tmp_path, f"store: {store}\n"))
    for address in ("s3://bucket/key", "webhdfs://etl@nn1:9870,nn2:9870/apps/autoscaler/store.gz"):
        file = write(tmp_path, f"store: {{copy_to: '{address}'}}\n")
        assert load_settings(file).store.copy_to == address


def test_a_ca_file_must_hold_certificates(tmp_path: Path) -> None:
    """What https would trip over with the first request is refused before."""
    (tmp_path / "ca.pem").write_text("no certificate")
    for name, said in (("ca.pem", "certificate"), ("none.pem", "No such file")):
        with pytest.raises(SettingsError, match=f":1: `ca_file` is .*{name}': expected a readable file .*{said}"):
            load_settings(write(tmp_path, f"ca_file: {tmp_path / name}\n"))


def test_its_own_manager_is_one_of_those_listed(tmp_path: Path) -> None:
    """An address that is none of ``resource_managers`` could never be active, so it is refused."""
    file = write(
        tmp_path, "resource_managers: [http://m1:8088, http://m2:8088]\nown_resource_manager: http://m2:8088/\n"
    )
    assert load_settings(file).own_resource_manager == "http://m2:8088"
    file = write(tmp_path, "own_resource_manager: http://m2:8088\n")
    said = (
        ":1: `own_resource_manager` is 'http://m2:8088': expected auto, any, or one of resource_managers: http://local"
    )
    with pytest.raises(SettingsError, match=re.escape(said)):
        load_settings(file)


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    """A missing file, and one that is no text."""
    with pytest.raises(SettingsError, match=r"none\.yaml: cannot be read: .*--config"):
        load_settings(tmp_path / "none.yaml")
    (tmp_path / "b.yaml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(SettingsError, match=r"b\.yaml: cannot be read"):
        load_settings(tmp_path / "b.yaml")


def test_a_file_that_was_read_once_is_needed_again(tmp_path: Path) -> None:
    """Settings know their file: one that is gone when they are read again does not mean the defaults, which act."""
    file = write(tmp_path, "mode: advise\n")
    settings = load_settings(default=file)
    assert (settings.mode, settings.file) == ("advise", file)
    file.unlink()
    assert load_settings(default=file).file is None
    with pytest.raises(SettingsError, match=r"cannot be read"):
        load_settings(settings.file, default=file)


def test_a_value_used_twice_is_no_key_twice(tmp_path: Path) -> None:
    """Anchors and merge keys of YAML are fine."""
    text = "rules:\n- &a {match: {job: x}, set: &s {max: 1}}\n- {<<: *a, set: {<<: *s, min: 1}}\n"
    assert load_settings(write(tmp_path, text)).rules[1]["set"] == {"max": 1, "min": 1}


def test_a_file_of_comments_is_fine(tmp_path: Path) -> None:
    """A file of comments only means the defaults."""
    assert load_settings(write(tmp_path, "# nothing yet\n")).model_dump() == Settings().model_dump()


def test_the_environment_wins_over_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A variable counts more than the file, in a section too, and leaves the section's other settings alone."""
    monkeypatch.setenv("AUTOSCALER_MODE", "advise")
    monkeypatch.setenv("AUTOSCALER_STORE__URL", "sqlite://")
    monkeypatch.setenv("AUTOSCALER_APPLICATIONS__NAMES", "orders-*, joined")
    monkeypatch.setenv("AUTOSCALER_RESOURCE_MANAGERS", "http://a:8088,http://b:8088/")
    settings = load_settings(write(tmp_path, "mode: act\nstore: {url: 'sqlite:///x', max_size: 1 gb}\n"))
    assert settings.mode == "advise"
    assert (settings.store.url, settings.store.max_size) == ("sqlite://", 1024**3)
    assert settings.applications.names == ("orders-*", "joined")
    assert settings.resource_managers == ("http://a:8088", "http://b:8088")


def test_the_environment_names_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """AUTOSCALER_CONFIG is the file where no option gives one."""
    monkeypatch.setenv("AUTOSCALER_CONFIG", str(write(tmp_path, "workers: 3\n")))
    assert load_settings().workers == 3


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("AUTOSCALER_MODE", "x", r"environment variable AUTOSCALER_MODE: `mode` is 'x'"),
        ("AUTOSCALER_HTTP__PORT", "x", r"environment variable AUTOSCALER_HTTP__PORT: `http\.port` is 'x'"),
        ("AUTOSCALER_RULES", "[", r"environment variable AUTOSCALER_RULES: not JSON .*write `rules` as JSON"),
        ("AUTOSCALER_WORKRES", "3", r"environment variable AUTOSCALER_WORKRES: .*did you mean AUTOSCALER_WORKERS\?"),
    ],
)
def test_a_bad_variable_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, value: str, message: str
) -> None:
    """What is wrong in the environment is not blamed on the file."""
    monkeypatch.setenv(name, value)
    with pytest.raises(SettingsError, match=message):
        load_settings(write(tmp_path, "mode: act\nhttp: {port: 1}\n"))


def test_variables_of_others_are_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """A prefix alone does not make a variable ours."""
    monkeypatch.setenv("AUTOSCALER_HOME", "/opt/autoscaler")
    assert load_settings() == Settings()


def test_bad_rules_are_named_by_rule(tmp_path: Path) -> None:
    """A rule that sets what does not exist is named with its number."""
    settings = load_settings(write(tmp_path, "rules:\n- match: {job: x}\n  set: {no.such: 1}\n"))
    with pytest.raises(SettingsError, match=r"autoscaler\.yaml"):
        parsed_rules(settings)


def test_flink_conf_is_read_again_when_it_was_replaced(tmp_path: Path) -> None:
    """A new file counts from the next look; the legacy name wins over the new one, as Flink has it."""
    conf = FlinkConf(tmp_path)
    assert conf.read().entries == {}
    (tmp_path / "config.yaml").write_text("a: {b: 1}\n")
    assert conf.read().entries["a.b"].value == "1"
    (tmp_path / "flink-conf.yaml").write_text("a.b: 2\n")
    assert conf.read().entries["a.b"].value == "2"
    (tmp_path / "flink-conf.yaml").unlink()
    assert conf.read().entries["a.b"].value == "1"


def test_a_running_job_has_nothing_of_flinks_own_keys_from_the_clusters_file(tmp_path: Path) -> None:
    """Flink runs a job with what was submitted: a scheduler that the file names since is not the job's. Options count,
    and what was probably meant for one, so that it can be told."""
    text = "jobmanager.scheduler: adaptive\ntaskmanager.numberOfTaskSlots: 4\n"
    options = ("job.autoscaler.enabled", "job.autoscalr.metrics.window", "kubernetes.operator.job.autoscaler.x")
    (tmp_path / "flink-conf.yaml").write_text(text + "".join(f"{key}: true\n" for key in options))
    *_, cluster = FlinkConf(tmp_path).layers("emr")
    assert set(cluster.entries) == set(options)


@pytest.mark.parametrize(
    ("name", "text", "value"),
    [
        pytest.param("old.yaml", "a:\n  b: 1 h\n", "1 h", id="nested"),
        pytest.param("old.yaml", 'a.b: "1 h"\n', "1 h", id="flat-with-quotes"),
        pytest.param("old.conf", "a.b: * * x: y\n", "* * x: y", id="what-is-no-yaml"),
        pytest.param("flink-conf.yaml", 'a.b: "1 h"\n', '"1 h"', id="legacy-by-name"),
        pytest.param("config.yaml", "a.b: * *\n", None, id="standard-by-name"),
        pytest.param("old.yaml", "a:\n  b: * *\n", None, id="nested-but-no-yaml"),
    ],
)
def test_the_form_of_a_configuration_is_found(name: str, text: str, value: str | None) -> None:
    """A file with one of Flink's two names is read as Flink reads it, any other one as what it is written in."""
    found = parse_conf(text, Path(name))
    assert {key: entry.value for key, entry in found.entries.items()} == ({} if value is None else {"a.b": value})
    assert bool(found.problems) == (value is None)


def test_a_flink_conf_that_cannot_be_read_is_a_problem_and_the_last_one_stays(tmp_path: Path) -> None:
    """A file that cannot be read does not stop the daemon: what was known of it holds, and what to do is said."""
    file = tmp_path / "config.yaml"
    file.write_text("a: 1\n")
    conf = FlinkConf(file)
    conf.read()
    file.unlink()
    file.symlink_to("/proc/self/mem")  # a file that not even root can read
    found = conf.read()
    assert found.entries["a"].value == "1"
    assert "cannot be read" in found.problems[0].message


@pytest.mark.parametrize(
    ("text", "place"),
    [
        pytest.param("mode: \x07act\n", ":1: not valid YAML", id="control-character"),
        pytest.param("cluster: 2024-13-01\n", ":1: not valid YAML", id="no-such-date"),
        pytest.param("mode: act\non: true\n", ":2: a setting's name must be a word", id="boolean-for-a-name"),
        pytest.param("8088: x\n", ":1: a setting's name must be a word", id="number-for-a-name"),
        pytest.param("mode: act\nmode: advise\n", ":2: `mode` stands here a second time", id="twice"),
        pytest.param(
            "mode: act\nstore:\n  url: a\n  url: b\n", ":4: `url` stands here a second time", id="twice-within"
        ),
        pytest.param(
            "rules:\n- set: {max: 1,\n    max: 2}\n", ":3: `max` stands here a second time", id="twice-in-a-rule"
        ),
        pytest.param(" \n", ":1: the file is empty, as when it is being written", id="empty"),
        pytest.param("rules: " + "[" * 5_000, ":1: not valid YAML", id="nested-without-end"),
    ],
)
def test_odd_files_are_refused_with_their_place(tmp_path: Path, text: str, place: str) -> None:
    """Whatever is wrong with a file is a message with file and line, never a traceback."""
    file = write(tmp_path, text)
    with pytest.raises(SettingsError, match=re.escape(f"{file}{place}")):
        load_settings(file)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("# mine\nmode: act  # since Monday\nworkers: 3\n", "# mine\nmode: advise  # since Monday\nworkers: 3\n"),
        ("mode:\n  'act'\n", "mode:\n  'advise'\n"),
        ("workers: 3\n", "mode: advise\nworkers: 3\n"),
        (
            "---\n  workers: 3\n  log: {level: info}\n...\n",
            "---\n  mode: advise\n  workers: 3\n  log: {level: info}\n...\n",
        ),
        ("# nothing yet\n", "# nothing yet\n\nmode: advise\n"),
        ('{"mode":"act","workers":3}', '{"mode":"advise","workers":3}'),
        ('{"workers": 3}\n', '{"mode": "advise", "workers": 3}\n'),
        ("{}", '{"mode": "advise"}'),
    ],
)
def test_a_mode_is_written_into_a_file_and_nothing_else(tmp_path: Path, text: str, expected: str) -> None:
    """However the file is written, JSON too, everything but the mode stays as it was."""
    file = tmp_path / "autoscaler.yaml"
    file.write_text(text)
    assert written_mode(file) == "act"
    assert with_mode(file, "advise") == expected
    file.write_text(expected)
    assert (written_mode(file), load_settings(file).mode) == ("advise", "advise")


def test_the_written_mode_is_the_files_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The environment, which wins for the daemon, does not count; a mode there is none of is named."""
    file = tmp_path / "autoscaler.yaml"
    monkeypatch.setenv("AUTOSCALER_MODE", "advise")
    file.write_text("workers: 3\n")
    assert written_mode(file) == "act"
    file.write_text("mode: Act\n")
    with pytest.raises(SettingsError, match=r"autoscaler\.yaml: `mode` is 'Act': expected act or advise"):
        written_mode(file)

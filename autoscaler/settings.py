"""The daemon's own settings: one YAML file and ``AUTOSCALER_*`` environment variables, frozen once read.

What a job should do is not here but in ``job.autoscaler.*`` keys; see conf/OPTIONS.md.
"""

from __future__ import annotations

import os
import ssl
from collections.abc import Iterator, Mapping, Sequence
from difflib import get_close_matches
from pathlib import Path
from typing import Annotated, Any, Literal, get_args
from urllib.parse import urlsplit

import yaml
from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PrivateAttr,
    ValidationError,
    ValidationInfo,
    field_validator,
)
from pydantic_settings import BaseSettings, NoDecode, PydanticBaseSettingsSource, SettingsConfigDict
from pydantic_settings import SettingsError as UnreadableVariable

from autoscaler.options import Problem, Severity, format_duration, parse_duration, parse_memory
from autoscaler.options.grammar import has_unit

# The durations, and below which one that names no unit was probably meant in seconds.
DURATIONS = ("discovery_interval", "request_timeout")
SUSPICIOUS_MS = 1_000

DEFAULT_PATH = Path("/etc/autoscaler/autoscaler.yaml")

_FORBIDDEN = (
    "{file}: cannot be read: uid {uid} may not. Run this with sudo, or as the user the autoscaler runs as, or give a "
    "readable file with --config."
)


class SettingsError(Exception):
    """The settings cannot be used; the message names file, line, key, value and what is expected."""


def _milliseconds(value: object) -> object:
    return parse_duration(str(value))


def _bytes(value: object) -> object:
    return parse_memory(str(value))


def _http_address(value: str) -> str:
    try:
        parts = urlsplit(value)
        usable = parts.scheme in ("http", "https") and parts.hostname and parts.port != 0
    except ValueError:  # brackets or a port that are none
        usable = False
    if not usable or any(character.isspace() for character in value):
        raise ValueError(
            "expected an address such as http://host:8088; in an environment variable several are separated by commas"
        )
    return value.rstrip("/")


def _certificates(value: Path) -> Path:
    try:
        ssl.create_default_context(cafile=value)
    except (OSError, ssl.SSLError) as error:
        raise ValueError(f"expected a readable file with certificates in PEM: {error}") from error
    return value


def _copy_address(value: str) -> str:
    parts = urlsplit(value)
    file = parts.path.rpartition("/")[2]
    if parts.scheme not in ("s3", "webhdfs", "swebhdfs") or not parts.netloc or not file or value.split() != [value]:
        raise ValueError("expected s3://bucket/key or webhdfs://[user@]namenode:9870/path, with the name of a file")
    return value


def _at_least_one(value: tuple[str, ...]) -> tuple[str, ...]:
    if not value:
        raise ValueError("expected at least one address such as http://host:8088")
    return value


def _listed(value: object) -> object:
    """A list, or in the environment text with commas between its items."""
    return tuple(item.strip() for item in value.split(",") if item.strip()) if isinstance(value, str) else value


Duration = Annotated[int, BeforeValidator(_milliseconds), Field(gt=0)]
MemorySize = Annotated[int, BeforeValidator(_bytes), Field(gt=0)]
Address = Annotated[str, AfterValidator(_http_address)]
Certificates = Annotated[Path, AfterValidator(_certificates)]
CopyAddress = Annotated[str, AfterValidator(_copy_address)]
Names = Annotated[tuple[str, ...], NoDecode, BeforeValidator(_listed)]
Mode = Literal["act", "advise"]
Paths = Annotated[tuple[Path, ...], NoDecode, BeforeValidator(_listed)]


class _Section(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Applications(_Section):
    """Which YARN applications are looked at; an empty list means all. Patterns are shell globs."""

    type: str = "Apache Flink"
    queues: Names = ()
    users: Names = ()
    names: Names = ()
    tags: Names = ()


class StoreSettings(_Section):
    """Where the daemon remembers. ``url`` is an SQLAlchemy URL, ``copy_to`` a file on HDFS or S3."""

    url: str = "sqlite:////var/lib/autoscaler/autoscaler.db"
    max_size: MemorySize = 2 * 1024**3
    copy_to: CopyAddress | None = None

    @field_validator("copy_to")
    @classmethod
    def _is_of_a_file(cls, value: str | None, others: ValidationInfo) -> str | None:
        if value is not None and not str(others.data.get("url", "sqlite:")).startswith("sqlite:"):
            raise ValueError("only a store in a file can be copied; a database server has backups of its own")
        return value


class Kerberos(_Section):
    """Who the daemon is on a secured cluster. Without ``keytab`` nobody."""

    keytab: Path | None = None
    principal: str | None = None


class Http(_Section):
    """The read-only port for /metrics, /healthz and /readyz."""

    host: str = "127.0.0.1"
    port: int = Field(default=8398, ge=0, le=65535)


class Log(_Section):
    """``auto`` is readable text on a terminal and JSON lines otherwise."""

    format: Literal["auto", "text", "json"] = "auto"
    level: Literal["debug", "info", "warning", "error"] = "info"


class Settings(BaseSettings):
    """Everything the daemon itself can be told. Every field is also an environment variable, for example
    ``AUTOSCALER_MODE`` or ``AUTOSCALER_STORE__URL``; the environment wins over the file."""

    model_config = SettingsConfigDict(env_prefix="AUTOSCALER_", env_nested_delimiter="__", frozen=True, extra="forbid")

    cluster: str = "default"
    mode: Mode = "act"
    profile: Literal["emr", "apache"] = "emr"
    resource_managers: Annotated[
        tuple[Address, ...], NoDecode, BeforeValidator(_listed), AfterValidator(_at_least_one)
    ] = ("http://localhost:8088",)
    own_resource_manager: Literal["auto", "any"] | Address = "auto"
    ca_file: Certificates | None = None
    kerberos: Kerberos = Kerberos()
    flink_conf: Path | None = Path("/etc/flink/conf")
    emr_info: Paths = (Path("/emr/instance-controller/lib/info"), Path("/mnt/var/lib/info"))
    applications: Applications = Applications()
    discovery_interval: Duration = 30_000
    request_timeout: Duration = 10_000
    workers: int = Field(default=8, ge=1, le=64)
    store: StoreSettings = StoreSettings()
    http: Http = Http()
    log: Log = Log()
    rules: tuple[Mapping[str, Any], ...] = ()

    @field_validator("own_resource_manager")
    @classmethod
    def _is_listed(cls, value: str, others: ValidationInfo) -> str:
        listed = others.data.get("resource_managers", ())
        if value not in ("auto", "any", *listed):
            raise ValueError(f"expected auto, any, or one of resource_managers: {', '.join(listed)}")
        return value

    _file: Path | None = PrivateAttr(default=None)
    _rule_lines: tuple[int, ...] = PrivateAttr(default=())
    _warnings: tuple[Problem, ...] = PrivateAttr(default=())

    @property
    def trusted(self) -> bool | str:
        """Whose certificates are trusted, as ``requests`` has it: the cluster's own authority, or the public ones."""
        return True if self.ca_file is None else str(self.ca_file)

    @property
    def file(self) -> Path | None:
        """The file the settings were read from, ``None`` if they come from the environment alone."""
        return self._file

    @property
    def source(self) -> str:
        """The same for messages."""
        return str(self._file or "the environment")

    @property
    def rules_source(self) -> str:
        """Where the rules stand, for messages."""
        variable = _variable(["rules"])
        return f"environment variable {variable}" if variable in os.environ else self.source

    @property
    def rule_lines(self) -> tuple[int, ...]:
        """Where in the file each rule begins; empty if the rules come from the environment."""
        return self._rule_lines

    @property
    def warnings(self) -> tuple[Problem, ...]:
        """What can be used but was probably not meant."""
        return self._warnings

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        return (env_settings, init_settings)


def load_settings(path: Path | None = None, default: Path = DEFAULT_PATH) -> Settings:
    """Read the settings file and the environment.

    Without ``path`` the file of ``AUTOSCALER_CONFIG`` is read, else ``default`` if there is one.
    Raises SettingsError with file and line for what cannot be used.
    """
    chosen = path or (Path(os.environ["AUTOSCALER_CONFIG"]) if "AUTOSCALER_CONFIG" in os.environ else None)
    file = chosen or default
    try:
        if chosen is None and not default.exists():
            return _validated({}, None, None)
    except PermissionError as error:
        raise SettingsError(_FORBIDDEN.format(file=file, uid=os.getuid())) from error
    _, node, content = _read(file)
    return _validated(content, file, node)


def written_mode(file: Path) -> str:
    """The mode a settings file asks for, whatever the environment does. Raises SettingsError."""
    mode, known = _read(file)[2].get("mode", Settings.model_fields["mode"].default), get_args(Mode)
    if mode not in known:
        raise SettingsError(f"{file}: `mode` is {mode!r}: expected {' or '.join(known)}")
    return str(mode)


def with_mode(file: Path, mode: str) -> str:
    """The text of a valid settings file with this mode, and all else in it, comments too, as it was.

    JSON, which is YAML as well, stays JSON. Raises SettingsError.
    """
    text, node, _ = _read(file)
    if not isinstance(node, yaml.MappingNode):  # nothing but comments
        return f"{text.rstrip()}\n\nmode: {mode}\n"
    start = node.start_mark
    for key, value in node.value:
        if key.value == "mode":
            at, end = value.start_mark.index, value.end_mark.index
            quote = text[at] if text[at] in "'\"" else ""
            return f"{text[:at]}{quote}{mode}{quote}{text[end:]}"
    if node.flow_style:
        comma = ", " if node.value else ""
        return f'{text[: start.index + 1]}"mode": "{mode}"{comma}{text[start.index + 1 :]}'
    return f"{text[: start.index]}mode: {mode}\n{' ' * start.column}{text[start.index :]}"


def _read(file: Path) -> tuple[str, yaml.Node | None, dict[str, Any]]:
    """A settings file's text, and what YAML makes of it. Raises SettingsError."""
    try:
        text = file.read_text(encoding="utf-8")
    except PermissionError as error:
        raise SettingsError(_FORBIDDEN.format(file=file, uid=os.getuid())) from error
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(f"{file}: cannot be read: {error}. Give a readable file with --config.") from error
    if not text.strip():
        raise SettingsError(f"{file}:1: the file is empty, as when it is being written; remove it to have the defaults")
    try:
        node = yaml.compose(text, Loader=yaml.SafeLoader)
        content = yaml.safe_load(text)
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 1
        raise SettingsError(f"{file}:{line}: not valid YAML: {error.problem}") from error
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        # a control character, a date no calendar has, brackets nested without end
        reason = str(error).partition("\n")[0]
        raise SettingsError(f"{file}:1: not valid YAML: {reason}") from error
    if content is not None and not isinstance(content, dict):
        raise SettingsError(f"{file}:1: expected `key: value` lines, found {type(content).__name__}")
    _refuse_odd_keys(file, node)
    return text, node, content or {}


def _refuse_odd_keys(file: Path, node: yaml.Node | None) -> None:
    """A key that YAML takes for a number or a boolean, or that stands twice, is none that was meant."""
    for key, _ in node.value if isinstance(node, yaml.MappingNode) else ():
        if not isinstance(key, yaml.ScalarNode) or not key.tag.endswith(":str"):
            where = f"{file}:{key.start_mark.line + 1}"
            raise SettingsError(f"{where}: a setting's name must be a word; the known ones are in conf/autoscaler.yaml")
    _refuse_keys_twice(file, node, set())


def _refuse_keys_twice(file: Path, node: yaml.Node | None, looked_at: set[int]) -> None:
    """On every level; YAML itself would take the last one and say nothing."""
    if node is None or id(node) in looked_at:  # an alias leads to what was looked at already, or is just now
        return
    looked_at.add(id(node))
    seen: set[str] = set()
    for key, value in node.value if isinstance(node, yaml.MappingNode) else ():
        if isinstance(key, yaml.ScalarNode) and key.value in seen:
            where = f"{file}:{key.start_mark.line + 1}"
            raise SettingsError(f"{where}: `{key.value}` stands here a second time; remove one of the two")
        seen.add(str(key.value))
        _refuse_keys_twice(file, value, looked_at)
    for value in node.value if isinstance(node, yaml.SequenceNode) else ():
        _refuse_keys_twice(file, value, looked_at)


def _validated(content: dict[str, Any], file: Path | None, node: yaml.Node | None) -> Settings:
    mistyped = _mistyped_variables()
    if mistyped:
        raise SettingsError("\n".join(mistyped))
    try:
        settings = Settings(**content)
    except ValidationError as error:
        raise SettingsError("\n".join(_problem(e, file, node) for e in error.errors())) from error
    except UnreadableVariable as error:
        raise SettingsError(_unreadable(error)) from error
    settings._warnings = tuple(_suspicious_durations(settings, content, file, node))
    if file is not None:
        settings._file = file
        if _variable(["rules"]) not in os.environ:
            lines = (_line_of(node, ("rules", index)) for index in range(len(settings.rules)))
            settings._rule_lines = tuple(line for line in lines if line is not None)
    return settings


def _unreadable(error: UnreadableVariable) -> str:
    """The library names the field alone, in quotes."""
    name = str(error).partition('"')[2].partition('"')[0]
    return f"environment variable {_variable([name])}: not JSON ({error.__cause__}); write `{name}` as JSON in one line"


def _suspicious_durations(
    settings: Settings, content: Mapping[str, Any], file: Path | None, node: yaml.Node | None
) -> Iterator[Problem]:
    """A number alone is milliseconds, which hardly anybody means who writes 30."""
    for name in DURATIONS:
        written = os.environ.get(_variable([name]), content.get(name))
        meant = getattr(settings, name)
        if written is None or has_unit(str(written)) or meant >= SUSPICIOUS_MS:
            continue
        message = f"{name} is {str(written)!r}, which means {format_duration(meant)}: a duration without a unit is in "
        message += "milliseconds; add s, min or h"
        source = _written_in([name], file, node)
        yield Problem(severity=Severity.WARNING, key=name, value=str(written), source=source, message=message)


def _mistyped_variables() -> list[str]:
    """Variables that look like one of ours and are none. Others with our prefix may be somebody else's."""
    known = {_variable([name]) for name in Settings.model_fields}
    for name, field in Settings.model_fields.items():
        if isinstance(field.annotation, type) and issubclass(field.annotation, _Section):
            known |= {_variable([name, inner]) for inner in field.annotation.model_fields}
    known.add("AUTOSCALER_CONFIG")
    found = []
    for name in sorted(os.environ):
        close = get_close_matches(name.upper(), known, n=1, cutoff=0.9)
        if name.upper().startswith("AUTOSCALER_") and name.upper() not in known and close:
            found.append(f"environment variable {name}: unknown setting; did you mean {close[0]}?")
    return found


def _variable(where: Sequence[str | int]) -> str:
    return f"AUTOSCALER_{'__'.join(str(part) for part in where if not isinstance(part, int)).upper()}"


def _problem(error: Any, file: Path | None, node: yaml.Node | None) -> str:
    where: Sequence[str | int] = error["loc"]
    key = ".".join(str(part) for part in where)
    source = _written_in(where, file, node)
    if error["type"] == "extra_forbidden":
        return f"{source}: unknown setting `{key}`{_meant(where)}; the known ones are in conf/autoscaler.yaml"
    is_list = error["type"] == "tuple_type"  # a list to everybody but Python
    message = "expected a list" if is_list else str(error["msg"]).removeprefix("Value error, ")
    return f"{source}: `{key}` is {error['input']!r}: {message}"


def _written_in(where: Sequence[str | int], file: Path | None, node: yaml.Node | None) -> str:
    line, variable = _line_of(node, where), _variable(where)
    from_file = file is not None and line is not None and variable not in os.environ
    return f"{file}:{line}" if from_file else f"environment variable {variable}"


def _meant(where: Sequence[str | int]) -> str:
    model: Any = Settings
    for part in where[:-1]:
        field = model.model_fields.get(str(part))
        if field is None or not isinstance(field.annotation, type) or not issubclass(field.annotation, _Section):
            return ""
        model = field.annotation
    close = get_close_matches(str(where[-1]), model.model_fields, n=1)
    return f", did you mean `{close[0]}`?" if close else ""


def _line_of(node: yaml.Node | None, where: Sequence[str | int]) -> int | None:
    line = None
    for part in where:
        child: yaml.Node | None = None
        if isinstance(node, yaml.MappingNode):
            for name, value in node.value:
                if name.value == str(part):
                    line, child = name.start_mark.line + 1, value
        elif isinstance(node, yaml.SequenceNode) and isinstance(part, int) and part < len(node.value):
            child = node.value[part]
            line = child.start_mark.line + 1
        if child is None:
            break
        node = child
    return line

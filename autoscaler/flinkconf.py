"""The cluster's own Flink configuration, re-read when its file is replaced."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from autoscaler.options import (
    ConfigFile,
    Layer,
    Problem,
    Severity,
    concerns_us,
    parse_config_yaml,
    parse_flink_conf,
    profile_layer,
)

LEGACY, STANDARD = "flink-conf.yaml", "config.yaml"
_NESTED = re.compile(r"^[ \t]+[^\s#]", re.MULTILINE)


class FlinkConf:
    """``path`` is the file, or the folder in which ``flink-conf.yaml`` wins over ``config.yaml``, as Flink has it.

    A file that is not there yet is no error: on EMR the daemon is installed before Flink.
    """

    def __init__(self, path: Path | None) -> None:
        self._path = path
        self._stamp: tuple[Path, int, int] | None = None
        self._read = ConfigFile(entries={}, problems=())

    def layers(self, profile: str) -> Sequence[Layer]:
        """The two lowest layers: the profile's defaults, and the options of the cluster's file over them.

        Flink's own keys are left out: a job runs with those it was submitted with, whatever the file says since.
        """
        options = {key: entry for key, entry in self.read().entries.items() if concerns_us(key)}
        return (profile_layer(profile), Layer(name="cluster flink-conf", entries=options))

    def read(self) -> ConfigFile:
        """The file as it is now, empty if there is none. One that cannot be read is a problem, and what was last
        read of it stays."""
        try:
            file = self.file()
            if file is None:
                self._stamp, self._read = None, ConfigFile(entries={}, problems=())
                return self._read
            status = file.stat()
            stamp = (file, status.st_ino, status.st_mtime_ns)
            if stamp != self._stamp:
                text = file.read_text(encoding="utf-8", errors="replace")
                self._read, self._stamp = parse_conf(text, file), stamp
        except OSError as error:
            self._stamp = None
            return replace(self._read, problems=(_unreadable(str(self._path), error),))
        return self._read

    def file(self) -> Path | None:
        """Which file it is, ``None`` if there is none."""
        if self._path is None or not self._path.exists():
            return None
        if self._path.is_file():
            return self._path
        return next((f for name in (LEGACY, STANDARD) if (f := self._path / name).is_file()), None)


def parse_conf(text: str, file: Path) -> ConfigFile:
    """Read a Flink configuration in the form its name tells: the legacy or the standard one.

    Under any other name it is the standard one if it is nested or is YAML at all.
    """
    if file.name == LEGACY:
        return parse_flink_conf(text, str(file))
    standard = parse_config_yaml(text, str(file))
    if file.name == STANDARD or standard.entries or _NESTED.search(text) is not None:
        return standard
    return parse_flink_conf(text, str(file))


def _unreadable(source: str, error: OSError) -> Problem:
    return Problem(
        severity=Severity.ERROR,
        key="",
        value="",
        source=source,
        message=f"the cluster's Flink configuration cannot be read: {error.strerror or error}; give the user the "
        "autoscaler runs as the right to read it, or set flink_conf to another path",
    )

"""The cluster's own Flink configuration, re-read when its file is replaced."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from autoscaler.options import ConfigFile, Layer, parse_config_yaml, parse_flink_conf, profile_layer

LEGACY, STANDARD = "flink-conf.yaml", "config.yaml"


class FlinkConf:
    """``path`` is the file, or the folder in which ``flink-conf.yaml`` wins over ``config.yaml``, as Flink has it.

    A file that is not there yet is no error: on EMR the daemon is installed before Flink.
    """

    def __init__(self, path: Path | None) -> None:
        self._path = path
        self._stamp: tuple[Path, int, int] | None = None
        self._read = ConfigFile(entries={}, problems=())

    def layers(self, profile: str) -> Sequence[Layer]:
        """The two lowest layers: the profile's defaults, and the cluster's file over them."""
        return (profile_layer(profile), Layer(name="cluster flink-conf", entries=self.read().entries))

    def read(self) -> ConfigFile:
        """The file as it is now, empty if there is none or it cannot be read."""
        file = self.file()
        if file is None:
            self._stamp, self._read = None, ConfigFile(entries={}, problems=())
            return self._read
        status = file.stat()
        stamp = (file, status.st_ino, status.st_mtime_ns)
        if stamp != self._stamp:
            text = file.read_text(encoding="utf-8", errors="replace")
            parse = parse_flink_conf if file.name == LEGACY else parse_config_yaml
            self._read, self._stamp = parse(text, str(file)), stamp
        return self._read

    def file(self) -> Path | None:
        if self._path is None or not self._path.exists():
            return None
        if self._path.is_file():
            return self._path
        return next((f for name in (LEGACY, STANDARD) if (f := self._path / name).is_file()), None)

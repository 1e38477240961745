"""The daemon as a process of its own, started by the command and the kind of settings file that production uses."""

from __future__ import annotations

import subprocess
from collections.abc import Mapping
from pathlib import Path

STOP_SECONDS = 12.0


class Daemon:
    """``autoscaler run --config FILE``; its log goes to a file."""

    def __init__(self, home: Path, command: Path, log: Path, settings: Mapping[str, str]) -> None:
        self.config = home / "autoscaler.yaml"
        self.store = home / "autoscaler.db"
        self.settings: Mapping[str, str] = {"store": f"{{url: 'sqlite:///{self.store}'}}", **settings}
        self.log = log
        self._command = command
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        self.config.parent.mkdir(parents=True, exist_ok=True)
        self.config.write_text("".join(f"{key}: {value}\n" for key, value in self.settings.items()), encoding="utf-8")
        self.log.parent.mkdir(parents=True, exist_ok=True)
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                [str(self._command), "run", "--config", str(self.config)],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,  # Ctrl-C is for the story, which then ends the daemon in order
            )

    @property
    def ended(self) -> int | None:
        """The exit status if the daemon is not running any more."""
        return self._process.poll() if self._process is not None else None

    def stop(self) -> None:
        if self._process is None or self._process.poll() is not None:
            return
        self._process.terminate()
        try:
            self._process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

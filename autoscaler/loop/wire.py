"""Lets a shutdown wait for the PUT that is being sent, and keeps the next one from starting."""

from __future__ import annotations

import threading
from types import TracebackType


class Wire:
    """``with wire as open:`` surrounds an intent, its PUT and the storing of the answer; ``open`` is false once
    ``close`` was called, and then nothing may be sent."""

    def __init__(self) -> None:
        self._idle = threading.Condition()
        self._sending = 0
        self._closed = False

    def __enter__(self) -> bool:
        with self._idle:
            self._sending += 1
            return not self._closed

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with self._idle:
            self._sending -= 1
            self._idle.notify_all()

    def close(self, timeout_s: float) -> bool:
        """Let nothing more be sent and wait for what is; return whether all of it ended in time."""
        with self._idle:
            self._closed = True
            return self._idle.wait_for(lambda: self._sending == 0, timeout_s)

"""How an application behaves, so that one that answers badly delays only itself."""

from __future__ import annotations

import threading

QUICK_S = 2.0  # what a first call may take of a worker's time; many applications may hang at once, as with a lost node
STEPS_AT_ONCE = 2  # as many as the HTTP client lets through to one application: a third would wait on a worker


class Standing:
    """Few steps of one application run at a time, and apart from the others' while it does not answer."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._running = 0
        self._failing = False

    @property
    def suspect(self) -> bool:
        """Whether the newest word of the application was none."""
        return self._failing

    @property
    def patience_s(self) -> float | None:
        """How long the first call of a step may take: little among the workers, as set (``None``) among suspects."""
        return None if self._failing else QUICK_S

    def enter(self) -> bool:
        """Ask to run a step; whoever is let in has to ``leave``."""
        with self._lock:
            if self._running >= STEPS_AT_ONCE:
                return False
            self._running += 1
            return True

    def leave(self) -> None:
        with self._lock:
            self._running -= 1

    def failed(self) -> None:
        self._failing = True

    def answered(self) -> None:
        self._failing = False

"""How an application behaves, so that one that answers badly delays only itself."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable

from autoscaler.loop.ports import Lane

QUICK_S = 2.0  # what a first call may take of a worker's time; many applications may hang at once, as with a lost node
STEPS_AT_ONCE = 2  # as many as the HTTP client lets through to one application: a third would wait on a worker


Step = Callable[[Lane], None]
"""Is told in which lane's thread it runs."""


class Standing:
    """Few steps of one application run at a time, and apart from the others' while it does not answer."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._running = 0
        self._waiting: deque[Step] = deque()
        self._failing = False

    @property
    def suspect(self) -> bool:
        """Whether the newest word of the application was none."""
        return self._failing

    @property
    def patience_s(self) -> float | None:
        """How long the first call of a step may take: little among the workers, as set (``None``) among suspects."""
        return None if self._failing else QUICK_S

    def run(self, step: Step, lane: Lane) -> None:
        """Run a step in this thread, and after it those that came meanwhile, in their order; if as many as may do run
        already, leave it to them.

        Were they to come back later, some of a session's many jobs would find others in their place again and again.
        """
        with self._lock:
            if self._running >= STEPS_AT_ONCE:
                self._waiting.append(step)
                return
            self._running += 1
        following: Step | None = step
        while following is not None:
            try:
                following(lane)
            except BaseException:
                with self._lock:
                    self._running -= 1  # those that wait are run by whoever comes next
                raise
            with self._lock:
                following = self._waiting.popleft() if self._waiting else None
                self._running -= following is None

    def failed(self) -> None:
        self._failing = True

    def answered(self) -> None:
        self._failing = False

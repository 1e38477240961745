"""A job's checkpoints: when they were triggered and completed, and the source positions they hold."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass

from autoscaler.model import Millis, VertexId

KEPT = 10


@dataclass(slots=True, kw_only=True)
class Checkpoint:
    """``positions`` are the records each source had read when it was triggered."""

    id: int
    triggered_at: Millis
    positions: Mapping[VertexId, float]
    completed_at: Millis | None = None
    failed_at: Millis | None = None
    message: str = ""


class Checkpoints:
    """The coordinator's book. One checkpoint at a time."""

    def __init__(self, first: Checkpoint) -> None:
        self.completed = first
        self.failed: Checkpoint | None = None
        self.running: Checkpoint | None = None
        self.restored: Checkpoint | None = None
        self.restored_at: Millis | None = None
        self.count_completed, self.count_failed, self.count_restored = 1, 0, 0
        self.failures_in_a_row = 0
        self.history: deque[Checkpoint] = deque([first], maxlen=KEPT)
        self._next = first.id + 1

    @property
    def total(self) -> int:
        return self.count_completed + self.count_failed + (self.running is not None)

    def trigger(self, now: Millis, positions: Mapping[VertexId, float]) -> Checkpoint:
        self.running = Checkpoint(id=self._next, triggered_at=now, positions=dict(positions))
        self._next += 1
        self.history.appendleft(self.running)
        return self.running

    def complete(self, now: Millis) -> None:
        assert self.running is not None
        self.running.completed_at = now
        self.completed, self.running = self.running, None
        self.count_completed += 1
        self.failures_in_a_row = 0

    def fail(self, now: Millis, message: str) -> None:
        """The running checkpoint, if there is one, comes to nothing."""
        if self.running is None:
            return
        self.running.failed_at, self.running.message = now, message
        self.failed, self.running = self.running, None
        self.count_failed += 1
        self.failures_in_a_row += 1

    def restore(self, now: Millis) -> Checkpoint:
        """The job starts from the last completed one."""
        self.restored, self.restored_at = self.completed, now
        self.count_restored += 1
        return self.completed

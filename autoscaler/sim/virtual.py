"""Virtual time: a clock and a scheduler in one. Time passes only from one step to the next."""

from __future__ import annotations

import heapq
from collections.abc import Callable

from autoscaler.loop import Lane
from autoscaler.model import Millis


class VirtualTime:
    """Runs steps at their times, one after the other; ``pass_to`` is told of each instant before its steps run."""

    def __init__(self, now: Millis, pass_to: Callable[[Millis], None]) -> None:
        self.now = now
        self._pass_to = pass_to
        self._steps: list[tuple[Millis, int, str, Callable[[], None]]] = []
        self._latest: dict[str, int] = {}
        self._count = 0

    def clock(self) -> Millis:
        return self.now

    def at(self, when: Millis, step: Callable[[], None], *, name: str, lane: Lane = Lane.WORKERS) -> None:
        """As the daemon's scheduler: a later call with the same name replaces an earlier one."""
        self._count += 1
        self._latest[name] = self._count
        heapq.heappush(self._steps, (when, self._count, name, step))

    def run(self, until: Millis) -> None:
        """Run every step due up to a time, in order."""
        while self._steps and self._steps[0][0] <= until:
            when, count, name, step = heapq.heappop(self._steps)
            if self._latest.get(name) == count:
                self._go(when)
                step()
        self._go(until)

    def spend(self, duration: Millis) -> None:
        """Time that the step which runs takes; what is due meanwhile waits for it."""
        self._go(self.now + duration)

    def _go(self, when: Millis) -> None:
        if when > self.now:
            self._pass_to(when)
            self.now = when

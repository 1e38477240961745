"""Details of a job that must not be trusted, and what was concluded from them all the same."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from autoscaler.model import Millis, Transition, VertexId

BY_NUMBERS = ("a slot reads", "its lag grows")  # what is said of a roll-back that samples gave the reason for
PASS_TAKES: Millis = 10_000


@dataclass(slots=True)
class Doubt:
    """Details that must not be trusted, of one vertex or all: when their pass began, truly and by the host's clock.

    ``sampled`` is whether a sample was made of them, as a pass may fail after them, ``stored`` whether it was stored,
    ``followed`` whether another sample was taken since.
    """

    at: Millis
    by_clock: Millis
    vertex: VertexId | None
    sampled: bool = False
    stored: bool = False
    followed: bool = False

    def kept(self, at: Millis, *, stored: bool) -> None:
        """A sample was made by a pass that began then by the host's clock."""
        if self.by_clock == at:
            self.sampled, self.stored = True, self.stored or stored
        elif self.sampled:
            self.followed = True


def behind(verdict: Transition, doubts: Iterable[Doubt]) -> Doubt | None:
    """Return the doubtful details that are in one of the two samples, or both, that a verdict by numbers takes.

    At most one sample came after them, of the pass that gave the verdict and is not kept before it has sent.
    """
    if not any(said in verdict.reason for said in BY_NUMBERS):
        return None
    known = [doubt for doubt in doubts if doubt.by_clock <= verdict.at and not doubt.followed]
    return next((each for each in known if each.sampled or verdict.at - each.by_clock < PASS_TAKES), None)

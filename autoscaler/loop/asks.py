"""What was asked of YARN and has not come yet, who may ask next, and whether the cluster grows when it is asked to."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

from autoscaler.core.capacity import Refusals
from autoscaler.loop.claims import Holder
from autoscaler.loop.survey import Promise
from autoscaler.model import Millis, Policy, Resource

MINUTE: Millis = 60_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Ask:
    """A request that needs TaskManagers: ``needed`` in all by its application, ``new`` of them not there when it was
    sent, ``beyond`` of those more than the cluster had room for."""

    who: Holder
    queue: str
    user: str
    container: Resource | None
    needed: int
    new: int
    beyond: int
    sent_at: Millis
    timeout: Millis


@dataclass(frozen=True, slots=True, kw_only=True)
class Turn:
    """A rescale that could be sent now. ``behind_s`` is the time its sources are behind, in seconds, ``mends`` whether
    it takes back one that did harm."""

    who: Holder
    queue: str
    shrinks: bool
    new: int
    behind_s: float = 0.0
    mends: bool = False

    @property
    def rank(self) -> tuple[bool, bool, float, Holder]:
        """Roll-backs first, then scale-downs, as they make room, then who is farthest behind."""
        return not self.mends, not self.shrinks, -self.behind_s, self.who


@dataclass(frozen=True, slots=True)
class _Waiting:
    """``in_rush`` is whether it waits for TaskManagers that others asked for, and not for their rescales to end."""

    turn: Turn
    since: Millis
    patience: Millis
    in_rush: bool


@dataclass(slots=True)
class Asks:
    """Of the whole fleet. ``flying`` are the jobs under a rescale now, and whether it only shrinks them.

    What is noted of a time that lies ahead is of a clock that was set back since, and counts no longer for that.
    """

    flying: Callable[[], Mapping[Holder, bool]]
    _open: dict[Holder, Ask] = field(default_factory=dict)
    _running: Mapping[str, int] = field(default_factory=dict)
    _refusals: dict[str, Refusals] = field(default_factory=dict)
    _sent: list[tuple[Millis, str, int]] = field(default_factory=list)
    _waiting: dict[Holder, _Waiting] = field(default_factory=dict)
    _going: dict[Holder, bool] = field(default_factory=dict)
    _lock: threading.RLock = field(default_factory=threading.RLock)

    # -------------------------------------------------------------- what was asked for

    def sent(self, ask: Ask) -> None:
        """Note a request that went out; it replaces what the same job asked for before."""
        with self._lock:
            self._open.pop(ask.who, None)
            if ask.new:
                self._open[ask.who] = ask
                self._sent.append((ask.sent_at, ask.queue, ask.new))

    def look(self, task_managers: Mapping[str, int], now: Millis) -> list[Ask]:
        """Learn how many TaskManagers each running application has; return what was refused just now.

        A request is granted when its application has as many as it needs, and refused when its time is up before.
        """
        with self._lock:
            self._running = dict(task_managers)
            self._sent = [each for each in self._sent if abs(now - each[0]) < MINUTE]
            refused = []
            for who, ask in list(self._open.items()):
                there = task_managers.get(who.application_id)
                if there is not None and there < ask.needed and abs(now - ask.sent_at) < ask.timeout:
                    continue
                del self._open[who]
                if there is not None and ask.beyond:
                    granted = there >= ask.needed
                    before = self._refusals.get(ask.queue, Refusals())
                    self._refusals[ask.queue] = Refusals() if granted else Refusals(count=before.count + 1, at=now)
                    refused += [] if granted else [ask]
            return refused

    def refusals(self, queue: str) -> Refusals:
        """How requests beyond what the cluster had fared in a queue lately."""
        return self._refusals.get(queue, Refusals())

    def promised(self, apart_from: str, surveyed_at: Millis) -> tuple[Promise, ...]:
        """What other applications have not got yet of what they asked for, as seen by a survey.

        What was sent after it counts in full, for none of it can be seen there.
        """
        with self._lock:
            return tuple(
                Promise(queue=ask.queue, user=ask.user, container=ask.container, count=missing)
                for ask in self._open.values()
                if ask.who.application_id != apart_from and ask.container is not None
                if (missing := self._missing(ask, surveyed_at)) > 0
            )

    def _missing(self, ask: Ask, surveyed_at: Millis) -> int:
        if ask.sent_at >= surveyed_at:
            return ask.new
        return min(ask.new, ask.needed - self._running.get(ask.who.application_id, 0))

    # -------------------------------------------------------------- whose turn it is

    def enter(self, turn: Turn, policy: Policy, now: Millis) -> str | None:
        """Ask to send; ``None`` lets one in, who has to ``leave``, otherwise the answer says why to wait."""
        with self._lock:
            self._waiting = {
                who: each
                for who, each in self._waiting.items()
                if abs(now - each.since) < each.patience and who != turn.who
            }
            ahead = [each for each in self._waiting.values() if each.turn.rank < turn.rank]
            crowd = self._crowd(turn, sum(not each.in_rush for each in ahead), policy)
            why = crowd or self._rush(turn, [each.turn for each in ahead], policy, now)
            if why is None:
                self._going[turn.who] = turn.shrinks
            else:
                # Who does not come back in time, for whatever reason, must not be waited for.
                patience = 2 * policy.decision_interval + 10_000
                self._waiting[turn.who] = _Waiting(turn=turn, since=now, patience=patience, in_rush=crowd is None)
            return why

    def leave(self, who: Holder) -> None:
        with self._lock:
            self._going.pop(who, None)

    def _crowd(self, turn: Turn, ahead: int, policy: Policy) -> str | None:
        """A scale-down waits for others of its kind alone: it may make the very room that the rest waits for. A
        roll-back waits for none, as a rescale may be under way for a quarter of an hour while its job suffers. Of those
        who go first none counts that may not go yet, or one queue's rush would hold the jobs of all others."""
        most = 0 if turn.mends else policy.rescales_in_flight
        under_way = {**self.flying(), **self._going} if most else {}
        flying = sum(shrinks or not turn.shrinks for shrinks in under_way.values())
        if not most or flying + ahead < most:
            return None
        return f"{flying} of at most {most} rescales are under way (yarn.fleet.rescales-in-flight), {ahead} go first"

    def _rush(self, turn: Turn, ahead: Iterable[Turn], policy: Policy, now: Millis) -> str | None:
        most = policy.task_managers_per_minute
        asked = sum(new for at, queue, new in self._sent if queue == turn.queue and abs(now - at) < MINUTE)
        asked += sum(each.new for each in ahead if each.queue == turn.queue)
        if not (most and turn.new and asked) or asked + turn.new <= most:
            return None
        return (
            f"{asked} TaskManagers were asked for in queue {turn.queue} within a minute or go first, {turn.new} more "
            f"would be over {most} (yarn.fleet.task-managers-per-minute)"
        )

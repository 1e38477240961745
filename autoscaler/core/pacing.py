"""When a rescale that is wanted comes at a bad time, judged by what was asked of the job before.

The record is the job's requests, oldest first; nothing else is remembered, so a restart of the autoscaler changes
nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import NamedTuple

from autoscaler.model import Millis, Phase, Policy, Reason, Request, RequestKind, RequestState, VertexId

DAY: Millis = 86_400_000
LONGEST_BACK_OFF: Millis = 6 * 3_600_000
FLAPS = 3  # changes of parallelism that nobody asked for, within
FALLS = 2  # of them that take something away: one alone is a loss that is being made up for
FLAPPING_WITHIN: Millis = 3_600_000
FLAPPING = f"its parallelism changed {FLAPS} times and more within an hour without a request"
REMEMBERED = 100  # requests of one job that are looked back on; at six a day and a withdrawal each, a week

Objection = tuple[Reason, str]


class Span(NamedTuple):
    """A time for which something holds. One that has not begun is of a clock that was set back since: it holds if it
    began no farther ahead than it is long, so that nothing waits for a clock to catch up."""

    since: Millis
    length: Millis

    @property
    def until(self) -> Millis:
        return self.since + self.length

    def holds(self, now: Millis) -> bool:
        return abs(now - self.since) < self.length


_NOT_SENT = (RequestState.REJECTED, RequestState.VOID)
_RESTARTS_THE_JOB = (RequestKind.SCALE, RequestKind.ROLL_BACK, RequestKind.RESTORE, RequestKind.PIN)


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """A rescale that is wanted. ``behind_ms`` is how far behind the job is if that is too far and growing.

    ``unasked`` are the times at which the parallelism changed without anybody's request.
    """

    present: Mapping[VertexId, int]
    target: Mapping[VertexId, int]
    slots: int
    slots_wanted: int
    behind_ms: Millis | None = None
    unasked: tuple[Millis, ...] = ()

    @property
    def grows(self) -> bool:
        """Whether some vertex gets more; such a rescale is wanted to keep up, not to save."""
        return any(wanted > self.present.get(vertex, wanted) for vertex, wanted in self.target.items())


Past = Sequence[Request]
Rule = Callable[[Past, Wish, Policy, Millis], Objection | None]


def objection(past: Past, wish: Wish, policy: Policy, now: Millis) -> Objection | None:
    """Return why a rescale should not be asked for now, ``None`` if it may be."""
    return next((found for rule in RULES if (found := rule(past, wish, policy, now)) is not None), None)


def overdraft(past: Past, wish: Wish, policy: Policy, now: Millis) -> str | None:
    """Return how a rescale overdraws the budget, which only a job that falls behind may."""
    used = _spent(past, now)
    if wish.behind_ms is None or not 0 < policy.rescale_budget <= used:
        return None
    return (
        f"rescale {used + 1} of {policy.rescale_budget} within a day, as the job is {_minutes(wish.behind_ms)} behind"
    )


# ------------------------------------------------------------------ the rules


def somebody_elses_change_is_kept(past: Past, _wish: Wish, policy: Policy, now: Millis) -> Objection | None:
    adopted = next((request for request in reversed(past) if request.kind is RequestKind.ADOPT), None)
    if adopted is None:
        return None
    span = Span(adopted.decided_at, policy.external_change_hold)
    if not span.holds(now):
        return None
    return Reason.EXTERNAL_CHANGE, f"{adopted.reason}; left as it is until {_clock(span.until)}"


def the_job_must_not_flap(past: Past, wish: Wish, policy: Policy, now: Millis) -> Objection | None:
    """A loop of Flink's own is not mended by a restart more. A pin ends it, and what then falls behind may grow."""
    until = flapping_until(wish.unasked, policy, now)
    if until is None or (wish.behind_ms is not None and _was_pinned_since(past, wish.unasked[-1])):
        return None
    return Reason.FLAPPING, f"{FLAPPING}; left as it is until {_clock(until)}"


def a_probation_is_not_disturbed(past: Past, wish: Wish, _policy: Policy, _now: Millis) -> Objection | None:
    """A further growth may follow at once, the rest would hide what the change did."""
    newest = trial_of(past)
    if newest is None or wish.grows:
        return None
    return Reason.PROBATION, f"the change of {_clock(newest.decided_at)} is on probation"


def the_target_is_not_known_bad(past: Past, wish: Wish, policy: Policy, now: Millis) -> Objection | None:
    span = bad_for(past, wish.target, policy)
    if span is None or not span.holds(now):
        return None
    return Reason.KNOWN_BAD, f"this target was rolled back before and is not tried again until {_clock(span.until)}"


def growth_is_not_tried_a_third_time(past: Past, wish: Wish, policy: Policy, now: Millis) -> Objection | None:
    """Two growths in a row were undone: one that goes as far is no way out, although its target is another."""
    undone = _growths_undone(past)
    if len(undone) < 2 or not any(_goes_as_far(wish.target, each) for _, each in undone):
        return None
    span = Span(undone[0][0], _doubled(policy.bad_target_memory, len(undone) - 1, policy.bad_target_memory_max))
    if not span.holds(now):
        return None
    said = f"growth was rolled back {len(undone)} times in a row"
    return Reason.KNOWN_BAD, f"{said}; none as far until {_clock(span.until)}"


def what_was_not_granted_must_wait(past: Past, wish: Wish, policy: Policy, now: Millis) -> Objection | None:
    """More slots are not asked for at once again; the wait doubles each time in a row."""
    span = backed_off_for(past, policy)
    if span is None or not span.holds(now) or wish.slots_wanted <= wish.slots:
        return None
    said = f"the cluster did not grant what was asked last, {wish.slots_wanted} slots now"
    return Reason.AWAITING_RESOURCES, f"{said}; tried again from {_clock(span.until)}"


def rescales_keep_their_distance(past: Past, wish: Wish, policy: Policy, now: Millis) -> Objection | None:
    gap = policy.rescale_gap_up if wish.grows else policy.rescale_gap_down
    sent = [request.sent_at for request in past if request.kind in _RESTARTS_THE_JOB and _was_sent(request)]
    last = max((at for at in sent if at is not None), default=None)
    if last is None or not Span(last, gap).holds(now):
        return None
    key = "up" if wish.grows else "down"
    return (
        Reason.TOO_SOON,
        f"rescaled at {_clock(last)}; yarn.rescale-gap.{key} allows the next at {_clock(last + gap)}",
    )


def the_budget_must_last(past: Past, wish: Wish, policy: Policy, now: Millis) -> Objection | None:
    used = _spent(past, now)
    if wish.behind_ms is not None or not 0 < policy.rescale_budget <= used:
        return None
    return Reason.BUDGET, f"rescaled {used} times within a day, which yarn.rescale-budget does not let it exceed"


RULES: tuple[Rule, ...] = (  # first to object wins
    somebody_elses_change_is_kept,  # no fight with people
    the_job_must_not_flap,  # nor with Flink
    a_probation_is_not_disturbed,  # one change at a time
    the_target_is_not_known_bad,  # a mistake is not made twice
    growth_is_not_tried_a_third_time,  # nor by a little more each time, as the lag grows
    what_was_not_granted_must_wait,  # containers that are pending cost the queue its headroom
    rescales_keep_their_distance,  # a restart has to pay off first
    the_budget_must_last,  # however good each reason is
)


# ------------------------------------------------------------------ what the record says


def flapping_until(unasked: Sequence[Millis], policy: Policy, now: Millis) -> Millis | None:
    """Return until when a job is left alone whose parallelism changed at such times without a request."""
    flaps = [at for at in unasked if Span(at, FLAPPING_WITHIN).holds(now)]
    if policy.external_change_hold <= 0 or len(flaps) < FLAPS:
        return None
    return flaps[-FLAPS] + FLAPPING_WITHIN


def _was_pinned_since(past: Past, at: Millis) -> bool:
    return any(each.kind is RequestKind.PIN and _was_sent(each) and each.decided_at >= at for each in past)


def trial_of(past: Past) -> Request | None:
    """Return the request whose change is on probation."""
    return next((request for request in reversed(past) if request.life.phase is Phase.PROBATION), None)


def known_requirements(past: Past) -> Request | None:
    """Return the request that tells what the requirements should be: the newest that was sent, or was adopted."""
    return next((request for request in reversed(past) if _was_sent(request)), None)


def due(past: Past, policy: Policy) -> tuple[RequestKind, Request] | None:
    """Return what has to follow a request: the roll-back of a bad one, the withdrawal of what was not reached.

    Each is asked for once: a later request that left, whatever came of it, has taken its place.
    """
    for request in reversed([each for each in past if each.state is not RequestState.VOID]):
        if request.life.phase is Phase.ROLLED_BACK:
            return (RequestKind.ROLL_BACK, request) if request.former else None
        if request.kind is not RequestKind.WITHDRAW:
            break
    newest = next((each for each in reversed(past) if each.state is not RequestState.VOID), None)
    if newest is None or policy.back_off <= 0 or newest.kind in (RequestKind.ADOPT, RequestKind.WITHDRAW):
        return None
    fell_short = newest.state in (RequestState.PARTIAL, RequestState.TIMED_OUT)
    return (RequestKind.WITHDRAW, newest) if fell_short else None


def lost(past: Past, application_id: str, job_id: str) -> Request | None:
    """Return the request whose requirements another attempt of the same application may have lost.

    Without high availability a new ApplicationMaster starts the job as it was submitted, under another id. Nothing is
    lost of a job that was pinned at what it had come down to. What may never have been in force counts for nothing.
    """
    known = known_requirements([request for request in past if not _may_never_have_arrived(request)])
    if known is None or known.application_id != application_id or known.job_id == job_id:
        return None
    if known.kind is RequestKind.PIN and dict(known.target) == dict(known.before):
        return None
    return None if known.life.phase is Phase.ROLLED_BACK else known


def _may_never_have_arrived(request: Request) -> bool:
    """Whether nobody knows that a request was carried out: it was not answered, and given up before its target ran."""
    accepted = request.answer is not None and request.answer.startswith("accepted")
    ran = any(step.now in (Phase.APPLIED, Phase.PARTIAL) for step in request.transitions)
    return request.state is RequestState.NOT_ACHIEVED and not accepted and not ran


def bad_for(past: Past, target: Mapping[VertexId, int], policy: Policy) -> Span | None:
    """Return the time for which a target is known to be bad; each roll-back of it doubles it."""
    undone = [_undone_at(request, past) for request in past if dict(request.target) == dict(target)]
    rolled = [at for at in undone if at is not None]
    if not rolled:
        return None
    return Span(rolled[-1], _doubled(policy.bad_target_memory, len(rolled), policy.bad_target_memory_max))


def _growths_undone(past: Past) -> list[tuple[Millis, Request]]:
    """Return the newest growths, all rolled back, newest first, with the times at which they were."""
    undone: list[tuple[Millis, Request]] = []
    for request in reversed([each for each in past if each.kind is RequestKind.SCALE and _was_sent(each)]):
        at = _undone_at(request, past)
        if at is None:
            break
        if _grown(request):
            undone.append((at, request))
    return undone


def _undone_at(request: Request, past: Past) -> Millis | None:
    """When a request was rolled back, ``None`` if it was not.

    The roll-back itself tells too: a daemon may have died before it stored what became of the request, and another have
    closed it.
    """
    if request.life.phase is Phase.ROLLED_BACK:
        return request.life.since
    following = [each for each in past[past.index(request) + 1 :] if _was_sent(each)]
    undone = [
        each.decided_at
        for each in following[:1]
        if each.kind is RequestKind.ROLL_BACK and dict(each.target) == dict(request.before)
    ]
    return next(iter(undone), None)


def _goes_as_far(target: Mapping[VertexId, int], request: Request) -> bool:
    return all(target.get(vertex, 0) >= request.target[vertex] for vertex in _grown(request))


def _grown(request: Request) -> list[VertexId]:
    return [vertex for vertex, wanted in request.target.items() if wanted > request.before.get(vertex, wanted)]


def backed_off_for(past: Past, policy: Policy) -> Span | None:
    """Return the time for which no more slots are asked for, after requests in a row that were not granted in full."""
    refused: list[Request] = []
    for request in reversed([each for each in past if each.kind is RequestKind.SCALE and _was_sent(each)]):
        if request.state not in (RequestState.PARTIAL, RequestState.TIMED_OUT):
            break
        refused.append(request)
    if not refused or policy.back_off <= 0:
        return None
    newest = refused[0]
    closed = newest.outcome.at if newest.outcome is not None else newest.decided_at
    return Span(closed, _doubled(policy.back_off, len(refused), LONGEST_BACK_OFF))


def _was_sent(request: Request) -> bool:
    return request.state not in _NOT_SENT


def _spent(past: Past, now: Millis) -> int:
    return sum(
        request.kind is RequestKind.SCALE and _was_sent(request) and Span(request.decided_at, DAY).holds(now)
        for request in past
    )


def _doubled(first: Millis, times: int, longest: Millis) -> Millis:
    """Return ``first`` doubled for each time after the first. Worked: 6 h, 12 h, 24 h, 48 h, 48 h."""
    return min(longest, first << min(times - 1, 20))


def _minutes(milliseconds: Millis) -> str:
    return f"{max(1, round(milliseconds / 60_000))} min"


def _clock(at: Millis) -> str:
    return datetime.fromtimestamp(at / 1000, UTC).strftime("%Y-%m-%d %H:%M UTC")

"""The life of a request for another parallelism, as one state machine; ARCHITECTURE.md draws it.

``advance`` is the whole of it: the request with its present phase, what a look at the job told, the policy and the time
give the request in its next phase, with the transitions taken and the reason of each.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace

from autoscaler.core.fare import is_hardly_more
from autoscaler.model import Fare, Life, Millis, Phase, Policy, Request, RequestKind, Transition, VertexId


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """What a look at a job told; ``None`` where it was not asked or not answered.

    ``attempt`` is when the present attempt began, ``running`` whether all its tasks run. Without a known number of
    missing slots they count as missing; ``missing`` says what is, in words. ``flink_waits_ms`` is how long Flink may
    put a rescale off by itself. ``foreign`` is whether the live requirements are somebody else's,
    ``failed_checkpoints`` Flink's count, ``fare`` how the job fares by a new sample.
    """

    parallelism: Mapping[VertexId, int] | None = None
    attempt: Millis | None = None
    running: bool = False
    slots_missing: int | None = None
    missing: str = ""
    flink_waits_ms: Millis = 0
    foreign: bool = False
    failed_checkpoints: int | None = None
    fare: Fare = field(default_factory=Fare)


# A job that was paused, or had no daemon, for a whole probation may have gone through anything; one that runs after it
# is not taken back for that.
LOOKS_MISSED = 3

Taken = tuple[Phase, str]
Rule = Callable[[Request, Seen, Policy, Millis], Taken | None]


def advance(request: Request, seen: Seen, policy: Policy, now: Millis) -> tuple[Request, tuple[Transition, ...]]:
    """Return the request as it is after a look, and the transitions taken, oldest first; most looks take none."""
    unwatched = now - request.life.looked_at if request.life.looked_at else 0
    request = replace(request, life=_noted(request, seen, policy, now))
    before = len(request.transitions)
    longest = max(policy.probation, LOOKS_MISSED * policy.decision_interval)
    if is_on_trial(request) and seen.running and unwatched > longest:
        request = entered(request, Phase.STEADY, f"nobody watched it for {_seconds(unwatched)}, and it runs", now)
    while (taken := RULES[request.life.phase](request, seen, policy, now)) is not None:
        request = entered(request, *taken, now)
    return request, request.transitions[before:]


def begun(request: Request, now: Millis) -> Request:
    """Return the request with its life begun; what became of it only a look at the job tells."""
    return request if request.transitions else entered(request, Phase.REQUESTED, request.reason, now)


def entered(request: Request, phase: Phase, reason: str, now: Millis) -> Request:
    """Return the request in another phase."""
    transition = Transition(at=now, was=request.life.phase, now=phase, reason=reason)
    life = replace(request.life, phase=phase, since=now)
    return replace(request, life=life, transitions=(*request.transitions, transition))


def is_on_trial(request: Request) -> bool:
    """Tell whether the change a request made may still be rolled back."""
    return request.life.phase is Phase.PROBATION


def has_target(request: Request, parallelism: Mapping[VertexId, int] | None) -> bool:
    """Tell whether a parallelism is what a request wants.

    A vertex whose bounds the request left as they were may get more, as far as they go: it takes slots that others gave
    up, where somebody allowed it more than it had.
    """
    if parallelism is None or parallelism.keys() != request.target.keys():
        return False
    return all(
        parallelism[vertex] == wanted or wanted < parallelism[vertex] <= _most(request, vertex)
        for vertex, wanted in request.target.items()
    )


def _most(request: Request, vertex: VertexId) -> int:
    bounds = request.requirements.get(vertex)
    return bounds.upper if bounds is not None and bounds == request.former.get(vertex) else 0


def is_reached(request: Request, seen: Seen) -> bool:
    """Tell whether an attempt that began after the request has the target; whether it runs is another question.

    What asks for no other parallelism, as a withdrawal does, starts no attempt.
    """
    if not has_target(request, seen.parallelism):
        return False
    return dict(request.target) == dict(request.before) or seen.attempt not in (None, request.running_since)


# ------------------------------------------------------------------ evidence


def _noted(request: Request, seen: Seen, policy: Policy, now: Millis) -> Life:
    """Return the life with what the look adds to its evidence."""
    life = request.life
    changes: dict[str, object] = {"looked_at": now}
    elapsed = now - life.looked_at if life.looked_at else 0
    if elapsed < 0:  # a clock was set back: what began before goes on as if it had begun by the new one
        life, elapsed = replace(life, since=life.since + elapsed, excused_ms=life.excused_ms + elapsed), 0
    # Flink may wait for a checkpoint or its cool-down, and then restart; what takes longer than both is stuck.
    excusable = seen.flink_waits_ms + policy.restart_time_tracking_limit
    if life.phase is Phase.REQUESTED and seen.slots_missing == 0:
        changes["excused_ms"] = min(excusable, life.excused_ms + elapsed)
    if seen.attempt not in (None, life.attempt, request.running_since):
        again = seen.parallelism == dict(life.parallelism) or life.phase is Phase.PROBATION
        changes["attempt"] = seen.attempt
        changes["parallelism"] = seen.parallelism or life.parallelism
        changes["attempts"] = life.attempts + 1 if again else 1
        if life.phase is Phase.REQUESTED and not again:
            changes["steps"] = (*life.steps, seen.attempt)
    if life.phase is Phase.PROBATION and life.failed_checkpoints is None:
        changes["failed_checkpoints"] = seen.failed_checkpoints
    if life.phase is Phase.PROBATION and seen.fare.lag_growth is not None:
        changes["lag_streak"] = life.lag_streak + 1 if _lag_grows_faster(life.before, seen.fare) else 0
    return replace(life, **changes)  # type: ignore[arg-type]  # the names are those of Life's fields


def _lag_grows_faster(before: Fare | None, now: Fare) -> bool:
    """Tell whether the lag grows by more than before and noise, and not in spite of a gain.

    A job that grew and reads more than it did is better off than before, however much arrives.
    """
    if before is None or before.lag_growth is None or now.lag_growth is None:
        return False
    if is_hardly_more(now.lag_growth, max(0.0, before.lag_growth), now.arriving):
        return False
    return not _gained(before, now)


def _gained(before: Fare, now: Fare) -> bool:
    if before.slots is None or now.slots is None or before.throughput is None or now.throughput is None:
        return False
    return now.slots > before.slots and now.throughput > before.throughput


# ------------------------------------------------------------------ why a change is rolled back


def restarts_again(life: Life, _seen: Seen, policy: Policy) -> str | None:
    restarts = life.attempts - 1
    if not 0 < policy.rollback_restarts <= restarts:
        return None
    return f"it restarted {_times(restarts)} since"


def checkpoints_fail(life: Life, seen: Seen, policy: Policy) -> str | None:
    if seen.failed_checkpoints is None or life.failed_checkpoints is None:
        return None
    failed = seen.failed_checkpoints - life.failed_checkpoints
    if not 0 < policy.rollback_failed_checkpoints <= failed:
        return None
    return f"{failed} checkpoints failed since"


def processes_less(life: Life, seen: Seen, policy: Policy) -> str | None:
    """Less per slot, less in all, and less than arrives, although no less arrives than before.

    A job that was sized for more than it gets does less per slot, and one that has worked off its lag less in all;
    neither is worse off.
    """
    before, now = life.before, seen.fare
    was, arrived, slots = (before.throughput, before.arriving, before.slots) if before else (None, None, None)
    if was is None or arrived is None or not slots or now.throughput is None or now.arriving is None or not now.slots:
        return None
    if was <= 0:
        return None  # of nothing no share can be told
    keeps_up = is_hardly_more(now.arriving, now.throughput, now.arriving)
    if now.arriving < arrived or now.throughput >= was or keeps_up:
        return None
    share = (now.throughput / now.slots) / (was / slots)
    if share >= policy.rollback_throughput:
        return None
    return f"a slot reads {share:.0%} of what it did, at {now.arriving:.0f} instead of {arrived:.0f} records/s arriving"


def falls_behind(life: Life, seen: Seen, policy: Policy) -> str | None:
    if not 0 < policy.rollback_lag_samples <= life.lag_streak or life.before is None:
        return None
    grows, grew = seen.fare.lag_growth or 0.0, life.before.lag_growth or 0.0
    return f"its lag grows by {grows:.0f} records/s, before by {grew:.0f}, in {life.lag_streak} samples in a row"


def collects_garbage(life: Life, seen: Seen, policy: Policy) -> str | None:
    """A pressure above the threshold that was not there before."""
    now, before = seen.fare.gc_pressure, life.before.gc_pressure if life.before else None
    threshold = policy.rollback_gc_pressure
    if now is None or now <= threshold or (before is not None and before > threshold):
        return None
    return f"a TaskManager spends {now:.0%} of its time collecting garbage"


TRIGGERS: tuple[Callable[[Life, Seen, Policy], str | None], ...] = (  # the first to object is the reason
    restarts_again,  # it may not even start, for want of network buffers
    checkpoints_fail,  # the next restart would replay more and more
    processes_less,  # the change did harm
    falls_behind,  # so it did, more slowly
    collects_garbage,  # it is about to
)


def _trouble(life: Life, seen: Seen, policy: Policy) -> str | None:
    return next((found for trigger in TRIGGERS if (found := trigger(life, seen, policy)) is not None), None)


# ------------------------------------------------------------------ the transitions


def from_steady(request: Request, _seen: Seen, _policy: Policy, _now: Millis) -> Taken | None:
    """A request begins once; afterwards steady is where its life ends."""
    return None if request.transitions or request.sent_at is None else (Phase.REQUESTED, request.reason)


def from_requested(request: Request, seen: Seen, policy: Policy, now: Millis) -> Taken | None:
    if is_reached(request, seen):
        took = _seconds(now - (request.sent_at or now))
        if seen.running:
            return Phase.APPLIED, f"all tasks run at the target after {took}"
        trouble = restarts_again(request.life, seen, policy)
        return None if trouble is None else (Phase.APPLIED, f"the target was started, but {trouble}")
    waited = now - (request.sent_at or now) - request.life.excused_ms
    if waited < policy.rescale_timeout:
        return None
    missing = seen.missing or "the target was not reached"
    said = f"{missing}, for {_seconds(waited)}"
    changed = seen.parallelism is not None and seen.parallelism != dict(request.before)
    return (Phase.PARTIAL, said) if changed else (Phase.TIMED_OUT, said)


def from_changed(request: Request, _seen: Seen, policy: Policy, _now: Millis) -> Taken:
    """A change of our own choice is on probation; what others wanted, or undoes a change, is not."""
    if policy.probation <= 0 or request.kind is not RequestKind.SCALE:
        return Phase.STEADY, "nothing is watched after it"
    return Phase.PROBATION, f"watched for {_seconds(policy.probation)}"


def from_timed_out(_request: Request, _seen: Seen, _policy: Policy, _now: Millis) -> Taken:
    return Phase.STEADY, "the job runs as before"


def from_probation(request: Request, seen: Seen, policy: Policy, now: Millis) -> Taken | None:
    if seen.foreign:
        return Phase.STEADY, "somebody else changed the requirements"
    trouble = _trouble(request.life, seen, policy)
    if trouble is not None:
        return Phase.ROLLED_BACK, trouble
    if now - request.life.since < policy.probation:
        return None
    return Phase.STEADY, f"nothing got worse within {_seconds(policy.probation)}"


def from_rolled_back(_request: Request, _seen: Seen, _policy: Policy, _now: Millis) -> None:
    """The roll-back is a request of its own."""


RULES: Mapping[Phase, Rule] = {
    Phase.STEADY: from_steady,
    Phase.REQUESTED: from_requested,
    Phase.APPLIED: from_changed,
    Phase.PARTIAL: from_changed,
    Phase.TIMED_OUT: from_timed_out,
    Phase.PROBATION: from_probation,
    Phase.ROLLED_BACK: from_rolled_back,
}


def _times(count: int) -> str:
    return "once" if count == 1 else f"{count} times"


def _seconds(milliseconds: Millis) -> str:
    total = max(0, round(milliseconds / 1000))
    minutes, rest = divmod(total, 60)
    if not minutes:
        return f"{rest} s"
    return f"{minutes} min {rest} s" if rest else f"{minutes} min"

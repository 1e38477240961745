"""Acting on a decision: when it may be sent, what is sent, and what came of it.

An intent is stored before the PUT and its outcome after. A PUT is never repeated: whether it took effect is observed.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace

from autoscaler.cluster import Checkpoints, JobDetails, JobOverview, PutAnswer, PutResult
from autoscaler.core.lifecycle import entered
from autoscaler.model import (
    Bounds,
    Millis,
    Outcome,
    Phase,
    Policy,
    Reason,
    Request,
    RequestState,
    VertexId,
    frozen,
)
from autoscaler.telemetry import sentences

FIRST_LOOKS: tuple[Millis, ...] = (1_000, 2_000, 4_000)
LOOK_EVERY: Millis = 5_000
SCHEDULER = "jobmanager.adaptive-scheduler."
PUT_TIMEOUT_S = 8.0  # a stop waits for a PUT on the wire and must not take longer than 10 s
UNDERWAY_AT_MOST: Millis = 60_000  # by then the proxy has given up what it passes on, and Flink was told or not

Objection = tuple[Reason, str]


def checkpointing_is_on(policy: Policy, interval: Millis | None, _checkpoints: Checkpoints) -> Objection | None:
    if interval is not None or policy.allow_without_checkpoint:
        return None
    return Reason.CHECKPOINTING_OFF, "checkpointing is off: a rescale would restart the job from scratch"


def a_checkpoint_exists(policy: Policy, _interval: Millis | None, checkpoints: Checkpoints) -> Objection | None:
    if checkpoints.completed_id is not None or checkpoints.restored_id is not None or policy.allow_without_checkpoint:
        return None
    return (
        Reason.NO_CHECKPOINT,
        "no checkpoint has completed or been restored yet: a rescale would restart the job from scratch",
    )


def checkpoints_succeed(_policy: Policy, _interval: Millis | None, checkpoints: Checkpoints) -> Objection | None:
    if not checkpoints.failing:
        return None
    return Reason.CHECKPOINTS_FAIL, "the newest checkpoint failed: a restart would replay all since the last good one"


def no_savepoint_runs(_policy: Policy, _interval: Millis | None, checkpoints: Checkpoints) -> Objection | None:
    if not checkpoints.savepoint_running:
        return None
    return Reason.SAVEPOINT, "a savepoint is being taken, which a restart would abort"


GUARDS: tuple[Callable[[Policy, Millis | None, Checkpoints], Objection | None], ...] = (  # first to object wins
    checkpointing_is_on,  # without it every restart loses state and positions
    a_checkpoint_exists,  # so does a restart before the first one
    checkpoints_succeed,  # the longer ago the last good one, the more is replayed
    no_savepoint_runs,  # somebody is waiting for it
)


def refusal(policy: Policy, interval: Millis | None, checkpoints: Checkpoints) -> Objection | None:
    """Return why nothing may be sent now, ``None`` if it may. ``interval`` is ``None`` where checkpointing is off."""
    return next((found for guard in GUARDS if (found := guard(policy, interval, checkpoints)) is not None), None)


def bounds_to_send(
    live: Mapping[VertexId, Bounds], present: Mapping[VertexId, int], target: Mapping[VertexId, int]
) -> Mapping[VertexId, Bounds]:
    """The whole body of the PUT, starting from the live requirements.

    A vertex that does not change keeps what it has. A changed one gets the target as upper bound; its lower bound is
    kept, or lowered to the target, and never raised: a lower bound above the obtainable slots ends the job at its
    next failure. An upper bound of -1, which Flink takes from whoever sends it and cannot work with, is not passed on.
    """
    return frozen(
        {
            vertex: Bounds(lower=min(bounds.lower, target[vertex]), upper=target[vertex])
            if vertex in target and (target[vertex] != present.get(vertex) or bounds.upper < 1)
            else bounds
            for vertex, bounds in live.items()
        }
    )


def lowered(live: Mapping[VertexId, Bounds], present: Mapping[VertexId, int]) -> Mapping[VertexId, Bounds]:
    """The live requirements without what was not reached, so that no more containers are looked for."""
    return frozen(
        {
            vertex: Bounds(lower=min(bounds.lower, present[vertex]), upper=present[vertex])
            if vertex in present and bounds.upper > present[vertex]
            else bounds
            for vertex, bounds in live.items()
        }
    )


def are_ours(live: Mapping[VertexId, Bounds], known: Request) -> bool:
    """Whether live requirements are what a request to the same run of the job says.

    A request whose answer is not certain may have been carried out or not.
    """
    return dict(live) == dict(known.requirements) or was_not_carried_out(known, live)


def was_not_carried_out(known: Request, live: Mapping[VertexId, Bounds]) -> bool:
    """Whether the requirements are still those from before a request whose answer is not certain, and whose target
    was never seen either."""
    seen = any(step.now in (Phase.APPLIED, Phase.PARTIAL) for step in known.transitions)
    return is_uncertain(known) and not seen and dict(live) == dict(known.former) != dict(known.requirements)


def is_uncertain(request: Request) -> bool:
    """Whether the answer to a request left open if Flink has it."""
    return request.answer is not None and request.answer.startswith(PutResult.UNCERTAIN.value.lower())


def may_be_under_way(request: Request, now: Millis) -> bool:
    """Whether it is too early to tell by the live requirements if Flink has a request."""
    return is_uncertain(request) and now - (request.sent_at or now) < UNDERWAY_AT_MOST


def shrinks(request: Request) -> bool:
    """Whether nothing grows by a request."""
    return all(target <= request.before.get(vertex, target) for vertex, target in request.target.items())


STATE_AFTER: Mapping[PutResult, RequestState] = {
    PutResult.ACCEPTED: RequestState.SENT,
    PutResult.UNCERTAIN: RequestState.SENT,  # it may have been carried out: watching will tell
    PutResult.REJECTED: RequestState.REJECTED,
    PutResult.NOT_SENT: RequestState.VOID,
    PutResult.WITHDRAWN: RequestState.VOID,
}


def answered(request: Request, answer: PutAnswer, sent_at: Millis) -> Request:
    """The request after its one sending."""
    text = f"{answer.result.value.lower()}: {answer.message}" if answer.message else answer.result.value.lower()
    return replace(request, state=STATE_AFTER[answer.result], sent_at=sent_at, answer=text)


def settled(request: Request, live: Mapping[VertexId, Bounds]) -> Request:
    """An intent whose PUT may or may not have left: equal live requirements mean it did, otherwise it is void."""
    if dict(live) == dict(request.requirements):
        return replace(request, state=RequestState.SENT, sent_at=request.sent_at or request.decided_at)
    return replace(request, state=RequestState.VOID, answer="the job's requirements are not those of the intent")


def never_arrived(request: Request, now: Millis) -> Request:
    """A request closed of which the live requirements tell that Flink has never had it; another one may be sent."""
    void = replace(request, state=RequestState.VOID, answer=f"not carried out, {request.answer}")
    return entered(void, Phase.STEADY, "the requirements are still those from before", now)


def next_look(sent_at: Millis, now: Millis) -> Millis:
    """When to look next at a job whose request was sent: after 1, 2, 4, then every 5 seconds; those too where a clock
    that was set back has it sent later than now."""
    if sent_at > now:
        return now + LOOK_EVERY
    for offset in FIRST_LOOKS:
        if sent_at + offset > now:
            return sent_at + offset
    last = sent_at + FIRST_LOOKS[-1]
    return last + ((now - last) // LOOK_EVERY + 1) * LOOK_EVERY


def runs(seen: JobOverview) -> bool:
    return seen.effective_state == "RUNNING"


STATE_OF: Mapping[Phase, RequestState] = {
    Phase.APPLIED: RequestState.ACHIEVED,
    Phase.PARTIAL: RequestState.PARTIAL,
    Phase.TIMED_OUT: RequestState.TIMED_OUT,
}


def achieved(
    request: Request,
    *,
    details: JobDetails,
    checkpoints: Checkpoints,
    last_seen_before: Millis,
    task_managers: int | None,
    note: str,
    now: Millis,
) -> Request:
    """Close a request whose target runs, with what it cost.

    The old attempt stopped between the last look that still saw it and the start of the new one; the later bound
    would hide the wait for slots, so the earlier is taken. Records since the restored checkpoint was triggered are
    processed again: its age at the stop times the sources' rate before.
    """
    sent_at = request.sent_at or request.decided_at
    stopped_at = min(max(sent_at, last_seen_before), details.running_since or now)
    if details.running_since == request.running_since:
        stopped_at = now  # it never stopped, as when upper bounds were lowered to what runs
    restored = checkpoints.restored_id
    triggered_at = checkpoints.triggers.get(restored) if restored is not None else None
    replayed = (
        round(request.source_rate * max(0, stopped_at - triggered_at) / 1000)
        if request.source_rate is not None and triggered_at is not None
        else None
    )
    outcome = Outcome(
        at=now,
        parallelism=frozen({v.id: v.parallelism for v in details.topology.vertices}),
        took_ms=now - sent_at,
        downtime_ms=max(0, now - stopped_at),
        replayed_records=replayed,
        restored_checkpoint=restored,
        task_managers=task_managers,
        note=note,
    )
    return replace(request, state=RequestState.ACHIEVED, outcome=outcome)


def advice(request: Request, flink_version: str | None) -> str:
    """What would have made one restart of several, where TaskManagers came one by one; empty for one restart.

    From 1.19 on Flink can wait between two restarts for as long as the containers took, before it only for a number of
    subtasks at once. From 2.0 on it waits for all of them by itself.
    """
    steps, sent_at = request.life.steps, request.sent_at or request.decided_at
    if len(steps) < 2:
        return ""
    times = ", ".join(sentences.seconds(at - sent_at) for at in steps)
    said = f"restarted {len(steps)} times as slots came, after {times}"
    version = flink_version or ""
    if version.startswith("1.18"):
        grown = max(request.target[v] - request.before.get(v, 0) for v in request.target)
        return f"{said}; {SCHEDULER}min-parallelism-increase: {grown} would make it one"
    if version.startswith("1."):
        span = sentences.seconds(steps[-1] - steps[0] + LOOK_EVERY)
        return f"{said}; {SCHEDULER}scaling-interval.min: {span} would make it one"
    return said


def not_achieved(
    request: Request,
    parallelism: Mapping[VertexId, int],
    note: str,
    now: Millis,
    state: RequestState = RequestState.NOT_ACHIEVED,
) -> Request:
    """Close a request that did not reach its target; a life that goes on ends with it."""
    outcome = Outcome(at=now, parallelism=frozen(parallelism), note=note)
    closed = replace(request, state=state, outcome=outcome)
    return entered(closed, Phase.STEADY, note, now) if closed.life.phase is Phase.REQUESTED else closed

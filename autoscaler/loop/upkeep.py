"""What has to be done about a job's requirements beside scaling it: take back, lower, restore, and adopt."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from autoscaler.cluster import JobDetails
from autoscaler.core import pacing
from autoscaler.core.fare import NEWEST, fare_of, samples_of_attempt, slots_of
from autoscaler.core.lifecycle import Seen, has_target
from autoscaler.loop import action
from autoscaler.loop.allotment import Allotment
from autoscaler.loop.attempt import Attempt, flink_waits_ms
from autoscaler.loop.contract import Contract
from autoscaler.loop.ports import Environment
from autoscaler.loop.sender import Sender
from autoscaler.loop.storing import tolerated
from autoscaler.loop.subject import Subject
from autoscaler.model import (
    Bounds,
    Decision,
    Millis,
    Reason,
    Request,
    RequestKind,
    RequestState,
    Topology,
    VertexId,
    Window,
    frozen,
)
from autoscaler.options.commands import pinned_vertex, source
from autoscaler.telemetry import sentences


class Upkeep:
    """Keeps one job's requirements what its record says."""

    def __init__(self, env: Environment, contract: Contract, sender: Sender, allotment: Allotment) -> None:
        self.contract = contract
        self.watch = sender.watch
        self.sender = sender
        self.allotment = allotment
        self._env = env
        self._settled: set[tuple[RequestKind, int | None]] = set()  # found to need no request
        self._ran_at: Mapping[VertexId, int] | None = None
        self._found: tuple[str, Mapping[VertexId, Bounds]] | None = None
        self._unasked: tuple[Millis, ...] = ()
        self._falls: tuple[Millis, ...] = ()  # those of them that took something away, the first before each recovery
        self._has_fallen = False

    def attempt(self, subject: Subject, decision: Decision, window: Window, wish: str, now: Millis) -> Attempt:
        """Return what it takes to carry a decision out."""
        topology = window.topology
        return Attempt(
            subject=subject,
            contract=self.contract,
            decision=decision,
            window=window,
            wish=wish,
            past=self.watch.past,
            unasked=self._unasked,
            now=now,
            adopts=lambda live: self.adopt(subject, live, topology, now),
            refused=lambda bounds: self.sender.was_refused(bounds, window.running_since),
        )

    # -------------------------------------------------------------- with each pass

    def keep_up(self, subject: Subject, details: JobDetails, window: Window, now: Millis) -> str | None:
        """Do what has to be done beside scaling; return what a person should know of it.

        In a steady pass nothing is asked of Flink.
        """
        self._notice_unasked(subject, window, now)
        if self.watch.trial is not None:
            self.watch.judge(self._fares(subject, window), self.contract.policy, now)
        refused = self.attend(subject, now)
        if refused is not None:
            return refused[1]
        said = self.restore(subject, details, now) if self.watch.open is None else None
        if said is None and self.watch.open is None:
            said = self._hold_still(subject, details, now)
        trial = self.watch.trial
        if said is None and trial is not None:
            left = sentences.seconds(trial.life.since + self.contract.policy.probation - now)
            said = f"the rescale before is on probation for {left} more"
        return said

    def endure(self, subject: Subject, now: Millis) -> None:
        """See to a job that does not run: a change that keeps it from running is taken back."""
        if self.watch.trial is not None:
            details = subject.flink.job(subject.job_id)
            present = {v.id: v.parallelism for v in details.topology.vertices} or None
            seen = Seen(parallelism=present, attempt=details.running_since)
            self.watch.judge(seen, self.contract.policy, now)
        self.attend(subject, now)

    def _fares(self, subject: Subject, window: Window) -> Seen:
        """How a job on probation fares, by the samples since it settled down."""
        policy = self.contract.policy
        samples = samples_of_attempt(window, min(policy.stabilization_interval, policy.probation // 2))
        memory = subject.flink.memory() if policy.rollback_gc_pressure < 1 else None
        fare = fare_of(window.topology, samples, memory.gc_pressure if memory else None)
        newest = fare_of(window.topology, samples[-NEWEST:])
        live = subject.flink.requirements(subject.job_id)
        return Seen(
            parallelism={v.id: v.parallelism for v in window.topology.vertices},
            attempt=window.running_since,
            running=True,
            foreign=self.adopt(subject, live, window.topology, window.samples[-1].at),
            failed_checkpoints=subject.flink.checkpoints(subject.job_id).failed,
            fare=replace(fare, lag_growth=newest.lag_growth),
        )

    def _notice_unasked(self, subject: Subject, window: Window, now: Millis) -> None:
        """Notice a change of parallelism that is not what was asked for last: somebody or something else did it."""
        present = {v.id: v.parallelism for v in window.topology.vertices}
        if self._asked_last(subject) is None and (self._found is None or self._found[0] != subject.job_id):
            self._found = (subject.job_id, subject.flink.requirements(subject.job_id))
        before, self._ran_at = self._ran_at, present
        known = pacing.known_requirements(self.watch.past)
        if before is None or present == before:
            return
        if known is not None and has_target(known, present):
            self._has_fallen = False
            return
        if self.adopt(subject, subject.flink.requirements(subject.job_id), window.topology, now):
            return
        self._unasked = (*self._unasked[-pacing.FLAPS :], now)
        falls = any(present[vertex] < number for vertex, number in before.items() if vertex in present)
        if falls and not self._has_fallen:
            self._falls = (*self._falls[-pacing.FALLS :], now)
        self._has_fallen = falls
        self._env.journal.note(
            "parallelism changed without a request",
            job=str(subject.key),
            detail=sentences.changes(window.topology, before, present),
        )

    def _hold_still(self, subject: Subject, details: JobDetails, now: Millis) -> str | None:
        """Pin a job that flaps to what it runs at below its upper bounds, which restarts nothing; return what is said.

        It has to have fallen again after it had recovered: one that lost TaskManagers once is let recover in full.
        TaskManagers that come back restart it no more then. Its lower bounds stay as they are: raised to the upper
        ones they would end the job with the next TaskManager that is lost. If it falls behind it may grow again.
        """
        policy = self.contract.policy
        until = pacing.flapping_until(self._unasked, policy, now)
        if until is None:
            return None
        live, topology = subject.flink.requirements(subject.job_id), details.topology
        present = frozen({v.id: v.parallelism for v in topology.vertices})
        wanted = action.lowered(live, present)
        falls = sum(now - at < pacing.FLAPPING_WITHIN for at in self._falls)
        if falls < pacing.FALLS or dict(wanted) == dict(live) or self.adopt(subject, live, topology, now):
            return f"{pacing.FLAPPING}; left as it is for {sentences.seconds(until - now)} more"
        said = f"pinned, as {pacing.FLAPPING}: {sentences.changes(topology, _uppers(live), present)}"
        refused = self._send(subject, RequestKind.PIN, said, (present, wanted, live), details, now)
        if refused is None:
            self._env.counters.add("flapping_pinned")
            self._env.journal.warn("flapping job pinned", job=str(subject.key), detail=said)
        return said if refused is None else refused[1]

    # -------------------------------------------------------------- what has to follow a request

    def attend(self, subject: Subject, now: Millis) -> action.Objection | None:
        """Ask for what has to follow the last request, if anything; return why that could not be sent."""
        found = pacing.due(self.watch.past, self.contract.policy)
        if found is None or (found[0], found[1].id) in self._settled or self.watch.open is not None:
            return None
        kind, cause = found
        details = subject.flink.job(subject.job_id)
        live = subject.flink.requirements(subject.job_id)
        is_this_job = (cause.application_id, cause.job_id) == (subject.application.id, subject.job_id)
        if not is_this_job or self.adopt(subject, live, details.topology, now):
            self._settled.add((kind, cause.id))
            return None
        present = {v.id: v.parallelism for v in details.topology.vertices}
        if kind is RequestKind.WITHDRAW and not present:
            return None  # it does not run, so there is nothing to lower to
        wanted = cause.former if kind is RequestKind.ROLL_BACK else action.lowered(live, present)
        if dict(wanted) == dict(live):
            self._settled.add((kind, cause.id))
            if action.was_not_carried_out(cause, live):  # neither its slots nor what it wanted were ever asked for
                self.watch.store(action.settled(cause, live))
            return None
        if kind is RequestKind.ROLL_BACK:
            reason = f"rolled back, {cause.transitions[-1].reason}: {cause.reason}"
            target: Mapping[VertexId, int] = cause.before
        else:
            reason, target = "lowered to what was reached, so that YARN looks for no more containers", frozen(present)
        refused = self._send(subject, kind, reason, (target, wanted, live), details, now)
        if refused is not None and refused[0] is Reason.REJECTED:
            self._settled.add((kind, cause.id))
            self._env.journal.warn(
                "requirements cannot be changed", job=str(subject.key), wanted=reason, detail=refused[1]
            )
        return refused

    # -------------------------------------------------------------- what others do

    def adopt(self, subject: Subject, live: Mapping[VertexId, Bounds], topology: Topology, now: Millis) -> bool:
        """Tell whether somebody else changed the requirements; then they are part of the record from here on."""
        should_be = self._changed_by_others(subject, live)
        if self.contract.policy.external_change_hold <= 0 or should_be is None:
            return False
        if self.watch.learn(subject, now):
            return True  # it is in the record already, which the next pass judges by
        before, after = _uppers(should_be), _uppers(live)
        said = sentences.changes(topology, before, after) or "the bounds of some vertex"
        present = frozen({v.id: v.parallelism for v in topology.vertices})
        self.watch.end_trial("somebody else changed the requirements", now)
        self.watch.note(
            replace(
                self._request(subject, RequestKind.ADOPT, f"somebody else changed the requirements: {said}", now),
                before=present,
                target=after,
                requirements=live,
                former=should_be,
                state=RequestState.ADOPTED,
            )
        )
        self._env.counters.add("external_changes")
        self._env.journal.warn("external change", job=str(subject.key), application_id=subject.application.id, to=said)
        return True

    def _asked_last(self, subject: Subject) -> Request | None:
        """The request that tells what the requirements of this run of the job should be."""
        known = pacing.known_requirements(self.watch.past)
        of_this_run = known is not None and (known.application_id, known.job_id) == (
            subject.application.id,
            subject.job_id,
        )
        return known if of_this_run else None

    def _changed_by_others(self, subject: Subject, live: Mapping[VertexId, Bounds]) -> Mapping[VertexId, Bounds] | None:
        """What the requirements would be if nobody else had changed them; nothing if nobody has.

        Of a run that was never asked for anything that is what they were when it was first seen.
        """
        known = self._asked_last(subject)
        if known is not None:
            return None if action.are_ours(live, known) else known.requirements
        job_id, found = self._found or ("", live)
        return found if job_id == subject.job_id and dict(live) != dict(found) else None

    def restore(self, subject: Subject, details: JobDetails, now: Millis) -> str | None:
        """Ask again for what a lost ApplicationMaster took with it; return what is said of it meanwhile."""
        policy = self.contract.policy
        known = pacing.lost(self.watch.past, subject.application.id, subject.job_id)
        present = {v.id: v.parallelism for v in details.topology.vertices}
        if known is None or not policy.restore_requirements:
            return None
        if has_target(known, present):
            self._learn_who_restored(subject, known, now)
            return None
        if set(present) != set(known.target):
            return None  # another job by the same name
        said = sentences.changes(details.topology, present, known.target)
        if (RequestKind.RESTORE, known.id) not in self._settled:
            self._settled.add((RequestKind.RESTORE, known.id))
            self._env.counters.add("requirements_lost")
            self._env.journal.warn("requirements lost", job=str(subject.key), job_id=subject.job_id, detail=said)
        stable_at = (details.running_since or now) + policy.stabilization_interval
        if now < stable_at:
            return f"a new ApplicationMaster lost the requirements; {said} in {sentences.seconds(stable_at - now)}"
        flink, job_id = subject.flink, subject.job_id
        objection = action.refusal(policy, flink.checkpoint_interval_ms(job_id), flink.checkpoints(job_id))
        if objection is None:
            reason = f"asked again, a new ApplicationMaster had lost it: {said}"
            change = (known.target, known.requirements, flink.requirements(job_id))
            objection = self._send(subject, RequestKind.RESTORE, reason, change, details, now)
        return None if objection is None else f"a new ApplicationMaster lost the requirements; {objection[1]}"

    def _learn_who_restored(self, subject: Subject, known: Request, now: Millis) -> None:
        """What was seen to be lost runs again: another daemon asked for it, which may not live to see its outcome."""
        if (RequestKind.RESTORE, known.id) in self._settled:
            self._settled.remove((RequestKind.RESTORE, known.id))
            with tolerated(self._env):
                self.watch.learn(subject, now)

    def pin(self, subject: Subject, details: JobDetails, now: Millis) -> str:
        """Bring a pinned job once to where an operator wants it; return what there is to say of it."""
        pins = self.contract.pins
        present = {v.id: v.parallelism for v in details.topology.vertices}
        wanted: dict[VertexId, int] = {}
        for command in pins:
            name = pinned_vertex(command)
            wanted |= {v.id: int(command.value) for v in details.topology.vertices if name in (v.id, v.name)}
        target = present | wanted
        said = "; ".join(
            f"{sentences.short_name(pinned_vertex(each))} at {each.value} by {source(each)}" for each in pins
        )
        given = max(command.at for command in pins)
        asked = [
            each
            for each in self.watch.past
            if each.kind is RequestKind.PIN
            and each.decided_at >= given
            and each.state is not RequestState.VOID
            and all(each.target.get(vertex) == number for vertex, number in wanted.items())
        ]
        if target == present or self.watch.open is not None:
            return f"pinned: {said}"
        if asked:
            runs = sentences.changes(details.topology, target, present)
            return f"pinned: {said}; it was asked for, {_came_of(asked[-1])}, and is not again: {runs}"
        flink, job_id, policy = subject.flink, subject.job_id, self.contract.policy
        objection = action.refusal(policy, flink.checkpoint_interval_ms(job_id), flink.checkpoints(job_id))
        if objection is None:
            live = flink.requirements(job_id)
            bounds = action.bounds_to_send(live, present, target)
            reason = f"pinned, {sentences.changes(details.topology, present, target)}: {said}"
            objection = self._send(subject, RequestKind.PIN, reason, (frozen(target), bounds, live), details, now)
        return f"pinned: {said}" if objection is None else f"{objection[1]}; pinned: {said}"

    # -------------------------------------------------------------- requests

    def _send(
        self,
        subject: Subject,
        kind: RequestKind,
        reason: str,
        change: tuple[Mapping[VertexId, int], Mapping[VertexId, Bounds], Mapping[VertexId, Bounds]],
        details: JobDetails,
        now: Millis,
    ) -> action.Objection | None:
        """Send a request to go to a parallelism by new requirements, from those that are live, when it is its turn.

        One that only lowers bounds to what runs asks YARN for nothing and waits for nobody.
        """
        target, wanted, live = change
        flink = subject.flink
        managers = flink.task_managers()
        waits = flink_waits_ms(self.contract, subject.flink_version, flink.checkpoint_interval_ms(subject.job_id))
        vertices = details.topology.vertices
        slots, held = slots_of(vertices, target), slots_of(vertices, {})
        foreign = max(0, managers.slots_total - managers.slots_available - held)
        request = replace(
            self._request(subject, kind, reason, now),
            before=frozen({v.id: v.parallelism for v in vertices}) or frozen(target),
            target=target,
            requirements=wanted,
            former=live,
            running_since=details.running_since or 0,
            slots=slots,
            foreign_slots=foreign,
            flink_waits_ms=waits,
            task_managers=managers.count,
        )
        if dict(request.target) == dict(request.before):
            return self.sender.send(subject, request, details.topology)
        request = replace(request, needed_task_managers=self.allotment.needed_for(slots, foreign))
        with self.allotment.turn(self.allotment.turn_of_request(subject, request), now) as waiting:
            if waiting is not None:
                return Reason.WAITS_ITS_TURN, f"{waiting}; wanted {reason}"
            refused = self.sender.send(subject, request, details.topology)
        if refused is None:
            self.allotment.asked(subject, self.watch.open or request)
        return refused

    @staticmethod
    def _request(subject: Subject, kind: RequestKind, reason: str, now: Millis) -> Request:
        return Request(
            key=subject.key,
            application_id=subject.application.id,
            job_id=subject.job_id,
            decided_at=now,
            reason=reason,
            kind=kind,
            before=frozen({}),
            target=frozen({}),
            requirements=frozen({}),
            running_since=0,
        )


def _came_of(request: Request) -> str:
    """Why a job does not run at what was asked for, as far as its request tells."""
    if request.state is RequestState.REJECTED:
        return f"which Flink refused ({request.answer})"
    if request.state is RequestState.ACHIEVED or request.outcome is None:
        return "and changed by somebody else since"
    return f"and not reached ({request.outcome.note})"


def _uppers(requirements: Mapping[VertexId, Bounds]) -> Mapping[VertexId, int]:
    return frozen({vertex: bounds.upper for vertex, bounds in requirements.items()})

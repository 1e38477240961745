"""Judges the daemon by the requirements that arrive at the cluster and by what is true of it.

Shares no code with the guards it judges: what is in flight, doubtful, saturated, spent or known bad it finds out by
itself. Where the daemon could not know better it says nothing.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from autoscaler.model import Bounds, JobKey, Millis, Request, RequestKind, RequestState, VertexId
from autoscaler.model import Phase as LifePhase
from autoscaler.sim.cluster import SimCluster
from autoscaler.sim.job import Phase
from autoscaler.sim.slots import slots_needed
from autoscaler.store import Store
from faults.doubts import Doubt, behind
from faults.masters import Masters
from faults.process import HostClock, Process
from faults.truth import Truth
from faults.world import World

DAY: Millis = 86_400_000
SLACK: Millis = 5_000
MINUTE: Millis = 60_000
REMEMBERED = 10_000
EXCUSED: Millis = 20 * MINUTE  # for as long as that a request may be open beyond its time-out while Flink itself waits

LOST = "lost or doubled rescale"
SECOND = "a second target while one is in flight"
SATURATED = "shrink of a saturated vertex"
DOUBTFUL_SHRINK = "shrink on doubtful data"
DOUBTFUL_GROWTH = "growth on doubtful data without lag"
DOUBTFUL_VERDICT = "roll-back on doubtful data"
CAPACITY = "capacity exceeded"
BUDGET = "budget broken silently"
KNOWN_BAD = "a target tried again while it is known bad"
GRACE = "shrink within the grace period"
RIGHT = "sent by a daemon that has no right to"
UNEXPECTED = "an unexpected error, or work that stopped"
INVARIANTS = (
    LOST,
    SECOND,
    SATURATED,
    DOUBTFUL_SHRINK,
    DOUBTFUL_GROWTH,
    DOUBTFUL_VERDICT,
    CAPACITY,
    BUDGET,
    KNOWN_BAD,
    GRACE,
    RIGHT,
    UNEXPECTED,
)

_CHOSEN = (RequestKind.SCALE, None)
_NEVER_SENT = (RequestState.VOID, RequestState.REJECTED, RequestState.INTENDED)

Requirements = Mapping[VertexId, Bounds]


@dataclass(frozen=True, slots=True)
class Violation:
    """What was broken and when, in milliseconds since the start of the episode."""

    invariant: str
    at: Millis
    detail: str


@dataclass(slots=True)
class Put:
    """Requirements of the daemon's that took effect; ``former`` are those before, ``present`` what the job ran at,
    ``kind`` is what the daemon's record calls it, under ``number``, ``lowers`` whether it only lowers bounds to what
    runs. ``landed_at`` is when it first ran at them, ``restarts`` how often it had restarted by then."""

    at: Millis
    by_clock: Millis
    body: Requirements
    former: Requirements
    present: Mapping[VertexId, int]
    scales: bool
    kind: RequestKind | None
    generation: int
    landed_at: Millis | None = None
    restarts: int = 0
    number: int | None = None
    lowers: bool = False
    overtaken: bool = False

    @property
    def target(self) -> Mapping[VertexId, int]:
        return {vertex: bound.upper for vertex, bound in self.body.items()}


class Observer:
    """Watches one episode. ``sender`` holds the daemon whose PUT is under way."""

    def __init__(
        self, world: World, cluster: SimCluster, host: HostClock, store: Store, key: JobKey, masters: Masters
    ) -> None:
        self.sender: list[Process] = []
        self.violations: list[Violation] = []
        self.puts: list[Put] = []
        self.truth = Truth(cluster, world.promises)
        self._world, self._promises = world, world.promises
        self._cluster, self._host, self._store, self._key = cluster, host, store, key
        self._masters = masters
        self._bad: list[tuple[Put, Millis, Millis]] = []
        self._in_force: list[tuple[int, Requirements]] = []
        self._began_anew_at: Millis = 0
        self._of_others: dict[VertexId, Bounds] = {}
        cluster.job.watchers.append(lambda _: self._see_landing())

    def found(self, invariant: str, detail: str) -> None:
        self.violations.append(Violation(invariant, self._cluster.now - self._cluster.began, detail))

    def changed_by_others(self, bounds: Requirements | None = None) -> None:
        """Somebody else has changed the requirements to ``bounds``, or they were lost with the ApplicationMaster."""
        self._of_others |= bounds or {}
        for put in self.puts[-1:]:
            put.overtaken = True

    # -------------------------------------------------------------- a PUT arrives

    def asked(self, body: Requirements) -> None:
        """Requirements are about to change by a PUT of the daemon's."""
        job = self._cluster.job
        self._see_landing()
        self.truth.note_room(self._cluster.now)
        present, live = dict(job.parallelism), dict(job.requirements)
        last = self.puts[-1] if self.puts else None
        put = Put(
            at=self._cluster.now,
            by_clock=self._host.now(),
            body=dict(body),
            former=live,
            present=present,
            scales=False,
            kind=None,
            generation=job.generation,
        )
        intent = self._intent(body)
        if intent is not None:
            put.kind, put.number = intent.kind, intent.id
        else:
            self.found(LOST, f"sent without a stored intent: {self._said(put)}")
        if put.body == live and last is not None and not last.overtaken and put.body == last.body:
            self.found(LOST, f"the same requirements were sent twice: {self._said(put)}")
        self._judge_right()
        self._judge_flight(put, last)
        self._judge_verdict(put)
        change = self._newest_change(put)
        returns = self._returns(put, change)
        nothing_grows = all(body[v].upper <= live[v].upper for v in body if v in live)
        put.lowers = nothing_grows and put.target == {v: min(live[v].upper, present[v]) for v in body}
        restores = any(put.body == body for generation, body in self._in_force if generation != put.generation)
        put.scales = not (returns or put.lowers or restores)
        if put.scales:
            self._judge(put, intent)
        elif returns:
            self._note_bad(change)
        self.puts.append(put)

    def _judge(self, put: Put, intent: Request | None) -> None:
        for judge in (self._judge_shrink, self._judge_grace, self._judge_doubt, self._judge_known_bad):
            judge(put)
        self._judge_capacity(put, intent)
        self._judge_budget(put, intent)

    def _intent(self, body: Requirements) -> Request | None:
        newest = self._store.requests(self._key, 3)
        return next(
            (r for r in newest if r.state is RequestState.INTENDED and dict(r.requirements) == dict(body)), None
        )

    def _said(self, put: Put) -> str:
        names = {vertex.id: vertex.name for vertex in self._cluster.job.vertices}
        parts = [
            f"{names[v]} runs at {put.present[v]}, allowed {put.former[v].upper}, asked {put.body[v].upper}"
            for v in put.body
            if v in put.former and (put.body[v].upper, put.present[v]) != (put.former[v].upper, put.body[v].upper)
        ]
        return "; ".join(parts) or "nothing changes"

    def _judge_right(self) -> None:
        """Where leases count, only who is beside the active ResourceManager and holds the lease may send."""
        for sender in self.sender:
            said = self._masters.objection(sender.address, sender.name, self._cluster.now)
            if self._world.leases and said is not None:
                self.found(RIGHT, f"sent by {said}")

    # -------------------------------------------------------------- in flight

    def _see_landing(self) -> None:
        job = self._cluster.job
        if self._in_force and self._in_force[-1][0] != job.generation:
            self._began_anew_at = self._cluster.now
        if not self._in_force or (job.generation, job.requirements) != self._in_force[-1]:
            self._in_force = [*self._in_force[-20:], (job.generation, dict(job.requirements))]
        if not self.puts or self.puts[-1].landed_at is not None:
            return
        put = self.puts[-1]
        runs = job.phase in (Phase.RUNNING, Phase.RESTORING) and dict(job.requirements) == dict(put.body)
        changed = [v for v, bound in put.body.items() if bound not in (put.former.get(v), self._of_others.get(v))]
        if runs and all(job.parallelism[vertex] == put.body[vertex].upper for vertex in changed):
            put.landed_at, put.restarts = self._cluster.now, job.restarts

    def _judge_flight(self, put: Put, last: Put | None) -> None:
        """While one is in flight only less may be asked for, until it runs, its time is up, or others stepped in.

        What a roll-back returns to may never have run in full; as soon as the job runs it has arrived.
        """
        if last is not None and last.kind is RequestKind.ROLL_BACK and self._cluster.job.phase is Phase.RUNNING:
            return
        if last is None or last.landed_at is not None or last.overtaken or last.generation != put.generation:
            return
        if max(put.at - last.at, put.by_clock - last.by_clock) >= self._promises.timeout - SLACK:
            return
        if any(bound.upper > last.body[vertex].upper for vertex, bound in put.body.items() if vertex in last.body):
            self.found(SECOND, f"{(put.at - last.at) // 1000} s after another: {self._said(put)}")

    def _newest_change(self, put: Put) -> Put | None:
        """What a PUT may take back; of what was reached in part only, the rest was withdrawn before."""
        undoes = put.kind is RequestKind.ROLL_BACK
        return next((each for each in reversed(self.puts) if not (undoes and each.lowers)), None)

    def _returns(self, put: Put, change: Put | None) -> bool:
        """Whether this takes back a change while that is on probation."""
        if change is None or dict(put.body) != dict(change.former):
            return False
        since = change.landed_at if change.landed_at is not None else change.at
        return put.at - since <= self._promises.probation + 3 * MINUTE + self._promises.timeout

    # -------------------------------------------------------------- what may not be asked for

    def _shrunk(self, put: Put) -> list[VertexId]:
        return [v for v, b in put.body.items() if b.upper < min(put.present[v], put.former[v].upper)]

    def _grown(self, put: Put) -> list[VertexId]:
        return [v for v, b in put.body.items() if b.upper > max(put.present[v], put.former[v].upper)]

    def _judge_shrink(self, put: Put) -> None:
        reach = self._promises.window + 3 * MINUTE
        if self.truth.blind_at > put.at - reach or self._host.jumped_at > put.at - reach:
            return
        for vertex in self._shrunk(put):
            since = self.truth.saturated_since[vertex]
            if since is not None and put.at - since >= reach:
                self.found(SATURATED, f"saturated for {(put.at - since) // 1000} s: {self._said(put)}")

    def _judge_grace(self, put: Put) -> None:
        """What grew within the period is not shrunk, nor anything below what it needed then, in a pass that could tell.

        Needs are kept by twelfths of the period, which are forgotten as a whole.
        """
        since = put.at - self._promises.grace + MINUTE
        if put.kind not in _CHOSEN or max(self._host.jumped_at, self._began_anew_at) >= since:
            return
        shrunk = self._shrunk(put)
        for each in self._decided():
            grown = [v for v in shrunk if each.body[v].upper > max(each.present[v], each.former[v].upper)]
            if each.at > since and grown:
                self.found(GRACE, f"{(put.at - each.at) // 1000} s after it grew: {self._said(put)}")
        since += self._promises.grace // 12
        if self.truth.blind_at >= since - self._promises.window:
            return
        sized = [at for sender in self.sender for at in sender.sized_at if since < at < put.at]
        told = [at for at in sized if not self._doubts(at - self._promises.window - MINUTE, at)]
        for vertex in shrunk:
            needed = max((self.truth.needed(vertex, at) for at in told), default=0.0)
            if put.body[vertex].upper < needed:
                self.found(GRACE, f"{needed:.1f} subtasks were needed since: {self._said(put)}")

    def _judge_doubt(self, put: Put) -> None:
        """By the samples that must have been in the window of the decision, whether or not it was sent at once."""
        free = self.truth.lag_free_since
        without_lag = free is not None and put.at - free >= self._promises.window + 3 * MINUTE
        began = max(self._cluster.job.running_since, self._host.jumped_at)
        for doubt in self._doubts(max(began, put.at - self._promises.window + SLACK), put.at):
            said = f"{(put.at - doubt.at) // 1000} s after doubtful details: {self._said(put)}"
            if any(doubt.vertex in (None, vertex) for vertex in self._shrunk(put)):
                self.found(DOUBTFUL_SHRINK, said)
            if without_lag and any(doubt.vertex in (None, vertex) for vertex in self._grown(put)):
                self.found(DOUBTFUL_GROWTH, said)

    def _judge_verdict(self, put: Put) -> None:
        """What samples tell of a change takes two that are sound, as to the sources, which alone it is about. Where
        leases count, as others have other samples."""
        undone = [row for row in self._rows() if row.life.phase is LifePhase.ROLLED_BACK]
        if put.kind is not RequestKind.ROLL_BACK or not undone or not self._world.leases:
            return
        verdict, began = undone[0].transitions[-1], max(self._cluster.job.running_since, self._host.jumped_at)
        of_sources = (None, *self._cluster.job.arrivals)
        doubts = [doubt for sender in self.sender for doubt in sender.doubts]
        known = [doubt for doubt in doubts if began < doubt.at and doubt.vertex in of_sources]
        doubt = behind(verdict, known)
        if doubt is not None:
            age = (verdict.at - doubt.by_clock) // 1000
            self.found(DOUBTFUL_VERDICT, f"{age} s after doubtful details, {verdict.reason}: {self._said(put)}")

    def _doubts(self, since: Millis, until: Millis) -> list[Doubt]:
        known = [doubt for sender in self.sender for doubt in sender.doubts]
        return [each for each in known if each.sampled and since < each.at <= until]

    def _judge_capacity(self, put: Put, intent: Request | None) -> None:
        job, yarn = self._cluster.job, self._cluster.yarn
        grown = self._grown(put)
        for vertex in grown:
            if put.kind in _CHOSEN and put.body[vertex].upper > self._promises.most:
                self.found(CAPACITY, f"over vertex.max-parallelism: {self._said(put)}")
        wanted = slots_needed(job.groups, put.body)
        could_not_know = intent is not None and "not known: " in intent.reason
        if not grown or could_not_know or wanted <= slots_needed(job.groups, put.former):
            return
        managers = -(-wanted // yarn.spec.slots_per_task_manager)
        if yarn.spec.queue_gb is not None and managers * yarn.task_manager_mb + yarn.master_mb > yarn.queue_mb:
            self.found(CAPACITY, f"{managers} TaskManagers are more than the queue may have: {self._said(put)}")
        if self._promises.allowance is not None and wanted > self.truth.room:
            self.found(CAPACITY, f"{wanted} slots, at most {self.truth.room} could be had: {self._said(put)}")

    # -------------------------------------------------------------- how often

    def _age(self, earlier: Put, put: Put) -> Millis:
        return max(put.at - earlier.at, put.by_clock - earlier.by_clock)

    def _judge_budget(self, put: Put, intent: Request | None) -> None:
        """More rescales than the budget has only a job that falls behind, and then it is said.

        What takes back or restores after more than one change in between is told from the record.
        """
        if put.kind not in _CHOSEN:
            return
        scales = self._decided()
        spent = sum(self._age(each, put) < DAY - SLACK for each in scales)
        free = self.truth.lag_free_since
        if spent >= self._promises.budget:
            if free is not None and put.at - free >= self._promises.window + 3 * MINUTE:
                self.found(BUDGET, f"rescale {spent + 1} of {self._promises.budget} without lag: {self._said(put)}")
            elif intent is not None and f"of {self._promises.budget} within a day" not in intent.reason:
                self.found(BUDGET, f"rescale {spent + 1} of {self._promises.budget}, not said: {intent.reason}")
        grows = any(bound.upper > put.present.get(vertex, 0) for vertex, bound in put.body.items())
        gap = self._promises.gap_up if grows else self._promises.gap_down
        age = self._since_sent(scales[-1], put) if scales else gap
        if age < gap - SLACK:
            self.found(BUDGET, f"{age // 1000} s after another, {gap // 1000} s are between them: {self._said(put)}")

    def _since_sent(self, earlier: Put, put: Put) -> Millis:
        """How long ago another was sent, by the record too: a daemon may stand still between that and its PUT."""
        sent_at = next((each.sent_at for each in self._rows() if each.id == earlier.number), None)
        return max(self._age(earlier, put), put.by_clock - (sent_at or earlier.by_clock))

    def _decided(self) -> list[Put]:
        """The rescales so far that were decided on, oldest first, without what nobody can know of: one before a crash
        whose requirements somebody else changed before the daemon was back.
        """
        stands = {_known(row.requirements) for row in self._rows() if row.state is not RequestState.VOID}
        chosen = [each for each in self.puts if each.scales and each.kind in _CHOSEN]
        return [each for each in chosen if not each.overtaken or _known(each.body) in stands]

    def _rows(self) -> tuple[Request, ...]:
        return self._store.requests(self._key, REMEMBERED)

    # -------------------------------------------------------------- known to be bad

    def _note_bad(self, last: Put | None) -> None:
        """A change was taken back after the job restarted twice at it."""
        if last is None or last.landed_at is None or self._cluster.job.restarts - last.restarts < 2:
            return
        self._bad.append((last, self._cluster.now, self._host.now()))

    def _judge_known_bad(self, put: Put) -> None:
        # it counts from when the trouble was found; taking it back may have needed several attempts, or been frozen
        known = [
            (bad, max(put.at - at, put.by_clock - by_clock))
            for bad, at, by_clock in self._bad
            if max(put.at - at, put.by_clock - by_clock) < self._promises.bad_target - 10 * MINUTE
        ]
        for bad, age in known:
            if put.target == bad.target:
                self.found(KNOWN_BAD, f"{age // 1000} s after it was taken back: {self._said(put)}")
        newest = [each for each in self.puts if each.scales and each.kind in _CHOSEN][-2:]
        undone = sum(any(each is bad for bad, _ in known) and bool(self._grown(each)) for each in newest)
        if undone == 2 and any(self._goes_as_far(put, each) for each in newest) and self._are_newest(newest):
            self.found(KNOWN_BAD, f"growth was taken back twice in a row: {self._said(put)}")

    def _are_newest(self, puts: list[Put]) -> bool:
        """Whether nothing else that was chosen since stands in the record, as what may not have been carried out."""
        rows = [row for row in self._rows() if row.kind is RequestKind.SCALE and row.state not in _NEVER_SENT]
        newest = sorted(rows, key=lambda row: row.id or 0)[-len(puts) :]
        return [_known(row.requirements) for row in newest] == [_known(put.body) for put in puts]

    def _goes_as_far(self, put: Put, undone: Put) -> bool:
        grown = [vertex for vertex in undone.body if undone.body[vertex].upper > undone.present[vertex]]
        return bool(grown) and all(put.body[vertex].upper >= undone.body[vertex].upper for vertex in grown)

    # -------------------------------------------------------------- at the end

    def finish(self, processes: list[Process], decided: Callable[[], bool]) -> None:
        """After the calm: every PUT is in the record once, nothing is open, and the daemon goes on."""
        rows = self._rows()
        for row in rows:
            if row.is_open and self._host.now() - (row.sent_at or row.decided_at) > self._promises.timeout + EXCUSED:
                self.found(LOST, f"a request is open for ever: {row.state} {row.reason}")
        stand = Counter(
            _known(r.requirements) for r in rows if r.state not in (RequestState.VOID, RequestState.ADOPTED)
        )
        sent = Counter(_known(put.body) for put in self.puts if not put.overtaken)
        for body, count in sent.items():
            if stand[body] < count:
                self.found(LOST, f"{count} times sent, {stand[body]} times in the record: {body}")
        for process in processes:
            for error in process.journal.errors:
                self.found(UNEXPECTED, error)
        if not decided():
            self.found(UNEXPECTED, "no decision in the last minutes of the calm")


def _known(requirements: Requirements) -> tuple[tuple[VertexId, int, int], ...]:
    return tuple(sorted((vertex, bound.lower, bound.upper) for vertex, bound in requirements.items()))

"""What the cluster grants one job: the step between a decision and its PUT."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace

from msgspec import structs

from autoscaler.cluster import ClusterError, TaskManager
from autoscaler.core.capacity import (
    Demand,
    applied,
    is_shrinking,
    is_worth_a_restart,
    nodes_to_come,
    plan,
    slots_of,
    whole,
    within_held,
)
from autoscaler.core.supply import Supply, room
from autoscaler.loop.action import Objection, shrinks
from autoscaler.loop.asks import Ask, Asks, Turn
from autoscaler.loop.claims import Holder
from autoscaler.loop.contract import Contract
from autoscaler.loop.ports import Environment
from autoscaler.loop.release import Release
from autoscaler.loop.subject import Subject
from autoscaler.loop.survey import MB, Survey, Surveyor, supply_of
from autoscaler.model import (
    Decision,
    Evaluation,
    Grant,
    Millis,
    Reason,
    Request,
    RequestKind,
    Resource,
    Topology,
    Vertex,
    VertexId,
)
from autoscaler.telemetry import sentences


@dataclass(frozen=True, slots=True, kw_only=True)
class Market:
    """What all jobs of a fleet share: what YARN told of room, and what was asked for. ``survey`` makes one that is not
    older than the newest discovery."""

    surveyor: Surveyor
    asks: Asks
    survey: Callable[[Millis], Survey]


@dataclass(frozen=True, slots=True, kw_only=True)
class Neighbours:
    """The other jobs of an application that are ours, the slots they hold now, and whether it runs jobs that are not
    ours. What a job was asked to become counts as what it has."""

    demands: tuple[Demand, ...] = ()
    slots_held: int = 0
    strangers: bool = False

    @property
    def slots(self) -> int:
        return sum(each.slots for each in self.demands)

    @property
    def wait_for_slots(self) -> bool:
        return any(each.slots > each.slots_held for each in self.demands)


class Allotment:
    """Fits one job's decisions into the cluster, and knows what its neighbours have to know of it.

    ``release`` follows what a scale-down gives back.
    """

    def __init__(
        self,
        env: Environment,
        market: Market,
        contract: Contract,
        release: Release,
        neighbours: Callable[[], Neighbours],
    ) -> None:
        self.release = release
        self._env = env
        self._market = market
        self._contract = contract
        self._neighbours = neighbours
        self._vertices: tuple[Vertex, ...] = ()  # as of the last pass
        self._wish: tuple[Mapping[VertexId, int], Millis] | None = None
        self._asked: Mapping[VertexId, int] = {}  # since the last pass, which knew nothing of it
        self._supply: Supply | None = None
        self._hosts: tuple[object, tuple[str, ...]] = (None, ())

    # -------------------------------------------------------------- what others ask

    @property
    def slots_held(self) -> int:
        return slots_of(self._vertices, {vertex.id: vertex.parallelism for vertex in self._vertices})

    def demand(self, request: Request | None, now: Millis) -> Demand | None:
        """What the job takes of its application's slots: what it has or was asked to become, and what it waits for."""
        if not self._vertices:
            return None
        asked = self._asked if request is None else request.target
        firm = tuple(structs.replace(v, parallelism=max(v.parallelism, asked.get(v.id, 0))) for v in self._vertices)
        waits = not asked and self._wish is not None and now - self._wish[1] <= self._patience
        wished = self._wish[0] if waits and self._wish is not None else {}
        target = {vertex.id: max(vertex.parallelism, wished.get(vertex.id, 0)) for vertex in firm}
        return Demand(vertices=firm, target=target, policy=self._contract.policy)

    @property
    def _patience(self) -> Millis:
        """How long a wish that was not granted counts, unless the next pass repeats it."""
        return 2 * self._contract.policy.decision_interval

    # -------------------------------------------------------------- granting

    def seen(self, topology: Topology) -> None:
        """A pass has seen the job: what was asked for before it has come or will not."""
        self._vertices, self._wish, self._asked, self._supply = topology.vertices, None, {}, None

    def fit(
        self, subject: Subject, decision: Decision, topology: Topology, now: Millis
    ) -> tuple[Decision, Objection | None]:
        """Return the decision as the cluster grants it, and why it is not worth sending, if it is not.

        Raises ClusterError if Flink does not list its TaskManagers.
        """
        policy = self._contract.policy_of(topology)
        if not (policy.capacity or policy.fill_task_managers or policy.whole_scale_down):
            return decision, None
        wish = Demand(vertices=topology.vertices, target=decision.parallelism, policy=policy)
        neighbours = self._neighbours()
        grant = (
            self._grown(subject, wish, neighbours, now)
            if wish.slots > wish.slots_held
            else _kept(wish, neighbours, self._contract.cluster.slots_per_task_manager)
        )
        granted = applied(decision, grant)
        if grant.limited_by and wish.slots > wish.slots_held:
            self._wish = (wish.target, now)
        if is_worth_a_restart(granted):
            return granted, None
        reason = Reason.FREES_NOTHING if is_shrinking(wish) else Reason.NO_CAPACITY
        return granted, (reason, sentences.not_granted(grant, topology))

    def shortage(self, subject: Subject, now: Millis) -> str:
        """What keeps YARN from giving one more TaskManager now; empty if nothing does, or capacity is not looked at.

        Raises ClusterError if Flink does not list its TaskManagers.
        """
        if not self._contract.policy.capacity:
            return ""
        more = room(self._supply_of(subject, subject.flink.task_manager_list(), 0, now), 0)
        return "" if more.task_managers else more.limit

    def _grown(self, subject: Subject, wish: Demand, neighbours: Neighbours, now: Millis) -> Grant:
        policy = wish.policy
        if not policy.capacity:
            shape = self._contract.cluster
            each, there = shape.slots_per_task_manager, subject.task_managers or 0
            unlimited = Supply(slots=there * each, task_managers=there, slots_per_task_manager=each)
            return plan([wish, *neighbours.demands], unlimited, None)[0]
        managers = subject.flink.task_manager_list()
        taken = sum(each.slots - each.free_slots for each in managers)
        foreign = max(0, taken - wish.slots_held - neighbours.slots_held) if neighbours.strangers else 0
        self._supply = self._supply_of(subject, managers, foreign, now)
        beyond = nodes_to_come(policy, self._market.asks.refusals(subject.application.queue), now)
        return plan([wish, *neighbours.demands], self._supply, beyond)[0]

    def _supply_of(self, subject: Subject, managers: Sequence[TaskManager], foreign: int, now: Millis) -> Supply:
        survey, application = self._market.survey(now), subject.application
        return supply_of(
            survey,
            application,
            managers,
            self._contract.cluster,
            self._contract.resolved.flat(),
            draining=self._draining(survey),
            foreign=foreign,
            promises=self._market.asks.promised(application.id, survey.at),
        )

    def _draining(self, survey: Survey) -> set[str]:
        return {node.host.lower() for node in survey.nodes or () if node.drains} | self._market.surveyor.draining.keys()

    # -------------------------------------------------------------- sending

    def turn_of(self, subject: Subject, decision: Decision) -> Turn:
        """The turn that a decision has to wait for."""
        grant = decision.grant
        present = {vertex.id: vertex.parallelism for vertex in self._vertices}
        return Turn(
            who=Holder(subject.application.id, subject.job_id),
            queue=subject.application.queue,
            shrinks=all(target <= present.get(vertex, target) for vertex, target in decision.parallelism.items()),
            behind_s=_behind_s(decision.evaluations),
            new=0 if grant is None else grant.new,
        )

    def turn_of_request(self, subject: Subject, request: Request) -> Turn:
        """The turn that what is no decision of ours has to wait for."""
        return Turn(
            who=Holder(subject.application.id, subject.job_id),
            queue=subject.application.queue,
            shrinks=shrinks(request),
            new=_new(request),
            mends=request.kind is RequestKind.ROLL_BACK,
        )

    @contextmanager
    def turn(self, turn: Turn, now: Millis) -> Iterator[str | None]:
        """Surround the sending; yields why it has to wait, if it has."""
        why = self._market.asks.enter(turn, self._contract.policy, now)
        try:
            yield why
        finally:
            self._market.asks.leave(turn.who)

    def needed_for(self, slots: int, foreign_slots: int) -> int:
        """The TaskManagers the application needs for so many slots of the job, beside those of all its other jobs.

        ``foreign_slots`` is what these hold now; what they asked for and have not got counts too, what they only wish
        for does not.
        """
        neighbours = self._neighbours()
        asked = sum(each.slots_held for each in neighbours.demands)
        strangers = max(0, foreign_slots - neighbours.slots_held)
        return whole(slots + asked + strangers, self._contract.cluster.slots_per_task_manager)

    def sent(self, subject: Subject, request: Request, grant: Grant | None) -> None:
        """Note what was asked of YARN, or is to be given back to it, with a request that went out."""
        self.release.begin(request, subject.held)
        if grant is None:
            return
        self._wish, self._asked = None, grant.granted
        container = None if self._supply is None else self._supply.container
        self._note(subject, request, container, new=grant.new, beyond=grant.beyond)

    def asked(self, subject: Subject, request: Request) -> None:
        """Note what was asked of YARN with a request that is no decision of ours, or is one of a former process that
        is still open."""
        if request.needed_task_managers is None:
            return
        self._asked = request.target
        if shrinks(request):
            return
        memory = self._contract.cluster.task_manager_memory
        container = None if memory is None else Resource(memory_mb=-(-memory // MB))
        self._note(subject, request, container, new=_new(request), beyond=0)

    def _note(self, subject: Subject, request: Request, container: Resource | None, *, new: int, beyond: int) -> None:
        self._market.asks.sent(
            Ask(
                who=Holder(subject.application.id, subject.job_id),
                queue=subject.application.queue,
                user=subject.application.user,
                container=container,
                needed=request.needed_task_managers or 0,
                new=new,
                beyond=beyond,
                sent_at=request.sent_at or request.decided_at,
                timeout=self._contract.policy.rescale_timeout,
            )
        )

    # -------------------------------------------------------------- draining nodes

    def drain_note(self, subject: Subject, now: Millis) -> str:
        """What of the application stands on nodes that drain, and how long it has; empty if nothing does.

        It is said once in the log. Flink is asked for its TaskManagers' hosts only while nodes drain, and when their
        number or the nodes change.
        """
        note = self._on_draining(subject, now) if self._contract.policy.capacity else ""
        about = f"draining {subject.key}"
        if note:
            self._env.journal.once(about, "draining node", job=str(subject.key), detail=note)
        else:
            self._env.journal.over(about, "no draining node any more", job=str(subject.key))
        return note

    def _on_draining(self, subject: Subject, now: Millis) -> str:
        draining, policy = self._market.surveyor.draining, self._contract.policy
        if not draining:
            return ""
        state = (tuple(draining), subject.application.running_containers, subject.application.am_address)
        if self._hosts[0] != state:
            try:
                hosts = tuple(manager.host.lower() for manager in subject.flink.task_manager_list())
            except ClusterError as error:
                return f"nodes drain, and Flink does not list its TaskManagers ({error})"
            self._hosts = (state, hosts)
        master = (subject.application.am_address or "").rpartition(":")[0].lower()
        notes = []
        for host, since in draining.items():
            parts = [sentences.counted(count, "TaskManager")] if (count := self._hosts[1].count(host)) else []
            parts += ["the JobManager"] if master == host else []
            left = sentences.seconds(since + policy.decommission_timeout - now)
            notes += [f"{' and '.join(parts)} on {host}, which drains: at most {left} left"] if parts else []
        return "; ".join(notes)


def _kept(wish: Demand, neighbours: Neighbours, slots_per_task_manager: int) -> Grant:
    """Grant what takes no more slots. Where somebody else can use a slot, freeing it matters, and where strangers
    hold slots nobody knows how many TaskManagers are needed."""
    if neighbours.strangers:
        wish = replace(wish, policy=replace(wish.policy, whole_scale_down=False, fill_task_managers=False))
        return replace(within_held(wish, neighbours.slots, slots_per_task_manager), task_managers=None)
    if neighbours.wait_for_slots:
        wish = replace(wish, policy=replace(wish.policy, whole_scale_down=False))
    return within_held(wish, neighbours.slots, slots_per_task_manager)


def _new(request: Request) -> int:
    """The TaskManagers a request needs beyond those that were there; what others are waiting for is none of it."""
    return 0 if shrinks(request) else max(0, (request.needed_task_managers or 0) - (request.task_managers or 0))


def _behind_s(evaluations: Mapping[VertexId, Evaluation]) -> float:
    """The longest that any source would need at its target rate for what waits at it."""
    times = [each.lag / each.target_rate for each in evaluations.values() if each.lag and each.target_rate]
    return max(times, default=0.0)

"""What of a wish is granted: as much as the cluster can give, and whole TaskManagers (docs/ALGORITHM.md, 13).

A job needs as many slots as its slot sharing groups together, each as many as its widest vertex has subtasks. What does
not fit is cut for all vertices to the same share of the load they were sized for, so that none gets more than what
feeds it can deliver. Nothing shrinks because of a limit.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction

from msgspec import structs

from autoscaler.core.alignment import align_down
from autoscaler.core.graph import inputs_of
from autoscaler.core.sizing import expected_rate, parallelism_bounds
from autoscaler.core.supply import Supply, room
from autoscaler.core.vertex_rules import policy_of
from autoscaler.model import Decision, Grant, Limit, Millis, Policy, Sizing, Vertex, VertexId, frozen

FIRST_BACK_OFF: Millis = 30 * 60_000
LONGEST_BACK_OFF: Millis = 6 * 3_600_000
ALL = Fraction(1)

Parallelism = Mapping[VertexId, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class Demand:
    """What one job wants, its vertices in topological order; one that wants nothing has its present parallelism."""

    vertices: tuple[Vertex, ...]
    target: Parallelism
    policy: Policy

    @property
    def present(self) -> dict[VertexId, int]:
        return {vertex.id: vertex.parallelism for vertex in self.vertices}

    @property
    def slots(self) -> int:
        return slots_of(self.vertices, self.target)

    @property
    def slots_held(self) -> int:
        return slots_of(self.vertices, self.present)


@dataclass(frozen=True, slots=True, kw_only=True)
class Refusals:
    """How often in a row a request beyond what the cluster had was not granted, and when it was last."""

    count: int = 0
    at: Millis = 0

    @property
    def back_off(self) -> Millis:
        """How long nothing more is asked for beyond what there is: 30 min, doubling to 6 h."""
        return min(LONGEST_BACK_OFF, FIRST_BACK_OFF * 2 ** min(self.count - 1, 10)) if self.count else 0


def nodes_to_come(policy: Policy, refusals: Refusals, now: Millis) -> int | None:
    """Return how many nodes may be counted on that are not there, ``None`` for as many as it takes.

    A cluster with managed scaling grows only because containers are pending, so by default they are asked for until
    it turns out that none come.
    """
    if policy.capacity_allowance is not None:
        return policy.capacity_allowance
    return None if abs(now - refusals.at) >= refusals.back_off else 0  # a clock may have been set back since


def slots_of(vertices: Iterable[Vertex], parallelism: Parallelism) -> int:
    """Return the slots a job needs: each slot sharing group as many as its widest vertex has subtasks."""
    widest: dict[str | None, int] = {}
    for vertex in vertices:
        group = vertex.slot_sharing_group
        widest[group] = max(widest.get(group, 0), parallelism[vertex.id])
    return sum(widest.values())


def whole(slots: int, each: int) -> int:
    """Return how many TaskManagers have so many slots."""
    return -(-slots // each)


def is_shrinking(demand: Demand) -> bool:
    """Does nothing grow, and something shrink?"""
    present = demand.present
    changes = [demand.target[vertex] - present[vertex] for vertex in present]
    return max(changes, default=0) <= 0 and min(changes, default=0) < 0


def within_held(wish: Demand, others: int, slots_per_task_manager: int) -> Grant:
    """Grant a wish that takes no more slots than the job holds. ``others`` is how many other jobs of the application
    hold, which share its TaskManagers."""
    needed = whole(wish.slots + others, slots_per_task_manager)
    if wish.policy.whole_scale_down and is_shrinking(wish):
        held = whole(wish.slots_held + others, slots_per_task_manager)
        if needed >= held:
            text = f"it would free no TaskManager: {wish.slots_held} slots or {wish.slots} take {held} all the same"
            return _grant(wish, wish.present, held, limited_by=text)
    parallelism: Parallelism = wish.target
    # Flink up to 1.20 spreads what is left over all TaskManagers: two subtasks could keep both that one would free.
    if wish.policy.fill_task_managers and not is_shrinking(wish):
        (parallelism,) = _filled([wish], needed * slots_per_task_manager - others)
    return _grant(wish, parallelism, needed)


def plan(wishes: Sequence[Demand], supply: Supply, beyond: int | None) -> tuple[Grant, ...]:
    """Grant what jobs of one application want together, in the order given.

    ``beyond`` is how many nodes may be counted on that are not there, ``None`` for as many as it takes. All jobs get
    the same share of what they want.
    """
    each = supply.slots_per_task_manager
    more = room(supply, beyond)
    wanted = sum(wish.slots for wish in wishes) + supply.foreign
    limit = None if more.task_managers is None else supply.slots + more.task_managers * each
    if limit is None or wanted <= limit:
        paid_for = max(whole(wanted, each) * each, wanted)
        fill = all(wish.policy.fill_task_managers for wish in wishes)
        given = (
            _filled(wishes, (paid_for if limit is None else min(paid_for, limit)) - supply.foreign)
            if fill
            else [wish.target for wish in wishes]
        )
        limited_by = ""
    else:
        given, limited_by = _cut(wishes, limit - supply.foreign), more.limit
    slots = supply.foreign + sum(slots_of(w.vertices, p) for w, p in zip(wishes, given, strict=True))
    needed, there = whole(slots, each), room(supply, 0).task_managers
    new = max(0, needed - supply.task_managers)
    beyond_there = 0 if there is None else whole(max(0, slots - supply.slots), each) - there
    return tuple(
        _grant(
            wish,
            parallelism,
            needed,
            limited_by=limited_by if any(parallelism[v] < wish.target[v] for v in parallelism) else "",
            new=new,
            beyond=max(0, min(new, beyond_there)),
            unknown=supply.unknown,
        )
        for wish, parallelism in zip(wishes, given, strict=True)
    )


def applied(decision: Decision, grant: Grant) -> Decision:
    """Return the decision as granted; its sizings tell what a limit or a whole TaskManager changed, its advice stays
    the wish."""
    sizings = {
        vertex: _sized(sizing, grant.granted[vertex], decision.evaluations[vertex].tpr)
        for vertex, sizing in decision.sizings.items()
    }
    return replace(decision, parallelism=frozen(grant.granted), sizings=frozen(sizings), grant=grant)


def is_worth_a_restart(decision: Decision) -> bool:
    """Does a vertex change that is too slow or too fast for its bounds?"""
    return any(each.outside_bounds and each.parallelism != each.current for each in decision.sizings.values())


def _sized(sizing: Sizing, parallelism: int, tpr: float | None) -> Sizing:
    if parallelism == sizing.parallelism:
        return sizing
    limit = Limit.TASK_MANAGER if parallelism > sizing.parallelism else Limit.CAPACITY
    rate = None if parallelism == sizing.current else expected_rate(tpr, sizing.current, parallelism)
    return structs.replace(sizing, parallelism=parallelism, expected_rate=rate, limits=(*sizing.limits, limit))


def _grant(
    wish: Demand,
    parallelism: Parallelism,
    task_managers: int,
    *,
    limited_by: str = "",
    new: int = 0,
    beyond: int = 0,
    unknown: tuple[str, ...] = (),
) -> Grant:
    return Grant(
        wanted=frozen(wish.target),
        granted=frozen(parallelism),
        slots=slots_of(wish.vertices, parallelism),
        task_managers=task_managers,
        new=new,
        beyond=beyond,
        limited_by=limited_by,
        unknown=unknown,
    )


# ------------------------------------------------------------------ cutting and filling


def _cut(wishes: Sequence[Demand], slots: int) -> list[Parallelism]:
    """Return the most that fits: every job's growth cut to the largest common share of its load."""
    shares = sorted(
        {
            Fraction(count, wish.target[vertex.id])
            for wish in wishes
            for vertex in wish.vertices
            for count in range(vertex.parallelism + 1, wish.target[vertex.id])
        }
    )
    fitting = bisect_right(shares, slots, key=lambda share: _needed(wishes, share, _at_share))
    best = shares[fitting - 1] if fitting else Fraction(0)
    return [_at_share(wish, best) for wish in wishes]


def _filled(wishes: Sequence[Demand], slots: int) -> list[Parallelism]:
    """Return what is wanted raised, in proportion, to use slots that are paid for anyway; only what changes is."""
    shares = sorted(
        {
            Fraction(count, target)
            for wish in wishes
            for vertex in wish.vertices
            if 0 < (target := wish.target[vertex.id]) != vertex.parallelism
            for count in range(target + 1, min(_most(vertex, wish), target + slots) + 1)
        }
    )
    fitting = bisect_right(shares, slots, key=lambda share: _needed(wishes, share, _at_or_above))
    filled = _needed(wishes, shares[fitting - 1], _at_or_above) if fitting else 0
    if filled <= sum(wish.slots for wish in wishes):
        return [wish.target for wish in wishes]
    least = bisect_left(shares, filled, key=lambda share: _needed(wishes, share, _at_or_above))
    return [_at_or_above(wish, shares[least]) for wish in wishes]


def _needed(wishes: Sequence[Demand], share: Fraction, at: Callable[[Demand, Fraction], Parallelism]) -> int:
    """Return the slots all jobs need at a share; they never fall with it."""
    return sum(slots_of(wish.vertices, at(wish, share)) for wish in wishes)


def _at_share(wish: Demand, share: Fraction) -> Parallelism:
    """Return what each vertex needs for a share of its load, or of what its inputs can deliver if that is less."""
    given: dict[VertexId, int] = {}
    delivered: dict[VertexId, Fraction] = {}
    for vertex in wish.vertices:
        current, target = vertex.parallelism, wish.target[vertex.id]
        fed = min(share, max((delivered[each] for each in inputs_of(vertex)), default=ALL))
        if target <= current:
            given[vertex.id], delivered[vertex.id] = target, fed
            continue
        most = -(-fed.numerator * target // fed.denominator)
        mode = policy_of(vertex, wish.policy).alignment
        given[vertex.id] = (
            max(current, align_down(vertex, most, mode)) if current < most < target else max(current, most)
        )
        delivered[vertex.id] = min(fed, Fraction(given[vertex.id], target))
    return given


def _at_or_above(wish: Demand, share: Fraction) -> Parallelism:
    """Return what each vertex that changes gets at a share of one or more, no farther than it may go."""
    given: dict[VertexId, int] = {}
    for vertex in wish.vertices:
        target = wish.target[vertex.id]
        most = min(_most(vertex, wish), share.numerator * target // share.denominator)
        raised = target != vertex.parallelism and most > target
        given[vertex.id] = max(target, align_down(vertex, most, wish.policy.alignment)) if raised else target
    return given


def _most(vertex: Vertex, wish: Demand) -> int:
    """Return the most subtasks a vertex may be raised to: its own bounds, and what it had if it shrinks."""
    target = wish.target[vertex.id]
    if target < vertex.parallelism:
        return vertex.parallelism
    _, upper = parallelism_bounds(vertex, policy_of(vertex, wish.policy))
    return max(target, min(upper, vertex.source_partitions or upper))

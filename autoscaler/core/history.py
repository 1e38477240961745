"""What past scalings and restarts tell (docs/ALGORITHM.md, 6.8 and 9)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Protocol, TypeVar

from autoscaler.core.rounding import quotient
from autoscaler.model import History, Millis, Policy, Restart, Scaling, Topology, VertexId, Window


class _Dated(Protocol):
    @property
    def at(self) -> Millis: ...


_Record = TypeVar("_Record", bound=_Dated)


def trimmed(records: Sequence[_Record], policy: Policy, now: Millis) -> tuple[_Record, ...]:
    """Return the records not older than the maximum age, of those the newest up to the maximum count."""
    oldest = now - policy.history_max_age
    young = [record for record in records if record.at >= oldest]
    return tuple(young[max(0, len(young) - policy.history_max_count) :])


def trimmed_scalings(
    history: History, topology: Topology, policy: Policy, now: Millis
) -> Mapping[VertexId, tuple[Scaling, ...]]:
    """Return the scalings that still count, of the vertices the job has now."""
    kept = {
        vertex.id: trimmed(history.scalings[vertex.id], policy, now)
        for vertex in topology.vertices
        if vertex.id in history.scalings
    }
    return {vertex_id: scalings for vertex_id, scalings in kept.items() if scalings}


def completed_restarts(
    restarts: Sequence[Restart],
    scalings: Mapping[VertexId, tuple[Scaling, ...]],
    window: Window,
    policy: Policy,
    now: Millis,
) -> tuple[Restart, ...]:
    """Return the restarts that still count, the newest always, and that one measured if it has ended.

    It took ``running_since - at`` whole seconds, if every vertex scaled at that instant now runs at what it
    was scaled to; otherwise something else restarted the job.
    """
    if not restarts:
        return ()
    newest = restarts[-1]
    kept = trimmed(restarts, policy, now)
    older = kept[:-1] if kept else ()
    if newest.duration_s is None and _was_achieved(newest, scalings, window.topology):
        newest = replace(newest, duration_s=(window.running_since - newest.at) // 1000)
    return (*older, newest)


def _was_achieved(restart: Restart, scalings: Mapping[VertexId, tuple[Scaling, ...]], topology: Topology) -> bool:
    return all(
        scaling.to_parallelism == vertex.parallelism
        for vertex in topology.vertices
        for scaling in scalings.get(vertex.id, ())
        if scaling.at == restart.at
    )


def restart_time_s(restarts: Sequence[Restart], policy: Policy) -> int:
    """Return how long a rescale is expected to keep the job from processing, in whole seconds.

    With tracking the longest duration known, up to the limit; without tracking, or none known, the option.
    """
    durations = [restart.duration_s for restart in restarts if restart.duration_s is not None]
    longest = max(durations, default=-1)
    if not policy.restart_time_tracking or longest < 0:
        return policy.restart_time // 1000
    return min(longest, policy.restart_time_tracking_limit // 1000)


def was_ineffective(last: Scaling, current: int, tpr: float | None, threshold: float) -> bool:
    """Did the last scaling grow the vertex to its present parallelism without bringing what it should have?

    Not effective: NOT ``(tpr - last tpr) / (last expected rate - last tpr) >= threshold``. Where a rate is
    unknown or the quotient is not a number, there is no proof of an effect.
    """
    if last.to_parallelism != current or last.to_parallelism <= last.from_parallelism:
        return False
    if tpr is None or last.tpr is None or last.expected_rate is None:
        return True
    return not quotient(tpr - last.tpr, last.expected_rate - last.tpr) >= threshold


def last_growth(scalings: Sequence[Scaling]) -> Millis | None:
    """Return when a vertex was last scaled up."""
    return max((each.at for each in scalings if each.to_parallelism > each.from_parallelism), default=None)

"""Sentences for people, made from decisions and outcomes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping

from autoscaler.model import (
    Decision,
    Evaluation,
    Grant,
    Limit,
    Millis,
    Outcome,
    Reason,
    Request,
    Sizing,
    Topology,
    Vertex,
    VertexId,
    VertexStatus,
)

LIMIT_WORDS: Mapping[Limit, str] = {
    Limit.MAX_FACTOR: "held to the largest step allowed",
    Limit.MIN_PARALLELISM: "held at vertex.min-parallelism",
    Limit.MAX_PARALLELISM: "held at the maximum parallelism",
    Limit.ALIGNMENT: "moved to fit key groups or partitions",
    Limit.DELAYED: "scale-down held back by scale-down.interval",
    Limit.INEFFECTIVE: "the last scale-up did not help",
    Limit.GRACE_PERIOD: "scale-down held back by scale-up.grace-period",
    Limit.NEEDED_OF_LATE: "no less than it needed within scale-up.grace-period",
    Limit.SATURATED: "kept, it is saturated now",
    Limit.BACK_PRESSURE: "kept, it holds up what feeds it",
    Limit.MEMORY_PRESSURE: "kept, memory is short",
    Limit.DOUBTFUL: "kept, the measurements are doubtful",
    Limit.EXCLUDED: "excluded by vertex.exclude.ids or a rule",
    Limit.FINISHED: "finished",
    Limit.NO_BUSY_TIME: "kept, it reports no busy time",
    Limit.NO_RATE: "kept, no rate of records is known",
    Limit.KEPT_EQUAL: "kept equal to another vertex",
    Limit.QUOTA: "held by the quota",
    Limit.LAG_GROWS: "kept, the lag of a source before it grows",
    Limit.SINK_LIMITED: "not grown, more subtasks did not help the last time and nothing is after it",
    Limit.HOT_KEY: "not grown, one of its subtasks has most of the work",
    Limit.BOTTLENECK: "not grown further, what it feeds or what feeds it is at a limit that subtasks do not lift",
    Limit.PARTITION_LIMITED: "not grown, its source has no more partitions",
    Limit.CAPACITY: "held by what the cluster can give",
    Limit.TASK_MANAGER: "raised to whole TaskManagers",
}

_NOT_SIZED: tuple[tuple[Limit, str], ...] = (
    (Limit.NO_BUSY_TIME, "no busy time is reported"),
    (Limit.NO_RATE, "no rate of records is known"),
)


def number(value: float | None, unit: str = "") -> str:
    """A number as a person reads it: 3 significant digits, k and M above a thousand; ``-`` if absent."""
    if value is None:
        return "-"
    if value in (float("inf"), float("-inf")):
        return "no limit" if value > 0 else "-∞"
    for factor, suffix in ((1e6, "M"), (1e3, "k")):
        if abs(value) >= 10 * factor or (factor == 1e6 and abs(value) >= factor):
            return f"{value / factor:.3g}{suffix}{unit}"
    return f"{value:.0f}{unit}" if abs(value) >= 100 or value == int(value) else f"{value:.3g}{unit}"


def counted(count: int, noun: str) -> str:
    """A count with its noun, for example ``1 TaskManager`` or ``3 TaskManagers``."""
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"


def seconds(milliseconds: Millis) -> str:
    """A duration as a person reads it, for example ``4 min 10 s``."""
    total = max(0, round(milliseconds / 1000))
    if total < 60:
        return f"{total} s"
    minutes, rest = divmod(total, 60)
    if minutes < 60:
        return f"{minutes} min {rest} s" if rest else f"{minutes} min"
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if minutes else f"{hours} h"


def changes(topology: Topology, before: Mapping[VertexId, int], after: Mapping[VertexId, int]) -> str:
    """The vertices whose parallelism differs, for example ``enrich 2→5, parse 1→2``."""
    names = short_names(topology.vertices)
    return ", ".join(
        f"{names[v.id]} {before[v.id]}→{after[v.id]}"
        for v in topology.vertices
        if v.id in before and v.id in after and before[v.id] != after[v.id]
    )


def short_names(vertices: Iterable[Vertex | VertexStatus]) -> Mapping[VertexId, str]:
    """The short name of each vertex; where several have the same, with the beginning of its id."""
    names = {vertex.id: short_name(vertex.name) for vertex in vertices}
    count = Counter(names.values())
    return {vertex: name if count[name] == 1 else f"{name} ({vertex[:8]})" for vertex, name in names.items()}


def short_name(name: str) -> str:
    """The first operator of a chain, without Flink's `Source: ` and at most 32 characters."""
    first = name.split(" -> ")[0].removeprefix("Source: ").strip()
    return first if len(first) <= 32 else first[:31] + "…"


def explain(decision: Decision, topology: Topology) -> str:
    """One sentence that says why the decision is what it is, with the number that mattered most."""
    present = {v.id: v.parallelism for v in topology.vertices}
    match decision.reason:
        case Reason.SCALE:
            why = f"{changes(topology, present, decision.parallelism)}: {_why(decision, topology)}"
            said = "" if decision.grant is None else granted(decision.grant, topology)
            return f"{why}; {said}" if said else why
        case Reason.ADVISE_ONLY:
            return f"would scale {changes(topology, present, decision.advised)}: {_why(decision, topology)}"
        case Reason.SCALING_DISABLED | Reason.EXCLUDED_PERIOD | Reason.QUOTA:
            return f"not applied: {changes(topology, present, decision.advised) or _why(decision, topology)}"
        case Reason.WINDOW_NOT_FULL:
            left = f" in {seconds(decision.full_at - decision.at)}" if decision.full_at else ""
            return f"the metrics window is full{left}" if left else "the metrics window is filling"
        case Reason.NOT_READY:
            return "fewer than two samples since the job runs stably"
        case Reason.MEMORY_PRESSURE:
            return f"GC {number(decision.gc_pressure)}, heap {number(decision.heap_usage)}: above the threshold"
        case Reason.ERROR:
            return decision.error or "the evaluation failed"
        case _:
            return _why(decision, topology)


def granted(grant: Grant, topology: Topology) -> str:
    """What a person should know of a rescale as the cluster grants it; empty if that is what was wanted."""
    present = {v.id: v.parallelism for v in topology.vertices}
    parts = []
    if grant.limited_by:
        parts.append(f"wanted {changes(topology, present, grant.wanted)}, but {grant.limited_by}")
    if grant.beyond:
        parts.append(
            f"{grant.beyond} of {counted(grant.new, 'new TaskManager')} beyond what the cluster has room for now, "
            "asked for so that it grows (yarn.capacity.allowance)"
        )
    if grant.unknown and grant.new:
        parts.append(f"not known: {', '.join(grant.unknown)}")
    return "; ".join(parts)


def not_granted(grant: Grant, topology: Topology) -> str:
    """Why nothing of a wish is worth sending as it is granted."""
    present = {v.id: v.parallelism for v in topology.vertices}
    wish = changes(topology, present, grant.wanted)
    return f"wanted {wish}; {grant.limited_by or 'rounded to whole TaskManagers nothing that matters changes'}"


def _why(decision: Decision, topology: Topology) -> str:
    names = short_names(topology.vertices)
    held = [
        f"{names[v]} {s.current}→{max(1, s.wanted)} wanted, {LIMIT_WORDS[s.limits[-1]]}"
        for v, s in decision.sizings.items()
        if s.limits and s.wanted is not None and max(1, s.wanted) != s.current and s.parallelism == s.current
        if decision.grant is None or s.limits[-1] is not Limit.CAPACITY  # else it is said with the grant
    ]
    hottest = _hottest(decision.evaluations, [v.id for v in topology.vertices])
    parts = []
    if hottest is not None:
        e = decision.evaluations[hottest]
        parts.append(
            f"{names[hottest]} is asked for {number(e.target_rate)}/s"
            f"{f' and {number(e.catch_up_rate)}/s to catch up' if e.catch_up_rate else ''}"
            f", can do {number(e.tpr)}/s"
            f"{f', and is {LIMIT_WORDS[Limit.EXCLUDED]}' if _is_excluded(decision, hottest) else ''}"
        )
    for limit, why in _NOT_SIZED:
        silent = [names[v] for v, s in decision.sizings.items() if limit in s.limits]
        if silent:
            parts.append(f"not sized, as {why}: {', '.join(silent)}")
    return "; ".join(parts + held) or "nothing was measured yet"


def _is_excluded(decision: Decision, vertex: VertexId) -> bool:
    sizing = decision.sizings.get(vertex)
    return sizing is not None and Limit.EXCLUDED in sizing.limits


def _hottest(evaluations: Mapping[VertexId, Evaluation], order: Iterable[VertexId]) -> VertexId | None:
    best, highest = None, -1.0
    for vertex in order:
        e = evaluations.get(vertex)
        if e is None or e.target_rate is None or not e.tpr:
            continue
        ratio = (e.target_rate + (e.catch_up_rate or 0.0)) / e.tpr
        if ratio > highest:
            best, highest = vertex, ratio
    return best


def outcome(request: Request, result: Outcome) -> str:
    """What came of a request, for example ``reached in 12 s, 3 s without processing, 1.2k records replayed``."""
    if result.took_ms is None:
        return result.note or request.state.lower()
    parts = [f"reached in {seconds(result.took_ms)}"]
    if result.downtime_ms is not None:
        parts.append(f"{seconds(result.downtime_ms)} without processing")
    if result.replayed_records is not None:
        parts.append(f"about {number(result.replayed_records)} records replayed")
    if request.task_managers is not None and result.task_managers is not None:
        parts.append(f"TaskManagers {request.task_managers}→{result.task_managers}")
    return ", ".join(parts) + (f" ({result.note})" if result.note else "")


def steps(sizing: Sizing, evaluation: Evaluation) -> str:
    """The way of one vertex from its rates to its parallelism, for a reader who checks it on paper."""
    factor = "-" if sizing.factor is None else f"{sizing.factor:.3f}"
    limits = ", ".join(LIMIT_WORDS[limit] for limit in sizing.limits)
    return (
        f"target {number(evaluation.target_rate)}/s + catch-up {number(evaluation.catch_up_rate)}/s, "
        f"true processing rate {number(evaluation.tpr)}/s, factor {factor}, "
        f"{sizing.current} → wanted {sizing.wanted if sizing.wanted is not None else '-'} "
        f"→ {sizing.parallelism}{f' ({limits})' if limits else ''}"
    )

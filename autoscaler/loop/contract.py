"""Whose job it is, and what its owner asked for: settled once per job and application attempt, from configuration."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from zoneinfo import ZoneInfo

from autoscaler.core.periods import PeriodError, parse
from autoscaler.model import Cluster, Command, Millis, Policy, Reason, Topology
from autoscaler.options import (
    GrammarError,
    Layer,
    OptionError,
    Part,
    Resolved,
    Runtime,
    Severity,
    check,
    cluster,
    format_duration,
    ownership,
    parse_duration,
    policy,
    resolve,
)
from autoscaler.options.grammar import parse_list

FIRST_WITH_RESOURCE_REQUIREMENTS = (1, 18)
FIRST_ADVISED = (1, 17)  # EMR 6.15, whose jobs can be measured
FETCH_INTERVAL = "metrics.fetcher.update-interval"
FETCHED_EVERY: Millis = 10_000  # Flink's default for it


@dataclass(frozen=True, slots=True, kw_only=True)
class Contract:
    """``hold`` is why the job is not sampled, ``None`` if it is; ``policy`` is then what it asked for.

    ``advice`` is why a job that is sampled is never asked to change, ``None`` if it is ours.
    ``policy_of`` adds what rules say of single vertices, which are known only once the job was looked at.
    ``warnings`` are sentences about what its owner probably did not mean. ``pins`` are the operators' commands that
    keep vertices at a parallelism; a job with any is not scaled. ``fetched_every`` is how old the metrics that its
    JobManager tells may be without being fetched anew.
    """

    hold: Reason | None
    detail: str
    policy: Policy
    policy_of: Callable[[Topology], Policy]
    cluster: Cluster
    resolved: Resolved
    warnings: tuple[str, ...] = ()
    pins: tuple[Command, ...] = ()
    advice: Objection | None = None
    fetched_every: Millis = FETCHED_EVERY


@dataclass(frozen=True, slots=True, kw_only=True)
class Objection:
    """Why a job is not ours to change; one we may ``advise`` on is measured all the same."""

    reason: Reason
    detail: str
    advise: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """What the rules look at: the values that count with their sources, and the Flink that runs the job."""

    config: Mapping[str, str]
    sources: Mapping[str, str]
    runtime: Runtime


Rule = Callable[[Terms], Objection | None]


def terms_of(layers: Sequence[Layer], flink_version: str | None, profile: str, *, on_emr_host: bool = False) -> Terms:
    """What is known of a job from its configuration layers and the version of its Flink."""
    resolved = resolve(layers, profile)
    submitted = resolve([layer for layer in layers if layer.submitted], profile).flat()
    runtime = Runtime(version=flink_version, submitted=submitted, on_emr_host=on_emr_host)
    return Terms(config=resolved.flat(), sources=resolved.sources(), runtime=runtime)


def objections(terms: Terms) -> tuple[Objection, ...]:
    """Everything that stands against changing a job, the weightiest first."""
    return tuple(found for rule in RULES if (found := rule(terms)) is not None)


def contract(
    layers: Sequence[Layer], flink_version: str | None, profile: str, *, on_emr_host: bool = False
) -> Contract:
    """Settle a job from its configuration layers, the last of which wins.

    A bad value holds this job alone: the detail names key, value and source.
    """
    resolved = resolve(layers, profile)
    terms = terms_of(layers, flink_version, profile, on_emr_host=on_emr_host)
    found = objections(terms)
    held = next((objection for objection in found if not objection.advise), None)
    if held is not None:
        return _held(resolved, held)
    config = terms.config
    try:
        problems = check(resolved, VALIDATORS)
        wrong = [problem.message for problem in problems if problem.severity is Severity.ERROR]
        if wrong:
            return _held(resolved, Objection(reason=Reason.BAD_CONFIGURATION, detail="; ".join(wrong)))
        wanted, shape = policy(config, profile), task_manager_shape(config)
    except OptionError as error:
        return _held(resolved, Objection(reason=Reason.BAD_CONFIGURATION, detail=resolved.describe(error)))
    fetched_every = metrics_fetched_every(config)
    unmeasurable = _unmeasurable(resolved, fetched_every, wanted)
    if unmeasurable is not None:
        return _held(resolved, unmeasurable)
    warnings = [problem.message for problem in problems if problem.severity is Severity.WARNING]
    if FETCH_INTERVAL in config and fetched_every > wanted.decision_interval:
        warnings.append(_decided_less_often(resolved, fetched_every, wanted))
        wanted = replace(wanted, decision_interval=fetched_every)
    advice = next(iter(found), None)
    said = ownership(config, terms.runtime).detail if advice is None else f"Advice only. {advice.detail}"
    return Contract(
        hold=None,
        detail="",
        policy=wanted,
        policy_of=lambda _: wanted,
        cluster=shape,
        resolved=resolved,
        warnings=(*warnings, *([said] if said else [])),
        advice=advice,
        fetched_every=fetched_every,
    )


def _held(resolved: Resolved, objection: Objection) -> Contract:
    nothing = Policy()
    return Contract(
        hold=objection.reason,
        detail=objection.detail,
        policy=nothing,
        policy_of=lambda _: nothing,
        cluster=Cluster(),
        resolved=resolved,
    )


def metrics_fetched_every(config: Mapping[str, str]) -> Millis:
    """Return how often a JobManager that is asked for metrics fetches them at most; 0 if it never does."""
    try:
        return parse_duration(config[FETCH_INTERVAL])
    except (KeyError, GrammarError):  # Flink would not have started with a value it cannot read
        return FETCHED_EVERY


def _unmeasurable(resolved: Resolved, fetched_every: Millis, wanted: Policy) -> Objection | None:
    """Return why metrics that are fetched so seldom tell no rate."""
    source = resolved.sources().get(FETCH_INTERVAL)
    if source is None or 0 < fetched_every <= wanted.metrics_window:
        return None
    if fetched_every == 0:
        why = f"{FETCH_INTERVAL} is 0 in {source}: the JobManager fetches no metrics, so that nothing can be measured"
    else:
        window = format_duration(wanted.metrics_window)
        why = (
            f"{FETCH_INTERVAL} is {format_duration(fetched_every)} in {source}, longer than metrics.window, "
            f"which is {window}: there is never more than one sample to decide on"
        )
    return Objection(reason=Reason.BAD_CONFIGURATION, detail=f"{why}; set it to 10 s, which is Flink's default")


def _decided_less_often(resolved: Resolved, fetched_every: Millis, wanted: Policy) -> str:
    return (
        f"{FETCH_INTERVAL} is {format_duration(fetched_every)} in {resolved.sources()[FETCH_INTERVAL]}: there is no "
        "news of the job more often, so it is decided on as often, not every "
        f"{format_duration(wanted.decision_interval)} as decision.interval says"
    )


def period_problem(periods: str) -> str | None:
    """What is wrong with a list of excluded periods, ``None`` if nothing is."""
    try:
        for period in parse_list(periods):
            parse(period)
    except PeriodError as error:
        return str(error)
    return None


def zone_problem(name: str) -> str | None:
    """What is wrong with the name of a time zone, ``None`` if nothing is."""
    try:
        ZoneInfo(name)
    except (ValueError, KeyError):
        return f"{name!r} is no IANA time zone; write for example Europe/Berlin"
    return None


VALIDATORS: Mapping[str, Callable[[str], str | None]] = {
    "excluded.periods": period_problem,
    "yarn.time-zone": zone_problem,
}


def flink_release(version: str | None) -> tuple[int, int] | None:
    """The major and minor number of a version such as 1.20.0-amzn-0, ``None`` if it begins with none."""
    found = re.match(r"(\d+)\.(\d+)", version or "")
    return (int(found[1]), int(found[2])) if found is not None else None


def task_manager_shape(config: Mapping[str, str]) -> Cluster:
    """What one TaskManager is, as far as the configuration says; its CPU by Flink's own rule on YARN.

    Raises OptionError.
    """
    shape = cluster(config)
    cpu = _number(config.get("taskmanager.cpu.cores")) or _number(config.get("yarn.containers.vcores"))
    return replace(shape, task_manager_cpu=cpu if cpu and cpu > 0 else float(shape.slots_per_task_manager))


def _ours(terms: Terms) -> Objection | None:
    found = ownership(terms.config, terms.runtime, terms.sources)
    if found.part is Part.ACT:
        return None
    return Objection(reason=found.reason, detail=found.detail, advise=found.part is Part.ADVISE)


def _can_rescale_in_place(terms: Terms) -> Objection | None:
    version = flink_release(terms.runtime.version)
    if version is None or version >= FIRST_WITH_RESOURCE_REQUIREMENTS:
        return None
    return Objection(
        reason=Reason.UNSUPPORTED_VERSION,
        detail=f"Flink {terms.runtime.version} cannot change a running job's parallelism; 1.18 and later can",
        advise=version >= FIRST_ADVISED,
    )


def _adaptive(terms: Terms) -> Objection | None:
    scheduler = terms.config.get("jobmanager.scheduler", "default")
    if scheduler.lower() == "adaptive":
        return None
    return Objection(
        reason=Reason.NOT_ADAPTIVE,
        detail=f"jobmanager.scheduler is {scheduler}; submit the job with `jobmanager.scheduler: adaptive`",
    )


def _not_reactive(terms: Terms) -> Objection | None:
    if terms.config.get("scheduler-mode", "").lower() != "reactive":
        return None
    return Objection(
        reason=Reason.REACTIVE_MODE,
        detail="scheduler-mode is reactive: the job takes every slot and accepts no requirements",
    )


RULES: tuple[Rule, ...] = (  # first to object wins
    _ours,  # two controllers must never fight
    _can_rescale_in_place,  # before 1.18 there is nothing to call
    _not_reactive,  # it refuses requirements, and brings a scheduler of its own
    _adaptive,  # the default scheduler refuses them too
)


def _number(value: str | None) -> float | None:
    try:
        return float(value) if value is not None else None
    except ValueError:
        return None

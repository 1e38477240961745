"""Whose job it is, and what its owner asked for: settled once per job and application attempt, from configuration."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from zoneinfo import ZoneInfo

from autoscaler.core.periods import PeriodError, parse
from autoscaler.model import Cluster, Command, Policy, Reason, Topology
from autoscaler.options import (
    Layer,
    OptionError,
    Resolved,
    Severity,
    check,
    cluster,
    ownership,
    policy,
    resolve,
)
from autoscaler.options.grammar import parse_list

FIRST_WITH_RESOURCE_REQUIREMENTS = (1, 18)


@dataclass(frozen=True, slots=True, kw_only=True)
class Contract:
    """``hold`` is why the job is not sampled, ``None`` if it is ours; ``policy`` is then what it asked for.

    ``policy_of`` adds what rules say of single vertices, which are known only once the job was looked at.
    ``warnings`` are sentences about what its owner probably did not mean. ``pins`` are the operators' commands that
    keep vertices at a parallelism; a job with any is not scaled.
    """

    hold: Reason | None
    detail: str
    policy: Policy
    policy_of: Callable[[Topology], Policy]
    cluster: Cluster
    resolved: Resolved
    warnings: tuple[str, ...] = ()
    pins: tuple[Command, ...] = ()

    @property
    def ours(self) -> bool:
        return self.hold is None


Objection = tuple[Reason, str]
Rule = Callable[[Mapping[str, str], str | None], Objection | None]


def contract(layers: Sequence[Layer], flink_version: str | None, profile: str) -> Contract:
    """Settle a job from its configuration layers, the last of which wins.

    A bad value holds this job alone: the detail names key, value and source.
    """
    resolved = resolve(layers, profile)
    config = resolved.flat()
    objection = next((found for rule in RULES if (found := rule(config, flink_version)) is not None), None)
    if objection is not None:
        return _held(resolved, objection)
    try:
        problems = check(resolved, VALIDATORS)
        wrong = [problem.message for problem in problems if problem.severity is Severity.ERROR]
        if wrong:
            return _held(resolved, (Reason.BAD_CONFIGURATION, "; ".join(wrong)))
        wanted, shape = policy(config, profile), task_manager_shape(config)
    except OptionError as error:
        return _held(resolved, (Reason.BAD_CONFIGURATION, resolved.describe(error)))
    warnings = [problem.message for problem in problems if problem.severity is Severity.WARNING]
    two_scalers = ownership(config, flink_version).detail
    return Contract(
        hold=None,
        detail="",
        policy=wanted,
        policy_of=lambda _: wanted,
        cluster=shape,
        resolved=resolved,
        warnings=(*warnings, *([two_scalers] if two_scalers else [])),
    )


def _held(resolved: Resolved, objection: Objection) -> Contract:
    nothing = Policy()
    return Contract(
        hold=objection[0],
        detail=objection[1],
        policy=nothing,
        policy_of=lambda _: nothing,
        cluster=Cluster(),
        resolved=resolved,
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


def task_manager_shape(config: Mapping[str, str]) -> Cluster:
    """What one TaskManager is, as far as the configuration says; its CPU by Flink's own rule on YARN.

    Raises OptionError.
    """
    shape = cluster(config)
    cpu = _number(config.get("taskmanager.cpu.cores")) or _number(config.get("yarn.containers.vcores"))
    return replace(shape, task_manager_cpu=cpu if cpu and cpu > 0 else float(shape.slots_per_task_manager))


def _ours(config: Mapping[str, str], flink_version: str | None) -> Objection | None:
    found = ownership(config, flink_version)
    return None if found.ours else (found.reason, found.detail)


def _can_rescale_in_place(config: Mapping[str, str], flink_version: str | None) -> Objection | None:
    version = re.match(r"(\d+)\.(\d+)", flink_version or "")
    if version is None or (int(version[1]), int(version[2])) >= FIRST_WITH_RESOURCE_REQUIREMENTS:
        return None
    return (
        Reason.UNSUPPORTED_VERSION,
        f"Flink {flink_version} cannot change a running job's parallelism; 1.18 and later can",
    )


def _adaptive(config: Mapping[str, str], flink_version: str | None) -> Objection | None:
    scheduler = config.get("jobmanager.scheduler", "default")
    if scheduler.lower() == "adaptive":
        return None
    return (
        Reason.NOT_ADAPTIVE,
        f"jobmanager.scheduler is {scheduler}; submit the job with `jobmanager.scheduler: adaptive`",
    )


def _not_reactive(config: Mapping[str, str], flink_version: str | None) -> Objection | None:
    if config.get("scheduler-mode", "").lower() != "reactive":
        return None
    return (
        Reason.REACTIVE_MODE,
        "scheduler-mode is reactive: the job takes every slot and accepts no requirements",
    )


RULES: tuple[Rule, ...] = (  # first to object wins
    _ours,  # two controllers must never fight
    _can_rescale_in_place,  # before 1.18 there is nothing to call
    _adaptive,  # the default scheduler refuses requirements
    _not_reactive,  # so does reactive mode
)


def _number(value: str | None) -> float | None:
    try:
        return float(value) if value is not None else None
    except ValueError:
        return None

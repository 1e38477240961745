"""From a configuration to the Policy the decision works with."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cache
from types import MappingProxyType
from typing import Any

from autoscaler.model import Cluster, Policy
from autoscaler.options.grammar import GrammarError, parse_int, parse_memory
from autoscaler.options.keys import EMR, KEYS, PROFILES, Key
from autoscaler.options.names import REDACTED, present, read
from autoscaler.options.problems import OptionError

CONFIGURATION = "the configuration"


def policy(
    config: Mapping[str, str],
    profile: str = EMR,
    extras: bool | None = None,
    sources: Mapping[str, str] | None = None,
) -> Policy:
    """Return what a flat configuration asks for; absent keys take the defaults of the profile.

    ``extras`` defaults to on in the ``emr`` profile and off in ``apache``. ``sources`` says where each key
    stands, for the message of an OptionError.
    """
    values = dict(defaults(profile))
    chosen = present(config, profile)
    for spelling in chosen.values():
        key = spelling.key
        if key.fills is None or _is_moot(key, chosen):
            continue
        source = (sources or {}).get(spelling.text, CONFIGURATION)
        values[key.fills] = read(spelling, config[spelling.text], source)
    values["extras"] = profile == EMR if extras is None else extras
    return Policy(**values)


def _is_moot(key: Key, chosen: Mapping[str, object]) -> bool:
    return bool(key.superseded_by) and all(name in chosen for name in key.superseded_by)


@cache
def defaults(profile: str) -> Mapping[str, Any]:
    """Return the Policy fields a profile sets; those without a default are left to Policy."""
    if profile not in PROFILES:
        raise ValueError(f"no profile {profile!r}: there are {' and '.join(PROFILES)}")
    values: dict[str, Any] = {}
    for key in KEYS:
        text = key.default(profile)
        if key.fills is not None and text is not None:
            values[key.fills] = key.read(text)
    return MappingProxyType(values)


def cluster(config: Mapping[str, str], task_manager_cpu: float | None = None) -> Cluster:
    """Return what a configuration says of TaskManagers; memory is absent if it is not configured."""
    memory = _of_flink(config, "taskmanager.memory.process.size", parse_memory)
    slots = _of_flink(config, "taskmanager.numberOfTaskSlots", parse_int)
    return Cluster(task_manager_cpu=task_manager_cpu, task_manager_memory=memory, slots_per_task_manager=slots or 1)


def _of_flink(config: Mapping[str, str], key: str, read_value: Callable[[str], int]) -> int | None:
    text = config.get(key, REDACTED)
    if text == REDACTED:
        return None
    try:
        return read_value(text)
    except GrammarError as error:
        raise OptionError(key, text, CONFIGURATION, error.advice) from None

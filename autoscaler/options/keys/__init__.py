"""Every option, once: name, type, defaults, bounds, older names, meaning, the Policy field it fills."""

from __future__ import annotations

from autoscaler.options.keys.inapplicable import NOT_APPLICABLE
from autoscaler.options.keys.key import (
    ALIGNMENT,
    APACHE,
    DURATION,
    EMR,
    ID_LIST,
    OPERATOR_PREFIX,
    PREFIX,
    PROFILES,
    Key,
)
from autoscaler.options.keys.measuring import BACKLOG, LEARNING, SWITCHES, WINDOW
from autoscaler.options.keys.sizing import GATES, STEPS, UTILIZATION
from autoscaler.options.keys.yarn import CAPACITY, OURS, RESCALES

__all__ = [
    "ALIGNMENT",
    "APACHE",
    "DURATION",
    "EMR",
    "GROUPS",
    "ID_LIST",
    "KEYS",
    "OPERATOR_PREFIX",
    "PREFIX",
    "PROFILES",
    "Key",
]

GROUPS: tuple[tuple[str, tuple[Key, ...]], ...] = (
    ("What runs", SWITCHES),
    ("What is looked at", WINDOW),
    ("Utilization", UTILIZATION),
    ("How far and when", STEPS),
    ("Backlog and restarts", BACKLOG),
    ("Learning from the past", LEARNING),
    ("Limits and the rest", GATES),
    ("Of this autoscaler", OURS),
    ("The life of a rescale", RESCALES),
    ("What the cluster can give", CAPACITY),
    ("Not applicable on YARN", NOT_APPLICABLE),
)
KEYS: tuple[Key, ...] = tuple(key for _, group in GROUPS for key in group)

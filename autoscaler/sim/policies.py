"""Who decides in a run: the daemon under a profile, nobody, or another program."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from autoscaler.options import APACHE, EMR


class PolicyError(ValueError):
    """No such policy, or one that cannot be started or does not answer as it should."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """``profile`` is that of the daemon, ``command`` another program's; with neither nothing is ever changed.

    ``at_peak`` starts the job at what its largest load needs.
    """

    name: str
    profile: str | None = None
    command: str | None = None
    at_peak: bool = False


BUILT_IN: Mapping[str, Policy] = {
    "ours": Policy(name="ours", profile=EMR),
    "reference": Policy(name="reference", profile=APACHE),
    "none": Policy(name="none"),
    "static-peak": Policy(name="static-peak", at_peak=True),
}


def policy_named(text: str) -> Policy:
    """The policy of a name, or ``exec:COMMAND``. Raises PolicyError."""
    if text in BUILT_IN:
        return BUILT_IN[text]
    found = re.fullmatch(r"exec:(.*\S.*)", text, re.DOTALL)
    if found is None:
        raise PolicyError(f"policy {text!r} is none of {', '.join(BUILT_IN)}, and not exec:COMMAND")
    return Policy(name=text, command=found[1].strip())

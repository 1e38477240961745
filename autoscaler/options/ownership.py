"""Whose job it is: ours, EMR's own scaler's, or nobody's."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from autoscaler.model import Reason
from autoscaler.options.keys import EMR
from autoscaler.options.names import present, read
from autoscaler.options.policy import CONFIGURATION
from autoscaler.options.problems import OptionError

# What EMR's own builds of Flink have in their version, such as 1.20.0-amzn-0.
EMR_BUILD = "-amzn-"
BUILT_IN_KEY = "job.autoscaler.enabled"
OUR_KEY = "job.autoscaler.yarn.enabled"


class Part(StrEnum):
    """What we do for a job."""

    ACT = "act"
    ADVISE = "advise"
    """It is measured and every decision is shown, but nothing is sent: somebody else scales it, or may."""
    HOLD = "hold"
    """It is listed with the reason."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ownership:
    """Our part in a job; ``detail`` is a sentence for a person, empty if there is nothing to say.

    ``reason`` says why we do not act; a job of ours begins with NOT_READY, as nothing is known of it yet.
    """

    part: Part
    reason: Reason
    detail: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Runtime:
    """The Flink that runs a job, as far as it tells whether a scaler is built into it.

    ``submitted`` is the flat configuration the job was submitted with, all that a built-in scaler knows: what the
    cluster's file, rules and commands say now does not reach it. ``on_emr_host`` is whether this host is EMR's, where
    a version without EMR's mark tells nothing.
    """

    version: str | None
    submitted: Mapping[str, str]
    on_emr_host: bool = False


def ownership(config: Mapping[str, str], runtime: Runtime, sources: Mapping[str, str] | None = None) -> Ownership:
    """Tell whose job it is from its flat configuration and the Flink that runs it.

    ``job.autoscaler.yarn.enabled`` decides if it is set. Otherwise ``job.autoscaler.enabled`` does, except on
    EMR's own Flink, where that key starts the scaler built into it: two controllers must never fight over one
    job.
    """
    try:
        handed_to_us = _switch("yarn.enabled", config, sources or {})
        enabled = _switch("enabled", config, sources or {})
    except OptionError as error:
        return Ownership(part=Part.HOLD, reason=Reason.BAD_CONFIGURATION, detail=error.message)
    if handed_to_us is None:
        return _by_the_common_key(runtime) if enabled else _nobodys()
    return _handed_over(runtime) if handed_to_us else _kept_from_us()


def _handed_over(runtime: Runtime) -> Ownership:
    built_in = _built_in_is_on(runtime)
    if built_in and _is_emr_build(runtime):
        return Ownership(
            part=Part.HOLD,
            reason=Reason.TWO_SCALERS,
            detail=f"{OUR_KEY} hands this job over, but it was submitted with {BUILT_IN_KEY}: true, so EMR's own "
            f"scaler works on it: two scalers undo each other's work. Submit it with {BUILT_IN_KEY}: false; or leave "
            f"it to EMR's scaler with {OUR_KEY}: false.",
        )
    if built_in and runtime.on_emr_host:
        return _ours(
            f"WARNING: Flink's version ({runtime.version or 'unknown'}) does not say whether EMR's own scaler is built "
            f"into it. If so, two scalers undo each other's work, as {BUILT_IN_KEY} is true: submit the job with "
            f"{BUILT_IN_KEY}: false."
        )
    return _ours("")


def _by_the_common_key(runtime: Runtime) -> Ownership:
    if _is_emr_build(runtime):
        return Ownership(
            part=Part.ADVISE,
            reason=Reason.EMR_SCALES,
            detail=f"EMR's own scaler works on this job, as {BUILT_IN_KEY} is true. To hand it over, submit it with "
            f"{OUR_KEY}: true and {BUILT_IN_KEY}: false.",
        )
    if runtime.on_emr_host:
        return Ownership(
            part=Part.ADVISE,
            reason=Reason.SCALER_UNKNOWN,
            detail=f"This is an EMR host, and Flink's version ({runtime.version or 'unknown'}) does not say whether "
            f"EMR's own scaler is built into it, which {BUILT_IN_KEY}: true would start. To have the job scaled from "
            f"here, set {OUR_KEY}: true, and submit it with {BUILT_IN_KEY}: false if this is EMR's Flink.",
        )
    return _ours("")


def _nobodys() -> Ownership:
    detail = f"Neither {BUILT_IN_KEY} nor {OUR_KEY} is true."
    return Ownership(part=Part.HOLD, reason=Reason.NOT_ENABLED, detail=detail)


def _kept_from_us() -> Ownership:
    return Ownership(part=Part.HOLD, reason=Reason.NOT_ENABLED, detail=f"{OUR_KEY} is false.")


def _ours(detail: str) -> Ownership:
    return Ownership(part=Part.ACT, reason=Reason.NOT_READY, detail=detail)


def _built_in_is_on(runtime: Runtime) -> bool:
    try:
        return _switch("enabled", runtime.submitted, {}) is True
    except OptionError:
        return False  # Flink cannot read it either


def _is_emr_build(runtime: Runtime) -> bool:
    return EMR_BUILD in (runtime.version or "")


def _switch(name: str, config: Mapping[str, str], sources: Mapping[str, str]) -> bool | None:
    # The names of these two keys are the same in both profiles.
    spelling = present(config, EMR).get(name)
    if spelling is None:
        return None
    source = sources.get(spelling.text, CONFIGURATION)
    return read(spelling, config[spelling.text], source) is True

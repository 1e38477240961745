"""Whose job it is: ours, EMR's own scaler's, or nobody's."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from autoscaler.model import Reason
from autoscaler.options.keys import EMR
from autoscaler.options.names import present, read
from autoscaler.options.policy import CONFIGURATION
from autoscaler.options.problems import OptionError

# What EMR's own builds of Flink have in their version, such as 1.20.0-amzn-0.
EMR_BUILD = "-amzn-"


@dataclass(frozen=True, slots=True, kw_only=True)
class Ownership:
    """Whether we may act on a job; ``detail`` is a sentence for a person, empty if there is nothing to say.

    ``reason`` says why the job is not ours; a job of ours begins with NOT_READY, as nothing is known of it
    yet.
    """

    ours: bool
    reason: Reason
    detail: str = ""


def ownership(
    config: Mapping[str, str], flink_version: str | None, sources: Mapping[str, str] | None = None
) -> Ownership:
    """Tell whose job it is from its flat configuration and the version of the Flink that runs it.

    ``job.autoscaler.yarn.enabled`` decides if it is set. Otherwise ``job.autoscaler.enabled`` does, except on
    EMR's own Flink, where that key starts the scaler built into it: two controllers must never fight over one
    job.
    """
    try:
        handed_to_us = _switch("yarn.enabled", config, sources or {})
        enabled = _switch("enabled", config, sources or {})
    except OptionError as error:
        return Ownership(ours=False, reason=Reason.BAD_CONFIGURATION, detail=error.message)
    return _settled(handed_to_us, enabled=bool(enabled), on_emr=EMR_BUILD in (flink_version or ""))


def _settled(handed_to_us: bool | None, *, enabled: bool, on_emr: bool) -> Ownership:
    match handed_to_us, enabled, on_emr:
        case True, True, True:
            return _ours(
                "WARNING: EMR's own scaler works on this job too, as job.autoscaler.enabled is true: two "
                "scalers undo each other's work. Submit the job with job.autoscaler.enabled: false."
            )
        case True, _, _:
            return _ours("")
        case False, _, _:
            return _not_ours(Reason.NOT_ENABLED, "job.autoscaler.yarn.enabled is false.")
        case None, False, _:
            return _not_ours(
                Reason.NOT_ENABLED, "Neither job.autoscaler.enabled nor job.autoscaler.yarn.enabled is true."
            )
        case None, True, True:
            return _not_ours(
                Reason.EMR_SCALES,
                "EMR's own scaler works on this job, as job.autoscaler.enabled is true; it is only "
                "observed. To hand it over, submit it with job.autoscaler.yarn.enabled: true and "
                "job.autoscaler.enabled: false.",
            )
    return _ours("")


def _ours(detail: str) -> Ownership:
    return Ownership(ours=True, reason=Reason.NOT_READY, detail=detail)


def _not_ours(reason: Reason, detail: str) -> Ownership:
    return Ownership(ours=False, reason=reason, detail=detail)


def _switch(name: str, config: Mapping[str, str], sources: Mapping[str, str]) -> bool | None:
    # The names of these two keys are the same in both profiles.
    spelling = present(config, EMR).get(name)
    if spelling is None:
        return None
    source = sources.get(spelling.text, CONFIGURATION)
    return read(spelling, config[spelling.text], source) is True

"""Whose job it is follows from two keys, the version of Flink and the host."""

from __future__ import annotations

import pytest

from autoscaler.model import Reason
from autoscaler.options import Part, Runtime, ownership

EMR = "1.20.0-amzn-0"
APACHE = "1.20.3"
ACT, ADVISE, HOLD = Part.ACT, Part.ADVISE, Part.HOLD


@pytest.mark.parametrize(
    ("yarn_enabled", "enabled", "version", "part", "reason", "detail"),
    [
        (None, None, APACHE, HOLD, Reason.NOT_ENABLED, "Neither"),
        (None, None, EMR, HOLD, Reason.NOT_ENABLED, "Neither"),
        (None, "false", APACHE, HOLD, Reason.NOT_ENABLED, "Neither"),
        (None, "false", EMR, HOLD, Reason.NOT_ENABLED, "Neither"),
        (None, "true", APACHE, ACT, Reason.NOT_READY, ""),
        (None, "TRUE", APACHE, ACT, Reason.NOT_READY, ""),
        (None, "true", None, ACT, Reason.NOT_READY, ""),
        (None, "true", EMR, ADVISE, Reason.EMR_SCALES, "EMR's own scaler works on this job"),
        ("true", None, APACHE, ACT, Reason.NOT_READY, ""),
        ("true", None, EMR, ACT, Reason.NOT_READY, ""),
        ("true", "false", EMR, ACT, Reason.NOT_READY, ""),
        ("true", "true", APACHE, ACT, Reason.NOT_READY, ""),
        ("true", "true", EMR, HOLD, Reason.TWO_SCALERS, "Submit it with job.autoscaler.enabled: false"),
        ("false", None, APACHE, HOLD, Reason.NOT_ENABLED, "yarn.enabled is false"),
        ("false", "true", APACHE, HOLD, Reason.NOT_ENABLED, "yarn.enabled is false"),
        ("false", "true", EMR, HOLD, Reason.NOT_ENABLED, "yarn.enabled is false"),
        ("******", "true", APACHE, ACT, Reason.NOT_READY, ""),
        ("yes", "true", APACHE, HOLD, Reason.BAD_CONFIGURATION, "job.autoscaler.yarn.enabled is 'yes' in f:1"),
        ("true", "1", EMR, HOLD, Reason.BAD_CONFIGURATION, "job.autoscaler.enabled is '1' in f:2"),
    ],
)
def test_whose_job(
    yarn_enabled: str | None, enabled: str | None, version: str | None, part: Part, reason: Reason, detail: str
) -> None:
    """Our own key decides if it is set; else the common one does, except where it starts EMR's own scaler."""
    written = {"job.autoscaler.yarn.enabled": yarn_enabled, "job.autoscaler.enabled": enabled}
    sources = {"job.autoscaler.yarn.enabled": "f:1", "job.autoscaler.enabled": "f:2"}
    config = {key: text for key, text in written.items() if text is not None}
    found = ownership(config, Runtime(version=version, submitted=config), sources)
    assert (found.part, found.reason) == (part, reason)
    assert detail in found.detail
    assert bool(found.detail) is bool(detail)


@pytest.mark.parametrize("version", [APACHE, "1.17.1", None])
@pytest.mark.parametrize(
    ("yarn_enabled", "enabled", "part", "reason", "detail"),
    [
        (None, "true", ADVISE, Reason.SCALER_UNKNOWN, "set job.autoscaler.yarn.enabled: true"),
        (None, "false", HOLD, Reason.NOT_ENABLED, "Neither"),
        ("true", "false", ACT, Reason.NOT_READY, ""),
        ("true", "true", ACT, Reason.NOT_READY, "submit the job with job.autoscaler.enabled: false"),
        ("false", "true", HOLD, Reason.NOT_ENABLED, "yarn.enabled is false"),
    ],
)
def test_on_an_emr_host_a_version_without_its_mark_tells_nothing(
    version: str | None, yarn_enabled: str | None, enabled: str, part: Part, reason: Reason, detail: str
) -> None:
    """There the common key alone gives advice only, until our own key says whose job it is."""
    config = {"job.autoscaler.enabled": enabled}
    if yarn_enabled is not None:
        config["job.autoscaler.yarn.enabled"] = yarn_enabled
    found = ownership(config, Runtime(version=version, submitted=config, on_emr_host=True))
    assert (found.part, found.reason) == (part, reason)
    assert detail in found.detail
    assert bool(found.detail) is bool(detail)


@pytest.mark.parametrize("on_emr_host", [True, False])
def test_on_an_emr_host_its_own_builds_are_known(on_emr_host: bool) -> None:
    """A version with EMR's mark means the same on every host."""
    config = {"job.autoscaler.enabled": "true"}
    found = ownership(config, Runtime(version=EMR, submitted=config, on_emr_host=on_emr_host))
    assert found.reason is Reason.EMR_SCALES


@pytest.mark.parametrize(
    ("submitted", "part"),
    [
        ({"job.autoscaler.enabled": "true"}, HOLD),
        ({"job.autoscaler.enabled": "maybe"}, ACT),
        ({}, ACT),
    ],
)
def test_a_built_in_scaler_knows_only_what_the_job_was_submitted_with(submitted: dict[str, str], part: Part) -> None:
    """A rule or a command that switches the common key does not reach a scaler that is at work already."""
    for now in ("true", "false"):
        config = {"job.autoscaler.enabled": now, "job.autoscaler.yarn.enabled": "true"}
        assert ownership(config, Runtime(version=EMR, submitted=submitted)).part is part


def test_the_operators_prefix_counts() -> None:
    """The keys are read under their prefixed names as well."""
    config = {"kubernetes.operator.job.autoscaler.enabled": "true"}
    assert ownership(config, Runtime(version=APACHE, submitted=config)).part is ACT


def test_without_sources_the_configuration_is_named() -> None:
    """A bad value is named even if nobody says where it stands."""
    config = {"job.autoscaler.enabled": "maybe"}
    found = ownership(config, Runtime(version=APACHE, submitted=config))
    assert found.detail == (
        "job.autoscaler.enabled is 'maybe' in the configuration, which cannot be read: write true or false"
    )

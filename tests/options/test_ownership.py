"""Whose job it is follows from two keys and the version of Flink."""

from __future__ import annotations

import pytest

from autoscaler.model import Reason
from autoscaler.options import ownership

EMR = "1.20.0-amzn-0"
APACHE = "1.20.3"


@pytest.mark.parametrize(
    ("yarn_enabled", "enabled", "version", "ours", "reason", "detail"),
    [
        (None, None, APACHE, False, Reason.NOT_ENABLED, "Neither"),
        (None, None, EMR, False, Reason.NOT_ENABLED, "Neither"),
        (None, "false", APACHE, False, Reason.NOT_ENABLED, "Neither"),
        (None, "false", EMR, False, Reason.NOT_ENABLED, "Neither"),
        (None, "true", APACHE, True, Reason.NOT_READY, ""),
        (None, "TRUE", APACHE, True, Reason.NOT_READY, ""),
        (None, "true", None, True, Reason.NOT_READY, ""),
        (None, "true", EMR, False, Reason.EMR_SCALES, "only observed"),
        ("true", None, APACHE, True, Reason.NOT_READY, ""),
        ("true", None, EMR, True, Reason.NOT_READY, ""),
        ("true", "false", EMR, True, Reason.NOT_READY, ""),
        ("true", "true", APACHE, True, Reason.NOT_READY, ""),
        ("true", "true", EMR, True, Reason.NOT_READY, "WARNING: EMR's own scaler works on this job too"),
        ("false", None, APACHE, False, Reason.NOT_ENABLED, "yarn.enabled is false"),
        ("false", "true", APACHE, False, Reason.NOT_ENABLED, "yarn.enabled is false"),
        ("false", "true", EMR, False, Reason.NOT_ENABLED, "yarn.enabled is false"),
        ("******", "true", APACHE, True, Reason.NOT_READY, ""),
        ("yes", "true", APACHE, False, Reason.BAD_CONFIGURATION, "job.autoscaler.yarn.enabled is 'yes' in f:1"),
        ("true", "1", EMR, False, Reason.BAD_CONFIGURATION, "job.autoscaler.enabled is '1' in f:2"),
    ],
)
def test_whose_job(
    yarn_enabled: str | None, enabled: str | None, version: str | None, ours: bool, reason: Reason, detail: str
) -> None:
    """Our own key decides if it is set; else the common one does, except where it starts EMR's own scaler."""
    written = {"job.autoscaler.yarn.enabled": yarn_enabled, "job.autoscaler.enabled": enabled}
    sources = {"job.autoscaler.yarn.enabled": "f:1", "job.autoscaler.enabled": "f:2"}
    config = {key: text for key, text in written.items() if text is not None}
    found = ownership(config, version, sources)
    assert (found.ours, found.reason) == (ours, reason)
    assert detail in found.detail
    assert bool(found.detail) is bool(detail)


def test_the_operators_prefix_counts() -> None:
    """The keys are read under their prefixed names as well."""
    assert ownership({"kubernetes.operator.job.autoscaler.enabled": "true"}, APACHE).ours


def test_without_sources_the_configuration_is_named() -> None:
    """A bad value is named even if nobody says where it stands."""
    found = ownership({"job.autoscaler.enabled": "maybe"}, APACHE)
    assert found.detail == (
        "job.autoscaler.enabled is 'maybe' in the configuration, which cannot be read: write true or false"
    )

"""Rendering: log lines, Prometheus metrics and sentences from the values of ``model``. Computes nothing of its own."""

from autoscaler.telemetry.journal import Journal
from autoscaler.telemetry.logs import configure_logging
from autoscaler.telemetry.prometheus import Counters, fleet_collector

__all__ = ["Counters", "Journal", "configure_logging", "fleet_collector"]

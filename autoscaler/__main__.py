"""``python -m autoscaler``."""

from autoscaler.cli import entry

entry()

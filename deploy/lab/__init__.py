"""A real YARN, Kafka and Flink on one machine, for the story of `make run` and for the end-to-end tests."""

from lab.containers import Container
from lab.lab import Lab
from lab.layout import LabError
from lab.parts import Options
from lab.rest import Application, Job
from lab.status import Memory, Status
from lab.story import Phase, Story

__all__ = [
    "Application",
    "Container",
    "Job",
    "Lab",
    "LabError",
    "Memory",
    "Options",
    "Phase",
    "Status",
    "Story",
]

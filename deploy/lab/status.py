"""The state of the lab as a value, and as lines for a reader."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Self

from lab.layout import BROKERS, PROXY_URL
from lab.processes import resident_megabytes
from lab.rest import Application, Job

ADDRESSES: Mapping[str, str] = {
    "web application proxy": PROXY_URL,
    "Kafka": BROKERS,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Memory:
    """What a process of the lab occupies."""

    name: str
    pid: int
    megabytes: int

    @classmethod
    def of(cls, name: str, pid: int) -> Self:
        return cls(name=name, pid=pid, megabytes=resident_megabytes(pid))


@dataclass(frozen=True, slots=True, kw_only=True)
class Status:
    """Addresses, load, applications, jobs (each with its application's id), and processes."""

    addresses: Mapping[str, str]
    rates: Mapping[str, float]
    applications: tuple[Application, ...]
    jobs: tuple[tuple[str, Job], ...]
    processes: tuple[Memory, ...]

    @property
    def megabytes(self) -> int:
        return sum(process.megabytes for process in self.processes)


def render(status: Status) -> str:
    """Write a status as lines for a reader."""
    if not status.processes:
        return "the lab is not running"
    lines = [f"{name:22} {address}" for name, address in status.addresses.items()]
    lines.append(f"{'records/s':22} " + ", ".join(f"{topic} {rate:g}" for topic, rate in status.rates.items()))
    for app in status.applications:
        held = f"{app.containers} containers, {app.megabytes} MB"
        lines.append(f"\n{app.id}  {app.name}  {app.state}  {held}\n  {app.tracking_url or '(starting)'}")
        for application_id, job in status.jobs:
            if application_id == app.id:
                vertices = ", ".join(f"{name} x{number}" for name, number in job.parallelism.items())
                lines.append(f"  {job.id}  {job.name}  {job.state}  {vertices}")
    lines.append("")
    lines += [f"{each.megabytes:6} MB  pid {each.pid:<8} {each.name}" for each in status.processes]
    lines.append(f"{status.megabytes:6} MB  in all")
    return "\n".join(lines)

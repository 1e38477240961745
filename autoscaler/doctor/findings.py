"""What a check has to say."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from autoscaler.doctor.snapshot import Job, Snapshot
from autoscaler.options import Severity


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One thing found: of whom, what it means, what it was seen by, and what to do about it if anything.

    An error keeps jobs from being scaled or puts their state at risk, a warning costs restarts, time or money, an
    information is as it should be. ``check`` is the name of the check that found it.
    """

    severity: Severity
    subject: str
    found: str
    evidence: str
    mend: str = ""
    check: str = ""


Check = Callable[[Snapshot], Iterable[Finding]]


def of_each_job(look: Callable[[Job], Iterable[Finding]]) -> Check:
    """A check of single jobs, for all that are meant to be scaled."""
    return lambda snapshot: (finding for job in snapshot.wanted_jobs for finding in look(job))


def error(subject: str, found: str, *, evidence: str, mend: str) -> Finding:
    return Finding(severity=Severity.ERROR, subject=subject, found=found, evidence=evidence, mend=mend)


def warning(subject: str, found: str, *, evidence: str, mend: str) -> Finding:
    return Finding(severity=Severity.WARNING, subject=subject, found=found, evidence=evidence, mend=mend)


def fine(subject: str, found: str, *, evidence: str, mend: str = "") -> Finding:
    return Finding(severity=Severity.INFO, subject=subject, found=found, evidence=evidence, mend=mend)

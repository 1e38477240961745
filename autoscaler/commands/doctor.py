"""``doctor``: what keeps jobs from being scaled, or makes that slow or dangerous, with the mend of each."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Iterable

from autoscaler.commands.output import print_json, say
from autoscaler.doctor import CHECKS, Finding, diagnose, exit_status
from autoscaler.doctor.reading import read
from autoscaler.options import Severity
from autoscaler.service import parsed_rules, system_clock
from autoscaler.settings import Settings
from autoscaler.telemetry.sentences import counted

MARKS = {Severity.ERROR: "ERROR  ", Severity.WARNING: "WARNING", Severity.INFO: "ok     "}


def examine(settings: Settings, *, as_json: bool) -> int:
    """Print what was found. Returns 0 if all is well, 1 for warnings, 2 for errors."""
    print("autoscaler: reading host and cluster ...", file=sys.stderr)
    findings = diagnose(read(settings, parsed_rules(settings), system_clock))
    status = exit_status(findings)
    if as_json:
        print_json({"status": status, "findings": findings})
    else:
        report(findings)
    return status


def report(findings: Iterable[Finding]) -> None:
    """Findings by subject, in the order of the checks, with evidence and mend below each."""
    order: dict[str, list[Finding]] = {}
    for finding in findings:
        order.setdefault(finding.subject, []).append(finding)
    for subject, group in order.items():
        say(subject)
        for finding in group:
            say(f"  {MARKS[finding.severity]}  {finding.found}  [{finding.check}]")
            say(f"           seen: {finding.evidence}")
            if finding.mend:
                say(f"           mend: {finding.mend}")
    counts = Counter(finding.severity for group in order.values() for finding in group)
    errors, warnings = counted(counts[Severity.ERROR], "error"), counted(counts[Severity.WARNING], "warning")
    say(f"{len(CHECKS)} checks: {errors}, {warnings}")

"""Which of the known jobs a person means."""

from __future__ import annotations

from collections.abc import Sequence
from difflib import SequenceMatcher

from autoscaler.model import JobKey
from autoscaler.options.commands import CommandError

MOST = 10  # as many jobs are named to somebody who named none


def job_called(name: str, known: Sequence[JobKey], or_else: str = "") -> JobKey:
    """Return the one job that goes by a name: application/job, or the application's or the job's alone.

    Raises CommandError, which names those that may be meant and ends with what else would do.
    """
    found = [key for key in known if str(key) == name] or [key for key in known if name in (key.job, key.application)]
    if len(found) == 1:
        return found[0]
    said = "several jobs are called" if found else "no job is called"
    raise CommandError(f"{said} {name!r}; {_choice(name, found or known)}{or_else}")


def _choice(name: str, keys: Sequence[JobKey]) -> str:
    """The jobs to choose from, all of a few and the most similar of many."""
    if len(keys) <= MOST:
        return f"name one of: {', '.join(sorted(map(str, keys))) or 'none'}"
    similar = sorted(keys, key=lambda key: (-_likeness(name, key), str(key)))[:MOST]
    return f"name one of {len(keys)}, which `autoscaler status` lists, such as: {', '.join(map(str, similar))}"


def _likeness(name: str, key: JobKey) -> float:
    matcher = SequenceMatcher(b=name, autojunk=False)
    best = 0.0
    for text in (key.job, key.application, str(key)):
        matcher.set_seq1(text[:200])
        best = max(best, matcher.quick_ratio())
    return best

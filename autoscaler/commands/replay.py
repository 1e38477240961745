"""``simulate --replay``: a recorded job decided anew, beside what was decided then."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from itertools import zip_longest
from pathlib import Path

from autoscaler.commands.output import clock_time, print_json, print_table, say
from autoscaler.commands.simulate import BAD_INPUT, settings_of
from autoscaler.model import JobKey
from autoscaler.options import OptionError, cluster, policy
from autoscaler.sim import PolicyError, ScenarioError, policy_named
from autoscaler.sim.recorded import Told, rerun, told
from autoscaler.sim.replay import Mind, Step, changes, recording, replay
from autoscaler.store import Store, open_existing
from autoscaler.telemetry import sentences


@dataclass(frozen=True, slots=True, kw_only=True)
class Replayed:
    """What is wanted of a recording; ``over_rest`` plays it to the whole loop instead of to the decisions alone."""

    file: Path
    job: str | None
    decider: str
    settings: Sequence[str]
    over_rest: bool = False


def replay_command(wanted: Replayed, *, as_json: bool) -> int:
    """Print each change of mind; 1 if one differs from the recorded, 2 for bad input. Raises StoreError."""
    file = wanted.file
    try:
        profile = policy_named(wanted.decider).profile
        if profile is None:
            raise PolicyError(f"--policy {wanted.decider}: a replay is decided by ours or reference")
        config = settings_of(wanted.settings)
        options, shape = policy(dict(config), profile), cluster(config)
        with closing(open_existing(f"sqlite:///{file.absolute()}")) as store:
            key = _job(store, file, wanted.job)
            found = recording(store, key)
        if wanted.over_rest and found.passes:
            return _compare(key, told(found), rerun(found, config, profile), as_json=as_json)
        steps = replay(found, options, shape)
    except (ScenarioError, PolicyError, OptionError) as error:
        print(f"autoscaler: {error}", file=sys.stderr)
        return BAD_INPUT
    if not steps:
        print(f"autoscaler: {file} holds no pass of {key} with a decision", file=sys.stderr)
        return BAD_INPUT
    if as_json:
        print_json({"job": key, "passes": len(steps), "changes": [_document(step) for step in changes(steps)]})
    else:
        _print(key, steps)
    return 1 if any(step.differs for step in steps) else 0


def _compare(key: JobKey, recorded: Sequence[Told], played: Sequence[Told], *, as_json: bool) -> int:
    """Print both sequences of changes of mind side by side; 1 if they differ, but for the instants."""
    pairs = list(zip_longest(recorded, played))
    wrong = [place for place, (was, now) in enumerate(pairs) if was is None or now is None or was.mind != now.mind]
    if as_json:
        print_json({"job": key, "recorded": recorded, "replayed": played, "differs_from": wrong[0] if wrong else None})
        return 1 if wrong else 0
    say(f"{key}: {len(recorded)} changes of mind were recorded, {len(played)} came of it over REST")
    rows = [[_minded(was), _minded(now), "differs" if place in wrong else ""] for place, (was, now) in enumerate(pairs)]
    print_table(["recorded", "replayed", ""], rows, indent=2)
    return 1 if wrong else 0


def _minded(one: Told | None) -> str:
    if one is None:
        return ""
    advised = ", ".join(f"{sentences.short_name(name)} {number}" for name, number in one.advised.items())
    return f"{clock_time(one.at)} {one.reason.value}: {advised}"


def _job(store: Store, file: Path, job: str | None) -> JobKey:
    """The one job of a store that goes by a name, or is alone in it."""
    keys = store.keys()
    found = [key for key in keys if job is None or job in (str(key), key.job, key.application)]
    if len(found) == 1:
        return found[0]
    known = ", ".join(sorted(map(str, found or keys))) or "none"
    said = f"--job {job}" if job is not None else "--replay"
    raise ScenarioError(f"{said}: {len(found)} jobs of {file} fit; name one with --job: {known}")


def _print(key: JobKey, steps: Sequence[Step]) -> None:
    shown, wrong = changes(steps), sum(step.differs for step in steps)
    say(f"{key}: {len(steps)} passes from {clock_time(steps[0].at)} to {clock_time(steps[-1].at)}, {wrong} differ")
    rows = [
        [clock_time(s.at), _said(s, s.recorded), _said(s, s.replayed), "differs" if s.differs else ""] for s in shown
    ]
    print_table(["", "recorded", "replayed", ""], rows, indent=2)


def _said(step: Step, mind: Mind) -> str:
    present = {vertex.id: vertex.parallelism for vertex in step.topology.vertices}
    wish = sentences.changes(step.topology, present, mind.advised)
    return f"{mind.reason.value} {wish}".rstrip()


def _document(step: Step) -> dict[str, object]:
    return {
        "at": step.at,
        "recorded": {"reason": step.recorded.reason, "advised": step.recorded.advised},
        "replayed": {"reason": step.replayed.reason, "advised": step.replayed.advised},
        "differs": step.differs,
    }

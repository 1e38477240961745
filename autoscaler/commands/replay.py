"""``simulate --replay``: a recorded job decided anew, beside what was decided then."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

from autoscaler.commands.output import clock_time, print_json, print_table, say
from autoscaler.commands.simulate import BAD_INPUT, settings_of
from autoscaler.model import JobKey
from autoscaler.options import OptionError, cluster, policy
from autoscaler.sim import PolicyError, ScenarioError, policy_named
from autoscaler.sim.replay import Mind, Step, changes, recording, replay
from autoscaler.store import Store, open_existing
from autoscaler.telemetry import sentences


def replay_command(file: Path, job: str | None, decider: str, settings: Sequence[str], *, as_json: bool) -> int:
    """Print each change of mind; 1 if one differs from the recorded, 2 for bad input. Raises StoreError."""
    try:
        profile = policy_named(decider).profile
        if profile is None:
            raise PolicyError(f"--policy {decider}: a replay is decided by ours or reference")
        config = settings_of(settings)
        wanted, shape = policy(dict(config), profile), cluster(config)
        with closing(open_existing(f"sqlite:///{file.absolute()}")) as store:
            key = _job(store, file, job)
            steps = replay(recording(store, key), wanted, shape)
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

"""Breaks each guard of the daemon once, in a copy, and lets the campaign find it: ``python -m faults.broken``.

A guard is broken by a change of its text. What the campaign does not find it would not find in a mistake of somebody's
either.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]


@dataclass(frozen=True, slots=True)
class Break:
    """One guard: the file under ``autoscaler/`` it is in, and its text before and after it is broken.

    ``seed`` is that of the first episode that was seen to find it, with which the search begins.
    """

    guard: str
    file: str
    before: str
    after: str
    seed: int = 0


BREAKS = (
    Break(
        "the intent is stored before the PUT",
        "loop/sender.py",
        "                request = replace(request, id=self._env.memory.add_request(request))\n",
        "                _put(subject.flink, request, lambda: None)\n"
        "                request = replace(request, id=self._env.memory.add_request(request))\n",
    ),
    Break(
        "an intent found after a crash is settled by the live requirements",
        "loop/action.py",
        "    if dict(live) == dict(request.requirements):\n        return replace(request, state=RequestState.SENT",
        "    if False:\n        return replace(request, state=RequestState.SENT",
        seed=15,
    ),
    Break(
        "what was asked for is not asked for again",
        "loop/sender.py",
        "            answer = _readable(_put(subject.flink, request, self._env.leadership.last_objection), topology)\n",
        "            _put(subject.flink, request, lambda: None)\n"
        "            answer = _readable(_put(subject.flink, request, self._env.leadership.last_objection), topology)\n",
        seed=1,
    ),
    Break(
        "a rescale in flight is watched to its end",
        "core/lifecycle.py",
        "    if waited < policy.rescale_timeout:\n",
        "    if waited // 1000 < policy.rescale_timeout:\n",
        seed=37,
    ),
    Break(
        "nothing else is sent while one is in flight",
        "loop/watch.py",
        '        self.open, self.looked, self.waits_for = request, False, ""\n',
        '        self.open, self.looked, self.waits_for = None, False, ""\n',
        seed=3,
    ),
    Break(
        "a vertex that is saturated, holds up others or falls behind is not shrunk",
        "core/protection.py",
        "    return next((limit for limit, objects in OBJECTIONS if objects(vertex, findings)), None)\n",
        "    return Limit.DOUBTFUL if is_doubtful(vertex, findings) else None\n",
        seed=111,
    ),
    Break(
        "nothing is shrunk on doubtful data",
        "core/protection.py",
        "    return vertex.id in findings.plan.doubts\n",
        "    return False\n",
    ),
    Break(
        "doubts outlive the process",
        "store/codec.py",
        '        of_job["doubts"] = tuple(of_job["doubts"])\n',
        '        of_job["doubts"] = ()\n',
        seed=25,
    ),
    Break(
        "nothing is grown on doubtful data without lag",
        "core/growth.py",
        "    _doubtful(plan, ceilings)\n",
        "",
        seed=22,
    ),
    Break(
        "a change is not judged by doubtful data",
        "core/fare.py",
        "    samples = since_doubts(samples)\n",
        "",
        seed=71,
    ),
    Break(
        "what the cluster cannot give is not asked for",
        "core/capacity.py",
        "    if limit is None or wanted <= limit:\n",
        "    if True:\n",
        seed=5,
    ),
    Break(
        "the budget holds",
        "core/pacing.py",
        "    if wish.behind_ms is not None or not 0 < policy.rescale_budget <= used:\n",
        "    if True:\n",
        seed=2,
    ),
    Break(
        "an overdraft is said",
        "core/pacing.py",
        "    used = _spent(past, now)\n    if wish.behind_ms is None or",
        "    used = _spent(past, now)\n    if True or wish.behind_ms is None or",
        seed=13,
    ),
    Break(
        "rescales keep their distance",
        "core/pacing.py",
        "    if last is None or not Span(last, gap).holds(now):\n",
        "    if True or last is None or not Span(last, gap).holds(now):\n",
        seed=6,
    ),
    Break(
        "a bad target is remembered",
        "core/pacing.py",
        "    if span is None or not span.holds(now):\n        return None\n    return Reason.KNOWN_BAD",
        "    if True:\n        return None\n    return Reason.KNOWN_BAD",
        seed=6,
    ),
    Break(
        "another daemon's requests are learned of",
        "loop/watch.py",
        "        if news:\n            self._take_up",
        "        news = []\n        if news:\n            self._take_up",
        seed=8,
    ),
    Break(
        "growth that was undone twice in a row is not tried again",
        "core/pacing.py",
        "    if len(undone) < 2 or not",
        "    if True or len(undone) < 2 or not",
        seed=13,
    ),
    Break(
        "what was needed within the grace period is kept",
        "core/needs.py",
        "        if needs:\n            found[vertex.id] = needs\n",
        "",
        seed=11,
    ),
    Break(
        "what has just grown is not shrunk",
        "core/gates.py",
        "            protected=protected_vertices(plan), ceilings=growth_ceilings(plan), needs=needs_of_late(plan)\n",
        "            protected={v: why for v, why in protected_vertices(plan).items() if why != 'grace-period'},\n"
        "            ceilings=growth_ceilings(plan),\n",
        seed=49,
    ),
    Break(
        "the right to act is asked for once more before each PUT",
        "loop/sender.py",
        "_put(subject.flink, request, self._env.leadership.last_objection), topology)",
        "_put(subject.flink, request, lambda: None), topology)",
        seed=1,
    ),
    Break(
        "an answer on the right to act is good for two seconds",
        "loop/leadership.py",
        "    if passed <= GOOD_FOR:\n",
        "    if True:\n",
        seed=9,
    ),
    Break(
        "only the daemon beside the active ResourceManager acts",
        "loop/leadership.py",
        "    if e.own.addresses is None or e.active in e.own.addresses:\n",
        "    if True:\n",
        seed=2,
    ),
    Break(
        "only the daemon that holds the lease acts",
        "loop/leadership.py",
        "    if e.lease is not None and e.lease.holder == e.holder:\n",
        "    if e.lease is not None:\n",
        seed=1,
    ),
    Break(
        "one failure does not end the loop",
        "loop/job.py",
        "        except StoreUnavailable as error:\n            store_failed(self._env, error)\n"
        "            return self._onward(now)\n"
        "        except Exception as error:  # one job's failure must not stop the others, whatever it is\n"
        '            self._env.journal.crashed(f"pass {self._name}", "pass failed", error, job=str(self.subject.key))\n'
        '            self._show(now, Reason.ERROR, f"unexpected {type(error).__name__}: {error}")\n'
        "            return self._onward(now)\n",
        "",
        seed=35,
    ),
)


def main(arguments: Sequence[str] | None = None) -> int:
    """Break one guard after the other; 1 if one was not found."""
    parser = argparse.ArgumentParser(prog="faults.broken", description="Does the campaign find a broken guard?")
    parser.add_argument("--episodes", type=int, default=100, help="how many to look through at most (100)")
    parser.add_argument("--first", type=int, help="the first seed, in place of the one that is known to find it")
    parser.add_argument("--only", default="", help="part of a guard's name")
    options = parser.parse_args(arguments)
    missed = 0
    for one in BREAKS:
        if options.only in one.guard:
            found = seeds_until_found(one, options)
            missed += found is None
            print(f"{one.guard:70} {'NOT FOUND' if found is None else found}", flush=True)
    return 1 if missed else 0


def seeds_until_found(one: Break, options: argparse.Namespace) -> str | None:
    """The seed of the episode that finds a broken guard, and as what; ``None`` if none does."""
    with tempfile.TemporaryDirectory(prefix="faults-") as folder:
        copy = Path(folder)
        shutil.copytree(ROOT / "autoscaler", copy / "autoscaler", ignore=shutil.ignore_patterns("__pycache__"))
        path = copy / "autoscaler" / one.file
        text = path.read_text(encoding="utf-8")
        if text.count(one.before) != 1:
            raise SystemExit(
                f"faults: {one.file} has the text of {one.guard!r} {text.count(one.before)} times, not once"
            )
        path.write_text(text.replace(one.before, one.after), encoding="utf-8")
        start = one.seed if options.first is None else options.first
        arguments = ["--episodes", str(options.episodes), "--first", str(start), "--shard", "1", "--until-found"]
        run = subprocess.run(
            [sys.executable, "-m", "faults", *arguments, "--results", str(copy / "results")],
            env={**os.environ, "PYTHONPATH": f"{copy}:{ROOT / 'deploy'}"},
            cwd=copy,
            capture_output=True,
            text=True,
            check=False,
        )
        if run.returncode not in (0, 1) or not (copy / "results" / "faults.json").exists():
            return f"the campaign itself fails: {run.stderr[-200:]}"
        violations = json.loads((copy / "results" / "faults.json").read_text(encoding="utf-8"))["violations"]
    if not violations:
        return None
    first = min(each["seed"] for each in violations)
    as_what = sorted({each["invariant"] for each in violations if each["seed"] == first})
    return f"{first:>3}  {'; '.join(as_what)}"


if __name__ == "__main__":
    sys.exit(main())

"""Plays the story from an empty machine to an empty machine; exit status 0 only if every promise was kept."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TextIO

from lab import Lab, LabError
from lab.signals import end_as_by_ctrl_c, end_undisturbed
from rich.console import Console
from rich.live import Live

from autoscaler.model import JobStatus, Request
from autoscaler.store import Store, StoreError, open_existing
from demo.daemon import Daemon
from demo.stage import LabStage, Stage
from demo.verdict import Promise, Seen, judge
from demo.view import Scene, outcome_of, plain_line, render

TICK_SECONDS = 1.0
PLAIN_LINE_SECONDS = 15.0
STORY_JOB = "orders"
AUTOSCALER = Path(sys.prefix) / "bin" / "autoscaler"


class DaemonEnded(Exception):  # noqa: N818 - it says what happened
    """The daemon is not running any more; the message holds the end of its log."""


def main() -> int:
    """Play the story once."""
    end_as_by_ctrl_c()
    say = Console(stderr=True).print if sys.stderr.isatty() else _say
    lab = Lab(say=lambda line: say(line))
    # beside the lab's other data, which each start of the lab begins anew
    daemon = Daemon(lab.layout.data / "autoscaler", AUTOSCALER, lab.layout.log / "autoscaler.log", lab.story.daemon)
    began = time.monotonic()
    try:
        lab.up()
        lab.submit_all()
        say(f"all jobs run after {time.monotonic() - began:.0f} s; logs: {lab.layout.log}")
        daemon.start()
        story = Story(LabStage(lab), daemon)
        promises = story.play(sys.stdout)
    except KeyboardInterrupt:
        say("interrupted; cleaning up ...")
        return 130
    except (LabError, DaemonEnded) as error:
        say(f"run: {error}")
        return 1
    finally:
        end_undisturbed()
        daemon.stop()
        lab.down()
    return told(promises)


def told(promises: Sequence[Promise]) -> int:
    """Print the verdict; 0 only if every promise was kept."""
    for promise in promises:
        print(f"{'kept' if promise.kept else 'BROKEN':7} {promise.text}: {promise.evidence}")
    return 0 if all(promise.kept for promise in promises) else 1


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


class Story:
    """One playing of the story's phases, watched through the daemon's store and the stage."""

    def __init__(self, stage: Stage, daemon: Daemon) -> None:
        self._stage = stage
        self._daemon = daemon
        self._store: Store | None = None
        self._seen: list[Seen] = []
        self._phase = -1

    def play(self, out: TextIO) -> list[Promise]:
        if out.isatty():
            with Live(console=Console(file=out), auto_refresh=False, screen=False) as live:
                self._loop(lambda scene: live.update(render(scene), refresh=True))
        else:
            self._loop(PlainShow(out).show)
        return judge(self._seen, self._requests())

    def _loop(self, show: Callable[[Scene], None]) -> None:
        started = time.monotonic()
        ends = _ends([phase.seconds for phase in self._stage.phases])
        while (elapsed := time.monotonic() - started) < ends[-1]:
            self._enter(next(i for i, end in enumerate(ends) if elapsed < end))
            if (status := self._daemon.ended) is not None:
                log = _tail(self._daemon.log)
                raise DaemonEnded(f"the daemon ended with status {status}; the end of its log:\n{log}")
            scene = self._look(elapsed)
            show(scene)
            time.sleep(TICK_SECONDS)

    def _enter(self, phase: int) -> None:
        if phase != self._phase:
            self._phase = phase
            self._stage.set_rates(self._stage.phases[phase].rates)

    def _look(self, elapsed: float) -> Scene:
        statuses = self._statuses()
        managers = self._stage.task_managers()
        self._remember(statuses, managers, elapsed)
        phase = self._stage.phases[self._phase]
        whole = sum(each.seconds for each in self._stage.phases)
        rates = ", ".join(f"{topic} {rate:g}/s" for topic, rate in phase.rates.items())
        heading = f"{elapsed:4.0f} of {whole:.0f} s   load: {phase.name} ({rates})"
        return Scene(heading=heading, statuses=statuses, requests=self._requests(), task_managers=managers)

    def _remember(self, statuses: Sequence[JobStatus], managers: dict[str, int], elapsed: float) -> None:
        for status in statuses:
            if status.key.job == STORY_JOB and status.vertices:
                lags = [v.lag for v in status.vertices if v.lag is not None]
                rates = [v.rate for v in status.vertices if v.lag is not None and v.rate is not None]
                self._seen.append(
                    Seen(
                        at=elapsed,
                        phase=self._phase,
                        parallelism=max(v.parallelism for v in status.vertices),
                        task_managers=managers.get(status.application_id, 0),
                        lag_records=sum(lags) if lags else None,
                        rate=sum(rates) if rates else None,
                    )
                )

    def _reading(self) -> Store | None:
        if self._store is None:
            try:
                self._store = open_existing(f"sqlite:///{self._daemon.store}")
            except StoreError:
                return None  # the daemon has not made it yet
        return self._store

    def _statuses(self) -> Sequence[JobStatus]:
        store = self._reading()
        return store.statuses() if store else ()

    def _requests(self) -> Sequence[Request]:
        store = self._reading()
        keys = store.keys() if store else ()
        found = [r for key in keys for r in store.requests(key, 100)] if store else []
        return sorted(found, key=lambda request: request.decided_at)


class PlainShow:
    """Lines for a log: each job when its reason changes and every 15 s, each rescale when its outcome is known."""

    def __init__(self, out: TextIO) -> None:
        self._out = out
        self._said: dict[str, str] = {}
        self._last = 0.0

    def show(self, scene: Scene) -> None:
        now = time.monotonic()
        regular = now - self._last >= PLAIN_LINE_SECONDS
        if regular:
            self._last = now
            self._print(scene.heading)
        for status in scene.statuses:
            mark = f"{status.reason} {[v.wanted for v in status.vertices]}"
            if regular or self._said.get(str(status.key)) != mark:
                self._said[str(status.key)] = mark
                self._print("  " + plain_line(status))
        for request in scene.requests:
            text = f"  rescale of {request.key.job}: {request.reason} -> {outcome_of(request)}"
            if self._said.get(f"request {request.id}") != text:
                self._said[f"request {request.id}"] = text
                self._print(text)

    def _print(self, line: str) -> None:
        print(line, file=self._out, flush=True)


def _ends(lengths: Sequence[float]) -> list[float]:
    return [sum(lengths[: i + 1]) for i in range(len(lengths))]


def _tail(log: Path, lines: int = 15) -> str:
    return "\n".join(log.read_text(encoding="utf-8", errors="replace").splitlines()[-lines:])

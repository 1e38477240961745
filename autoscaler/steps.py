"""When each step of the loop runs, and in which threads: a tick by APScheduler, and a pool of threads for each lane."""

from __future__ import annotations

import heapq
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from functools import partial

from apscheduler.job import Job
from apscheduler.jobstores.memory import MemoryJobStore
from apscheduler.schedulers.background import BackgroundScheduler
from apscheduler.triggers.interval import IntervalTrigger

from autoscaler.loop import Lane
from autoscaler.model import Millis
from autoscaler.telemetry import Journal

SUSPECT_THREADS = 4
VISIT_THREADS = 4
TICK: Millis = 500


class Ticks(MemoryJobStore):  # type: ignore[misc]
    """APScheduler's jobs, none further away than a tick. It goes by the wall clock: were that set back, it would wait
    until it has caught up; were it set forth, it would list every tick that was left out."""

    def get_due_jobs(self, now: datetime) -> list[Job]:
        for job in self.get_all_jobs():
            if job.next_run_time is not None and abs(job.next_run_time - now) > timedelta(milliseconds=TICK):
                job.modify(next_run_time=now)
        due: list[Job] = super().get_due_jobs(now)
        return due


class Threads:
    """The threads of one lane: no more than keep up, as threads that take turns cost more than many a step does.

    A tick wakes one more for what is due, and one for each step that was left over from the tick before.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._pool = ThreadPoolExecutor(most)
        self._lock = threading.Lock()
        self._waiting: deque[Callable[[], None]] = deque()
        self._at_work = 0

    def hand_out(self, due: Iterable[Callable[[], None]]) -> None:
        with self._lock:
            left_over = len(self._waiting)
            self._waiting.extend(due)
            more = min(left_over + 1, len(self._waiting), self._most - self._at_work)
            self._at_work += more
        for _ in range(more):
            self._pool.submit(self._work)

    def _work(self) -> None:
        while (step := self._next()) is not None:
            step()

    def _next(self) -> Callable[[], None] | None:
        with self._lock:
            if self._waiting:
                return self._waiting.popleft()
            self._at_work -= 1
            return None

    def stop(self) -> None:
        """Start no further step; those that run are not waited for."""
        with self._lock:
            self._waiting.clear()
        self._pool.shutdown(wait=False, cancel_futures=True)


class StepScheduler:
    """The loop's scheduler: at each tick, which is APScheduler's one job, what is due goes to the threads of its lane.

    To make a job of each step would cost more than many a step does.

    A step schedules its successor under its own name, and a name has one step at most, so steps of one name never
    overlap.

    Steps are planned by the wall ``clock`` and wait by ``uptime``, which nobody adjusts: a clock that is set neither
    holds a step up nor hurries it.

    Knows of each running step when it last gave a sign of life: a step that reads a slow application lives, one that
    waits for a lock for ever does not.
    """

    def __init__(
        self, workers: int, clock: Callable[[], Millis], uptime: Callable[[], Millis], journal: Journal
    ) -> None:
        self._clock = clock
        self._uptime = uptime
        self._journal = journal
        self._running: dict[int, tuple[str, Millis]] = {}
        self._lanes = {
            Lane.WORKERS: Threads(workers),
            Lane.SUSPECTS: Threads(SUSPECT_THREADS),
            Lane.VISITS: Threads(VISIT_THREADS),
            Lane.DISCOVERY: Threads(1),
            Lane.REPORT: Threads(1),
        }
        # A heap, in which what was replaced stays until it is due: to look at every plan at each tick would cost more.
        self._planned: list[tuple[Millis, int, str, Lane, Callable[[], None]]] = []
        self._latest: dict[str, int] = {}
        self._count = 0
        self._began = dict.fromkeys(Lane, uptime())
        self._planning = threading.Lock()
        self._scheduler = BackgroundScheduler(
            jobstores={"default": Ticks()},
            executors={"default": {"type": "threadpool", "max_workers": 1}},
            job_defaults={"misfire_grace_time": None, "coalesce": True, "max_instances": 1},
            timezone=UTC,
        )
        self._scheduler.add_job(self._hand_out, IntervalTrigger(seconds=TICK / 1000, timezone=UTC))

    def start(self) -> None:
        self._scheduler.start()

    def at(self, when: Millis, step: Callable[[], None], *, name: str, lane: Lane = Lane.WORKERS) -> None:
        due = self._uptime() + when - self._clock()
        with self._planning:
            self._count += 1
            self._latest[name] = self._count
            heapq.heappush(self._planned, (due, self._count, name, lane, step))

    def _hand_out(self) -> None:
        now = self._uptime()
        with self._planning:
            due = [*self._due(now)]
        for lane, threads in self._lanes.items():
            threads.hand_out(partial(self._run, name, lane, step) for name, of, step in due if of is lane)

    def _due(self, now: Millis) -> Iterator[tuple[str, Lane, Callable[[], None]]]:
        while self._planned and self._planned[0][0] <= now:
            _, count, name, lane, step = heapq.heappop(self._planned)
            if self._latest.get(name) == count:
                del self._latest[name]
                yield name, lane, step

    def _run(self, name: str, lane: Lane, step: Callable[[], None]) -> None:
        thread = threading.get_ident()
        self._began[lane] = now = self._uptime()
        self._running[thread] = (name, now)
        try:
            step()
        except Exception as error:
            self._journal.error("a step failed", error)
        finally:
            del self._running[thread]

    def progressed(self) -> None:
        """A sign of life of the step that runs in this thread, if one does."""
        thread = threading.get_ident()
        if thread in self._running:
            self._running[thread] = (self._running[thread][0], self._uptime())

    def silent(self) -> dict[str, Millis]:
        """Every running step, with the time since its last sign of life."""
        now = self._uptime()
        return {name: now - seen for name, seen in list(self._running.values())}

    def since_began(self, lane: Lane) -> Millis:
        """How long ago a step of a lane began last, or, before any did, this scheduler."""
        return self._uptime() - self._began[lane]

    def stop(self) -> None:
        """Start no further step; those that run are not waited for."""
        self._scheduler.shutdown(wait=False)
        for threads in self._lanes.values():
            threads.stop()

"""The simulated cluster: one virtual time for YARN, the jobs and what goes wrong. A pure function of scenario and seed
and of what is asked of it."""

from __future__ import annotations

import heapq
import itertools
from collections.abc import Callable

from autoscaler.model import Millis
from autoscaler.sim.chance import Chance
from autoscaler.sim.job import SimJob
from autoscaler.sim.pool import SlotPool
from autoscaler.sim.scenario import Fault, Scenario, vertex_id
from autoscaler.sim.yarn import Node, SimYarn

MINUTE: Millis = 60_000


class SimCluster:
    """YARN, and one application: of one job, or a session cluster with several. Time passes only by ``advance``;
    ``at_peak`` starts each job at what its largest load needs. ``job`` is the first, which faults of a job befall."""

    def __init__(
        self,
        scenario: Scenario,
        seed: int,
        began: Millis,
        *,
        at_peak: bool = False,
        job_of: Callable[..., SimJob] = SimJob,
    ) -> None:
        self.scenario = scenario
        self.began = self.now = began
        self.chance = Chance(seed)
        self.rm_answers = True
        self._steps: list[tuple[Millis, int, Callable[[Millis], None]]] = []
        self._count = itertools.count()
        self.yarn = SimYarn(scenario.cluster, self.chance, self.at, began)
        self.pool = SlotPool(self.yarn)
        self.jobs = tuple(
            job_of(
                scenario.model_copy(update={"job": spec}),
                self.chance if spec is scenario.job else Chance(f"{seed}/{spec.name}"),
                self.pool,
                began,
                at_peak=at_peak,
            )
            for spec in scenario.jobs
        )
        self.job = self.jobs[0]
        for job in self.jobs:
            if job.spec.ends is not None:
                self.at(began + round(job.spec.ends * MINUTE), job.finish)
        for fault in scenario.faults:
            self._plan(fault)

    def at(self, when: Millis, step: Callable[[Millis], None]) -> None:
        """Do something at a time; what is past is done next."""
        heapq.heappush(self._steps, (max(when, self.now), next(self._count), step))

    def advance(self, now: Millis) -> None:
        """Let time pass up to an instant, with everything that happens until then."""
        steps = self._steps
        while steps and steps[0][0] <= now:
            when, _, step = heapq.heappop(steps)
            self._flow_to(when)
            step(when)
        self._flow_to(now)

    def _flow_to(self, now: Millis) -> None:
        for job in self.jobs:
            job.flow_to(now)
        self.now = now

    @property
    def slot_ms(self) -> int:
        """Slots held times milliseconds so far."""
        self.yarn.count(self.pool.holder, self.now)
        return self.pool.holder.slot_ms

    @property
    def master_answers(self) -> bool:
        """Whether the ApplicationMaster has a place to run."""
        return self.pool.holder.master is not None

    @property
    def ended(self) -> bool:
        """Whether the application is over, as one job's is with that; a session waits for the next."""
        return not self.scenario.is_session and self.job.ended

    # -------------------------------------------------------------- faults

    def _plan(self, fault: Fault) -> None:
        start = self.began + round(fault.at * MINUTE)
        end = start + round(fault.minutes * MINUTE)
        begin = getattr(self, f"_{fault.kind.replace('-', '_')}")
        self.at(start, lambda now: begin(fault, now, end))

    def _metric_gap(self, _: Fault, __: Millis, end: Millis) -> None:
        self.job.no_metrics = True
        self.at(end, lambda _: setattr(self.job, "no_metrics", False))

    def _nan_busy(self, fault: Fault, _: Millis, end: Millis) -> None:
        spoilt = {vertex_id(fault.vertex)} if fault.vertex else set(self.job.ids)
        self.job.nan_busy |= spoilt
        self.at(end, lambda _: self.job.nan_busy.difference_update(spoilt))

    def _stale_metrics(self, _: Fault, __: Millis, end: Millis) -> None:
        self.job.metrics.stale_until = end

    def _job_restart(self, _: Fault, now: Millis, __: Millis) -> None:
        self.job.stop(now, "a task failed")

    def _task_manager_lost(self, _: Fault, now: Millis, __: Millis) -> None:
        if registered := self.pool.holder.registered:
            self.yarn.release(self.pool.holder, registered[0], now, lost=True)

    def _selectivity(self, fault: Fault, _: Millis, end: Millis) -> None:
        vertex = vertex_id(fault.vertex or "")
        before = self.job.capacities.send_factor[vertex]
        self._tune(lambda: self.job.capacities.send_factor.__setitem__(vertex, before * (fault.value or 1.0)))
        self.at(end, lambda _: self._tune(lambda: self.job.capacities.send_factor.__setitem__(vertex, before)))

    def _hot_key(self, fault: Fault, _: Millis, end: Millis) -> None:
        vertex = vertex_id(fault.vertex or "")
        before = self.job.capacities.hot_keys[vertex]
        self._tune(lambda: self.job.capacities.hot_keys.__setitem__(vertex, fault.value or 0.0))
        self.at(end, lambda _: self._tune(lambda: self.job.capacities.hot_keys.__setitem__(vertex, before)))

    def _tune(self, change: Callable[[], None]) -> None:
        change()
        self.job.retune()

    def _checkpoints_fail(self, _: Fault, __: Millis, end: Millis) -> None:
        self.job.checkpoints_fail = True
        self.at(end, lambda _: setattr(self.job, "checkpoints_fail", False))

    def _node_lost(self, _: Fault, now: Millis, __: Millis) -> None:
        self.yarn.lose(self._busiest(), now)

    def _node_drains(self, _: Fault, __: Millis, end: Millis) -> None:
        self.yarn.drain(self._busiest(), end)

    def _busiest(self) -> Node:
        running = [node for node in self.yarn.nodes if node.state == "RUNNING"]
        return max(running or self.yarn.nodes, key=lambda node: node.used_mb)

    def _rm_down(self, _: Fault, __: Millis, end: Millis) -> None:
        self.rm_answers = False
        self.at(end, lambda _: setattr(self, "rm_answers", True))

    def _am_restart(self, _: Fault, now: Millis, __: Millis) -> None:
        self.yarn.move_master(self.pool.holder)
        for job in self.jobs:
            job.restart_master(now)
        if not self.job.spec.high_availability:
            self.pool.restart(now)

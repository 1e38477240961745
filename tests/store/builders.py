"""Valid values with a default for everything, and the realistic job that sizes are measured with."""

from __future__ import annotations

import random
from collections.abc import Iterable

from autoscaler.model import (
    Bounds,
    Command,
    Decision,
    Evaluation,
    History,
    Input,
    JobKey,
    JobStatus,
    Limit,
    Millis,
    PassRecord,
    Reason,
    Request,
    Restart,
    Sample,
    Scaling,
    Sizing,
    Topology,
    Vertex,
    VertexId,
    VertexSample,
    VertexStatus,
    frozen,
)

T0: Millis = 1_760_000_000_000
MINUTE: Millis = 60_000
HOUR: Millis = 60 * MINUTE
DAY: Millis = 24 * HOUR
ROOMY = 1 << 30

KEY = JobKey(cluster="j-1", application="orders", job="Orders enrichment")
OTHER = JobKey(cluster="j-1", application="orders", job="Orders archive")


def a_topology(ids: Iterable[VertexId] = ("source", "sink"), parallelism: int = 2) -> Topology:
    """A chain of vertices."""
    names = tuple(ids)
    return Topology(
        vertices=tuple(
            Vertex(
                id=name,
                name=f"Vertex {name}",
                parallelism=parallelism,
                max_parallelism=128,
                inputs=() if place == 0 else (Input(id=names[place - 1], ship_strategy="HASH"),),
            )
            for place, name in enumerate(names)
        )
    )


def a_sample(at: Millis = T0, load: float = 0.5, ids: Iterable[VertexId] = ("source", "sink")) -> Sample:
    return Sample(at=at, vertices=frozen({name: VertexSample(load=load) for name in ids}))


def a_decision(at: Millis = T0, reason: Reason = Reason.STEADY) -> Decision:
    return Decision(
        at=at,
        reason=reason,
        rescale=False,
        parallelism=frozen({"source": 2, "sink": 2}),
        advised=frozen({"source": 2, "sink": 2}),
        evaluations=frozen({"sink": Evaluation(tpr=float("inf"), load=0.5)}),
        sizings=frozen({"sink": Sizing(current=2, parallelism=2, limits=(Limit.DELAYED,))}),
    )


def a_request(key: JobKey = KEY, decided_at: Millis = T0) -> Request:
    return Request(
        key=key,
        application_id="application_1_0001",
        job_id="a" * 32,
        decided_at=decided_at,
        reason="SCALE",
        before=frozen({"source": 2, "sink": 2}),
        target=frozen({"source": 2, "sink": 4}),
        requirements=frozen({"source": Bounds(lower=1, upper=2), "sink": Bounds(lower=1, upper=4)}),
        running_since=T0 - HOUR,
    )


def a_status(key: JobKey = KEY, detail: str = "nothing to do") -> JobStatus:
    return JobStatus(
        key=key,
        application_id="application_1_0001",
        job_id=None,
        state="RUNNING",
        reason=Reason.STEADY,
        detail=detail,
        at=T0,
        since=T0 - HOUR,
        vertices=(VertexStatus(id="sink", name="Sink", parallelism=2, wanted=3, limits=(Limit.QUOTA,)),),
    )


def a_command(value: str = "false", target: str = str(KEY), at: Millis = T0, until: Millis | None = None) -> Command:
    option = "job.autoscaler.scaling.enabled"
    return Command(cluster="j-1", target=target, option=option, value=value, by="alice", at=at, until=until)


def a_history(at: Millis = T0) -> History:
    return History(
        scalings=frozen({"sink": (Scaling(at=at, from_parallelism=2, to_parallelism=4, tpr=1.5),)}),
        restarts=(Restart(at=at), Restart(at=at + 1, duration_s=40)),
    )


class RealisticJob:
    """Ten vertices that report what a job at 12,000 records per second does; every number a new one."""

    def __init__(self) -> None:
        self._random = random.Random(7)
        self.ids = tuple(f"{self._random.getrandbits(128):032x}" for _ in range(10))
        self.topology = a_topology(self.ids, parallelism=8)
        self._totals = dict.fromkeys(self.ids, 0.0)

    def _about(self, mean: float) -> float:
        return round(abs(self._random.gauss(mean, mean / 10)), 3)

    def sample(self, at: Millis) -> Sample:
        vertices = {}
        for place, vertex in enumerate(self.ids):
            self._totals[vertex] += self._about(12_000) * 60
            total, source = self._totals[vertex], place < 2
            vertices[vertex] = VertexSample(
                load=self._about(0.5),
                accumulated_busy_ms=round(total / 3, 3),
                records_in=float(round(total)),
                records_out=float(round(total * 0.9)),
                records_in_per_s=None if source else self._about(12_000),
                lag=self._about(5_000) if source else None,
                observed_tpr=self._about(20_000) if source else None,
                back_pressure=self._about(0.05),
            )
        return Sample(at=at, vertices=frozen(vertices), gc_pressure=0.012, heap_usage=self._random.random())

    def decision(self, at: Millis) -> Decision:
        counts = frozen({vertex: self._random.randint(1, 40) for vertex in self.ids})
        return Decision(
            at=at,
            reason=Reason.SCALE,
            rescale=True,
            parallelism=counts,
            advised=counts,
            evaluations=frozen({vertex: self._evaluation() for vertex in self.ids}),
            sizings=frozen({vertex: self._sizing(counts[vertex]) for vertex in self.ids}),
            scalings=frozen({vertex: self._scalings(at) for vertex in self.ids}),
            restarts=tuple(Restart(at=at - n * HOUR, duration_s=40) for n in range(3)),
            window_start=at - 10 * MINUTE,
            full_at=at,
        )

    def _evaluation(self) -> Evaluation:
        return Evaluation(
            tpr=self._about(20_000),
            target_rate=self._about(12_000),
            catch_up_rate=self._about(100),
            load=self._about(0.5),
            scale_up_threshold=self._about(20_000),
            scale_down_threshold=self._about(9_000),
            lag=self._about(5_000),
        )

    def _sizing(self, parallelism: int) -> Sizing:
        return Sizing(
            current=8,
            parallelism=parallelism,
            factor=self._random.random(),
            wanted=parallelism,
            expected_rate=self._about(20_000),
            limits=(Limit.ALIGNMENT,),
        )

    def _scalings(self, at: Millis) -> tuple[Scaling, ...]:
        return tuple(
            Scaling(
                at=at - n * HOUR,
                from_parallelism=4,
                to_parallelism=8,
                tpr=self._about(20_000),
                expected_rate=self._about(20_000),
            )
            for n in range(3)
        )


def a_pass(at: Millis = T0, history: History | None = None) -> PassRecord:
    return PassRecord(
        topology=a_topology(),
        running_since=T0,
        sample=a_sample(at),
        status=a_status(),
        history=history,
        decision=None if history is None else a_decision(at),
        detail="worth it",
    )

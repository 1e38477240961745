"""The deciding alone: how many decisions a second, text to text, and how the time of one grows with the job."""

from __future__ import annotations

import gc
import gzip
import json
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from pydantic_core import to_json

from autoscaler.case import decide_case
from autoscaler.core import decide
from autoscaler.model import (
    Cluster,
    History,
    Input,
    Policy,
    Reason,
    Sample,
    Topology,
    Vertex,
    VertexSample,
    Window,
)
from autoscaler.options import EMR
from autoscaler.options import policy as policy_of
from bench.processes import REPOSITORY, CannotMeasure

CASES = REPOSITORY / "tests" / "data" / "decision-cases"
SAMPLES = 60
MINUTE = 60_000
NOW = 1_795_237_194_495


@dataclass(frozen=True, slots=True, kw_only=True)
class Throughput:
    """Cases a second with deciding, and with parsing and printing alone."""

    cases: int
    decided_per_s: float
    json_per_s: float

    @property
    def share(self) -> float:
        return self.decided_per_s / self.json_per_s


def throughput(lines: Sequence[str], rounds: int) -> Throughput:
    """The best of some rounds of each, taken in turns, so that both meet the same machine."""
    decided, plain = [], []
    for _ in range(rounds):
        plain.append(cpu_s(lambda: [json.dumps(json.loads(line)) for line in lines]))
        decided.append(cpu_s(lambda: [to_json(decide_case(line, extras=False)).decode() for line in lines]))
    count = len(lines)
    return Throughput(cases=count, decided_per_s=count / min(decided), json_per_s=count / min(plain))


def cpu_s(work: Callable[[], object]) -> float:
    gc.collect()
    begun = time.process_time()
    work()
    return time.process_time() - begun


def cases(folder: Path = CASES) -> list[str]:
    """All decision cases in a folder, one text each; the files hold them with the answers expected."""
    lines: list[str] = []
    for path in sorted(folder.glob("*.jsonl*")):
        with gzip.open(path, "rt", encoding="utf-8") if path.suffix == ".gz" else path.open(encoding="utf-8") as file:
            lines += [json.dumps(json.loads(line)["case"]) for line in file if line.strip()]
    if not lines:
        raise CannotMeasure(f"there are no decision cases in {folder}")
    return lines


def growth(sizes: Sequence[int], rounds: int) -> Mapping[int, float]:
    """Milliseconds of one decision by the number of vertices, with a full window; the best of some rounds."""
    policy = policy_of({"job.autoscaler.metrics.window": f"{SAMPLES - 1} min"}, EMR)
    took = {}
    for size in sizes:
        window = full_window(size)
        found = decide(window, History(), policy, Cluster(), NOW)
        if found.reason is not Reason.STEADY:
            raise CannotMeasure(f"a job of {size} vertices was to be STEADY but is {found.reason}: {found.error}")
        if found.window_start != window.samples[0].at:
            raise CannotMeasure(f"a job of {size} vertices was decided on fewer than its {SAMPLES} samples")
        took[size] = 1000 * min(_one(window, policy, 1 + 200 // size) for _ in range(rounds))
    return took


def _one(window: Window, policy: Policy, times: int) -> float:
    return cpu_s(lambda: [decide(window, History(), policy, Cluster(), NOW) for _ in range(times)]) / times


def full_window(size: int) -> Window:
    """A chain of vertices at the utilization they are sized for."""
    ids = [f"{number:032x}" for number in range(size)]
    vertices = tuple(
        Vertex(
            id=vertex,
            name=f"vertex {number}",
            parallelism=8,
            max_parallelism=128,
            inputs=(Input(id=ids[number - 1], ship_strategy="HASH"),) if number else (),
        )
        for number, vertex in enumerate(ids)
    )
    samples = tuple(_sample(ids, NOW - back * MINUTE, SAMPLES - back) for back in range(SAMPLES - 1, -1, -1))
    return Window(topology=Topology(vertices=vertices), running_since=NOW - 600 * MINUTE, samples=samples)


def _sample(ids: Sequence[str], at: int, minutes: int) -> Sample:
    records = 60_000.0 * minutes
    busy = 0.7 * 8 * MINUTE * minutes
    source = VertexSample(load=0.7, accumulated_busy_ms=busy, records_in=records, records_out=records, lag=0.0)
    other = VertexSample(
        load=0.7, accumulated_busy_ms=busy, records_in=records, records_out=records, records_in_per_s=1_000.0
    )
    return Sample(at=at, vertices={vertex: other if number else source for number, vertex in enumerate(ids)})

"""Several runs: policies side by side on the same seeds, spread over the machine's cores."""

from __future__ import annotations

import gc
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass
from multiprocessing import get_context

from autoscaler.sim.drive import Run, simulate
from autoscaler.sim.policies import Policy
from autoscaler.sim.scenario import Scenario
from autoscaler.telemetry import configure_logging

ALL_AT_ONCE = ("v60_min_per_day", "slot_hours_per_day", "rescales_per_day")


@dataclass(frozen=True, slots=True)
class Table:
    """The runs of one scenario, by policy in the order asked for, and by seed."""

    scenario: Scenario
    runs: Mapping[str, Sequence[Run]]

    def worse_in_all(self) -> bool:
        """Whether the first policy has more lag, more slots and more rescales than the second, on average."""
        first, second = list(self.runs.values())[:2]
        return all(_mean(first, name) > _mean(second, name) for name in ALL_AT_ONCE)


def _mean(runs: Sequence[Run], name: str) -> float:
    return float(sum(getattr(run.scores, name) for run in runs)) / len(runs)


def run_all(
    scenarios: Sequence[Scenario],
    policies: Sequence[Policy],
    seeds: Sequence[int],
    workers: int,
    progress: Callable[[float], None],
) -> list[Table]:
    """Run every policy on every scenario and seed; results do not depend on the number of workers."""
    wanted = [(s, p, seed) for s in range(len(scenarios)) for p in range(len(policies)) for seed in seeds]
    total = sum(scenarios[s].hours for s, _, _ in wanted)
    found: dict[tuple[int, int, int], Run] = {}
    done = 0.0
    if workers == 1 or len(wanted) == 1:
        _settle()
        for s, p, seed in wanted:
            found[s, p, seed] = simulate(
                scenarios[s], policies[p], seed, _part(progress, done, scenarios[s].hours, total)
            )
            done += scenarios[s].hours
    else:
        with ProcessPoolExecutor(workers, mp_context=get_context("spawn"), initializer=_begin) as pool:
            futures = {pool.submit(simulate, scenarios[s], policies[p], seed): (s, p, seed) for s, p, seed in wanted}
            for future in as_completed(futures):
                key = futures[future]
                found[key] = future.result()
                done += scenarios[key[0]].hours
                progress(done / total)
    return [
        Table(scenario, {policy.name: [found[s, p, seed] for seed in seeds] for p, policy in enumerate(policies)})
        for s, scenario in enumerate(scenarios)
    ]


def _part(progress: Callable[[float], None], before: float, hours: float, total: float) -> Callable[[float], None]:
    return lambda share: progress((before + share * hours) / total)


def _begin() -> None:
    configure_logging("json", "error")
    _settle()


def _settle() -> None:
    """What is loaded stays: no search for garbage need go through it, which takes a fiftieth of a run."""
    gc.freeze()

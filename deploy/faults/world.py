"""What an episode is made of, drawn from its seed alone: a job, its load, the cluster, the settings, and the faults
that come by themselves. Those that answer or interrupt the daemon are in ``weather``."""

from __future__ import annotations

import random
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from autoscaler.model import Millis
from autoscaler.sim.scenario import Scenario

VERSIONS = ("1.18.1", "1.19.2", "1.20.1", "2.0.0", "2.2.0")
WITHOUT_GROUPS = VERSIONS[:2]  # releases whose REST does not tell of slot sharing groups, so that nobody can plan them
RECORDS_PER_SLOT = 1_000.0
CALM_MINUTES = 40  # at the end of an episode: long enough for every time-out to run out and every request to close
LASTING = (  # faults of the cluster that begin and end; the longest, in minutes
    ("metric-gap", 6.0),
    ("nan-busy", 6.0),
    ("stale-metrics", 8.0),
    ("selectivity", 40.0),
    ("hot-key", 40.0),
    ("checkpoints-fail", 8.0),
    ("node-drains", 30.0),
    ("rm-down", 6.0),
)
SUDDEN = ("job-restart", "task-manager-lost", "node-lost", "am-restart")


@dataclass(frozen=True, slots=True, kw_only=True)
class World:
    """``promises`` are what the observer holds the daemon to, as the settings say it. ``leases`` is whether of two
    daemons the lease lets only one act; where it does not, the record alone has to keep them apart."""

    seed: int
    leases: bool
    scenario: Scenario
    promises: Promises

    @property
    def stormy(self) -> Millis:
        """How long faults come; what remains of the episode is calm."""
        return round((self.scenario.hours * 60 - CALM_MINUTES) * 60_000)


@dataclass(frozen=True, slots=True, kw_only=True)
class Promises:
    """The settings an observer needs to judge a PUT; times in milliseconds."""

    window: Millis
    most: int
    utilization: float
    upper_utilization: float
    average: bool
    budget: int
    gap_up: Millis
    gap_down: Millis
    timeout: Millis
    probation: Millis
    bad_target: Millis
    allowance: int | None
    grace: Millis


def world(seed: int, hours: float) -> World:
    """Draw an episode's world."""
    draw = random.Random(f"world/{seed}")
    promises = Promises(
        window=draw.choice((3, 4, 5)) * 60_000,
        most=draw.choice((12, 24, 40)),
        utilization=0.6,
        upper_utilization=draw.choice((0.8, 0.85, 0.9, 1.0)),
        average=draw.random() < 0.2,
        budget=draw.choice((2, 3, 6, 30)),
        gap_up=draw.choice((2, 4)) * 60_000,
        gap_down=draw.choice((3, 8, 15)) * 60_000,
        timeout=draw.choice((4, 6, 8)) * 60_000,
        probation=draw.choice((4, 6, 8)) * 60_000,
        bad_target=draw.choice((40, 60, 90)) * 60_000,
        allowance=draw.choice((0, 0, None)),
        grace=draw.choice((1, 10, 30)) * 60_000,
    )
    flink = draw.choice(VERSIONS)
    vertices = _vertices(draw, hours, grouped=flink not in WITHOUT_GROUPS)
    document = {
        "name": f"seed {seed}",
        "about": "an episode of the fault campaign",
        "hours": hours,
        "flink": flink,
        "settings": _settings(promises, draw),
        "job": {
            "records_per_slot": RECORDS_PER_SLOT,
            "noise": draw.choice((0.0, 0.05)),
            "downtime_s": draw.choice((5, 20, 45)),
            "state_gb": draw.choice((0, 5)),
            "checkpoint_interval_s": draw.choice((10, 30, 60)),
            "checkpoint_duration_s": draw.choice((1, 3)),
            "high_availability": draw.random() < 0.5,
            "vertices": vertices,
        },
        "cluster": _cluster(draw, promises),
        "faults": _faults(draw, hours, [vertex["name"] for vertex in vertices if "inputs" in vertex]),
    }
    leases = draw.random() < 0.7
    return World(seed=seed, leases=leases, scenario=Scenario.model_validate(document), promises=promises)


def _settings(promises: Promises, draw: random.Random) -> Mapping[str, str]:
    said = {
        "metrics.window": f"{promises.window} ms",
        "stabilization.interval": f"{draw.choice((30, 60))} s",
        "utilization.target": f"{promises.utilization}",
        "utilization.max": f"{promises.upper_utilization}",
        "utilization.min": f"{draw.choice((0.4, 0.5))}",
        "metrics.busy-time.aggregator": "AVG" if promises.average else "MAX",
        "vertex.max-parallelism": f"{promises.most}",
        "scale-down.interval": f"{draw.choice((0, 5))} min",
        "scale-up.grace-period": f"{promises.grace} ms",
        "yarn.rescale-budget": f"{promises.budget}",
        "yarn.rescale-gap.up": f"{promises.gap_up} ms",
        "yarn.rescale-gap.down": f"{promises.gap_down} ms",
        "yarn.rescale-timeout": f"{promises.timeout} ms",
        "yarn.probation": f"{promises.probation} ms",
        "yarn.bad-target.memory": f"{promises.bad_target} ms",
        "yarn.external-change.hold": f"{draw.choice((3, 6, 12))} min",
        "yarn.back-off": f"{draw.choice((3, 10))} min",
        "yarn.checkpoint-wait.max": f"{draw.choice((1, 3, 10))} min",
        "yarn.capacity.allowance": "auto" if promises.allowance is None else f"{promises.allowance}",
        "yarn.task-managers.fill": draw.choice(("true", "false")),
        "yarn.task-managers.whole-scale-down": draw.choice(("true", "false")),
    }
    return {f"job.autoscaler.{key}": value for key, value in said.items()}


def _cluster(draw: random.Random, promises: Promises) -> Mapping[str, Any]:
    nodes, slots, node_gb = draw.choice((3, 4, 6)), draw.choice((1, 2, 4)), draw.choice((24, 40))
    cluster: dict[str, Any] = {
        "nodes": nodes,
        "max_nodes": nodes if promises.allowance is not None else nodes + draw.choice((0, 3)),
        "node_gb": node_gb,
        "task_manager_gb": 4,
        "slots_per_task_manager": slots,
        "new_node_median_s": 200,
        "speed_spread": 0.05,
    }
    if draw.random() < 0.4:
        cluster["queue_gb"] = round(nodes * node_gb * draw.uniform(0.5, 0.9))
    return cluster


def _vertices(draw: random.Random, hours: float, *, grouped: bool) -> list[dict[str, Any]]:
    sources = draw.choice((1, 1, 1, 2))
    vertices: list[dict[str, Any]] = [
        {
            "name": f"Source: s{number}",
            "speed": draw.choice((1.5, 2.5)),
            "partitions": draw.choice((12, 24, 40)),
            "max_parallelism": 128,
            "group": draw.choice(("default", "default", "sources")) if grouped else "default",
            "load": _load(draw, hours),
        }
        for number in range(sources)
    ]
    for number in range(draw.choice((1, 2, 2, 3))):
        above = [vertex["name"] for vertex in vertices]
        chosen = above if number == 0 else draw.sample(above, draw.randint(1, min(2, len(above))))
        vertices.append(
            {
                "name": f"v{number}",
                "inputs": {name: draw.choice((0.5, 1.0, 1.0)) for name in chosen},
                "speed": draw.choice((0.7, 1.0, 1.5)),
                "ship": draw.choice(("HASH", "REBALANCE")),
                "contention": draw.choice((0.0, 0.01)),
                "max_parallelism": 128,
                "group": draw.choice(("default", "default", "default", f"g{number}")) if grouped else "default",
            }
        )
    return vertices


def _load(draw: random.Random, hours: float) -> Mapping[str, Any]:
    rate, minutes = draw.choice((1_500.0, 3_000.0, 5_000.0)), hours * 60
    shapes: tuple[Mapping[str, Any], ...] = (
        {"shape": "steady", "rate": rate},
        {"shape": "cosine", "mean": rate, "amplitude": rate * 0.7, "period": draw.choice((60, 90))},
        {"shape": "sine", "mean": rate, "amplitude": rate * 0.8, "period": draw.choice((80, 150))},
        {"shape": "step", "low": rate / 2, "high": rate * 1.6, "up": minutes * 0.25, "down": minutes * 0.6},
        {"shape": "cosine", "mean": rate, "amplitude": rate * 0.6, "period": draw.choice((60, 120, 240))},
        {"shape": "spikes", "base": rate, "a_day": draw.choice((12, 30))},
        {"shape": "burst", "mean": rate, "variation": 0.5, "peak": 2.5, "surge": 3.0, "tau_s": 900},
        {"shape": "outage", "rate": rate, "at": minutes * 0.3, "minutes": 20, "factor": 2.5, "tau": 15},
        {"shape": "leap", "rate": rate / 3, "at": minutes * 0.4, "within": 5, "factor": 6},
    )
    return {**draw.choice(shapes), "noise": draw.choice((0.0, 0.03))}


def _faults(draw: random.Random, hours: float, inner: list[str]) -> list[dict[str, Any]]:
    """Some four an hour, of which those that take a node are few: a job without any is no test."""
    minutes, found, lost = hours * 60 - CALM_MINUTES, [], 0
    for _ in range(max(1, round(hours * 4))):
        at = draw.uniform(5, max(6.0, minutes))
        if draw.random() < 0.6:
            kind, longest = draw.choice(LASTING)
            fault: dict[str, Any] = {"kind": kind, "at": at, "minutes": min(draw.uniform(1, longest), minutes - at + 2)}
        else:
            kind = draw.choice(SUDDEN)
            fault = {"kind": kind, "at": at}
        lost += kind in ("node-lost", "node-drains")
        if kind in ("node-lost", "node-drains") and lost > 1:
            continue
        if kind in ("selectivity", "hot-key"):
            fault |= {"vertex": draw.choice(inner), "value": 2.0 if kind == "selectivity" else draw.choice((0.02, 0.1))}
        found.append(fault)
    return found

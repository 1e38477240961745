"""A simulated YARN and Flink: the daemon's own code runs against it unchanged, in virtual time or over HTTP.

``load``, ``flow`` and ``subtasks`` are the physics, ``job`` and ``yarn`` what Flink and YARN make of it, ``meters``
what can be measured of it, ``edge`` what is told over REST. ``drive`` runs the daemon's loop on it, ``record`` and
``scores`` judge what came of it. docs/SIMULATOR.md says where each number comes from.
"""

from autoscaler.sim.drive import Run, simulate
from autoscaler.sim.policies import Policy, PolicyError, policy_named
from autoscaler.sim.scenario import SHORTEST_HOURS, Scenario, ScenarioError, load_scenario, shipped
from autoscaler.sim.scores import Scores

__all__ = [
    "SHORTEST_HOURS",
    "Policy",
    "PolicyError",
    "Run",
    "Scenario",
    "ScenarioError",
    "Scores",
    "load_scenario",
    "policy_named",
    "shipped",
    "simulate",
]

"""The daemon's work: discovery of applications, and one pass after the other for each job.

``fleet`` finds applications, ``application`` takes up their jobs, ``job`` is one pass from REST to PUT, ``watch`` is
what follows a PUT. All of it runs as short steps that a scheduler starts; none of it sleeps.
"""

from autoscaler.loop.action import PUT_TIMEOUT_S
from autoscaler.loop.application import Orders
from autoscaler.loop.contract import Contract, contract
from autoscaler.loop.fleet import Fleet
from autoscaler.loop.ports import Clock, Environment, Flink, Lane, Memory, Scheduler, Yarn
from autoscaler.loop.wire import Wire

__all__ = [
    "PUT_TIMEOUT_S",
    "Clock",
    "Contract",
    "Environment",
    "Fleet",
    "Flink",
    "Lane",
    "Memory",
    "Orders",
    "Scheduler",
    "Wire",
    "Yarn",
    "contract",
]

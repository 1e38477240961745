"""The daemon's work: discovery of applications, and one pass after the other for each job.

``fleet`` finds applications, ``application`` takes up their jobs, ``job`` is one pass after the other, ``pilot`` its
middle from samples to PUT, ``attempt`` what may speak against a PUT, ``sender`` the PUT itself, ``watch`` what follows
it, ``upkeep`` what has to be done about requirements beside scaling, ``notice`` what is told of it all. ``survey`` is
what YARN tells of room, ``asks`` what all jobs asked of it and whose turn it is, ``allotment`` what one job is granted,
``release`` whether a scale-down gave anything back. All of it runs as short steps that a scheduler starts; none of it
sleeps.
"""

from autoscaler.loop.action import PUT_TIMEOUT_S
from autoscaler.loop.application import Orders
from autoscaler.loop.contract import VALIDATORS, Contract, contract
from autoscaler.loop.fleet import Fleet
from autoscaler.loop.leadership import Leadership, lease_time
from autoscaler.loop.ports import Clock, Environment, Flink, Lane, Memory, Scheduler, Yarn
from autoscaler.loop.wire import Wire

__all__ = [
    "PUT_TIMEOUT_S",
    "VALIDATORS",
    "Clock",
    "Contract",
    "Environment",
    "Fleet",
    "Flink",
    "Lane",
    "Leadership",
    "Memory",
    "Orders",
    "Scheduler",
    "Wire",
    "Yarn",
    "contract",
    "lease_time",
]

"""The cluster as the daemon sees it: YARN's ResourceManager, and Flink behind the YARN proxy. The only network code.

``http`` gets and puts JSON with hard limits, ``yarn`` finds applications and room for them, ``flink`` reads and
rescales jobs, ``resources``, ``flink_json`` and ``readings`` turn what was read into plain values, ``errors`` are the
ways all of it fails.
"""

from autoscaler.cluster.depot import Depot, DepotError, depot_at
from autoscaler.cluster.errors import ClusterError, Gone, Rejected, Transient, Unauthorized
from autoscaler.cluster.flink import FlinkRest
from autoscaler.cluster.flink_json import (
    Aggregate,
    Checkpoints,
    CheckpointSettings,
    ClusterConfig,
    JobDetails,
    JobOverview,
    Memory,
    TaskManager,
    TaskManagers,
    VertexCounters,
)
from autoscaler.cluster.http import Gate, HttpClient, Objection, PutAnswer, PutResult, Traffic
from autoscaler.cluster.own import Own, is_local, own_managers
from autoscaler.cluster.readings import (
    BUSY,
    VertexReading,
    partitions,
    vertex_reading,
    wanted_aggregates,
    wanted_names,
    with_partitions,
)
from autoscaler.cluster.resources import CAPACITY_SCHEDULER, Node, Queue, UserShare, YarnScheduler
from autoscaler.cluster.spnego import Spnego, keytab_tokens
from autoscaler.cluster.yarn import Application, ApplicationFilter, ResourceManagers

__all__ = [
    "BUSY",
    "CAPACITY_SCHEDULER",
    "Aggregate",
    "Application",
    "ApplicationFilter",
    "CheckpointSettings",
    "Checkpoints",
    "ClusterConfig",
    "ClusterError",
    "Depot",
    "DepotError",
    "FlinkRest",
    "Gate",
    "Gone",
    "HttpClient",
    "JobDetails",
    "JobOverview",
    "Memory",
    "Node",
    "Objection",
    "Own",
    "PutAnswer",
    "PutResult",
    "Queue",
    "Rejected",
    "ResourceManagers",
    "Spnego",
    "TaskManager",
    "TaskManagers",
    "Traffic",
    "Transient",
    "Unauthorized",
    "UserShare",
    "VertexCounters",
    "VertexReading",
    "YarnScheduler",
    "depot_at",
    "is_local",
    "keytab_tokens",
    "own_managers",
    "partitions",
    "vertex_reading",
    "wanted_aggregates",
    "wanted_names",
    "with_partitions",
]

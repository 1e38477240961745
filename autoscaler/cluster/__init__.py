"""The cluster as the daemon sees it: YARN's ResourceManager, and Flink behind the YARN proxy. The only network code.

``http`` gets and puts JSON with hard limits, ``yarn`` finds applications, ``flink`` reads and rescales jobs,
``flink_json`` and ``readings`` turn what was read into plain values, ``errors`` are the ways all of it fails.
"""

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
    TaskManagers,
    VertexCounters,
)
from autoscaler.cluster.http import Gate, HttpClient, PutAnswer, PutResult, Traffic
from autoscaler.cluster.readings import (
    BUSY,
    VertexReading,
    partitions,
    vertex_reading,
    wanted_aggregates,
    wanted_names,
    with_partitions,
)
from autoscaler.cluster.yarn import Application, ApplicationFilter, ResourceManagers

__all__ = [
    "BUSY",
    "Aggregate",
    "Application",
    "ApplicationFilter",
    "CheckpointSettings",
    "Checkpoints",
    "ClusterConfig",
    "ClusterError",
    "FlinkRest",
    "Gate",
    "Gone",
    "HttpClient",
    "JobDetails",
    "JobOverview",
    "Memory",
    "PutAnswer",
    "PutResult",
    "Rejected",
    "ResourceManagers",
    "TaskManagers",
    "Traffic",
    "Transient",
    "Unauthorized",
    "VertexCounters",
    "VertexReading",
    "partitions",
    "vertex_reading",
    "wanted_aggregates",
    "wanted_names",
    "with_partitions",
]

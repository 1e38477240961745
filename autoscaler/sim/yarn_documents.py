"""The ResourceManager's REST answers, in the form of Hadoop 3.4 with the capacity scheduler."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from autoscaler.model import Millis
from autoscaler.sim.cluster import SimCluster
from autoscaler.sim.job import Phase
from autoscaler.sim.yarn import MB, Node, SimYarn

MIB_PER_CORE = 4096  # what a node has of cores; the queue counts memory alone
UNIT_MB = 32  # EMR's minimum allocation
USER, QUEUE = "hadoop", "root.default"
APPLICATION_TYPE = "Apache Flink"


def application_id(cluster: SimCluster) -> str:
    return f"application_{cluster.yarn.started_at}_{cluster.pool.holder.number:04d}"


def info(cluster: SimCluster) -> dict[str, Any]:
    """``/ws/v1/cluster/info``"""
    return {
        "clusterInfo": {
            "id": cluster.yarn.started_at,
            "startedOn": cluster.yarn.started_at,
            "state": "STARTED",
            "haState": "ACTIVE",
            "resourceManagerVersion": "3.4.1",
            "hadoopVersion": "3.4.1",
        }
    }


def applications(cluster: SimCluster, proxy: str, states: Sequence[str], kinds: Sequence[str]) -> dict[str, Any]:
    """``/ws/v1/cluster/apps``; ``proxy`` is the address of the web proxy."""
    one = application(cluster, proxy)["app"]
    fits = (not states or one["state"] in states) and (not kinds or APPLICATION_TYPE in kinds)
    return {"apps": {"app": [one]} if fits else None}


def application(cluster: SimCluster, proxy: str) -> dict[str, Any]:
    """``/ws/v1/cluster/apps/:id``"""
    job, yarn, holder = cluster.job, cluster.yarn, cluster.pool.holder
    ended, master = cluster.ended, holder.master
    over = "FINISHED" if job.phase is Phase.FINISHED else "FAILED"
    state = over if ended else "RUNNING" if master is not None else "ACCEPTED"
    count, own = len(holder.task_managers), application_id(cluster)
    container = f"container_{own.removeprefix('application_')}_{holder.attempt:02d}_000001"
    memory = count * yarn.task_manager_mb + (yarn.master_mb if master is not None else 0)
    found: dict[str, Any] = {
        "id": own,
        "user": USER,
        "name": f"{job.spec.name}-app",
        "queue": QUEUE,
        "state": state,
        "finalStatus": ("SUCCEEDED" if over == "FINISHED" else over) if ended else "UNDEFINED",
        "progress": 100.0,
        "trackingUI": "History" if ended else "ApplicationMaster" if master is not None else "UNASSIGNED",
        "diagnostics": "",
        "clusterId": yarn.started_at,
        "applicationType": APPLICATION_TYPE,
        "applicationTags": "",
        "priority": 0,
        "startedTime": cluster.began,
        "launchTime": cluster.began,
        "finishedTime": 0,
        "elapsedTime": cluster.now - cluster.began,
        "allocatedMB": memory,
        "allocatedVCores": count + 1,
        "runningContainers": count + (master is not None),
        "memorySeconds": 0,
        "vcoreSeconds": 0,
    }
    if master is not None:
        host = master.id.partition(":")[0]
        found |= {
            "trackingUrl": f"{proxy}/proxy/{own}/",
            "amContainerLogs": f"http://{host}:8042/node/containerlogs/{container}/{USER}",
            "amHostHttpAddress": f"{host}:8042",
            "amRPCAddress": f"{host}:{35_000 + holder.attempt}",
        }
    return {"app": found}


def metrics(cluster: SimCluster) -> dict[str, Any]:
    """``/ws/v1/cluster/metrics``"""
    yarn = cluster.yarn
    nodes = [node for node in yarn.nodes if node.state in ("RUNNING", "DECOMMISSIONING")]
    containers = sum(len(holder.task_managers) + 1 for holder in yarn.holders)
    pending = sum(holder.pending for holder in yarn.holders)
    return {
        "clusterMetrics": {
            "appsRunning": len(yarn.holders),
            "appsPending": 0,
            "availableMB": max(0, yarn.total_mb - yarn.used_mb),
            "allocatedMB": yarn.used_mb,
            "pendingMB": pending * yarn.task_manager_mb,
            "reservedMB": 0,
            "totalMB": yarn.total_mb,
            "containersAllocated": containers,
            "containersPending": pending,
            "totalNodes": len(nodes),
            "activeNodes": sum(node.state == "RUNNING" for node in nodes),
            "decommissioningNodes": sum(node.state == "DECOMMISSIONING" for node in nodes),
            "decommissionedNodes": sum(node.state == "DECOMMISSIONED" for node in yarn.nodes),
            "lostNodes": sum(node.state == "LOST" for node in yarn.nodes),
            "unhealthyNodes": 0,
        }
    }


def nodes(cluster: SimCluster, states: Sequence[str]) -> dict[str, Any]:
    """``/ws/v1/cluster/nodes``; without states those that have not ended."""
    wanted = states or ("RUNNING", "DECOMMISSIONING")
    found = [_node(cluster.yarn, node, cluster.now) for node in cluster.yarn.nodes if node.state in wanted]
    return {"nodes": {"node": found} if found else None}


def _node(yarn: SimYarn, node: Node, now: Millis) -> dict[str, Any]:
    total = node.used_mb if node.state == "DECOMMISSIONING" else node.memory_mb
    host = node.id.partition(":")[0]
    containers = sum(each.node is node for holder in yarn.holders for each in holder.task_managers)
    containers += sum(holder.master is node for holder in yarn.holders)
    return {
        "rack": "/default-rack",
        "state": node.state,
        "id": node.id,
        "nodeHostName": host,
        "nodeHTTPAddress": f"{host}:8042",
        "lastHealthUpdate": now,
        "version": "3.4.1",
        "healthReport": "",
        "numContainers": containers,
        "usedMemoryMB": node.used_mb,
        "availMemoryMB": max(0, total - node.used_mb),
        "usedVirtualCores": containers,
        "availableVirtualCores": max(0, total // MIB_PER_CORE - containers),
        "usedResource": _resource(node.used_mb, containers),
        "availableResource": _resource(max(0, total - node.used_mb), max(0, total // MIB_PER_CORE - containers)),
        "totalResource": _resource(total, total // MIB_PER_CORE),
    }


def scheduler(cluster: SimCluster) -> dict[str, Any]:
    """``/ws/v1/cluster/scheduler``"""
    yarn = cluster.yarn
    total, most = yarn.total_mb, min(yarn.queue_mb, yarn.total_mb)
    used = 100.0 * yarn.used_mb / total if total else 0.0
    share = 100.0 * most / total if total else 0.0
    largest = round(yarn.spec.node_gb * MB)
    containers = sum(len(holder.task_managers) + 1 for holder in yarn.holders)
    leaf = {
        "type": "capacitySchedulerLeafQueueInfo",
        "queuePath": QUEUE,
        "queueName": "default",
        "state": "RUNNING",
        "capacity": 100.0,
        "maxCapacity": share,
        "absoluteCapacity": 100.0,
        "absoluteMaxCapacity": share,
        "absoluteUsedCapacity": used,
        "usedCapacity": used,
        "numApplications": len(yarn.holders),
        "pendingContainers": sum(holder.pending for holder in yarn.holders),
        "resourcesUsed": _resource(yarn.used_mb, containers),
        "maxEffectiveCapacity": _resource(most, most // MIB_PER_CORE),
        "maximumAllocation": _resource(largest, 128),
        "AMResourceLimit": _resource(most // 2, 1),
        "capacities": {"queueCapacitiesByPartition": [_partition(yarn, largest)]},
        "users": {
            "user": [
                {
                    "username": USER,
                    "resourcesUsed": _resource(yarn.used_mb, containers),
                    "userResourceLimit": _resource(most, 1),
                }
            ]
        },
    }
    root = {
        "type": "capacityScheduler",
        "queueName": "root",
        "queuePath": "root",
        "capacity": 100.0,
        "maxCapacity": 100.0,
        "usedCapacity": used,
        "queues": {"queue": [leaf]},
    }
    return {"scheduler": {"schedulerInfo": root}}


def _partition(yarn: SimYarn, largest: int) -> dict[str, Any]:
    """The configured limits as amounts: nothing where they are shares of the cluster."""
    limits = {"name": "memory-mb", "units": "Mi", "minimumAllocation": UNIT_MB, "maximumAllocation": largest}
    amount = {"memory": 0, "vCores": 0, "resourceInformations": {"resourceInformation": [limits | {"value": 0}]}}
    fixed = 0 if yarn.spec.queue_gb is None else yarn.queue_mb
    most = amount | {"memory": fixed, "vCores": fixed // MIB_PER_CORE}
    return {"partitionName": "", "configuredMinResource": amount, "configuredMaxResource": most}


def _resource(memory_mb: int, vcores: int) -> dict[str, Any]:
    named = (("memory-mb", memory_mb), ("vcores", vcores))
    listed = [{"name": name, "value": value, "resourceType": "COUNTABLE"} for name, value in named]
    return {"memory": memory_mb, "vCores": vcores, "resourceInformations": {"resourceInformation": listed}}

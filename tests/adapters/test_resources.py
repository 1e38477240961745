"""Nodes, queues and TaskManagers are understood in every form they were recorded or documented in."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from autoscaler.cluster import FlinkRest, HttpClient, Node, Queue, ResourceManagers, Transient, UserShare
from autoscaler.cluster.flink_json import parse_task_manager_list
from autoscaler.cluster.resources import parse_nodes, parse_scheduler
from autoscaler.model import Resource
from tests.adapters.recorded import RELEASES, flink, yarn
from tests.adapters.stub import Stub, json_of
from tests.core.strategies import few

INFO = json_of({"clusterInfo": {"id": 1, "state": "STARTED", "haState": "ACTIVE"}})
NODES = "/ws/v1/cluster/nodes"
SCHEDULER = "/ws/v1/cluster/scheduler"


def mb(memory: int, vcores: int = 0) -> Resource:
    return Resource(memory_mb=memory, vcores=vcores)


# ------------------------------------------------------------------ nodes


def test_a_running_node() -> None:
    """A node tells what is free and what it has in all."""
    assert parse_nodes(yarn("rm_nodes")) == (
        Node(host="127.0.0.2", state="RUNNING", free=mb(6720, 14), total=mb(8192, 16)),
    )


@pytest.mark.parametrize(
    ("name", "seen"),
    [
        ("rm_nodes_two_running", [("127.0.0.2", True, False, 1088), ("127.0.0.3", True, False, 1024)]),
        ("rm_nodes_decommissioning", [("127.0.0.2", True, False, 1088), ("127.0.0.3", False, True, 0)]),
        ("rm_nodes_decommissioning_pending", [("127.0.0.2", True, False, 320), ("127.0.0.3", False, True, 0)]),
        ("rm_nodes_decommissioned", [("127.0.0.3", False, False, 0)]),
    ],
)
def test_nodes_while_one_is_taken_away(name: str, seen: list[tuple[str, bool, bool, int]]) -> None:
    """A node that drains takes no more containers, and one that is gone neither drains nor takes any."""
    assert [(n.host, n.takes_containers, n.drains, n.free.memory_mb) for n in parse_nodes(yarn(name))] == seen


def test_an_older_node_without_total() -> None:
    """Older releases tell only what is used and what is free; the host may have to be taken from the id."""
    node = {
        "id": "ip-10-0-0-1.ec2.internal:8041",
        "state": "UNHEALTHY",
        "usedMemoryMB": 1000,
        "availMemoryMB": 500,
        "usedVirtualCores": 1,
        "availableVirtualCores": 3,
        "nodeLabels": ["CORE"],
        "healthReport": "1/1 local-dirs are bad ",
    }
    (found,) = parse_nodes({"nodes": {"node": node}})
    assert found == Node(
        host="ip-10-0-0-1.ec2.internal",
        state="UNHEALTHY",
        free=mb(500, 3),
        total=mb(1500, 4),
        labels=("CORE",),
        health="1/1 local-dirs are bad",
    )
    assert not found.takes_containers


@pytest.mark.parametrize("document", [{"nodes": None}, {"nodes": {}}, {"nodes": {"node": None}}, {}])
def test_no_nodes(document: Any) -> None:
    """No nodes are an empty list in whatever way that is written."""
    assert parse_nodes(document) == ()


# ------------------------------------------------------------------ queues


def test_a_recorded_queue() -> None:
    """The queue tells its maximum, what is used, each user's limit, the unit of memory and the largest container."""
    scheduler = parse_scheduler(yarn("rm_scheduler"))
    root, default = scheduler.queues
    assert (scheduler.kind, root.path, root.maximum) == ("capacityScheduler", "root", None)
    assert default == Queue(
        path="root.default",
        used=mb(1472, 2),
        maximum=mb(8192, 16),
        max_share=1.0,
        users={"root": UserShare(limit=mb(8192, 1), used=mb(1472, 2))},
        unit=32,
        largest=mb(8192, 128),
        counts_vcores=False,
    )


def test_a_queue_while_a_node_drains() -> None:
    """The maximum shrinks with the node that drains."""
    queue = parse_scheduler(yarn("rm_scheduler_decommissioning")).way_to("default")[-1]
    assert (queue.maximum, queue.largest, queue.used) == (mb(4096, 18), mb(2560, 128), mb(3008, 4))


def test_a_maximum_that_is_an_amount() -> None:
    """A maximum set in memory is told as configured; what is configured for labelled nodes is no limit of others."""
    document = yarn("rm_scheduler")
    (record,) = document["scheduler"]["schedulerInfo"]["queues"]["queue"]
    (partition,) = record["capacities"]["queueCapacitiesByPartition"]
    partition["configuredMaxResource"] |= {"memory": 6144, "vCores": 12}
    assert parse_scheduler(document).way_to("default")[-1].fixed == mb(6144, 12)
    partition["partitionName"] = "GPU"
    assert parse_scheduler(document).way_to("default")[-1].fixed is None


def nested() -> Any:
    """Queues of an older release: without paths, absolute amounts and units; two leaves have the same name."""
    leaf = {"absoluteMaxCapacity": 25.0, "resourcesUsed": {"memory": 10, "vCores": 1}}
    return {
        "scheduler": {
            "schedulerInfo": {
                "type": "capacityScheduler",
                "queueName": "root",
                "queues": {
                    "queue": [
                        {
                            "queueName": "a",
                            "absoluteMaxCapacity": 50.0,
                            "queues": {"queue": [leaf | {"queueName": "x"}, leaf | {"queueName": "y"}]},
                        },
                        {"queueName": "b", "queues": {"queue": leaf | {"queueName": "x"}}},
                    ]
                },
            }
        }
    }


def test_the_way_to_a_queue() -> None:
    """A queue is found by its path, or by its last part if that is not ambiguous, with its parents before it."""
    scheduler = parse_scheduler(nested())
    assert [q.path for q in scheduler.way_to("root.a.x")] == ["root", "root.a", "root.a.x"]
    assert [q.path for q in scheduler.way_to("y")] == ["root", "root.a", "root.a.y"]
    assert scheduler.way_to("x") == scheduler.way_to("z") == ()


def test_an_older_queue_tells_shares_only() -> None:
    """Without absolute amounts the share of the cluster is kept, and what does not show is not made up."""
    queue = parse_scheduler(nested()).way_to("y")[-1]
    assert queue == Queue(path="root.a.y", used=mb(10, 1), max_share=0.25)


@pytest.mark.parametrize(
    ("vcores", "counts"), [(1, False), (2, True), (16, True)], ids=["memory alone", "dominant", "dominant, large"]
)
def test_the_resource_calculator_shows(vcores: int, counts: bool) -> None:
    """The default calculator computes every limit as 1 vcore, the dominant one in real ones."""
    document = yarn("rm_scheduler")
    leaf = document["scheduler"]["schedulerInfo"]["queues"]["queue"][0]
    leaf["users"]["user"][0]["userResourceLimit"]["vCores"] = vcores
    assert parse_scheduler(document).way_to("default")[-1].counts_vcores is counts
    leaf["users"], leaf["AMResourceLimit"]["vCores"] = None, vcores
    assert parse_scheduler(document).way_to("default")[-1].counts_vcores is counts


@pytest.mark.parametrize("kind", ["fairScheduler", "fifoScheduler"])
def test_other_schedulers_are_recognised(kind: str) -> None:
    """Of another scheduler the kind is known, and no limit is."""
    info = {"type": kind, "rootQueue": {"queueName": "root", "childQueues": {"queue": [{"queueName": "root.a"}]}}}
    scheduler = parse_scheduler({"scheduler": {"schedulerInfo": info}})
    assert (scheduler.kind, scheduler.queues, scheduler.way_to("root.a")) == (kind, (), ())


ODD_VALUES: tuple[Any, ...] = (None, True, -1, 7, 1.5, "", "x", [], [None], {}, {"memory": "1"}, {"queue": "x"})
QUEUE_FIELDS = (
    "queueName", "queuePath", "queues", "absoluteMaxCapacity", "resourcesUsed", "maxEffectiveCapacity",
    "maximumAllocation", "capacities", "AMResourceLimit",
)  # fmt: skip


@few
@given(st.dictionaries(st.sampled_from(QUEUE_FIELDS), st.sampled_from(ODD_VALUES)))
def test_any_record_of_a_queue_is_read(record: dict[str, Any]) -> None:
    """A field in a form never seen counts as absent and harms nothing else."""
    info = {"type": "capacityScheduler", "queueName": "root", "queues": {"queue": [record]}}
    assert parse_scheduler({"scheduler": {"schedulerInfo": info}}).queues[0].path == "root"


def test_a_queue_in_odd_forms() -> None:
    """Numbers written as text, or of another kind, count as absent."""
    odd = {"queueName": "x", "absoluteMaxCapacity": "50", "resourcesUsed": {"memory": "1"}, "users": {"user": 3}}
    info = {"type": "capacityScheduler", "queueName": "root", "queues": {"queue": odd}}
    assert parse_scheduler({"scheduler": {"schedulerInfo": info}}).queues[1] == Queue(path="root.x")


# ------------------------------------------------------------------ asking


def test_nodes_and_queues_are_asked_of_the_active_one(http: HttpClient, stub: Stub) -> None:
    """One call each; states narrow the list of nodes down."""
    stub.answer("/ws/v1/cluster/info", INFO)
    stub.answer(NODES, json_of(yarn("rm_nodes_decommissioning")))
    stub.answer(SCHEDULER, json_of(yarn("rm_scheduler")))
    managers = ResourceManagers(http, [stub.url])
    assert len(managers.nodes("RUNNING", "DECOMMISSIONING")) == 2
    assert len(managers.scheduler().queues) == 2
    assert stub.calls[1].path == f"{NODES}?states=RUNNING,DECOMMISSIONING"
    assert stub.count(SCHEDULER) == 1


@pytest.mark.parametrize("document", [{}, {"scheduler": None}, {"scheduler": {"schedulerInfo": []}}])
def test_another_shape_is_not_taken_for_a_scheduler(http: HttpClient, stub: Stub, document: Any) -> None:
    """What is no description of a scheduler is said, with what came instead."""
    stub.answer("/ws/v1/cluster/info", INFO)
    stub.answer(SCHEDULER, json_of(document))
    with pytest.raises(Transient, match="expected schedulerInfo"):
        ResourceManagers(http, [stub.url]).scheduler()


# ------------------------------------------------------------------ TaskManagers


def test_task_managers_on_yarn() -> None:
    """A TaskManager tells container, host, slots and the memory of its process."""
    (found,) = parse_task_manager_list(yarn("flink_taskmanagers"))
    assert found.id == "container_1795237194495_0002_01_000003"
    assert (found.host, found.slots, found.free_slots) == ("127.0.0.2", 2, 0)
    assert found.process_memory == 768 << 20


@pytest.mark.parametrize("release", RELEASES)
def test_task_managers_of_every_release(release: str) -> None:
    """Every release tells the same of its TaskManagers."""
    found = parse_task_manager_list(flink(release, "tms"))
    assert [(each.host, each.slots) for each in found] == [("127.0.0.1", 2), ("127.0.0.1", 2)]
    assert sum(each.free_slots for each in found) == 2
    assert {each.process_memory for each in found} == {960 << 20}


def test_task_managers_without_memory_and_address(http: HttpClient, stub: Stub) -> None:
    """What a TaskManager does not tell is absent."""
    stub.answer("/proxy/app/taskmanagers", json_of({"taskmanagers": [{"id": "x", "memoryConfiguration": None}]}))
    (found,) = FlinkRest(http, "app", f"{stub.url}/proxy/app/").task_manager_list()
    assert (found.host, found.slots, found.process_memory) == ("", 0, None)

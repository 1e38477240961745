"""What a job gets when the cluster is full, grows, loses a node, or takes one away."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator

import pytest
import requests
from lab import Lab
from lab import layout as places

from autoscaler.model import Reason, Request, RequestState
from tests.e2e.conftest import QUICK, Orders, Watched, until

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(260)]

# The first subtask more needs a TaskManager more.
ONE_SLOT = {**QUICK, "taskmanager.numberOfTaskSlots": 1}
LATER = 1  # the node that is away at first

Filler = Callable[[int], str]


@pytest.fixture
def one_node(lab: Lab) -> Iterator[None]:
    """Take one of the two nodes away; it is there again after the test."""
    lab.drain_node(LATER)
    until(lambda: states_of_nodes().get(places.NODE_HOSTS[LATER]) == "DECOMMISSIONED", 60, "a node to leave")
    yield
    join(lab)


@pytest.fixture
def filler(lab: Lab, applications: list[str]) -> Filler:
    """Run an application that takes memory and needs nothing: one TaskManager of a size in MB."""

    def fill(megabytes: int) -> str:
        lab.set_rate("payments", 1)
        conf = {"job.autoscaler.enabled": False, "taskmanager.memory.process.size": f"{megabytes}m"}
        application = lab.start_session(name="filler", conf=conf)
        applications.append(application)
        lab.submit_to_session(application, "payments", conf=conf)
        lab.wait_until_running(application)
        return application

    return fill


def join(lab: Lab) -> None:
    """Bring the node that is away into the cluster."""
    lab.undrain_node(LATER)
    lab.kill_node_manager(LATER)
    lab.start_node_manager(LATER)


def states_of_nodes() -> dict[str, str]:
    nodes = requests.get(f"{places.RESOURCE_MANAGER_URL}/ws/v1/cluster/nodes", timeout=10).json()["nodes"]["node"]
    return {node["nodeHostName"]: node["state"] for node in nodes}


def pending_containers() -> int:
    metrics = requests.get(f"{places.RESOURCE_MANAGER_URL}/ws/v1/cluster/metrics", timeout=10).json()
    return int(metrics["clusterMetrics"]["containersPending"])


def achieved(watched: Watched, application: str) -> list[Request]:
    return [r for r in watched.requests(application) if r.state is RequestState.ACHIEVED]


def test_in_a_full_queue_a_job_gets_what_there_is_and_the_rest_when_room_appears(
    lab: Lab, one_node: None, filler: Filler, orders: Orders
) -> None:
    """With a fixed cluster a target is cut to the TaskManagers there is room for, and grown when others leave."""
    other = filler(2_880)
    conf = {**QUICK, "job.autoscaler.yarn.capacity.allowance": "0"}
    _, watched = orders("clamped", 1_600, conf)
    first = until(lambda: achieved(watched, "clamped"), 120, "what there is room for to be given")[0]
    assert max(first.target.values()) <= 4
    short = watched.waits_for(
        "clamped/orders",
        lambda s: any(v.wanted > v.parallelism for v in s.vertices) and "room for 0 TaskManagers" in s.detail,
        90,
        "the job to be told what it lacks",
    )
    assert pending_containers() == 0
    lab.kill_application(other)
    until(
        lambda: [r for r in achieved(watched, "clamped") if max(r.target.values()) > max(first.target.values())],
        120,
        f"more when there is room; before: {short.detail}",
    )


def test_a_cluster_that_grows_only_for_pending_containers_is_asked(
    lab: Lab, one_node: None, filler: Filler, orders: Orders
) -> None:
    """With no room left the job still asks, as managed scaling adds a node only for containers that are pending."""
    filler(3_840)
    application, watched = orders("asks", 900, ONE_SLOT)
    joined = threading.Event()

    def manage() -> None:
        """Add a node as soon as a container is pending, as the cluster's own scaling does."""
        until(lambda: pending_containers() > 0, 150, "a container to be pending")
        join(lab)
        joined.set()

    scaling = threading.Thread(target=manage, name="managed scaling")
    scaling.start()
    try:
        first = until(lambda: achieved(watched, "asks"), 200, "the request to be granted")[0]
    finally:
        scaling.join()
    assert joined.is_set()
    assert "beyond" in first.reason
    assert LATER in {container.node for container in lab.containers(application)}


def test_a_request_outlives_the_node_its_containers_were_to_start_on(
    lab: Lab, one_node: None, filler: Filler, orders: Orders
) -> None:
    """A node that dies while containers are pending costs the request time, and nothing is asked twice."""
    filler(3_840)
    _, watched = orders("waits", 500, ONE_SLOT)
    sent = until(
        lambda: [r for r in watched.requests("waits") if r.state is RequestState.SENT and pending_containers() > 0],
        120,
        "a container to be pending",
    )[0]
    join(lab)
    lab.kill_node_manager(LATER)
    lab.start_node_manager(LATER)
    reached = until(lambda: achieved(watched, "waits"), 120, "the request to be reached")[0]
    assert reached.target == sent.target
    assert [r.target for r in watched.requests("waits")].count(sent.target) == 1


def test_a_job_is_not_grown_onto_a_node_that_drains(lab: Lab, orders: Orders) -> None:
    """A draining node under a job is reported with the time left, and what the job grows by starts elsewhere."""
    application, watched = orders("drains", 100)
    watched.waits_for("drains/orders", lambda s: s.reason is Reason.STEADY, 90, "a steady job")
    before = {container.id: container.node for container in lab.containers(application)}
    node = next(iter(before.values()))
    lab.drain_node(node)
    try:
        watched.waits_for(
            "drains/orders",
            lambda s: f"{places.NODE_HOSTS[node]}, which drains: at most" in s.detail,
            60,
            "the draining node to be told of",
        )
        lab.set_rate("orders", 900)
        until(lambda: [r for r in achieved(watched, "drains") if max(r.target.values()) > 2], 120, "a scale-up")
        added = [c.node for c in lab.containers(application) if c.id not in before]
    finally:
        lab.undrain_node(node)
    assert added
    assert node not in added

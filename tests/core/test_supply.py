"""What each limit of a cluster leaves for more TaskManagers, on paper."""

from __future__ import annotations

from typing import Any

import pytest

from autoscaler.core.supply import Ceiling, Headroom, Supply, room
from autoscaler.model import Resource


def mb(memory: int, vcores: int = 0) -> Resource:
    return Resource(memory_mb=memory, vcores=vcores)


def a_supply(**changes: Any) -> Supply:
    """Two TaskManagers of 2 slots; one more takes 768 MB and fits once on each of two nodes."""
    defaults: dict[str, Any] = {
        "slots": 4,
        "task_managers": 2,
        "slots_per_task_manager": 2,
        "container": mb(768, 2),
        "free": (mb(1088, 14), mb(1024, 14)),
        "largest_node": mb(2560, 16),
    }
    return Supply(**defaults | changes)


QUEUE = Headroom(name="queue root.x", left=mb(800, 100))
CLUSTER = Headroom(name="queue root.default", left=mb(800, 100), whole=True)


@pytest.mark.parametrize(
    ("changes", "beyond", "count", "said"),
    [
        pytest.param({}, 0, 2, "room for 2 TaskManagers of 768 MB (free: 1088 MB, 1024 MB)", id="a container a node"),
        pytest.param({"free": (mb(700), mb(700))}, 0, 0, "room for 0", id="two halves are no container"),
        pytest.param({"free": ()}, 0, 0, "no node takes containers", id="no node at all"),
        pytest.param({"free": (mb(768),) * 7}, 0, 7, "and 2 more nodes", id="many nodes are not all named"),
        pytest.param({"in_flight": (mb(1000),)}, 0, 0, "2 promised to others", id="a larger one is in the way of two"),
        pytest.param({"in_flight": (mb(100),)}, 0, 1, "1 promised to others", id="a smaller one in that of one"),
        pytest.param({}, 2, 8, "2 more nodes counted on", id="nodes to come hold three each"),
        pytest.param({"largest_node": None}, 2, 2, "room for 2", id="none to come without a size"),
        pytest.param({}, None, None, "", id="as many as it takes"),
        pytest.param({"largest_node": mb(512)}, None, 0, "the largest node has 512 MB", id="no node will ever do"),
        pytest.param({"counts_vcores": True}, 0, 2, "768 MB and 2 vcores", id="vcores count and suffice"),
        pytest.param(
            {"counts_vcores": True, "free": (mb(9999, 3),)}, 0, 1, "9999 MB and 3 vcores", id="vcores count and limit"
        ),
        pytest.param(
            {"counts_vcores": True, "free": (mb(9999, 9),), "in_flight": (mb(100, 4),)}, 0, 2, "2 promised", id="both"
        ),
        pytest.param({"headrooms": (QUEUE,)}, 0, 1, "queue root.x has 800 MB left", id="a queue's limit"),
        pytest.param(
            {"headrooms": (QUEUE,)}, None, 1, "queue root.x has 800 MB left", id="which holds beyond the cluster"
        ),
        pytest.param({"headrooms": (CLUSTER,)}, 1, 4, "queue root.default", id="one that grows with the cluster"),
        pytest.param({"headrooms": (CLUSTER,)}, None, None, "", id="without end"),
        pytest.param({"headrooms": (Headroom(name="user u", left=mb(-100)),)}, 0, 0, "user u", id="over the limit"),
        pytest.param({"largest_container": mb(512, 9)}, None, 0, "largest container is 512 MB", id="never granted"),
        pytest.param({"largest_container": mb(768, 1)}, 0, 2, "nodes", id="vcores of it do not count"),
        pytest.param(
            {"ceilings": (Ceiling(name="a.b", task_managers=9), Ceiling(name="c.d", task_managers=3))},
            None,
            1,
            "c.d allows 3 TaskManagers, 2 are there",
            id="Flink's own limits",
        ),
        pytest.param({"ceilings": (Ceiling(name="a.b", task_managers=1),)}, 0, 0, "1 TaskManager,", id="already over"),
        pytest.param({"withheld": "nothing is known"}, None, 0, "nothing is known", id="nothing may be asked for"),
        pytest.param({"free": None}, 0, None, "", id="nodes are not known"),
        pytest.param({"container": None, "headrooms": (QUEUE,)}, 0, None, "", id="nor what a TaskManager takes"),
    ],
)
def test_room(changes: dict[str, Any], beyond: int | None, count: int | None, said: str) -> None:
    """The least of all limits is what there is room for, and it is named with its numbers."""
    found = room(a_supply(**changes), beyond)
    assert found.task_managers == count
    assert said in found.limit

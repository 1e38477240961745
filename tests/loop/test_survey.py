"""From YARN's and Flink's recorded answers to what one application can be given; and why nothing came back."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest

from autoscaler.cluster import Application, Node, Queue, TaskManager, UserShare, YarnScheduler
from autoscaler.cluster.flink_json import parse_configuration, parse_task_manager_list
from autoscaler.cluster.resources import parse_nodes, parse_scheduler
from autoscaler.cluster.yarn import parse_application
from autoscaler.core.supply import Ceiling, Headroom, Supply, room
from autoscaler.loop.asks import Ask, Asks, Turn
from autoscaler.loop.claims import Holder
from autoscaler.loop.contract import task_manager_shape
from autoscaler.loop.release import likely_cause, release_time
from autoscaler.loop.survey import Promise, Survey, Surveyor, supply_of
from autoscaler.model import Cluster, Policy, Resource
from tests.adapters.recorded import yarn
from tests.loop.world import T0, World, a_node

CONFIG = parse_configuration(yarn("flink_jobmanager_config"))
SHAPE = task_manager_shape(CONFIG)
MANAGERS = parse_task_manager_list(yarn("flink_taskmanagers"))
HERE, THERE = "127.0.0.2", "127.0.0.3"


def recorded(nodes: str = "rm_nodes", scheduler: str = "rm_scheduler", **changes: Any) -> Supply:
    """The supply of the recorded application, two slots of 768 MB."""
    survey = Survey(at=T0, nodes=parse_nodes(yarn(nodes)), scheduler=parse_scheduler(yarn(scheduler)))
    application = parse_application(yarn("rm_app")["app"])
    return supply_of(survey, application, MANAGERS, SHAPE, CONFIG, **changes)


def test_the_recorded_cluster() -> None:
    """On 6720 MB free 8 more TaskManagers of 768 MB fit; vcores do not count under the default calculator."""
    supply = recorded()
    assert (supply.slots, supply.task_managers, supply.slots_per_task_manager) == (2, 1, 2)
    assert supply.container == Resource(memory_mb=768, vcores=2)
    assert supply.headrooms == (
        Headroom(name="queue root.default", left=Resource(memory_mb=6720, vcores=14), whole=True),
    )
    assert supply.ceilings == (Ceiling(name="slotmanager.number-of-slots.max", task_managers=32),)
    assert supply.unknown == ()
    found = room(supply, 0)
    assert found.task_managers == 8
    assert found.limit == "nodes have room for 8 TaskManagers of 768 MB (free: 6720 MB)"


def test_the_recorded_cluster_while_a_node_drains() -> None:
    """Of two nodes one drains: the TaskManager YARN then still had room for was in fact granted on the other."""
    supply = recorded("rm_nodes_decommissioning", "rm_scheduler_decommissioning")
    found = room(supply, 0)
    assert (found.task_managers, supply.largest_node) == (1, Resource(memory_mb=2560, vcores=16))
    after = recorded("rm_nodes_decommissioning_pending", "rm_scheduler_decommissioning")
    assert room(after, 0).task_managers == 0  # as recorded: the next one stayed pending


def test_a_node_that_has_left_is_no_part_of_the_cluster() -> None:
    """YARN goes on listing it with its memory; a queue that may take all of what is left is the whole cluster still."""
    (left,) = parse_nodes(yarn("rm_nodes_decommissioned"))
    (*_, queue) = parse_scheduler(yarn("rm_scheduler")).way_to("root.default")
    assert queue.maximum is not None
    there = Node(host="there", state="RUNNING", free=queue.maximum, total=queue.maximum)
    survey = Survey(at=T0, nodes=(left, there), scheduler=parse_scheduler(yarn("rm_scheduler")))
    supply = supply_of(survey, parse_application(yarn("rm_app")["app"]), MANAGERS, SHAPE, CONFIG)
    assert [headroom.whole for headroom in supply.headrooms] == [True]


@pytest.mark.parametrize(("fixed_gb", "left_gb"), [(None, 20), (40, 30)], ids=["share", "amount"])
def test_a_fixed_amount_is_never_the_whole_cluster(fixed_gb: int | None, left_gb: int) -> None:
    """With most nodes away an amount is more than the cluster has, and still no more than the amount may be taken."""
    maximum = Resource(memory_mb=30 * 1024, vcores=30)
    fixed = None if fixed_gb is None else Resource(memory_mb=fixed_gb * 1024, vcores=40)
    used = Resource(memory_mb=10 * 1024, vcores=10)
    queue = Queue(path="root.a", maximum=maximum, max_share=1.0, fixed=fixed, used=used)
    node = Node(host="n", state="RUNNING", free=maximum, total=maximum)
    survey = Survey(at=T0, nodes=(node,), scheduler=YarnScheduler(kind="capacityScheduler", queues=(queue,)))
    (found,) = supply_of(survey, Application(id="a", queue="root.a"), MANAGERS, SHAPE, {}).headrooms
    assert (found.left.memory_mb // 1024, found.whole) == (left_gb, fixed is None)


def test_slots_on_a_draining_node_do_not_count() -> None:
    """TaskManagers are told apart by host."""
    supply = recorded(draining={HERE})
    assert (supply.slots, supply.task_managers) == (0, 1)
    assert recorded(draining={THERE}).slots == 2


def test_containers_are_rounded_up() -> None:
    """A TaskManager of 700 MB takes 704 MB in steps of 32 MB, and a whole step where that is larger."""
    manager = TaskManager(id="x", host=HERE, slots=2, free_slots=0, process_memory=700 << 20)
    scheduler = parse_scheduler(yarn("rm_scheduler"))
    application = parse_application(yarn("rm_app")["app"])
    survey = Survey(at=T0, scheduler=scheduler)
    assert supply_of(survey, application, [manager], SHAPE, {}).container == Resource(memory_mb=704, vcores=2)
    coarse = YarnScheduler(kind="capacityScheduler", queues=(Queue(path="root.default", unit=1024),))
    survey = Survey(at=T0, scheduler=coarse)
    assert supply_of(survey, application, [manager], SHAPE, {}).container == Resource(memory_mb=1024, vcores=2)


@pytest.mark.parametrize(
    ("managers", "shape", "expected"),
    [
        ([], Cluster(task_manager_memory=512 << 20, task_manager_cpu=1.5), Resource(memory_mb=1024, vcores=2)),
        ([], Cluster(), None),
    ],
    ids=["as configured", "not known"],
)
def test_what_a_task_manager_takes(managers: Sequence[TaskManager], shape: Cluster, expected: Resource | None) -> None:
    """Without a registered TaskManager its configured size counts, at YARN's stock step if that is not told."""
    survey = Survey(at=T0, scheduler=YarnScheduler(kind="capacityScheduler", queues=(Queue(path="root.q"),)))
    supply = supply_of(survey, Application(id="a", queue="q"), managers, shape, {})
    assert supply.container == expected
    assert ("the memory of a TaskManager" in supply.unknown) is (expected is None)
    assert "YARN's minimum allocation, 1024 MB is assumed" in supply.unknown


@pytest.mark.parametrize(
    ("config", "ceilings"),
    [
        ({"slotmanager.max-total-resource.memory": "2 gb"}, [("slotmanager.max-total-resource.memory", 2)]),
        ({"slotmanager.max-total-resource.cpu": "7.5"}, [("slotmanager.max-total-resource.cpu", 3)]),
        ({"slotmanager.number-of-slots.max": "7"}, [("slotmanager.number-of-slots.max", 3)]),
        ({"slotmanager.max-total-resource.memory": "much", "slotmanager.number-of-slots.max": "many"}, []),
        ({"slotmanager.max-total-resource.cpu": "Infinity", "slotmanager.number-of-slots.max": "NaN"}, []),
    ],
)
def test_ceilings(config: dict[str, str], ceilings: list[tuple[str, int]]) -> None:
    """Flink's limits count in whole TaskManagers; one that cannot be read limits nothing."""
    supply = supply_of(Survey(at=T0), Application(id="a"), MANAGERS, SHAPE, config)
    assert [(each.name, each.task_managers) for each in supply.ceilings] == ceilings


def test_limits_on_the_way_to_a_queue() -> None:
    """Each queue above counts, as an amount or as a share of the cluster, and what others were promised under it."""
    one = Resource(memory_mb=1024, vcores=1)
    share = UserShare(limit=Resource(memory_mb=9 * 1024, vcores=1), used=one)
    scheduler = YarnScheduler(
        kind="capacityScheduler",
        queues=(
            Queue(path="root"),
            Queue(path="root.a", max_share=0.5, used=Resource(memory_mb=10 * 1024, vcores=10)),
            Queue(path="root.a.x", maximum=Resource(memory_mb=20 * 1024, vcores=20), users={"me": share}),
        ),
    )
    promises = (
        Promise(queue="root.a.y", user="me", container=one, count=2),
        Promise(queue="x", user="me", container=one, count=1),
        Promise(queue="root.b", user="me", container=one, count=4),
    )
    supply = supply_of(
        Survey(at=T0, nodes=(a_node("n", 100),), scheduler=scheduler),
        Application(id="a", queue="root.a.x", user="me"),
        MANAGERS,
        SHAPE,
        {},
        promises=promises,
    )
    assert [(each.name, each.left.memory_mb // 1024, each.whole) for each in supply.headrooms] == [
        ("queue root.a", 38, False),
        ("queue root.a.x", 19, False),
        ("user me in queue root.a.x", 7, False),
    ]
    assert len(supply.in_flight) == 7


def test_labels() -> None:
    """With a label set for TaskManagers, only nodes that have it count."""
    labelled = replace(a_node("l", 1), labels=("TASK",))
    survey = Survey(at=T0, nodes=(a_node("n", 1), labelled))
    for config, nodes in (
        ({}, 2),
        ({"yarn.taskmanager.node-label": "TASK"}, 1),
        ({"yarn.application.node-label": "X"}, 0),
    ):
        supply = supply_of(survey, Application(id="a"), MANAGERS, SHAPE, config)
        assert supply.free is not None
        assert len(supply.free) == nodes


def test_a_queue_that_is_not_listed() -> None:
    """A queue YARN does not list has limits that are not known, which is said."""
    survey = Survey(at=T0, scheduler=YarnScheduler(kind="capacityScheduler"))
    supply = supply_of(survey, Application(id="a", queue="gone"), MANAGERS, SHAPE, {})
    assert supply.unknown == ("the limits of queue gone, which YARN does not list",)


# ------------------------------------------------------------------ what was asked for


def an_ask(number: int = 1, **changes: Any) -> Ask:
    defaults: dict[str, Any] = {
        "who": Holder(f"application_{number}", "job"),
        "queue": "q",
        "user": "u",
        "container": Resource(memory_mb=1024, vcores=1),
        "needed": 5,
        "new": 4,
        "beyond": 2,
        "sent_at": T0,
        "timeout": 600_000,
    }
    return Ask(**defaults | changes)


def test_promises_shrink_as_containers_come() -> None:
    """What was sent after a survey counts in full, later what has not come, and nothing once all has."""
    asks = Asks(flying=dict)
    asks.sent(an_ask())
    assert [each.count for each in asks.promised("other", T0)] == [4]
    assert asks.promised("application_1", T0) == ()
    asks.look({"application_1": 3}, T0 + 1)
    assert [each.count for each in asks.promised("other", T0 + 1)] == [2]
    assert [each.count for each in asks.promised("other", T0 - 1)] == [4]
    asks.look({"application_1": 5}, T0 + 2)
    assert asks.promised("other", T0 + 1) == ()


@pytest.mark.parametrize(
    ("counts", "at", "refused", "count"),
    [
        ({"application_1": 4}, T0 + 600_000, True, 2),
        ({"application_1": 4}, T0 + 599_999, False, 1),
        ({"application_1": 5}, T0 + 1, False, 0),
        ({}, T0 + 600_000, False, 1),
    ],
    ids=["time is up", "there is time", "granted", "the application ended"],
)
def test_whether_a_cluster_grows(counts: dict[str, int], at: int, refused: bool, count: int) -> None:
    """A request beyond what there was is refused when its time is up, and one that is granted ends the row."""
    asks = Asks(flying=dict)
    asks.sent(an_ask(2))
    asks.look({"application_2": 1}, T0 + 600_000)
    asks.sent(an_ask())
    assert bool(asks.look(counts, at)) is refused
    assert asks.refusals("q").count == count


def test_what_the_cluster_had_room_for_tells_nothing_of_its_growth() -> None:
    """A request within what there was that does not come is no refusal to grow."""
    asks = Asks(flying=dict)
    asks.sent(an_ask(beyond=0))
    asks.sent(an_ask(2, new=0, beyond=0))
    assert asks.look({"application_1": 1}, T0 + 600_000) == []
    assert asks.refusals("q").count == 0


def a_turn(number: int, **changes: Any) -> Turn:
    defaults: dict[str, Any] = {"queue": "q", "shrinks": False, "behind_s": 0.0, "new": 1}
    return Turn(who=Holder(f"application_{number}", "job"), **defaults | changes)


ONE = Policy(rescales_in_flight=1, task_managers_per_minute=10)


def test_scale_downs_go_first_then_who_is_farthest_behind() -> None:
    """Those who wait are ranked; one that does not come back is not waited for."""
    flying = {Holder("application_9", "job"): True}
    asks = Asks(flying=lambda: flying)
    late, later, down = a_turn(1, behind_s=10.0), a_turn(2, behind_s=99.0), a_turn(3, shrinks=True)
    for turn in (late, later, down):
        assert asks.enter(turn, ONE, T0) is not None
    flying.clear()
    assert asks.enter(late, ONE, T0 + 1) is not None
    assert asks.enter(later, ONE, T0 + 1) is not None
    assert asks.enter(down, ONE, T0 + 1) is None
    assert asks.enter(later, ONE, T0 + 2) is not None  # the other one is being sent
    asks.leave(down.who)
    assert asks.enter(late, ONE, T0 + 3) is not None
    assert asks.enter(late, ONE, T0 + 200_000) is None  # nobody heard of the other since


def test_a_scale_down_does_not_wait_for_growth() -> None:
    """It may make the room that the rescales under way wait for."""
    asks = Asks(flying=lambda: {Holder("application_9", "job"): False})
    assert asks.enter(a_turn(1, behind_s=10.0), ONE, T0) is not None
    assert asks.enter(a_turn(2, shrinks=True), ONE, T0) is None
    assert asks.enter(a_turn(3, shrinks=True), ONE, T0) is not None


def test_a_large_request_goes_alone() -> None:
    """More than a minute's TaskManagers at once are asked for when the minute was quiet, and small ones wait for it."""
    policy = Policy(rescales_in_flight=0, task_managers_per_minute=10)
    asks = Asks(flying=dict)
    asks.sent(an_ask(new=1))
    large, small = a_turn(1, new=30, behind_s=9.0), a_turn(2)
    assert asks.enter(large, policy, T0) is not None
    assert asks.enter(small, policy, T0) is not None
    assert asks.enter(a_turn(3, queue="another"), policy, T0) is None
    assert asks.enter(large, policy, T0 + 60_000) is None


def test_nothing_asked_for_counts_until_a_clock_that_was_set_back_has_caught_up(world: World) -> None:
    """What was asked, promised and surveyed at times that lie a day ahead is over: by a clock set right since."""
    back = T0 - 86_400_000
    asks = Asks(flying=dict)
    asks.sent(an_ask(new=10))
    assert asks.enter(a_turn(3, behind_s=99.0, new=9), ONE, T0) is not None
    assert asks.enter(a_turn(2), ONE, back) is None
    assert asks.look({"application_1": 1}, back) != []
    surveyor = Surveyor(world.environment)
    assert surveyor.survey(T0, T0 - 1_000) is surveyor.survey(T0 - 5, T0 - 1_000)
    assert surveyor.survey(back, back).at == back


def test_who_waits_for_a_queues_task_managers_holds_nobody_else() -> None:
    """Rescales that wait for the minute's TaskManagers take none of the places of those that need none of them."""
    policy = Policy(rescales_in_flight=1, task_managers_per_minute=10)
    asks = Asks(flying=dict)
    asks.sent(an_ask(new=10))
    assert asks.enter(a_turn(1, behind_s=9.0), policy, T0) is not None
    assert asks.enter(a_turn(2, queue="another"), policy, T0) is None
    asks.leave(a_turn(2).who)
    assert asks.enter(a_turn(3, new=0), policy, T0) is None
    assert asks.enter(a_turn(1, behind_s=9.0), policy, T0 + 60_000) is not None  # the third is under way
    assert "go first" in str(asks.enter(a_turn(4, queue="another"), policy, T0 + 60_000))


# ------------------------------------------------------------------ why nothing came back


@pytest.mark.parametrize(
    ("config", "version", "session", "cause"),
    [
        ({"slotmanager.redundant-taskmanager-num": "2"}, "1.20.0", False, "redundant-taskmanager-num is 2"),
        ({"slotmanager.number-of-slots.min": "8"}, "1.20.0", False, "slotmanager.number-of-slots.min is 8"),
        ({}, "1.18.1-amzn-1", True, "Flink 1.18.1-amzn-1 spreads slots"),
        ({}, "1.20.0", True, "in a session cluster"),
        ({"state.backend.local-recovery": "true"}, "2.1.0", False, "state.backend.local-recovery is true"),
        ({}, "1.19.3", False, "Flink 1.19.3 keeps to the TaskManagers it had"),
        (
            {"jobmanager.adaptive-scheduler.prefer-minimal-taskmanagers": "false"},
            "1.20.0",
            False,
            "prefer-minimal-taskmanagers is false",
        ),
        ({}, "1.20.0", False, "spread over all"),
        ({}, None, False, "spread over all"),
    ],
)
def test_the_likely_cause(config: dict[str, str], version: str | None, session: bool, cause: str) -> None:
    """The first thing that explains it is named, with the version or the option to look at."""
    assert cause in likely_cause(config, version, session=session)


@pytest.mark.parametrize(
    ("config", "expected"),
    [
        ({}, 220_000),
        ({"slot.idle.timeout": "10000", "resourcemanager.taskmanager-timeout": "10 s"}, 100_000),
        ({"slot.idle.timeout": "soon"}, 220_000),
    ],
)
def test_release_time(config: dict[str, str], expected: int) -> None:
    """Flink looks at idle slots and TaskManagers as seldom as they may be idle, so it takes twice both at most."""
    assert release_time(config) == expected

"""What the daemon relies on, held against recorded answers, the simulator, and a real cluster if one is named.

    CONTRACT_RESOURCE_MANAGER=http://localhost:8088 pytest tests/sim/test_contract.py

adds the cluster at that address, whose first Flink application must run a job.
"""

from __future__ import annotations

import math
import os
import re
from collections.abc import Iterator

import pytest

from autoscaler.cluster import Gone, HttpClient, PutResult, Transient
from autoscaler.model import Bounds
from tests.sim.worlds import World, recorded, seen, simulated

REAL = os.environ.get("CONTRACT_RESOURCE_MANAGER")
RECORDED = ("1.18.1", "1.20.3", "2.0.2", "2.3.0")
SIMULATED = ("1.18.1", "1.20.1", "2.1.0")
WORLDS = [
    *(f"recorded {release}" for release in RECORDED),
    *(f"simulated {version}" for version in SIMULATED),
    *([REAL] if REAL else []),
]
NOBODY = "0" * 32


@pytest.fixture(scope="module", params=WORLDS)
def world(request: pytest.FixtureRequest) -> Iterator[World]:
    kind, _, version = request.param.partition(" ")
    with HttpClient(workers=2) as http:
        if kind == "recorded":
            with recorded(http, version) as found:
                yield found
        elif kind == "simulated":
            with simulated(http, version) as found:
                yield found
        else:
            yield seen(http, request.param)


def test_the_resource_manager_lists_the_application(world: World) -> None:
    """With its address through the proxy, its attempt and its containers."""
    assert world.managers.ha_state(world.managers.addresses[0]) == "ACTIVE"
    application = world.application
    assert (application.state, application.final_status) == ("RUNNING", "UNDEFINED")
    assert re.fullmatch(r"application_\d+_\d{4,}", application.id)
    assert re.fullmatch(r"[\w.-]+:\d+", application.am_address or "")
    assert (application.attempt or 0) >= 1
    assert (application.running_containers or 0) >= 1
    assert world.managers.application(application.id) == application


def test_an_application_nobody_knows(world: World) -> None:
    """The ResourceManager says so; its proxy answers with a page for people."""
    other = re.sub(r"_\d+$", "_9999", world.application.id)
    assert world.managers.application(other) is None
    address = (world.application.tracking_url or "").replace(world.application.id, other)
    with pytest.raises(Transient, match="404") as caught:
        world.http.get_json(address + "jobs/overview")
    assert caught.value.kind == "html"


def test_flink_says_what_it_is(world: World) -> None:
    """Version, whether it can rescale, and its configuration as texts."""
    config = world.flink.cluster_config()
    assert re.match(r"\d+\.\d+", config.flink_version)
    assert config.adaptive
    assert world.flink.configuration()["jobmanager.scheduler"].lower() == "adaptive"


def test_the_job_runs_and_has_a_graph(world: World) -> None:
    """Every input stands before what it feeds, every vertex has counters of as many tasks as it has subtasks."""
    overview = next(job for job in world.flink.jobs() if job.id == world.job_id)
    details = world.flink.job(world.job_id)
    assert (details.kind, details.state, details.sparse) == ("STREAMING", "RUNNING", False)
    assert details.running_since is not None
    assert overview.start_time == details.start_time <= details.running_since <= details.now
    vertices = details.topology.vertices
    assert overview.total == sum(vertex.parallelism for vertex in vertices)
    place = {vertex.id: i for i, vertex in enumerate(vertices)}
    assert all(place[edge.id] < place[vertex.id] for vertex in vertices for edge in vertex.inputs)
    for vertex in vertices:
        assert 1 <= vertex.parallelism <= vertex.max_parallelism
        counters = details.counters[vertex.id]
        assert sum(counters.tasks.values()) == vertex.parallelism
        assert re.fullmatch("[0-9a-f]{32}", vertex.id)


def test_metrics_are_listed_and_read(world: World) -> None:
    """What is listed can be asked for; a source names its operator's metrics; a name that is not there empties all."""
    listed = 0
    for vertex in world.flink.job(world.job_id).topology.vertices:
        names = world.flink.metric_names(world.job_id, vertex.id)
        if vertex.finished or not names:  # not of every vertex were they recorded
            continue
        listed += 1
        assert {"busyTimeMsPerSecond", "backPressuredTimeMsPerSecond", "numRecordsIn"} <= set(names)
        if vertex.is_source:
            assert any(re.fullmatch(r"Source__.*\.pendingRecords", name) for name in names)
            assert any(re.search(r"\.partition\.\d+\.currentOffset$", name) for name in names)
        found = world.flink.metrics(world.job_id, vertex.id, ("busyTimeMsPerSecond",), "min,max,avg,sum")
        if found is not None:  # of some vertices nothing was recorded
            busy = found["busyTimeMsPerSecond"]
            assert busy.max is None or 0 <= busy.max <= 1000
        assert world.flink.metrics(world.job_id, vertex.id, ("busyTimeMsPerSecond", "nope")) is None
    assert listed >= 2
    assert world.flink.metrics(world.job_id, NOBODY, ("busyTimeMsPerSecond",)) is None


def test_checkpoints(world: World) -> None:
    """They are on, one has completed, and the recent ones have the time at which they began."""
    found = world.flink.checkpoints(world.job_id)
    assert found.completed >= 1
    assert found.completed_id in found.triggers
    assert (world.flink.checkpoint_interval_ms(world.job_id) or 0) > 0


def test_the_cluster_counts_its_slots(world: World) -> None:
    """TaskManagers, slots and heap."""
    found = world.flink.task_managers()
    assert found.count >= 1
    assert 0 <= found.slots_available <= found.slots_total
    usage = world.flink.memory().heap_usage
    assert usage is None or (math.isfinite(usage) and 0 <= usage <= 1)


def test_a_job_nobody_knows_is_gone(world: World) -> None:
    """Whatever status Flink says it with: 404 for the job, 500 for its requirements."""
    with pytest.raises(Gone):
        world.flink.job(NOBODY)
    with pytest.raises(Gone):
        world.flink.requirements(NOBODY)


def requirements(world: World) -> dict[str, Bounds]:
    """Those in which every vertex has bounds 1 and 1, as recorded."""
    return {vertex: Bounds(lower=1, upper=1) for vertex in world.flink.requirements(world.job_id)}


SLOW = "9b7711354d634ca6a9734a43abeb3114"  # the vertex that was asked about when answers were recorded


def target(world: World) -> str:
    known = world.flink.requirements(world.job_id)
    return SLOW if SLOW in known else min(known)


def test_requirements_are_of_every_vertex(world: World) -> None:
    """The same vertices as the job's, with bounds Flink could meet."""
    known = world.flink.requirements(world.job_id)
    assert set(known) == {vertex.id for vertex in world.flink.job(world.job_id).topology.vertices}
    assert all(1 <= bounds.lower <= bounds.upper for bounds in known.values())


def test_incomplete_requirements_are_refused(world: World) -> None:
    """With the vertex that is missing."""
    wanted, vertex = requirements(world), target(world)
    del wanted[vertex]
    refused = world.flink.put_requirements(world.job_id, wanted)
    assert (refused.result, refused.status) == (PutResult.REJECTED, 400)
    assert f"The request is incomplete, missing job vertex [{vertex}]" in refused.message


@pytest.mark.parametrize(
    ("lower", "upper", "message"),
    [
        (3, 2, r"The requested lower bound \[3\] .* is higher than the upper bound \[2\]"),
        (1, 0, r"must be greater than zero"),
        (0, 2, r"must be greater than zero"),
    ],
    ids=["crossed", "none", "zero"],
)
def test_impossible_bounds_are_refused(world: World, lower: int, upper: int, message: str) -> None:
    """In Flink's words."""
    wanted = requirements(world) | {target(world): Bounds(lower=lower, upper=upper)}
    refused = world.flink.put_requirements(world.job_id, wanted)
    assert (refused.result, refused.status) == (PutResult.REJECTED, 400)
    assert re.search(message, refused.message)


def test_a_parallelism_above_the_maximum_is_refused(world: World) -> None:
    """With both numbers."""
    vertex = target(world)
    most = next(v.max_parallelism for v in world.flink.job(world.job_id).topology.vertices if v.id == vertex)
    wanted = requirements(world) | {vertex: Bounds(lower=1, upper=most + 1)}
    refused = world.flink.put_requirements(world.job_id, wanted)
    assert refused.result is PutResult.REJECTED
    assert re.search(rf"parallelism {most + 1} .* exceeds its maximum parallelism {most}", refused.message)


def test_an_unchanged_request_is_taken_and_restarts_nothing(world: World) -> None:
    """200, and the same attempt runs."""
    before = world.flink.job(world.job_id).running_since
    answer = world.flink.put_requirements(world.job_id, world.flink.requirements(world.job_id))
    assert answer.result is PutResult.ACCEPTED
    assert world.flink.job(world.job_id).running_since == before

"""Every recorded release's answers become the same values, and what cannot be said becomes None."""

from __future__ import annotations

import copy
import json
import math
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from autoscaler.cluster import flink_json
from autoscaler.cluster.errors import Rejected, Transient
from autoscaler.cluster.flink import FlinkRest
from autoscaler.cluster.flink_json import (
    Aggregate,
    Checkpoints,
    ClusterConfig,
    JobOverview,
    Memory,
    TaskManagers,
    parse_checkpoints,
    parse_configuration,
    parse_job,
    parse_jobs,
    parse_memory,
    parse_metrics,
    parse_requirements,
)
from autoscaler.cluster.http import HttpClient, PutResult
from autoscaler.model import Bounds, Input
from tests.adapters.recorded import RELEASES, flink, flink_answer, yarn
from tests.adapters.stub import Answer, Stub, errors, json_of

SOURCE = "cbc357ccb763df2852fee8c4fc7d55f2"
BOUNDED = "feca28aff5a3958840bee985ee7de4d3"
SLOW = "9b7711354d634ca6a9734a43abeb3114"
F1 = "798f7268aeb5fde00858b7c9723d65f1"
REBALANCED = "5ab7fb424437b02a0f089c0655509514"
P1 = "e2c299c19304b1ac67100b87e205a24c"
EDGES = {
    SOURCE: (),
    BOUNDED: (),
    SLOW: (Input(id=SOURCE, ship_strategy="HASH"),),
    REBALANCED: (Input(id=SLOW, ship_strategy="REBALANCE"),),
    F1: (Input(id=BOUNDED, ship_strategy="RESCALE"),),
    P1: (Input(id=F1, ship_strategy="FORWARD"),),
}
PREFIX = "/proxy/application_1_0001"


@pytest.fixture
def rest(stub: Stub, http: HttpClient) -> FlinkRest:
    return FlinkRest(http, "application_1_0001", f"{stub.url}{PREFIX}/")


# ------------------------------------------------------------------ every release


@pytest.mark.parametrize("release", RELEASES)
@pytest.mark.parametrize("name", ["job", "job_after2", "job_cancelled", "job_lower_neg"])
def test_job_details_of_every_release(release: str, name: str) -> None:
    """The same job is the same graph in every release, its inputs before the vertices they feed."""
    document = flink(release, name)
    job = parse_job(document)
    assert (job.kind, job.sparse, job.id) == ("STREAMING", False, document["jid"])
    assert job.running_since == document["timestamps"]["RUNNING"]
    assert job.now == document["now"]
    assert {vertex.id: vertex.inputs for vertex in job.topology.vertices} == EDGES
    assert job.scheduler == ("Adaptive" if release == "2.3.0" else None)
    by_id = {vertex.id: vertex for vertex in job.topology.vertices}
    assert by_id[SLOW].parallelism == (1 if name == "job" else 2)
    assert by_id[F1].max_parallelism == 64
    assert by_id[BOUNDED].finished
    assert (by_id[SLOW].slot_sharing_group is None) is release.startswith(("1.18", "1.19"))


@pytest.mark.parametrize("release", RELEASES)
def test_overview_of_every_release(release: str) -> None:
    """A job with some tasks finished and the rest running is running."""
    (job,) = parse_jobs(flink(release, "jobs_overview"))
    assert (job.name, job.state, job.effective_state) == ("probe", "RUNNING", "RUNNING")
    assert (job.running, job.finished, job.total) == (3, 3, 6)
    newest = release == "2.3.0"
    assert (job.kind, job.scheduler) == (("STREAMING", "Adaptive") if newest else (None, None))
    (cancelled,) = parse_jobs(flink(release, "jobs_overview_cancelled"))
    assert cancelled.effective_state == "CANCELED"


@pytest.mark.parametrize("release", RELEASES)
def test_config_of_every_release(release: str) -> None:
    """Each release names itself and says that its jobs can be rescaled, and hidden settings count as not set."""
    assert flink_json.parse_cluster_config(flink(release, "config")) == ClusterConfig(
        flink_version=release, adaptive=True, session=True
    )
    settings = parse_configuration(flink(release, "jm_config"))
    assert settings["jobmanager.scheduler"] == "adaptive"
    assert settings["job.autoscaler.enabled"] == "true"
    assert "my.secret.key" not in settings
    assert parse_configuration(flink(release, "job_jm_config")) == settings
    assert flink_json.parse_job_parameters(flink(release, "job_config")) == {}


@pytest.mark.parametrize("release", RELEASES)
def test_checkpoints_of_every_release(release: str) -> None:
    """The latest completed and restored checkpoints are found, with when each recent one began."""
    before, after = (
        parse_checkpoints(flink(release, "checkpoints")),
        parse_checkpoints(flink(release, "checkpoints_after2")),
    )
    assert (before.restored_id, before.restored_at) == (None, None)
    assert after.restored_id is not None
    assert after.restored_at is not None
    assert after.completed_id is not None
    assert after.triggers[after.completed_id] == after.completed_triggered_at
    assert flink_json.parse_checkpoint_interval(flink(release, "chk_config")) == 3000


@pytest.mark.parametrize("release", RELEASES)
def test_requirements_of_every_release(release: str) -> None:
    """The bounds of every vertex are read, before and after a change."""
    assert set(flink_json.parse_requirements(flink(release, "rr")).values()) == {Bounds(lower=1, upper=1)}
    assert flink_json.parse_requirements(flink(release, "rr_after2"))[SLOW] == Bounds(lower=1, upper=2)


def test_a_lower_bound_left_open_is_one() -> None:
    """Flink takes -1 for a bound and keeps it as it is; sent back with a rescale it would stay so for ever."""
    entry = {"parallelism": {"lowerBound": -1, "upperBound": 4}}
    assert parse_requirements({SOURCE: entry}) == {SOURCE: Bounds(lower=1, upper=4)}


@pytest.mark.parametrize("release", RELEASES)
def test_metrics_of_every_release(release: str) -> None:
    """Numbers, strings in place of numbers, and the empty answer for a name that is not there are told apart."""
    name = "Source__nums_src_(A)__b"
    assert name + ".pendingRecords" in flink_json.parse_metric_names(flink(release, "v_src_names"))
    pending = parse_metrics(flink(release, f"one_{name}.pendingRecords"))
    assert pending == {f"{name}.pendingRecords": Aggregate(min=40, max=40, avg=40, sum=40)}
    infinite = parse_metrics(flink(release, f"one_{name}.X.inf"))
    assert infinite is not None
    assert infinite[f"{name}.X.inf"].sum == math.inf
    assert parse_metrics(flink(release, f"one_{name}.X.nan")) == {f"{name}.X.nan": Aggregate()}
    assert parse_metrics(flink(release, f"one_{name}.X.mixed")) == {f"{name}.X.mixed": Aggregate()}
    some = parse_metrics(flink(release, "v_slow_agg"))
    assert some is not None
    busy = some["busyTimeMsPerSecond"]
    assert busy.max == busy.sum
    assert (busy.min, busy.avg) == (None, None)
    assert parse_metrics(flink(release, "v_src_missing")) is None
    assert parse_metrics(flink(release, "v_bad_job")) is None


@pytest.mark.parametrize("release", RELEASES)
def test_memory_and_slots_of_every_release(release: str) -> None:
    """Heap usage is known in every release, collection time from 1.19 on."""
    heap = parse_metrics(flink(release, "tm_metrics"))
    assert heap is not None
    usage = parse_memory(heap).heap_usage
    assert usage is not None
    assert 0 < usage < 1
    gc = parse_metrics(flink(release, "tm_metrics_gc"))
    assert (gc is None) is release.startswith("1.18")
    if gc is not None:
        pressure = parse_memory(gc).gc_pressure
        assert pressure is not None
        assert 0 <= pressure < 1
    slots = flink_json.parse_task_managers(flink(release, "overview"))
    assert slots == TaskManagers(count=2, slots_total=4, slots_available=2)


@pytest.mark.parametrize("release", ["1.20.3-waiting", "2.2.1-waiting"])
@pytest.mark.parametrize("name", ["job_waiting", "job_failed"])
def test_the_form_without_a_graph_is_sparse(release: str, name: str) -> None:
    """A job that waits for slots shows submitted parallelisms, which must not pass for present ones."""
    job = parse_job(flink(release, name))
    assert job.sparse
    assert job.topology.vertices == ()
    assert job.counters == {}
    assert (job.running_since, job.doubts) == (None, ())


@pytest.mark.parametrize("release", ["1.18.1", "1.20.3", "2.3.0"])
def test_a_job_on_the_default_scheduler_is_read(release: str) -> None:
    """A plan that is listed from the sinks is put in order, and 2.3 names the scheduler."""
    job = parse_job(flink(f"{release}-default", "job"))
    order = [vertex.id for vertex in job.topology.vertices]
    assert all(order.index(edge.id) < order.index(vertex) for vertex in order for edge in EDGES[vertex])
    assert job.scheduler == ("Default" if release == "2.3.0" else None)


@pytest.mark.parametrize("release", ["1.20.3-app", "2.3.0-app"])
def test_an_application_cluster_is_no_session(release: str) -> None:
    """Application mode does not offer to submit."""
    assert flink_json.parse_cluster_config(flink(release, "config")).session is False


def test_answers_recorded_on_yarn_parse() -> None:
    """What came through the proxy of a real YARN reads like what came from Flink itself."""
    job = parse_job(yarn("flink_jobs_JID"))
    assert [vertex.name for vertex in job.topology.vertices] == ["Source: kafka-in", "worker -> Sink: sink"]
    assert job.doubts == (
        "counters of Source: kafka-in incomplete",
        "counters of worker -> Sink: sink incomplete",
    )
    assert parse_configuration(yarn("flink_jobmanager_config"))["jobmanager.scheduler"] == "adaptive"
    assert [job.name for job in parse_jobs(yarn("session_jobs_overview"))] == ["job-a", "job-b"]
    assert flink_json.parse_checkpoint_interval(yarn("flink_jobs_JID_checkpoints_config")) == 10_000
    assert parse_checkpoints(yarn("flink_jobs_JID_checkpoints")).completed_id is not None
    assert len(flink_json.parse_requirements(yarn("flink_jobs_JID_resource-requirements"))) == 2


# ------------------------------------------------------------------ what the values say


def test_complete_counters_are_numbers() -> None:
    """Counters and accumulated times of the present attempt are read as they stand."""
    slow = parse_job(flink("1.20.3", "job")).counters[SOURCE]
    assert (slow.status, slow.parallelism, slow.duration, slow.tasks) == ("RUNNING", 1, 30_866, {"RUNNING": 1})
    assert (slow.read_records, slow.write_records) == (0, 2270)
    assert (slow.busy_ms, slow.idle_ms, slow.back_pressured_ms) == (2544, 54, 0)


def test_incomplete_counters_are_absent_and_doubted() -> None:
    """Right after a restart Flink sends zeros that mean nothing: they are None, and the doubt is named."""
    job = parse_job(flink("2.3.0", "job"))
    counters = job.counters[SLOW]
    assert (counters.read_records, counters.write_records, counters.busy_ms) == (None, None, None)
    assert "counters of slow incomplete" in job.doubts
    assert job.counters[BOUNDED].write_records == 11


def altered(**vertex: Any) -> dict[str, Any]:
    """The recorded job with something else in its vertex "slow"."""
    document: dict[str, Any] = copy.deepcopy(flink("1.20.3", "job"))
    (slow,) = (entry for entry in document["vertices"] if entry["id"] == SLOW)
    slow.update(vertex)
    return document


def test_busy_time_may_be_no_number() -> None:
    """A legacy source has "NaN" for its busy time; its counters still count."""
    metrics = {"read-records": 5, "read-records-complete": True, "accumulated-busy-time": "NaN"}
    metrics |= {"write-records": 6, "write-records-complete": True}
    counters = parse_job(altered(metrics=metrics)).counters[SLOW]
    assert (counters.read_records, counters.write_records, counters.busy_ms) == (5, 6, None)


def test_a_subtask_too_few_is_a_doubt() -> None:
    """Subtasks that do not add up to the parallelism mean that the numbers are of two different moments."""
    job = parse_job(altered(parallelism=2))
    assert job.doubts == ("1 subtasks reported of slow, which runs at 2",)


def test_a_vertex_that_has_not_started_has_no_duration() -> None:
    """-1 is Flink's word for not yet."""
    assert parse_job(altered(duration=-1)).counters[SLOW].duration is None


def with_plan(*nodes: dict[str, Any]) -> dict[str, Any]:
    names = [node["id"] for node in nodes]
    vertices = [{"id": name, "name": name, "parallelism": 1, "maxParallelism": 128} for name in names]
    return {"jid": "j", "vertices": vertices, "plan": {"type": "BATCH", "nodes": list(nodes)}}


def edge(vertex: str, strategy: str = "HASH") -> dict[str, str]:
    return {"id": vertex, "ship_strategy": strategy}


def test_two_edges_from_one_vertex_are_one() -> None:
    """Of two edges the first gives the place among the inputs and the last the strategy."""
    document = with_plan(
        {"id": "a"}, {"id": "b"}, {"id": "c", "inputs": [edge("a", "hash"), edge("b"), edge("a", "FORWARD")]}
    )
    job = parse_job(document)
    assert job.kind == "BATCH"
    inputs = job.topology.vertices[-1].inputs
    assert inputs == (Input(id="a", ship_strategy="FORWARD"), Input(id="b", ship_strategy="HASH"))


@pytest.mark.parametrize(("sent", "most"), [(128, 128), (-1, 1), (0, 1)])
def test_a_largest_parallelism_that_is_not_set_is_the_present_one(sent: int, most: int) -> None:
    """Flink writes -1 for what is not set; a vertex of which no more is known than what it runs at is not grown."""
    document = with_plan({"id": "a"})
    document["vertices"][0]["maxParallelism"] = sent
    assert parse_job(document).topology.vertices[0].max_parallelism == most


def test_an_order_that_is_right_is_kept() -> None:
    """Vertices that come in order stay as they are."""
    document = with_plan(
        {"id": "a"}, {"id": "b", "inputs": [edge("a")]}, {"id": "c"}, {"id": "d", "inputs": [edge("c")]}
    )
    assert [vertex.id for vertex in parse_job(document).topology.vertices] == ["a", "b", "c", "d"]


@given(
    st.integers(1, 8).flatmap(
        lambda n: st.tuples(st.permutations(range(n)), st.sets(st.tuples(st.integers(0, n - 1), st.integers(0, n - 1))))
    )
)
def test_any_graph_is_put_in_order(graph: tuple[list[int], set[tuple[int, int]]]) -> None:
    """However the vertices are listed, each comes once and after all that feeds it."""
    listed, pairs = graph
    feeds = {vertex: [source for source, target in pairs if target == vertex and source < target] for vertex in listed}
    nodes = [{"id": str(v), "inputs": [edge(str(source)) for source in feeds[v]]} for v in listed]
    order = [int(vertex.id) for vertex in parse_job(with_plan(*nodes)).topology.vertices]
    assert sorted(order) == sorted(listed)
    assert all(order.index(source) < order.index(vertex) for vertex in listed for source in feeds[vertex])


STATES = {
    "all running": ("RUNNING", 4, 0, 4, "RUNNING"),
    "some finished": ("RUNNING", 1, 3, 4, "RUNNING"),
    "still deploying": ("RUNNING", 3, 0, 4, "CREATED"),
    "no tasks yet": ("RUNNING", 0, 0, 0, "CREATED"),
    "restarting": ("RESTARTING", 4, 0, 4, "RESTARTING"),
    "ended": ("FINISHED", 0, 4, 4, "FINISHED"),
}


@pytest.mark.parametrize(("state", "running", "finished", "total", "effective"), STATES.values(), ids=STATES)
def test_running_means_that_every_task_runs(
    state: str, running: int, finished: int, total: int, effective: str
) -> None:
    """A job calls itself RUNNING while tasks restore their state; it counts as running when all of them do."""
    job = JobOverview(id="j", name="n", state=state, start_time=0, running=running, finished=finished, total=total)
    assert job.effective_state == effective


@pytest.mark.parametrize("interval", [2**63 - 1, 0, -1, None])
def test_checkpointing_that_is_off_has_no_interval(interval: int | None) -> None:
    """Flink says never with the largest number there is."""
    assert flink_json.parse_checkpoint_interval({"interval": interval}) is None


@pytest.mark.parametrize(
    ("failed", "failing"),
    [
        ({"id": 17, "failure_message": "Checkpoint expired before completing."}, True),
        ({"id": 17, "failure_message": None}, True),
        ({"id": 15, "failure_message": "Checkpoint expired before completing."}, False),
        ({"id": 17, "failure_message": "Checkpoint Coordinator is suspending."}, False),
        (None, False),
    ],
    ids=["newer than the last good one", "without a message", "older", "aborted by a restart", "none"],
)
def test_checkpoints_fail_while_the_newest_did(failed: dict[str, object] | None, failing: bool) -> None:
    """A failure counts until one completes, but for those that a restart aborts."""
    document = {"latest": {"completed": {"id": 16}, "failed": failed}}
    assert parse_checkpoints(document).failing is failing


def test_a_savepoint_that_is_being_taken_is_seen() -> None:
    """Neither a checkpoint in progress nor a savepoint that is done is one."""
    entry = {"id": 3, "trigger_timestamp": 1, "is_savepoint": True, "status": "IN_PROGRESS"}
    for changes, running in (({}, True), ({"status": "COMPLETED"}, False), ({"is_savepoint": False}, False)):
        assert parse_checkpoints({"history": [entry | changes]}).savepoint_running is running


@pytest.mark.parametrize("release", RELEASES)
def test_a_rescale_does_not_make_checkpoints_fail(release: str) -> None:
    """What a rescale aborted, in the recorded answers after one, is no failure."""
    assert not parse_checkpoints(flink(release, "checkpoints_after2")).failing


def test_a_job_without_checkpoints_has_none() -> None:
    """Before the first checkpoint everything is absent, not 0."""
    document = {"counts": {"completed": 0}, "latest": {"completed": None, "restored": None}, "history": []}
    assert parse_checkpoints(document) == Checkpoints()


@pytest.mark.parametrize(
    ("sent", "value"),
    [
        ("NaN", None),
        ("Infinity", math.inf),
        ("-Infinity", -math.inf),
        (3, 3.0),
        ("4.5", 4.5),
        (None, None),
        ("x", None),
    ],
)
def test_numbers_in_every_form(sent: object, value: float | None) -> None:
    """Strings that stand for numbers become numbers or nothing."""
    assert parse_metrics([{"id": "a", "sum": sent}]) == {"a": Aggregate(sum=value)}


def test_values_share_their_strings() -> None:
    """Two readings of one job hold the same strings, so that a thousand jobs do not hold a million."""
    first, second = parse_job(flink("2.3.0", "job")), parse_job(flink("2.3.0", "job"))
    for one, other in zip(first.topology.vertices, second.topology.vertices, strict=True):
        assert one.id is other.id
        assert one.name is other.name
    assert all(one is other for one, other in zip(first.doubts, second.doubts, strict=True))


# ------------------------------------------------------------------ calls


def test_paths_are_appended_with_one_slash(stub: Stub, http: HttpClient) -> None:
    """A tracking URL with or without a slash at its end leads to the same paths."""
    stub.otherwise(lambda _: json_of({"jobs": []}))
    for end in ("", "/"):
        assert FlinkRest(http, "a", f"{stub.url}{PREFIX}{end}").jobs() == ()
    assert {call.path for call in stub.calls} == {f"{PREFIX}/jobs/overview"}


def test_each_question_is_one_get(stub: Stub, rest: FlinkRest) -> None:
    """Every reading costs one request, to the path that Flink documents."""
    script = {
        "jobs/overview": "jobs_overview",
        "config": "config",
        "jobmanager/config": "jm_config",
        "jobs/j/config": "job_config",
        "jobmanager/metrics": "jm_metrics",
        "jobs/j": "job",
        "jobs/j/vertices/v/subtasks/metrics": "v_src_names",
        "jobs/j/checkpoints": "checkpoints",
        "jobs/j/checkpoints/config": "chk_config",
        "jobs/j/resource-requirements": "rr",
        "overview": "overview",
        "taskmanagers/metrics": "tm_metrics",
    }
    for path, name in script.items():
        stub.answer(f"{PREFIX}/{path}", flink_answer("1.20.3", name))
    assert len(rest.jobs()) == 1
    assert rest.flink_version() == "1.20.3"
    assert rest.configuration()["taskmanager.numberOfTaskSlots"] == "2"
    assert rest.job_parameters("j") == {}
    rest.poke()
    assert rest.job("j").name == "probe"
    assert len(rest.metric_names("j", "v")) > 50
    assert rest.checkpoints("j").completed_id == 3
    assert rest.checkpoint_interval_ms("j") == 3000
    assert rest.requirements("j")[SLOW] == Bounds(lower=1, upper=1)
    assert rest.task_managers().slots_total == 4
    assert rest.memory().heap_usage is not None
    assert [call.path.partition("?")[0] for call in stub.calls] == [f"{PREFIX}/{path}" for path in script]


def test_metric_names_are_percent_encoded(stub: Stub, rest: FlinkRest) -> None:
    """Names hold whatever users call their operators; nothing of it changes the request's meaning."""
    names = ("Source__nums_src_(A)__b&agg=x#1.numRecordsIn", "busyTimeMsPerSecond", "Source__über+1%.pendingRecords")
    stub.otherwise(lambda _: json_of([{"id": "busyTimeMsPerSecond", "max": 1.0}]))
    assert rest.metrics("j", "v", names, "max,sum") == {"busyTimeMsPerSecond": Aggregate(max=1)}
    (call,) = stub.calls
    assert call.path == (
        f"{PREFIX}/jobs/j/vertices/v/subtasks/metrics?get=Source__nums_src_%28A%29__b%26agg%3Dx%231.numRecordsIn,"
        "busyTimeMsPerSecond,Source__%C3%BCber%2B1%25.pendingRecords&agg=max,sum"
    )


def test_no_names_are_no_request(stub: Stub, rest: FlinkRest) -> None:
    """A vertex of which nothing is wanted costs nothing."""
    assert rest.metrics("j", "v", ()) == {}
    assert stub.calls == []


def test_an_empty_answer_asks_for_the_names_again(stub: Stub, rest: FlinkRest) -> None:
    """One name that went away empties the whole answer: None, not no metrics."""
    stub.otherwise(lambda _: json_of([]))
    assert rest.metrics("j", "v", ("busyTimeMsPerSecond",)) is None


def test_memory_is_read_without_collection_time_on_1_18(stub: Stub, rest: FlinkRest) -> None:
    """A release without collection time is found out once, and asked one question from then on."""

    def answer(call: Any) -> Answer:
        return json_of([]) if "GarbageCollector" in call.path else flink_answer("1.18.1", "tm_metrics")

    stub.otherwise(answer)
    first = rest.memory()
    assert (first.gc_pressure, first.heap_usage is None) == (None, False)
    assert rest.memory() == first
    assert len(stub.calls) == 3


def test_no_task_manager_says_nothing_of_memory(stub: Stub, rest: FlinkRest) -> None:
    """Without TaskManagers memory is absent, and a release with collection time is not taken for one without."""
    gc = {"id": flink_json.GC_TIME, "max": 250.0}
    used, limit = {"id": flink_json.HEAP_USED, "max": 50.0}, {"id": flink_json.HEAP_MAX, "max": 100.0}
    stub.answer(f"{PREFIX}/taskmanagers/metrics", json_of([]), json_of([]), json_of([gc, used, limit]))
    assert rest.memory() == Memory()
    assert rest.memory() == Memory(gc_pressure=0.25, heap_usage=0.5)


def test_a_job_that_cannot_checkpoint_has_no_interval(stub: Stub, rest: FlinkRest) -> None:
    """Flink's 404 for a job without a checkpoint coordinator means off; any other refusal is passed on."""
    path = f"{PREFIX}/jobs/j/checkpoints/config"
    text = "RestHandlerException: Checkpointing is not enabled for this job (j)."
    stub.answer(path, errors(text, status=404), errors("no", status=400))
    assert rest.checkpoint_interval_ms("j") is None
    with pytest.raises(Rejected):
        rest.checkpoint_interval_ms("j")


def test_requirements_are_put_as_flink_wants_them(stub: Stub, rest: FlinkRest) -> None:
    """The body names both bounds of every vertex and nothing else."""
    stub.answer(f"{PREFIX}/jobs/j/resource-requirements", json_of({}), method="PUT")
    put = rest.put_requirements("j", {"v": Bounds(lower=1, upper=4), "w": Bounds(lower=2, upper=2)})
    assert put.result is PutResult.ACCEPTED
    (call,) = stub.calls
    assert json.loads(call.body) == {
        "v": {"parallelism": {"lowerBound": 1, "upperBound": 4}},
        "w": {"parallelism": {"lowerBound": 2, "upperBound": 2}},
    }


ODD: dict[str, object] = {
    "a list": [],
    "an object": {},
    "null": None,
    "a number": 1,
    "jobs that are words": {"jobs": ["x"]},
    "a plan that is text": {"jid": "j", "plan": "{}"},
    "vertices without a name": {"jid": "j", "plan": {"nodes": [{"id": "a"}]}, "vertices": [{}]},
    "a list of words": ["x"],
    "requirements of nothing": {"v": {"parallelism": None}},
    "history without times": {"history": [{"id": 1}]},
    "a circle": with_plan({"id": "a", "inputs": [edge("b")]}, {"id": "b", "inputs": [edge("a")]}),
    "an edge from nowhere": with_plan({"id": "a", "inputs": [edge("b")]}),
}


def test_a_job_that_is_told_in_part_is_not_judged(stub: Stub, rest: FlinkRest) -> None:
    """A vertex without its place in the plan is no source: who shrinks it for what it seems to read does harm."""
    told = with_plan({"id": "a"}, {"id": "b", "inputs": [edge("a")]})
    for part in ("plan", "vertices"):
        document = copy.deepcopy(told)
        (document["plan"]["nodes"] if part == "plan" else document["vertices"]).pop(0 if part == "vertices" else 1)
        stub.answer(f"{PREFIX}/jobs/j", json_of(document))
        with pytest.raises(Transient, match="expected Flink's form"):
            rest.job("j")


def failure_of(ask: Callable[[], object]) -> str | None:
    try:
        ask()
    except Transient as error:
        return error.kind
    return None


@pytest.mark.parametrize("document", ODD.values(), ids=ODD)
def test_json_of_another_form_is_never_a_crash(stub: Stub, rest: FlinkRest, document: object) -> None:
    """JSON that is not in Flink's form is a value or a transient failure that quotes it, nothing else."""
    stub.otherwise(lambda _: json_of(document))
    of_job = (rest.job, rest.job_parameters, rest.checkpoints, rest.checkpoint_interval_ms, rest.requirements)
    questions: list[Callable[[], object]] = [
        rest.jobs,
        rest.cluster_config,
        rest.configuration,
        rest.poke,
        rest.task_managers,
        rest.memory,
        lambda: rest.metric_names("j", "v"),
        lambda: rest.metrics("j", "v", ("a",)),
        *(partial(ask, "j") for ask in of_job),
    ]
    kinds = [failure_of(ask) for ask in questions]
    assert set(kinds) == {None, "unexpected"} or set(kinds) == {"unexpected"}

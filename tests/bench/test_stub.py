"""The benchmark's cluster answers as a real one does: read through the adapters the daemon reads it with."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest
from bench import seed, shapes
from bench.processes import Stub
from bench.stub import jobs, now_ms, parsed

from autoscaler import options
from autoscaler.cluster import ApplicationFilter, FlinkRest, HttpClient, ResourceManagers
from autoscaler.core import decide
from autoscaler.model import BusyTimeAggregator, Cluster, History, Reason, Window

COUNT = 3


@pytest.fixture(scope="module")
def stub() -> Iterator[Stub]:
    running = Stub(COUNT, {"job.autoscaler.enabled": "true"}, now_ms() - shapes.RUNNING_FOR)
    yield running
    running.close()


@pytest.fixture
def http() -> Iterator[HttpClient]:
    with HttpClient(workers=2, timeout_s=5.0) as client:
        yield client


def flink(stub: Stub, http: HttpClient) -> FlinkRest:
    (first, *_) = ResourceManagers(http, [stub.url]).applications(ApplicationFilter())
    assert first.tracking_url is not None
    return FlinkRest(http, first.id, first.tracking_url)


def test_every_application_is_listed_with_its_own_address(stub: Stub, http: HttpClient) -> None:
    """The daemon finds as many applications as the stub was told to be."""
    listed = ResourceManagers(http, [stub.url]).applications(ApplicationFilter())
    assert len({a.id for a in listed}) == len({a.tracking_url for a in listed}) == COUNT
    assert all(a.running_containers and a.attempt == 1 for a in listed)


def test_a_job_is_adaptive_and_asks_to_be_scaled(stub: Stub, http: HttpClient) -> None:
    """What the stub says of a job makes it one of ours."""
    rest = flink(stub, http)
    assert rest.cluster_config().adaptive
    assert rest.configuration()["job.autoscaler.enabled"] == "true"
    assert rest.configuration()["jobmanager.scheduler"] == "adaptive"
    (job,) = rest.jobs()
    assert job.effective_state == "RUNNING"
    assert rest.job_parameters(job.id) == {"sleep-us": "1000"}


def test_a_job_may_be_rescaled_and_no_node_drains(stub: Stub, http: HttpClient) -> None:
    """What the daemon asks beside metrics is answered as by a quiet cluster."""
    rest = flink(stub, http)
    (job,) = rest.jobs()
    assert {bounds.upper for bounds in rest.requirements(job.id).values()} == {shapes.PARALLELISM}
    assert ResourceManagers(http, [stub.url]).nodes("DECOMMISSIONING") == ()


def test_details_are_complete_and_grow(stub: Stub, http: HttpClient) -> None:
    """Ten vertices in a chain, no doubts, and counters that move with the time."""
    rest = flink(stub, http)
    rest.poke()
    (job,) = rest.jobs()
    before = rest.job(job.id)
    time.sleep(0.2)
    after = rest.job(job.id)
    assert before.doubts == ()
    assert [v.is_source for v in before.topology.vertices] == [True] + [False] * 9
    assert {v.parallelism for v in before.topology.vertices} == {8}
    last = before.topology.vertices[-1].id
    assert (after.counters[last].read_records or 0) > (before.counters[last].read_records or 0)


def test_metrics_have_what_was_asked_for_and_no_more(stub: Stub, http: HttpClient) -> None:
    """Names are listed as long as real ones are; an aggregate not asked for is absent."""
    rest = flink(stub, http)
    (job,) = rest.jobs()
    source, other = job.id, rest.job(job.id).topology.vertices[1].id
    names = rest.metric_names(source, other)
    assert 100 < len(names) < 200
    read = rest.metrics(job.id, other, ("busyTimeMsPerSecond",), "max,avg,sum")
    assert read is not None
    busy = read["busyTimeMsPerSecond"]
    assert busy.min is None
    assert busy.max is not None
    assert 600 < busy.max < 700
    assert busy.sum == pytest.approx(8 * (busy.avg or 0))


def test_requests_are_counted_by_kind_since_the_mark(stub: Stub, http: HttpClient) -> None:
    """The counts the table rests on."""
    rest = flink(stub, http)
    (job,) = rest.jobs()
    stub.mark()
    rest.poke()
    rest.job(job.id)
    rest.job(job.id)
    seen = stub.seen()
    assert seen["requests"] == {"poke": 1, "job": 2}
    assert [path.rpartition("/jobs/")[2] for path in seen["log"][1:]] == [job.id, job.id]
    assert seen["sent_bytes"] > 10_000


@pytest.mark.parametrize("aggregator", [BusyTimeAggregator.MAX, BusyTimeAggregator.AVG])
def test_the_load_asks_for_no_scaling(aggregator: BusyTimeAggregator) -> None:
    """Steady load near the target: with a full window the job is STEADY, whichever way its busy time is read."""
    now = now_ms()
    started = now - shapes.RUNNING_FOR
    times = [now - minutes * 60_000 for minutes in range(12, -1, -1)]
    topology, samples = seed.past(jobs(1, {})[0], started, times, aggregator)
    policy = options.policy({"metrics.busy-time.aggregator": aggregator.value}, options.EMR)
    window = Window(topology=topology, running_since=started, samples=samples)
    assert all(sample.doubts == () for sample in samples)
    assert decide(window, History(), policy, Cluster(), now).reason is Reason.STEADY


def test_a_query_without_aggregates_asks_for_all() -> None:
    """As Flink takes it; names come percent-encoded."""
    assert parsed("get=a%3Ab,c") == (("a:b", "c"), ("min", "max", "avg", "sum", "skew"))

"""One pass after the other: when, with how many calls, and what comes of strange answers."""

from __future__ import annotations

import math
from dataclasses import replace
from itertools import pairwise

import pytest
from msgspec import structs

from autoscaler.cluster import Aggregate, Gone, JobDetails, Transient
from autoscaler.loop import Lane
from autoscaler.loop.job import next_due
from autoscaler.model import JobKey, Reason, VertexId
from tests.loop.conftest import Log
from tests.loop.world import ADAPTIVE, SOURCE, WORKER, FakeJob, World

KEY = JobKey(cluster="test", application="orders-app", job="orders")
MINUTELY = ADAPTIVE | {"job.autoscaler.decision.interval": "60 s", "job.autoscaler.metrics.window": "10 min"}
Metrics = dict[str, Aggregate]


# ------------------------------------------------------------------ time


def test_poke_and_read_are_two_steps_two_seconds_apart(world: World) -> None:
    """A metric read is answered from what the last one fetched, so each pass asks first and reads 2 s later."""
    world.add_job()
    world.start()
    world.run(60)
    pokes, reads = world.flink.times("poke"), world.flink.times("job")
    assert [read - poke for poke, read in zip(pokes, reads, strict=False)] == [2_000] * len(reads)


def test_a_sample_has_the_time_of_its_poke(world: World) -> None:
    """The values read are those of the poke, and are stored as such."""
    world.add_job()
    world.start()
    world.run(60)
    window = world.store.window(KEY, 0)
    assert window is not None
    assert [sample.at for sample in window.samples] == world.flink.times("poke")[:-1]


def test_the_grid_of_passes_does_not_drift(world: World) -> None:
    """Passes that start late by some milliseconds each are still on the grid of the first after many of them."""
    world.add_job()
    first = world.time.now
    at = world.time.at
    world.time.at = lambda when, step, **how: at(when + 7, step, **how)  # type: ignore[method-assign]  # a lazy clock
    world.start()
    world.run(1_200)
    pokes = world.flink.times("poke")
    assert all(0 <= (poke - first) % 10_000 <= 50 for poke in pokes)
    assert len(pokes) == 120


def test_a_late_pass_is_counted_and_the_next_is_on_the_grid(world: World) -> None:
    """A pass that starts more than 5 s after its time is late; what it missed is not made up for."""
    world.add_job()
    world.start()
    world.run(35)
    world.time.now += 26_000  # the process was stopped, say
    world.run(30)
    assert world.counters.late_passes == 1
    assert [poke % 10_000 for poke in world.flink.times("poke")[-2:]] == [0, 0]


def test_each_job_has_its_own_interval(world: World) -> None:
    """Two jobs in one session are passed at the intervals their own parameters name."""
    world.add_job()
    world.flink.jobs_there.append(FakeJob(clock=world.time.clock, id="2" * 32, name="slow"))
    world.flink.parameters["2" * 32] = {"job.autoscaler.decision.interval": "30 s"}
    world.start()
    world.run(301)
    assert {job.subject.name: job.passes for job in world.fleet.jobs()} == {"orders": 30, "slow": 10}


def test_first_passes_are_spread_over_the_interval(world: World) -> None:
    """Forty jobs taken up at once do not come at once."""
    world.orders = replace(world.orders, spread=True)
    world.fleet = world.new_fleet()
    for _ in range(40):
        world.add_job(config=MINUTELY)
    world.start()
    world.run(60)
    firsts = sorted(flink.times("poke")[0] for flink in world.flinks.values())
    assert max(b - a for a, b in pairwise(firsts)) < 10_000


# ------------------------------------------------------------------ calls


@pytest.mark.parametrize(("aggregator", "calls"), [("MAX", 3 + 2), ("AVG", 3 + 1)])
def test_calls_of_a_steady_pass(world: World, aggregator: str, calls: int) -> None:
    """Over an hour a pass makes 3 calls and one per vertex, with AVG one per source only."""
    world.add_job(config=MINUTELY | {"job.autoscaler.metrics.busy-time.aggregator": aggregator}, rate=600.0)
    world.flink.jobs_there[0].parallelism[WORKER] = 2
    world.start()
    world.run(1_800)
    before = len(world.flink.calls)
    world.run(3_600)
    assert (len(world.flink.calls) - before) / 60 == pytest.approx(calls, abs=0.05)


def test_names_are_listed_once_per_attempt(world: World) -> None:
    """Metric names are listed on first sight and after each restart."""
    job = world.add_job()
    world.start()
    world.run(100)
    assert world.flink.calls.count("names") == 2
    job.running_since = world.time.now
    world.run(100)
    assert world.flink.calls.count("names") == 4


def test_names_are_listed_again_when_a_read_is_empty(world: World) -> None:
    """An empty answer means that a name is not there any more."""
    job = world.add_job()
    world.start()
    world.run(35)
    job.spoil = lambda vertex, found: {k: v for k, v in found.items() if "PerSecond" not in k or vertex == SOURCE}
    world.run(10)
    assert world.flink.calls.count("names") == 3


def test_names_of_a_source_without_pending_records_are_listed_every_fifth_pass(world: World) -> None:
    """Kafka registers pendingRecords with the first record it fetches: until then the names are looked at again."""
    job = world.add_job()
    job.spoil = lambda _, found: {k: v for k, v in found.items() if "pendingRecords" not in k}
    world.start()
    world.run(301)
    assert 2 + 5 <= world.flink.calls.count("names") <= 2 + 6
    job.spoil = lambda _, found: found
    world.run(60)
    listed = world.flink.calls.count("names")
    world.run(300)
    assert world.flink.calls.count("names") == listed
    assert world.status().vertices[0].lag == 0


@pytest.mark.parametrize(("threshold", "reads"), [("1.0", 0), ("0.9", 6)])
def test_taskmanager_metrics_are_read_only_where_a_gate_is_on(world: World, threshold: str, reads: int) -> None:
    """Memory pressure costs a call, so it is read only if a threshold says that it matters."""
    world.add_job(config=ADAPTIVE | {"job.autoscaler.memory.gc-pressure.threshold": threshold})
    world.start()
    world.run(55)
    assert world.flink.calls.count("memory") == reads


# ------------------------------------------------------------------ strange answers


def spoiled(metric: str, value: Aggregate | None) -> object:
    def spoil(_: VertexId, found: Metrics) -> Metrics:
        return {k: (value or v) if metric in k else v for k, v in found.items() if value is not None or metric not in k}

    return spoil


def test_partitions_a_topic_is_given_later_are_found_once_they_are_missed(world: World) -> None:
    """A source that lags with a subtask for each partition is looked at again now and then, any other is not."""
    job = world.add_job(config=ADAPTIVE | {"job.autoscaler.scaling.enabled": "false"})
    partitions, behind = 1, 0.0

    def with_partitions(vertex: VertexId, found: Metrics) -> Metrics:
        name = "Source__orders.KafkaSourceReader.topic.t.partition.{}.currentOffset"
        if vertex != SOURCE:
            return found
        offsets = {name.format(n): Aggregate(sum=1.0) for n in range(partitions)}
        return found | offsets | {"Source__orders.pendingRecords": Aggregate(sum=behind)}

    def known_partitions() -> list[int | None]:
        window = world.store.window(KEY, 0)
        assert window is not None
        return [vertex.source_partitions for vertex in window.topology.vertices]

    job.spoil = with_partitions
    world.start()
    world.run(100)
    listed, partitions = len(world.flink.times("names")), 2
    world.run(700)
    assert known_partitions() == [1, None]
    assert len(world.flink.times("names")) == listed, "one that keeps up was asked again"
    behind = 20_000.0  # 50 s of what arrives
    world.run(1400)
    assert known_partitions() == [2, None]
    assert len(world.flink.times("names")) == listed + 1, "with more partitions than subtasks it is not asked again"


@pytest.mark.parametrize("metric", ["busyTimeMsPerSecond", "numRecordsIn", "pendingRecords"])
@pytest.mark.parametrize("value", [Aggregate(), None], ids=["not-a-number", "absent"])
def test_metrics_that_say_nothing_scale_nothing_down(world: World, metric: str, value: Aggregate | None) -> None:
    """ "NaN" for one metric, or none of it, never looks like an idle job."""
    job = world.add_job(rate=50.0)
    job.parallelism = {SOURCE: 1, WORKER: 4}
    job.spoil = spoiled(metric, value)  # type: ignore[assignment]
    world.start()
    world.run(300)
    if metric == "busyTimeMsPerSecond":
        assert job.puts == []
    assert "unexpected" not in world.status().detail


INFINITE = Aggregate(min=math.inf, max=math.inf, avg=math.inf, sum=math.inf)


@pytest.mark.parametrize("metric", ["busyTimeMsPerSecond", "numRecordsIn", "pendingRecords"])
def test_an_infinite_metric_is_survived(world: World, metric: str) -> None:
    """ "Infinity" in a metric leads to a decision or a reason, not to a crash."""
    job = world.add_job()
    job.spoil = spoiled(metric, INFINITE)  # type: ignore[assignment]
    world.start()
    world.run(100)
    assert "unexpected" not in world.status().detail


def test_a_job_that_reports_no_busy_time_says_so(world: World) -> None:
    """Why nothing is ever done about a job shows in its status, with the vertices it is about."""
    job = world.add_job()
    job.spoil = spoiled("busyTimeMsPerSecond", Aggregate())  # type: ignore[assignment]
    world.start()
    world.run(100)
    assert world.status().reason is Reason.STEADY
    assert world.status().detail == "not sized, as no busy time is reported: orders, enrich"


def test_incomplete_counters_withhold_a_scale_down(world: World) -> None:
    """While Flink says that counters are not complete, nothing is taken away from the job."""
    job = world.add_job(rate=50.0)
    job.parallelism = {SOURCE: 1, WORKER: 4}
    job.changes = {"doubts": ("counters of enrich incomplete",)}
    world.start()
    world.run(200)
    assert job.puts == []
    assert "doubtful" in world.status().detail
    assert "counters of enrich incomplete" in world.status().detail
    job.changes = {}
    world.run(200)
    assert job.puts, "with complete counters the same load is a scale-down"


@pytest.mark.parametrize(("running", "doubtful"), [(1, False), (2, True)])
def test_subtasks_that_have_finished_are_not_missed(world: World, running: int, doubtful: bool) -> None:
    """Where readers of a source end for want of work Flink tells their times no more, which casts doubt on nothing."""
    job = world.add_job(rate=50.0)
    job.parallelism = {SOURCE: 4, WORKER: 4}
    details = job.details

    def of_one_reader(vertex: VertexId, metrics: Metrics) -> Metrics:
        busy = metrics["busyTimeMsPerSecond"]
        return metrics | ({"busyTimeMsPerSecond": structs.replace(busy, sum=busy.avg)} if vertex == SOURCE else {})

    def with_tasks() -> JobDetails:
        told = details()
        source = told.counters[SOURCE]
        tasks = {"RUNNING": running, "FINISHED": source.parallelism - running}
        return replace(told, counters=told.counters | {SOURCE: structs.replace(source, tasks=tasks)})

    job.spoil, job.details = of_one_reader, with_tasks  # type: ignore[method-assign]
    world.start()
    world.run(70)
    assert ("metrics of 1 subtasks of Source: orders" in world.status().detail) is doubtful
    assert bool(job.puts) is not doubtful


@pytest.mark.parametrize("told", [True, False])
def test_metrics_that_stand_still_withhold_a_scale_down(world: World, told: bool) -> None:
    """A JobManager that TaskManagers do not answer goes on with the last it knows: by its counters nothing flows. Where
    times are not told either, that cannot be seen."""
    job = world.add_job(ADAPTIVE | {"job.autoscaler.metrics.window": "3 min"}, rate=2_500.0)
    job.parallelism = {SOURCE: 1, WORKER: 8}
    world.start()
    world.run(200)
    assert world.status().reason is Reason.STEADY
    frozen, last = world.flink.job(job.id).counters, {vertex: job.metrics(vertex) for vertex in job.parallelism}
    job.changes = {"counters": frozen if told else {v: structs.replace(c, idle_ms=None) for v, c in frozen.items()}}
    world.flink.metrics = lambda _job, vertex, _names, _agg: last[vertex]  # type: ignore[method-assign,misc]
    world.run(150)
    assert (job.puts == []) is told
    assert ("metrics stand still for" in world.status().detail) is told


@pytest.mark.parametrize("seconds", [30, 60, 150])
def test_a_job_whose_metrics_are_fetched_seldom_is_scaled(world: World, log: Log, seconds: int) -> None:
    """A JobManager told to fetch metrics less often than every 10 s is no silent one: its jobs are decided on as often
    as there is news of them, and shrink and grow as others do."""
    config = MINUTELY | {"metrics.fetcher.update-interval": str(1_000 * seconds)}
    job = world.add_job(config, rate=400.0)
    job.parallelism = {SOURCE: 1, WORKER: 4}
    world.flink.fetches_every = 1_000 * seconds
    at = world.time.at
    world.time.at = lambda when, step, **how: at(when + when // 7 % 40, step, **how)  # type: ignore[method-assign]
    world.start()
    world.run(1_800)
    assert "doubtful" not in world.status().detail
    assert [put[WORKER].upper for put in job.puts] == [2]
    job.rate = 2_000.0
    world.run(1_800)
    assert job.parallelism[WORKER] >= 4
    told = [line for line in log if "metrics.fetcher.update-interval" in str(line.get("detail"))]
    assert len(told) == (1 if seconds > 60 else 0)


def test_metrics_that_are_never_fetched_hold_the_job(world: World) -> None:
    """An interval of 0 switches the JobManager's metrics off: nothing can be measured, and the owner is told why."""
    world.add_job(ADAPTIVE | {"metrics.fetcher.update-interval": "0"})
    world.start()
    world.run(60)
    assert world.status().reason is Reason.BAD_CONFIGURATION
    assert "metrics.fetcher.update-interval is 0 in application application_" in world.status().detail


def test_metrics_that_are_older_than_the_window_hold_the_job(world: World) -> None:
    """Two samples with the same old values tell no rate: the owner is told which of the two to change."""
    world.add_job(ADAPTIVE | {"metrics.fetcher.update-interval": "61 s"})
    world.start()
    world.run(60)
    assert world.status().reason is Reason.BAD_CONFIGURATION
    assert "longer than metrics.window, which is 1 min" in world.status().detail


def test_counters_that_run_backwards_are_no_rate(world: World) -> None:
    """After a restart counters begin anew: no negative rate is shown and none decided on."""
    job = world.add_job()
    world.start()
    world.run(100)
    job.records = 0.0
    world.run(10)
    rates = [vertex.rate for vertex in world.status().vertices]
    assert all(rate is None or rate >= 0 for rate in rates)
    world.run(100)
    assert world.status().reason is Reason.STEADY
    assert job.puts == []


def test_a_counter_that_was_too_low_once_lets_nothing_grow(world: World) -> None:
    """The sample before it leaves the window first: by what remains the rate is far too high, and still in doubt."""
    job = world.add_job(rate=300.0)
    world.start()
    world.run(120)
    job.advance()
    lost, job.records = job.records, 0.0
    world.run(10)
    job.records += lost
    world.run(55)
    assert "doubtful" in world.status().detail
    world.run(60)
    assert job.puts == []
    assert "doubtful" not in world.status().detail


def test_a_finished_vertex_is_left_alone(world: World) -> None:
    """A vertex that has finished is not read, and does not keep the others from being scaled."""
    job = world.add_job(rate=1_600.0)
    job.finished = (SOURCE,)
    world.start()
    world.run(100)
    assert world.flink.calls.count("names") == 1
    assert all(put[SOURCE].upper == 1 for put in job.puts)


def test_a_job_that_waits_for_slots_is_shown_so(world: World) -> None:
    """The form Flink gives without an execution graph holds the submitted parallelism: it is not used."""
    job = world.add_job()
    job.changes = {"running_since": None}
    world.start()
    world.run(60)
    assert world.status().reason is Reason.NOT_RUNNING
    assert "waits for slots" in world.status().detail
    assert world.store.window(KEY, 0) is None


def test_a_job_that_restarts_is_shown_so(world: World) -> None:
    """A job Flink calls RESTARTING is not measured."""
    job = world.add_job()
    world.start()
    world.run(35)
    job.busy_until = world.time.now + 30_000
    world.run(10)
    assert world.status().reason is Reason.NOT_RUNNING
    assert "RESTARTING" in world.status().detail


@pytest.mark.parametrize("call", ["job", "metrics", "overview", "poke", "names"])
def test_a_job_that_vanishes_between_two_calls_is_not_an_error(world: World, log: Log, call: str) -> None:
    """Whichever call finds the job gone, that is shown, and the job goes on when it is back."""
    job = world.add_job()
    world.start()
    world.run(35)
    job.running_since = world.time.now - 600_000  # names are listed again
    world.flink.broken[call] = Gone("GET jobs/1111: job not found")
    world.run(10)
    assert world.status().reason is Reason.NOT_RUNNING
    assert "not found" in world.status().detail
    world.flink.broken.clear()
    world.run(100)
    assert world.status().reason is Reason.STEADY
    assert not [line for line in log if line["log_level"] == "error"]


def test_an_unexpected_failure_of_a_pass_is_shown_and_survived(world: World, log: Log) -> None:
    """A bug in one job's pass is logged once with its trace, shown, and the next pass comes."""
    world.add_job()
    world.start()
    world.run(35)
    world.flink.broken["job"] = ZeroDivisionError("surprise")
    world.run(60)
    assert world.status().reason is Reason.ERROR
    assert "unexpected ZeroDivisionError: surprise" in world.status().detail
    assert [line["exc_info"] is not None for line in log if line["event"] == "pass failed"] == [True]
    world.flink.broken.clear()
    world.run(100)
    assert world.status().reason is Reason.STEADY
    assert [line["event"] for line in log].count("passes succeed again") == 1


# ------------------------------------------------------------------ what is said


def test_one_line_per_change_of_mind(world: World, log: Log) -> None:
    """A job that stays as it is gets a line when that begins, and its numbers every `debug.logs.interval`."""
    world.add_job()
    world.start()
    world.run(1_000)
    said = [line["reason"] for line in log if line["event"] == "job"]
    assert said == ["NOT_READY", "WINDOW_NOT_FULL", "STEADY"]
    evaluations = [line for line in log if line["event"] == "evaluation"]
    assert len(evaluations) == 3
    assert set(evaluations[0]["vertices"]) == {"orders", "enrich"}, "names, not ids"


def test_only_changed_decisions_are_stored(world: World) -> None:
    """Any time of the same decision is one row."""
    world.add_job()
    world.start()
    world.run(600)
    assert [d.decision.reason for d in world.store.decisions(KEY, 99)] == [
        Reason.STEADY,
        Reason.WINDOW_NOT_FULL,
        Reason.NOT_READY,
    ]


def test_meters_are_not_believed_before_they_span_a_minute() -> None:
    """Flink's per-second meters ramp up from 0 for a minute after each restart; until then only counters tell rates."""
    world = World(act=False)  # a rescale would be another attempt
    job = world.add_job(lag=1_000_000.0)
    job.running_since = world.time.now
    world.start()
    world.run(100)
    window = world.store.window(KEY, 0)
    assert window is not None
    for sample in window.samples:
        young = sample.at - job.running_since < 60_000
        assert (sample.vertices[WORKER].records_in_per_s is None) == young
        assert not young or sample.vertices[SOURCE].observed_tpr is None
        assert sample.vertices[WORKER].records_in is not None


def test_a_hanging_application_takes_little_of_a_workers_time(world: World) -> None:
    """A first call gets 2 s among the workers; one that hangs is made again among the suspects, with all its time."""
    world.add_job()
    world.start()
    world.run(35)
    world.flink.fail = Transient("timeout", "no answer")
    world.flink.patience.clear()
    world.run(6)
    assert world.flink.patience[:2] == [2.0, None]
    assert [lane for name, lane in world.time.lanes if "/" in name][-1] is Lane.SUSPECTS
    assert world.counters.failed_passes == 1


@pytest.mark.parametrize(
    ("now", "intervals", "due"),
    [
        (105, 1, 160),
        (160, 1, 160),
        (161, 1, 220),
        (105, 3, 280),
        (230, 1, 280),
        (40, 1, 100),
        (-5_000, 2, -4_880),
    ],
)
def test_passes_keep_their_grid_until_the_clock_is_set_back(now: int, intervals: int, due: int) -> None:
    """After a pass at 100 one is due every 60; what is past is left out. A clock set back begins a grid of its own."""
    assert next_due(100, 60, intervals, now) == due

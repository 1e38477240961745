"""The fault campaign in small: that it breaks things, that it finds what breaks, that it can be told to go on."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path

import pytest
import structlog
from faults.broken import BREAKS, ROOT, Break
from faults.doubts import Doubt, behind
from faults.episode import play
from faults.masters import ADDRESSES, GOOD_FOR, Masters
from faults.observer import BUDGET, CAPACITY, LOST, SECOND, Observer
from faults.process import ErrorLog, HostClock
from faults.report import read, summed, table, written
from faults.run import main
from faults.weather import CRASH_POINTS, Answer, Weather
from faults.wire import doubtful, question, reordered, spoilt_reply
from faults.world import RECORDS_PER_SLOT, world

from autoscaler.cluster import ClusterError
from autoscaler.cluster.flink_json import parse_job
from autoscaler.cluster.http import failure
from autoscaler.model import Bounds, JobKey, Phase, Request, RequestKind, Transition, VertexId
from autoscaler.sim.cluster import SimCluster
from autoscaler.sim.drive import BEGAN
from autoscaler.sim.virtual import VirtualTime
from autoscaler.store import open_store
from autoscaler.telemetry import configure_logging


@pytest.fixture(autouse=True)
def _quiet() -> Iterator[None]:
    configure_logging("json", "error")
    yield
    structlog.reset_defaults()


def test_nothing_is_broken_when_everything_goes_wrong() -> None:
    """An hour and a half each of some worlds, with the daemon killed and its answers spoilt: no invariant is broken."""
    outcomes = [play(seed, 1.5) for seed in range(2)]
    total = summed(outcomes)
    assert total.failed == []
    assert total.puts > 0
    assert total.faulty > 50
    assert total.hit


def test_an_episode_is_a_function_of_its_seed() -> None:
    """Twice the same seed is twice the same episode, so that a failing one can be played again."""
    first, second = (replace(play(3, 1.0), cpu_s=0.0) for _ in range(2))
    assert first == second


def test_a_campaign_goes_on_where_it_was_interrupted(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Finished shards are read and not played again; the table and the JSON are made of all."""
    kept = replace(play(0, 1.0), passes=4711, violations=())
    (tmp_path / "1h-0-0.jsonl").write_text(f"{json.dumps(written(kept))}\n", encoding="utf-8")
    main(["--episodes", "1", "--hours", "1", "--results", str(tmp_path), "--workers", "1"])
    assert "4,711" in capsys.readouterr().out
    assert (tmp_path / "faults.json").exists()


def test_a_violation_names_the_command_that_plays_it_again() -> None:
    """Whoever reads the table can look at what went wrong."""
    outcome = replace(play(5, 1.0), violations=())
    broken = read(written(outcome) | {"violations": [[LOST, 60_000, "sent twice"]]})
    said = table(summed([broken]))
    assert f"BROKEN: {LOST}" in said
    assert "make faults SEED=5 HOURS=1" in said


# ------------------------------------------------------------------ the observer


class Watched:
    """A cluster with an observer, on which requirements are changed without any daemon."""

    def __init__(self, seed: int = 0) -> None:
        self.world = world(seed, 2.0)
        self.cluster = SimCluster(self.world.scenario, seed, BEGAN)
        store = open_store("sqlite://", 1 << 30, BEGAN).store
        self.host = HostClock(VirtualTime(BEGAN, self.cluster.advance))
        self.store, self.key = store, JobKey(cluster="c", application="a", job="j")
        self.observer = Observer(self.world, self.cluster, self.host, store, self.key, Masters())
        self.host.time.run(BEGAN + 180_000)

    def put(self, by: int) -> list[str]:
        """Ask for more or less of every vertex; what the observer objects to."""
        live = self.cluster.job.requirements
        return self.ask({v: Bounds(lower=1, upper=max(1, b.upper + by)) for v, b in live.items()})

    def ask(self, body: Mapping[VertexId, Bounds]) -> list[str]:
        """Ask for requirements; what the observer objects to."""
        self.observer.asked(body)
        self.cluster.job.put(body, self.cluster.now)
        found = [violation.invariant for violation in self.observer.violations]
        self.observer.violations.clear()
        return found

    def intend(self, kind: RequestKind, body: Mapping[VertexId, Bounds]) -> None:
        """Store a request as a daemon does before it sends it."""
        job = self.cluster.job
        self.store.add_request(
            Request(
                key=self.key,
                application_id="application_1_0001",
                job_id="job",
                decided_at=self.host.now(),
                reason="as the test has it",
                kind=kind,
                before=dict(job.parallelism),
                target={vertex: bound.upper for vertex, bound in body.items()},
                requirements=body,
                running_since=BEGAN,
            )
        )


def test_the_observer_sees_a_rescale_that_nobody_recorded() -> None:
    """A PUT without an intent in the store is lost in the next crash."""
    assert LOST in Watched().put(1)


def test_the_observer_sees_the_same_request_twice() -> None:
    """The requirements in force, sent again, are a doubled rescale."""
    watched = Watched()
    watched.put(1)
    assert watched.put(0).count(LOST) == 2


def test_the_observer_sees_a_second_target_in_flight() -> None:
    """Containers are pending, and more is asked for; a lowering is allowed."""
    watched = Watched()
    watched.put(1)
    assert SECOND in watched.put(1)
    assert SECOND not in watched.put(-2)


def test_what_somebody_else_allowed_is_not_in_flight() -> None:
    """A bound set by hand that the cluster cannot give is asked for again once it was lost, and nobody waits for it."""
    watched = Watched()
    job = watched.cluster.job
    submitted = dict(job.requirements)
    theirs = {job.ids[-1]: Bounds(lower=1, upper=2_000)}
    watched.observer.changed_by_others(theirs)
    lost = {**submitted, **theirs}
    watched.ask(lost)
    watched.host.time.run(watched.host.now() + 5_000)
    assert SECOND not in watched.ask({**lost, job.ids[0]: Bounds(lower=1, upper=lost[job.ids[0]].upper + 1)})


def test_a_roll_back_takes_back_what_was_withdrawn_in_part() -> None:
    """Of a change that was reached in part the rest is withdrawn first; what then takes it back is no shrink."""
    watched = Watched()
    job = watched.cluster.job
    former = dict(job.requirements)
    watched.put(2_000)
    watched.host.time.run(watched.host.now() + 300_000)
    watched.ask({v: Bounds(lower=1, upper=job.parallelism[v]) for v in job.ids})
    watched.intend(RequestKind.ROLL_BACK, former)
    assert LOST not in watched.ask(former)
    change, withdrawal, roll_back = watched.observer.puts
    assert (change.scales, withdrawal.scales, roll_back.scales) == (True, False, False)


@pytest.mark.parametrize(("stood_still", "early"), [(60_000, False), (0, True)], ids=["stood still", "too early"])
def test_the_distance_of_rescales_counts_from_when_they_were_sent(stood_still: int, early: bool) -> None:
    """A daemon that stands still between noting when it sends and its PUT keeps the distance by what it noted."""
    watched = Watched()
    job = watched.cluster.job

    def rescale(upper: int) -> list[str]:
        body = {vertex: Bounds(lower=1, upper=upper) for vertex in job.ids}
        watched.intend(RequestKind.SCALE, body)
        sent_at = watched.host.now() - stood_still
        found = watched.ask(body)
        stored = watched.store.requests(watched.key, 1)[0]
        watched.store.update_request(replace(stored, sent_at=sent_at))
        return found

    rescale(2_000)
    watched.host.time.run(watched.host.now() + watched.world.promises.gap_down - 40_000)
    assert (BUDGET in rescale(1)) is early


JUDGED = Transition(at=BEGAN, was=Phase.PROBATION, now=Phase.ROLLED_BACK, reason="a slot reads 70% of what it did")
OLD = Doubt(at=BEGAN, by_clock=BEGAN - 62_000, vertex=None)


@pytest.mark.parametrize(
    ("verdict", "doubt", "is_behind"),
    [
        (JUDGED, replace(OLD, by_clock=BEGAN - 2_000), True),
        (JUDGED, replace(OLD, sampled=True), True),
        (JUDGED, OLD, False),
        (JUDGED, replace(OLD, sampled=True, followed=True), False),
        (JUDGED, replace(OLD, by_clock=BEGAN + 58_000, sampled=True), False),
        (replace(JUDGED, reason="it restarted 2 times since"), replace(OLD, sampled=True), False),
    ],
    ids=["newest", "the one before", "never sampled", "long ago", "after it", "no numbers"],
)
def test_a_verdict_rests_on_doubts(verdict: Transition, doubt: Doubt, is_behind: bool) -> None:
    """Of the two newest samples one is doubtful, and it is numbers that the verdict names."""
    assert (behind(verdict, [doubt]) is doubt) is is_behind


def test_doubtful_details_are_followed_by_another_sample() -> None:
    """The sample that is made of them does not follow them, however often it is told of."""
    doubt = replace(OLD)
    doubt.kept(OLD.by_clock, stored=False)
    doubt.kept(OLD.by_clock, stored=True)
    assert (doubt.sampled, doubt.stored, doubt.followed) == (True, True, False)
    doubt.kept(OLD.by_clock + 60_000, stored=False)
    assert doubt.followed


def test_no_error_that_a_daemon_tells_is_overlooked() -> None:
    """What crashed counts every time, though a log tells it once."""
    log = ErrorLog()
    log.error("a step failed", ValueError("one"))
    for _ in range(2):
        log.crashed("pass", "pass failed", KeyError("another"), job="orders")
    assert log.errors == ["a step failed: ValueError: one", *["pass failed: KeyError: 'another'"] * 2]


def test_the_observer_sees_that_there_is_no_room() -> None:
    """Thousands of subtasks fit no cluster of this campaign."""
    assert CAPACITY in Watched().put(2_000)


def test_the_observer_knows_what_a_vertex_needed() -> None:
    """At the target utilization for what it did, less a fifth, once its metrics were asked for."""
    watched = Watched()
    job, time = watched.cluster.job, watched.host.time
    time.run(BEGAN + 600_000)
    source, inner = job.ids[0], job.ids[-1]
    assert watched.observer.truth.needed(inner, time.now) == 0
    job.metrics.read(time.now)
    asked_at = time.now
    time.run(asked_at + 10_000)
    speed = RECORDS_PER_SLOT * job.vertices[0].speed
    arrived = (job.arrivals[source].until(600) - job.arrivals[source].until(420)) / 180
    assert watched.observer.truth.needed(source, asked_at) == pytest.approx(0.8 * arrived / speed / 0.6, rel=0.1)
    assert 0 < watched.observer.truth.needed(inner, asked_at) < job.parallelism[inner]


def test_task_managers_are_lost_time_and_again() -> None:
    """One of twelve episodes has a spell in which a TaskManager is lost and there is no room for another."""
    assert play(5, 1.0).effects["TaskManager lost, no room"] > 1


def test_a_job_does_less_after_it_grew() -> None:
    """One of twelve episodes has changes that look harmful by numbers, some of them doubtful."""
    assert play(11, 1.5).effects["harm"] > 1


def test_only_the_daemon_that_leads_may_send() -> None:
    """Where leases count, the observer objects to a daemon beside a standby, and to one without the lease."""
    masters = Masters()
    first, second = ADDRESSES
    masters.holder = "daemon 1"
    assert masters.objection(first, "daemon 1", BEGAN) is None
    assert masters.objection(first, "daemon 2", BEGAN) == "daemon 2, while daemon 1 holds the lease"
    masters.step_down(BEGAN)
    assert masters.objection(first, "daemon 1", BEGAN + GOOD_FOR) is None
    masters.take_over(BEGAN + GOOD_FOR)
    assert masters.objection(second, "daemon 1", BEGAN + 60_000) is None
    assert "which is not active since 58.0 s" in (masters.objection(first, "daemon 1", BEGAN + 60_000) or "")


def test_every_answer_of_the_simulated_cluster_can_be_spoilt() -> None:
    """The places of faults are those the daemon asks at."""
    base = "http://proxy:20888/proxy/application_1_0001"
    assert question("http://rm:8088/ws/v1/cluster/apps?states=RUNNING") is Answer.APPLICATIONS
    assert question("http://rm:8088/ws/v1/cluster/apps/application_1_0001") is Answer.APPLICATION
    assert question(f"{base}/jobs/abc") is Answer.JOB
    assert question(f"{base}/jobs/abc/vertices/def/subtasks/metrics?get=x") is Answer.METRICS
    assert question(f"{base}/jobs/abc/checkpoints/config") is Answer.CHECKPOINT_CONFIG
    assert question(f"{base}/jobs/overview") is Answer.JOBS


@pytest.mark.parametrize("fault", ["html", "html-ok", "unavailable", "error", "gone", "empty", "truncated"])
def test_spoilt_answers_are_none_to_the_daemons_own_code(fault: str) -> None:
    """What the campaign puts on the wire is no answer by the code that judges a real wire."""
    reply = spoilt_reply({"jobs": [{"jid": "1"}]}, fault, random.Random(1))
    assert isinstance(failure("GET", "http://proxy/x", reply), ClusterError)


def test_another_order_is_the_same_document() -> None:
    """Members and items change places, none is lost."""
    before = {"a": [1, 2, 3, 4], "b": {"c": 1, "d": 2}}
    after = reordered(before, random.Random(2))
    assert after.keys() == before.keys()
    assert sorted(after["a"]) == before["a"]


def test_a_crash_point_is_passed_unharmed_unless_it_is_armed() -> None:
    """Only what was armed kills, and only once."""
    weather = Weather(draw=random.Random(1), favourite=CRASH_POINTS[0])
    weather.passing(CRASH_POINTS[0])
    weather.arm_crash()
    with pytest.raises(BaseException, match=CRASH_POINTS[0]):
        weather.passing(CRASH_POINTS[0])
    weather.passing(CRASH_POINTS[0])
    assert weather.hit[CRASH_POINTS[0]] == 1


@pytest.mark.parametrize("one", BREAKS, ids=lambda one: one.guard)
def test_every_guard_can_be_broken(one: Break) -> None:
    """The text that is changed to break a guard stands once in the file it is said to be in."""
    text = (ROOT / "autoscaler" / one.file).read_text(encoding="utf-8")
    assert text.count(one.before) == 1
    assert one.before != one.after


def test_doubts_are_told_of_what_cannot_be_true() -> None:
    """Details without counters are doubtful for all, those whose counters fell for their vertex, others for none."""
    vertex = {"id": "v", "parallelism": 2, "tasks": {"RUNNING": 2}, "start-time": 1, "metrics": {"read-records": 50}}
    details = {"vertices": [vertex], "plan": {"nodes": [{"id": "v"}]}}
    draw = random.Random(1)
    spoilt, doubt = doubtful(details, "incomplete", None, draw)
    assert doubt == ""
    assert parse_doubts(spoilt)
    assert not parse_doubts(details | {"vertices": [vertex | {"metrics": COMPLETE}]})
    assert doubtful(details, "backwards", details, draw)[1] == "v"
    assert doubtful(details, "backwards", None, draw)[1] is None
    assert doubtful({"vertices": [vertex]}, "incomplete", None, draw)[1] is None


COMPLETE = {"read-records-complete": True, "write-records-complete": True}


def parse_doubts(document: dict[str, object]) -> tuple[str, ...]:
    """What the daemon's own parser doubts of a job's details."""
    vertices = [{"maxParallelism": 8, "name": "v", **each} for each in document["vertices"]]  # type: ignore[attr-defined]
    return parse_job({"jid": "1", **document, "vertices": vertices}).doubts

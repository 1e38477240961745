"""Which applications and jobs are found, when one is new, gone, or not to be told apart."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import pytest

from autoscaler.cluster import Gone, Rejected, Transient
from autoscaler.loop import Lane
from autoscaler.model import JobKey, Reason, RequestState
from autoscaler.options import layer_of
from tests.loop.conftest import Log
from tests.loop.world import ADAPTIVE, SOURCE, WORKER, FakeFlink, FakeJob, World

DAY = 86_400
KEY = JobKey(cluster="test", application="orders-app", job="orders")


def events(log: Log, event: str) -> Log:
    return [line for line in log if line["event"] == event]


# ------------------------------------------------------------------ found


def test_a_job_is_found_and_read(world: World) -> None:
    """A running job of ours is listed under its application's and its own name after the first pass."""
    world.add_job()
    world.start()
    world.run(3)
    assert world.reasons() == {"orders-app/orders": "NOT_READY"}
    status = world.status()
    assert (status.application_id, status.job_id, status.state) == (world.application.id, "1" * 32, "RUNNING")


def test_an_empty_cluster_is_fine(world: World) -> None:
    """Without any application nothing is listed and discovery goes on."""
    world.start()
    world.run(61)
    assert world.fleet.statuses() == []
    assert world.yarn.asked == 3


def test_every_job_of_a_session_is_taken_up(world: World) -> None:
    """A session cluster's jobs each have a pass and a history of their own."""
    jobs = [FakeJob(clock=world.time.clock, id=c * 32, name=f"job-{c}") for c in "123"]
    world.add(FakeFlink(jobs), name="session")
    world.start()
    world.run(3)
    assert set(world.reasons()) == {"session/job-1", "session/job-2", "session/job-3"}
    assert {job.passes for job in world.fleet.jobs()} == {1}


def test_a_session_without_jobs_is_looked_at_every_minute(world: World) -> None:
    """An application that runs nothing costs one overview a minute and shows nothing."""
    world.add(FakeFlink([]))
    world.start()
    world.run(600)
    assert world.fleet.statuses() == []
    assert 9 <= len(world.flink.times("overview")) <= 11


def test_a_new_job_of_a_session_is_taken_up_by_the_next_pass(world: World) -> None:
    """A job that appears beside one of ours is seen by that one's next overview."""
    world.add_job()
    world.start()
    world.run(15)
    world.flink.jobs_there.append(FakeJob(clock=world.time.clock, id="2" * 32, name="second"))
    world.run(15)
    assert world.reasons()["orders-app/second"] == "NOT_READY"


def test_a_new_job_beside_jobs_of_others_is_taken_up_within_a_minute(world: World) -> None:
    """Where no pass lists the jobs, the application is looked at once a minute."""
    world.add(FakeFlink([]))
    world.start()
    world.run(15)
    world.flink.jobs_there.append(FakeJob(clock=world.time.clock))
    world.run(63)
    assert world.reasons().keys() == {"orders-app/orders"}


def test_a_new_application_is_found_by_the_next_discovery(world: World) -> None:
    """An application that starts later is taken up within the discovery interval."""
    world.start()
    world.run(45)
    world.add_job()
    world.run(20)
    assert world.status().reason is Reason.NOT_READY


# ------------------------------------------------------------------ not ours


@pytest.mark.parametrize(
    ("config", "version", "reason", "words"),
    [
        ({"jobmanager.scheduler": "default"}, "1.20.0", Reason.NOT_ADAPTIVE, "jobmanager.scheduler: adaptive"),
        ({"job.autoscaler.enabled": "false"}, "1.20.0", Reason.NOT_ENABLED, "job.autoscaler.enabled"),
        ({"job.autoscaler.yarn.enabled": "true"}, "1.20.0-amzn-0", Reason.TWO_SCALERS, "job.autoscaler.enabled: false"),
        ({}, "1.16.3", Reason.UNSUPPORTED_VERSION, "1.16.3 cannot change"),
        ({"scheduler-mode": "reactive"}, "1.20.0", Reason.REACTIVE_MODE, "reactive"),
        ({"scheduler-mode": "REACTIVE", "jobmanager.scheduler": "default"}, "1.20.0", Reason.REACTIVE_MODE, "reactive"),
        ({"job.autoscaler.yarn.enabled": "false"}, "1.20.0", Reason.NOT_ENABLED, "yarn.enabled is false"),
    ],
)
def test_a_job_that_is_not_ours_is_listed_with_the_reason(
    world: World, config: dict[str, str], version: str, reason: Reason, words: str
) -> None:
    """Whoever may not be scaled is listed with what stands against it, and is never asked to change."""
    job = world.add_job(config=ADAPTIVE | config, version=version, rate=5_000.0)
    world.start()
    world.run(600)
    status = world.status()
    assert status.reason is reason
    assert words in status.detail
    assert job.puts == []
    assert "poke" not in world.flink.calls


def test_a_batch_job_is_listed_and_left_alone(world: World) -> None:
    """A batch job is shown as one, however busy it is."""
    job = world.add_job(kind="BATCH", rate=5_000.0)
    world.start()
    world.run(300)
    assert world.status().reason is Reason.BATCH
    assert job.puts == []


def test_emr_hands_over_a_job(world: World) -> None:
    """On EMR's Flink `yarn.enabled: true` with the built-in scaler off makes the job ours."""
    config = ADAPTIVE | {"job.autoscaler.enabled": "false", "job.autoscaler.yarn.enabled": "true"}
    world.add_job(config=config, version="1.20.0-amzn-0")
    world.start()
    world.run(3)
    assert world.status().reason is Reason.NOT_READY


def test_a_rule_does_not_hide_a_scaler_that_is_at_work(world: World) -> None:
    """What EMR's scaler was started with counts, whatever is said of the job since."""
    job = world.add_job(config=ADAPTIVE | {"job.autoscaler.yarn.enabled": "true"}, version="1.20.0-amzn-0")
    world.above.append(layer_of("rule 0", {"job.autoscaler.enabled": "false"}))
    world.start()
    world.run(600)
    assert world.status().reason is Reason.TWO_SCALERS
    assert job.puts == []


@pytest.mark.parametrize(
    ("version", "config", "on_emr_host", "reason", "words"),
    [
        ("1.20.0-amzn-0", {}, False, Reason.EMR_SCALES, "EMR's own scaler works on this job"),
        ("1.20.0", {}, True, Reason.SCALER_UNKNOWN, "set job.autoscaler.yarn.enabled: true"),
        ("1.17.1", {}, True, Reason.SCALER_UNKNOWN, "set job.autoscaler.yarn.enabled: true"),
        ("1.17.1", {"job.autoscaler.yarn.enabled": "true"}, False, Reason.UNSUPPORTED_VERSION, "1.17.1 cannot change"),
    ],
)
def test_a_job_somebody_else_may_scale_is_advised_on(
    world: World, log: Log, version: str, config: dict[str, str], on_emr_host: bool, reason: Reason, words: str
) -> None:
    """It is measured, the log and each sentence say why it is left alone, what it needs is shown, and nothing is
    sent."""
    world.orders = replace(world.orders, on_emr_host=on_emr_host)
    world.fleet = world.new_fleet()
    job = world.add_job(config=ADAPTIVE | config, version=version, rate=5_000.0)
    world.start()
    world.run(3)
    assert f"advice only: {events(log, 'configuration')[0]['detail'].removeprefix('Advice only. ')}" in (
        world.status().detail
    )
    world.run(600)
    status = world.status()
    assert status.reason is reason
    assert status.detail.startswith("would scale")
    assert words in status.detail
    assert job.puts == []


def test_a_host_that_is_handed_the_job_acts(world: World) -> None:
    """On an EMR host `yarn.enabled` says whose job it is, where Flink's version does not."""
    world.orders = replace(world.orders, on_emr_host=True)
    world.fleet = world.new_fleet()
    job = world.add_job(config=ADAPTIVE | {"job.autoscaler.yarn.enabled": "true"}, rate=5_000.0)
    world.start()
    world.run(600)
    assert job.puts


# ------------------------------------------------------------------ configuration


def test_a_bad_duration_holds_only_its_job(world: World) -> None:
    """A value that cannot be read holds that job with key, value and source; its neighbours go on."""
    world.add(FakeFlink([FakeJob(clock=world.time.clock, name="good"), FakeJob(clock=world.time.clock, id="2" * 32)]))
    world.flink.parameters["2" * 32] = {"job.autoscaler.metrics.window": "ten minutes"}
    world.start()
    world.run(30)
    bad, good = world.status("orders"), world.status("good")
    assert bad.reason is Reason.BAD_CONFIGURATION
    assert "job.autoscaler.metrics.window is 'ten minutes' in global parameters of job orders" in bad.detail
    assert good.reason is Reason.WINDOW_NOT_FULL


@pytest.mark.parametrize(
    ("key", "value"), [("excluded.periods", "every full moon"), ("yarn.time-zone", "Europe/Nowhere")]
)
def test_a_value_that_would_fail_later_holds_the_job_now(world: World, key: str, value: str) -> None:
    """Periods and time zones are checked when the job is taken up, not when they first matter."""
    world.add_job(config=ADAPTIVE | {f"job.autoscaler.{key}": value})
    world.start()
    world.run(3)
    assert world.status().reason is Reason.BAD_CONFIGURATION
    assert value in world.status().detail


def test_an_unknown_key_is_warned_of_with_the_nearest_known(world: World, log: Log) -> None:
    """A misspelt option is named once, with the one that was probably meant, and the job goes on."""
    world.add_job(config=ADAPTIVE | {"job.autoscaler.metrics.windov": "5 min"})
    world.start()
    world.run(60)
    warned = [line["detail"] for line in events(log, "configuration")]
    assert warned == ["job.autoscaler.metrics.windov is not an option; did you mean job.autoscaler.metrics.window?"]
    assert world.status().reason is Reason.WINDOW_NOT_FULL


# ------------------------------------------------------------------ ending


def test_a_job_missing_once_is_not_gone(world: World) -> None:
    """An overview may leave a job out whose JobMaster was slow; nothing is concluded from one."""
    job = world.add_job()
    world.start()
    world.run(35)
    job.present = False
    world.run(20)
    assert len(world.fleet.jobs()) == 1, "two absences 10 s apart are not enough either"
    job.present = True
    world.run(30)
    assert world.status().reason is Reason.STEADY
    assert len(world.status().vertices) == 2


def test_a_job_that_ended_is_taken_off_the_list(world: World, log: Log) -> None:
    """A job that stays away is no longer looked at, and `status` says that it ended."""
    job = world.add_job()
    world.start()
    world.run(35)
    job.present = False
    world.run(60)
    assert world.fleet.statuses() == []
    assert world.store.statuses()[0].state == "ENDED"
    assert "job ended" in [line["event"] for line in log]
    assert world.store.absent() == {}, "the application runs, so the history has no end yet"


def test_a_job_that_flink_calls_ended_is_dropped_at_once(world: World) -> None:
    """A session lists ended jobs for an hour; one overview that says so is enough."""
    job = world.add_job()
    world.start()
    world.run(35)
    job.state = "CANCELED"
    world.run(10)
    assert world.fleet.jobs() == []
    assert "CANCELED" in world.store.statuses()[0].detail


def test_a_job_of_others_that_ended_is_dropped(world: World) -> None:
    """A job that is not ours leaves the list, and the store's after a day."""
    world.add(FakeFlink([FakeJob(clock=world.time.clock)], config={}))
    world.start()
    world.run(3)
    assert world.reasons() == {"orders-app/orders": "NOT_ENABLED"}
    world.flink.jobs_there.clear()
    world.run(65)
    assert world.reasons() == {}
    assert "Flink lists the job no longer" in world.store.statuses()[0].detail
    assert list(world.store.absent()) == [KEY]


def test_what_was_measured_of_a_job_outlives_it_in_a_session(world: World) -> None:
    """A job that was ours once keeps its history while its application runs, also where it ends as not ours."""
    job = world.add_job()
    world.start()
    world.run(35)
    world.flink.config = {}
    world.restart()
    world.run(35)
    assert world.reasons() == {"orders-app/orders": "NOT_ENABLED"}
    world.flink.jobs_there.remove(job)
    world.run(65)
    assert world.store.absent() == {}
    assert world.store.window(KEY, 0) is not None


@pytest.mark.slow
@pytest.mark.parametrize("state", ["FINISHED", "KILLED", "FAILED"])
def test_an_application_that_ended_is_forgotten_after_a_day(world: World, state: str) -> None:
    """24 hours after YARN's terminal state, and not before, everything stored of the job is deleted."""
    world.add_job()
    world.start()
    world.run(35)
    world.end(world.application, state)
    world.run(60)
    assert world.fleet.statuses() == []
    assert state in world.store.statuses()[0].detail
    world.run(DAY - 600)
    assert world.store.keys() == (KEY,)
    world.run(1200)
    assert world.store.keys() == ()


def test_an_application_unknown_to_yarn_has_ended(world: World, log: Log) -> None:
    """A ResourceManager that was restarted without its memory does not know the application: it is gone."""
    world.add_job()
    world.start()
    world.run(35)
    del world.yarn.running[world.application.id]
    world.run(60)
    assert world.fleet.statuses() == []
    assert "unknown to YARN" in events(log, "application left")[0]["detail"]


def test_a_job_submitted_again_within_a_day_continues_its_history(world: World) -> None:
    """A successor of the same name takes up what was stored, and its absence is over."""
    world.add_job()
    world.start()
    world.run(100)
    first = world.application
    world.end(first)
    world.run(60)
    assert list(world.store.absent()) == [KEY]
    world.add(FakeFlink([FakeJob(clock=world.time.clock, id="2" * 32)]), number=2)
    world.run(60)
    assert world.store.absent() == {}
    assert world.status().key == KEY
    assert world.status().application_id != first.id


def test_a_successor_found_together_with_the_end_has_the_plain_name(world: World) -> None:
    """If one discovery finds the old application gone and the new one there, the name is free."""
    world.add_job()
    world.start()
    world.run(100)
    world.end(world.application)
    world.add(FakeFlink([FakeJob(clock=world.time.clock, id="2" * 32)]), number=2)
    world.run(60)
    assert [str(s.key) for s in world.fleet.statuses()] == ["orders-app/orders"]


def test_what_ended_while_no_daemon_ran_is_noticed_at_the_start(world: World) -> None:
    """A daemon that starts looks up the applications it knew, and begins the day for those that ended."""
    world.add_job(rate=1_600.0)
    world.start()
    world.run(63)
    assert world.requests()[0].state is RequestState.SENT
    world.end(world.application)
    world.restart()
    world.run(5)
    assert list(world.store.absent()) == [KEY]
    assert world.requests()[0].state is RequestState.NOT_ACHIEVED


def test_applications_the_filter_no_longer_admits_are_left_alone(world: World) -> None:
    """After the settings' filter was narrowed a running application is no longer scaled, and not forgotten."""
    job = world.add_job()
    world.start()
    world.run(100)
    world.yarn.unwanted.add(world.application.id)
    world.run(30)
    job.rate = 5_000.0
    world.run(300)
    assert world.fleet.statuses() == []
    assert job.puts == []
    assert world.store.absent() == {}


@pytest.mark.parametrize("restarted", [False, True])
def test_what_new_settings_leave_out_is_shown_no_longer(world: World, restarted: bool) -> None:
    """Narrowed by SIGHUP or a restart, the filter leaves no job that looks watched, nor a request nobody follows."""
    world.add_job(rate=1_600.0)
    world.start()
    world.run(63)
    assert world.requests()[0].state is RequestState.SENT
    world.flink.fail = Transient("timeout", "no answer")  # so that no job is taken up before the filter is applied
    world.yarn.unwanted.add(world.application.id)
    if restarted:
        world.restart()
    else:
        world.fleet.obey(world.orders, 30_000, world.time.now)
    world.run(5)
    shown = {str(s.key): (s.state, s.detail) for s in world.store.statuses()}
    assert shown["orders-app/orders"] == ("ENDED", "the settings' filter no longer admits the application")
    assert {state for state, _ in shown.values()} == {"ENDED"}
    assert world.requests()[0].state is RequestState.NOT_ACHIEVED
    assert world.store.absent() == {}
    world.flink.fail = None
    world.yarn.unwanted.clear()
    world.run(100)
    assert world.status().state == "RUNNING"
    assert world.status() in world.store.statuses()


# ------------------------------------------------------------------ attempts


def test_an_application_without_an_address_is_listed_and_asked_again_soon(world: World) -> None:
    """Between RUNNING and the ApplicationMaster's registration the application is shown, and then taken up in 5 s."""
    world.add_job()
    address = world.application.tracking_url
    world.set_application(tracking_url=None)
    world.start()
    world.run(1)
    (status,) = world.fleet.statuses()
    assert status.reason is Reason.NOT_RUNNING
    assert "no address of an ApplicationMaster yet" in status.detail
    world.set_application(tracking_url=address)
    world.run(8)
    assert world.reasons() == {"orders-app/orders": "NOT_READY"}
    assert [s.key.job for s in world.store.statuses()] == ["orders"]


def test_between_attempts_the_application_is_kept(world: World) -> None:
    """An ApplicationMaster that died leaves the application ACCEPTED: its job is held, not forgotten."""
    world.add_job()
    world.start()
    world.run(100)
    world.set_application(state="ACCEPTED", am_address=None, tracking_url=None)
    world.flink.fail = Transient("redirect", "expected JSON, got 302")
    world.run(60)
    assert world.status().reason is Reason.UNREACHABLE
    assert "302" in world.status().detail
    assert world.store.absent() == {}


def test_am_killed_without_ha_continues_under_the_same_key(world: World) -> None:
    """A new attempt runs the job under a new id at the submitted parallelism: same history, open request closed."""
    world.add_job(rate=1_600.0, slots=1)
    world.start()
    world.run(63)
    assert world.status().reason is Reason.IN_FLIGHT
    world.flink.fail = Transient("server-error", "got 500")
    world.set_application(am_address=None)
    world.run(10)
    world.flink.fail = None
    world.flink.jobs_there[:] = [FakeJob(clock=world.time.clock, id="2" * 32, rate=300.0)]
    world.set_application(am_address="host:2")
    world.run(40)
    assert [(str(s.key), s.job_id) for s in world.fleet.statuses()] == [("orders-app/orders", "2" * 32)]
    (request,) = world.requests()
    assert request.state is RequestState.NOT_ACHIEVED
    assert request.outcome is not None
    assert "another id" in request.outcome.note
    assert world.flink.jobs_there[0].parallelism == {SOURCE: 1, WORKER: 1}
    assert world.store.memory(KEY).scalings, "what was scaled before counts for the successor"


def test_a_new_id_in_the_same_attempt_waits_until_the_old_one_is_gone(world: World) -> None:
    """A job restarted in a session keeps its key: the new one is taken up when the old is surely gone."""
    old = world.add_job()
    world.start()
    world.run(35)
    old.present = False
    world.flink.jobs_there.append(FakeJob(clock=world.time.clock, id="2" * 32))
    world.run(11)
    assert [s.job_id for s in world.fleet.statuses()] == ["1" * 32]
    world.run(40)
    assert [(str(s.key), s.job_id) for s in world.fleet.statuses()] == [("orders-app/orders", "2" * 32)]


def test_am_killed_with_ha_goes_on_with_the_same_job(world: World) -> None:
    """After a minute of errors the same id answers: window, history and open request are those of before."""
    job = world.add_job(rate=1_600.0)
    job.restart_ms = 90_000
    world.start()
    world.run(63)
    world.flink.fail = Transient("redirect", "got 302")
    world.set_application(am_address=None)
    world.run(60)
    assert world.status().reason is Reason.UNREACHABLE
    world.flink.fail = None
    world.set_application(am_address="host:2")
    world.run(60)
    (request,) = world.requests()
    assert request.state is RequestState.ACHIEVED
    assert [(str(s.key), s.job_id) for s in world.fleet.statuses()] == [("orders-app/orders", "1" * 32)]
    assert len(job.puts) == 1


# ------------------------------------------------------------------ names


def two_of_one_name(world: World) -> tuple[FakeJob, FakeJob]:
    first, second = (FakeJob(clock=world.time.clock, id=c * 32) for c in "12")
    world.add(FakeFlink([first]), 1, "twin")
    world.add(FakeFlink([second]), 2, "twin")
    return first, second


def test_two_applications_of_one_name_are_kept_apart_and_reported(world: World, log: Log) -> None:
    """The second one's job is known by its application's id, and a warning says how to name it."""
    two_of_one_name(world)
    world.start()
    world.run(100)
    assert set(world.reasons()) == {"twin/orders", "twin (application_1767225600000_0002)/orders"}
    (line,) = events(log, "two running jobs have the same name; set job.autoscaler.yarn.id to tell them apart by name")
    assert line["kept_as"] == "twin (application_1767225600000_0002)/orders"


def test_other_jobs_in_applications_of_one_name_need_no_telling_apart(world: World) -> None:
    """`Flink session cluster` is every session's name: only equal job names in them meet."""
    world.add(FakeFlink([FakeJob(clock=world.time.clock, name="a")]), 1, "session")
    world.add(FakeFlink([FakeJob(clock=world.time.clock, name="b")]), 2, "session")
    world.start()
    world.run(3)
    assert set(world.reasons()) == {"session/a", "session/b"}


def test_yarn_id_tells_applications_of_one_name_apart(world: World, log: Log) -> None:
    """With an id of its own the younger application needs no warning and has a stable name."""
    two_of_one_name(world)
    list(world.flinks.values())[1].config["job.autoscaler.yarn.id"] = "second"
    world.start()
    world.run(3)
    assert set(world.reasons()) == {"twin/orders", "second/orders"}
    assert not [line for line in log if "same name" in line["event"]]


def test_a_restart_does_not_exchange_histories(world: World) -> None:
    """Whoever had which name has it again after a restart, even if the younger answers first."""
    two_of_one_name(world)
    world.start()
    world.run(100)
    before = {s.application_id: str(s.key) for s in world.fleet.statuses()}
    first = next(iter(world.flinks.values()))
    first.fail = Transient("timeout", "no answer")
    world.restart()
    world.run(2)
    first.fail = None
    world.run(100)
    assert {s.application_id: str(s.key) for s in world.fleet.statuses()} == before


def test_the_one_kept_apart_keeps_its_name_when_the_other_ends(world: World) -> None:
    """A free name is not taken over by a running job: its history would be another's."""
    two_of_one_name(world)
    world.start()
    world.run(100)
    world.end(world.application)
    world.run(60)
    world.restart()
    world.run(60)
    assert set(world.reasons()) == {"twin (application_1767225600000_0002)/orders"}


def test_two_jobs_of_one_name_in_a_session_are_kept_apart(world: World) -> None:
    """The second is known by its job id."""
    world.add(FakeFlink([FakeJob(clock=world.time.clock, id=c * 32) for c in "12"]), name="session")
    world.start()
    world.run(30)
    assert set(world.reasons()) == {"session/orders", f"session/orders ({'2' * 32})"}


# ------------------------------------------------------------------ failing applications


def test_an_application_that_fails_is_listed_and_delays_no_other(world: World, log: Log) -> None:
    """One that answers HTML is shown as unreachable, is asked ever more rarely, and apart from the others."""
    world.add_job()
    world.add_job()
    world.flink.fail = Transient("html", "GET jobs/overview: expected JSON, got 200, text/html: Login")
    world.start()
    world.run(600)
    bad, good = (next(s for s in world.fleet.statuses() if s.key.application == n) for n in ("orders-app", "app-2"))
    assert bad.reason is Reason.UNREACHABLE
    assert "Login" in bad.detail
    assert good.reason is Reason.STEADY
    assert len(world.flink.calls) <= 9, "4, 8, 16 ... s apart"
    assert {lane for name, lane in world.time.lanes[9:] if name == world.application.id} == {Lane.SUSPECTS}
    assert len(events(log, "the application does not answer")) == 1
    world.flink.fail = None
    world.run(300)
    assert world.reasons()["orders-app/orders"] == "STEADY"
    assert len(events(log, "the application answers again")) == 1


def test_finding_out_what_runs_delays_no_pass(world: World) -> None:
    """Applications are looked into by threads of their own: many that hang when first seen delay only newcomers."""
    world.add_job()
    world.start()
    world.run(100)
    lanes = {lane for name, lane in world.time.lanes if name == world.application.id}
    assert lanes == {Lane.VISITS}
    assert {lane for name, lane in world.time.lanes if "/" in name} == {Lane.WORKERS}


def test_a_job_that_fails_backs_off_on_its_own_lane(world: World) -> None:
    """Failing passes come after 1, 2, 4 ... intervals, at most 5 min apart, and away from the workers."""
    world.add_job()
    world.start()
    world.run(100)
    world.flink.fail = Transient("timeout", "no complete answer within 10 s")
    mark = len(world.time.lanes)
    world.run(1_200)
    pokes = [at for at in world.flink.times("poke") if at > world.time.now - 1_200_000]
    gaps = [(b - a) // 1000 for a, b in pairwise(pokes)]
    assert gaps == [20, 40, 80, 160, 300, 300]
    assert {lane for name, lane in world.time.lanes[mark:] if "/" in name} == {Lane.SUSPECTS}
    world.flink.fail = None
    world.run(400)
    assert world.status().reason is Reason.STEADY
    assert world.time.lanes[-1][1] is Lane.WORKERS


def test_one_job_that_cannot_be_taken_up_hides_no_other(world: World) -> None:
    """A session's second job is scaled although the first one's configuration cannot be read, which is listed with the
    reason and tried again."""
    jobs = [FakeJob(clock=world.time.clock, id=c * 32, name=f"job-{c}") for c in "12"]
    world.add(FakeFlink(jobs), name="session")
    honest = world.flink.job_parameters
    broken = True

    def parameters(job_id: str) -> dict[str, str]:
        if broken and job_id == "1" * 32:
            raise Transient("server-error", "got 500: JobMaster initialising")
        return dict(honest(job_id))

    world.flink.job_parameters = parameters  # type: ignore[method-assign]
    world.start()
    world.run(100)
    assert world.reasons() == {"session/job-1": "UNREACHABLE", "session/job-2": "STEADY"}
    assert world.status("job-1").detail == "got 500: JobMaster initialising"
    assert world.status("job-1").since < world.status("job-1").at
    assert {str(status.key) for status in world.store.statuses()} == set(world.reasons())
    broken = False
    world.run(200)
    assert world.reasons() == {"session/job-1": "STEADY", "session/job-2": "STEADY"}


def test_an_unexpected_failure_stays_with_its_job(world: World, log: Log) -> None:
    """A bug met while a job is taken up is logged and tried again; its neighbours go on."""
    world.add_job()
    world.add_job()
    world.flink.broken["job config"] = RuntimeError("surprise")
    world.start()
    world.run(100)
    assert world.reasons() == {"orders-app/orders": "ERROR", "app-2/orders": "STEADY"}
    assert [line["event"] for line in log].count("job cannot be taken up") == 1
    world.flink.broken.clear()
    world.run(200)
    assert len(world.reasons()) == 2


def test_a_job_that_could_not_be_taken_up_and_ended_is_shown_so(world: World) -> None:
    """It is not listed as one that cannot be reached for ever, nor is it once its own configuration gave it a name."""
    jobs = [FakeJob(clock=world.time.clock, id=c * 32, name=f"job-{c}") for c in "12"]
    world.add(FakeFlink(jobs), name="session")
    world.flink.broken["job config"] = Transient("server-error", "got 500")
    world.start()
    world.run(20)
    assert set(world.reasons().values()) == {"UNREACHABLE"}
    jobs[0].state = "FINISHED"
    world.flink.parameters = {jobs[1].id: {"job.autoscaler.yarn.id": "daily"}}
    world.flink.broken.clear()
    world.run(200)
    assert world.reasons() == {"daily/job-2": "STEADY"}
    stored = {str(status.key): status.reason for status in world.store.statuses()}
    assert stored["session/job-1"] is Reason.NOT_RUNNING
    assert {str(key) for key in world.store.absent()} == {"session/job-1", "session/job-2"}


def test_a_job_that_vanished_before_it_was_taken_up_is_no_failure(world: World, log: Log) -> None:
    """Flink knows the job no more when its parameters are read: nothing is listed and nothing said."""
    world.add_job()
    world.flink.broken["job config"] = Gone("job not found")
    world.start()
    world.run(30)
    assert world.fleet.statuses() == []
    assert not [line for line in log if line["log_level"] in ("warning", "error")]


def test_a_refusal_of_the_application_is_shown(world: World) -> None:
    """A 401 is shown as what it is."""
    world.add_job()
    world.flink.fail = Rejected(401, "expected JSON, got 401 (Negotiate); on a secured cluster set kerberos.keytab")
    world.start()
    world.run(10)
    assert "set kerberos.keytab" in world.fleet.statuses()[0].detail


# ------------------------------------------------------------------ the ResourceManager


def test_rm_down_at_start_is_waited_for_and_said_once(world: World, log: Log) -> None:
    """A ResourceManager that is away at the start is waited for with back-off, with one line, and then used."""
    world.add_job()
    world.yarn.fail = Transient("refused", "connection refused")
    world.start()
    world.run(300)
    assert world.fleet.down_since is not None
    assert len(events(log, "the ResourceManager does not answer; waiting for it")) == 1
    assert 10 <= world.yarn.asked <= 16, "1, 2, 4 ... then every 30 s"
    world.yarn.fail = None
    world.run(35)
    assert world.status().reason is not None
    assert len(events(log, "the ResourceManager answers again")) == 1


def test_rm_away_for_another_reason_than_at_first_is_told(world: World, log: Log) -> None:
    """A ResourceManager that was only not there yet, and then refuses us, is not waited for in silence."""
    world.yarn.fail = Transient("no-active-rm", "no connection within 3 s: refused")
    world.start()
    world.run(100)
    world.yarn.fail = Transient("no-active-rm", "expected JSON, got 401; on a secured cluster set kerberos.keytab")
    world.run(100)
    world.yarn.fail = Transient("no-active-rm", "no connection within 2.97 s: refused")
    world.run(100)
    told = [line["error"] for line in events(log, "the ResourceManager does not answer; waiting for it")]
    assert len(told) == 2
    assert "set kerberos.keytab" in told[1]


def test_rm_down_later_holds_every_job_and_recovers(world: World, log: Log) -> None:
    """While the ResourceManager is away no job is asked anything, each says why, and all go on by themselves."""
    world.add_job()
    world.add_job()
    world.start()
    world.run(100)
    world.yarn.fail = Transient("no-active-rm", "no active ResourceManager")
    world.run(35)
    asked = len(world.flink.calls)
    world.run(300)
    assert len(world.flink.calls) == asked
    assert set(world.reasons().values()) == {"UNREACHABLE"}
    assert "ResourceManager" in world.status().detail
    assert len(events(log, "the ResourceManager does not answer; waiting for it")) == 1
    world.yarn.fail = None
    world.run(120)
    assert set(world.reasons().values()) == {"STEADY"}
    assert world.counters.late_passes == 0, "held on purpose is not late"


def test_a_held_job_is_not_called_seen(world: World) -> None:
    """While a job is held its status keeps the time it was last looked at."""
    world.add_job()
    world.start()
    world.run(100)
    world.yarn.fail = Transient("refused", "refused")
    world.run(40)
    seen = world.status().at
    world.run(300)
    assert world.status().at == seen


def test_a_hanging_proxy_makes_the_daemon_ask_the_rm_at_once(world: World) -> None:
    """A time-out of an application may be the ResourceManager's: it is asked now, not in half a minute."""
    world.add_job()
    world.start()
    world.run(95)
    asked = world.yarn.asked
    world.yarn.fail = Transient("timeout", "no answer")
    world.flink.fail = Transient("timeout", "no complete answer within 10 s")
    world.run(6)
    assert world.yarn.asked > asked
    assert world.fleet.down_since is not None


def test_a_failure_of_the_discovery_itself_is_survived(world: World, log: Log) -> None:
    """Whatever the discovery stumbles over, it is logged and the next one comes."""
    world.add_job()
    world.yarn.fail = RuntimeError("surprise")  # type: ignore[assignment]
    world.start()
    world.run(31)
    assert "discovery failed" in [line["event"] for line in log]
    world.yarn.fail = None
    world.run(40)
    assert world.status().reason is Reason.NOT_READY


def test_new_orders_begin_nothing_before_the_start(world: World) -> None:
    """While a daemon waits for the copy its store is to begin with, new settings must not make it write there."""
    job = world.add_job(rate=5_000.0)
    world.fleet.obey(replace(world.orders, act=False), 10_000, world.time.now)
    world.run(60)
    assert world.yarn.asked == 0
    assert world.store.is_empty()
    world.start()
    world.run(120)
    assert world.status().reason is Reason.ADVISE_ONLY
    assert job.puts == []


def test_new_orders_are_obeyed_by_running_jobs(world: World) -> None:
    """Settings read again take effect on jobs that run: a rule's interval, and act or advise."""
    world.add_job()
    world.start()
    world.run(100)
    world.fleet.obey(replace(world.orders, act=False), 30_000, world.time.now)
    world.run(1)
    assert world.status().reason is Reason.STEADY, "what was known is still shown"
    world.run(10)
    assert world.status().reason is Reason.STEADY, "the window was recalled"
    world.flink.jobs_there[0].rate = 5_000.0
    world.run(120)
    assert world.status().reason is Reason.ADVISE_ONLY
    assert world.flink.jobs_there[0].puts == []

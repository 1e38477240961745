"""The same faults over real HTTP: the daemon's own parts in virtual time, against recorded and malicious answers."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from autoscaler.loop import Fleet
from autoscaler.model import JobStatus, Reason, Request, RequestState
from autoscaler.service import Service, opened_store, system_clock
from autoscaler.settings import Settings, load_settings
from autoscaler.store import RecoveringStore, open_existing
from autoscaler.telemetry import Journal
from tests.adapters.recorded import http_answer
from tests.adapters.stub import CLOSE, CUT, EMPTY, HANG, Answer, Stub, drip, errors, html, json_of, redirect
from tests.loop.world import VirtualTime
from tests.service.cluster import APPLICATION, KEY, WORKER, StubCluster, remember, settings_file

pytestmark = pytest.mark.slow


class Rig:
    """A service whose steps run in virtual time, so that only what hangs takes time."""

    def __init__(self, settings: Settings, store: RecoveringStore) -> None:
        self.service = Service(settings, store, spread=False)
        self.store = store
        self.time = VirtualTime(system_clock())
        environment = replace(self.service.environment, scheduler=self.time, clock=self.time.clock)
        self.fleet = Fleet(environment, self.service.fleet.orders, 30_000)
        self.fleet.start(self.time.now)

    def run(self, seconds: float) -> None:
        self.time.run(self.time.now + round(seconds * 1000))

    @property
    def last_request(self) -> Request:
        reader = open_existing(self.service.settings.store.url)
        (request, *_) = reader.requests(KEY, 9)
        reader.close()
        return request

    @property
    def status(self) -> JobStatus:
        (status,) = self.fleet.statuses()
        return status


@pytest.fixture
def rig(tmp_path: Path, stub: Stub, cluster: StubCluster) -> Iterator[Rig]:
    settings = load_settings(settings_file(tmp_path, stub, request_timeout="200 ms"))
    remember(tmp_path)
    store = opened_store(settings, Journal())
    with capture_logs():
        yield Rig(settings, store)
    store.close()


FAULTS = {
    "a page with 200": (html("<h1>Login</h1>"), "got 200, text/html;charset=utf-8: Login"),
    "a page with 500": (html("<h1>HTTP ERROR 500</h1>", 500), "got 500, text/html;charset=utf-8: HTTP ERROR 500"),
    "a redirect": (redirect("http://rm:8088/cluster/app/x"), "got 302 to http://rm:8088/cluster/app/x"),
    "an empty body": (EMPTY, "got 200 with an empty body"),
    "no byte": (HANG, "no complete answer within 0.2 s"),
    "a byte at a time": (drip({"jobs": []}), "no complete answer within 0.2 s"),
    "a closed connection": (CLOSE, "connection lost"),
    "half an answer": (CUT, "connection lost"),
    "another shape": (json_of("a word"), "expected Flink's form"),
    "an error of Flink's": (errors("Service temporarily unavailable", status=503), "Service temporarily unavailable"),
    "the killed application's page": (http_answer("proxy_killed_app"), "got 302"),
    "the starting application's page": (http_answer("proxy_starting_1_ACCEPTED"), "got 302"),
    "an application YARN does not know": (http_answer("proxy_unknown_app"), "got 404"),
    "an ApplicationMaster just killed": (http_answer("amkill_noha_01_get_500"), "got 500"),
    "between two attempts": (http_answer("amkill_noha_03_get_302"), "got 302"),
}


@pytest.mark.parametrize("end", ["jobs/overview", "jobmanager/metrics"])
@pytest.mark.parametrize(("answer", "words"), FAULTS.values(), ids=FAULTS)
def test_a_bad_answer_is_shown_and_recovered_from(
    rig: Rig, stub: Stub, cluster: StubCluster, end: str, answer: Answer, words: str
) -> None:
    """Whatever comes in place of an answer, the job is shown as unreachable with what came, and then goes on."""
    cluster.config["job.autoscaler.scaling.enabled"] = "false"
    rig.run(3)
    assert rig.status.reason.value == "SCALING_DISABLED"
    stub.answer(f"/proxy/{APPLICATION}/{end}", answer)
    rig.run(3)
    assert rig.status.reason is Reason.UNREACHABLE
    assert words in rig.status.detail
    assert end in rig.status.detail
    stub.answer(f"/proxy/{APPLICATION}/{end}")
    rig.run(8)
    assert rig.status.reason.value == "SCALING_DISABLED"


@pytest.mark.parametrize(
    ("answer", "words"),
    [(html("<h1>no</h1>", 500), "HTML"), (http_answer("proxy_unknown_app"), "404"), (HANG, "no complete answer")],
    ids=["page", "unknown", "hangs"],
)
def test_an_application_that_answers_badly_from_the_start_is_listed(
    rig: Rig, cluster: StubCluster, answer: Answer, words: str
) -> None:
    """An application that never answered is listed itself, with what came."""
    cluster.answers["/config"] = answer
    rig.run(3)
    assert rig.status.reason is Reason.UNREACHABLE
    assert rig.status.key.job == APPLICATION
    assert words.lower() in rig.status.detail.lower() or "500" in rig.status.detail


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (html("<h1>starting</h1>", 500), "got 500"),
        (HANG, "no complete answer within 0.2 s"),
        (json_of({"apps": []}, 503), "503"),
    ],
    ids=["page", "hangs", "unavailable"],
)
def test_a_resource_manager_that_answers_badly_is_waited_for(
    rig: Rig, stub: Stub, cluster: StubCluster, answer: Answer, words: str
) -> None:
    """While the ResourceManager makes no sense, nothing is asked through the proxy, and it is said once."""
    cluster.config["job.autoscaler.scaling.enabled"] = "false"
    rig.run(3)
    stub.answer("/ws/v1/cluster/apps", answer)
    stub.answer("/ws/v1/cluster/info", answer)
    with capture_logs() as lines:
        rig.run(35)
        asked = cluster.asked("/jobs/overview")
        rig.run(60)
    assert cluster.asked("/jobs/overview") == asked
    said = [line["error"] for line in lines if line["event"].startswith("the ResourceManager does not")]
    assert len(said) == 1
    assert words in said[0]
    assert rig.status.reason is Reason.UNREACHABLE
    stub.answer("/ws/v1/cluster/apps")
    stub.answer("/ws/v1/cluster/info")
    rig.run(32)
    assert rig.status.reason.value != "UNREACHABLE"


def test_a_standby_is_recognised(rig: Rig, cluster: StubCluster) -> None:
    """Of ResourceManagers none of which is active the message says what each of them is."""
    cluster.answers["/cluster/info"] = json_of({"clusterInfo": {"haState": "STANDBY"}})
    with capture_logs() as lines:
        rig.run(3)
    assert any("is STANDBY" in str(line.get("error")) for line in lines)


@pytest.mark.parametrize(
    ("name", "state", "reason"),
    [
        ("put_ok", RequestState.SENT, Reason.IN_FLIGHT),
        ("put_above_max_parallelism", RequestState.REJECTED, Reason.REJECTED),
        ("put_partial_one_vertex", RequestState.REJECTED, Reason.REJECTED),
        ("put_unknown_job", RequestState.REJECTED, Reason.REJECTED),
        ("proxy_killed_app_put", RequestState.VOID, Reason.UNREACHABLE),
        ("amkill_noha_02_put_500", RequestState.SENT, Reason.IN_FLIGHT),
        ("amkill_noha_04_put_302", RequestState.VOID, Reason.UNREACHABLE),
    ],
)
def test_recorded_answers_to_a_put(
    rig: Rig, cluster: StubCluster, name: str, state: RequestState, reason: Reason
) -> None:
    """Each recorded answer leads to its state; a PUT that may have been carried out is sent once and watched."""
    cluster.answers["resource-requirements"] = http_answer(name)
    rig.run(2.5)
    rig.run(0.6)
    assert cluster.puts[0][WORKER]["parallelism"]["upperBound"] > 2
    rig.run(0.5)
    assert rig.status.reason is reason
    assert rig.last_request.state is state
    if state is RequestState.SENT:
        rig.run(60)
        assert len(cluster.puts) == 1


def test_what_flink_refuses_is_shown_with_the_vertex_name(rig: Rig, cluster: StubCluster) -> None:
    """Flink's message names vertices by id; ours by name."""
    text = f"The newly requested parallelism 130 for the job vertex {WORKER} exceeds its maximum parallelism 128."
    cluster.answers["resource-requirements"] = errors(text, status=400)
    rig.run(2.5)
    assert rig.status.reason is Reason.REJECTED
    assert "for the job vertex worker exceeds its maximum" in rig.status.detail


def test_an_outcome_over_http(rig: Rig, cluster: StubCluster) -> None:
    """The job runs at its target: the request is achieved with what it cost."""
    rig.run(2.5)
    target = {vertex: bounds["parallelism"]["upperBound"] for vertex, bounds in cluster.puts[0].items()}
    cluster.scaled(target, rig.time.now + 2_000)
    rig.run(8)
    assert rig.store.open_requests() == ()
    assert rig.last_request.state is RequestState.ACHIEVED
    assert rig.store.memory(KEY).scalings[WORKER][0].to_parallelism == target[WORKER]

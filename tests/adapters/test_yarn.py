"""The active ResourceManager is found whatever the others say, and every form of its records is understood."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from autoscaler.cluster.errors import Rejected, Transient
from autoscaler.cluster.http import HttpClient
from autoscaler.cluster.yarn import (
    Application,
    ApplicationFilter,
    ResourceManagers,
    parse_application,
    parse_applications,
)
from tests.adapters.recorded import YARN, http_answer, yarn
from tests.adapters.stub import CLOSE, HANG, Answer, Stub, html, json_of, redirect

INFO = "/ws/v1/cluster/info"
APPS = "/ws/v1/cluster/apps"
APP_ID = "application_1795237194495_0002"


def info(ha_state: str) -> Answer:
    return json_of({"clusterInfo": {"id": 1, "state": "STARTED", "haState": ha_state}})


def raw(name: str) -> Answer:
    """A recorded answer to the letter: parsing and writing it again would lose its repeated keys."""
    return Answer(body=(YARN / f"{name}.json").read_bytes())


@pytest.fixture
def standby() -> Iterator[Stub]:
    with Stub() as server:
        server.answer(INFO, info("STANDBY"))
        yield server


@pytest.fixture
def active(stub: Stub) -> Stub:
    stub.answer(INFO, info("ACTIVE"))
    stub.answer(APPS, raw("rm_apps_running"))
    return stub


STANDBY_ANSWERS = {
    "redirect to the active one": redirect("http://ip-10-0-0-2:8088/ws/v1/cluster/apps", 307),
    "redirect nowhere": html("Can not find any active RM.", 307).with_headers(Refresh="3; url=http://x/"),
    "200 with text": Answer(body=b"There is no active RM right now.", headers=(("Content-Type", "text/plain"),)),
    "wanting a ticket": Answer(status=401, body=b"", headers=(("WWW-Authenticate", "Negotiate"),)),
    "not answering": HANG,
    "closing": CLOSE,
}


@pytest.mark.parametrize("answer", STANDBY_ANSWERS.values(), ids=STANDBY_ANSWERS)
def test_a_fail_over_is_followed(http: HttpClient, active: Stub, standby: Stub, answer: Answer) -> None:
    """When the one that was active answers like a standby, the others are asked, and the new active one is used."""
    standby.answer(INFO, info("ACTIVE"), info("STANDBY"))
    standby.answer(APPS, raw("rm_apps_none"), answer)
    managers = ResourceManagers(http, [standby.url, active.url], timeout_s=0.3)
    assert managers.applications() == ()
    assert managers.active == standby.url
    assert [application.id for application in managers.applications()] == [APP_ID]
    assert managers.active == active.url
    assert [application.id for application in managers.applications()] == [APP_ID]
    assert (active.count(INFO), active.count(APPS)) == (1, 2)


def test_the_active_one_is_asked_first_from_then_on(http: HttpClient, active: Stub, standby: Stub) -> None:
    """Probing happens once; after it one list is one request."""
    managers = ResourceManagers(http, [standby.url, active.url])
    for _ in range(3):
        managers.applications()
    assert (standby.count(INFO), active.count(INFO), active.count(APPS)) == (1, 1, 3)
    assert standby.count(APPS) == 0


def test_no_active_one_is_said_with_each_ones_words(http: HttpClient, standby: Stub, stub: Stub) -> None:
    """When none is active the message names every address and what it said, and the next try starts afresh."""
    stub.answer(INFO, redirect("http://x/", 307), info("ACTIVE"))
    stub.answer(APPS, raw("rm_apps_running"))
    managers = ResourceManagers(http, [standby.url, stub.url])
    with pytest.raises(Transient, match=rf"{standby.url} is STANDBY; GET 127\.0\.0\.1:{stub.port}.*307") as raised:
        managers.applications()
    assert raised.value.kind == "no-active-rm"
    assert len(managers.applications()) == 1


def test_standbys_alone_are_told_from_silence(http: HttpClient, standby: Stub) -> None:
    """Where everyone answers and is a standby, another address must be the active one; that is no outage."""
    with pytest.raises(Transient, match=f"{standby.url} is STANDBY") as raised:
        ResourceManagers(http, [standby.url]).applications()
    assert raised.value.kind == "standby"


def test_one_without_a_part_in_high_availability_is_active(http: HttpClient, stub: Stub) -> None:
    """A ResourceManager that does not speak of high availability is the only one."""
    stub.answer(INFO, json_of({"clusterInfo": {"id": 1}}))
    stub.answer(APPS, raw("rm_apps_none"))
    assert ResourceManagers(http, [stub.url]).applications() == ()


def test_a_resource_manager_that_comes_back_is_found(http: HttpClient, stub: Stub) -> None:
    """One that is down at the start is found by a later call, without anything being rebuilt."""
    stub.answer(INFO, CLOSE, raw("rm_info"))
    stub.answer(APPS, raw("rm_apps_running"))
    managers = ResourceManagers(http, [f"127.0.0.1:{stub.port}/"])
    with pytest.raises(Transient):
        managers.applications()
    assert len(managers.applications()) == 1


def test_addresses_are_needed(http: HttpClient) -> None:
    """A cluster without a ResourceManager's address is a mistake in the settings."""
    with pytest.raises(ValueError, match="at least one"):
        ResourceManagers(http, [])


def test_one_filtered_request_lists_all(http: HttpClient, active: Stub) -> None:
    """The list is asked for by state and type, with the space encoded and the large parts left out."""
    ResourceManagers(http, [active.url]).applications()
    (call,) = (call for call in active.calls if call.path.startswith(APPS))
    assert call.path.startswith(f"{APPS}?states=RUNNING&applicationTypes=Apache%20Flink&deSelects=resourceRequests,")


def test_what_has_ended_is_not_listed_as_running(http: HttpClient, stub: Stub) -> None:
    """Whatever the list holds beside what was asked for, an application that ended is none that runs."""
    stub.answer(INFO, info("ACTIVE"))
    running = {"id": "application_1_0001", "state": "RUNNING"}
    ended = {"id": "application_1_0002", "state": "FINISHED", "trackingUI": "History"}
    stub.answer(APPS, json_of({"apps": {"app": [running, ended]}}))
    (listed,) = ResourceManagers(http, [stub.url]).applications()
    assert listed.id == "application_1_0001"


def test_a_release_that_knows_no_deselects_is_asked_without(http: HttpClient, stub: Stub) -> None:
    """A 400 for the left-out parts is met once, and they are asked for from then on."""
    stub.answer(INFO, info("ACTIVE"))
    query = f"{APPS}?states=RUNNING&applicationTypes=Apache%20Flink"
    stub.answer(query, raw("rm_apps_running"))
    stub.answer(APPS, json_of({"RemoteException": {"exception": "BadRequestException", "message": "x"}}, 400))
    managers = ResourceManagers(http, [stub.url])
    for _ in range(2):
        assert len(managers.applications()) == 1
    assert stub.count(APPS) == 3


def test_other_rejections_are_passed_on(http: HttpClient, stub: Stub) -> None:
    """Only a 400 is blamed on the left-out parts."""
    stub.answer(INFO, info("ACTIVE"))
    stub.answer(APPS, json_of({"RemoteException": {"exception": "X", "message": "no"}}, 409))
    with pytest.raises(Rejected, match="no"):
        ResourceManagers(http, [stub.url]).applications()


@pytest.mark.parametrize(
    "name", ["rm_app", "rm_app_failed", "rm_app_decommissioning_pending", "rm_app_starting_1_ACCEPTED"]
)
def test_one_application_in_any_state(http: HttpClient, active: Stub, name: str) -> None:
    """An application that left the list is looked up, whatever became of it."""
    active.answer(f"{APPS}/{APP_ID}", raw(name))
    found = ResourceManagers(http, [active.url]).application(APP_ID)
    assert found is not None
    document = yarn(name)
    assert found.state == document.get("app", document)["state"]


def test_an_unknown_application_is_none(http: HttpClient, active: Stub) -> None:
    """What the ResourceManager has forgotten is told apart from what it cannot say."""
    active.answer(f"{APPS}/{APP_ID}", http_answer("rm_app_unknown"))
    assert ResourceManagers(http, [active.url]).application(APP_ID) is None


def test_a_running_application_is_read_whole() -> None:
    """Every field we use is taken from a live record, its repeated keys notwithstanding."""
    (application,) = parse_applications(json.loads((YARN / "rm_apps_running.json").read_bytes()))
    assert application == Application(
        id=APP_ID,
        name="lab-app",
        user="hadoop",
        queue="root.default",
        state="RUNNING",
        final_status="UNDEFINED",
        tracking_url=f"http://localhost:20888/proxy/{APP_ID}/",
        running_containers=2,
        allocated_mb=1472,
        am_address="127.0.0.2:35435",
        started_at=1795237352763,
        attempt=1,
    )
    assert not application.is_terminal


def test_an_ended_application_has_no_address() -> None:
    """The tracking URL of a failed application leads to a page for people, and -1 containers are none known."""
    failed = parse_application(yarn("rm_app_failed")["app"])
    assert (failed.state, failed.final_status, failed.is_terminal) == ("FAILED", "FAILED", True)
    assert (failed.tracking_url, failed.am_address, failed.running_containers) == (None, None, None)
    assert failed.attempt == 2
    assert failed.diagnostics.startswith(f"Application {APP_ID} failed 2 times")


def test_an_accepted_application_has_no_address_yet() -> None:
    """Before an ApplicationMaster registers there is nowhere to ask."""
    accepted = parse_application(yarn("rm_app_starting_1_ACCEPTED"))
    assert (accepted.state, accepted.tracking_url, accepted.attempt) == ("ACCEPTED", None, None)


def test_fields_hidden_by_access_rules_are_absent() -> None:
    """A record without the fields another user may not see is still an application."""
    application = parse_application({"id": "application_1_0001", "name": None, "startedTime": 0, "trackingUrl": "N/A"})
    assert application == Application(id="application_1_0001")


@pytest.mark.parametrize(
    "document", [{"apps": None}, {"apps": {}}, {}, {"apps": {"app": None}}, {"apps": {"app": []}}, {"apps": ""}]
)
def test_no_applications_in_every_form(document: dict[str, object]) -> None:
    """Each release's way of saying none is none."""
    assert parse_applications(document) == ()


def test_a_list_of_one_may_come_without_the_list() -> None:
    """A single application that is not in a list is one application."""
    assert len(parse_applications({"apps": {"app": {"id": "application_1_0001"}}})) == 1


def test_the_attempt_is_read_after_a_restart_of_the_resource_manager() -> None:
    """A container's id with an epoch in it holds the attempt one place further on."""
    logs = "http://h:8042/node/containerlogs/container_e17_1410901177871_0001_03_000005/hadoop"
    assert parse_application({"id": "a", "amContainerLogs": logs}).attempt == 3


ORDERS = Application(id="a", name="orders-eu", user="etl", queue="root.prod.streams", tags=("team-a", "gold"))
FILTERS = {
    "nothing asked": (ApplicationFilter(), True),
    "leaf of the queue": (ApplicationFilter(queues=("streams",)), True),
    "path of the queue": (ApplicationFilter(queues=("x", "root.prod.streams")), True),
    "part of a queue's name": (ApplicationFilter(queues=("reams",)), False),
    "parent queue": (ApplicationFilter(queues=("root.prod",)), False),
    "user": (ApplicationFilter(users=("etl",)), True),
    "another user": (ApplicationFilter(users=("hadoop",)), False),
    "name": (ApplicationFilter(names=("orders-*",)), True),
    "another name": (ApplicationFilter(names=("ORDERS-*", "order")), False),
    "tag in another case": (ApplicationFilter(tags=("Gold",)), True),
    "another tag": (ApplicationFilter(tags=("silver",)), False),
    "all of it": (ApplicationFilter(queues=("streams",), users=("etl",), names=("*eu",), tags=("gold",)), True),
    "all but one": (ApplicationFilter(queues=("streams",), users=("etl",), names=("*us",)), False),
}


@pytest.mark.parametrize(("wanted", "admitted"), FILTERS.values(), ids=FILTERS)
def test_filters_admit_what_they_name(wanted: ApplicationFilter, admitted: bool) -> None:
    """An application is admitted if every field that is set has a value that fits."""
    assert wanted.admits(ORDERS) is admitted


def test_a_queue_reported_by_its_last_part_fits_a_path() -> None:
    """Older releases report a queue's last part only."""
    wanted = ApplicationFilter(queues=("root.prod.streams",))
    assert wanted.admits(Application(id="a", queue="streams"))


def test_filters_apply_to_the_list(http: HttpClient, active: Stub) -> None:
    """What is not admitted is not returned."""
    managers = ResourceManagers(http, [active.url])
    assert managers.applications(ApplicationFilter(users=("nobody",))) == ()
    assert len(managers.applications(ApplicationFilter(users=("hadoop",), queues=("default",)))) == 1

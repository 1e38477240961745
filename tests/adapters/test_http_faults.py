"""Every way in which no JSON comes back is told apart, costs a bounded time, and leaves the client usable."""

from __future__ import annotations

import socket
import threading

import pytest

from autoscaler.cluster.errors import Gone, Rejected, Transient, Unauthorized
from autoscaler.cluster.http import HttpClient
from tests.adapters.recorded import RELEASES, YARN, flink_answer, http_answer
from tests.adapters.stub import (
    CLOSE,
    CUT,
    DRIP_HEAD,
    EMPTY,
    HANG,
    Answer,
    Stub,
    drip,
    errors,
    html,
    json_of,
    redirect,
)

PATH = "/proxy/application_1_0001/jobs/overview"
FLINK_JOB_NOT_FOUND = (
    "<Exception on server side:\norg.apache.flink.runtime.messages.FlinkJobNotFoundException: Could not find "
    "Flink job (854d)\n\tat org.apache.flink.runtime.dispatcher.Dispatcher.get(Dispatcher.java:1498)\n"
)
WARNING = "<html><body><h1>WARNING: The following page may not be safe!</h1></body></html>"

TRANSIENT = {
    "page instead of JSON": (html("<h1>Flink</h1>"), "html"),
    "page without content type": (Answer(body=b"<html>hi</html>", headers=()), "html"),
    "proxy cannot connect": (html("<h2>HTTP ERROR 500 HttpHostConnectException</h2>", 500), "html"),
    "proxy knows no such application": (html("<h1>could not be found in RM</h1>", 404), "html"),
    "secured proxy warns": (html(WARNING), "warning-page"),
    "application not running": (redirect("http://rm:8088/cluster/app/application_1_0001"), "redirect"),
    "redirect to nowhere": (html("", 307).with_headers(Refresh="3; url=http://rm/"), "redirect"),
    "empty body": (EMPTY, "empty"),
    "empty 500": (Answer(status=500, headers=()), "empty"),
    "text instead of JSON": (Answer(body=b"There is no active RM.", headers=()), "not-json"),
    "JSON called something else": (Answer(body=b"{}", headers=(("Content-Type", "text/plain"),)), "not-json"),
    "half of JSON": (Answer(body=b'{"jobs": ['), "not-json"),
    "JSON too deep": (Answer(body=b"[" * 3_900), "not-json"),
    "JSON not in UTF-8": (Answer(body=b'{"a": "\xff\xfe\xfd"}'), "not-json"),
    "error of Flink's": (errors("Internal server error.", "x", status=500), "server-error"),
    "JSON with an odd status": (json_of({}, status=202), "unexpected"),
    "a list of errors it is not": (json_of([1], status=500), "server-error"),
    "leader election": (errors("Service temporarily unavailable", status=503), "unavailable"),
    "connection closed without a byte": (CLOSE, "connection-lost"),
    "connection closed half-way": (CUT, "connection-lost"),
    "not a byte comes": (HANG, "timeout"),
    "headers drip": (DRIP_HEAD, "timeout"),
    "body drips": (drip({"jobs": []}), "timeout"),
    "body too large": (json_of("x" * 5000), "too-large"),
    "body too large, by chunks": (
        Answer(body=b"1388\r\n" + b"1" * 5000 + b"\r\n0\r\n\r\n").with_headers(
            Transfer_Encoding="chunked", Content_Length="6000"
        ),
        "too-large",
    ),
}


@pytest.mark.parametrize(("answer", "kind"), TRANSIENT.values(), ids=TRANSIENT)
def test_whatever_is_not_json_is_transient_with_its_kind(stub: Stub, answer: Answer, kind: str) -> None:
    """An answer that is no answer is skipped this time, under a stable word, naming where and what came."""
    stub.answer(PATH, answer)
    with (
        HttpClient(workers=1, timeout_s=0.3, max_body_bytes=4000, sleep=lambda _: None) as http,
        pytest.raises(Transient) as raised,
    ):
        http.get_json(stub.url + PATH + "?secret=1")
    assert raised.value.kind == kind
    assert f"127.0.0.1:{stub.port}{PATH}" in str(raised.value)
    assert "secret" not in str(raised.value)


@pytest.mark.parametrize("answer", [answer for answer, _ in TRANSIENT.values()], ids=TRANSIENT)
def test_no_failure_uses_up_a_place_in_the_pool(stub: Stub, answer: Answer) -> None:
    """After any failure the only worker's connection is free again, and what is left of a bad answer is not
    read as the next one."""
    stub.answer(PATH, answer)
    stub.answer("/good", json_of([1]))
    with HttpClient(workers=1, timeout_s=10, max_body_bytes=4000, sleep=lambda _: None) as http:
        for _ in range(2):
            with pytest.raises(Transient):
                http.get_json(stub.url + PATH, timeout_s=0.2)
            assert http.get_json(stub.url + "/good") == [1]


def test_nobody_listening_is_refused(http: HttpClient) -> None:
    """A closed port is told at once, as such."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    with pytest.raises(Transient, match="refused") as raised:
        http.get_json(f"http://127.0.0.1:{port}/x")
    assert raised.value.kind == "refused"


def test_an_unknown_host_is_unresolved(http: HttpClient) -> None:
    """A host name nobody knows is told apart from a host that refuses."""
    with pytest.raises(Transient) as raised:
        http.get_json("http://no-such-host.invalid:8088/x")
    assert raised.value.kind == "unresolved"


@pytest.mark.parametrize("url", ["", "host:8088/x", "ftp://host/x", "http:///x", "http://a b/x", "http://[::1/x"])
def test_a_bad_address_is_transient(http: HttpClient, url: str) -> None:
    """An address that is none never ends the program."""
    with pytest.raises(Transient):
        http.get_json(url)


def test_tls_to_a_plain_port_is_told(stub: Stub) -> None:
    """Speaking TLS to a server that does not is a failure of TLS, not a lost connection."""
    with HttpClient(workers=1, timeout_s=5) as http, pytest.raises(Transient) as raised:
        http.get_json(stub.url.replace("http:", "https:") + "/x")
    assert raised.value.kind == "tls"


@pytest.mark.parametrize("status", [401, 403])
def test_asking_who_we_are_is_unauthorized(stub: Stub, http: HttpClient, status: int) -> None:
    """A demand for Kerberos is named as what it is, so that nobody looks for a broken application."""
    page = html("<h1>Authentication required</h1>", status)
    stub.answer(PATH, page.with_headers(WWW_Authenticate="Negotiate"))
    with pytest.raises(Unauthorized, match="Negotiate"):
        http.get_json(stub.url + PATH)


def test_a_500_for_an_unknown_job_is_gone(stub: Stub, http: HttpClient) -> None:
    """Flink's 500 for a job it does not know means gone, not broken."""
    stub.answer(PATH, errors("Internal server error.", FLINK_JOB_NOT_FOUND, status=500))
    with pytest.raises(Gone, match=r"500: FlinkJobNotFoundException: Could not find Flink job \(854d\)$"):
        http.get_json(stub.url + PATH)


def test_a_path_flink_does_not_serve_is_rejected(stub: Stub, http: HttpClient) -> None:
    """An endpoint an old release lacks is no sign that the job is gone."""
    with pytest.raises(Rejected, match="Unable to load requested file") as raised:
        http.get_json(stub.url + "/no/such/path")
    assert raised.value.status == 404


@pytest.mark.parametrize("release", RELEASES)
def test_errors_of_every_release_are_judged_by_their_text(stub: Stub, http: HttpClient, release: str) -> None:
    """Unknown, malformed and unsupported are the same three things in every release."""
    for name in ("job_bad", "rr_bad_job", "rr_cancelled"):
        stub.answer(f"/{name}", flink_answer(release, name))
        with pytest.raises(Gone):
            http.get_json(f"{stub.url}/{name}")
    for name in ("job_malformed", "v_src_aggbad"):
        stub.answer(f"/{name}", flink_answer(release, name))
        with pytest.raises(Rejected, match="400: Bad request, could not parse"):
            http.get_json(f"{stub.url}/{name}")


@pytest.mark.parametrize("release", ["1.18.1", "1.20.3", "2.3.0"])
def test_a_scheduler_that_cannot_rescale_rejects(stub: Stub, http: HttpClient, release: str) -> None:
    """A job on the default scheduler says 500, but will say so for ever: it is held, not retried."""
    stub.answer("/rr", flink_answer(f"{release}-default", "get"))
    with pytest.raises(Rejected, match="DefaultScheduler does not support"):
        http.get_json(f"{stub.url}/rr")


RECORDED_GETS = {
    "amkill_ha_01_get_500": "html",
    "amkill_ha_03_get_302": "redirect",
    "amkill_noha_second_03_get_302": "redirect",
    "amkill_session_02_get_302": "redirect",
    "proxy_bad_appid": "html",
    "proxy_killed_app": "redirect",
    "proxy_noslash": "html",
    "proxy_root": "redirect",
    "proxy_starting_1_ACCEPTED": "redirect",
    "proxy_unknown_app": "html",
    "proxy_unknown_app_other_epoch": "html",
    "amkill_noha_01_get_500": "html",
    "amkill_noha_03_get_302": "redirect",
    "amkill_noha_second_01_get_500": "html",
    "amkill_session_01_get_500": "html",
    "delete_through_proxy": "empty",
    "patch_through_proxy": "empty",
    "options_through_proxy": "empty",
    "head_through_proxy": "empty",
    "post_through_proxy": "html",
}
RECORDED_JSON = sorted(
    path.stem
    for path in YARN.glob("*.http")
    if "put" not in path.stem and not path.stem.startswith(("proxy_rm_down", "direct_form", "rm_app_unknown"))
    if path.stem not in RECORDED_GETS and path.stem != "proxy_flink_404"
)


@pytest.mark.parametrize(("name", "kind"), RECORDED_GETS.items(), ids=RECORDED_GETS)
def test_recorded_refusals_of_the_proxy_are_transient(stub: Stub, http: HttpClient, name: str, kind: str) -> None:
    """Whatever the proxy says in an application's place never means that a job is gone."""
    stub.answer(PATH, http_answer(name))
    with pytest.raises(Transient) as raised:
        http.get_json(stub.url + PATH)
    assert raised.value.kind == kind


@pytest.mark.parametrize("name", RECORDED_JSON)
def test_recorded_answers_of_live_applications_are_json(stub: Stub, http: HttpClient, name: str) -> None:
    """An answer that came from Flink or the ResourceManager itself is returned as it is."""
    stub.answer(PATH, http_answer(name))
    assert isinstance(http.get_json(stub.url + PATH), dict)


@pytest.mark.parametrize("application_id", ["proxy_flink_404", "rm_app_unknown"])
def test_recorded_404s_with_json(stub: Stub, http: HttpClient, application_id: str) -> None:
    """The ResourceManager's 404 says an application is unknown, Flink's that a path is."""
    stub.answer(PATH, http_answer(application_id))
    expected = {"proxy_flink_404": Rejected, "rm_app_unknown": Gone}[application_id]
    with pytest.raises(expected):
        http.get_json(stub.url + PATH)


def test_a_resource_manager_that_is_down_hangs_the_proxy(stub: Stub) -> None:
    """While the ResourceManager is down the proxy sends no byte: the time-out ends it."""
    stub.answer(PATH, HANG)
    with HttpClient(workers=1, timeout_s=0.2) as http, pytest.raises(Transient, match="no complete answer"):
        http.get_json(stub.url + PATH)


def test_a_time_out_can_be_given_per_call(stub: Stub, http: HttpClient) -> None:
    """A job's own time-out counts for its calls."""
    stub.answer(PATH, HANG)
    with pytest.raises(Transient, match=r"within 0\.1 s"):
        http.get_json(stub.url + PATH, timeout_s=0.1)


def test_a_third_request_to_one_application_is_held_back(stub: Stub, http: HttpClient) -> None:
    """A slow application holds two workers at most; a third request waits no longer than its own time-out."""
    stub.answer("/slow", HANG)
    gate = http.gate("application_1_0001")

    def ask() -> None:
        with pytest.raises(Transient):
            http.get_json(stub.url + "/slow", gate)

    slow = [threading.Thread(target=ask) for _ in range(2)]
    for thread in slow:
        thread.start()
    stub.wait_for(2)
    with pytest.raises(Transient) as raised:
        http.get_json(stub.url + "/slow", http.gate("application_1_0001"), timeout_s=0.05)
    assert raised.value.kind == "busy"
    assert len(stub.calls) == 2
    stub.answer("/fast", json_of({}))
    assert http.get_json(stub.url + "/fast", http.gate("application_1_0002")) == {}
    stub.release()
    for thread in slow:
        thread.join()
    assert http.get_json(stub.url + "/fast", gate) == {}

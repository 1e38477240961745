"""Connections are few, kept, and given up when dead; reads are repeated only where a socket was lost."""

from __future__ import annotations

import threading

import pytest

from autoscaler.cluster.errors import Transient
from autoscaler.cluster.http import HttpClient
from tests.adapters.stub import CLOSE, HANG, Stub, errors, html, json_of, redirect

BUSY = errors("Service temporarily unavailable due to an ongoing leader election.", status=503)


def test_one_connection_serves_many_requests(stub: Stub, http: HttpClient) -> None:
    """A connection is made once and used for all that follows, and the counters say so."""
    stub.answer("/a", json_of([1, 2]))
    for _ in range(20):
        http.get_json(stub.url + "/a?get=x")
    assert stub.connections == 1
    traffic = http.traffic()
    assert traffic.requests == 20
    assert traffic.bytes == 20 * len(b"[1, 2]")
    assert traffic.connections == {f"127.0.0.1:{stub.port}": 1}


def test_connections_are_as_many_as_workers_and_no_more(stub: Stub) -> None:
    """More callers than workers wait for a connection instead of making one to throw it away."""
    stub.otherwise(lambda _: json_of({}))
    with HttpClient(workers=3) as http:

        def ask() -> None:
            for _ in range(20):
                http.get_json(stub.url + "/a")

        threads = [threading.Thread(target=ask) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert http.traffic().requests == 160
    assert stub.connections <= 3


def test_applications_behind_one_proxy_share_connections(stub: Stub, http: HttpClient) -> None:
    """The pool belongs to the proxy's address, not to an application's path."""
    stub.otherwise(lambda _: json_of({}))
    for number in range(10):
        http.get_json(f"{stub.url}/proxy/application_1_{number:04}/jobs/overview")
    assert stub.connections == 1


def test_errors_keep_the_connection(stub: Stub, http: HttpClient) -> None:
    """An answer that is read to its end leaves its connection usable, whatever it says."""
    for path, answer in {"/a": html("<h1>x</h1>", 404), "/b": redirect("http://rm/"), "/c": BUSY}.items():
        stub.answer(path, answer)
        with pytest.raises(Transient):
            http.get_json(stub.url + path)
    assert stub.connections == 1


def test_a_connection_the_server_wants_closed_is_closed(stub: Stub, http: HttpClient) -> None:
    """After an answer with Connection: close the next request has a connection of its own."""
    stub.answer("/a", json_of({}).with_headers(Connection="close"))
    http.get_json(stub.url + "/a")
    http.get_json(stub.url + "/a")
    assert http.traffic().connections == {f"127.0.0.1:{stub.port}": 2}


def test_connections_closed_while_idle_are_replaced_unseen(stub: Stub, http: HttpClient) -> None:
    """The proxy closes connections that idle between passes; the next pass does not notice."""
    stub.answer("/a", json_of({}))
    for _ in range(3):
        http.get_json(stub.url + "/a")
        stub.close_connections()
    assert http.get_json(stub.url + "/a") == {}
    assert stub.count("/a") == 4


def test_a_kept_connection_that_turns_out_dead_costs_one_retry(stub: Stub, http: HttpClient) -> None:
    """A read that died on a reused connection is repeated on a new one."""
    stub.answer("/a", json_of({}), CLOSE, json_of({"second": True}))
    http.get_json(stub.url + "/a")
    assert http.get_json(stub.url + "/a") == {"second": True}
    assert [call.connection for call in stub.calls] == [1, 1, 2]


def test_a_new_connection_that_dies_is_not_tried_again(stub: Stub, http: HttpClient) -> None:
    """A server that takes a new connection and closes it is ill; asking again at once does not help."""
    stub.answer("/a", CLOSE)
    with pytest.raises(Transient) as raised:
        http.get_json(stub.url + "/a")
    assert raised.value.kind == "connection-lost"
    assert len(stub.calls) == 1


def test_a_503_is_tried_again_twice_at_most(stub: Stub) -> None:
    """A leader election is short: two more tries, a moment apart, then it is left for the next pass."""
    slept: list[float] = []
    stub.answer("/a", BUSY)
    stub.answer("/b", BUSY, json_of([1]))
    with HttpClient(workers=1, sleep=slept.append) as http:
        with pytest.raises(Transient, match="leader election"):
            http.get_json(stub.url + "/a")
        assert stub.count("/a") == 3
        assert slept == [0.1]
        assert http.get_json(stub.url + "/b") == [1]


def test_a_retry_has_only_what_is_left_of_the_time(stub: Stub) -> None:
    """When the tries before have used up the time, a last one that hangs is given next to none."""
    stub.answer("/a", BUSY, BUSY, HANG)

    def use_up(_: float) -> None:
        threading.Event().wait(0.2)

    with HttpClient(workers=1, timeout_s=0.2, sleep=use_up) as http, pytest.raises(Transient, match=r"within 0\.01 s"):
        http.get_json(stub.url + "/a")


def test_requests_are_as_the_proxy_passes_them_on(stub: Stub, http: HttpClient) -> None:
    """Header names are in canonical case, the only one the proxy's list knows, and nothing else is sent."""
    stub.answer("/a", json_of({}))
    http.get_json(stub.url + "/a?get=Source__x%28A%29.numRecordsIn&agg=sum")
    (call,) = stub.calls
    assert call.path == "/a?get=Source__x%28A%29.numRecordsIn&agg=sum"
    assert {name for name, _ in call.headers} == {"Host", "User-Agent", "Accept", "Accept-Encoding"}
    assert call.header("Accept") == "application/json"


def test_the_environment_has_no_say(stub: Stub, http: HttpClient, monkeypatch: pytest.MonkeyPatch) -> None:
    """Proxies and credentials set for other programs do not lead our requests astray."""
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    stub.answer("/a", json_of({}))
    assert http.get_json(stub.url + "/a") == {}


def test_a_gate_is_forgotten_with_its_last_holder(http: HttpClient) -> None:
    """An application that ended leaves nothing behind in the client."""
    gate = http.gate("application_1_0001")
    assert http.gate("application_1_0001") is gate
    del gate
    assert "application_1_0001" not in http._gates

"""The monitoring port."""

from __future__ import annotations

import json
import socket
import struct
import threading
from collections.abc import Iterator
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import pytest

from autoscaler.telemetry import Counters, fleet_collector
from autoscaler.web import Health, PortBusy, WebServer
from autoscaler.web.holder import holder_of
from tests.service.cluster import until


class Probes:
    """What the probes are to answer."""

    ok = True

    def __call__(self) -> Health:
        return Health(ok=self.ok, facts={"jobs": 3})


@pytest.fixture(scope="module")
def probes() -> Probes:
    return Probes()


@pytest.fixture(scope="module")
def server(probes: Probes) -> Iterator[WebServer]:
    web = WebServer("127.0.0.1", 0, fleet_collector(Counters(), list, dict, lambda: True), probes, probes)
    yield web
    web.close()


def get(server: WebServer, path: str, method: str = "GET") -> tuple[int, str]:
    try:
        with urlopen(Request(f"http://127.0.0.1:{server.port}{path}", method=method), timeout=5) as answer:
            return answer.status, answer.read().decode()
    except HTTPError as error:
        with error:
            return error.code, error.read().decode()


def test_probes_say_ok_and_why(server: WebServer, probes: Probes) -> None:
    """200 while all is well, 503 otherwise, with the facts either way."""
    status, body = get(server, "/healthz")
    assert (status, json.loads(body)) == (200, {"ok": True, "jobs": 3})
    probes.ok = False
    status, body = get(server, "/readyz?verbose")
    assert (status, json.loads(body)["ok"]) == (503, False)
    probes.ok = True


def test_metrics_are_in_prometheus_form(server: WebServer) -> None:
    """/metrics is what Prometheus reads."""
    status, body = get(server, "/metrics")
    assert status == 200
    assert "autoscaler_passes_total 0.0" in body


def test_an_unknown_path_names_the_known(server: WebServer) -> None:
    """A wrong path is answered with what there is."""
    assert get(server, "/") == (404, "not found; there is: /healthz /metrics /readyz\n")


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE"])
def test_nothing_can_be_changed(server: WebServer, method: str) -> None:
    """The port is read-only."""
    assert get(server, "/metrics", method)[0] == 501


def test_a_busy_port_is_named_with_its_holder(server: WebServer, probes: Probes) -> None:
    """Who holds the port is said by name and process number."""
    with pytest.raises(PortBusy, match=rf"port {server.port} on 127.0.0.1 is in use by .+ \(pid \d+\)"):
        WebServer("127.0.0.1", server.port, fleet_collector(Counters(), list, dict, lambda: True), probes, probes)


def test_an_address_of_another_machine_is_refused(probes: Probes) -> None:
    """An address that is not ours is named with the settings to change."""
    with pytest.raises(PortBusy, match=r"cannot listen on 203\.0\.113\.1:0: .*; set http\.host and http\.port"):
        WebServer("203.0.113.1", 0, fleet_collector(Counters(), list, dict, lambda: True), probes, probes)


def test_who_hangs_up_is_not_worth_a_traceback(server: WebServer, capfd: pytest.CaptureFixture[str]) -> None:
    """A probe that resets its connection, as those of load balancers do, leaves nothing in the log."""
    before = set(threading.enumerate())  # those of other tests may still end
    with socket.create_connection(("127.0.0.1", server.port)) as probe:
        until(lambda: bool(set(threading.enumerate()) - before))
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    until(lambda: not set(threading.enumerate()) - before)
    assert capfd.readouterr().err == ""


def test_a_free_port_has_no_holder() -> None:
    """Nobody is named for a port nobody holds."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    assert holder_of(port) is None

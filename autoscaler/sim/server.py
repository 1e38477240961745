"""The simulated cluster over HTTP, in real or accelerated time: for the daemon's process, for curl, for anybody."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from autoscaler.model import Millis
from autoscaler.sim.cluster import SimCluster
from autoscaler.sim.edge import Answered, Edge, HtmlAnswer, NoAnswer
from autoscaler.sim.lens import through
from autoscaler.sim.scenario import Scenario, ScenarioError

HOST = "127.0.0.1"
POLL_S = 0.05  # how soon a shutdown is noticed


class SimServer:
    """Serves a scenario from now on; the ResourceManager and its web proxy are at the same address.

    ``port`` 0 takes a free one. Raises ScenarioError if the port is taken.
    """

    def __init__(self, scenario: Scenario, seed: int, port: int, speed: float, clock: Callable[[], Millis]) -> None:
        self._speed, self._clock = speed, clock
        self._began = clock()
        self._lock = threading.Lock()
        try:
            self._server = _Server((HOST, port), _Handler)
        except OSError as error:
            raise ScenarioError(f"--serve {port}: {error.strerror or error}") from error
        self._server.answer = self.answer
        self.port = int(self._server.server_address[1])
        self.url = f"http://{HOST}:{self.port}"
        self.cluster = SimCluster(scenario, seed, self._began)
        self._edge = Edge(self.cluster, scenario.settings, self.url)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(POLL_S,), daemon=True)

    def __enter__(self) -> SimServer:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def advance(self) -> Millis:
        """Bring the cluster up to the clock, and return how long it has run in its own time."""
        with self._lock:
            return self._advance()

    def answer(self, method: str, path: str, body: bytes) -> Answered:
        """Answer one request at this moment, as it looks at the speed. Raises NoAnswer and HtmlAnswer."""
        with self._lock:
            self._advance()
            status, document = self._edge.answer(method, path, body)
            return Answered(status, through(document, self._speed, self._instant))

    def _advance(self) -> Millis:
        elapsed = round((self._clock() - self._began) * self._speed)
        self.cluster.advance(max(self.cluster.now, self._began + elapsed))
        return self.cluster.now - self._began

    def _instant(self, simulated: Millis) -> Millis:
        return self._began + round((simulated - self._began) / self._speed)


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128
    answer: Callable[[str, str, bytes], Answered]


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: _Server

    def do_GET(self) -> None:
        self._reply("GET")

    def do_PUT(self) -> None:
        self._reply("PUT")

    def _reply(self, method: str) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        try:
            status, document = self.server.answer(method, self.path, body)
        except NoAnswer:
            self.close_connection = True
            return
        except HtmlAnswer as error:
            self._send(error.status, "text/html;charset=utf-8", str(error).encode())
            return
        self._send(status, "application/json;charset=utf-8", json.dumps(document).encode())

    def _send(self, status: int, kind: str, body: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the library's name
        """Requests are not worth a line each."""

"""A small threaded HTTP server for monitoring. It never changes anything: operators act through the command."""

from __future__ import annotations

import errno
import json
import sys
import threading
from collections.abc import Callable
from dataclasses import dataclass
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from prometheus_client import CollectorRegistry
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest

from autoscaler.web.holder import holder_of


class PortBusy(Exception):  # noqa: N818 - it says what is the case
    """The port is taken; the message names who holds it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Health:
    """An answer to a probe: ``ok`` decides between 200 and 503, ``facts`` say why."""

    ok: bool
    facts: dict[str, object]


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    allow_reuse_address = True
    routes: dict[str, Callable[[], tuple[HTTPStatus, str, bytes]]]

    def handle_error(self, request: object, client_address: object) -> None:
        """Who asked and went away before the answer is not worth a traceback."""
        if not isinstance(sys.exc_info()[1], ConnectionError):
            super().handle_error(request, client_address)  # type: ignore[arg-type]


class _Handler(BaseHTTPRequestHandler):
    server: _Server
    protocol_version = "HTTP/1.1"
    timeout = 10

    def do_GET(self) -> None:
        route = self.server.routes.get(self.path.split("?")[0])
        if route is None:
            known = " ".join(sorted(self.server.routes))
            status, kind, body = (
                HTTPStatus.NOT_FOUND,
                "text/plain",
                f"not found; there is: {known}\n".encode(),
            )
        else:
            status, kind, body = route()
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        """Probes come every few seconds; they are not worth a line."""


class WebServer:
    """Serves in a thread of its own from construction until ``close``. Raises PortBusy."""

    def __init__(
        self,
        host: str,
        port: int,
        registry: CollectorRegistry,
        healthy: Callable[[], Health],
        ready: Callable[[], Health],
    ) -> None:
        try:
            self._server = _Server((host, port), _Handler)
        except OSError as error:
            if error.errno != errno.EADDRINUSE:
                raise PortBusy(
                    f"cannot listen on {host}:{port}: {error.strerror}; set http.host and http.port"
                ) from error
            raise PortBusy(
                f"port {port} on {host} is in use by {holder_of(port) or 'another process'}; "
                "stop it or set http.port (AUTOSCALER_HTTP__PORT)"
            ) from error
        self._server.routes = {
            "/metrics": lambda: (HTTPStatus.OK, CONTENT_TYPE_LATEST, generate_latest(registry)),
            "/healthz": lambda: _probe(healthy()),
            "/readyz": lambda: _probe(ready()),
        }
        self._thread = threading.Thread(target=self._server.serve_forever, name="web", daemon=True)
        self._thread.start()

    @property
    def port(self) -> int:
        return int(self._server.server_address[1])

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


def _probe(health: Health) -> tuple[HTTPStatus, str, bytes]:
    status = HTTPStatus.OK if health.ok else HTTPStatus.SERVICE_UNAVAILABLE
    return status, "application/json", json.dumps({"ok": health.ok, **health.facts}).encode() + b"\n"

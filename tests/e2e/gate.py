"""What stands between the daemon and YARN, so that a test knows of every PUT and can stop the world at one."""

from __future__ import annotations

import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Self

import requests
from lab import layout as places

PATIENCE_SECONDS = 20


class Gate:
    """Passes everything on to the ResourceManager and the proxy; sees every PUT, and can act before or after one."""

    def __init__(self) -> None:
        self.arrived: list[bytes] = []
        self.passed: list[bytes] = []
        self._before: Callable[[], None] | None = None
        self._after: Callable[[], None] | None = None
        self._server = ThreadingHTTPServer((places.MASTER_HOST, 0), self._handler())
        self.address = f"http://{places.MASTER_HOST}:{self._server.server_address[1]}"
        self._thread = threading.Thread(target=self._server.serve_forever, name="gate")

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def before_the_next_put(self, act: Callable[[], None]) -> None:
        """Act when the next PUT arrives, and do not pass it on."""
        self._before = act

    def after_the_next_put(self, act: Callable[[], None]) -> None:
        """Act when the next PUT is carried out, and do not answer it."""
        self._after = act

    def _put_is_passed(self, body: bytes, send: Callable[[], requests.Response]) -> requests.Response | None:
        self.arrived.append(body)
        before, self._before = self._before, None
        if before is not None:
            before()
            return None
        answer = send()
        self.passed.append(body)
        after, self._after = self._after, None
        if after is None:
            return answer
        after()
        return None

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        gate = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                self._answer(self._send(b""))

            def do_PUT(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                answer = gate._put_is_passed(body, lambda: self._send(body))
                if answer is not None:
                    self._answer(answer)

            def _send(self, body: bytes) -> requests.Response:
                base = places.PROXY_URL if self.path.startswith("/proxy/") else places.RESOURCE_MANAGER_URL
                kept = {name: self.headers[name] for name in ("Accept", "Content-Type") if name in self.headers}
                return requests.request(
                    self.command,
                    base + self.path,
                    data=body,
                    headers=kept,
                    timeout=PATIENCE_SECONDS,
                    allow_redirects=False,
                )

            def _answer(self, answer: requests.Response) -> None:
                body = answer.content.replace(places.PROXY_URL.encode(), gate.address.encode())
                self.send_response(answer.status_code)
                self.send_header("Content-Type", answer.headers.get("Content-Type", "text/plain"))
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: object) -> None:
                """The daemon's own log tells of its requests."""

        return Handler

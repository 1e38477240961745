"""What stands between the daemon and YARN, so that a test knows of every PUT and can stop the world at a request."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Self

import requests
from lab import layout as places

from autoscaler.model import Millis
from autoscaler.service import system_clock

PATIENCE_SECONDS = 20
HOLD_SECONDS = 120

Fits = Callable[[str], bool]
"""Whether a request to this path is meant."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Put:
    """A PUT that was passed on, and when."""

    at: Millis
    body: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Moment:
    """The next GET that fits, as it arrives or, if ``answered``, when its answer is there and not yet given."""

    fits: Fits
    answered: bool
    act: Callable[[], None]


class Gate:
    """Passes everything on to the ResourceManagers, each at an address of its own here, and to the proxy; sees every
    PUT, and can act before or after one, or at a GET."""

    def __init__(self, managers: Sequence[str] = (places.RESOURCE_MANAGER_URL,)) -> None:
        self.asked: list[str] = []
        self.arrived: list[bytes] = []
        self.puts: list[Put] = []
        self._before: Callable[[], None] | None = None
        self._after: Callable[[], None] | None = None
        self._moments: list[Moment] = []
        self._held: tuple[Fits, threading.Event] | None = None
        self._lock = threading.Lock()
        self._servers = [ThreadingHTTPServer((places.MASTER_HOST, 0), self._handler(url)) for url in managers]
        self.addresses = tuple(f"http://{places.MASTER_HOST}:{server.server_address[1]}" for server in self._servers)
        self.address = self.addresses[0]
        self._threads = [threading.Thread(target=server.serve_forever, name="gate") for server in self._servers]

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.let_go()
        for server, thread in zip(self._servers, self._threads, strict=True):
            server.shutdown()
            thread.join()
            server.server_close()

    @property
    def passed(self) -> list[bytes]:
        """The bodies of the PUTs that were carried out."""
        return [put.body for put in self.puts]

    def before_the_next_put(self, act: Callable[[], None]) -> None:
        """Act when the next PUT arrives, and do not pass it on."""
        self._before = act

    def after_the_next_put(self, act: Callable[[], None]) -> None:
        """Act when the next PUT is carried out, and do not answer it."""
        self._after = act

    def at_the_next(self, fits: Fits, act: Callable[[], None], *, answered: bool = False) -> None:
        """Act once, at the next GET that fits; it is passed on and answered when that is done."""
        with self._lock:
            self._moments.append(Moment(fits=fits, answered=answered, act=act))

    def hold(self, fits: Fits) -> None:
        """Keep every request that fits from being passed on until ``let_go``."""
        self._held = (fits, threading.Event())

    def let_go(self) -> None:
        held, self._held = self._held, None
        if held is not None:
            held[1].set()

    def _get_is_passed(self, path: str, send: Callable[[], requests.Response]) -> requests.Response:
        self.asked.append(path)
        self._act(path, answered=False)
        self._wait_if_held(path)
        answer = send()
        self._act(path, answered=True)
        return answer

    def _wait_if_held(self, path: str) -> None:
        held = self._held
        if held is not None and held[0](path):
            held[1].wait(HOLD_SECONDS)

    def _act(self, path: str, *, answered: bool) -> None:
        with self._lock:
            due = [moment for moment in self._moments if moment.answered is answered and moment.fits(path)]
            self._moments = [moment for moment in self._moments if moment not in due]
        for moment in due:
            moment.act()

    def _put_is_passed(self, path: str, body: bytes, send: Callable[[], requests.Response]) -> requests.Response | None:
        self.arrived.append(body)
        self._wait_if_held(path)
        before, self._before = self._before, None
        if before is not None:
            before()
            return None
        at = system_clock()
        answer = send()
        self.puts.append(Put(at=at, body=body))
        after, self._after = self._after, None
        if after is None:
            return answer
        after()
        return None

    def _handler(self, manager: str) -> type[BaseHTTPRequestHandler]:
        gate = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                # A ResourceManager that is down answers nothing, and a daemon that is killed reads nothing.
                with suppress(OSError):
                    self._answer(gate._get_is_passed(self.path, lambda: self._send(b"")))

            def do_PUT(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                answer = gate._put_is_passed(self.path, body, lambda: self._send(body))
                if answer is not None:
                    with suppress(OSError):
                        self._answer(answer)

            def _send(self, body: bytes) -> requests.Response:
                base = places.PROXY_URL if self.path.startswith("/proxy/") else manager
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

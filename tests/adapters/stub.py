"""A small HTTP server on loopback that answers as told, for tests of what goes wrong on a network.

    with Stub() as stub:
        stub.answer("/jobs/overview", HANG, html("<h1>no</h1>", 500), json_of({"jobs": []}))
        ...stub.url...
        assert [call.path for call in stub.calls] == [...]

Answers to one path are given one after another, the last one for ever. Connections are kept alive as the YARN
proxy keeps them. Nothing here sleeps to wait for somebody: use ``wait_for`` to know that a request has come
in, and ``release`` to let hanging answers end.
"""

from __future__ import annotations

import json
import socket
import ssl
import threading
from collections.abc import Callable
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

Headers = tuple[tuple[str, str], ...]
_JSON: Headers = (("Content-Type", "application/json;charset=utf-8"),)
_HTML: Headers = (("Content-Type", "text/html;charset=utf-8"),)
_DRIP_S = 0.01


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What to say, and how: whole, drip (a byte at a time), drip-head, cut (half of it), close or hang."""

    status: int = 200
    body: bytes = b""
    headers: Headers = _JSON
    send: str = "whole"

    def with_headers(self, **headers: str) -> Answer:
        """Add headers, written with ``_`` for ``-``."""
        added = tuple((name.replace("_", "-"), value) for name, value in headers.items())
        return Answer(status=self.status, body=self.body, headers=self.headers + added, send=self.send)


def json_of(document: object, status: int = 200) -> Answer:
    """JSON, as Flink and the ResourceManager send it."""
    return Answer(status=status, body=json.dumps(document).encode())


def errors(*texts: str, status: int) -> Answer:
    """Flink's form of an error."""
    return json_of({"errors": list(texts)}, status)


def html(text: str, status: int = 200) -> Answer:
    """A page for people."""
    return Answer(status=status, body=text.encode(), headers=_HTML)


def redirect(location: str, status: int = 302) -> Answer:
    """The proxy's answer for an application that is not there to answer."""
    return html("<h1>Moved</h1>", status).with_headers(Location=location)


def drip(document: object) -> Answer:
    """Correct JSON, a byte at a time, for longer than anybody should wait."""
    return Answer(body=json.dumps(document).encode() + b" " * 3_000, send="drip")


EMPTY = Answer()
HANG = Answer(send="hang")
CLOSE = Answer(send="close")
DRIP_HEAD = Answer(body=b"{}", send="drip-head", headers=(*_JSON, ("X-Padding", "x" * 50_000)))
CUT = Answer(body=b'{"jobs": [' + b" " * 1000 + b"]}", send="cut")


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """One request as it came in; ``path`` includes the query, ``connection`` counts from 1."""

    method: str
    path: str
    headers: Headers
    body: bytes
    connection: int

    def header(self, name: str) -> str | None:
        return next((value for key, value in self.headers if key == name), None)


class Stub:
    """The server: ``answer`` scripts a path, ``otherwise`` computes the rest, ``calls`` is the record.

    With a certificate it is on https.
    """

    def __init__(self, certificate: Path | None = None, key: Path | None = None) -> None:
        self.calls: list[Call] = []
        self.connections = 0
        self._script: dict[tuple[str, str], list[Answer]] = {}
        self._otherwise: Callable[[Call], Answer | None] = lambda _: None
        self._changed = threading.Condition()
        self._released = threading.Event()
        self._open: set[socket.socket] = set()
        self._server = _Server(self)
        self.port = int(self._server.server_address[1])
        self.url = f"http://127.0.0.1:{self.port}"
        if certificate is not None:
            tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            tls.load_cert_chain(certificate, key)
            listening = self._server.socket
            self._server.socket = tls.wrap_socket(listening, server_side=True, do_handshake_on_connect=False)
            self.url = f"https://127.0.0.1:{self.port}"
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.005}, daemon=True)

    def __enter__(self) -> Stub:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def stop(self) -> None:
        """Stop listening and end every connection; from now on connecting is refused."""
        self._server.shutdown()
        self.release()
        self.close_connections()
        self._server.server_close()
        self._thread.join()

    def answer(self, path: str, *answers: Answer, method: str = "GET") -> None:
        """Script a path, with its query or for any query."""
        with self._changed:
            self._script[method, path] = list(answers)

    def otherwise(self, function: Callable[[Call], Answer | None]) -> None:
        """Ask a function for what is not scripted; ``None`` means Flink's 404."""
        self._otherwise = function

    def release(self) -> None:
        """Let every hanging or dripping answer end, now and later."""
        self._released.set()

    def close_connections(self) -> None:
        """Close all connections, as the proxy does with idle ones."""
        with self._changed:
            for sock in self._open:
                try:
                    sock.shutdown(socket.SHUT_RDWR)
                except OSError:
                    continue  # the client was first

    def wait_for(self, calls: int, timeout_s: float = 10.0) -> None:
        """Wait until that many requests have come in."""
        with self._changed:
            if not self._changed.wait_for(lambda: len(self.calls) >= calls, timeout_s):
                raise AssertionError(f"{len(self.calls)} requests came, {calls} expected")

    def count(self, path: str, method: str = "GET") -> int:
        """Count the requests for a path, whatever their query."""
        return sum(call.method == method and call.path.partition("?")[0] == path for call in self.calls)

    def opened(self, sock: socket.socket) -> int:
        with self._changed:
            self._open.add(sock)
            self.connections += 1
            return self.connections

    def closed(self, sock: socket.socket) -> None:
        with self._changed:
            self._open.discard(sock)

    def told(self, call: Call) -> Answer:
        """Record a request and choose its answer."""
        with self._changed:
            self.calls.append(call)
            self._changed.notify_all()
            for path in (call.path, call.path.partition("?")[0]):
                answers = self._script.get((call.method, path))
                if answers:
                    return answers.pop(0) if len(answers) > 1 else answers[0]
        return self._otherwise(call) or errors(f"Unable to load requested file {call.path}.", status=404)

    def deliver(self, answer: Answer, sock: socket.socket) -> bool:
        """Send an answer; true if the connection may be used again."""
        body = answer.body
        names = {name.lower() for name, _ in answer.headers}
        length: Headers = () if "content-length" in names else (("Content-Length", str(len(body))),)
        lines = [f"{name}: {value}\r\n" for name, value in answer.headers + length]
        head = f"HTTP/1.1 {answer.status} Stub\r\n{''.join(lines)}\r\n".encode("latin-1")
        if answer.send == "hang":
            self._released.wait()
        elif answer.send == "drip":
            sock.sendall(head)
            self._drip(body, sock)
        elif answer.send == "drip-head":
            self._drip(head + body, sock)
        elif answer.send == "cut":
            sock.sendall(head + body[: len(body) // 2])
        elif answer.send == "whole":
            sock.sendall(head + body)
            return ("Connection", "close") not in answer.headers
        return False

    def _drip(self, content: bytes, sock: socket.socket) -> None:
        for byte in content:
            if self._released.wait(_DRIP_S):
                return
            sock.sendall(bytes([byte]))


class _Server(ThreadingHTTPServer):
    daemon_threads = False  # so that closing the server waits for its threads
    request_queue_size = 128

    def __init__(self, stub: Stub) -> None:
        self.stub = stub
        super().__init__(("127.0.0.1", 0), _Handler)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing: clients that go away are what many tests are about."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: _Server

    def setup(self) -> None:
        super().setup()
        self.number = self.server.stub.opened(self.connection)

    def finish(self) -> None:
        self.server.stub.closed(self.connection)
        super().finish()

    def handle_one_request(self) -> None:
        self.raw_requestline = self.rfile.readline(65537)
        if not self.raw_requestline or not self.parse_request():
            self.close_connection = True
            return
        call = Call(
            method=self.command,
            path=self.path,
            headers=tuple(self.headers.items()),
            body=self.rfile.read(int(self.headers.get("Content-Length", 0))),
            connection=self.number,
        )
        stub = self.server.stub
        reusable = stub.deliver(stub.told(call), self.connection)
        self.close_connection = self.close_connection or not reusable

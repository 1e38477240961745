"""``requests`` cut down to what a poller needs: one adapter, hand-made requests, and time-outs that hold.

A session prepares, merges and copies for every call what never changes here; calling the adapter with a
request made by hand costs less than half of the processor time. Pools, TLS and errors remain as requests
handles them.
"""

from __future__ import annotations

import http.client
import io
import socket
from collections.abc import Callable, Mapping
from time import monotonic
from typing import Any, cast

from requests.adapters import HTTPAdapter
from requests.models import PreparedRequest, Response
from requests.structures import CaseInsensitiveDict
from urllib3 import BaseHTTPResponse, HTTPConnectionPool, HTTPSConnectionPool, Retry
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.response import HTTPResponse

# The ResourceManagers and the proxy are a handful of origins; more means addresses come and go.
_MAX_ORIGINS = 256
_MAX_HEADERS = 100
_MAX_LINE_BYTES = 65_536


class StaleConnection(ConnectionResetError):  # noqa: N818 - what it is, like the errors of this package
    """A kept-alive connection was closed by the other side before it answered."""


class _DeadlineReader(io.RawIOBase):
    """A socket's bytes until an instant that covers the whole answer.

    A socket time-out starts anew with every byte, so a server that sends one byte a second could hold a
    worker for hours.
    """

    def __init__(self, raw: io.RawIOBase, sock: socket.socket, deadline: float) -> None:
        self._raw = raw
        self._sock = sock
        self._deadline = deadline

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int | None:
        left = self._deadline - monotonic()
        if left <= 0:
            raise TimeoutError("timed out")
        self._sock.settimeout(left)
        return self._raw.readinto(buffer)

    def close(self) -> None:
        if not self.closed:
            self._raw.close()
        super().close()


class _TimedResponse(http.client.HTTPResponse):
    """An answer whose status, headers and body together take no longer than the socket's time-out."""

    def __init__(self, sock: socket.socket, *args: Any, **kwargs: Any) -> None:
        super().__init__(sock, *args, **kwargs)
        timeout = sock.gettimeout()
        if timeout is not None:
            raw = self.fp.detach()
            self.fp = io.BufferedReader(_DeadlineReader(raw, sock, monotonic() + timeout))

    def begin(self) -> None:
        """Read the head of the answer; http.client would give it to its parser for mail, which takes a sixth of the
        processor time of a whole call."""
        status = 100
        while status < 200:
            version, status, self.reason = _status_line(self.fp)
            self.headers = self.msg = _headers(self.fp)
        self.code = self.status = status
        self.version = 11 if version == "HTTP/1.1" else 10
        self.chunked = self.headers.get("Transfer-Encoding", "").lower() == "chunked"
        self.chunk_left = None
        length = "0" if status in (204, 304) else self.headers.get("Content-Length", "")
        self.length = int(length) if length.isdecimal() and not self.chunked else None
        said = self.headers.get("Connection", "").lower()
        stays_open = "close" not in said if self.version == 11 else "keep-alive" in said
        self.will_close = not stays_open or (self.length is None and not self.chunked)


def _status_line(stream: io.BufferedReader) -> tuple[str, int, str]:
    line = stream.readline(_MAX_LINE_BYTES).decode("iso-8859-1")
    if not line:
        raise http.client.RemoteDisconnected("closed without an answer")
    version, _, said = line.strip().partition(" ")
    status, _, reason = said.partition(" ")
    if not (version.startswith("HTTP/1.") and status.isdecimal()):
        raise http.client.BadStatusLine(line)
    return version, int(status), reason.strip()


def _headers(stream: io.BufferedReader) -> http.client.HTTPMessage:
    """Read headers up to the empty line; a line without a colon is none."""
    headers = http.client.HTTPMessage()
    for _ in range(_MAX_HEADERS):
        line = stream.readline(_MAX_LINE_BYTES)
        if line in (b"\r\n", b"\n", b""):
            return headers
        name, colon, value = line.decode("iso-8859-1").partition(":")
        if colon:
            headers.set_raw(name, value.strip())
    raise http.client.HTTPException(f"more than {_MAX_HEADERS} headers")


class _Connection(HTTPConnection):
    """A connection that reports when it is opened and tells a stale reuse from a failed first request."""

    response_class = _TimedResponse
    opened: Callable[[str], None]
    answers = 0

    def connect(self) -> None:
        super().connect()
        self.answers = 0
        self.opened(f"{self.host}:{self.port}")

    def getresponse(self) -> HTTPResponse:  # type: ignore[override]  # as urllib3 declares it
        try:
            response = super().getresponse()
        except ConnectionError as error:
            if self.answers:
                raise StaleConnection(str(error)) from error
            raise
        self.answers += 1
        return response


class _TlsConnection(_Connection, HTTPSConnection):
    pass


class Request(PreparedRequest):
    """A request as it goes on the wire, with nothing looked up, merged or encoded on its way there.

    ``url`` must be percent-encoded already; header names must be in canonical case, because the YARN proxy's
    list of headers it passes on is case-sensitive.
    """

    def __init__(self, method: str, url: str, headers: CaseInsensitiveDict[str], body: bytes | None = None) -> None:
        super().__init__()
        self.method = method
        self.url = url
        self.headers = headers
        self.body = body
        scheme, _, rest = url.partition("://")
        host, _, path = rest.partition("/")
        self.origin = (scheme, host)
        self.target = "/" + path


class Adapter(HTTPAdapter):
    """One pool per scheme, host and port, as large as the number of workers; no retries and no redirects.

    A pool that is in use to the last connection makes its caller wait: a connection beyond it would be thrown
    away after one answer. ``opened`` is called with host:port for every connection made.
    """

    def __init__(self, *, pool_size: int, opened: Callable[[str], None]) -> None:
        self._opened = opened
        self._pools: dict[tuple[str, str], HTTPConnectionPool] = {}
        super().__init__(_MAX_ORIGINS, pool_size, Retry(0, read=False), pool_block=True)

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        super().init_poolmanager(*args, **kwargs)
        opened = {"opened": staticmethod(self._opened)}
        plain = {"ConnectionCls": type("Connection", (_Connection,), opened)}
        tls = {"ConnectionCls": type("TlsConnection", (_TlsConnection,), opened)}
        self.poolmanager.pool_classes_by_scheme = {
            "http": type("Pool", (HTTPConnectionPool,), plain),
            "https": type("TlsPool", (HTTPSConnectionPool,), tls),
        }

    def get_connection_with_tls_context(
        self,
        request: PreparedRequest,
        verify: Any,
        proxies: Mapping[str, str] | None = None,
        cert: Any = None,
    ) -> HTTPConnectionPool:
        origin = cast("Request", request).origin
        pool = self._pools.get(origin)
        if pool is None:
            if len(self._pools) >= _MAX_ORIGINS:
                self._pools.clear()
                self.poolmanager.clear()
            found = super().get_connection_with_tls_context(request, verify, proxies, cert)
            # Certificates are the client's, the same for every request, so the pool is told of them once.
            super().cert_verify(found, request.url, verify, cert)  # type: ignore[no-untyped-call]
            pool = self._pools[origin] = cast("HTTPConnectionPool", found)
        return pool

    def cert_verify(self, conn: Any, url: Any, verify: Any, cert: Any) -> None:
        """Nothing: done when the pool was made."""

    def request_url(self, request: PreparedRequest, proxies: Any) -> str:
        return cast("Request", request).target

    def build_response(self, req: PreparedRequest, resp: BaseHTTPResponse) -> Response:
        """Wrap without copying headers, reading cookies or guessing an encoding."""
        response = Response()
        response.status_code = resp.status
        response.raw = resp
        return response
